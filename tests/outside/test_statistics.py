"""The statistics actions tell what was really pushed and played: the official Python SDKs, known clips, an advanced clock."""

import signal
import socket
import urllib.error
import urllib.request
import uuid
from datetime import timedelta
from fractions import Fraction

import pytest

from harness.clip import AUDIO, VIDEO
from harness.notes import noted
from harness.server import Server
from harness.stage import Stage, wire
from harness.wait import wait_for
from sdks import Acs3, Core, SdkError


@pytest.fixture(params=[Acs3, Core], ids=lambda kind: kind.name)
def sdk(request, server):
    """One generation of the SDK, pointed at the server."""
    return request.param(server.api)


def period(stage, since, later: float = 0) -> dict:
    """Everything since an instant, up to now."""
    return {"StartTime": wire(since), "EndTime": wire(stage.now() + timedelta(seconds=later + 1))}


def pushed_bytes(publisher) -> int:
    """What the media messages of a publisher held."""
    return sum(len(tag.body) for tag in publisher.sent)


def frame_rate(publisher, kind: int) -> float:
    """Frames a second by the timestamps of what was sent, which have a constant step."""
    headers = {tag.body for tag in publisher.clip.headers}
    stamps = [tag.timestamp for tag in publisher.sent if tag.kind == kind and tag.body not in headers]
    assert len(stamps) > 10
    return float(Fraction(1000 * (len(stamps) - 1), stamps[-1] - stamps[0]))


def total(points: list[dict], name: str) -> int:
    """The sum of a list of points."""
    return sum(int(point[name]) for point in points)


def test_what_was_pushed_is_counted(sdk, stage):
    """Bytes to the byte, frame rates to the frame, by either domain of the push and in every action that tells them."""
    ingest = f"push-{uuid.uuid4().hex[:8]}.example.com"
    sdk.call("AddLiveDomain", DomainName=stage.domain, LiveDomainType="liveVideo", Region="cn-shanghai")
    sdk.call("AddLiveDomain", DomainName=ingest, LiveDomainType="liveEdge", Region="cn-shanghai")
    sdk.call("AddLiveDomainMapping", PushDomain=ingest, PullDomain=stage.domain)
    since = stage.now()
    publisher = stage.push(20, vhost=ingest)
    stage.advance(120)
    sent = pushed_bytes(publisher)
    for domain in (ingest, stage.domain):
        traffic = sdk.call("DescribeLiveDomainPushTrafficData", DomainName=domain, **period(stage, since))
        assert total(traffic["TrafficDataPerInterval"]["DataModule"], "TrafficValue") == sent
        assert (traffic["DataInterval"], traffic["DomainName"]) == ("300", domain)
        bps = sdk.call("DescribeLiveDomainPushBpsData", DomainName=domain, **period(stage, since))
        assert sum(float(point["BpsValue"]) for point in bps["BpsDataPerInterval"]["DataModule"]) == pytest.approx(sent * 8 / 300)
    stream = {"DomainName": ingest, "AppName": "live", "StreamName": "s1"}
    detail = sdk.call("DescribeLiveStreamPushMetricDetailData", DomainName=ingest, **period(stage, since))
    rows = detail["StreamDetailData"]["StreamData"]
    assert sum(row["ReqTraffic"] for row in rows) == sent and {row["StreamName"] for row in rows} == {"s1"}
    rates = sdk.call("DescribeLiveStreamBitRateData", **stream, **period(stage, since))["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"]
    video, audio = frame_rate(publisher, VIDEO), frame_rate(publisher, AUDIO)
    for rate in rates:
        assert rate["VideoFrameRate"] == pytest.approx(video, abs=0.01)
        assert rate["AudioFrameRate"] == pytest.approx(audio, abs=0.05)
        assert rate["StreamUrl"] == f"rtmp://{ingest}/live/s1"
        # Within what the headers of the messages take.
        assert rate["BitRate"] == pytest.approx(sent * 8 / 20, rel=0.05)
    minute = rates[0]["Time"]
    (of_domain,) = sdk.call("DescribeLiveDomainFrameRateAndBitRateData", DomainName=ingest, QueryTime=minute)["FrameRateAndBitRateInfos"][
        "FrameRateAndBitRateInfo"
    ]
    assert (of_domain["VideoFrameRate"], of_domain["BitRate"]) == (rates[0]["VideoFrameRate"], rates[0]["BitRate"])
    details = sdk.call("DescribeLiveStreamDetailFrameRateAndBitRateData", **stream, **period(stage, since))["FrameRateAndBitRateInfos"]
    assert details[0]["VideoBitRate"] + details[0]["AudioBitRate"] == pytest.approx(rates[0]["BitRate"], abs=0.1)
    centre = sdk.call("DescribeLiveCenterStreamRateData", **stream, **period(stage, since))["RateDatas"]
    assert float(centre[0]["VideoFps"]) == rates[0]["VideoFrameRate"]
    peaks = sdk.call("DescribeUpPeakPublishStreamData", DomainName=ingest, DomainSwitch="on", **period(stage, since))
    (peak,) = peaks["DescribeUpPeakPublishStreamDatas"]["DescribeUpPeakPublishStreamData"]
    assert (peak["StatName"], peak["PublishStreamNum"]) == (ingest, 1)


def viewer(server, stage, path: str) -> socket.socket:
    """An HTTP player of the stage's domain, for as long as its socket is open."""
    host, _, port = server.ready["play"].removeprefix("http://").partition(":")
    player = socket.create_connection((host, int(port)), timeout=15)
    player.sendall(f"GET {path} HTTP/1.1\r\nHost: {stage.domain}\r\n\r\n".encode())
    return player


def read_all(player: socket.socket) -> bytes:
    """What a player gets until its stream ends."""
    data = b""
    while part := player.recv(65536):
        data += part
    player.close()
    return data


def dechunked(answer: bytes) -> bytes:
    """The body of a chunked answer."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    return body


def test_what_was_played_is_counted(sdk, server, stage):
    """Viewers while they are there, afterwards by the minute; bytes to the byte; statuses; visits and visitors."""
    domain = {"DomainName": stage.domain}
    online = "DescribeLiveDomainOnlineUserNum"
    since = stage.now()
    publisher = stage.publisher()
    publisher.push(4)
    players = [viewer(server, stage, "/live/s1.flv") for _ in range(3)]
    wait_for(lambda: sdk.call(online, **domain)["UserCount"] == 3, 10, "three viewers")
    (stream,) = sdk.call(online, **domain)["OnlineUserInfo"]["LiveStreamOnlineUserNumInfo"]
    assert (stream["StreamName"], stream["Infos"]["Info"][0]["UserNumber"]) == ("s1", 3)
    publisher.push(4)
    stage.end(publisher)
    answers = [read_all(player) for player in players]
    assert all(dechunked(answer) for answer in answers)
    # What goes over the wire behind the head, the chunks' own lines too.
    got = [len(answer.partition(b"\r\n\r\n")[2]) for answer in answers]
    wait_for(lambda: sdk.call(online, **domain)["UserCount"] == 0, 10, "no viewer")
    request = urllib.request.Request(f"{server.ready['play']}/live/none.flv", headers={"Host": stage.domain})
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(request, timeout=10)
    assert missing.value.code == 404
    stage.advance(120)
    traffic = sdk.call("DescribeLiveDomainTrafficData", **domain, **period(stage, since))["TrafficDataPerInterval"]["DataModule"]
    assert total(traffic, "TrafficValue") == sum(got) and total(traffic, "HttpTrafficValue") == sum(got)
    bps = sdk.call("DescribeLiveDomainRealTimeBpsData", **domain, **period(stage, since))["RealTimeBpsDataPerInterval"]["DataModule"]
    assert sum(float(point["Value"]) for point in bps) == pytest.approx(sum(got) * 8 / 60)
    history = sdk.call("DescribeLiveStreamHistoryUserNum", **domain, AppName="live", StreamName="s1", **period(stage, since))
    assert max(int(point["UserNum"]) for point in history["LiveStreamUserNumInfos"]["LiveStreamUserNumInfo"]) == 3
    rows = sdk.call("DescribeLiveUserStreamMetricData", **domain, PageNumber=1, PageSize=100, **period(stage, since))["StreamDetailData"]
    assert sum(row["FlvTraffic"] for row in rows) == sum(got) and sum(row["NewConns"] for row in rows) == 3
    codes = sdk.call("DescribeLiveDomainRealTimeHttpCodeData", **domain, **period(stage, since))["RealTimeHttpCodeData"]["UsageData"]
    counted: dict[str, int] = {}
    for point in codes:
        for code in point["Value"].get("RealTimeCodeProportionData", []):
            counted[code["Code"]] = counted.get(code["Code"], 0) + int(code["Count"])
    assert counted == {"200": 3, "404": 1}
    hours = sdk.call("DescribeLiveDomainPvUvData", **domain, **period(stage, since))["PvUvDataInfos"]["PvUvDataInfo"]
    assert (total(hours, "PV"), max(int(hour["UV"]) for hour in hours)) == (3, 1)


def test_retired_actions_are_answered(server, stage):
    """Released code still calls them; the answer has their last form, and a note says what has taken their place."""
    publisher = stage.publisher()
    publisher.push(10)
    player = viewer(server, stage, "/live/s1.flv")
    wait_for(lambda: stage.api.call("DescribeLiveStreamOnlineUserNum", DomainName=stage.domain)["TotalUserNumber"] == 1, 10, "a viewer")
    status, body, note = noted(server, "DescribeLiveStreamOnlineUserNum", DomainName=stage.domain, AppName="live", StreamName="s1")
    assert status == 200 and note and "DescribeLiveDomainOnlineUserNum" in note
    (info,) = body["OnlineUserInfo"]["LiveStreamOnlineUserNumInfo"]
    assert (info["StreamUrl"], info["UserNumber"]) == (f"rtmp://{stage.domain}/live/s1", 1)
    player.close()
    rates = stage.api.call("DescribeLiveStreamsFrameRateAndBitRateData", DomainName=stage.domain)["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"]
    assert rates[0]["VideoFrameRate"] == pytest.approx(frame_rate(publisher, VIDEO), abs=0.01)
    coverage = server.get("/_localyun/coverage")
    assert coverage["total"] == 437 and "DescribeLiveStreamOnlineUserNum" in coverage["retired"]


def test_errors_are_the_documented_ones(sdk, stage):
    for more, code in [
        ({"StartTime": "yesterday"}, "InvalidStartTime.Malformed"),
        ({"EndTime": "2026-03-01"}, "InvalidEndTime.Malformed"),
        ({"StartTime": "2026-03-02T00:00:00Z", "EndTime": "2026-03-01T00:00:00Z"}, "InvalidEndTime.Mismatch"),
    ]:
        with pytest.raises(SdkError) as error:
            sdk.call("DescribeLiveDomainBpsData", DomainName=stage.domain, **more)
        assert (error.value.code, error.value.status) == (code, 400)


def test_idle_days_cost_nothing_and_have_zeros(sdk, stage):
    since = stage.now()
    stage.push(2)
    stage.advance(7 * 24 * 3600)
    traffic = sdk.call("DescribeLiveDomainPushTrafficData", DomainName=stage.domain, Interval="86400", **period(stage, since))
    values = [int(point["TrafficValue"]) for point in traffic["TrafficDataPerInterval"]["DataModule"]]
    assert len(values) == 8 and values[0] > 0 and values[1:] == [0] * 7


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_figures_of_a_minute_that_is_over_survive(receiver, tmp_path, how):
    """However the process ends; a stop writes the running minute down, too."""
    with Server(data_dir=tmp_path / "data") as server:
        stage = Stage(server, receiver, tmp_path)
        since = stage.now()
        first = stage.push(6)
        stage.advance(61)
        second = stage.push(3)
        server.process.send_signal(how)
        server.process.wait(20)
    with Server(data_dir=tmp_path / "data") as server:
        stage.server = server
        traffic = Core(server.api).call("DescribeLiveDomainPushTrafficData", DomainName=stage.domain, **period(stage, since))
        counted = total(traffic["TrafficDataPerInterval"]["DataModule"], "TrafficValue")
        running = pushed_bytes(second) if how == signal.SIGTERM else 0
        assert counted == pushed_bytes(first) + running
