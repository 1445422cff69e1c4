"""File events, status events, their signature and retry (scenarios 32 to 35), and the publish callback (36, 37)."""

import contextlib
import hashlib
import os
import socket
import sqlite3
import time
from datetime import timedelta
from itertools import pairwise
from urllib.parse import parse_qs

import pytest

from harness.stage import wire
from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}
KEY = "yourkeyyourkey16"


def signature(host: str, timestamp: str, key: str) -> str:
    """ALI-LIVE-SIGNATURE as a receiver checks it."""
    return hashlib.md5(f"{host}|{timestamp}|{key}".encode()).hexdigest()


def test_32_payload(stage):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(6, query="callback_a=1&callback_a=2&callback_b=3&x=4")
    stage.push(6, stream="plain")
    stage.advance(16)
    events = {event["stream"]: event for event in stage.wait_files(2)}
    base = {"domain", "app", "stream", "uri", "duration", "start_time", "stop_time"}
    assert set(events["s1"]) == base | {"push_args"}
    assert events["s1"]["push_args"] == {"callback_a": "1", "callback_b": "3"}
    assert set(events["plain"]) == base
    event = events["plain"]
    assert (event["domain"], event["app"]) == (stage.domain, "live")
    assert isinstance(event["uri"], str) and not event["uri"].startswith("/")
    assert isinstance(event["duration"], (int, float))
    assert type(event["start_time"]) is int and type(event["stop_time"]) is int
    assert event["uri"] in stage.bucket.keys()
    (request, *_) = stage.inbox.requests
    assert request.method == "POST"
    assert request.headers["user-agent"] == "Go-http-client/1.1"
    assert request.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("wanted", [False, True])
def test_33_status_events_only_when_asked(stage, wanted):
    stage.rule("mp4", DelayTime=15)
    stage.notify(NeedStatusNotify=wanted)
    stage.push(6)
    stage.advance(16)
    stage.wait_files(1)
    statuses = [body for body in stage.inbox.bodies() if "event" in body]
    base = {"domain": stage.domain, "app": "live", "stream": "s1"}
    assert statuses == ([base | {"event": "record_started"}, base | {"event": "record_paused"}] if wanted else [])


def test_34_signature(stage):
    """The formula is held against its two documented vectors, then against what really arrives."""
    assert signature("learn.aliyundoc.com", "1519375990", "yourkey") == "9e226fc2c250be266e3657e156f68c12"
    assert signature("push.example.com", "1609220385", "abcdef0123456789") == "134773287a801df084e534076ed6102a"
    stage.rule("mp4", DelayTime=15)
    stage.notify(NotifyReqAuth=True, NotifyAuthKey=KEY)
    stage.push(6)
    stage.advance(16)
    stage.wait_files(1)
    (request,) = stage.inbox.requests
    timestamp = request.headers["ali-live-timestamp"]
    assert abs(int(timestamp) - stage.now().timestamp()) < 10
    assert request.headers["ali-live-signature"] == signature("127.0.0.1", timestamp, KEY)


def test_34_no_signature_without_auth(stage):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(6)
    stage.advance(16)
    stage.wait_files(1)
    assert not [name for name in stage.inbox.requests[0].headers if name.startswith("ali-live")]


def notify_records(stage, **more) -> list[dict]:
    """The delivery log of this stage's domain."""
    now = stage.now()
    window = {"StartTime": wire(now - timedelta(hours=2)), "EndTime": wire(now + timedelta(hours=1))}
    paging = {"PageNumber": 1, "PageSize": 100}
    return stage.api.call("DescribeLiveRecordNotifyRecords", DomainName=stage.domain, **window, **paging, **more)["CallbackList"]


def test_35_retry(stage):
    stage.inbox.answer = lambda number: (503, b"busy") if number < 2 else (200, b"")
    stage.rule("mp4", DelayTime=15)
    stage.notify(NotifyReqAuth=True, NotifyAuthKey=KEY)
    stage.push(6)
    stage.advance(16)
    stage.advance(5)
    wait_for(lambda: len(stage.inbox.requests) >= 3, what="the third try")
    stage.advance(30)
    first, second, third = stage.inbox.requests
    assert first.body == second.body == third.body
    stamps = [int(request.headers["ali-live-timestamp"]) for request in stage.inbox.requests]
    assert [later - earlier for earlier, later in pairwise(stamps)] == pytest.approx([1, 1], abs=1)
    (record,) = notify_records(stage)
    assert (record["NotifyType"], record["NotifyResult"]) == ("file_created", "success")
    assert record["NotifyContent"] == first.body.decode()
    assert record["NotifyUrl"] == stage.inbox.url


def test_35_answer_that_never_ends(stage):
    """The status is what counts: a receiver that has said 200 has the event, whatever becomes of the body."""
    stage.inbox.stall()
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(6)
    stage.advance(16)
    wait_for(lambda: stage.inbox.requests, what="the event")
    stage.advance(60)
    assert len(stage.inbox.requests) == 1
    (record,) = notify_records(stage)
    assert record["NotifyResult"] == "success"


def test_35_receiver_that_always_refuses(stage):
    stage.inbox.say(b"no", 500)
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(6)
    stage.advance(16)
    stage.advance(60)
    wait_for(lambda: len(stage.inbox.requests) >= 6, what="six tries")
    stage.advance(120)
    assert len(stage.inbox.requests) == 6
    assert [record["NotifyResult"] for record in notify_records(stage, Status="failed")] == ["failed"]
    assert notify_records(stage, Status="success") == []


def test_35_dead_receiver(stage):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        stage.rule(M3U8, DelayTime=15)
        stage.notify(NotifyUrl=f"http://127.0.0.1:{taken.getsockname()[1]}/", NeedStatusNotify=True)
        stage.push(12)
        stage.advance(16)
        stage.advance(60)
        wait_for(lambda: len(notify_records(stage, Status="failed")) == 3, what="three deliveries given up")
    (key,) = stage.wait_keys(1, ".m3u8")
    assert stage.playlist(key).duration == pytest.approx(12, abs=0.5)


def published(stage) -> None:
    """Names the publish callback of this stage's domain."""
    stage.api.call("SetLiveStreamsNotifyUrlConfig", DomainName=stage.domain, NotifyUrl=stage.questions.url)


def actions(stage) -> list[dict[str, str]]:
    """The queries of all publish callbacks."""
    return [{name: values[0] for name, values in parse_qs(request.query).items()} for request in stage.questions.requests]


def test_36_publish_callback_waits_two_seconds(stage):
    published(stage)
    publisher = stage.publisher()
    stage.live(publisher, 1, step=0.5)
    stage.end(publisher)
    stage.advance(10)
    assert [query["action"] for query in actions(stage) if query["action"] == "publish"] == []


def test_36_publish_callback(stage):
    published(stage)
    publisher = stage.publisher(query="x=4")
    stage.live(publisher, 5, step=1)
    wait_for(lambda: actions(stage), what="the publish callback")
    (query,) = actions(stage)
    assert stage.questions.requests[0].method == "GET"
    assert (query["action"], query["app"], query["appname"], query["id"]) == ("publish", stage.domain, "live", "s1")
    assert (query["width"], query["height"]) == ("320", "180")
    assert abs(int(query["time"]) - stage.now().timestamp()) < 10
    # One value: what a publisher writes there cannot become a parameter of the callback.
    assert query["usrargs"] == f"vhost={stage.domain}&x=4"
    assert f"usrargs=vhost%3D{stage.domain}%26x%3D4" in stage.questions.requests[0].query
    stage.end(publisher)
    stage.advance(2)
    wait_for(lambda: len(actions(stage)) == 2, what="publish_done")
    done = actions(stage)[1]
    assert (done["action"], done["app"], done["appname"], done["id"]) == ("publish_done", stage.domain, "live", "s1")
    assert "width" not in done and "height" not in done


@pytest.mark.skipif("LOCALYUN_TEST_DATABASE" in os.environ, reason="locks the file of SQLite")
def test_36_the_end_of_a_push_that_is_told_late(own_stage):
    """The database is busy for a while: what is told of a push waits for it in its order, and says when it happened."""
    stage = own_stage()
    published(stage)
    publisher = stage.publisher()
    publisher.push(1)
    with contextlib.closing(sqlite3.connect(stage.server.data_dir / "localyun.db", isolation_level=None)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        # The service tells of the beginning after two seconds.
        time.sleep(3)
        stage.end(publisher)
        ended = stage.now()
        time.sleep(4)
        assert actions(stage) == []
    wait_for(lambda: len(actions(stage)) == 2, 20, "both")
    assert [query["action"] for query in actions(stage)] == ["publish", "publish_done"]
    assert int(actions(stage)[1]["time"]) == pytest.approx(ended.timestamp(), abs=2)


def test_36_publish_callback_to_an_address_with_a_query_and_a_fragment(stage):
    stage.api.call("SetLiveStreamsNotifyUrlConfig", DomainName=stage.domain, NotifyUrl=stage.questions.url + "?k=v#top")
    publisher = stage.publisher()
    stage.live(publisher, 5, step=1)
    wait_for(lambda: actions(stage), what="the publish callback")
    (query,) = actions(stage)
    assert (query["k"], query["action"], query["id"]) == ("v", "publish", "s1")


def test_37_silent_push(stage):
    stage.rule(M3U8, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    publisher.push(6)
    stage.advance(8)
    assert stage.server.is_live(stage.domain, "live", "s1") and not publisher.closed.is_set()
    stage.advance(3)
    wait_for(publisher.closed.is_set, what="the server to close the connection")
    stage.wait_gone(publisher)
    wait_for(lambda: stage.inbox.events() == ["record_started", "record_paused"], what="record_paused")
    stage.advance(16)
    stage.wait_files(1)


def test_37_silent_push_is_told(stage):
    published(stage)
    publisher = stage.publisher()
    stage.live(publisher, 4)
    stage.advance(11)
    wait_for(publisher.closed.is_set, what="the server to close the connection")
    wait_for(lambda: [query["action"] for query in actions(stage)] == ["publish", "publish_done"], what="publish_done")
