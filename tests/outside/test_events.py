"""What happens, as it happens: server-sent events, waiting, sinks."""

import json
import socket
import threading
import time

import pytest
import requests

from harness.server import Server
from harness.wait import wait_for


class Followed:
    """A stream of events, read one by one."""

    def __init__(self, answer):
        self.lines = answer.iter_lines(decode_unicode=True)

    def read(self, count: int) -> list[dict]:
        """The next events, each with the three fields of its message."""
        events, fields = [], {}
        while len(events) < count:
            line = next(self.lines)
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                fields[name] = value
            if not line and fields:
                data = json.loads(fields["data"])
                assert (fields["id"], fields["event"]) == (str(data["id"]), data["kind"])
                events.append(data)
                fields = {}
        return events


def follow(server, query: str = "", **headers):
    answer = requests.get(f"{server.api}/_localyun/events?{query}", stream=True, timeout=20, headers=headers)
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/event-stream"
    return answer


def test_a_recording_is_followed_from_its_push_to_its_callback(stage):
    stage.rule("mp4", DelayTime=15)
    stage.notify(NeedStatusNotify="true")
    followed = Followed(follow(stage.server, f"domain={stage.domain}"))
    stage.push(6)
    stage.advance(16)
    stage.wait_files(1)
    got = []
    while not got or (got[-1]["kind"], got[-1].get("callback")) != ("callback", "file_created"):
        got += followed.read(1)
    kinds = [event["kind"] for event in got]
    assert kinds.index("publish") < kinds.index("record") < kinds.index("unpublish") < kinds.index("file")
    whats = [event["what"] for event in got if event["kind"] == "record"]
    assert whats[:2] == ["started", "paused"]
    # Beside the event's own number it tells which file, and which callback.
    file = next(event for event in got if event["kind"] == "file")
    (recording,) = stage.server.get(f"/_localyun/recordings?domain={stage.domain}")["recordings"]
    assert [row["id"] for row in recording["files"]] == [file["file_id"]]
    callbacks = stage.server.get(f"/_localyun/callbacks?domain={stage.domain}")["callbacks"]
    assert got[-1]["callback_id"] in [row["id"] for row in callbacks]
    ids = [event["id"] for event in got]
    assert ids == sorted(ids)
    for event in got:
        assert event["domain"] == stage.domain and event["at"].endswith("Z")
    # All of it once more, from any place.
    for headers, query in (({}, f"since={ids[2]}"), ({"Last-Event-ID": str(ids[2])}, ""), ({"Last-Event-ID": str(ids[2])}, "since=0")):
        again = Followed(follow(stage.server, f"{query}&domain={stage.domain}", **headers)).read(len(ids) - 3)
        assert [event["id"] for event in again] == ids[3:]
    files = Followed(follow(stage.server, f"since={ids[0] - 1}&kind=file,slice&domain={stage.domain}")).read(1)
    assert files[0]["object"].endswith(".mp4") and files[0]["size"] > 0


def test_a_call_is_found_by_its_domain_however_that_was_given(stage):
    """In whatever case, under the names of those calls that take several, and as the play domain of a mapping."""
    domain = stage.domain
    functions = json.dumps([{"functionName": "set_resp_header", "functionArgs": [{"argName": "key", "argValue": "X-A"}, {"argName": "value", "argValue": "1"}]}])
    calls = [
        ("DescribeLiveRecordConfig", {"DomainName": domain.upper()}),
        ("BatchSetLiveDomainConfigs", {"DomainNames": domain, "Functions": functions}),
        ("BatchDeleteLiveDomainConfigs", {"DomainNames": f"other.example.com,{domain.upper()}", "FunctionNames": "set_resp_header"}),
        ("AddLiveDomainMapping", {"PushDomain": f"push-{domain}", "PullDomain": domain}),
    ]
    for action, given in calls:
        stage.api.ask(action, **given)
    asked = domain.title()
    for action in ("DescribeLiveRecordConfig", "BatchSetLiveDomainConfigs", "AddLiveDomainMapping"):
        events = stage.server.get(f"/_localyun/wait?kind=call&domain={asked}&count=3&timeout_s=5")["events"]
        assert [event["domain"] for event in events if event["action"] == action] == [domain], (action, events)
    listed = stage.server.rows(f"/_localyun/requests?domain={asked}&limit=100", "requests")
    assert [row["action"] for row in reversed(listed)] == [action for action, _ in calls], listed
    assert stage.server.rows("/_localyun/requests?domain=no.example.com", "requests") == []


def test_the_end_of_a_push_tells_all_that_came(stage):
    """As fast as it goes the last media and the end come in one piece."""
    for number in range(5):
        status, pushed = stage.server.control("POST", "/_localyun/streams", {"domain": stage.domain, "stream": f"s{number}", "seconds": 2 + number, "speed": 0, "wait": True})
        assert status == 200
        (event,) = stage.server.get(f"/_localyun/wait?kind=unpublish&domain={stage.domain}&stream=s{number}")["events"]
        # The publisher counts its commands and the heads of chunks too.
        assert 0.85 * pushed["bytes"] < event["bytes"] <= pushed["bytes"], (event, pushed)
        assert 0 < event["frames"] <= pushed["messages"] and pushed["messages"] - event["frames"] < 10, (event, pushed)


def test_only_the_newest_are_replayed_where_that_is_asked_for(own_stage):
    stage = own_stage()
    for number in range(5):
        stage.api.call("DescribeLiveRecordConfig", DomainName=f"d{number}.example.com")
    told = Followed(follow(stage.server, "since=0&limit=2&kind=call")).read(2)
    assert [event["domain"] for event in told] == ["d3.example.com", "d4.example.com"]
    assert Followed(follow(stage.server, "since=0&limit=16384&kind=call")).read(1)[0]["domain"] == "d0.example.com"
    for bad in ("limit=0", "limit=16385", "limit=x"):
        assert requests.get(f"{stage.server.api}/_localyun/events?{bad}", timeout=20).status_code == 400


def test_every_kind_of_happening_is_told(own_stage):
    stage = own_stage()
    stage.rule({"Format": "m3u8", "SliceDuration": 5}, DelayTime=15)
    stage.notify()
    assert stage.server.control("PUT", "/_localyun/faults", {"at": "callback", "first": 1, "code": "503"})[0] == 200
    stage.push(12)
    stage.advance(16)
    stage.advance(5)
    stage.wait_files(1)
    status, told = stage.server.control("GET", "/_localyun/wait?count=1000&timeout_s=0.2")
    assert status == 408 and told["error"]
    kinds = {event["kind"] for event in told["events"]}
    assert kinds >= {"call", "publish", "unpublish", "record", "slice", "file", "callback", "fault", "clock", "object"}
    call = next(event for event in told["events"] if event["kind"] == "call" and event["action"] == "AddLiveAppRecordConfig")
    assert (call["status"], call["domain"], call["app"]) == (200, stage.domain, "live")
    assert "testsecret" not in json.dumps(told)


def test_an_id_of_another_run_brings_what_is_kept(own_stage):
    first = own_stage()
    first.api.call("DescribeLiveRecordConfig", DomainName="a.example.com")
    (old,) = first.server.get("/_localyun/wait?kind=call")["events"]
    second = own_stage()
    second.api.call("DescribeLiveRecordConfig", DomainName="b.example.com")
    assert second.server.get("/_localyun/wait?kind=call&since=0")["missed"] is False
    got = second.server.get(f"/_localyun/wait?kind=call&since={old['id']}")
    assert got["missed"] and [event["domain"] for event in got["events"]] == ["b.example.com"]
    assert got["events"][0]["id"] > old["id"]


def test_wait_answers_as_soon_as_it_can(stage):
    began = time.monotonic()
    waiting = []
    path = f"/_localyun/wait?kind=publish&domain={stage.domain}&count=2&timeout_s=15"
    thread = threading.Thread(target=lambda: waiting.append(stage.server.control("GET", path)))
    thread.start()
    stage.push(1, stream="s1")
    assert waiting == []
    stage.push(1, stream="s2")
    thread.join(20)
    ((status, told),) = waiting
    assert (status, told["count"], [e["stream"] for e in told["events"]]) == (200, 2, ["s1", "s2"])
    assert time.monotonic() - began < 10
    # Those that were, count; and behind the last of them there is none.
    assert stage.server.control("GET", path)[0] == 200
    status, late = stage.server.control("GET", f"{path}&since={told['next']}".replace("timeout_s=15", "timeout_s=0.3"))
    assert (status, late["count"], late["events"]) == (408, 0, [])


def test_wait_refuses_what_it_cannot_mean(server):
    for query, hint in (("kind=fil", "did you mean file?"), ("count=0", "count"), ("timeout_s=601", "timeout_s"), ("since=x", "since"), ("knd=file", "did you mean kind?")):
        status, told = server.control("GET", f"/_localyun/wait?{query}")
        assert status == 400 and hint in told["error"], told


def test_a_reset_forgets_events_and_ids_go_on(own_stage):
    stage = own_stage()
    stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)
    (before,) = stage.server.get("/_localyun/wait?kind=call")["events"]
    assert stage.server.control("POST", "/_localyun/reset")[0] == 200
    assert stage.server.control("GET", "/_localyun/wait?kind=call&timeout_s=0")[0] == 408
    (after,) = stage.server.get("/_localyun/wait?kind=clock")["events"]
    assert after["what"] == "reset" and after["id"] > before["id"]


def test_a_follower_that_does_not_read_is_dropped_and_costs_nothing(own_stage):
    stage = own_stage()
    host, port = stage.server.api.removeprefix("http://").split(":")
    stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)
    first = stage.server.get("/_localyun/wait?count=1&timeout_s=5")["events"][0]["id"]
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.settimeout(15)
    slow.connect((host, int(port)))
    slow.sendall(f"GET /_localyun/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())

    def resident() -> int:
        return int((open(f"/proc/{stage.server.process.pid}/statm").read().split())[1]) * 4096

    def flood(count: int) -> None:
        """So many calls with long names, behind each other on one connection."""
        long = "x" * 250
        one = f"GET /?DomainName={long}&AppName={long}&StreamName={long} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
        mark = b"HTTP/1.1 400"
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            for _ in range(count // 100):
                connection.sendall(one * 100)
                answered, rest = 0, b""
                while answered < 100:
                    got = connection.recv(1 << 20)
                    assert got, "the server closed the connection"
                    rest += got
                    answered = rest.count(mark)

    flood(12_000)
    before = resident()
    flood(12_000)
    # As many as are kept, and no more.
    status, kept = stage.server.control("GET", f"/_localyun/wait?since={first}&count=5000&timeout_s=5")
    assert status == 200 and kept["missed"]
    assert resident() - before < 48 << 20
    got = b""
    while not got.endswith(b"0\r\n\r\n"):
        try:
            chunk = slow.recv(1 << 20)
        except ConnectionResetError:
            # It had read nothing for longer than the server waits.
            break
        if not chunk:
            break
        got += chunk
    slow.close()
    ids = [int(line.removeprefix(b"id: ")) for line in got.splitlines() if line.startswith(b"id: ") and line[4:].isdigit()]
    assert ids == sorted(ids) and len(ids) < 24_000
    # With its last id it is back among what is kept.
    again = Followed(follow(stage.server, f"since={ids[-1] if ids else first}"))
    assert again.read(1)[0]["kind"] == "call"


def test_streams_of_events_end_with_the_server():
    with Server() as server:
        followed = follow(server)
        began = time.monotonic()
    # The server has ended.
    assert time.monotonic() - began < 5
    assert [line for line in followed.iter_lines() if line.startswith(b"id: ")] == []


def test_a_sink_receives_callbacks(stage):
    stage.rule("mp4", DelayTime=15)
    url = f"{stage.server.api}/_localyun/sink/mine"
    stage.notify(NotifyUrl=url)
    stage.push(6)
    stage.advance(16)
    (came,) = stage.server.get("/_localyun/sinks/mine")["requests"]
    assert (came["method"], came["json"]["stream"]) == ("POST", "s1")
    assert json.loads(came["body"]) == came["json"] and came["size"] == len(came["body"])
    assert ["content-type", "application/json"] in came["headers"]
    assert stage.server.control("DELETE", "/_localyun/sinks/mine")[0] == 200
    assert stage.server.get("/_localyun/sinks/mine")["requests"] == []


def test_a_sink_answers_as_it_is_told(server):
    place = f"{server.api}/_localyun/sink/told"
    assert (requests.get(place).status_code, requests.get(place).content) == (200, b"")
    status, _ = server.control("PUT", "/_localyun/sinks/told", {"status": 503, "body": {"NeedRecord": False}, "delay_ms": 200})
    assert status == 200
    began = time.monotonic()
    answer = requests.post(place + "?a=1", data=b"\xff\x00")
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (503, {"NeedRecord": False}, "application/json")
    assert time.monotonic() - began >= 0.2
    came = server.get("/_localyun/sinks/told")["requests"][-1]
    assert (came["query"], came["body"], came["body_base64"]) == ("a=1", None, "/wA=")
    for bad in ({"status": 99}, {"status": 700}, {"delay_ms": 60_001}, {"body": "x" * 70_000}, {"stat": 1}, {"content_type": "a\nb"}):
        assert server.control("PUT", "/_localyun/sinks/told", bad)[0] == 400, bad


def test_sinks_are_bounded(own_stage):
    server = own_stage().server
    place = f"{server.api}/_localyun/sink"
    with requests.Session() as session:
        for number in range(1_005):
            session.post(f"{place}/full", data=str(number))
        assert session.post(f"{place}/full", data=b"x" * (2 << 20)).status_code == 413
        long = session.post(f"{place}/long", data=b"y" * (1 << 20))
        assert long.status_code == 200
        full = server.get("/_localyun/sinks/full?limit=2")
        assert (full["total"], full["dropped"], full["requests"][0]["body"]) == (1_000, 5, "5")
        rest = server.get(f"/_localyun/sinks/full?limit=1000&cursor={full['next']}")
        assert (len(rest["requests"]), rest["requests"][-1]["body"]) == (998, "1004")
        (kept,) = server.get("/_localyun/sinks/long")["requests"]
        assert (kept["size"], len(kept["body"]), kept["cut"]) == (1 << 20, 64 << 10, True)
        for number in range(62):
            assert session.get(f"{place}/s{number}").status_code == 200
        assert session.get(f"{place}/one-more").status_code == 507
        assert session.get(f"{place}/full").status_code == 200
    assert server.get("/_localyun/sinks")["total"] == 64
    assert server.control("POST", "/_localyun/reset")[0] == 200
    assert server.get("/_localyun/sinks") == {"total": 0, "sinks": []}


@pytest.mark.parametrize("name", ["a%2Fb", "%2e%2e", "x" * 256])
def test_a_sink_has_a_plain_name(server, name):
    assert requests.post(f"{server.api}/_localyun/sink/{name}").status_code in (400, 404)


def test_the_on_demand_question_may_go_to_a_sink(stage):
    stage.rule("mp4", DelayTime=15, OnDemand=1)
    url = f"{stage.server.api}/_localyun/sink/question"
    stage.notify(OnDemandUrl=url)
    assert stage.server.control("PUT", "/_localyun/sinks/question", {"body": {"NeedRecord": True}})[0] == 200
    stage.push(6)
    stage.advance(16)
    stage.wait_files(1)
    (asked,) = stage.server.get("/_localyun/sinks/question")["requests"]
    assert asked["method"] == "GET" and "stream=s1" in asked["query"]
    assert stage.server.control("PUT", "/_localyun/sinks/question", {"body": {"NeedRecord": False}})[0] == 200
    stage.push(2, stream="s2")
    path = f"/_localyun/wait?kind=record&domain={stage.domain}&stream=s2&timeout_s=5"
    (event,) = stage.server.get(path)["events"]
    assert event["what"] == "not_recorded" and "NeedRecord=false" in event["why"]
    wait_for(lambda: not stage.server.is_live(stage.domain, "live", "s2"), what="the end of the push")
