"""RealTimeRecordCommand: scenarios 27 to 31."""

from dataclasses import replace

import pytest

from harness import clip as clips, probe
from harness.api import ApiError
from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}
NO_STREAM = {(409, "StreamNotFound"), (404, "InvalidStream.NotFound")}
NO_CONFIG = {(404, "InvalidConfig.NotFound"), (400, "CodeConfigNotFound")}


def refused(stage, command: str, **more) -> tuple[int, str]:
    """Status and code of a command that has to fail."""
    with pytest.raises(ApiError) as error:
        stage.command(command, **more)
    return error.value.status, error.value.code


def test_27_manual(stage):
    stage.rule(M3U8, OnDemand=7, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    stage.live(publisher, 20)
    assert stage.bucket.keys() == [] and stage.inbox.bodies() == []
    stage.command("start")
    assert refused(stage, "start") == (409, "TaskAlreadyStarted")
    stage.live(publisher, 20)
    stage.command("stop")
    wait_for(lambda: stage.inbox.events() == ["record_started", "record_paused"], what="started, then paused")
    stage.live(publisher, 14)
    assert stage.inbox.files() == []
    stage.live(publisher, 4)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(20, abs=6)
    stage.end(publisher)
    stage.advance(20)
    assert len(stage.inbox.files()) == 1
    assert stage.inbox.events() == ["record_started", "record_paused"]


def test_27_what_a_command_refuses(stage):
    stage.rule(M3U8, app="live", OnDemand=7)
    assert refused(stage, "start") in NO_STREAM
    assert refused(stage, "start", stream="*")[0] in (400, 404, 409)
    publisher = stage.publisher(app="other")
    publisher.push(2)
    assert refused(stage, "start", app="other") in NO_CONFIG
    status, code = refused(stage, "dance")
    assert status == 400 and "Command" in code


def test_27_start_while_the_camera_is_off(stage):
    """The stream has pictures and shows none: after ten seconds its sound is recorded alone, and the pictures join when they are back."""
    stage.rule("mp4", OnDemand=7, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    publisher.push(3)
    whole = publisher.clip
    publisher.clip = replace(whole, frames=tuple(tag for tag in whole.frames if tag.kind == clips.AUDIO))
    publisher.push(1)
    publisher.round_trip()
    stage.command("start")
    publisher.push(9)
    publisher.round_trip()
    assert stage.inbox.events() == []
    publisher.push(16)
    wait_for(lambda: stage.inbox.events() == ["record_started"], what="record_started")
    publisher.clip = whole
    publisher.push(8)
    stage.end(publisher)
    stage.advance(16)
    alone, both = stage.wait_files(2)
    assert "record_error" not in stage.inbox.events()
    assert alone["duration"] + both["duration"] == pytest.approx(15 + 8, abs=0.3)
    assert alone["duration"] == pytest.approx(16, abs=1.5)
    assert probe.tracks(stage.fetch(alone["uri"])) == ["audio:aac"]
    assert probe.tracks(stage.fetch(both["uri"])) == ["audio:aac", "video:h264"]


def test_28_manual_and_drop(stage):
    stage.rule(M3U8, OnDemand=7, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    publisher.push(4)
    stage.command("start")
    publisher.push(12)
    stage.end(publisher, "drop")
    stage.advance(5)
    again = stage.publisher()
    stage.live(again, 20)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(12, abs=2.5)
    stage.end(again)
    stage.advance(20)
    assert len(stage.inbox.files()) == 1
    assert stage.inbox.events() == ["record_started", "record_paused"]


def test_29_cancel_delay(stage):
    stage.rule("mp4")
    stage.notify()
    publisher = stage.publisher()
    publisher.push(10)
    stage.command("stop")
    stage.live(publisher, 2)
    assert stage.inbox.files() == []
    stage.command("cancel_delay")
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(10, abs=2.1)


def test_30_restart(stage):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    publisher = stage.publisher()
    publisher.push(20)
    stage.command("restart")
    (first,) = stage.wait_files(1)
    publisher.push(20)
    stage.end(publisher)
    stage.advance(16)
    _, second = stage.wait_files(2)
    assert first["duration"] + second["duration"] == pytest.approx(40, abs=0.5)
    assert first["duration"] == pytest.approx(20, abs=2.1)
    assert second["start_time"] >= first["stop_time"] - 1
    assert len(stage.bucket.keys(".mp4")) == 2


def test_30_restart_after_the_rule_was_deleted(stage):
    """The recording keeps its rule, and what the command begins in its place has the same."""
    stage.rule("mp4", OnDemand=7, DelayTime=60)
    stage.notify()
    publisher = stage.publisher()
    publisher.push(4)
    stage.command("start")
    publisher.push(10)
    stage.end(publisher)
    stage.api.call("DeleteLiveAppRecordConfig", DomainName=stage.domain, AppName="live")
    again = stage.publisher()
    again.push(4)
    stage.command("restart")
    again.push(10)
    stage.end(again)
    stage.advance(61)
    first, second = stage.wait_files(2)
    assert [first["duration"], second["duration"]] == pytest.approx([10, 10], abs=2.5)


def test_31_stop_on_automatic(stage):
    stage.rule("mp4", DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    publisher.push(20)
    stage.command("stop")
    stage.live(publisher, 60)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(20, abs=2.1)
    assert stage.inbox.events() == ["record_started", "record_paused"]
    stage.command("start")
    publisher.push(10)
    stage.end(publisher)
    stage.advance(16)
    second = stage.wait_files(2)[1]
    assert second["duration"] == pytest.approx(10, abs=2.1)
    stage.push(10)
    stage.advance(16)
    stage.wait_files(3)
