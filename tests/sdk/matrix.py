"""Runs the story and the documented lines with every client, prints the table, and keeps it in docs/clients.md.

    matrix.py [--keep] [--through | --record DIR | --replay DIR] [NAME ...]

NAME is a row's name; --keep writes docs/clients.md after a whole run. With --through every client tells its story through a gateway to a
second server; --record keeps the calls in DIR, --replay answers them from there, with no server behind.
"""

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path.insert(0, str(PROJECT / "tests" / "scenarios"))
sys.dont_write_bytecode = True

from clients import CLIENTS, KINDS, PLACE, CannotInstall, Client  # noqa: E402
from harness.receiver import Receiver  # noqa: E402
from harness.server import Server, clean_environment  # noqa: E402
from speaker import Speaker  # noqa: E402
from story import ENDPOINT  # noqa: E402
from ways import FromCassette, Straight, Through  # noqa: E402

SNIPPET_SECONDS = 120
# What every page's lines ask for, so that the server has an answer for them.
PAGE_DOMAIN, PAGE_BUCKET = "play.example.com", "recordings"


@dataclass
class Verdict:
    """What became of one row."""

    client: Client
    passed: bool
    text: str
    seconds: float = 0.0

    @property
    def red(self) -> bool:
        """Whether the row fails the matrix."""
        return not self.passed and not (self.client.optional and self.text.startswith("not run"))


def documented(client: Client) -> str:
    """The client's lines in docs/sdk: the first block in its language under its heading."""
    text = (PROJECT / "docs" / "sdk" / client.page).read_text()
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        heading, _, rest = part.partition("\n")
        if client.section in heading:
            block = re.search(rf"^```{KINDS[client.language].fence}\n(.*?)^```", rest, re.M | re.S)
            if block:
                return block[1]
    raise AssertionError(f"docs/sdk/{client.page} has no lines for {client.section}")


def environment(server: Server) -> dict[str, str]:
    """The variables that `localyun env` prints, as far as SDKs read them, and no proxy."""
    host = server.api.removeprefix("http://")
    return clean_environment() | {
        "ALIBABA_CLOUD_ENDPOINT": host,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "testid",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "testsecret",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",
        # Clients that keep a configuration shall not touch the user's.
        "HOME": str(PLACE),
    }


def check_lines(client: Client, server: Server) -> None:
    """The documented lines run, reach the server as the documented action, and print the rule's bucket."""
    command = client.snippet(documented(client))
    done = subprocess.run(command, env=environment(server), capture_output=True, text=True, timeout=SNIPPET_SECONDS)
    assert done.returncode == 0, f"the lines of docs/sdk/{client.page} ended with {done.returncode}: {done.stderr[-400:]}"
    assert PAGE_BUCKET in done.stdout, f"the lines of docs/sdk/{client.page} printed {done.stdout[-400:]!r}"


def judge(client: Client, way: Straight) -> Verdict:
    """One row."""
    began = time.monotonic()
    try:
        client.install()
    except CannotInstall as error:
        return Verdict(client, False, f"not run: {error}")
    print(f"{time.strftime('%H:%M:%S')}  {client.name}", file=sys.stderr, flush=True)
    try:
        with Speaker(client.speaker(), environment(way.front), client.place / "speaker.log") as speaker:
            story = way.story(client.name, speaker)
            story.tell()
        assert story.lacked == set(client.lacks), f"lacks {sorted(story.lacked)}, known to lack {sorted(client.lacks)}"
        check_lines(client, way.front)
        way.told(client.name, story)
    except Exception as error:  # whatever one row does, the others are still judged
        words = " ".join(f"{type(error).__name__}: {error}".split()).replace("|", "\\|")
        return Verdict(client, False, f"RED: {words[:600]}", time.monotonic() - began)
    lacking = f", {len(client.lacks)} newer actions not in it" if client.lacks else ""
    return Verdict(client, True, f"green: {story.calls} calls{lacking}", time.monotonic() - began)


def table(verdicts: list[Verdict]) -> str:
    """The matrix as Markdown."""
    lines = ["| language | client | signature | verdict |", "| --- | --- | --- | --- |"]
    for verdict in verdicts:
        packages = "<br>".join(f"`{package}`" for package in verdict.client.packages)
        lines.append(f"| {verdict.client.language} | {packages} | {verdict.client.signature} | {verdict.text} |")
    return "\n".join(lines)


def keep(verdicts: list[Verdict]) -> None:
    """Puts the table between the marks in docs/clients.md."""
    path = PROJECT / "docs" / "clients.md"
    head, rest = path.read_text().split("<!-- matrix -->\n", 1)
    tail = rest.split("<!-- end -->", 1)[1]
    path.write_text(f"{head}<!-- matrix -->\n{table(verdicts)}\n<!-- end -->{tail}")


def option(arguments: list[str], name: str) -> Path | None:
    """Takes an option with its folder out of the arguments."""
    if name not in arguments:
        return None
    at = arguments.index(name)
    folder = Path(arguments[at + 1]).resolve()
    del arguments[at : at + 2]
    return folder


def main(arguments: list[str]) -> int:
    """Runs the rows that are named, or all."""
    record, replay = option(arguments, "--record"), option(arguments, "--replay")
    names = [argument for argument in arguments if not argument.startswith("-")]
    unknown = set(names) - {client.name for client in CLIENTS}
    if unknown:
        print(f"no row is called {', '.join(sorted(unknown))}; there are: {', '.join(c.name for c in CLIENTS)}", file=sys.stderr)
        return 2
    PLACE.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MAVEN_OPTS", "-Xmx512m")
    with ExitStack() as ends:
        receiver = Receiver()
        ends.callback(receiver.close)
        if replay:
            way: Straight = FromCassette(ends, replay)
        elif record or "--through" in arguments:
            if record:
                record.mkdir(parents=True, exist_ok=True)
            way = Through(ends, receiver, record)
        else:
            way = Straight(ends, receiver)
        page_rule = {"DomainName": PAGE_DOMAIN, "AppName": "live", "OssBucket": PAGE_BUCKET, "OssEndpoint": ENDPOINT}
        way.prepare("AddLiveAppRecordConfig", **page_rule, RecordFormat=[{"Format": "mp4"}])
        verdicts = [judge(client, way) for client in CLIENTS if not names or client.name in names]
    print(table(verdicts))
    if "--keep" in arguments and not names:
        keep(verdicts)
    red = [verdict for verdict in verdicts if verdict.red]
    passed = sum(verdict.passed for verdict in verdicts)
    print(f"{passed} passed, {len(red)} failed, {len(verdicts) - passed - len(red)} skipped")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
