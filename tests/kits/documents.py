#!/usr/bin/env python3
"""The code blocks of the documents, as something that runs.

Each block says behind its language what becomes of it:

    file=PATH    it is a file of an example
    run          a part of the document's shell session, in which localyun is on PATH
    as=NAME      a file in the folder of that session
    ci=NAME      a recipe, whose commands are taken out
    kit=NAME     how a kit is got, or what a project says of it: tests/kits/run does so before it runs the kit's examples
    by=PATH      that test reads it out of the document and runs it
    shown        what a program prints, or where things lie: nothing to run

Where a session does not begin with `localyun serve`, it has a server. What a reader has done already and the page does not say again stands
in a remark that begins with `<!-- run`. A line whose remark says "until Ctrl-C" is ended by Ctrl-C.

    documents.py examples FOLDER      writes the files
    documents.py sessions FOLDER      runs each document's session in that folder, with the program LOCALYUN_BIN
    documents.py recipe NAME          prints the commands of a recipe
    documents.py block MARK           prints the one block of that mark
    documents.py twins                compares the blocks of the two languages
    documents.py marks                finds blocks that nothing runs
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: The documents that have a twin in Chinese.
TWINS = {
    "README.md": "README.zh-CN.md",
    "docs/getting-started.md": "docs/zh/getting-started.md",
    "docs/testing.md": "docs/zh/testing.md",
    "docs/control.md": "docs/zh/control.md",
    "docs/limits.md": "docs/zh/limits.md",
    "docs/upstream.md": "docs/zh/upstream.md",
    "docs/parity.md": "docs/zh/parity.md",
}


@dataclass(frozen=True)
class Block:
    language: str
    mark: str
    text: str


def blocks(path: Path) -> list[Block]:
    """The blocks between fences, and the remarks that are run with them."""
    found = re.finditer(r"^(?: *```(?P<language>\w*)(?P<mark>[^\n]*)\n(?P<text>.*?)^ *```$|<!-- run\n(?P<hidden>.*?)^-->$)", path.read_text(), re.M | re.S)
    return [
        Block("sh", "run", match["hidden"]) if match["hidden"] is not None else Block(match["language"], match["mark"].strip(), match["text"])
        for match in found
    ]


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(folder: Path) -> None:
    """The English documents' files; those of their twins are the same (`twins`)."""
    for document in documents():
        if "zh" in document.name or "zh" in document.parts:
            continue
        for block in blocks(document):
            if block.mark.startswith("file="):
                path = folder / block.mark.removeprefix("file=")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
                print(path)


def session(document: Path) -> str | None:
    """What a document has a reader type, as one script; None: nothing."""
    parts = [shell(block) for block in blocks(document) if block.mark == "run" or block.mark.startswith("as=")]
    if not parts:
        return None
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT", ENDED, "set -v"]
    told = "".join(parts).splitlines()
    if not any(SERVES.match(line) for line in told):
        told.insert(0, "localyun serve --ephemeral 2>server.log &")
    for line in told:
        lines.append(re.sub(r"^(\s*)(.*?)(\s+#.*until Ctrl-C.*)$", r"\1ended \2\3", line))
        if SERVES.match(line):
            # A reader sees that it is ready; a script asks.
            lines.append("until localyun health >/dev/null 2>&1; do sleep 0.05; done")
    return "\n".join(lines) + "\n"


def can_be_alone() -> bool:
    """Whether a network of its own can be made here."""
    return subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0


def typed(script: str, folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Runs a session in an empty folder and a network of its own: it may take the usual ports, and reaches nothing outside."""
    desk = folder / "desk"
    (folder / "bin").mkdir(parents=True)
    desk.mkdir()
    (folder / "bin/localyun").symlink_to(Path(program).resolve())
    (folder / "session.sh").write_text(script)
    # The settings of whoever runs this are not those of the document.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCALYUN_") and "proxy" not in name.lower()}
    path = f"{folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**kept, "PATH": path, "HOME": str(desk), "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
    alone = ["unshare", "-rn", "bash", "-c", 'ip link set lo up && exec bash "$1"', "-", str(folder / "session.sh")]
    return subprocess.run(alone, cwd=desk, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)


def sessions(folder: Path) -> None:
    if not can_be_alone():
        print("no network of its own can be made here (unshare); the sessions were not run")
        return
    shutil.rmtree(folder, ignore_errors=True)
    for document in documents():
        if (script := session(document)) is None:
            continue
        name = str(document.relative_to(ROOT)).replace("/", "-").removesuffix(".md")
        done = typed(script, folder / name, os.environ["LOCALYUN_BIN"])
        if done.returncode != 0:
            sys.exit(f"{done.stdout[-4000:]}\n{name}: a command of its session came back with {done.returncode}")
        print(f"{name}: every command of its session came back with 0", flush=True)


SERVES = re.compile(r"localyun serve\b.*&\s*(#.*)?$")
#: Two seconds of something that has no end, and then Ctrl-C, by which it ends well.
ENDED = """ended() {
  local status=0
  timeout --signal INT --preserve-status 2 "$@" || status=$?
  case "$status" in 0 | 123 | 130 | 255) ;; *) return "$status" ;; esac
}
# A refusal is no success, though curl by itself takes it for one.
curl() { command curl --fail-with-body "$@"; }"""


def shell(block: Block) -> str:
    """A block as lines of a shell."""
    if block.mark.startswith("as="):
        return f"cat >{block.mark.removeprefix('as=')} <<'FILE'\n{block.text}FILE\n"
    return block.text if block.language == "sh" else f"python3 - <<'PYTHON'\n{block.text}PYTHON\n"


def marked(mark: str) -> Block:
    (block,) = [b for document in documents() for b in blocks(document) if b.mark == mark and "zh" not in document.parts]
    return block


def recipe(name: str) -> None:
    """The commands of a recipe, as the service would run them one after the other."""
    block = marked(f"ci={name}")
    if block.language == "yaml":
        import yaml

        said = yaml.safe_load(block.text)["jobs" if name == "github" else "test"]
        commands = [step["run"] for step in said["test"]["steps"] if "run" in step] if name == "github" else said["script"]
    else:
        commands = re.findall(r"^\s*sh '(.*)'$", block.text, re.M)
    assert commands, f"the recipe {name} has no commands"
    print("\n".join(commands))


def marks() -> None:
    """Every block of every document is run by something, or is no code."""
    missing, counts = [], Counter()
    for document in [*documents(), ROOT / "CONTRIBUTING.md"]:
        name = str(document.relative_to(ROOT))
        if name.startswith("docs/sdk/"):
            # tests/sdk runs them: it finds them by their headings.
            counts["tests/sdk"] += len(blocks(document))
            continue
        for block in blocks(document):
            first = block.text.strip().splitlines()[0] if block.text.strip() else ""
            counts[block.mark.split("=")[0] if not block.mark.startswith("by=") else block.mark.removeprefix("by=").split()[0]] += 1
            where = f"{name}: ```{block.language} {block.mark}: {first}"
            if block.mark.startswith("by="):
                test = ROOT / block.mark.removeprefix("by=").split()[0]
                if not test.is_file():
                    missing.append(f"{where}: there is no {test.relative_to(ROOT)}")
                elif Path(name).name.replace(".zh-CN", "") not in test.read_text() and str(test.relative_to(ROOT)) not in block.text:
                    missing.append(f"{where}: {test.relative_to(ROOT)} does not read it")
            elif not re.fullmatch(r"run|shown|(file|as|ci|kit)=\S+", block.mark):
                missing.append(f"{where}: nothing runs it")
            elif block.mark == "shown" and block.language not in ("text", ""):
                missing.append(f"{where}: code is more than shown")
    if missing:
        sys.exit("\n".join(missing))
    told = ", ".join(f"{mark} {count}" for mark, count in counts.most_common())
    print(f"every block of the documents is run by something: {told}; `shown` is no code")


def twins() -> None:
    """Both languages show the same code: remarks may differ."""
    different = []
    for one, other in TWINS.items():
        if not (ROOT / one).exists() or not (ROOT / other).exists():
            different.append(f"{one} and {other}: one of them is missing")
            continue
        marked = [[bare(b) for b in blocks(ROOT / name) if b.mark] for name in (one, other)]
        if marked[0] != marked[1]:
            different.append(f"{one} and {other} differ in their code:")
            missing = [block for block in marked[0] + marked[1] if (block in marked[0]) != (block in marked[1])]
            different += [f"    {block.language} {block.mark}\n{block.text}" for block in missing] or ["    in its order"]
    if different:
        sys.exit("\n".join(different))
    print(f"{len(TWINS)} documents have the same code in both languages")


def bare(block: Block) -> Block:
    text = re.sub(r"(^|\s+)(#|//)\s[^\n]*", r"\1", block.text)
    return Block(block.language, block.mark, re.sub(r"[ \t]+$", "", text, flags=re.M).strip())


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    {"examples": examples, "sessions": sessions}.get(command, lambda *_: None)(*map(Path, rest))
    {"recipe": recipe, "block": lambda mark: print(marked(mark).text), "twins": twins, "marks": marks}.get(command, lambda *_: None)(*rest)
