"""How many of the C library's arenas a server's threads share: few, unless somebody says otherwise, and nobody else is told."""

import json
import os
import platform
import subprocess
from pathlib import Path

import pytest

from harness.server import Server, binary

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")


def variables(pid: int) -> dict[str, str]:
    """What a process began with."""
    words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)


def test_a_server_has_few_arenas_and_the_number_of_the_process_that_was_started():
    with Server(environment={"MALLOC_ARENA_MAX": None, "GLIBC_TUNABLES": None}) as server:
        assert 2 <= int(variables(server.process.pid)["MALLOC_ARENA_MAX"]) <= 8


def test_settings_alone_are_serve(tmp_path):
    env = {key: value for key, value in os.environ.items() if key not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")}
    command = [binary(), "--ephemeral", *(word for name in ("api", "rtmp", "oss", "play") for word in (f"--{name}-addr", "127.0.0.1:0"))]
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert "api" in json.loads(process.stdout.readline())
            assert 2 <= int(variables(process.pid)["MALLOC_ARENA_MAX"]) <= 8
        finally:
            process.terminate()
            process.wait(20)


def test_somebodys_own_number_stays():
    with Server(environment={"MALLOC_ARENA_MAX": "5"}) as server:
        assert variables(server.process.pid)["MALLOC_ARENA_MAX"] == "5"


def test_a_command_under_exec_finds_no_variable_that_nobody_set(tmp_path):
    env = {key: value for key, value in os.environ.items() if key != "MALLOC_ARENA_MAX"}
    command = [binary(), "exec", "--", "sh", "-c", "echo [$MALLOC_ARENA_MAX]"]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "[]" in done.stdout
