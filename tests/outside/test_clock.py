"""The service clock over restarts: it never goes back by itself, however the process ends."""

import json
import signal
import time
from datetime import UTC, datetime

import pytest

from harness.server import Server
from harness.stage import Stage

DAY = 24 * 3600
ROOM = 60


def shown(server: Server) -> float:
    """The service clock in Unix seconds."""
    clock = server.get("/_localyun/clock")
    assert isinstance(clock, dict)
    return clock["now_ms"] / 1000


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_advanced_clock_is_kept(receiver, tmp_path, how):
    with Server(data_dir=tmp_path / "data") as server:
        stage = Stage(server, receiver, tmp_path)
        stage.rule("mp4", DelayTime=15)
        stage.notify()
        server.advance(40 * DAY)
        stage.push(6)
        server.advance(30)
        stage.wait_files(1)
        before = shown(server)
        server.process.send_signal(how)
        server.process.wait(20)
    with Server(data_dir=tmp_path / "data") as server:
        assert before <= shown(server) < before + ROOM
        assert "was advanced" in server.log_tail()
        recorded = json.dumps(server.get("/_localyun/recordings"))
        stops = [item["stop_time"] for session in json.loads(recorded)["recordings"] for item in [session, *session["files"]]]
        assert stops and all(datetime.fromisoformat(stop).timestamp() <= shown(server) for stop in stops)
        # And on from there.
        server.advance(DAY)
        later = shown(server)
    with Server(data_dir=tmp_path / "data") as server:
        assert later <= shown(server) < later + ROOM


def test_a_clock_that_nobody_advanced_is_the_machines(tmp_path):
    for _ in range(2):
        with Server(data_dir=tmp_path / "data") as server:
            assert abs(shown(server) - time.time()) < ROOM
            assert "was advanced" not in server.log_tail()


def test_a_start_that_is_asked_for_wins(tmp_path):
    with Server(data_dir=tmp_path / "data") as server:
        server.advance(40 * DAY)
    with Server("--clock-start", "2026-03-01T02:00:00Z", data_dir=tmp_path / "data") as server:
        assert abs(shown(server) - datetime(2026, 3, 1, 2, tzinfo=UTC).timestamp()) < ROOM


def test_reset_takes_every_advance_back(receiver, tmp_path):
    with Server(data_dir=tmp_path / "data") as server:
        server.advance(40 * DAY)
        status, body = server.control("POST", "/_localyun/reset")
        assert status == 200, body
        assert abs(shown(server) - time.time()) < ROOM
        # What is timed afterwards is timed by the new time.
        stage = Stage(server, receiver, tmp_path)
        stage.rule("mp4", DelayTime=15)
        stage.notify()
        stage.push(6)
        server.advance(16)
        stage.wait_files(1)
    with Server(data_dir=tmp_path / "data") as server:
        assert abs(shown(server) - time.time()) < ROOM


def test_a_snapshot_leaves_the_clock_alone(tmp_path):
    with Server(data_dir=tmp_path / "data") as server:
        server.advance(40 * DAY)
        status, body = server.control("PUT", "/_localyun/snapshot", server.get("/_localyun/snapshot"))
        assert status == 200, body
        before = shown(server)
    with Server(data_dir=tmp_path / "data") as server:
        assert shown(server) >= before
