"""Automatic recording: scenarios 1 to 12, and 48 (nothing of anybody else's in the bucket is touched)."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from harness import probe
from harness.api import ApiError
from harness.clip import read_tags
from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}
ZONE = timedelta(hours=8)
NAME_TIME = "%Y-%m-%d-%H-%M-%S"


def name_time(unix: int, layout: str = NAME_TIME) -> str:
    """An instant as object names carry it: UTC+8."""
    return (datetime.fromtimestamp(unix, UTC) + ZONE).strftime(layout)


def slice_number(key: str) -> int:
    """The {Sequence} at the end of a slice key."""
    return int(key.rsplit("_", 1)[1].removesuffix(".ts"))


def test_01_m3u8_happy_path(stage):
    stage.rule(M3U8, DelayTime=15)
    stage.notify()
    publisher = stage.publisher()
    publisher.push(25)
    wait_for(lambda: len(stage.bucket.keys(".ts")) >= 3, what="three slices while live")
    assert all(key.startswith("record/live/s1/") for key in stage.bucket.keys())
    assert stage.bucket.keys(".m3u8") == []
    publisher.push(7)
    stage.end(publisher)
    stage.advance(14)
    assert stage.bucket.keys(".m3u8") == [] and stage.inbox.files() == []
    stage.advance(6)
    (event,) = stage.wait_files(1)
    (key,) = stage.wait_keys(1, ".m3u8")
    assert event["uri"] == key
    playlist = stage.playlist(key)
    assert playlist.ended
    assert playlist.duration == pytest.approx(32, abs=0.5)
    assert event["duration"] == pytest.approx(32, abs=0.5)
    assert sorted(playlist.keys()) == stage.bucket.keys(".ts")


@pytest.mark.parametrize(
    ("template", "layout"),
    [(None, NAME_TIME), ("record/{AppName}/{StreamName}/{StartTime}_{EndTime}", "%Y-%m-%d-%H:%M:%S")],
    ids=["escaped", "colons"],
)
def test_02_names_and_zone(own_stage, template, layout):
    stage = own_stage("--clock-start", "2026-03-01T02:00:00Z")
    stage.rule(M3U8 | ({"OssObjectPrefix": template} if template else {}), DelayTime=15)
    stage.notify()
    stage.push(95)
    stage.advance(20)
    (event,) = stage.wait_files(1)
    start, stop = event["start_time"], event["stop_time"]
    assert 1772330400 <= start <= 1772330402
    assert stop - start == pytest.approx(95, abs=1)
    assert event["uri"] == f"record/live/s1/{name_time(start, layout)}_{name_time(stop, layout)}.m3u8"
    assert event["uri"].startswith("record/live/s1/2026-03-01-10")
    assert stage.bucket.keys(".m3u8") == [event["uri"]]


def test_03_slice_names(stage):
    stage.rule(M3U8, DelayTime=15)
    stage.notify()
    stage.push(32)
    stage.advance(16)
    stage.wait_files(1)
    first = stage.bucket.keys(".ts")
    stage.push(14)
    stage.advance(16)
    files = stage.wait_files(2)
    keys = stage.bucket.keys(".ts")
    assert all(re.fullmatch(r"record/live/s1/\d{10}_\d+\.ts", key) for key in keys)
    numbers = sorted(slice_number(key) for key in keys)
    assert numbers == list(range(numbers[0], numbers[0] + len(keys)))
    second = set(keys) - set(first)
    assert min(slice_number(key) for key in second) == max(slice_number(key) for key in first) + 1
    for event in files:
        order = [slice_number(key) for key in stage.playlist(event["uri"]).keys()]
        assert order == sorted(order)


def test_04_keyframe_cut(stage):
    stage.rule(M3U8, DelayTime=15)
    stage.notify()
    stage.push(44, clip="keyframe4s")
    stage.advance(16)
    (event,) = stage.wait_files(1)
    playlist = stage.playlist(event["uri"])
    *whole, last = playlist.segments
    assert len(whole) == 5
    assert [segment.duration for segment in whole] == pytest.approx([8.0] * 5, abs=0.05)
    assert last.duration == pytest.approx(4, abs=0.1)
    assert playlist.target == 8
    assert all(probe.starts_with_key(stage.fetch(key)) for key in playlist.keys())


def test_05_two_formats_two_cycles(stage):
    mp4 = {"Format": "mp4", "CycleDuration": 20, "OssObjectPrefix": "record/{AppName}/{StreamName}/{Sequence}_{EscapedStartTime}_{EscapedEndTime}"}
    stage.rule(M3U8 | {"CycleDuration": 3600}, mp4, DelayTime=15)
    stage.notify()
    stage.push(50)
    stage.advance(16)
    files = stage.wait_files(4)
    (listing,) = [event for event in files if event["uri"].endswith(".m3u8")]
    assert listing["duration"] == pytest.approx(50, abs=0.5)
    parts = sorted((event for event in files if event["uri"].endswith(".mp4")), key=lambda event: event["start_time"])
    assert [event["duration"] for event in parts] == pytest.approx([20, 20, 10], abs=2.1)
    assert sum(event["duration"] for event in parts) == pytest.approx(50, abs=0.5)
    assert [event["uri"].split("/")[-1].split("_")[0] for event in parts] == ["0", "1", "2"]
    wanted = {event["uri"] for event in files} | set(stage.playlist(listing["uri"]).keys())
    assert set(stage.bucket.keys()) == wanted
    for event in parts:
        assert probe.duration(stage.fetch(event["uri"])) == pytest.approx(event["duration"], abs=0.1)


@pytest.mark.parametrize("clip", ["h264_aac", "h264_bframes_aac", "h264_mp3", "hevc_id12", "hevc_enhanced"])
def test_06_mp4_only(stage, clip):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    publisher = stage.push(20, clip=clip)
    stage.advance(14)
    assert stage.bucket.keys() == [] and stage.inbox.files() == []
    stage.advance(2)
    (event,) = stage.wait_files(1)
    assert stage.bucket.keys() == [event["uri"]]
    file = stage.fetch(event["uri"])
    assert event["uri"].endswith(".mp4")
    assert probe.duration(file) == pytest.approx(20, abs=0.2)
    sent = [tag for tag in publisher.sent if tag not in publisher.clip.headers]
    for kind, number in (("v", 9), ("a", 8)):
        assert len(probe.packets(file, kind)) == sum(tag.kind == number for tag in sent)
    if clip.startswith("h264"):
        source = stage.folder / "sent.flv"
        source.write_bytes(publisher.sent_flv())
        assert probe.payloads(file, "v") == probe.payloads(source, "v")
        assert probe.payloads(file, "a") == probe.payloads(source, "a")
    probe.decodes(file)


def test_07_flv_only(stage):
    stage.rule("flv", DelayTime=15)
    stage.notify()
    publisher = stage.push(20)
    stage.advance(14)
    assert stage.bucket.keys() == [] and stage.inbox.files() == []
    stage.advance(2)
    (event,) = stage.wait_files(1)
    assert event["uri"].endswith(".flv") and stage.bucket.keys() == [event["uri"]]
    file = stage.fetch(event["uri"])
    data = file.read_bytes()
    tags = list(read_tags(data))
    assert tags[0].kind == 18 and b"duration" in tags[0].body
    assert sorted((tag.kind, tag.body[1]) for tag in tags[1:3]) == [(8, 0), (9, 0)]
    assert probe.duration(file) == pytest.approx(20, abs=0.2)
    source = stage.folder / "sent.flv"
    source.write_bytes(publisher.sent_flv())
    assert probe.payloads(file, "v") == probe.payloads(source, "v")
    assert probe.payloads(file, "a") == probe.payloads(source, "a")


@pytest.mark.parametrize("how", ["leave", "drop", "reset"])
def test_08_short_drop_is_stitched(stage, how):
    stage.rule(M3U8, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    publisher.push(20)
    stage.end(publisher, how)
    stage.advance(10)
    stage.push(20)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(40, abs=1)
    assert event["stop_time"] - event["start_time"] == pytest.approx(50, abs=1)
    playlist = stage.playlist(event["uri"])
    assert playlist.duration == pytest.approx(40, abs=1)
    assert sum(segment.discontinuity for segment in playlist.segments) == 1
    assert stage.inbox.events() == ["record_started", "record_paused", "record_resumed", "record_paused"]
    assert len(stage.bucket.keys(".m3u8")) == 1


def test_09_long_drop_splits(stage):
    stage.rule(M3U8, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    stage.push(20)
    stage.advance(14)
    assert stage.inbox.files() == []
    stage.advance(4)
    first = stage.wait_files(1)[0]
    stage.advance(2)
    stage.push(20)
    stage.advance(16)
    _, second = stage.wait_files(2)
    assert first["duration"] == pytest.approx(20, abs=0.5)
    assert second["duration"] == pytest.approx(20, abs=0.5)
    assert second["start_time"] >= first["stop_time"]
    assert stage.inbox.events() == ["record_started", "record_paused", "record_started", "record_paused"]


def test_10_default_delay(stage):
    stage.rule(M3U8)
    stage.notify()
    stage.push(10)
    stage.advance(175)
    assert stage.inbox.files() == [] and stage.bucket.keys(".m3u8") == []
    stage.advance(15)
    stage.wait_files(1)
    stage.wait_keys(1, ".m3u8")


def test_11_delay_limits(stage):
    for refused in (14, 21601):
        with pytest.raises(ApiError) as error:
            stage.rule("mp4", stream="delay", DelayTime=refused)
        assert error.value.status == 400 and "DelayTime" in f"{error.value.code} {error.value.message}"
    for refused in (4, 31):
        with pytest.raises(ApiError) as error:
            stage.rule({"Format": "m3u8", "SliceDuration": refused}, stream="slice")
        assert error.value.status == 400 and "SliceDuration" in f"{error.value.code} {error.value.message}"
    stage.rule("mp4", stream="delay1", DelayTime=15)
    stage.rule("mp4", stream="delay2", DelayTime=21600)
    stage.rule({"Format": "m3u8", "SliceDuration": 5}, stream="slice1")
    stage.rule({"Format": "m3u8", "SliceDuration": 30}, stream="slice2")
    stage.rule({"Format": "mp4", "SliceDuration": 31}, stream="whole")
    listed = stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)
    names = [row["StreamName"] for row in listed["LiveAppRecordList"]["LiveAppRecord"]]
    assert sorted(names) == ["delay1", "delay2", "slice1", "slice2", "whole"]


def test_12_default_cycle(stage):
    """Six hours of media are pushed as fast as they go: one small picture a second."""
    stage.rule({"Format": "m3u8", "SliceDuration": 30}, DelayTime=15)
    stage.notify()
    stage.push(6 * 3600 + 600, clip="one_per_second")
    stage.advance(16)
    first, second = stage.wait_files(2)
    assert 21600 <= first["duration"] <= 21600 + 32
    assert first["duration"] + second["duration"] == pytest.approx(22200, abs=1)
    assert second["start_time"] == pytest.approx(first["stop_time"], abs=1)


def test_48_never_touch(stage):
    """Every way to make a file, into a bucket where foreign objects stand under the same prefix."""
    stage.rule(M3U8 | {"CycleDuration": 20}, "mp4", {"Format": "flv", "CycleDuration": 20}, DelayTime=15)
    stage.notify()
    publisher = stage.publisher()
    publisher.push(30)
    stage.command("restart")
    publisher.push(10)
    stage.end(publisher, "drop")
    stage.advance(5)
    publisher = stage.publisher()
    publisher.push(10)
    stage.command("cancel_delay")
    stage.end(publisher)
    stage.advance(200)
    stage.push(5)
    stage.advance(16)
    wait_for(lambda: len(stage.inbox.files(".mp4")) >= 3, what="an MP4 of each part")
    events = {event["uri"] for event in stage.inbox.files()}
    assert events <= set(stage.bucket.keys())
    stage.bucket.check_foreign()
