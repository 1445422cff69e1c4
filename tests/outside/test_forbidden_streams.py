"""A stream that may not be published: who publishes it is cut off, a reconnect is refused, lists and history tell it, until it is let in again."""

import shlex
import signal
import threading
import time
from datetime import timedelta

import pytest

from harness.publisher import Refused
from harness.stage import wire
from harness.wait import wait_for
from sdks import Acs3, SdkError

DENIED = "NetStream.Publish.Denied"


@pytest.fixture
def sdk(server):
    """The current SDK, pointed at the server."""
    return Acs3(server.api)


@pytest.fixture
def push_domain(stage):
    """An ingest domain that leads to the stage's streaming domain."""
    push = stage.domain.replace("play", "push")
    for domain, kind in ((stage.domain, "liveVideo"), (push, "liveEdge")):
        stage.api.call("AddLiveDomain", DomainName=domain, LiveDomainType=kind, Region="cn-shanghai")
    stage.api.call("AddLiveDomainMapping", PullDomain=stage.domain, PushDomain=push)
    return push


def named(domain: str, stream: str = "s1") -> dict:
    """The parameters that name a stream to the controlling actions."""
    return {"DomainName": domain, "AppName": "live", "StreamName": stream, "LiveStreamType": "publisher"}


def period(stage) -> dict:
    """Half a day around now."""
    return {"StartTime": wire(stage.now() - timedelta(hours=6)), "EndTime": wire(stage.now() + timedelta(hours=6))}


def blocked(sdk, domain: str) -> list[str]:
    """What the block list of a domain says."""
    return sdk.call("DescribeLiveStreamsBlockList", DomainName=domain)["StreamUrls"].get("StreamUrl", [])


def history(sdk, stage, domain: str) -> list[tuple[str, str]]:
    """What the control history of a domain says: action and stream."""
    rows = sdk.call("DescribeLiveStreamsControlHistory", DomainName=domain, **period(stage))["ControlInfo"].get("LiveStreamControlInfo", [])
    assert all(row["ClientIP"] == "127.0.0.1" and row["TimeStamp"].endswith("Z") for row in rows)
    return [(row["Action"], row["StreamName"]) for row in rows]


def pushes(sdk, stage, domain: str, **more: object) -> list[dict]:
    """What the list of pushes of a domain says."""
    return sdk.call("DescribeLiveStreamsPublishList", DomainName=domain, **period(stage), **more)["PublishInfo"].get("LiveStreamPublishInfo", [])


def test_the_receiver_of_the_publish_callback_forbids_what_it_does_not_know(stage, sdk, push_domain):
    known, forbidding = {"welcome"}, []

    def answer(number: int):
        query = stage.inbox.requests[number].query
        stream = query.split("&id=")[1].split("&")[0]
        if "action=publish&" in query and stream not in known:
            forbidding.append(time.monotonic())
            sdk.call("ForbidLiveStream", **named(push_domain, stream), ResumeTime="2050-01-01T00:00:00Z")
        return 200, b""

    stage.inbox.answer = answer
    sdk.call("SetLiveStreamsNotifyUrlConfig", DomainName=push_domain, NotifyUrl=stage.inbox.url)
    welcome = stage.publisher("welcome", vhost=push_domain)
    stranger = stage.publisher("stranger", vhost=push_domain)
    for publisher in (welcome, stranger):
        publisher.push(1)
    stage.advance(3)
    assert stranger.closed.wait(5)
    assert time.monotonic() - forbidding[0] < 1
    assert [s["code"] for s in stranger.statuses if s.get("level") == "error"] == [DENIED]
    with pytest.raises(Refused) as refused:
        stage.publisher("stranger", vhost=push_domain)
    assert refused.value.code == DENIED and "2050-01-01T00:00:00Z" in refused.value.description
    # By the streaming domain it is the same stream.
    with pytest.raises(Refused):
        stage.publisher("stranger")
    for domain in (push_domain, stage.domain):
        assert blocked(sdk, domain) == [f"{stage.domain}/live/stranger"]
        assert history(sdk, stage, domain) == [("forbid", f"{stage.domain}/live/stranger")]
        with pytest.raises(SdkError) as error:
            sdk.call("ForbidLiveStream", **named(domain, "stranger"))
        assert (error.value.status, error.value.code) == (400, "ConfigAlreadyExists")
    (ended,) = pushes(sdk, stage, push_domain, StreamName="stranger", QueryType="strict")
    assert ended["StopTime"] and ended["PublishTime"] <= ended["StopTime"]
    assert (ended["ClientAddr"], ended["PublishDomain"], ended["DomainName"]) == ("127.0.0.1", push_domain, stage.domain)
    (live,) = pushes(sdk, stage, stage.domain, StreamName="welc")
    assert live["StopTime"] == ""
    assert not welcome.closed.is_set()
    sdk.call("ResumeLiveStream", **named(push_domain, "stranger"))
    assert blocked(sdk, stage.domain) == []
    known.add("stranger")
    back = stage.publisher("stranger", vhost=push_domain)
    back.push(1)
    assert [action for action, _ in history(sdk, stage, stage.domain)] == ["forbid", "resume"]
    records = sdk.call("DescribeLiveStreamsNotifyRecords", DomainName=push_domain, StreamName="stranger", **period(stage))
    rows = records["NotifyRecordsInfo"]["LiveStreamNotifyRecordsInfo"]
    assert [row["NotifyType"] for row in rows] == ["publish", "publish_done"]
    assert all(row["NotifyResult"] == "success" for row in rows)


def test_a_ban_from_before_the_mapping_is_one_of_the_same_stream(stage, sdk):
    push = stage.domain.replace("play", "push")
    sdk.call("ForbidLiveStream", **named(push))
    stage.api.call("AddLiveDomainMapping", PullDomain=stage.domain, PushDomain=push)
    for domain in (push, stage.domain):
        with pytest.raises(Refused) as refused:
            stage.publisher(vhost=domain)
        assert refused.value.code == DENIED
        assert blocked(sdk, domain) == [f"{push}/live/s1"]
    sdk.call("ResumeLiveStream", **named(stage.domain))
    for domain in (push, stage.domain):
        assert blocked(sdk, domain) == []
        assert history(sdk, stage, domain) == [("forbid", f"{push}/live/s1"), ("resume", f"{push}/live/s1")]
    stage.publisher().push(1)


def test_oneshot_cuts_off_and_keeps_nothing_out(stage, sdk):
    publisher = stage.publisher()
    publisher.push(1)
    sdk.call("ForbidLiveStream", **named(stage.domain), Oneshot="yes")
    assert publisher.closed.wait(1)
    assert blocked(sdk, stage.domain) == []
    stage.publisher().push(1)


def test_a_ban_survives_a_crash_and_ends_on_the_service_clock(own_stage, tmp_path):
    stage = own_stage(data_dir=tmp_path / "data")
    sdk = Acs3(stage.server.api)
    live = stage.publisher("other")
    live.push(1)
    sdk.call("ForbidLiveStream", **named(stage.domain))
    stage.server.process.send_signal(signal.SIGKILL)
    stage.server.process.wait()
    stage = own_stage(data_dir=tmp_path / "data")
    sdk = Acs3(stage.server.api)
    (domain,) = {url.split("/")[0] for url in all_blocked(sdk, live.key[0])}
    stage.domain = domain
    with pytest.raises(Refused) as refused:
        stage.publisher()
    assert refused.value.code == DENIED
    # What the crash left open is over in the list.
    (crashed,) = pushes(sdk, stage, domain)
    assert crashed["StreamName"] == "other" and crashed["StopTime"]
    stage.advance(180 * 86_400)
    with pytest.raises(Refused):
        stage.publisher()
    stage.advance(5 * 86_400)
    assert blocked(sdk, domain) == []
    stage.publisher().push(1)
    stage.server.control("POST", "/_localyun/reset")
    assert pushes(sdk, stage, domain) == []


def all_blocked(sdk, domain: str) -> list[str]:
    """The block list, which must not be empty."""
    found = blocked(sdk, domain)
    assert found
    return found


def test_who_forbids_and_who_publishes_at_once_agree(stage, sdk):
    """However the two meet, a forbidden stream is not live afterwards."""
    for round_number in range(12):
        stream = f"race{round_number}"
        forbidden = threading.Thread(target=lambda: sdk.call("ForbidLiveStream", **named(stage.domain, stream)))
        forbidden.start()
        try:
            stage.publisher(stream)
        except Refused as refused:
            assert refused.code == DENIED
        forbidden.join()
        wait_for(lambda: not stage.server.is_live(stage.domain, "live", stream), 2, "the end of a forbidden stream")


def test_a_stopped_domain_takes_no_pushes(stage, sdk, push_domain):
    for domain in (stage.domain, push_domain):
        publisher = stage.publisher(vhost=push_domain)
        publisher.push(1)
        sdk.call("StopLiveDomain", DomainName=domain)
        assert publisher.closed.wait(1)
        assert sdk.call("DescribeLiveDomainDetail", DomainName=domain)["DomainDetail"]["DomainStatus"] == "offline"
        with pytest.raises(Refused) as refused:
            stage.publisher(vhost=push_domain)
        assert refused.value.code == DENIED and domain in refused.value.description
        sdk.call("StartLiveDomain", DomainName=domain)
        assert sdk.call("DescribeLiveDomainDetail", DomainName=domain)["DomainDetail"]["DomainStatus"] == "online"
        again = stage.publisher(vhost=push_domain)
        again.leave()
        wait_for(lambda: not stage.server.streams(), 5, "the end of the push")


def test_explain_tells_what_is_kept_out_and_the_cure_lets_it_in(stage, sdk, push_domain):
    stage.rule("mp4")

    def told(domain: str) -> dict:
        return stage.server.get(f"/_localyun/explain?domain={domain}&app=live&stream=s1")

    def cured(cure: str) -> None:
        command, call, action, *arguments = shlex.split(cure)
        assert (command, call) == ("localyun", "call")
        sdk.call(action, **dict(argument.split("=", 1) for argument in arguments))

    assert (told(push_domain)["records"], told(push_domain).get("kept_out")) == (True, None)
    sdk.call("ForbidLiveStream", **named(push_domain))
    for domain in (push_domain, stage.domain):
        found = told(domain)
        assert not found["records"] and found["why"] == found["kept_out"]["why"] and "ForbidLiveStream" in found["why"]
    cured(found["cure"])
    assert told(push_domain)["records"]
    for domain in (push_domain, stage.domain):
        sdk.call("StopLiveDomain", DomainName=domain)
        found = told(push_domain)
        assert not found["records"] and f"{domain} is stopped" in found["why"]
        cured(found["cure"])
        assert told(push_domain)["records"]
    # A sub play domain leads to the rules of its main domain.
    sub = stage.domain.replace("play", "sub")
    sdk.call("AddLiveDomainPlayMapping", PullDomain=stage.domain, PlayDomain=sub)
    found = told(sub)
    assert (found["streaming_domain"], found["records"]) == (stage.domain, True)
    sdk.call("StopLiveDomain", DomainName=sub)
    assert f"{sub} is stopped" in told(sub)["kept_out"]["why"]
    assert told(stage.domain)["records"]


def test_lists_of_pushes_have_pages_and_orders(stage, sdk):
    for number in range(5):
        stage.publisher(f"s{number}").push(0.2)
        stage.advance(1)
    newest = pushes(sdk, stage, stage.domain, OrderBy="publish_time_desc", PageSize=3000)
    assert [row["StreamName"] for row in newest] == ["s4", "s3", "s2", "s1", "s0"]
    page = sdk.call("DescribeLiveStreamsPublishList", DomainName=stage.domain, PageNumber=2, PageSize=2, OrderBy="stream_name_asc", **period(stage))
    assert (page["PageNum"], page["PageSize"], page["TotalNum"], page["TotalPage"]) == (2, 2, 5, 3)
    assert [row["StreamName"] for row in page["PublishInfo"]["LiveStreamPublishInfo"]] == ["s2", "s3"]
    assert pushes(sdk, stage, stage.domain, StreamType="trans") == []
    count = sdk.call("DescribeLiveStreamCount", DomainName=stage.domain)["StreamCountInfos"]["StreamCountInfo"]
    assert {row["Type"]: row["Count"] for row in count} == {"raw": 5, "trans": 0}
    total = sdk.call("DescribeLiveStreamsTotalCount", DomainName=stage.domain, **period(stage))
    assert max(row["Count"] for row in total["StreamCountList"]["StreamCountInfos"]) == 5
