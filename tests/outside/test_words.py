"""Sentences for people: the English text, and beside it a code with values by which others word it in their language."""

import re
import socket
from urllib.parse import urlencode

import pytest
import requests


def filled(words: dict) -> dict:
    """A sentence's values; none of them is empty, and the code is a plain word."""
    assert set(words) == {"code", "values"} and re.fullmatch(r"[A-Z][A-Za-z0-9]+", words["code"]), words
    assert all(isinstance(value, str) and value for value in words["values"].values()), words
    return words["values"]


REFUSALS = [
    ("GET", "/_localyun/stream", None, 404, "NoSuchRouteButNear", {"near": "/_localyun/streams"}),
    ("GET", "/_localyun/" + "q" * 80, None, 404, "NoSuchRoute", {}),
    ("POST", "/_localyun/streams/d/a", None, 404, None, None),
    ("DELETE", "/_localyun/clock", None, 405, "MethodNotAllowed", {"method": "DELETE", "path": "/_localyun/clock", "methods": "GET, POST"}),
    ("GET", "/_localyun/requests?lmit=3", None, 400, "QueryNameButNear", {"route": "GET /_localyun/requests", "name": '"lmit"', "near": "limit"}),
    ("GET", "/_localyun/health?zzz=3", None, 400, "QueryNotTaken", {"route": "GET /_localyun/health", "name": '"zzz"'}),
    ("POST", "/_localyun/reset", {"domain": "zzz.com"}, 400, "BodyNotTaken", {"route": "POST /_localyun/reset"}),
    ("PUT", "/_localyun/faults", {"faults": [], "at": "store"}, 400, "NotBesideFaults", {"name": '"at"'}),
    ("PUT", "/_localyun/sinks/x", {"status": 204, "body": "x"}, 400, "SinkStatusHasNoBody", {"status": "204"}),
    ("POST", "/_localyun/streams", {"domain": "d:80", "stream": "s"}, 400, "BadStreamDomain", {"name": '"d:80"'}),
    ("GET", "/_localyun/requests?limit=0", None, 400, "NotWholeNumber", {"name": "limit", "least": "1", "most": "1000"}),
    ("GET", "/_localyun/requests?since=yesterday", None, 400, "NotAnInstant", {"name": "since"}),
    ("GET", "/_localyun/recordings?cursor=x", None, 400, "BadCursor", {}),
    ("GET", "/_localyun/callbacks?state=x", None, 400, "BadCallbackState", {}),
    ("GET", "/_localyun/wait?kind=fiel", None, 400, "NoSuchKindButNear", {"kind": '"fiel"', "near": "file"}),
    ("GET", "/_localyun/wait?kind=play&timeout_s=0", None, 408, "TooFewEvents", {"found": "0", "count": "1", "seconds": "0"}),
    ("GET", "/_localyun/explain?domain=d&app=a", None, 400, "QueryNameMissing", {"name": "stream"}),
    ("GET", "/_localyun/explain?domain=d&app=a&stream=a%2Fb", None, 400, "NameHoldsBadCharacter", {"what": "stream"}),
    ("POST", "/_localyun/clock/advance", {"secnds": 1}, 400, "BadAdvance", None),
    ("POST", "/_localyun/clock/advance", {"seconds": -1}, 400, "AdvanceOutOfBounds", {}),
    ("POST", "/_localyun/clock", {}, 400, "BadClockSetting", None),
    ("POST", "/_localyun/streams", {"domain": "d.example.com", "stream": "s", "clip": "/nothing"}, 400, "BadClip", None),
    ("POST", "/_localyun/streams", {"domain": "d.example.com", "stream": "s", "speed": -1}, 400, "BadPace", {}),
    ("DELETE", "/_localyun/streams/d.example.com/live/s", None, 404, "NotPublished", {"stream": "d.example.com/live/s"}),
    ("POST", "/_localyun/callbacks/999999/replay", None, 404, "NoSuchCallback", {"id": "999999"}),
    ("PUT", "/_localyun/sinks/x", {"status": 99}, 400, "BadSinkStatus", {}),
    ("PUT", "/_localyun/faults", {"at": "api:AddLiveAppRecordConfg", "code": "X"}, 400, "NoSuchActionButNear", {"action": "AddLiveAppRecordConfg", "near": "api:AddLiveAppRecordConfig"}),
    ("PUT", "/_localyun/faults", {"at": "store"}, 400, "FaultDoesNothing", {}),
    ("PUT", "/_localyun/snapshot", {"localyun": 2}, 400, "SnapshotHasNoForm", {}),
    ("GET", "/_localyun/object?bucket=nobody&key=x", None, 404, "NoSuchBucket", {"name": "nobody"}),
    ("GET", "/_localyun/ui/live?domain=d&app=a&stream=s", None, 404, "StreamIsNotLive", {"stream": "d/a/s"}),
    ("PUT", "/_localyun/buckets/x", {"acl": "secret"}, 400, "BadAcl", {}),
    ("POST", "/_localyun/call", {"action": "X", "params": {"Version": "1"}}, 400, "ParameterIsOurs", {"name": "Version"}),
]


@pytest.mark.parametrize("method, path, body, status, code, values", REFUSALS, ids=lambda value: value if isinstance(value, str) else None)
def test_a_refusal_has_a_code_and_values(server, method, path, body, status, code, values):
    answer = requests.request(method, server.api + path, json=body)
    told = answer.json()
    assert answer.status_code == status and isinstance(told["error"], str) and told["error"], answer.text
    given = filled(told["words"]["error"])
    if code:
        assert told["words"]["error"]["code"] == code, told
        # The text has the values where its language puts them.
        assert all(value in told["error"] for value in given.values()), told
    if values is not None:
        assert given == values


def test_a_strangers_name_is_told_by_a_code_too(server):
    host, port = server.api.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /_localyun/config HTTP/1.1\r\nHost: rebound.example.com\r\nConnection: close\r\n\r\n")
        got = b""
        while chunk := connection.recv(65536):
            got += chunk
    assert b'"NotOurName"' in got and b"rebound.example.com" in got


def explained(stage, **of) -> tuple[dict, dict]:
    told = stage.server.get(f"/_localyun/explain?{urlencode({'domain': stage.domain, 'app': 'live', 'stream': 's1'} | of)}")
    assert told["words"]["why"] and bool(told["cure"]) == bool(told["words"]["cure"])
    return told, told["words"]


def test_why_and_cure_are_codes_with_values_too(own_stage):
    stage = own_stage()
    told, words = explained(stage)
    assert (words["why"]["code"], words["cure"]["code"], words["note"]) == ("NoRuleAtAll", "MakeCall", None)
    assert filled(words["cure"])["call"] == told["cure"]
    stage.rule("mp4", DelayTime=15)
    told, words = explained(stage)
    assert (told["records"], words["why"]["code"], words["cure"]) == (True, "RecordsAutomatically", None)
    told, words = explained(stage, domain="push.example.com")
    assert filled(words["why"]) == {"domain": "push.example.com", "others": stage.domain} and words["why"]["code"] == "DomainHasNoRule"
    assert words["cure"]["code"] == "MapOrAddRule" and filled(words["cure"])["push"] == "push.example.com"
    assert filled(words["cure"])["map"] in told["cure"] and filled(words["cure"])["rule"] in told["cure"]
    # The event of the push says the same.
    stage.server.control("POST", "/_localyun/streams", {"domain": "push.example.com", "stream": "s1", "seconds": 1, "speed": 0, "wait": True})
    (event,) = stage.server.get("/_localyun/wait?kind=record&domain=push.example.com")["events"]
    assert event["words"] == {"why": words["why"], "cure": words["cure"]} and event["why"] == told["why"]
    told, words = explained(stage, app="other")
    assert words["why"]["code"] == "NoRuleMatches" and filled(words["why"]) == {"app": "other", "stream": "s1", "rules": "live/*"}
    # What is kept out, and what counts from the next push on.
    stage.api.call("ForbidLiveStream", DomainName=stage.domain, AppName="live", StreamName="s1", LiveStreamType="publisher")
    told, words = explained(stage)
    assert words["why"]["code"] == "StreamForbidden" and told["kept_out"]["words"] == {"why": words["why"], "cure": words["cure"]}
    live = stage.publisher(stream="s2")
    live.push(2)
    stage.api.call("DeleteLiveAppRecordConfig", DomainName=stage.domain, AppName="live", StreamName="*")
    told, words = explained(stage, stream="s2")
    assert words["note"]["code"] == "RulesOfThePush" and told["note"].startswith("the stream is live")
    stage.end(live)


def test_a_receiver_that_declines_is_told_by_a_code(stage):
    stage.rule("mp4", OnDemand=1, DelayTime=15)
    assert stage.server.control("PUT", "/_localyun/sinks/decline", {"body": {"NeedRecord": False}})[0] == 200
    stage.api.call("AddLiveRecordNotifyConfig", DomainName=stage.domain, OnDemandUrl=f"{stage.server.api}/_localyun/sink/decline")
    stage.push(2)
    (event,) = stage.server.get(f"/_localyun/wait?kind=record&domain={stage.domain}")["events"]
    assert (event["words"]["why"]["code"], event["words"]["cure"]["code"]) == ("ReceiverDeclines", "LookAtReceiver")
    assert event["why"] == "the on-demand answer says NeedRecord=false" and filled(event["words"]["cure"])["url"] in event["cure"]
