"""The lines of docs/upstream.md, docs/parity.md and of `compare` in docs/cli.md, with a second localyun in the place of the cloud."""

import json
import os
import re
import signal
import subprocess
import textwrap
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.api import Api, escape
from harness.server import PROJECT, Server, binary, clean_environment

CLOUD = "https://live.aliyuncs.com"
FREE = " ".join(f"--{name}-addr 127.0.0.1:0" for name in ("api", "rtmp", "oss", "play"))
#: The key of whoever calls here, which is another one than that for the cloud.
HERE = "here:alone"


def lines(page: str, wanted: str) -> str:
    """The one block of a page that holds a text."""
    text = (PROJECT / "docs" / page).read_text()
    blocks = re.findall(r"^ *```\w+ by=tests/outside/test_documented_upstream.py\n(.*?)^ *```$", text, re.M | re.S)
    (found,) = [block for block in blocks if wanted in block]
    return textwrap.dedent(found)


@pytest.fixture(scope="module")
def cloud():
    with Server() as server:
        yield server


def environment(folder: Path, **more: str) -> dict[str, str]:
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "localyun"
    if not program.exists():
        program.symlink_to(Path(binary()).resolve())
    return clean_environment() | {"PATH": f"{folder}/bin:{os.environ['PATH']}", "ID": "testid", "SECRET": "testsecret"} | more


@contextmanager
def served(line: str, folder: Path, cloud: Server):
    """The server of a line, on free ports and a folder that goes away."""
    command = f"exec {line.strip().replace(CLOUD, cloud.api)} --ephemeral {FREE}"
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=environment(folder, LOCALYUN_ACCESS_KEYS=HERE), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        ready = process.stdout.readline()
        assert ready.startswith("{"), process.stderr.read()
        yield json.loads(ready)["api"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def asked(api: str, action: str) -> tuple[int, str | None]:
    """The status of a call, and where its answer came from."""
    caller = Api(api, *HERE.split(":"))
    window = {"StartTime": "2026-11-26T00:00:00Z", "EndTime": "2026-11-26T01:00:00Z"}
    query = "&".join(f"{name}={escape(value)}" for name, value in caller.signed(action, DomainName="play.example.com", **window).items())
    status, headers, _ = caller.send("GET", f"/?{query}")
    return status, {name.lower(): value for name, value in headers.items()}.get("x-localyun-upstream")


def test_what_localyun_does_not_have_comes_from_the_cloud(cloud, tmp_path):
    with served(lines("upstream.md", "--upstream-mode unimplemented"), tmp_path, cloud) as api:
        assert asked(api, "DescribeLiveStreamsPublishList")[1] is None
        status, source = asked(api, "DescribeLiveSnapshotConfig")
        assert status == 400 and source and cloud.api.removeprefix("http://") in source


def test_a_cassette_is_recorded_and_replayed(cloud, tmp_path):
    with served(lines("upstream.md", "--upstream-mode all"), tmp_path, cloud) as api:
        status, source = asked(api, "DescribeLiveStreamsPublishList")
        assert status == 200 and cloud.api.removeprefix("http://") in source
    (kept,) = (tmp_path / "tests/cassette").glob("*.json")
    kept, shown = json.loads(kept.read_text()), json.loads(lines("upstream.md", "localyun_cassette"))
    assert list(kept) == list(shown) and list(kept["answer"]) == list(shown["answer"])
    assert (kept["action"], kept["params"]) == (shown["action"], shown["params"])
    with served(lines("upstream.md", "serve --upstream-mode replay"), tmp_path, cloud) as api:
        status, source = asked(api, "DescribeLiveStreamsPublishList")
        assert status == 200 and source.startswith("cassette ")
    exec_line = lines("upstream.md", "localyun exec")
    command = (
        "localyun call DescribeLiveStreamsPublishList DomainName=play.example.com StartTime=2026-11-25T00:00:00Z EndTime=2026-11-25T01:00:00Z"
    )
    assert exec_line.rstrip().endswith("-- pytest")
    done = subprocess.run(
        ["bash", "-c", exec_line.replace("-- pytest", f"-- {command}")], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and kept["answer"]["body"]["RequestId"] in done.stdout, done.stdout + done.stderr


@pytest.fixture(scope="module")
def here():
    with Server() as server:
        yield server


def compared(line: str, here: Server, cloud: Server, folder: Path, *words: str) -> subprocess.CompletedProcess:
    """A line of `compare`, with the key and the place of the second localyun, whose clock need not be waited for."""
    line = line.strip().replace(CLOUD, cloud.api).replace("ID:SECRET", "testid:testsecret").replace("tests/parity", str(PROJECT / "tests/parity"))
    rtmp = f"{cloud.rtmp_host}:{cloud.rtmp_port}"
    line += f" --server {here.api} --upstream-localyun --upstream-push {rtmp} {' '.join(words)}"
    return subprocess.run(["bash", "-c", line], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize(("page", "wanted"), [("cli.md", "localyun compare"), ("parity.md", "export LOCALYUN_UPSTREAM")])
def test_a_look_at_the_cloud(here, cloud, tmp_path, page, wanted):
    done = compared(lines(page, wanted), here, cloud, tmp_path)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def test_the_documented_script(here, cloud, tmp_path):
    (tmp_path / "a-rule.yaml").write_text(lines("parity.md", "script: a-rule"))
    whole = lines("parity.md", "--report report.json").replace("tests/parity", "a-rule.yaml")
    export = lines("parity.md", "export LOCALYUN_UPSTREAM").splitlines()[0]
    done = compared(f"{export}\n{whole}", here, cloud, tmp_path, "--var", "push_domain=play.example.com")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert json.loads((tmp_path / "report.json").read_text())
