"""A disk that is full ends the recordings on it with record_error; the server stays up and records again when there is room."""

import os
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from harness import probe
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for

SIZE = 24 << 20
ROOM = 2 << 20
NAME_TIMES = re.compile(r"\d{4}(?:-\d\d){5}")
M3U8 = {"Format": "m3u8", "SliceDuration": 10}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(place: Path) -> Path:
    """Takes all but a little of the room away; the file that does is to be deleted."""
    ballast = place / "ballast"
    stat = os.statvfs(place)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, stat.f_bavail * stat.f_frsize - ROOM)
    return ballast


def push_until_full(stage: Stage, publisher) -> None:
    """Publishes until the recorder has met the end of the disk."""
    for _ in range(60):
        publisher.push(10)
        (stream,) = [row for row in stage.server.streams() if row["stream"] == publisher.key[2]]
        if stream["recorder"]["last_error"]:
            break
    assert stream["recorder"]["last_error"] == "StorageFull"


def check_length(stage: Stage, event: dict) -> None:
    """Event, name and row of a file say how long its own media is."""
    if event["uri"].endswith(".m3u8"):
        playlist = stage.playlist(event["uri"])
        length = playlist.duration
        assert length == pytest.approx(sum(probe.duration(stage.fetch(key)) for key in playlist.keys()), abs=0.2)
    else:
        length = probe.duration(stage.fetch(event["uri"]))
    assert event["duration"] == pytest.approx(length, abs=0.1), event
    assert event["stop_time"] - event["start_time"] == pytest.approx(length, abs=1.1), event
    times = [datetime.strptime(text, "%Y-%m-%d-%H-%M-%S") for text in NAME_TIMES.findall(event["uri"])]
    assert (times[1] - times[0]).total_seconds() == event["stop_time"] - event["start_time"], event
    sessions = stage.server.rows("/_localyun/recordings", "recordings")
    (row,) = [file for session in sessions for file in session["files"] if file["object"] == event["uri"]]
    assert row["duration"] == event["duration"], (event, row)


@pytest.mark.parametrize(
    ("database", "formats"),
    [("elsewhere", ["mp4", "flv"]), ("on it", ["mp4", "flv"]), ("on it", [M3U8])],
    ids=["database-elsewhere", "database-on-it", "slices"],
)
def test_disk_full(small_disk, receiver, tmp_path, database, formats):
    settings = {"LOCALYUN_DATABASE_URL": f"sqlite://{tmp_path}/outside.db?mode=rwc"} if database == "elsewhere" else {}
    with Server(data_dir=small_disk / "data", environment=settings) as server:
        stage = Stage(server, receiver, tmp_path)
        stage.rule(*formats, DelayTime=15)
        stage.notify(NeedStatusNotify=True)
        ballast = fill(small_disk)
        publisher = stage.publisher()
        push_until_full(stage, publisher)
        assert server.is_live(stage.domain, "live", "s1") and not publisher.closed.is_set()
        assert server.control("GET", "/_localyun/health")[0] in (200, 503)
        if database == "elsewhere":
            wait_for(lambda: "record_error" in stage.inbox.events(), 15, "record_error while the disk is full")
        # The stream goes on, unrecorded.
        publisher.push(5)
        ballast.unlink()
        wait_for(lambda: "record_error" in stage.inbox.events(), 30, "record_error when there is room again")
        stage.end(publisher)
        stage.advance(60)
        source = stage.push(8, "s2")
        stage.advance(60)
        wait_for(lambda: len([event for event in stage.inbox.files() if event["stream"] == "s2"]) == len(formats), 30, "the files of the next stream")
        path = tmp_path / "source.flv"
        path.write_bytes(source.sent_flv())
        assert {event["stream"] for event in stage.inbox.files()} == {"s1", "s2"}
        for event in stage.inbox.files():
            check_length(stage, event)
            if event["uri"].endswith(".m3u8"):
                continue
            file = stage.fetch(event["uri"])
            probe.decodes(file)
            if event["stream"] == "s2":
                assert probe.payloads(file, "v") == probe.payloads(path, "v")
        wait_for(lambda: not list((small_disk / "data" / "spool").iterdir()), 20, "an empty spool")
