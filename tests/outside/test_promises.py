"""What docs/upgrading.md promises not to change within 0.x without a line of the change log: names of settings and subcommands, defaults,
routes, exit statuses, the ready line. Written from the outside alone; whoever has to change this file changes what users rely on."""

import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from harness.api import Api
from harness.publisher import Publisher, Refused
from harness.server import Server, binary, clean_environment

#: Settings of `serve` with their defaults; None: there is none.
SETTINGS = {
    "data-dir": ".localyun",
    "api-addr": "127.0.0.1:8080",
    "rtmp-addr": "127.0.0.1:1935",
    "oss-addr": "127.0.0.1:9000",
    "play-addr": "127.0.0.1:8088",
    "play-tls-addr": None,
    "tls-addr": None,
    "database-url": None,
    "access-keys": "***",
    "auth": "strict",
    "clock-start": None,
    "public-host": None,
    "seed": None,
    "domains": "any",
    "buckets": "auto",
    "default-domain": None,
    "oss-endpoint": None,
    "oss-access-key": None,
    "oss-public-url": None,
    "control-token": None,
    "ephemeral": "off",
    "clock": "running",
    "id-seed": None,
    "upstream": None,
    "upstream-access-key": None,
    "upstream-mode": "off",
    "cassette": None,
    "cluster": "off",
    "cluster-addr": "127.0.0.1:7946",
    "cluster-token": None,
    "node-lease": "6s",
    "spool-mirror": "1s",
}
#: Reading routes that answer at once.
ROUTES = (
    "health", "requests?limit=1", "streams", "recordings", "callbacks?limit=1", "clock", "faults", "coverage", "config", "snapshot", "nodes", "live",
    "ready", "control.openapi.json", "sinks/mine", "explain?domain=play.example.com&app=live&stream=s1",
)  # fmt: skip
LISTS = ("recordings", "callbacks", "streams", "requests")
KINDS = ("call", "publish", "unpublish", "record", "slice", "file", "callback", "play", "snapshot", "fault", "clock", "object")


def localyun(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=60, env=clean_environment() | (env or {}))


def test_the_ready_line(server):
    assert list(server.ready)[:1] == ["event"]
    assert set(server.ready) == {"event", "version", "api", "rtmp", "play", "oss", "startup_ms", "pid"}
    assert server.ready["event"] == "ready" and server.ready["pid"] == server.process.pid
    assert re.fullmatch(r"\d+\.\d+\.\d+", server.ready["version"])
    for name, scheme in (("api", "http"), ("play", "http"), ("oss", "http"), ("rtmp", "rtmp")):
        assert re.fullmatch(rf"{scheme}://127\.0\.0\.1:\d+", server.ready[name])


def test_settings_have_their_names_and_defaults(server):
    told = localyun("serve", "--help").stdout
    for name in SETTINGS:
        assert f"--{name}" in told and f"LOCALYUN_{name.upper().replace('-', '_')}" in told, name
    # What the harness sets is set.
    given = {"data-dir", "api-addr", "rtmp-addr", "oss-addr", "play-addr"}
    shown = {setting["name"]: setting for setting in server.get("/_localyun/config")["settings"]}
    for name, default in SETTINGS.items():
        setting = shown[name]
        if name in given:
            assert setting["source"] == f"--{name}"
            assert re.search(rf"\[default: {re.escape(default)}\]", told), name
        else:
            assert (setting["value"] or None) == default and setting["source"] == "default", setting


def test_a_flag_goes_before_the_environment_and_that_before_the_file(tmp_path):
    file = tmp_path / "localyun.toml"
    file.write_text('auth = "off"\ndomains = "declared"\nbuckets = "existing"\n')
    env = {"LOCALYUN_CONFIG": str(file), "LOCALYUN_DOMAINS": "any", "LOCALYUN_BUCKETS": "existing"}
    with Server("--buckets", "auto", environment=env) as server:
        shown = {setting["name"]: (setting["value"], setting["source"]) for setting in server.get("/_localyun/config")["settings"]}
    assert shown["buckets"] == ("auto", "--buckets")
    assert shown["domains"] == ("any", "LOCALYUN_DOMAINS")
    assert shown["auth"][0] == "off" and str(file) in shown["auth"][1]


@pytest.mark.parametrize("route", ROUTES)
def test_routes_answer(server, route):
    status, answer = server.control("GET", f"/_localyun/{route}")
    assert status == 200 and isinstance(answer, dict), (status, answer)
    name, _, asked = route.partition("?")
    status, refused = server.control("GET", f"/_localyun/{name}?{asked}{'&' if asked else ''}nosuchname=1")
    if name not in ("live", "ready", "health"):
        assert status == 400 and "nosuchname" in refused["error"], (status, refused)


@pytest.mark.parametrize("name", LISTS)
def test_lists_take_filters_and_tell_how_many_there_are(server, name):
    answer = server.get(f"/_localyun/{name}?domain=d.example.com&app=live&stream=s&since=2026-01-01T00:00:00Z&limit=1")
    assert answer["total"] == 0 and answer[name] == [] and answer.get("next") is None
    Api(server.api).call("DescribeLiveRecordConfig", DomainName="a.example.com")
    Api(server.api).call("DescribeLiveRecordConfig", DomainName="a.example.com")
    first = server.get("/_localyun/requests?limit=1")
    second = server.get(f"/_localyun/requests?limit=1&cursor={first['next']}")
    assert first["requests"] != second["requests"] and first["total"] >= 2


def test_events_have_their_kinds(server):
    for kind in KINDS:
        status, answer = server.control("GET", f"/_localyun/wait?kind={kind}&domain=nowhere.example.com&timeout_s=0")
        assert status == 408 and answer["events"] == [], (kind, status, answer)
    assert server.control("GET", "/_localyun/wait?kind=nosuch&timeout_s=0")[0] == 400
    request = urllib.request.Request(f"{server.api}/_localyun/events?since=0&kind=call")
    Api(server.api).call("DescribeLiveRecordConfig", DomainName="a.example.com")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = [events.readline().decode().rstrip("\n") for _ in range(20)]
    fields = [line.partition(": ") for line in lines if line.startswith(("id: ", "event: ", "data: "))]
    assert [name for name, _, _ in fields[:3]] == ["id", "event", "data"] and fields[1][2] == "call"
    assert {"at", "domain", "app", "stream"} <= set(json.loads(fields[2][2]))


def test_what_is_not_implemented_and_what_is_unknown(server):
    api = Api(server.api)
    for action, status, code in (("AddCasterComponent", 400, "ActionNotImplemented"), ("NoSuchAction", 404, "InvalidAction.NotFound")):
        done = localyun("call", action, "--force", "--endpoint", server.api)
        assert done.returncode == 1
        if action == "NoSuchAction":
            assert code in done.stdout + done.stderr
    assert api is not None


def test_the_page_of_a_browser_leads_to_the_console(server):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(f"{server.api}/", headers={"Accept": "text/html"}), timeout=20) as page:
        assert "/_localyun/ui/" in page.read().decode()
    with opener.open(f"{server.api}/_localyun/ui/", timeout=20) as console:
        assert console.headers["content-type"].startswith("text/html")


def test_who_names_another_machine_is_refused_but_for_the_probes(server):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def asked(path: str) -> int:
        try:
            with opener.open(urllib.request.Request(f"{server.api}{path}", headers={"Host": "stranger.example.com"}), timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code

    assert [asked(f"/_localyun/{path}") for path in ("health", "live", "ready", "sink/mine")] == [200] * 4
    assert {asked(f"/_localyun/{path}") for path in ("config", "recordings", "snapshot", "requests")} <= {401, 403}


def test_exit_statuses(server):
    there, away = ("--endpoint", server.api), ("--endpoint", "http://127.0.0.1:1")
    call = ("call", "DescribeLiveRecordConfig", "DomainName=a.example.com")
    for words, status in (
        ((*call, *there), 0),
        (("call", "DescribeLiveRecordConfig", *there), 1),
        ((*call, *away), 1),
        (("health", *there), 0),
        (("health", *away), 1),
        (("wait", "call", *there), 0),
        (("wait", "play", "--timeout", "0", *there), 1),
        (("serve", "--auth", "loose"), 2),
        (("serve", "--no-such"), 2),
        (("env", *away), 0),
    ):
        assert localyun(*words).returncode == status, words


def rules(*domains: str) -> dict:
    """A rule for each domain, as a seed has it."""
    rule = {"app": "live", "stream": "*", "oss_endpoint": "oss-cn-shanghai.aliyuncs.com", "oss_bucket": "promised", "formats": [{"format": "mp4"}]}
    return {"rules": [{"domain": domain, **rule} for domain in domains]}


def domain_of(server: Server, name: str, tc_url: str | None = None) -> str:
    """The domain that a push of this name comes to."""
    publisher = Publisher(server.rtmp_host, server.rtmp_port, "live", name, tc_url=tc_url)
    publisher.push(1)
    (row,) = [row for row in server.streams() if row["stream"] == name.split("?")[0]]
    publisher.leave()
    return row["domain"]


def test_a_push_comes_to_the_domain_that_it_names():
    with Server("--default-domain", "default.example.com") as server:
        assert server.control("POST", "/_localyun/seed", rules("ruled.example.com"))[0] == 200
        own = f"rtmp://{server.rtmp_host}:{server.rtmp_port}/live"
        assert domain_of(server, "s1?vhost=named.example.com", "rtmp://other.example.com/live") == "named.example.com"
        assert domain_of(server, "s2", "rtmp://other.example.com:1935/live") == "other.example.com"
        # A bare address and localhost are no names; the default goes before the one domain that has a rule.
        assert [domain_of(server, f"s{n}", url) for n, url in enumerate((own, "rtmp://localhost/live", "rtmp://[::1]:1935/live"), 3)] == ["default.example.com"] * 3
    with Server() as server:
        assert server.control("POST", "/_localyun/seed", rules("ruled.example.com"))[0] == 200
        assert domain_of(server, "s1", "rtmp://127.0.0.1/live") == "ruled.example.com"
        assert server.control("POST", "/_localyun/seed", rules("second.example.com"))[0] == 200
        with pytest.raises(Refused) as refused:
            domain_of(server, "s2", "rtmp://127.0.0.1/live")
        assert "vhost" in refused.value.description


def test_a_timestamp_counts_by_the_nearer_clock():
    with Server("--clock-start", "2020-01-01T00:00:00Z", "--clock", "frozen") as server:
        api = Api(server.api)

        def asked(at: datetime) -> tuple[int, str | None]:
            status, answer = api.ask("DescribeLiveRecordConfig", DomainName="a.example.com", Timestamp=at.strftime("%Y-%m-%dT%H:%M:%SZ"))
            return status, answer.get("Code")

        for clock in (datetime.now(UTC), datetime(2020, 1, 1, tzinfo=UTC)):
            for minutes in (-14, 0, 14):
                assert asked(clock + timedelta(minutes=minutes)) == (200, None), (clock, minutes)
            for minutes in (-16, 16):
                assert asked(clock + timedelta(minutes=minutes)) == (400, "InvalidTimeStamp.Expired"), (clock, minutes)


def fetched(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and the first bytes, whatever the status."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=20)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read(8)


def test_a_stream_plays_at_the_domain_that_is_named(server):
    api = Api(server.api)
    api.call("AddLiveDomainMapping", PullDomain="shown.example.com", PushDomain="ingest.example.com")
    publisher = Publisher(server.rtmp_host, server.rtmp_port, "live", "p1?vhost=ingest.example.com")
    publisher.push(3)
    try:
        for form, begin in ((".flv", b"FLV"), (".m3u8", b"#EXTM3U"), (".mp4", b"\0\0\0")):
            for url, headers in ((f"/live/p1{form}?vhost=shown.example.com", {}), (f"/live/p1{form}", {"Host": "shown.example.com"})):
                status, told, body = fetched(server.play + url, Origin="http://page.example.com", **headers)
                assert (status, told["access-control-allow-origin"]) == (200, "*") and body.startswith(begin), (url, headers, status)
        for url in ("/live/p2.flv?vhost=shown.example.com", "/live/p1.flv?vhost=elsewhere.example.com"):
            status, told, _ = fetched(server.play + url, Origin="http://page.example.com")
            assert (status, told["access-control-allow-origin"]) == (404, "*"), url
        wanted = [{"functionName": "aliauth", "functionArgs": [{"argName": "auth_type", "argValue": "type_a"}, {"argName": "auth_key1", "argValue": "longenough123456"}]}]
        api.call("AddLiveDomain", DomainName="shown.example.com", LiveDomainType="liveVideo", Region="cn-shanghai")
        api.call("BatchSetLiveDomainConfigs", DomainNames="shown.example.com", Functions=json.dumps(wanted))
        status, told, _ = fetched(f"{server.play}/live/p1.flv?vhost=shown.example.com", Origin="http://page.example.com")
        assert (status, told["access-control-allow-origin"]) == (403, "*")
    finally:
        publisher.drop()


def test_exec_gives_its_command_the_variables_of_env(tmp_path):
    script = f"'{binary()}' env --shell bash > told; env -0 > had"
    done = subprocess.run([binary(), "exec", "--", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, env=clean_environment())
    assert done.returncode == 0 and done.stderr == "", done
    told = dict(re.findall(r"^export (\w+)='(.*)'$", (tmp_path / "told").read_text(), re.M))
    had = dict(entry.split("=", 1) for entry in (tmp_path / "had").read_text().split("\0") if entry)
    assert len(told) > 10 and told.items() <= had.items(), set(told.items()) - set(had.items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["had", "told"]


def test_a_node_alone_has_the_name_of_its_host(server):
    (node,) = server.get("/_localyun/nodes")["nodes"]
    assert node["id"] == socket.gethostname() and node["version"] == server.ready["version"]


@pytest.mark.parametrize("words", [("recordings",), ("callbacks",), ("explain", "a.example.com", "live", "s"), ("advance", "1"), ("reset",), ("coverage",), ("doctor",)], ids=" ".join)
def test_what_is_for_people_is_json_too(server, words):
    done = localyun(*words, "--json", env={"LOCALYUN_ENDPOINT": server.api})
    assert done.returncode == 0 and isinstance(json.loads(done.stdout), dict), done
    plain = localyun(*words, env={"LOCALYUN_ENDPOINT": server.api})
    assert plain.returncode == 0 and not plain.stdout.startswith("{"), plain


def test_a_secret_is_masked_wherever_settings_are_told():
    secrets = {"LOCALYUN_ACCESS_KEYS": "me:hidden1", "LOCALYUN_CONTROL_TOKEN": "hidden2", "LOCALYUN_BEARER_TOKENS": "hidden3", "LOCALYUN_CLUSTER_TOKEN": "hidden4"}
    with Server(environment=secrets) as server:
        request = urllib.request.Request(f"{server.api}/_localyun/config", headers={"Authorization": "Bearer hidden2"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            told = answer.read().decode()
        assert "hidden" not in told and "hidden" not in server.log_tail(100_000)
        shown = {setting["name"]: setting for setting in json.loads(told)["settings"]}
        for name in ("access-keys", "control-token", "bearer-tokens", "cluster-token"):
            assert (shown[name]["value"], shown[name]["source"]) == ("***", f"LOCALYUN_{name.upper().replace('-', '_')}")
