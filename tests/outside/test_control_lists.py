"""The table of control routes: misspelt paths and names, lists with filters and cursors, the document of the routes, who may ask."""

import re
import socket

import pytest
import requests

from harness.api import Api, ApiError


def error(answer) -> str:
    return answer.json()["error"]


def test_a_misspelt_path_is_not_there(server):
    for path, near in (("stream", "/_localyun/streams"), ("recording", "/_localyun/recordings"), ("clock/advanc", "/_localyun/clock/advance")):
        answer = requests.get(f"{server.api}/_localyun/{path}")
        assert answer.status_code == 404 and f"did you mean {near}?" in error(answer)
    for path in ("requests/ABC", "reset/x", "zzzzzz"):
        assert requests.post(f"{server.api}/_localyun/{path}").status_code == 404


def test_every_route_refuses_unknown_names_of_a_query(server):
    routes = server.get("/_localyun")["routes"]
    assert len(routes) > 30
    for line in routes:
        method, target = line.split(" ")
        path = target.split("?")[0]
        # A sink takes any request; a page of the console may be asked for with what a browser or a bookmark puts there.
        if method == "ANY" or path == "/_localyun/ui/{file...}":
            continue
        path = path.replace("{id}", "1").replace("{name...}", "x")
        path = re.sub(r"\{[a-z.]+\}", "x", path)
        answer = requests.request(method, f"{server.api}{path}?no_such_name=1")
        assert answer.status_code == 400 and "no_such_name" in error(answer), (line, answer.text)
    answer = requests.get(server.api + "/_localyun/requests?lmit=3")
    assert answer.status_code == 400 and "did you mean limit?" in error(answer)


def test_the_document_has_every_route(server):
    document = server.get("/_localyun/control.openapi.json")
    assert document["openapi"] == "3.1.0"
    for line in server.get("/_localyun")["routes"]:
        method, target = line.split(" ")
        path, _, query = target.partition("?")
        item = document["paths"][path.replace("...}", "}")]
        operation = item["post" if method == "ANY" else method.lower()]
        names = {p["name"] for p in operation["parameters"] if p["in"] == "query"}
        assert names == {pair.rstrip("=") for pair in query.split("&") if pair}
        assert operation["summary"] and "responses" in operation


def test_lists_go_on_by_their_cursors(own_stage):
    stage = own_stage()
    stage.rule("mp4", DelayTime=15, stream="*")
    stage.notify()
    for number in range(152):
        status, body = stage.server.control("POST", "/_localyun/streams", {"domain": stage.domain, "stream": f"s{number}", "seconds": 1, "speed": 0, "wait": True})
        assert status == 200, body
    stage.advance(16)
    for route, name, key in (("recordings", "recordings", "session"), ("callbacks", "callbacks", "id")):
        seen, cursor, pages = [], "", 0
        while cursor is not None:
            page = stage.server.get(f"/_localyun/{route}?limit=50" + (f"&cursor={cursor}" if cursor else ""))
            assert page["total"] == 152
            seen += [row[key] for row in page[name]]
            cursor, pages = page["next"], pages + 1
        assert (len(seen), len(set(seen)), pages) == (152, 152, 4)
        assert len(stage.server.get(f"/_localyun/{route}")[name]) == 100
        one = stage.server.get(f"/_localyun/{route}?domain={stage.domain.upper()}&app=live&stream=s7")
        assert one["total"] == 1 and one[name][0]["stream"] == "s7" and one["next"] is None
        assert stage.server.get(f"/_localyun/{route}?domain=other.example.com")["total"] == 0
        assert stage.server.get(f"/_localyun/{route}?since=2999-01-01T00:00:00Z")["total"] == 0
        assert stage.server.get(f"/_localyun/{route}?since=1970-01-01T00:00:00Z")["total"] == 152
        # A last page that is full is the last one all the same.
        half = stage.server.get(f"/_localyun/{route}?limit=76")
        assert half["next"] and stage.server.get(f"/_localyun/{route}?limit=76&cursor={half['next']}")["next"] is None
        assert stage.server.get(f"/_localyun/{route}?limit=152")["next"] is None
        for bad in ("limit=0", "limit=1001", "limit=x", "since=yesterday", "cursor=x"):
            assert stage.server.control("GET", f"/_localyun/{route}?{bad}")[0] == 400
    # A session by its name, however far back it lies.
    (oldest,) = stage.server.get(f"/_localyun/recordings?domain={stage.domain}&stream=s0")["recordings"]
    found = stage.server.get(f"/_localyun/recordings?session={oldest['session']}")
    assert (found["total"], found["recordings"][0]["stream"]) == (1, "s0")
    assert stage.server.get("/_localyun/recordings?session=nobody")["recordings"] == []


def test_the_journal_is_a_list_too(own_stage):
    stage = own_stage()
    for number in range(5):
        stage.api.call("DescribeLiveRecordConfig", DomainName=f"d{number}.example.com")
    with pytest.raises(ApiError):
        stage.api.call("DescribeLiveRecordNotifyConfig", DomainName="d1.example.com")
    first = stage.server.get("/_localyun/requests?limit=2")
    assert (first["total"], len(first["requests"])) == (6, 2)
    second = stage.server.get(f"/_localyun/requests?limit=9&cursor={first['next']}")
    assert (len(second["requests"]), second["next"]) == (4, None)
    only = stage.server.get("/_localyun/requests?domain=d1.example.com")
    assert (only["total"], {r["action"] for r in only["requests"]}) == (2, {"DescribeLiveRecordConfig", "DescribeLiveRecordNotifyConfig"})
    assert stage.server.get("/_localyun/requests?action=DescribeLiveRecordNotifyConfig")["total"] == 1
    wanted = first["requests"][0]["request_id"]
    assert [r["request_id"] for r in stage.server.get(f"/_localyun/requests?request_id={wanted}")["requests"]] == [wanted]


def test_streams_are_a_list_too(stage):
    publishers = [stage.publisher(stream=f"t{n}") for n in range(3)]
    for publisher in publishers:
        publisher.push(2)
    listed = stage.server.get(f"/_localyun/streams?domain={stage.domain}&limit=2")
    assert (listed["total"], [s["stream"] for s in listed["streams"]]) == (3, ["t0", "t1"])
    rest = stage.server.get(f"/_localyun/streams?domain={stage.domain}&cursor={listed['next']}")
    assert [s["stream"] for s in rest["streams"]] == ["t2"]
    for publisher in publishers:
        stage.end(publisher)


def test_a_signed_address_plays_without_a_key(stage):
    stage.rule("mp4", "m3u8", DelayTime=15)
    stage.push(6)
    stage.advance(16)
    (recording,) = stage.server.get(f"/_localyun/recordings?domain={stage.domain}")["recordings"]
    for file in recording["files"]:
        assert requests.get(file["url"]).status_code == 403
        answer = requests.get(file["signed_url"])
        assert answer.status_code == 200, answer.text
        if file["format"] == "mp4":
            assert len(answer.content) == file["size"] and answer.content[4:8] == b"ftyp"
            part = requests.get(file["signed_url"], headers={"Range": "bytes=0-7"})
            assert (part.status_code, part.content) == (206, answer.content[:8])
        else:
            entry = next(line for line in answer.text.splitlines() if line and not line.startswith("#"))
            place = requests.compat.urljoin(file["signed_url"], entry)
            assert requests.get(place).content[:1] == b"G"
        again = stage.server.get(f"/_localyun/signed?bucket={file['bucket']}&key={requests.utils.quote(file['object'], safe='')}")
        assert requests.get(again["url"]).status_code == 200
    assert stage.server.control("GET", "/_localyun/signed?bucket=x")[0] == 400


def test_probes_and_nodes(server):
    assert server.get("/_localyun/live") == {"status": "live"}
    assert server.get("/_localyun/ready") == {"status": "ready"}
    # Probes ask by HEAD; what would go on without an end is not asked so.
    for path in ("_localyun/health", "_localyun/live", "_localyun/ready", "_localyun/clock", "metrics"):
        answer = requests.head(f"{server.api}/{path}")
        assert (answer.status_code, answer.content) == (200, b"") and int(answer.headers["content-length"]) > 10, path
    assert requests.head(server.api + "/_localyun/events").status_code == 405
    nodes = server.get("/_localyun/nodes")
    assert nodes["total"] == 1 and nodes["nodes"][0]["api"] == server.api


def raw(server, head: str, body: bytes = b"") -> bytes:
    host, port = server.api.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        got = b""
        while chunk := connection.recv(65536):
            got += chunk
        return got


def test_a_strangers_name_leads_to_probes_and_sinks_alone(server):
    def asked(path: str, method: str = "GET") -> int:
        answer = raw(server, f"{method} {path} HTTP/1.1\nHost: rebound.example.com\nContent-Length: 0\nConnection: close")
        return int(answer.split(b" ")[1])

    for path in ("health", "live", "ready"):
        assert asked(f"/_localyun/{path}") == 200
    assert asked("/_localyun/sink/stranger", "POST") == 200
    for path in ("", "/config", "/events", "/wait", "/recordings", "/snapshot", "/sinks/stranger", "/control.openapi.json", "/nothing"):
        assert asked(f"/_localyun{path}") == 403, path
    assert len(server.get("/_localyun/sinks/stranger")["requests"]) == 1


def test_with_a_token_all_but_probes_and_sinks_ask_for_it(own_stage):
    stage = own_stage("--control-token", "word")
    for path, status in (("live", 200), ("ready", 200), ("health", 200), ("sink/x", 200), ("events", 401), ("wait", 401), ("sinks/x", 401), ("nothing", 401)):
        assert requests.get(f"{stage.server.api}/_localyun/{path}").status_code == status, path
    told = requests.get(f"{stage.server.api}/_localyun/recordings").json()["error"]
    assert "LOCALYUN_CONTROL_TOKEN" in told
    assert requests.get(f"{stage.server.api}/_localyun/recordings", headers={"Authorization": "Bearer word"}).status_code == 200


def test_a_browser_at_the_door_is_led_to_the_console(server):
    answer = requests.get(server.api + "/", headers={"Accept": "text/html,application/xhtml+xml"})
    assert answer.status_code == 200 and "/_localyun/ui/" in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    # A client of the API is none, whatever it accepts.
    assert "MissingAction" in requests.get(server.api + "/").text
    answer = requests.get(server.api + "/?Action=DescribeLiveRecordConfig", headers={"Accept": "text/html"})
    assert "/_localyun/ui/" not in answer.text


def test_a_push_that_nothing_records_says_so_once(own_stage):
    stage = own_stage()
    stage.rule("mp4", DelayTime=15)
    for domain, cure in (("push.example.com", "AddLiveDomainMapping PullDomain=" + stage.domain + " PushDomain=push.example.com"), (stage.domain, "AddLiveAppRecordConfig")):
        app = "other" if domain == stage.domain else "live"
        told = {"domain": domain, "app": app, "stream": "s1", "seconds": 2, "speed": 0, "wait": True}
        assert stage.server.control("POST", "/_localyun/streams", told)[0] == 200
        (event,) = stage.server.get(f"/_localyun/wait?kind=record&domain={domain}&app={app}&timeout_s=5")["events"]
        assert event["what"] == "not_recorded" and cure in event["cure"], event
        asked = stage.server.get(f"/_localyun/explain?domain={domain}&app={app}&stream=s1")
        assert (asked["records"], asked["why"], asked["cure"]) == (False, event["why"], event["cure"])
    log = stage.server.log_path.read_text()
    assert log.count("the push is not recorded") == 2
    assert stage.server.control("POST", "/_localyun/streams", {"domain": stage.domain, "stream": "s1", "seconds": 2, "speed": 0, "wait": True})[0] == 200
    (event,) = stage.server.get("/_localyun/wait?kind=record&stream=s1&app=live&domain=" + stage.domain)["events"]
    assert event["what"] == "started" and event["rule"]["app"] == "live"
    assert "the recording begins" in stage.server.log_path.read_text()


def test_calls_of_the_api_still_work_beside(server):
    assert Api(server.api).call("DescribeLiveRecordConfig", DomainName="x.example.com")["TotalNum"] == 0
