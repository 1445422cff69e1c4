"""Files that the control plane is told to publish: none of them holds a worker, none tells what lies where."""

import os
import threading
import time

import pytest
import requests

from harness.server import PROJECT


def publish(server, clip: object, timeout: float = 20) -> tuple[int, dict]:
    body = {"domain": "clip.example.com", "app": "live", "stream": "s1", "clip": str(clip), "seconds": 1, "speed": 0}
    answer = requests.post(server.api + "/_localyun/streams", json=body, timeout=timeout)
    return answer.status_code, answer.json()


def test_a_named_pipe_holds_no_worker(server, tmp_path):
    pipe = tmp_path / "pipe.flv"
    os.mkfifo(pipe)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(publish(server, pipe)[0])) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for _ in range(10):
        assert requests.get(server.api + "/_localyun/health", timeout=5).status_code == 200
    for thread in threads:
        thread.join(10)
    assert answers == [400] * 8 and time.monotonic() - began < 10


def test_absent_forbidden_and_strange_files_get_one_answer(server, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    (tmp_path / "zero").symlink_to("/dev/zero")
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "file.flv").write_bytes(b"x")
    closed.chmod(0)
    try:
        paths = [tmp_path / name for name in ("absent", "folder", "pipe", "nowhere", "zero", "closed/file.flv" if os.geteuid() else "absent")]
        paths += ["/dev/zero", "/dev/tty", "/proc/self/mem/x", "\x01", "a" * 5000]
        told = set()
        for path in paths:
            status, body = publish(server, path)
            assert status == 400, (path, body)
            told.add(body["error"].replace(str(path), "PATH").replace(repr(str(path)), "PATH"))
        assert len(told) == 1, told
    finally:
        closed.chmod(0o700)


def test_a_real_file_is_published(server):
    status, body = publish(server, PROJECT / "fixtures/media/h264_aac.flv")
    assert status == 200, body
    with pytest.raises(AssertionError):
        assert publish(server, PROJECT / "README.md")[0] == 200
