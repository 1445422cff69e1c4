"""README's walk from the start to a played recording, by its commands alone: what stands there is what is run."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness.server import PROJECT, binary, clean_environment

COMMANDS = ("call", "publish", "advance", "recordings", "get", "explain")


def walk(readme: Path) -> list[str]:
    """The lines of the first block that is marked as run, continued ones joined."""
    block = re.search(r"```sh run\n(.*?)```", readme.read_text(), re.DOTALL)
    assert block, readme
    return block[1].replace("\\\n", " ").strip().splitlines()


@pytest.fixture
def beside(tmp_path):
    """A shell beside a server that the walk's first line started, on free ports: `localyun` is the program under test."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "localyun").symlink_to(binary().resolve())
    environment = clean_environment() | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    running = []

    def start(line: str):
        words = shlex.split(line, comments=True)
        assert words[0] == "localyun" and words[-1] == "&", line
        free = {f"LOCALYUN_{name}_ADDR": "127.0.0.1:0" for name in ("API", "RTMP", "PLAY", "OSS")}
        process = subprocess.Popen(words[:-1], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment | free)
        running.append(process)
        ready = json.loads(process.stdout.readline())
        environment.update(LOCALYUN_ENDPOINT=ready["api"], LOCALYUN_RTMP_ADDR=ready["rtmp"].removeprefix("rtmp://"))

    def run(line: str) -> str:
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    yield start, run
    for process in running:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_from_start_to_a_played_recording_by_commands_alone(beside, tmp_path, name):
    start, run = beside
    lines = walk(PROJECT / name)
    start(lines[0])
    told = {}
    for line in lines[1:]:
        words = shlex.split(line, comments=True)
        assert words[0] == "localyun" and "curl" not in line, line
        told[words[1]] = run(line)
    assert tuple(told) == COMMANDS
    assert "play.example.com/live/s1" in told["publish"] and "recorded: " in told["explain"]
    assert told["recordings"].split("\t")[3] == "mp4" and "20.0" in told["recordings"].split("\t")[4]
    # Played by a reader of its own: every frame of it.
    probe = ["-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames:format=duration", "-of", "json", str(tmp_path / "s1.mp4")]
    shown = json.loads(subprocess.run([shutil.which("ffprobe"), *probe], capture_output=True, text=True, timeout=60, check=True).stdout)
    assert int(shown["streams"][0]["nb_read_frames"]) > 400 and 19 < float(shown["format"]["duration"]) < 21, shown
