"""What docs/upgrading.md promises not to change within 0.x without a line of the change log: names of settings and subcommands, defaults,
routes, exit statuses, the ready line. Written from the outside alone; whoever has to change this file changes what users rely on."""

import json
import re
import subprocess
import urllib.error
import urllib.request

import pytest

from harness.api import Api
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
