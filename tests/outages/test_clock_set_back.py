"""The operating system sets its clock back under a running server: the service clock, names, rows and callbacks go on in order.

The wall clock is set by libfaketime, which the server runs under; the monotonic clock is left alone, as the system leaves it.
"""

import glob
import time
from email.utils import parsedate_to_datetime

import pytest

from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}
# Less than the difference that a signature may have.
BACK_SECONDS = 600


@pytest.fixture
def faked(tmp_path):
    """The environment of a program whose wall clock follows a file, and a function that sets it."""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not libraries:
        pytest.skip("libfaketime is missing (Debian: apt-get install faketime)")
    file = tmp_path / "offset"

    def set_clock(seconds: int) -> None:
        fresh = file.with_name("offset.new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(file)

    set_clock(0)
    environment = {
        "LD_PRELOAD": libraries[0],
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return environment, set_clock


def behind(stage) -> float:
    """How far the server's machine clock is behind this one: its answers carry its date."""
    _, headers, _ = stage.api.send("GET", "/_localyun/clock")
    return time.time() - parsedate_to_datetime(headers["date"]).timestamp()


def test_the_clock_is_set_back_while_streams_are_recorded(own_stage, faked):
    environment, set_clock = faked
    stage = own_stage(environment=environment)
    stage.rule(M3U8, {"Format": "mp4", "CycleDuration": 20}, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    seen = [stage.now()]

    def go_on(seconds: float) -> None:
        stage.live(publisher, seconds)
        seen.append(stage.now())

    go_on(30)
    set_clock(-BACK_SECONDS)

    wait_for(lambda: behind(stage) > BACK_SECONDS - 5, what="the server's machine clock to be set back")
    go_on(30)
    # An interruption over the change back, and a new push.
    stage.end(publisher)
    set_clock(0)
    stage.advance(5)
    seen.append(stage.now())
    publisher = stage.publisher()
    set_clock(-BACK_SECONDS)
    go_on(30)
    stage.end(publisher)
    stage.advance(20)
    seen.append(stage.now())
    wait_for(lambda: stage.inbox.files(".m3u8"), what="the index file")
    assert seen == sorted(seen)
    assert 110 <= (seen[-1] - seen[0]).total_seconds() < BACK_SECONDS - 60
    mp4 = [event for event in stage.inbox.files() if event["uri"].endswith(".mp4")]
    assert len(mp4) >= 4 and sum(event["duration"] for event in mp4) == pytest.approx(90, abs=1)
    names = [event["uri"] for event in mp4]
    assert names == sorted(names) and len(set(names)) == len(names)
    starts = [event["start_time"] for event in mp4]
    assert starts == sorted(starts)
    for one, next_one in zip(mp4, mp4[1:]):
        assert one["start_time"] < one["stop_time"] <= next_one["start_time"] + 1
    (index,) = [event for event in stage.inbox.files() if event["uri"].endswith(".m3u8")]
    assert index["duration"] == pytest.approx(90, abs=1)
    playlist = stage.playlist(index["uri"])
    assert playlist.ended and len(playlist.segments) == 15
    stamps = [int(key.rsplit("/", 1)[1].split("_")[0]) for key in playlist.keys()]
    assert stamps == sorted(stamps)
    status = stage.inbox.events()
    assert status == ["record_started", "record_paused", "record_resumed", "record_paused"]
    rows = stage.server.rows("/_localyun/callbacks?limit=1000", "callbacks")
    assert all(row["state"] == "success" for row in rows)
