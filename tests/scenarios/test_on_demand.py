"""Recording that asks first: on demand (scenarios 18 to 25) and by ingest parameter (26)."""

import json
import threading
from datetime import timedelta
from urllib.parse import quote

import pytest

from harness.stage import wire
from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}
YES = {"ApiVersion": "1.0", "NeedRecord": True}
NO = {"ApiVersion": "1.0", "NeedRecord": False}


def on_demand(stage, *formats, **more) -> None:
    """A rule that asks, and the notify config with the address to ask."""
    stage.rule(*(formats or ("mp4",)), OnDemand=1, DelayTime=15, **more)
    stage.notify(OnDemandUrl=stage.questions.url, NeedStatusNotify=True)


def asked(stage) -> None:
    """Waits for the first question."""
    wait_for(lambda: stage.questions.requests, what="the on-demand question")


def nothing_recorded(stage) -> None:
    """No object, no file event, no status event."""
    assert stage.bucket.keys() == []
    assert stage.inbox.bodies() == []


@pytest.mark.parametrize(("clip", "codec"), [("h264_aac", "h264"), ("hevc_id12", "h265"), ("hevc_enhanced", "h265")])
def test_18_question(stage, clip, codec):
    stage.questions.say(YES)
    on_demand(stage)
    stage.push(6, clip=clip, metadata={"width": 320.0, "height": 180.0, "videodatarate": 2000.0})
    stage.advance(16)
    stage.wait_files(1)
    (question,) = stage.questions.requests
    assert question.method == "GET"
    assert question.query == f"app=live&domain={stage.domain}&stream=s1&vbitrate=2000&codec={codec}"
    assert question.headers["user-agent"] == "Go-http-client/1.1"


def test_19_yes(stage):
    stage.questions.say(YES)
    on_demand(stage, M3U8)
    stage.push(20)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert event["uri"].endswith(".m3u8") and event["duration"] == pytest.approx(20, abs=0.5)
    assert stage.inbox.events() == ["record_started", "record_paused"]


def test_19_no(stage):
    stage.questions.say(NO)
    on_demand(stage, M3U8)
    stage.push(20)
    asked(stage)
    stage.advance(200)
    nothing_recorded(stage)


def test_20_override(stage):
    stage.questions.say(YES | {"Interval": {"Mp4": 20, "Flv": 10}, "Format": ["mp4", "flv"]})
    on_demand(stage, M3U8, "mp4", "flv")
    stage.push(40)
    stage.advance(16)
    files = stage.wait_files(6)
    lengths = {kind: [event["duration"] for event in files if event["uri"].endswith(kind)] for kind in (".mp4", ".flv", ".m3u8")}
    assert lengths[".m3u8"] == []
    assert lengths[".mp4"] == pytest.approx([20, 20], abs=0.5)
    assert lengths[".flv"] == pytest.approx([10] * 4, abs=0.5)
    assert stage.bucket.keys(".ts") == []


def test_21_empty_intersection(stage):
    stage.questions.say(YES | {"Format": ["mp4"]})
    on_demand(stage, M3U8)
    stage.push(10)
    asked(stage)
    stage.advance(200)
    nothing_recorded(stage)


def padded(size: int) -> bytes:
    """A valid yes of exactly `size` bytes."""
    bare = len(json.dumps(YES | {"Pad": ""}))
    return json.dumps(YES | {"Pad": "x" * (size - bare)}).encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, json.dumps(YES).encode()), (404, json.dumps(YES).encode()), (200, b"hello"), (200, b'{"ApiVersion":"1.0"}'), (200, padded(3000))],
    ids=["500", "404", "text", "no-need-record", "cut-at-2048"],
)
def test_22_bad_answers(stage, status, body):
    stage.questions.say(body, status)
    on_demand(stage)
    publisher = stage.publisher()
    stage.live(publisher, 16)
    asked(stage)
    stage.end(publisher)
    stage.advance(200)
    assert len(stage.questions.requests) <= 6
    nothing_recorded(stage)


def test_22_answer_of_2000_bytes_counts(stage):
    stage.questions.say(padded(2000))
    on_demand(stage)
    stage.push(6)
    stage.advance(16)
    stage.wait_files(1)


def test_23_no_url(stage):
    stage.rule("mp4", OnDemand=1, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    stage.push(10)
    stage.advance(200)
    assert stage.questions.requests == []
    nothing_recorded(stage)


def test_24_timeouts(stage):
    stage.questions.hang()
    on_demand(stage)
    publisher = stage.publisher()

    def all_tried() -> bool:
        stage.live(publisher, 4)
        return len(stage.questions.requests) >= 6

    wait_for(all_tried, 60, "six attempts")
    stage.live(publisher, 12)
    assert len(stage.questions.requests) == 6
    stage.end(publisher)
    stage.advance(200)
    nothing_recorded(stage)


def test_24_a_command_when_the_window_ends_before_the_answer(stage):
    """The question is still open, and so is what was kept for it: nothing more is, and a start makes a recording of it."""
    stage.questions.hang()
    on_demand(stage, stream="s1", EndTime=wire(stage.now() + timedelta(seconds=20)))
    publisher = stage.publisher()
    stage.live(publisher, 24)
    asked(stage)
    stage.command("stop")
    assert stage.inbox.bodies() == []
    stage.command("start")
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(20, abs=3)
    stage.live(publisher, 4)
    stage.end(publisher)
    stage.advance(20)
    assert len(stage.inbox.files()) == 1


@pytest.mark.parametrize("wanted", [True, False], ids=["yes", "no"])
def test_24_a_codec_that_is_not_recorded_waits_for_the_answer(stage, wanted):
    go_on = threading.Event()

    def answer(number: int) -> tuple[int, bytes]:
        go_on.wait(20)
        return 200, json.dumps(YES if wanted else NO).encode()

    stage.questions.answer = answer
    on_demand(stage)
    publisher = stage.publisher(clip="h264_speex")
    publisher.push(8)
    asked(stage)
    go_on.set()
    if wanted:
        wait_for(lambda: "record_error" in stage.inbox.events(), what="record_error")
    assert stage.server.is_live(stage.domain, "live", "s1") and not publisher.closed.is_set()
    stage.end(publisher)
    stage.advance(60)
    assert stage.inbox.files() == [] and stage.bucket.keys() == []
    assert stage.inbox.events().count("record_error") == (1 if wanted else 0)


def test_25_asked_once(stage):
    stage.questions.say(YES)
    on_demand(stage)
    stage.push(20)
    stage.advance(5)
    stage.push(20)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(40, abs=1)
    assert len(stage.questions.requests) == 1


@pytest.mark.parametrize(
    ("query", "recorded"),
    [
        ("record_config=" + quote('{"NeedRecord":true}', safe="") + "&auth_key=1893456000-0-0-0", True),
        ("record_config=" + quote('{"NeedRecord":false}', safe=""), False),
        ("", False),
        ("record_config=x", False),
    ],
    ids=["true", "false", "absent", "malformed"],
)
def test_26_ingest_parameter(stage, query, recorded):
    stage.rule("mp4", OnDemand=2, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    stage.push(10, query=query)
    stage.advance(16)
    if recorded:
        assert stage.wait_files(1)[0]["duration"] == pytest.approx(10, abs=0.5)
    else:
        stage.advance(200)
        nothing_recorded(stage)
