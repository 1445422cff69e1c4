"""Calls that go through to another endpoint of the API: which, how they are signed, what comes back, and what the journal says."""

import json
import re
import subprocess
import time

import pytest
from harness.api import Api, ApiError
from harness.server import Server, binary, clean_environment
from upstreams import KEY, PLANTED, SECRET, Told, answer, forwarding, pair, saying

DOMAIN = "play.example.com"
RULE = {"DomainName": DOMAIN, "AppName": "live", "OssBucket": "recordings", "OssEndpoint": "oss-cn-shanghai.aliyuncs.com", "RecordFormat": [{"Format": "mp4"}]}


@pytest.fixture(scope="module")
def all_of_it():
    with pair("all") as both:
        yield both


@pytest.fixture(scope="module")
def rest_of_it():
    with pair("unimplemented") as both:
        yield both


def tool(server: Server, action: str, *words: str) -> subprocess.CompletedProcess:
    """`localyun call`, which signs the headers, or with --v1 the parameters."""
    command = [str(binary()), "call", action, *words, "--endpoint", server.api]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60)


def raw(server: Server, action: str, method: str = "GET", secret: str = "testsecret", **params: object) -> tuple[int, dict, bytes]:
    """One call signed in the parameters, in the query or in a form."""
    api = Api(server.api, secret=secret)
    flat = api.signed(action, method, **params)
    from urllib.parse import urlencode

    if method == "GET":
        return api.send("GET", "/?" + urlencode(flat))
    return api.send("POST", "/", urlencode(flat).encode(), {"Content-Type": "application/x-www-form-urlencoded"})


def journal(server: Server, **wanted: object) -> dict:
    """The newest entry."""
    query = "".join(f"&{name}={value}" for name, value in wanted.items())
    return server.rows(f"/_localyun/requests?limit=1{query}", "requests")[0]


def rules(server: Server) -> int:
    return len(server.get("/_localyun/snapshot")["rules"])


@pytest.mark.parametrize("scheme", [[], ["--v1"]], ids=["acs3", "v1"])
def test_every_call_is_answered_by_the_upstream_in_both_schemes(all_of_it, scheme):
    gateway, behind = all_of_it
    before = rules(behind)
    app = "acs3" if not scheme else "v1"
    made = tool(gateway, "AddLiveAppRecordConfig", *(f"{k}={v}" for k, v in {**RULE, "AppName": app}.items() if k != "RecordFormat"), "RecordFormat.1.Format=mp4", *scheme)
    assert made.returncode == 0, made.stderr
    assert (rules(behind), rules(gateway)) == (before + 1, 0)
    # The signature was made anew: the upstream knows no other key.
    entry = journal(behind)
    assert (entry["caller"], entry["scheme"]) == (KEY, "ACS3" if not scheme else "V1")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("form", ["JSON", "XML"])
def test_status_body_and_form_are_the_upstreams(all_of_it, method, form):
    gateway, behind = all_of_it
    for action, params, status in (
        ("DescribeLiveRecordConfig", {"DomainName": DOMAIN}, 200),
        ("DescribeLiveRecordNotifyConfig", {"DomainName": "none.example.com"}, 404),
        ("DescribeLiveRecordConfig", {}, 400),
        ("NoSuchAction", {"Ä b": "ü+/%"}, 404),
    ):
        got, headers, body = raw(gateway, action, method, Format=form, **params)
        assert got == status, body
        assert headers["x-localyun-upstream"] == behind.api
        text = body.decode()
        assert text.startswith("{" if form == "JSON" else "<?xml"), text
        # The id that the caller sees is the upstream's, and both journals know it.
        request_id = headers["x-acs-request-id"]
        assert request_id in text
        for server in (gateway, behind):
            assert journal(server, request_id=request_id)["action"] == action


def test_the_callers_own_signature_is_checked_first_and_looked_into(all_of_it):
    gateway, behind = all_of_it
    seen = len(behind.rows("/_localyun/requests?limit=1000", "requests"))
    status, headers, body = raw(gateway, "DescribeLiveRecordConfig", secret="testsecret ", DomainName=DOMAIN)
    assert (status, json.loads(body)["Code"]) == (400, "SignatureDoesNotMatch")
    assert "x-localyun-upstream" not in headers
    entry = journal(gateway)
    assert "signature" in entry and "upstream" not in entry, entry
    assert len(behind.rows("/_localyun/requests?limit=1000", "requests")) == seen


def test_the_journal_says_where_a_call_went_and_what_did_not_fit(all_of_it):
    gateway, behind = all_of_it
    raw(gateway, "DescribeLiveRecordNotifyConfig", DomainName="none.example.com", Misspelt="1")
    entry = journal(gateway)
    went = entry["upstream"]
    assert (entry["verdict"], entry["status"], entry["code"]) == ("refused", 404, "InvalidConfig.NotFound")
    assert (went["to"], went["status"], went["code"], went["failure"]) == (behind.api, 404, "InvalidConfig.NotFound", None)
    assert went["took_us"] > 0 and went["bytes"] > 0
    assert went["findings"] == ["Misspelt is no parameter of the action"]
    raw(gateway, "DescribeLiveRecordConfig")
    assert any("DomainName" in finding for finding in journal(gateway)["upstream"]["findings"])


def test_an_answer_that_does_not_fit_the_spec_is_passed_on_and_noted(tmp_path):
    body = b'{"RequestId": "R-1", "PageNum": "one", "Strange": {"a": [1, 2]}}'
    with Told(saying(answer(body, more=("X-Acs-Request-Id: R-1", "X-Other: no")))) as told, Server(*forwarding(told.url)) as gateway:
        status, headers, got = raw(gateway, "DescribeLiveRecordConfig", DomainName=DOMAIN)
        assert (status, got) == (200, body)
        assert headers["x-acs-request-id"] == "R-1" and "x-other" not in headers
        assert journal(gateway)["upstream"]["findings"] == ["answer: PageNum is no int32", "answer: Strange is not in the spec"]
        request = told.requests[0].decode()
        assert "x-localyun-via: " in request.lower() and "testid" not in request


def test_what_is_implemented_stays_here_and_the_rest_goes_out(rest_of_it):
    gateway, behind = rest_of_it
    Api(gateway.api).call("AddLiveAppRecordConfig", **RULE)
    assert (rules(gateway), rules(behind)) == (1, 0)
    # Known and not implemented, declined, and unknown ones.
    for action, params in (("DescribeLiveSnapshotConfig", {"DomainName": DOMAIN}), ("StartCaster", {"CasterId": "c"}), ("NoSuchAction", {})):
        status, headers, body = raw(gateway, action, **params)
        assert headers["x-localyun-upstream"] == behind.api, body
        assert journal(behind)["action"] == action
    status, headers, _ = raw(gateway, "DescribeLiveRecordConfig", DomainName=DOMAIN)
    assert status == 200 and "x-localyun-upstream" not in headers


def test_deleting_is_not_forwarded_by_itself_and_lists_say_what_is():
    with pair("all", "--upstream-allow", "Describe*,Delete*") as (gateway, behind):
        for action in ("DeleteLiveAppRecordConfig", "BatchDeleteLiveDomainConfigs", "AddLiveAppRecordConfig", "deleteLiveDomain"):
            status, _, body = raw(gateway, action, DomainName=DOMAIN)
            said = json.loads(body)
            assert (status, said["Code"]) == (403, "Forbidden"), (action, said)
            assert "--upstream-refuse" in said["Message"]
            assert "not forwarded" in journal(gateway)["upstream"]["failure"]
        assert raw(gateway, "DescribeLiveRecordConfig", DomainName=DOMAIN)[0] == 200
        assert len(behind.rows("/_localyun/requests?limit=10", "requests")) == 1
    with pair("unimplemented", "--upstream-refuse", "*Snapshot*") as (gateway, behind):
        status, headers, body = raw(gateway, "DescribeLiveSnapshotConfig", DomainName=DOMAIN)
        assert json.loads(body)["Code"] == "ActionNotImplemented" and "x-localyun-upstream" not in headers


def test_nothing_goes_out_unless_it_is_switched_on():
    with Told(saying(answer(b"{}"))) as told:
        flags = ("--upstream", told.url, "--upstream-access-key", "a:b")
        with Server(*flags) as server:
            assert raw(server, "DescribeLiveSnapshotConfig", DomainName=DOMAIN)[0] == 400
            assert "--upstream-mode is off" in server.log_tail()
        assert told.requests == []
        with Server(*flags, "--upstream-mode", "unimplemented") as server:
            assert f"forwarded to {told.url}, signed anew" in server.log_tail()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--upstream-mode", "all"), "--upstream-mode: all needs --upstream"),
        (("--upstream-mode", "al"), "--upstream-mode: \"al\" is none of off, unimplemented, all, replay"),
        (("--upstream-mode", "replay"), "--upstream-mode: replay needs --cassette"),
        (("--upstream", "http://h", "--upstream-mode", "all"), "--upstream-access-key: is needed"),
        (("--upstream-access-key", "a:b"), "--upstream-access-key: is of no use without --upstream"),
        (("--upstream", "http://h", "--upstream-access-key", "hush"), "--upstream-access-key: must be ID:SECRET"),
        (("--upstream", "h:80"), "--upstream: "),
        (forwarding("http://h", "all", "--upstream-ca-file", "/nowhere"), "--upstream-ca-file: /nowhere: No such file"),
        (forwarding("http://h", "all", "--cassette", "/proc/cassette"), "--cassette: /proc/cassette: "),
        (("--upstream-mode", "replay", "--cassette", "/nowhere"), "--cassette: /nowhere: No such file"),
    ],
)
def test_settings_that_mean_nothing_are_refused_in_one_line(flags, said, tmp_path):
    with pytest.raises(RuntimeError) as refused:
        Server(*flags, data_dir=tmp_path / "data")
    message = str(refused.value)
    assert "ended with 2" in message and said in message, message
    assert "hush" not in message and SECRET not in message


def test_settings_come_from_the_environment_and_the_file_too(tmp_path):
    with Told(saying(answer(b"{}"))) as told:
        environment = {"LOCALYUN_UPSTREAM": told.url, "LOCALYUN_UPSTREAM_ACCESS_KEY": f"{KEY}:{SECRET}", "LOCALYUN_UPSTREAM_MODE": "all"}
        with Server(environment=environment) as server:
            assert raw(server, "DescribeLiveRecordConfig")[2] == b"{}"
        file = tmp_path / "localyun.toml"
        file.write_text(f'upstream = "{told.url}"\nupstream_access_key = "{KEY}:{SECRET}"\nupstream_mode = "all"\nupstream_timeout = "5s"\n')
        with Server("--config", str(file)) as server:
            assert raw(server, "DescribeLiveRecordConfig")[2] == b"{}"
            shown = {row["name"]: row["value"] for row in server.rows("/_localyun/config", "settings")}
            assert (shown["upstream-access-key"], shown["upstream"], shown["upstream-timeout"]) == ("***", told.url, "5s")


def test_a_way_that_leads_back_is_refused_at_the_start_or_with_the_call():
    free = subprocess.run(["python3", "-c", "import socket; s=socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"], capture_output=True, text=True, check=True).stdout.strip()
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(RuntimeError, match="is this server itself"):
            Server("--api-addr", f"127.0.0.1:{free}", *forwarding(f"http://{host}:{free}", key="testid:testsecret"))
    # Two that lead to one another.
    with (
        Server(*forwarding(f"http://127.0.0.1:{free}", key="testid:testsecret")) as second,
        Server("--api-addr", f"127.0.0.1:{free}", *forwarding(second.api, key="testid:testsecret")) as first,
    ):
        began = time.monotonic()
        with pytest.raises(ApiError) as refused:
            Api(first.api).call("DescribeLiveRecordConfig", DomainName=DOMAIN)
        assert (refused.value.status, refused.value.code) == (503, "ServiceUnavailable")
        assert "the call came back here" in refused.value.message
        assert time.monotonic() - began < 5


def test_the_metrics_count_what_went_out(all_of_it):
    gateway, _ = all_of_it
    raw(gateway, "DescribeLiveRecordConfig", DomainName=DOMAIN)
    raw(gateway, "DescribeLiveRecordConfig")
    text = gateway.control("GET", "/metrics")[1]
    for name in ('localyun_upstream_calls_total{result="answered"}', 'localyun_upstream_calls_total{result="refused"}', "localyun_upstream_seconds_count"):
        found = re.search(rf"^{re.escape(name)} (\d+)$", text, re.M)
        assert found and int(found[1]) >= 1, text


def test_faults_strike_and_events_tell_of_forwarded_calls(all_of_it):
    gateway, behind = all_of_it
    gateway.control("PUT", "/_localyun/faults", {"at": "api:DescribeLiveRecordConfig", "first": 1, "code": "Throttling"})
    status, headers, _ = raw(gateway, "DescribeLiveRecordConfig", DomainName=DOMAIN)
    assert headers["x-localyun-fault"] == "api:DescribeLiveRecordConfig" and status == 400
    raw(gateway, "DescribeLiveRecordConfig", DomainName=DOMAIN)
    status, told = gateway.control("GET", "/_localyun/wait?kind=call&count=2&timeout_s=5")
    assert status == 200
    assert told["events"][-1]["data"]["upstream"] == behind.api if "data" in told["events"][-1] else told["events"][-1]["upstream"] == behind.api


def test_the_upstreams_refusal_of_our_key_is_not_the_callers_fault():
    with Server() as behind, Server(*forwarding(behind.api)) as gateway:
        status, headers, body = raw(gateway, "DescribeLiveRecordConfig", DomainName=DOMAIN)
        said = json.loads(body)
        assert (status, said["Code"]) == (503, "ServiceUnavailable")
        assert "does not take the key of --upstream-access-key: InvalidAccessKeyId.NotFound" in said["Message"]
        assert all(word not in body.decode() for word in PLANTED)
