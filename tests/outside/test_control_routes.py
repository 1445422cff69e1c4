"""The control plane of the contract: each route, with what it is for."""

import json
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests

from harness.api import Api, ApiError, escape
from harness.publisher import Refused
from harness.server import Server, binary, clean_environment
from harness.stage import wire
from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}


def test_health_and_metrics(server):
    assert server.control("GET", "/_localyun/health")[0] == 200
    status, text = server.control("GET", "/metrics")
    assert status == 200 and isinstance(text, str)
    assert "# TYPE" in text and "localyun" in text


def test_requests_journal(server):
    api = Api(server.api)
    api.call("DescribeLiveRecordConfig", DomainName="journal.example.com")
    with pytest.raises(ApiError):
        api.call("DescribeLiveRecordNotifyConfig", DomainName="journal.example.com")
    newest, before = server.rows("/_localyun/requests?limit=2", "requests")
    assert (newest["action"], before["action"]) == ("DescribeLiveRecordNotifyConfig", "DescribeLiveRecordConfig")
    assert "InvalidConfig.NotFound" in json.dumps(newest)
    assert "journal.example.com" in json.dumps(before) and "testid" in json.dumps(before)
    assert "testsecret" not in json.dumps(server.rows("/_localyun/requests?limit=100", "requests"))


def test_a_request_that_is_too_long_is_in_the_journal_too(server):
    answer = requests.post(f"{server.api}/?Action=AddLiveDomain&Version=2016-11-01", data=b"x" * (2 << 20), timeout=30)
    assert answer.status_code == 413
    (newest,) = server.rows("/_localyun/requests?limit=1", "requests")
    assert (newest["action"], newest["status"], newest["verdict"]) == ("AddLiveDomain", 413, "refused")
    assert newest["request_id"] == answer.json()["RequestId"]


def test_the_journal_tells_who_asked_a_neighbour(server):
    api = Api(server.api)
    flat = api.signed("GetCallerIdentity", Version="2015-04-01")
    assert api.send("GET", "/?" + "&".join(f"{escape(k)}={escape(v)}" for k, v in flat.items()))[0] == 200
    (newest,) = server.rows("/_localyun/requests?limit=1", "requests")
    assert (newest["action"], newest["verdict"], newest["caller"]) == ("GetCallerIdentity", "ok", "testid")


def test_streams(stage):
    publisher = stage.publisher()
    publisher.push(4)
    (row,) = [row for row in stage.server.streams() if row["domain"] == stage.domain]
    assert (row["app"], row["stream"]) == ("live", "s1")
    assert "h264" in json.dumps(row).lower() and "aac" in json.dumps(row).lower()
    stage.end(publisher)


def test_publish_and_end_a_stream_with_no_client(stage):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    wanted = {"domain": stage.domain, "app": "live", "stream": "s1", "seconds": 12, "speed": 0}
    status, body = stage.server.control("POST", "/_localyun/streams", wanted)
    assert 200 <= status < 300, body
    wait_for(lambda: not stage.server.is_live(stage.domain, "live", "s1"), what="the end of the push")
    stage.advance(16)
    assert stage.wait_files(1)[0]["duration"] == pytest.approx(12, abs=0.5)


def test_end_a_publisher(stage):
    publisher = stage.publisher()
    publisher.push(2)
    path = f"/_localyun/streams/{stage.domain}/live/s1"
    assert 200 <= stage.server.control("DELETE", path)[0] < 300
    wait_for(publisher.closed.is_set, what="the end of the connection")
    stage.wait_gone(publisher)
    assert stage.server.control("DELETE", path)[0] == 404


def test_recordings_and_callbacks(stage):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(6)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert event["uri"] in json.dumps(stage.server.get("/_localyun/recordings"))
    (row,) = [row for row in stage.server.rows("/_localyun/callbacks?limit=100", "callbacks") if stage.inbox.url in json.dumps(row)]
    assert 200 <= stage.server.control("POST", f"/_localyun/callbacks/{row['id']}/replay")[0] < 300
    wait_for(lambda: len(stage.inbox.requests) == 2, what="the callback once more")
    first, second = stage.inbox.requests
    assert first.body == second.body
    assert stage.server.control("POST", "/_localyun/callbacks/nosuchid/replay")[0] in (400, 404)


def test_clock(stage):
    before = stage.now()
    stage.advance(3600)
    assert 3600 <= (stage.now() - before).total_seconds() < 3610
    for body in ({"seconds": -1}, {"seconds": "x"}, {}, {"seconds": 1e300}):
        assert stage.server.control("POST", "/_localyun/clock/advance", body)[0] == 400


def test_explain(stage):
    assert stage.domain in json.dumps(stage.explain())
    stage.rule("mp4", app="*", stream="*")
    stage.rule("flv", app="live")
    text = json.dumps(stage.explain())
    assert "live" in text and "flv" in text
    assert json.dumps(stage.explain(app="other")) != text


@pytest.fixture
def faults(server):
    """Arms a fault and always disarms it; the test fails when the fault never struck."""
    armed = []

    def arm(fault: dict) -> None:
        status, body = server.control("PUT", "/_localyun/faults", fault)
        assert 200 <= status < 300, body
        armed.append(fault)

    yield arm
    struck = {fault["at"]: fault["struck"] for fault in server.rows("/_localyun/faults", "faults")}
    assert struck == {fault["at"]: fault["first"] for fault in armed}
    assert 200 <= server.control("DELETE", "/_localyun/faults")[0] < 300


def test_fault_in_an_action(server, faults):
    api = Api(server.api)
    faults({"at": "api:DescribeLiveRecordConfig", "first": 2, "code": "ServiceUnavailable"})
    for turn in range(3):
        query = "&".join(f"{k}={escape(v)}" for k, v in api.signed("DescribeLiveRecordConfig", DomainName="fault.example.com").items())
        status, headers, body = api.send("GET", f"/?{query}")
        if turn < 2:
            assert status == 503 and json.loads(body)["Code"] == "ServiceUnavailable"
            assert "x-localyun-fault" in headers
        else:
            assert status == 200 and "x-localyun-fault" not in headers


def test_fault_in_the_upload(stage, faults):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    faults({"at": "object-put", "first": 2, "code": "InternalError"})
    stage.push(6)
    began = time.monotonic()
    stage.advance(16)
    stage.advance(120)
    assert time.monotonic() - began < 10, "the retries wait for the service clock, which advance moves"
    (event,) = stage.wait_files(1)
    assert stage.bucket.keys() == [event["uri"]]


def test_fault_in_a_callback(stage, faults):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    faults({"at": "callback", "first": 2, "code": "503"})
    stage.push(6)
    stage.advance(16)
    stage.advance(10)
    stage.wait_files(1)


def test_fault_at_the_ingest(stage, faults):
    faults({"at": "ingest", "first": 1, "code": "NetStream.Publish.Denied"})
    with pytest.raises((Refused, ConnectionError)):
        stage.publisher().push(1)
    stage.push(1)


def test_what_is_armed_can_be_put_back(server):
    assert server.control("PUT", "/_localyun/faults", {"at": "ingest", "first": 1, "code": "x"})[0] == 200
    told = server.get("/_localyun/faults")
    # One object adds to what is armed, a list takes its place.
    assert server.control("PUT", "/_localyun/faults", {"at": "store", "delay_ms": 1})[0] == 200
    assert len(server.rows("/_localyun/faults", "faults")) == 2
    told["faults"][0]["struck"] = 7
    assert server.control("PUT", "/_localyun/faults", told)[0] == 200
    assert server.rows("/_localyun/faults", "faults") == [{"at": "ingest", "first": 1, "code": "x", "struck": 0}]
    server.control("DELETE", "/_localyun/faults")


def test_fault_at_the_store_that_an_action_meets(stage, faults):
    stage.rule(M3U8, DelayTime=15)
    stage.notify()
    stage.push(12)
    stage.advance(16)
    stage.wait_files(1)
    faults({"at": "store", "first": 1, "code": "InternalError"})
    now = stage.now()
    query = stage.api.signed(
        "CreateLiveStreamRecordIndexFiles",
        DomainName=stage.domain,
        AppName="live",
        StreamName="s1",
        OssEndpoint="oss-cn-shanghai.aliyuncs.com",
        OssBucket=stage.bucket.name,
        OssObject="clip.m3u8",
        StartTime=wire(now - timedelta(hours=1)),
        EndTime=wire(now + timedelta(hours=1)),
    )
    status, headers, _ = stage.api.send("GET", "/?" + "&".join(f"{k}={escape(v)}" for k, v in query.items()))
    assert (status, headers["x-localyun-fault"]) == (500, "store")
    assert stage.server.rows("/_localyun/requests?limit=1", "requests")[0]["fault"] is True


@pytest.mark.parametrize("at", ["store", "object-put"])
def test_fault_that_only_delays(stage, faults, at):
    stage.s3.create_bucket(Bucket=stage.bucket.name)
    faults({"at": at, "first": 1, "delay_ms": 300})
    began = time.monotonic()
    stage.s3.put_object(Bucket=stage.bucket.name, Key="x", Body=b"x")
    assert time.monotonic() - began >= 0.3
    assert stage.s3.get_object(Bucket=stage.bucket.name, Key="x")["Body"].read() == b"x"


def test_pages_of_other_sites_are_refused(server):
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        for method, path in (("GET", "/_localyun/config"), ("POST", "/_localyun/reset"), ("GET", "/_localyun/health"), ("GET", "/metrics")):
            answer = requests.request(method, server.api + path, headers=headers)
            assert answer.status_code == 403 and "other sites" in answer.json()["error"]
    assert requests.get(server.api + "/_localyun/config", headers={"Origin": server.api, "Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_the_token_is_for_the_metrics_too(own_stage):
    server = own_stage("--control-token", "word").server
    assert requests.get(server.api + "/metrics").status_code == 401
    answer = requests.get(server.api + "/metrics", headers={"Authorization": "Bearer word"})
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.text.endswith("# EOF\n")


def test_the_name_of_a_scheme_has_no_case(own_stage):
    server = own_stage("--control-token", "word").server
    for value, status in (("bearer word", 200), ("BEARER  word", 200), ("Bearer wor", 401), ("Bearer", 401), ("Basic word", 401), ("word", 401), ("Bearerword", 401)):
        assert requests.get(server.api + "/_localyun/config", headers={"Authorization": value}).status_code == status, value


def test_a_body_that_a_route_does_not_take_changes_nothing(server):
    armed = server.control("PUT", "/_localyun/faults", {"at": "store", "delay_ms": 1})[1]["faults"]
    for body in (b'{"domain": "zzz.com"}', b"junk", b"[]"):
        for method, path in (("POST", "/_localyun/reset"), ("DELETE", "/_localyun/faults")):
            answer = requests.request(method, server.api + path, data=body)
            assert answer.status_code == 400 and f"{method} {path} takes no body" in answer.json()["error"], answer.text
    assert server.get("/_localyun/faults")["faults"] == armed
    for body in (b"", b"{}", b" {}\n"):
        assert requests.request("DELETE", server.api + "/_localyun/faults", data=body).status_code == 200


def test_names_beside_a_list_of_faults_are_refused(server):
    armed = server.control("PUT", "/_localyun/faults", {"at": "store", "delay_ms": 1})[1]["faults"]
    for beside in ({"nonsense": 1}, {"at": "store", "code": "X"}):
        status, told = server.control("PUT", "/_localyun/faults", {"faults": []} | beside)
        assert status == 400 and f'"{next(iter(beside))}"' in told["error"], told
    assert server.get("/_localyun/faults")["faults"] == armed
    assert server.control("DELETE", "/_localyun/faults")[0] == 200


def test_a_clip_for_an_ingest_domain_is_published_to_the_domain_that_it_is_mapped_to(own_stage):
    stage = own_stage()
    push = "push-" + stage.domain
    stage.api.call("AddLiveDomainMapping", PullDomain=stage.domain, PushDomain=push)
    began = time.monotonic()
    status, told = stage.server.control("POST", "/_localyun/streams", {"domain": push.upper(), "stream": "s1", "clip": "h264_aac"})
    assert (status, told) == (200, {"publishing": f"{stage.domain}/live/s1"}) and time.monotonic() - began < 8
    (live,) = stage.server.get("/_localyun/streams")["streams"]
    assert (live["domain"], live["ingest_domain"]) == (stage.domain, push)
    again = stage.server.control("POST", "/_localyun/streams", {"domain": push, "stream": "s1"})
    assert again[0] == 409 and f"{stage.domain}/live/s1" in again[1]["error"]
    status, told = stage.server.control("DELETE", f"/_localyun/streams/{push}/live/s1")
    assert (status, told) == (200, {"ended": f"{stage.domain}/live/s1"})
    for name in ("play.example.com:80", "rtmp://play.example.com", "a b", ""):
        status, told = stage.server.control("POST", "/_localyun/streams", {"domain": name, "stream": "s2", "seconds": 1})
        assert status == 400 and "no domain name" in told["error"], (name, told)


def test_a_sink_sends_no_body_where_the_status_has_none(server):
    for status in (204, 205, 304):
        refused = server.control("PUT", "/_localyun/sinks/bare", {"status": status, "body": "x"})
        assert refused[0] == 400 and f"status {status} has no body" in refused[1]["error"], refused
        assert server.control("PUT", "/_localyun/sinks/bare", {"status": status})[0] == 200
        with requests.Session() as session:
            for _ in range(2):
                assert session.post(server.api + "/_localyun/sink/bare", data=b"x").status_code == status
    assert server.control("DELETE", "/_localyun/sinks/bare")[0] == 200


def test_a_wait_that_the_end_of_the_service_cuts_short_says_so():
    with Server() as server, ThreadPoolExecutor() as pool:
        asked = pool.submit(requests.get, server.api + "/_localyun/wait?kind=file&timeout_s=60", timeout=70)
        tool = subprocess.Popen([binary(), "wait", "file", "--timeout", "60"], stderr=subprocess.PIPE, text=True, env=clean_environment() | {"LOCALYUN_ENDPOINT": server.api})
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        answer = asked.result()
        assert answer.status_code == 503 and answer.json()["error"] == "the service stops; 0 of 1 such events have happened"
        assert answer.json()["count"] == 0
        _, told = tool.communicate(timeout=30)
        assert tool.returncode == 1 and "the service stops" in told and "60 s" not in told, told


def test_a_wrong_method_learns_the_right_ones(server):
    answer = requests.post(server.api + "/_localyun/snapshot")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT")


def test_advance_takes_no_unknown_field(server):
    assert server.control("POST", "/_localyun/clock/advance", {"seconds": 0, "minutes": 1})[0] == 400
    assert server.control("POST", "/_localyun/clock/advance", {"second": 1})[0] == 400


def test_the_scheme_of_a_refused_request_is_told(server):
    with pytest.raises(ApiError):
        Api(server.api, secret="wrong").call("DescribeLiveRecordConfig", DomainName="d.example.com")
    assert server.rows("/_localyun/requests?limit=1", "requests")[0]["scheme"] in ("V1", "ACS3")
    requests.get(server.api + "/?Action=DescribeLiveRecordConfig&Version=2016-11-01")
    assert server.rows("/_localyun/requests?limit=1", "requests")[0]["scheme"] == "none"


def test_unknown_fault_is_refused(server):
    for fault in ({"at": "moon"}, {"first": 1}, {"at": "api:NoSuchAction"}, "x"):
        assert server.control("PUT", "/_localyun/faults", fault)[0] == 400


def test_coverage_and_config(server):
    text = json.dumps(server.get("/_localyun/coverage"))
    assert "AddLiveAppRecordConfig" in text and "RealTimeRecordCommand" in text
    config = json.dumps(server.get("/_localyun/config"))
    assert "data" in config and "testsecret" not in config


def test_unknown_route_and_method(server):
    assert server.control("GET", "/_localyun/nothing")[0] == 404
    assert server.control("DELETE", "/_localyun/health")[0] in (404, 405)


def test_snapshot_and_reset(own_stage):
    stage = own_stage()
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(6)
    stage.advance(16)
    stage.wait_files(1)
    snapshot = stage.server.get("/_localyun/snapshot")
    assert stage.domain in json.dumps(snapshot)
    assert 200 <= stage.server.control("POST", "/_localyun/reset")[0] < 300
    assert stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["TotalNum"] == 0
    assert stage.server.rows("/_localyun/callbacks?limit=10", "callbacks") == []
    assert stage.s3.list_buckets()["Buckets"] == [] or stage.bucket.all_keys() == []
    status, body = stage.server.control("PUT", "/_localyun/snapshot", snapshot)
    assert 200 <= status < 300, body
    assert stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["TotalNum"] == 1
    assert stage.api.call("DescribeLiveRecordNotifyConfig", DomainName=stage.domain)["LiveRecordNotifyConfig"]["NotifyUrl"] == stage.inbox.url


def spools(stage) -> list[str]:
    """The sessions of which something lies on disk."""
    return [entry.name for entry in (stage.server.data_dir / "spool").iterdir()]


@pytest.mark.parametrize("at", ["object-put", "callback"])
def test_a_reset_forgets_what_rests_between_two_tries(own_stage, at):
    """An upload and a callback that a fault holds up do not come about in the clean cloud, whatever is set up there."""
    stage = own_stage("--clock", "frozen")

    def set_up() -> None:
        stage.bucket.create()
        stage.rule({"Format": "m3u8", "SliceDuration": 5}, "mp4", DelayTime=15)
        stage.notify(NeedStatusNotify="true")

    set_up()
    assert stage.server.control("PUT", "/_localyun/faults", {"at": at, "code": "InternalError"})[0] == 200
    stage.push(12)
    stage.advance(16)
    assert bool(spools(stage)) == (at == "object-put")
    assert stage.server.rows("/_localyun/callbacks", "callbacks")
    came = len(stage.inbox.requests)
    assert stage.server.control("POST", "/_localyun/reset")[0] == 200
    assert spools(stage) == []
    set_up()
    stage.advance(600)
    assert stage.server.rows("/_localyun/recordings", "recordings") == []
    assert stage.server.rows("/_localyun/callbacks", "callbacks") == []
    assert stage.server.control("GET", "/_localyun/wait?kind=file,slice,callback,record&timeout_s=0")[0] == 408
    assert len(stage.inbox.requests) == came
    assert (stage.bucket.keys(), spools(stage)) == ([], [])
    stage.push(6)
    stage.advance(16)
    assert len(stage.server.rows("/_localyun/recordings", "recordings")) == 1
    assert len(stage.bucket.keys(".mp4")) == 1


def test_a_snapshot_takes_the_place_of_what_is_within_its_delay(own_stage, tmp_path):
    stage = own_stage(data_dir=tmp_path / "data")
    stage.rule("mp4", DelayTime=60)
    before = stage.server.get("/_localyun/snapshot")
    stage.push(6)
    assert len(spools(stage)) == 1
    assert stage.server.control("PUT", "/_localyun/snapshot", before)[0] == 200
    assert spools(stage) == []
    stage.advance(600)
    assert stage.server.get("/_localyun/snapshot") == before
    stage.server.process.terminate()
    stage.server.process.wait(20)
    with Server(data_dir=tmp_path / "data") as again:
        assert again.get("/_localyun/snapshot") == before
        again.advance(600)
        assert again.get("/_localyun/snapshot") == before


def test_a_seed_that_is_put_again_changes_nothing(own_stage, tmp_path):
    stage = own_stage()
    stage.rule("mp4", DelayTime=15)
    stage.push(6)
    stage.advance(0)
    stage.api.call("ForbidLiveStream", DomainName=stage.domain, AppName="live", StreamName="s2", LiveStreamType="publisher")
    early = stage.server.get("/_localyun/snapshot")
    assert (len(early["controls"]), early["sessions"][0]["state"]) == (1, "paused")
    stage.advance(16)
    now = stage.server.get("/_localyun/snapshot")
    assert (now["controls"], now["sessions"][0]["state"]) == (early["controls"], "ended")
    for _ in range(2):
        assert stage.server.control("POST", "/_localyun/seed", early)[0] == 200
        assert stage.server.get("/_localyun/snapshot") == now
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps(now))
    for _ in range(2):
        with Server("--seed", str(seed), data_dir=tmp_path / "seeded") as server:
            seeded = server.get("/_localyun/snapshot")
            for part in ("controls", "sessions", "slices", "files", "pushes"):
                assert seeded[part] == now[part]


def test_broken_snapshot_changes_nothing(own_stage):
    stage = own_stage()
    stage.rule("mp4")
    for broken in ({"rules": "x"}, [], "x"):
        assert stage.server.control("PUT", "/_localyun/snapshot", broken)[0] == 400
    assert stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["TotalNum"] == 1


def test_seed_and_declared_domains(own_stage, tmp_path):
    first = own_stage()
    first.rule("mp4", stream="seeded")
    seed = tmp_path / "seed.json"
    snapshot = first.server.get("/_localyun/snapshot")
    snapshot["domains"] = [{"domain": first.domain, "kind": "liveVideo"}]
    seed.write_text(json.dumps(snapshot))
    second = own_stage("--seed", str(seed), "--domains", "declared")
    assert second.api.call("DescribeLiveRecordConfig", DomainName=first.domain)["TotalNum"] == 1
    with pytest.raises(ApiError) as error:
        second.rule("mp4")
    assert (error.value.status, error.value.code) == (404, "InvalidDomain.NotFound")


def test_existing_buckets(own_stage):
    stage = own_stage("--buckets", "existing")
    with pytest.raises(ApiError) as error:
        stage.api.call("AddLiveAppRecordConfig", **stage.rule_parameters([M3U8]) | {"OssBucket": "no-such-bucket"})
    assert (error.value.status, error.value.code) == (400, "InvalidOssBucket.NotFound")
    stage.rule(M3U8)


def test_auth_off(own_stage):
    stage = own_stage("--auth", "off")
    status, headers, _ = stage.api.send("GET", f"/?Action=DescribeLiveRecordConfig&Version=2016-11-01&Format=JSON&DomainName={stage.domain}")
    assert status == 200 and headers["x-localyun-auth"]
    long = requests.post(stage.server.api + "/", data=b"x" * (2 << 20))
    assert (long.status_code, long.headers["x-localyun-auth"]) == (413, "off")
    assert requests.put(stage.server.api + "/").headers["x-localyun-auth"] == "off"


def own_address() -> str:
    """An address of this machine that is no loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the system chooses the address from which it would be.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its loopback one")
        return probe.getsockname()[0]


def test_this_machine_is_this_machine_by_its_own_address_too(tmp_path):
    """Without a token callers of this machine are answered, also where they ask by the address that the port is bound to."""
    address = own_address()
    for flag, scheme in (("--api-addr", "api"), ("--tls-addr", "tls")):
        with Server(flag, f"{address}:0", data_dir=tmp_path / scheme) as server:
            base = server.ready[scheme]
            answer = requests.get(f"{base}/_localyun/clock", timeout=20, verify=False)
            assert answer.status_code == 200, answer.text
            # A name that leads here is a stranger's all the same.
            assert requests.get(f"{base}/_localyun/clock", timeout=20, verify=False, headers={"Host": "evil.example.com"}).status_code == 403


def test_a_seed_needs_only_what_a_call_needs(own_stage):
    stage = own_stage()
    seed = {
        "domains": [{"domain": stage.domain, "kind": "liveVideo", "region": "cn-shanghai"}],
        "forbidden": [{"domain": stage.domain, "app": "live", "stream": "banned"}],
        "rules": [{"domain": stage.domain, "app": "t", "oss_endpoint": "oss-cn-shanghai.aliyuncs.com", "oss_bucket": stage.bucket.name, "transcode_formats": [{"format": "mp4"}]}],
    }
    status, answer = stage.server.control("POST", "/_localyun/seed", seed)
    assert status == 200, answer
    detail = stage.api.call("DescribeLiveDomainDetail", DomainName=stage.domain)["DomainDetail"]
    assert detail["GmtCreated"][:4] == str(stage.now().year) and detail["Scope"] == "domestic"
    with pytest.raises(Refused) as refused:
        stage.publisher("banned")
    assert "is forbidden until" in refused.value.description


def test_other_methods_of_a_console_route_are_told(server):
    for path in ("/_localyun/ui/object?bucket=b&key=k", "/_localyun/ui/play?bucket=b&key=k"):
        answer = requests.post(f"{server.api}{path}", timeout=20)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET"), answer.text
        assert requests.head(f"{server.api}{path}", timeout=20).status_code == 405


def test_our_own_calls_are_signed_by_the_first_key_that_counts(tmp_path):
    with Server("--access-keys", "old:x:disabled,new:y:tok", data_dir=tmp_path / "keys") as server:
        status, answer = server.control("POST", "/_localyun/call", {"action": "DescribeLiveRecordConfig", "params": {"DomainName": "d.example.com"}})
        assert (status, answer["status"]) == (200, 200), answer
        environment = clean_environment() | {"LOCALYUN_ACCESS_KEYS": "old:x:disabled,new:y:tok"}
        command = [str(binary()), "call", "DescribeLiveRecordConfig", "DomainName=d.example.com", "--endpoint", server.api]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, done.stderr
