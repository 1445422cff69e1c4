"""Every example request of the manual's recording chapter (section 1 of the behaviour document), sent as it is printed.

The examples leave out prefixes, OnDemand and the target of an index file where the manual does; a test adds only
what the text of the same section demands.
"""

from datetime import timedelta

import pytest

from harness.api import ApiError
from harness.stage import ENDPOINT, wire

YES = {"ApiVersion": "1.0", "NeedRecord": True}
NO = {"ApiVersion": "1.0", "NeedRecord": False}


def example_a(stage) -> dict:
    """Example A: all streams of one app, M3U8."""
    return {
        "AppName": "liveApp",
        "DomainName": stage.domain,
        "OssBucket": stage.bucket.name,
        "OssEndpoint": ENDPOINT,
        "RecordFormat.1.Format": "m3u8",
    }


def example_b(stage) -> dict:
    """Example B: as A, and MP4 cut every half hour."""
    return example_a(stage) | {"RecordFormat.2.Format": "mp4", "RecordFormat.2.CycleDuration": 1800}


def stored(stage) -> list[dict]:
    """The rules of the domain."""
    return stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["LiveAppRecordList"]["LiveAppRecord"]


def command(stage, name: str) -> dict:
    """The RealTimeRecordCommand example."""
    return stage.api.call("RealTimeRecordCommand", AppName="liveApp", DomainName=stage.domain, StreamName="liveStream", Command=name)


def test_1_2_example_a(stage):
    stage.api.call("AddLiveAppRecordConfig", **example_a(stage))
    stage.notify()
    stage.push(40, "liveStream", app="liveApp")
    stage.advance(181)
    (event,) = stage.wait_files(1)
    assert event["uri"].startswith("record/liveApp/liveStream/") and event["uri"].endswith(".m3u8")
    assert event["duration"] == pytest.approx(40, abs=0.5)
    assert [segment.duration for segment in stage.playlist(event["uri"]).segments] == pytest.approx([30, 10], abs=0.1)


def test_1_2_example_b(stage):
    stage.api.call("AddLiveAppRecordConfig", **example_b(stage))
    (rule,) = stored(stage)
    m3u8, mp4 = rule["RecordFormatList"]["RecordFormat"]
    assert (m3u8["Format"], m3u8["CycleDuration"]) == ("m3u8", 21600)
    assert (mp4["Format"], mp4["CycleDuration"]) == ("mp4", 1800)
    stage.notify()
    stage.push(3600, "liveStream", app="liveApp", clip="one_per_second")
    stage.advance(181)
    mp4s = stage.wait_files(2, ".mp4")
    assert [event["duration"] for event in mp4s] == pytest.approx([1800, 1800], abs=31)
    assert stage.wait_files(1, ".m3u8")[0]["duration"] == pytest.approx(3600, abs=1.1)


def test_1_2_example_c(stage):
    """The manual's own window is long past: it is kept as given and records nothing."""
    window = {"StartTime": "2019-02-15T01:00:00Z", "EndTime": "2019-02-15T13:00:00Z"}
    stage.api.call("AddLiveAppRecordConfig", **example_b(stage), StreamName="liveStream", **window)
    (rule,) = stored(stage)
    assert (rule["StreamName"], rule["StartTime"], rule["EndTime"]) == ("liveStream", window["StartTime"], window["EndTime"])
    stage.push(10, "liveStream", app="liveApp")
    stage.advance(181)
    assert stage.bucket.keys() == []


def test_1_2_example_c_inside_its_window(own_stage):
    stage = own_stage("--clock-start", "2019-02-15T01:00:30Z")
    window = {"StartTime": "2019-02-15T01:00:00Z", "EndTime": "2019-02-15T13:00:00Z"}
    stage.api.call("AddLiveAppRecordConfig", **example_b(stage), StreamName="liveStream", **window)
    stage.notify()
    stage.push(10, "liveStream", app="liveApp")
    stage.advance(181)
    uris = sorted(event["uri"] for event in stage.wait_files(2))
    assert all("/2019-02-15-09-0" in uri for uri in uris)


@pytest.mark.parametrize("answer", [YES, NO], ids=["yes", "no"])
def test_1_3_on_demand(stage, answer):
    stage.questions.say(answer)
    stage.api.call("AddLiveAppRecordConfig", **example_a(stage), OnDemand=1)
    stage.api.call("AddLiveRecordNotifyConfig", DomainName=stage.domain, OnDemandUrl=stage.questions.url)
    stage.push(10, "liveStream", app="liveApp", metadata={"videodatarate": 2000.0})
    stage.advance(181)
    (question,) = stage.questions.requests
    assert question.query == f"app=liveApp&domain={stage.domain}&stream=liveStream&vbitrate=2000&codec=h264"
    assert len(stage.bucket.keys(".m3u8")) == (1 if answer["NeedRecord"] else 0)


def test_1_4_manual(stage):
    stage.api.call("AddLiveAppRecordConfig", **example_a(stage), OnDemand=7)
    stage.notify()
    with pytest.raises(ApiError) as error:
        command(stage, "start")
    assert error.value.code in ("StreamNotFound", "InvalidStream.NotFound")
    publisher = stage.publisher("liveStream", app="liveApp")
    publisher.push(6)
    assert stage.bucket.keys() == []
    command(stage, "start")
    publisher.push(20)
    command(stage, "stop")
    publisher.push(6)
    stage.end(publisher)
    stage.advance(181)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(20, abs=2.1)


def test_1_5_example_1_file_callback(stage):
    stage.api.call("AddLiveRecordNotifyConfig", DomainName=stage.domain, NotifyUrl=stage.inbox.url)
    template = "live/teststream/{Sequence}_{StartTime}_{EndTime}"
    stage.rule({"Format": "flv", "OssObjectPrefix": template})
    stage.push(10, "teststream")
    stage.advance(181)
    (event,) = stage.wait_files(1)
    assert (event["domain"], event["app"], event["stream"]) == (stage.domain, "live", "teststream")
    assert event["uri"].startswith("live/teststream/0_20") and event["uri"].endswith(".flv")
    assert stage.inbox.requests[0].headers["user-agent"] == "Go-http-client/1.1"


def test_1_5_example_2_spans(stage):
    stage.api.call("AddLiveAppRecordConfig", **example_a(stage))
    began = stage.now()
    publisher = stage.publisher("liveStream", app="liveApp")
    stage.live(publisher, 30)
    stage.end(publisher)
    stage.advance(181)
    names = {"AppName": "liveApp", "DomainName": stage.domain, "StreamName": "liveStream"}
    window = {"StartTime": wire(began - timedelta(hours=1)), "EndTime": wire(began + timedelta(hours=11))}
    (span,) = stage.api.call("DescribeLiveStreamRecordContent", **names, **window)["RecordContentInfoList"]["RecordContentInfo"]
    assert span["Duration"] == pytest.approx(30, abs=1)
    past = {"StartTime": "2019-02-15T01:00:00Z", "EndTime": "2019-02-15T13:00:00Z"}
    empty = stage.api.call("DescribeLiveStreamRecordContent", **names, **past)
    assert empty["RecordContentInfoList"]["RecordContentInfo"] == []


def test_1_5_example_3_index_of_an_hour(stage):
    stage.api.call("AddLiveAppRecordConfig", **example_a(stage))
    began = stage.now()
    publisher = stage.publisher("liveStream", app="liveApp")
    stage.live(publisher, 62)
    stage.end(publisher)
    stage.advance(181)
    names = {"AppName": "liveApp", "DomainName": stage.domain, "StreamName": "liveStream"}
    window = {"StartTime": wire(began), "EndTime": wire(began + timedelta(hours=1))}
    # As the manual has it: names and times alone.
    sample = stage.api.call("CreateLiveStreamRecordIndexFiles", **names, **window)["RecordInfo"]
    assert sample["OssBucket"] == stage.bucket.name and sample["OssObject"] in stage.bucket.keys(".m3u8")
    assert sample["Duration"] == pytest.approx(62, abs=1)
    target = {"OssEndpoint": ENDPOINT, "OssBucket": stage.bucket.name, "OssObject": "hour.m3u8"}
    info = stage.api.call("CreateLiveStreamRecordIndexFiles", **names, **window, **target)["RecordInfo"]
    assert info["Duration"] == pytest.approx(stage.playlist("hour.m3u8").duration, abs=0.01)
    assert info["Duration"] == pytest.approx(62, abs=1)
