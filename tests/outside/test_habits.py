"""What a program does unasked: addresses that the caller can use, words of the caller's shell, a hint where something was mistyped."""

import json
import os
import pty
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from harness.api import Api
from harness.server import Server, binary, clean_environment

EVERYWHERE = [part for name in ("api", "rtmp", "oss", "play") for part in (f"--{name}-addr", "0.0.0.0:0")]
TLS = ("--tls-addr", "0.0.0.0:0", "--play-tls-addr", "0.0.0.0:0")
TOKEN = {"LOCALYUN_CONTROL_TOKEN": "t0ken"}


def ask(server: Server, path: str, host: str, method: str = "GET", body: dict | None = None) -> str:
    """The text of an answer to a request that names `host`; HOST:PORT, or a name at the server's own port."""
    port = urlsplit(server.api).port
    headers = {"Host": host if ":" in host else f"{host}:{port}", "Authorization": f"Bearer {TOKEN['LOCALYUN_CONTROL_TOKEN']}"}
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.api + path, sent, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.read().decode()


def record(server: Server, stream: str = "s1", **rule: object) -> None:
    Api(server.api).call(
        "AddLiveAppRecordConfig",
        **{"DomainName": "play.example.com", "AppName": "live", "StreamName": "*", "OssBucket": "habits"}
        | {"OssEndpoint": "oss-cn-shanghai.aliyuncs.com", "RecordFormat.1.Format": "mp4"}
        | rule,
    )
    push = {"domain": "play.example.com", "stream": stream, "seconds": 5, "speed": 0, "wait": True}
    for path, body in (("streams", push), ("clock/advance", {"seconds": 181})):
        json.loads(ask(server, f"/_localyun/{path}", "localhost", "POST", body))


def fetch(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return answer.read()


def localyun(*arguments: str, env: dict[str, str] | None = None, **more) -> subprocess.CompletedProcess:
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=60, env=clean_environment() | (env or {}), **more)


@pytest.fixture(scope="module")
def everywhere():
    """A server as it is in a container: it listens everywhere, and a token opens the control plane."""
    with Server(*EVERYWHERE, *TLS, environment=TOKEN) as server:
        record(server)
        yield server


def test_addresses_are_those_by_which_the_caller_came(everywhere):
    port = {name: urlsplit(everywhere.ready[name]).port for name in ("rtmp", "oss", "play", "tls", "play_tls")}
    for host, told in (("devbox.test", "devbox.test"), ("LocalHost:18080", "localhost"), ("10.9.8.7", "10.9.8.7"), ("[fd00::2]:80", "[fd00::2]")):
        health = json.loads(ask(everywhere, "/_localyun/health", host))
        assert urlsplit(health["api"]).hostname == told.strip("[]"), health
        for name in ("oss", "play", "rtmp", "tls", "play_tls"):
            assert health[name].split("://")[1] == f"{told}:{port[name]}", (host, name, health[name])
        addresses = json.loads(ask(everywhere, "/_localyun/config", host))["addresses"]
        assert addresses["rtmp"] == health["rtmp"] and addresses["oss"] == health["oss"]
        (recording,) = json.loads(ask(everywhere, "/_localyun/recordings", host))["recordings"]
        for file in recording["files"]:
            for url in (file["url"], file["signed_url"]):
                assert url.startswith(f"http://{told}:{port['oss']}/habits/"), url
            named = f"bucket=habits&key={file['object']}"
            for route in (f"signed?{named}", f"object?{named}"):
                answer = json.loads(ask(everywhere, f"/_localyun/{route}", host))
                url = answer.get("url") or answer["signed_url"]
                assert url.startswith(f"http://{told}:{port['oss']}/"), url
        (node,) = json.loads(ask(everywhere, "/_localyun/nodes", host))["nodes"]
        assert node["rtmp"] == health["rtmp"]
    (recording,) = json.loads(ask(everywhere, "/_localyun/recordings", "localhost"))["recordings"]
    assert fetch(recording["files"][0]["signed_url"])[4:8] == b"ftyp"


def test_no_answer_names_the_address_that_stands_for_all(everywhere):
    assert "0.0.0.0" not in json.dumps(everywhere.ready)
    assert everywhere.api.startswith("http://127.0.0.1:")
    routes = json.loads(ask(everywhere, "/_localyun", "localhost"))["routes"]
    paths = {re.split(r"\s", route["route"] if isinstance(route, dict) else route)[-1].split("?")[0] for route in routes}
    endless = ("events", "ui/", "wait", "{")
    asked = sorted(path for path in paths if not any(word in path for word in endless))
    assert len(asked) > 15, paths
    # The last one is what a careless client sends when it takes the setting for an address.
    for host in ("localhost", "devbox.test", "0.0.0.0"):
        for path in [*asked, "/_localyun/wait?kind=file", "/_localyun/sinks/mine", "/_localyun/explain?domain=play.example.com&app=live&stream=s1"]:
            told = ask(everywhere, path, host)
            if path.endswith("/config"):
                # What was set is told as it was set.
                told = json.dumps({name: value for name, value in json.loads(told).items() if name != "settings"})
            assert "0.0.0.0" not in told, (host, path, [line for line in told.splitlines() if "0.0.0.0" in line])
    assert "0.0.0.0" not in ask(everywhere, "/?Action=DescribeLiveRecordConfig", "localhost")


def test_env_of_a_server_that_listens_everywhere(everywhere):
    port = urlsplit(everywhere.api).port
    told = localyun("env", "--endpoint", f"http://localhost:{port}", "--shell", "bash", env=TOKEN)
    assert "0.0.0.0" not in told.stdout and "OSS_ENDPOINT='http://localhost:" in told.stdout and told.stderr == ""


def test_what_listens_on_this_machine_alone_is_told_by_the_callers_word(server):
    for host in ("localhost", "127.0.0.1"):
        health = json.loads(ask(server, "/_localyun/health", host))
        assert health["rtmp"] == f"rtmp://{host}:{server.rtmp_port}"


def test_a_public_host_goes_before_the_callers():
    with Server(*EVERYWHERE, "--public-host", "live.example.com", environment=TOKEN) as server:
        health = json.loads(ask(server, "/_localyun/health", "devbox.test"))
        assert {urlsplit(health[name]).hostname for name in ("api", "rtmp", "oss", "play")} == {"live.example.com"}


@pytest.mark.parametrize("kind", ["embedded", "outside"])
def test_the_store_has_an_address_of_its_own_for_clients(kind):
    with Server() as store:
        seen = store.oss.replace("127.0.0.1", "localhost")
        inner = ("--oss-endpoint", store.oss, "--oss-access-key", "testid:testsecret") if kind == "outside" else ()
        with Server(*inner, "--oss-public-url", f"{seen}/") as server:
            record(server)
            assert server.get("/_localyun/health")["oss"] == seen
            (file,) = server.get("/_localyun/recordings")["recordings"][0]["files"]
            assert file["url"].startswith(f"{seen}/habits/") and file["signed_url"].startswith(f"{seen}/habits/")
            # RecordUrl of the API's answers is the same.
            assert file["public_url"] == file["url"]
            assert f"OSS_ENDPOINT='{seen}'" in localyun("env", "--shell", "bash", "--endpoint", server.api).stdout
            if kind == "outside":
                # The name is signed too, and the store checks it.
                assert fetch(file["signed_url"])[4:8] == b"ftyp"


SHELLS = {
    "bash": ("bash", "-c", '{program} && echo "[$ALIBABA_CLOUD_ACCESS_KEY_SECRET] $LOCALYUN_PUSH_URL"', 'eval "$({env})"'),
    "fish": ("fish", "-c", '{program}; and echo "[$ALIBABA_CLOUD_ACCESS_KEY_SECRET] $LOCALYUN_PUSH_URL"', "{env} | source"),
    "powershell": ("pwsh", "-NoProfile", "-Command", '{program}; "[$Env:ALIBABA_CLOUD_ACCESS_KEY_SECRET] $Env:LOCALYUN_PUSH_URL"', "{env} | Out-String | Invoke-Expression"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_env_in_the_words_of_each_shell(server, shell):
    *command, script, taking = SHELLS[shell]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    odd = r"""it's "so" \ $HOME `id` %PATH%"""
    env = f"'{binary()}' env --shell {shell} --endpoint {server.api}"
    environment = clean_environment() | {"LOCALYUN_ACCESS_KEYS": f"testid:{odd}"}
    done = subprocess.run([*command, script.format(program=taking.format(env=env))], capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout.strip() == f"[{odd}] rtmp://127.0.0.1:{server.rtmp_port}/live/STREAM?vhost=DOMAIN", done.stderr


def test_env_takes_the_shell_that_asks(server):
    asked = f"'{binary()}' env --endpoint {server.api}; true"
    for shell, begin in (("bash", "export "), ("fish", "set -gx ")):
        if shutil.which(shell):
            done = subprocess.run([shell, "-c", asked], capture_output=True, text=True, timeout=60, env=clean_environment() | {"SHELL": "/x/fish"})
            assert any(line.startswith(begin) for line in done.stdout.splitlines()), done.stdout
    # Another program reads POSIX, whatever shell its user has.
    assert "\nexport " in localyun("env", "--endpoint", server.api, env={"SHELL": "/usr/bin/fish"}).stdout
    lines = localyun("env", "--shell", "cmd", "--endpoint", server.api).stdout.splitlines()
    assert all(line.startswith(("SET \"", "REM ")) for line in lines) and 'SET "ALIBABA_CLOUD_ACCESS_KEY_ID=testid"' in lines
    assert localyun("env", "--shell", "tcsh").returncode == 2


def test_a_key_that_the_server_does_not_know_is_told():
    with Server("--access-keys", "alice:s1,robert:s2,olga:s3:disabled") as server:
        told = lambda *words, **env: localyun(*words, "--endpoint", server.api, env=env)  # noqa: E731
        doubt = told("env").stderr
        assert "does not know the access key testid" in doubt and "alice" in doubt and "s1" not in doubt, doubt
        assert "it has robert:" in told("env", "--access-key", "roberd:s2").stderr
        assert "another secret" in told("env", LOCALYUN_ACCESS_KEYS="alice:s2").stderr
        assert "disabled" in told("env", "--access-key", "olga:s3").stderr
        for right in ("alice:s1", "robert:s2"):
            assert told("env", "--access-key", right).stderr == ""
        # It was found out without a call.
        assert server.get("/_localyun/requests")["total"] == 0
        refused = told("call", "DescribeLiveRecordConfig", "DomainName=play.example.com")
        assert refused.returncode == 1 and "it has alice:" in refused.stderr
        assert [f["state"] for f in json.loads(told("doctor", "--json").stdout)["findings"] if f["what"] == "key"] == ["wrong"]
    with Server("--auth", "off", "--access-keys", "alice:s1") as server:
        assert localyun("env", "--endpoint", server.api).stderr == ""


def test_a_misspelt_variable_is_told_by_every_tool(server):
    env = {"LOCALYUN_ACESS_KEYS": "a:b", "LOCALYUN_LOG_LEVEL": "debug"}
    for words in (("env",), ("health",), ("recordings",), ("call", "DescribeLiveRecordConfig", "DomainName=play.example.com")):
        done = localyun(*words, "--endpoint", server.api, env=env)
        assert done.returncode == 0 and "LOCALYUN_ACESS_KEYS is no setting; did you mean LOCALYUN_ACCESS_KEYS?" in done.stderr
        assert "LOCALYUN_LOG_LEVEL is no setting" in done.stderr
    assert "LOCALYUN_ACESS_KEYS" in localyun("exec", "--", "true", env=env).stderr
    # A shell reads these at each start.
    assert localyun("completions", "bash", env=env).stderr == ""
    assert localyun("health", "--endpoint", server.api).stderr == ""


def at_a_terminal(*arguments: str) -> str:
    """What a person sees on standard error."""
    leader, terminal = pty.openpty()
    process = subprocess.Popen([binary(), *arguments], stdout=subprocess.DEVNULL, stderr=terminal, env=clean_environment() | {"TERM": "xterm"})
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(leader)
    assert process.wait(30) == 0, seen
    return seen.decode()


def test_who_waits_at_a_terminal_sees_how_far_it_is(server, tmp_path):
    push = ("publish", "--domain", "play.example.com", "--stream", "p1", "--seconds", "2", "--endpoint", server.api, "--rtmp-addr", f"127.0.0.1:{server.rtmp_port}")
    seen = at_a_terminal(*push)
    assert re.search(r"\r\x1b\[2Klive/p1: [01] s of 2 s pushed in \d s", seen), seen
    plain = localyun(*push)
    assert "\x1b" not in plain.stderr + plain.stdout and "pushed in" not in plain.stderr
    waiting = subprocess.Popen(
        [sys.executable, "-c", "import sys, time, urllib.request; time.sleep(1.5); urllib.request.urlopen(sys.argv[1], data=b'x')", f"{server.api}/_localyun/sink/x"],
    )
    server.control("PUT", "/_localyun/faults", {"at": "api:DescribeLiveRecordConfig", "first": 1, "delay_ms": 1500})
    seen = at_a_terminal("call", "DescribeLiveRecordConfig", "DomainName=play.example.com", "--endpoint", server.api)
    assert "waiting for the answer to DescribeLiveRecordConfig, " in seen and seen.count("\n") <= 1, seen
    assert waiting.wait(20) == 0


def refused_by(folder) -> str:
    free = [part for name in ("api", "rtmp", "oss", "play") for part in (f"--{name}-addr", "127.0.0.1:0")]
    done = localyun("serve", "--data-dir", str(folder), *free)
    assert done.returncode == 2, done
    return done.stderr


def test_a_downgrade_and_an_upgrade_are_told(tmp_path):
    folder = tmp_path / "data"
    with Server(data_dir=folder):
        pass
    note = json.loads((folder / "last-run.json").read_text())
    version = note["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)

    def used_by(other: str) -> None:
        (folder / "last-run.json").write_text(json.dumps(note | {"version": other}))

    used_by("0.0.9")
    with Server(data_dir=folder) as server:
        assert f"the data folder of localyun 0.0.9 is taken up by {version}" in server.log_tail()
    used_by("99.1.0")
    with Server(data_dir=folder) as server:
        assert f"was last used by localyun 99.1.0, which is newer than this {version}" in server.log_tail()
    # A newer program's step in the database, which this one cannot know.
    used_by("99.1.0")
    with sqlite3.connect(folder / "localyun.db") as database:
        database.execute("INSERT INTO seaql_migrations VALUES ('m9999_later', 1)")
    database.close()
    told = refused_by(folder)
    assert told.startswith("localyun: --data-dir: ") and "localyun 99.1.0 used it last" in told and "another --data-dir" in told, told
    assert told.count("\n") == 1 and "Custom Error" not in told
    # A step that was not taken yet is an upgrade.
    with sqlite3.connect(folder / "localyun.db") as database:
        database.execute("DELETE FROM seaql_migrations WHERE version = 'm9999_later'")
    database.close()


def test_a_machine_without_any_authoritys_certificate_is_enough(tmp_path):
    """As in a slim image without ca-certificates; found in the userland of Debian 11."""
    none = {"SSL_CERT_FILE": str(tmp_path / "none"), "SSL_CERT_DIR": str(tmp_path / "none")}
    done = localyun("demo", "--exit", env=none)
    assert done.returncode == 0, done.stderr
    with Server(environment=none) as server:
        assert localyun("health", "--endpoint", server.api, env=none).returncode == 0
