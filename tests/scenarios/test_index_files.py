"""Index files and the record of what was recorded: scenarios 38 to 42."""

from datetime import datetime, timedelta

import pytest

from harness.api import ApiError
from harness.bucket import Bucket
from harness.playlist import parse
from harness.stage import ENDPOINT, wire

M3U8 = {"Format": "m3u8", "SliceDuration": 5}


def index(stage, start: datetime, end: datetime, *, stream: str = "s1", bucket: str | None = None, name: str = "clip.m3u8", **more) -> dict:
    """CreateLiveStreamRecordIndexFiles; gives RecordInfo."""
    return stage.api.call(
        "CreateLiveStreamRecordIndexFiles",
        DomainName=stage.domain,
        AppName="live",
        StreamName=stream,
        OssEndpoint=ENDPOINT,
        OssBucket=bucket or stage.bucket.name,
        OssObject=name,
        StartTime=wire(start),
        EndTime=wire(end),
        **more,
    )["RecordInfo"]


def span(stage, since: datetime) -> dict:
    """The query window of the describing calls."""
    names = {"DomainName": stage.domain, "AppName": "live", "StreamName": "s1"}
    return names | {"StartTime": wire(since - timedelta(minutes=5)), "EndTime": wire(stage.now() + timedelta(minutes=5))}


def recorded(stage, seconds: float) -> datetime:
    """Records `seconds` of a live stream to its end and gives the instant of its beginning."""
    began = stage.now()
    publisher = stage.publisher()
    stage.live(publisher, seconds)
    stage.end(publisher)
    stage.advance(16)
    return began


def test_38_while_live(stage):
    stage.rule(M3U8, DelayTime=15)
    began = stage.now()
    publisher = stage.publisher()
    stage.live(publisher, 60, step=1)
    before = stage.bucket.keys(".ts")
    window = began + timedelta(seconds=10), began + timedelta(seconds=40)
    info = index(stage, *window, name="clips/{AppName}/{StreamName}/plain.m3u8")
    assert info["OssObject"] == "clips/live/s1/plain.m3u8"
    playlist = stage.playlist(info["OssObject"])
    assert 25 - 1 <= info["Duration"] <= 35 + 1
    assert info["Duration"] == pytest.approx(playlist.duration, abs=0.01)
    assert playlist.ended and set(playlist.keys()) <= set(before)
    assert (info["Width"], info["Height"]) == (320, 180)
    assert info["RecordUrl"] == f"http://{stage.bucket.name}.{ENDPOINT}/{info['OssObject']}"
    more = index(stage, *window, name="clips/more.m3u8", EndTimeIncluded=True)
    longer = stage.playlist(more["OssObject"])
    assert longer.keys()[: len(playlist.keys())] == playlist.keys()
    assert len(longer.segments) == len(playlist.segments) + 1
    assert stage.bucket.keys(".ts") == before
    assert stage.server.is_live(stage.domain, "live", "s1")


def test_39_order_and_span(stage):
    stage.rule(M3U8, DelayTime=15)
    began = recorded(stage, 20)
    for start, end in (
        (began, began),
        (began + timedelta(seconds=10), began),
        (began - timedelta(days=4, seconds=1) + timedelta(seconds=60), began + timedelta(seconds=60)),
    ):
        with pytest.raises(ApiError) as error:
            index(stage, start, end)
        assert (error.value.status, error.value.code) == (400, "InvalidEndTime.Mismatch")
    assert stage.bucket.keys("clip.m3u8") == []


def test_39_nothing_to_list(stage):
    stage.rule(M3U8, DelayTime=15)
    began = recorded(stage, 20)
    cases = [
        ("nobody", began, began + timedelta(seconds=60), "InvalidStream.NotFound"),
        ("s1", began - timedelta(hours=2), began - timedelta(hours=1), "NoRecordContent"),
        ("s1", began - timedelta(days=120), began - timedelta(days=119), "NoRecordContent"),
    ]
    for stream, start, end, code in cases:
        with pytest.raises(ApiError) as error:
            index(stage, start, end, stream=stream)
        assert (error.value.status, error.value.code) == (400, code)
    assert stage.bucket.keys("clip.m3u8") == []


def test_39_pushed_and_not_recorded(stage):
    """The stream is known, so that what lacks is its content."""
    began = recorded(stage, 10)
    with pytest.raises(ApiError) as error:
        index(stage, began, began + timedelta(seconds=60))
    assert (error.value.status, error.value.code) == (400, "NoRecordContent")
    assert stage.bucket.keys("clip.m3u8") == []


def test_39_malformed(stage):
    stage.rule(M3U8, DelayTime=15)
    began = recorded(stage, 10)
    good = {"DomainName": stage.domain, "AppName": "live", "StreamName": "s1", "OssEndpoint": ENDPOINT, "OssBucket": stage.bucket.name}
    good |= {"OssObject": "clip.m3u8", "StartTime": wire(began), "EndTime": wire(began + timedelta(seconds=60))}
    for name, value, code in (
        ("StartTime", "yesterday", "InvalidStartTime.Malformed"),
        ("EndTime", "2026-13-01T00:00:00Z", "InvalidEndTime.Malformed"),
        ("OssBucket", "Not_A_Bucket", "InvalidOssBucket.Malformed"),
        ("OssObject", "/" + "x" * 2000, "InvalidOssObject.Malformed"),
    ):
        status, body = stage.api.ask("CreateLiveStreamRecordIndexFiles", **good | {name: value})
        assert (status, body["Code"]) == (400, code)


def test_39_bucket_changed(stage):
    stage.rule(M3U8, DelayTime=15)
    began = recorded(stage, 10)
    other = Bucket(stage.s3, f"{stage.bucket.name}-2")
    other.create()
    stage.api.call("DeleteLiveAppRecordConfig", DomainName=stage.domain, AppName="live")
    stage.api.call("AddLiveAppRecordConfig", **stage.rule_parameters([M3U8]) | {"OssBucket": other.name, "DelayTime": 15})
    recorded(stage, 10)
    assert other.keys(".ts")
    with pytest.raises(ApiError) as error:
        index(stage, began, stage.now())
    assert (error.value.status, error.value.code) == (400, "InvalidConfig.Changed")


def test_40_two_buckets(stage):
    stage.rule(M3U8, DelayTime=15)
    began = recorded(stage, 20)
    other = Bucket(stage.s3, f"{stage.bucket.name}-index")
    other.create()
    window = began, stage.now()
    index(stage, *window, bucket=other.name, name="far.m3u8")
    base = f"http://{stage.bucket.name}.{ENDPOINT}/"
    absolute = [segment.uri for segment in parse("far.m3u8", other.get("far.m3u8")).segments]
    assert absolute and all(uri.startswith(base) for uri in absolute)
    assert {uri.removeprefix(base) for uri in absolute} <= set(stage.bucket.keys(".ts"))
    index(stage, *window, name="record/live/near.m3u8")
    near = stage.playlist("record/live/near.m3u8")
    assert all("://" not in segment.uri for segment in near.segments)
    assert set(near.keys()) == {uri.removeprefix(base) for uri in absolute}


def test_41_listing(stage):
    stage.rule(M3U8, DelayTime=15)
    began = recorded(stage, 20)
    made = index(stage, began, stage.now(), name="made.m3u8")
    listed = stage.api.call("DescribeLiveStreamRecordIndexFiles", **span(stage, began))
    rows = listed["RecordIndexInfoList"]["RecordIndexInfo"]
    assert (listed["TotalNum"], listed["PageNum"], listed["PageSize"], listed["Order"]) == (2, 1, 10, "asc")
    (automatic,) = [key for key in stage.bucket.keys(".m3u8") if key != "made.m3u8"]
    assert [row["OssObject"] for row in rows] == [automatic, "made.m3u8"]
    assert all(row["RecordUrl"] == f"http://{stage.bucket.name}.{ENDPOINT}/{row['OssObject']}" for row in rows)
    one = stage.api.call("DescribeLiveStreamRecordIndexFile", DomainName=stage.domain, AppName="live", StreamName="s1", RecordId=made["RecordId"])
    assert one["RecordIndexInfo"]["OssObject"] == "made.m3u8"
    newest = stage.api.call("DescribeLiveStreamRecordIndexFiles", **span(stage, began), Order="desc")
    assert newest["RecordIndexInfoList"]["RecordIndexInfo"][0]["OssObject"] == "made.m3u8"
    for size in (4, 31):
        status, body = stage.api.ask("DescribeLiveStreamRecordIndexFiles", **span(stage, began), PageSize=size)
        assert status == 400 and "PageSize" in body["Code"] + body["Message"]


def test_42_content(stage):
    stage.rule(M3U8, DelayTime=15)
    began = recorded(stage, 30)
    recorded(stage, 40)
    found = stage.api.call("DescribeLiveStreamRecordContent", **span(stage, began))
    first, second = found["RecordContentInfoList"]["RecordContentInfo"]
    for row, seconds in ((first, 30), (second, 40)):
        start, end = (datetime.fromisoformat(row[name].replace("Z", "+00:00")) for name in ("StartTime", "EndTime"))
        assert row["Duration"] == pytest.approx((end - start).total_seconds(), abs=1)
        assert row["Duration"] == pytest.approx(seconds, abs=1)
        assert row["OssBucket"] == stage.bucket.name and row["OssEndpoint"] == ENDPOINT
        assert "{UnixTimestamp}" in row["OssObjectPrefix"] and "{Sequence}" in row["OssObjectPrefix"]
    assert first["EndTime"] < second["StartTime"]
