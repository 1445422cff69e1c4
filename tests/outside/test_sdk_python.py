"""Both official Python SDKs drive every action of the recording family, and what they ask for really happens."""

from datetime import timedelta

import pytest

from harness.stage import ENDPOINT, wire
from sdks import Acs3, Core, SdkError

FORMATS = [
    {"Format": "m3u8", "SliceDuration": 5, "CycleDuration": 3600},
    {"Format": "mp4", "CycleDuration": 1800, "OssObjectPrefix": "mp4/{AppName}/{StreamName}/{EscapedStartTime}_{EscapedEndTime}"},
]


@pytest.fixture(params=[Acs3, Core], ids=lambda kind: kind.name)
def sdk(request, server):
    """One generation of the SDK, pointed at the server."""
    return request.param(server.api)


@pytest.fixture
def rule(stage):
    """The parameters of a rule for live/* of the stage's domain."""
    return {
        "DomainName": stage.domain,
        "AppName": "live",
        "OssBucket": stage.bucket.name,
        "OssEndpoint": ENDPOINT,
        "DelayTime": 15,
        "RecordFormat": FORMATS,
    }


@pytest.fixture
def stream(stage):
    """The parameters that name the stage's stream."""
    return {"DomainName": stage.domain, "AppName": "live", "StreamName": "s1"}


def rules(sdk, stage) -> list[dict]:
    """The rules of the stage's domain."""
    return sdk.call("DescribeLiveRecordConfig", DomainName=stage.domain)["LiveAppRecordList"].get("LiveAppRecord", [])


def window(stage, since) -> dict:
    """A query window around everything the test did."""
    return {"StartTime": wire(since - timedelta(minutes=5)), "EndTime": wire(stage.now() + timedelta(minutes=5))}


def test_record_config(sdk, stage, rule):
    assert sdk.call("AddLiveAppRecordConfig", **rule)["RequestId"]
    (made,) = rules(sdk, stage)
    assert (made["DomainName"], made["AppName"], made["OssBucket"], made["DelayTime"]) == (stage.domain, "live", stage.bucket.name, 15)
    assert made["OnDemond"] == 0
    m3u8, mp4 = made["RecordFormatList"]["RecordFormat"]
    assert (m3u8["Format"], m3u8["SliceDuration"], m3u8["CycleDuration"]) == ("m3u8", 5, 3600)
    assert (mp4["Format"], mp4["CycleDuration"], mp4["OssObjectPrefix"]) == ("mp4", 1800, FORMATS[1]["OssObjectPrefix"])
    with pytest.raises(SdkError) as error:
        sdk.call("AddLiveAppRecordConfig", **rule)
    assert (error.value.status, error.value.code) == (400, "ConfigAlreadyExists")
    sdk.call("UpdateLiveAppRecordConfig", **rule | {"DelayTime": 60, "RecordFormat": [{"Format": "flv", "CycleDuration": 900}]})
    (changed,) = rules(sdk, stage)
    assert changed["DelayTime"] == 60
    assert [(group["Format"], group["CycleDuration"]) for group in changed["RecordFormatList"]["RecordFormat"]] == [("flv", 900)]
    sdk.call("DeleteLiveAppRecordConfig", DomainName=stage.domain, AppName="live")
    assert rules(sdk, stage) == []
    stage.push(4)
    stage.advance(200)
    assert stage.bucket.keys() == []


def test_record_config_with_stream_and_paging(sdk, stage, rule):
    for number in range(7):
        sdk.call("AddLiveAppRecordConfig", **rule | {"StreamName": f"s{number}", "OnDemand": 7})
    page = sdk.call("DescribeLiveRecordConfig", DomainName=stage.domain, PageNum=2, PageSize=5)
    assert (page["TotalNum"], page["TotalPage"], page["PageNum"], page["PageSize"]) == (7, 2, 2, 5)
    assert [row["StreamName"] for row in page["LiveAppRecordList"]["LiveAppRecord"]] == ["s5", "s6"]
    assert page["LiveAppRecordList"]["LiveAppRecord"][0]["OnDemond"] == 7
    one = sdk.call("DescribeLiveRecordConfig", DomainName=stage.domain, AppName="live", StreamName="s3")
    assert [row["StreamName"] for row in one["LiveAppRecordList"]["LiveAppRecord"]] == ["s3"]


def test_notify_config(sdk, stage, rule):
    sdk.call("AddLiveAppRecordConfig", **rule)
    config = {"DomainName": stage.domain, "NotifyUrl": "http://127.0.0.1:9/nobody", "OnDemandUrl": stage.questions.url}
    sdk.call("AddLiveRecordNotifyConfig", **config | {"NeedStatusNotify": True})
    made = sdk.call("DescribeLiveRecordNotifyConfig", DomainName=stage.domain)["LiveRecordNotifyConfig"]
    assert made["NotifyUrl"] == config["NotifyUrl"] and made["OnDemandUrl"] == config["OnDemandUrl"]
    assert made["NeedStatusNotify"] is True
    with pytest.raises(SdkError) as error:
        sdk.call("AddLiveRecordNotifyConfig", **config)
    assert (error.value.status, error.value.code) == (400, "ConfigAlreadyExists")
    sdk.call("UpdateLiveRecordNotifyConfig", DomainName=stage.domain, NotifyUrl=stage.inbox.url, NeedStatusNotify=False)
    stage.push(6)
    stage.advance(16)
    assert len(stage.wait_files(2)) == 2 and stage.inbox.events() == []
    sdk.call("DeleteLiveRecordNotifyConfig", DomainName=stage.domain)
    for action in ("DescribeLiveRecordNotifyConfig", "DeleteLiveRecordNotifyConfig"):
        with pytest.raises(SdkError) as error:
            sdk.call(action, DomainName=stage.domain)
        assert (error.value.status, error.value.code) == (404, "InvalidConfig.NotFound")


def test_notify_records(sdk, stage, rule):
    since = stage.now()
    sdk.call("AddLiveAppRecordConfig", **rule)
    sdk.call("AddLiveRecordNotifyConfig", DomainName=stage.domain, NotifyUrl=stage.inbox.url, NeedStatusNotify=True)
    stage.push(6)
    stage.advance(16)
    stage.wait_files(2)
    found = sdk.call("DescribeLiveRecordNotifyRecords", DomainName=stage.domain, PageNumber=1, PageSize=50, **window(stage, since))
    kinds = sorted(row["NotifyType"] for row in found["CallbackList"])
    assert kinds == ["file_created", "file_created", "record_paused", "record_started"]
    assert {row["NotifyResult"] for row in found["CallbackList"]} == {"success"}
    assert (found["TotalNum"], found["Code"], found["Msg"]) == (4, 0, "ok")
    contents = {row["NotifyContent"] for row in found["CallbackList"]}
    assert contents == {request.body.decode() for request in stage.inbox.requests}


def test_real_time_record_command(sdk, stage, rule, stream):
    sdk.call("AddLiveAppRecordConfig", **rule | {"OnDemand": 7})
    sdk.call("AddLiveRecordNotifyConfig", DomainName=stage.domain, NotifyUrl=stage.inbox.url)
    publisher = stage.publisher()
    publisher.push(4)
    sdk.call("RealTimeRecordCommand", **stream, Command="start")
    with pytest.raises(SdkError) as error:
        sdk.call("RealTimeRecordCommand", **stream, Command="start")
    assert (error.value.status, error.value.code) == (409, "TaskAlreadyStarted")
    publisher.push(10)
    sdk.call("RealTimeRecordCommand", **stream, Command="restart")
    first = stage.wait_files(1, ".mp4")[0]
    assert first["duration"] == pytest.approx(10, abs=2.1)
    publisher.push(10)
    sdk.call("RealTimeRecordCommand", **stream, Command="stop")
    sdk.call("RealTimeRecordCommand", **stream, Command="cancel_delay")
    second = stage.wait_files(2, ".mp4")[1]
    assert second["duration"] == pytest.approx(10, abs=2.1)


def test_content_and_index_files(sdk, stage, rule, stream):
    since = stage.now()
    sdk.call("AddLiveAppRecordConfig", **rule)
    publisher = stage.publisher()
    stage.live(publisher, 24)
    stage.end(publisher)
    stage.advance(16)
    (automatic,) = stage.wait_keys(1, ".m3u8")
    spans = sdk.call("DescribeLiveStreamRecordContent", **stream, **window(stage, since))["RecordContentInfoList"]["RecordContentInfo"]
    assert len(spans) == 1 and spans[0]["OssBucket"] == stage.bucket.name
    assert spans[0]["Duration"] == pytest.approx(24, abs=1)
    made = sdk.call(
        "CreateLiveStreamRecordIndexFiles",
        **stream,
        **window(stage, since),
        OssBucket=stage.bucket.name,
        OssEndpoint=ENDPOINT,
        OssObject="index/made.m3u8",
    )["RecordInfo"]
    assert made["Duration"] == pytest.approx(stage.playlist("index/made.m3u8").duration, abs=0.01)
    listed = sdk.call("DescribeLiveStreamRecordIndexFiles", **stream, **window(stage, since), PageNum=1, PageSize=5, Order="asc")
    rows = [row for row in listed["RecordIndexInfoList"]["RecordIndexInfo"] if row["OssObject"].endswith(".m3u8")]
    assert [row["OssObject"] for row in rows] == [automatic, "index/made.m3u8"]
    one = sdk.call("DescribeLiveStreamRecordIndexFile", **stream, RecordId=made["RecordId"])["RecordIndexInfo"]
    assert (one["RecordId"], one["OssObject"]) == (made["RecordId"], "index/made.m3u8")
    kept = [row for row in rows if row["OssObject"] == automatic][0]["RecordId"]
    gone = sdk.call("DeleteLiveStreamRecordIndexFiles", **stream, RecordId=[made["RecordId"]], RemoveFile="true")
    assert [item["Message"] for item in gone["RecordDeleteInfoList"]["RecordDeleteInfo"]] == ["OK"]
    assert "index/made.m3u8" not in stage.bucket.keys()
    sdk.call("DeleteLiveStreamRecordIndexFiles", **stream, RecordId=[kept], RemoveFile="false")
    assert automatic in stage.bucket.keys()
    left = sdk.call("DescribeLiveStreamRecordIndexFiles", **stream, **window(stage, since))
    ids = {row["RecordId"] for row in left["RecordIndexInfoList"].get("RecordIndexInfo", [])}
    assert not ids & {made["RecordId"], kept}


@pytest.mark.parametrize("kind", [Acs3, Core], ids=lambda kind: kind.name)
def test_wrong_secret_and_unknown_key(server, kind):
    with pytest.raises(SdkError) as error:
        kind(server.api, "testid", "wrong").call("DescribeLiveRecordConfig", DomainName="a.example.com")
    # The older SDK renames the code when the server's string to sign equals its own, which is the proof that it does.
    assert error.value.code in ("SignatureDoesNotMatch", "InvalidAccessKeySecret") and error.value.status == 400
    if kind is Core:
        assert error.value.code == "InvalidAccessKeySecret"
    with pytest.raises(SdkError) as error:
        kind(server.api, "nobody", "testsecret").call("DescribeLiveRecordConfig", DomainName="a.example.com")
    assert error.value.code == "InvalidAccessKeyId.NotFound" and error.value.status == 404
