"""Which rule records a stream, and when a rule counts: scenarios 13 to 17."""

from datetime import timedelta

import pytest

from harness.api import ApiError
from harness.stage import wire
from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}


def endings(stage) -> set[str]:
    """The file endings in the bucket, slices aside."""
    return {key.rsplit(".", 1)[1] for key in stage.bucket.keys()} - {"ts"}


def test_13_precedence(stage):
    stage.rule("flv", app="*", stream="*", DelayTime=15)
    stage.rule("mp4", app="live", DelayTime=15)
    stage.rule(M3U8, app="live", stream="s1", DelayTime=15)
    stage.notify()
    for app, stream in (("live", "s1"), ("live", "s2"), ("other", "s3")):
        stage.push(6, stream, app=app)
    stage.advance(16)
    made = {(event["app"], event["stream"], event["uri"].rsplit(".", 1)[1]) for event in stage.wait_files(3)}
    assert made == {("live", "s1", "m3u8"), ("live", "s2", "mp4"), ("other", "s3", "flv")}


@pytest.mark.parametrize(("app", "stream"), [("live", "s1"), ("live", None), ("*", "*")])
def test_14_duplicate(stage, app, stream):
    stage.rule("mp4", app=app, stream=stream)
    with pytest.raises(ApiError) as error:
        stage.rule("flv", app=app, stream=stream)
    assert (error.value.status, error.value.code) == (400, "ConfigAlreadyExists")
    listed = stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)
    (rule,) = listed["LiveAppRecordList"]["LiveAppRecord"]
    assert [group["Format"] for group in rule["RecordFormatList"]["RecordFormat"]] == ["mp4"]


def test_15_no_effect_on_live_streams(stage):
    stage.notify()
    publisher = stage.publisher()
    publisher.push(6)
    stage.rule("mp4", DelayTime=15)
    publisher.push(6)
    stage.end(publisher)
    stage.advance(181)
    assert stage.bucket.keys() == [] and stage.inbox.files() == []
    stage.push(6)
    stage.advance(16)
    assert stage.wait_files(1)[0]["uri"].endswith(".mp4")


def test_15_old_rule_survives_a_short_gap(stage):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(6)
    stage.advance(10)
    stage.api.call("DeleteLiveAppRecordConfig", DomainName=stage.domain, AppName="live")
    stage.rule("flv", DelayTime=15)
    stage.push(6)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert event["uri"].endswith(".mp4") and event["duration"] == pytest.approx(12, abs=0.5)
    stage.push(6)
    stage.advance(16)
    assert stage.wait_files(2)[1]["uri"].endswith(".flv")


def test_16_window(stage):
    stage.notify()
    now = stage.now()
    start, end = now + timedelta(seconds=30), now + timedelta(seconds=60)
    stage.rule(M3U8, stream="s1", DelayTime=15, StartTime=wire(start), EndTime=wire(end))
    publisher = stage.publisher()
    stage.live(publisher, 24)
    assert stage.bucket.keys() == []
    stage.live(publisher, 66)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(30, abs=6)
    assert event["start_time"] == pytest.approx(start.timestamp(), abs=6)
    assert event["stop_time"] == pytest.approx(end.timestamp(), abs=6)
    stage.end(publisher)
    stage.advance(20)
    stage.push(10)
    stage.advance(20)
    assert len(stage.inbox.files()) == 1


def test_16_a_window_ends_while_the_publisher_is_away(stage):
    """The recording ends with it, DelayTime is not waited for, and who comes back then is not recorded."""
    stage.notify(NeedStatusNotify=True)
    end = stage.now() + timedelta(seconds=30)
    stage.rule("mp4", stream="s1", DelayTime=60, EndTime=wire(end))
    stage.push(6)
    stage.advance(20)
    assert stage.inbox.files() == []
    stage.advance(12)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(6, abs=0.5) and event["stop_time"] <= end.timestamp()
    stage.push(6)
    stage.advance(70)
    assert stage.inbox.files() == [event] and stage.inbox.events() == ["record_started", "record_paused"]


def test_16_a_window_of_a_rule_that_another_one_keeps_away(stage):
    """It opens for nothing under a live stream that has a more specific rule, and `explain` does not promise it."""
    stage.notify(NeedStatusNotify=True)
    stage.rule("mp4", stream="s1", OnDemand=7, DelayTime=15)
    stage.rule("flv", stream="*", DelayTime=15, StartTime=wire(stage.now() + timedelta(seconds=20)))
    assert stage.explain()["upcoming"] is None and stage.explain("s2")["upcoming"]["stream"] == "*"
    publishers = stage.publisher("s1"), stage.publisher("s2")
    for _ in range(16):
        for publisher in publishers:
            publisher.push(2)
        stage.advance(2)
    for publisher in publishers:
        stage.end(publisher)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert event["stream"] == "s2" and event["uri"].endswith(".flv")


def test_16_window_needs_a_stream(stage):
    """The product honours a window only in a rule with a stream name: it may be refused or left out, never half used."""
    now = stage.now()
    window = {"StartTime": wire(now + timedelta(hours=1)), "EndTime": wire(now + timedelta(hours=2))}
    stage.notify()
    try:
        stage.rule("mp4", DelayTime=15, **window)
    except ApiError as error:
        assert error.status == 400
        return
    stage.push(6)
    stage.advance(16)
    stage.wait_files(1)


def test_16_long_window_is_clipped(stage):
    start = stage.now() + timedelta(hours=1)
    stage.rule("mp4", stream="s1", StartTime=wire(start), EndTime=wire(start + timedelta(days=8)))
    (rule,) = stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["LiveAppRecordList"]["LiveAppRecord"]
    assert rule["StartTime"] == wire(start)
    assert rule["EndTime"] == wire(start + timedelta(days=7))


def long_prefix(tail: str, size: int) -> str:
    """A template of exactly `size` bytes that ends in `tail`."""
    return "r/" + "x" * (size - 2 - len(tail)) + tail


TIMES = "{EscapedStartTime}_{EscapedEndTime}"
COUNTED = "{UnixTimestamp}_{Sequence}"


@pytest.mark.parametrize(
    ("group", "code"),
    [
        ({"Format": "mp4", "OssObjectPrefix": "r/{StartTime}"}, "InvalidOssObjectPrefix.Malformed"),
        ({"Format": "mp4", "OssObjectPrefix": "r/{EscapedEndTime}"}, "InvalidOssObjectPrefix.Malformed"),
        ({"Format": "mp4", "OssObjectPrefix": long_prefix(TIMES, 256)}, "InvalidOssObjectPrefix.Malformed"),
        (M3U8 | {"SliceOssObjectPrefix": "r/{UnixTimestamp}"}, "InvalidSliceOssObjectPrefix.Malformed"),
        (M3U8 | {"SliceOssObjectPrefix": "r/{Sequence}"}, "InvalidSliceOssObjectPrefix.Malformed"),
        (M3U8 | {"SliceOssObjectPrefix": long_prefix(COUNTED, 256)}, "InvalidSliceOssObjectPrefix.Malformed"),
    ],
    ids=["no-end", "no-start", "too-long", "slice-no-sequence", "slice-no-time", "slice-too-long"],
)
def test_17_prefix_rules(stage, group, code):
    with pytest.raises(ApiError) as error:
        stage.rule(group)
    assert (error.value.status, error.value.code) == (400, code)
    assert stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["TotalNum"] == 0


def test_17_longest_prefixes_are_kept(stage):
    group = M3U8 | {"OssObjectPrefix": long_prefix(TIMES, 255), "SliceOssObjectPrefix": long_prefix(COUNTED, 255)}
    stage.rule(group, DelayTime=15)
    stage.push(6)
    stage.advance(16)
    wait_for(lambda: stage.bucket.keys(".m3u8"), what="the playlist")
    assert endings(stage) == {"m3u8"}
    assert all(key.startswith("r/xxx") for key in stage.bucket.keys())
