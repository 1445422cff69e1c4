"""Starting and ending: bad settings in one line with status 2, one line on standard output, quick and small."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from harness.api import Api
from harness.publisher import Publisher
from harness.server import Server, binary, clean_environment
from harness.wait import wait_for

READY_MS = 150
IDLE_KIB = 80 * 1024


def refused(*arguments: str, names: str, environment: dict[str, str] | None = None) -> None:
    """Starts with settings that must not work: status 2, and one line on standard error that names the setting."""
    done = subprocess.run(
        [str(binary()), *arguments], capture_output=True, text=True, timeout=30, env=clean_environment() | (environment or {})
    )
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert names in lines[0], lines[0]
    assert "panicked" not in done.stderr


@pytest.fixture
def free(tmp_path) -> list[str]:
    """Settings that would start on free ports."""
    return ["serve", "--data-dir", str(tmp_path / "data"), "--api-addr", "127.0.0.1:0", "--rtmp-addr", "127.0.0.1:0", "--oss-addr", "127.0.0.1:0", "--play-addr", "127.0.0.1:0"]


def replaced(free: list[str], flag: str, value: str) -> list[str]:
    """The settings with one value changed."""
    at = free.index(flag)
    return free[: at + 1] + [value] + free[at + 2 :]


@pytest.mark.parametrize("url", ["sqlite::memory:", "sqlite://:memory:", "sqlite:///x.db?mode=memory"])
def test_a_database_in_memory_is_refused_by_name(free, url):
    refused(*free, "--database-url", url, names="--database-url: names a database in memory")


@pytest.mark.parametrize("token", ["", "a\nb", "a b", "geheim\u00e4"])
@pytest.mark.parametrize("flag", ["--control-token", "--cluster-token", "--bearer-tokens"])
def test_a_token_that_everybody_knows_or_no_header_carries(free, flag, token):
    refused(*free, flag, token, names=flag)


def test_an_empty_token_of_the_config_file(free, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('control_token = ""\n')
    refused(*free, "--config", str(config), names="control_token in")


def test_a_tool_names_the_token_that_no_header_carries():
    for tool in (["reset"], ["wait", "file"], ["tail"], ["snapshot", "save", "-"]):
        refused(*tool, names="LOCALYUN_CONTROL_TOKEN", environment={"LOCALYUN_CONTROL_TOKEN": "a\nb"})


def test_a_variable_that_is_no_text(free):
    for tool, name in ((free[:1] + free[3:], "LOCALYUN_DATA_DIR"), (["reset"], "LOCALYUN_ENDPOINT"), (["tail"], "LOCALYUN_CONTROL_TOKEN")):
        refused(*tool, names=name, environment={name: os.fsdecode(b"/x/\xff")})


def test_a_damaged_database_of_the_data_folder(free, tmp_path):
    """Nobody wrote a URL of a database, so the file is named, and the setting that leads to it."""
    (tmp_path / "data").mkdir(mode=0o700)
    database = tmp_path / "data" / "localyun.db"
    database.write_bytes(b"no database" * 1000)
    refused(*free, names=f"--data-dir: {database}: ")
    refused(*free, "--database-url", f"sqlite://{database}", names="--database-url: ")


def test_unknown_flag(free):
    done = subprocess.run([str(binary()), *free, "--no-such-flag"], capture_output=True, text=True, timeout=30, env=clean_environment())
    assert done.returncode == 2 and "--no-such-flag" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("flag", ["--api-addr", "--rtmp-addr", "--oss-addr", "--play-addr"])
def test_port_in_use(free, flag):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(*replaced(free, flag, f"127.0.0.1:{taken.getsockname()[1]}"), names=flag.removeprefix("--"))


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--api-addr", "nonsense"),
        ("--clock-start", "yesterday"),
        ("--access-keys", "no-colon"),
        ("--auth", "maybe"),
        ("--domains", "some"),
        ("--buckets", "some"),
        ("--database-url", "oracle://x/y"),
        ("--oss-endpoint", "not a url"),
        ("--oss-access-key", "id:secret"),
        ("--access-keys", "a:b,c:d,a:e"),
        ("--clock-start", "0000-01-01T00:00:00Z"),
        ("--clock-start", "2026-03-01T02:00:60Z"),
        ("--public-host", "http://live.example.com"),
        ("--public-host", "live.example.com:80"),
        ("--public-host", "live.example.com/x"),
        ("--default-domain", "http://live.example.com"),
        ("--default-domain", "a b"),
    ],
)
def test_bad_value(free, flag, value):
    arguments = replaced(free, flag, value) if flag in free else [*free, flag, value]
    refused(*arguments, names=flag.removeprefix("--"))


def test_an_address_of_version_6_gets_brackets(tmp_path):
    with Server("--public-host", "::1", data_dir=tmp_path / "data") as server:
        assert server.get("/_localyun/health")["api"].startswith("http://[::1]:")


@pytest.mark.parametrize(("flag", "value"), [("--speed", "-1"), ("--domain", ""), ("--seconds", "-1")])
def test_bad_push(flag, value):
    arguments = {"--domain": "d.example.com", "--stream": "s1"} | {flag: value}
    refused("publish", *[part for pair in arguments.items() for part in pair], names=flag)


def test_bad_environment_value(free):
    refused(*free, names="LOCALYUN_AUTH", environment={"LOCALYUN_AUTH": "maybe"})


@pytest.mark.parametrize("level", ["inof", "localyun", "localyun=loud", ""])
def test_a_misspelt_log_level(free, level):
    refused(*free, "--log", level, names="--log")


def test_a_late_error_names_the_environment(free, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("a file where a folder should be")
    at = free.index("--data-dir")
    refused(*free[:at], *free[at + 2 :], names="LOCALYUN_DATA_DIR", environment={"LOCALYUN_DATA_DIR": str(blocker / "data")})


def test_a_config_file_that_is_no_toml(free, tmp_path):
    config = tmp_path / "localyun.toml"
    config.write_text('domains = "any"\nauth = off\n')
    refused(*free, "--config", str(config), names="line 2")


def test_folder_that_cannot_be_written(free, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("a file where a folder should be")
    refused(*replaced(free, "--data-dir", str(blocker / "data")), names="data-dir")


@pytest.mark.parametrize("scheme", ["postgres", "mysql"])
def test_database_that_cannot_be_reached(free, scheme):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"{scheme}://user:secretword@127.0.0.1:{closed.getsockname()[1]}/live"
        refused(*free, "--database-url", url, names="database-url")


def test_unknown_key_in_config_file(free, tmp_path):
    config = tmp_path / "localyun.toml"
    config.write_text('api_adress = "127.0.0.1:0"\n')
    refused(*free, "--config", str(config), names="api_adress")


def test_config_file_that_is_missing(free, tmp_path):
    refused(*free, "--config", str(tmp_path / "none.toml"), names="config")


def test_seed_that_is_no_json(free, tmp_path):
    seed = tmp_path / "seed.json"
    seed.write_text("{")
    refused(*free, "--seed", str(seed), names="seed")


def test_seed_with_a_misspelt_field_says_where(free, tmp_path):
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"rules": [{"domain": "play.example.com", "ap": "live"}]}))
    refused(*free, "--seed", str(seed), names="rules[0].ap")


def test_flag_wins_over_environment_over_file(tmp_path):
    config = tmp_path / "localyun.toml"
    config.write_text('auth = "off"\ndomains = "declared"\nbuckets = "existing"\n')
    environment = {"LOCALYUN_CONFIG": str(config), "LOCALYUN_DOMAINS": "any", "LOCALYUN_BUCKETS": "existing"}
    with Server("--buckets", "auto", environment=environment) as server:
        text = json.dumps(server.get("/_localyun/config"))
    assert '"off"' in text and "declared" not in text
    assert "testsecret" not in text


def test_ready_line_and_nothing_else(tmp_path):
    server = Server(data_dir=tmp_path / "data")
    try:
        ready = server.ready
        assert set(ready) == {"event", "version", "api", "rtmp", "play", "oss", "startup_ms", "pid"}
        assert (ready["event"], ready["pid"]) == ("ready", server.process.pid)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", ready["api"]) and re.fullmatch(r"rtmp://127\.0\.0\.1:\d+", ready["rtmp"])
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", ready["oss"]) and isinstance(ready["startup_ms"], int)
        assert server.control("GET", "/_localyun/health")[0] == 200
        health = subprocess.run([str(binary()), "health", "--endpoint", ready["api"]], capture_output=True, timeout=20, env=clean_environment())
        assert health.returncode == 0
    finally:
        status = server.stop()
    assert status == 0
    assert len(server.lines) == 1


def test_health_without_a_server():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = subprocess.run([str(binary()), "health", "--endpoint", endpoint], capture_output=True, timeout=30, env=clean_environment())
    assert done.returncode == 1


def test_rules_survive_a_restart(tmp_path):
    rule = {"DomainName": "keep.example.com", "AppName": "live", "OssBucket": "keep-bucket", "OssEndpoint": "oss-cn-shanghai.aliyuncs.com"}
    with Server(data_dir=tmp_path / "data") as server:
        Api(server.api).call("AddLiveAppRecordConfig", **rule, RecordFormat=[{"Format": "mp4"}])
    with Server(data_dir=tmp_path / "data") as server:
        assert Api(server.api).call("DescribeLiveRecordConfig", DomainName="keep.example.com")["TotalNum"] == 1


def test_ready_quickly_and_small(tmp_path):
    if binary().parent.name == "debug":
        pytest.skip("time and memory count for the release binary only")
    with Server(data_dir=tmp_path / "data"):
        pass
    times = []
    for _ in range(3):
        with Server(data_dir=tmp_path / "data") as server:
            times.append(server.ready["startup_ms"])
            status = Path(f"/proc/{server.process.pid}/status").read_text()
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])
    assert min(times) < READY_MS, times
    assert resident < IDLE_KIB, f"{resident} KiB idle"


def test_a_folder_of_a_later_release_is_refused_in_one_sentence(free, tmp_path):
    data = tmp_path / "data"
    Server(data_dir=data).stop()
    with contextlib.closing(sqlite3.connect(data / "localyun.db")) as db:
        db.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 1)")
        db.commit()
    refused(*replaced(free, "--data-dir", str(data)), names="the database was written by a newer localyun")


@pytest.mark.parametrize("name", ["a%2Fb?c", "my data:1#x"])
@pytest.mark.parametrize("is_relative", [False, True])
def test_the_database_lies_in_the_data_folder_whatever_that_is_called(free, tmp_path, name, is_relative):
    folder = tmp_path / name
    words = replaced(free, "--data-dir", name if is_relative else str(folder))
    process = subprocess.Popen(
        [binary().resolve(), *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean_environment()
    )
    assert json.loads(process.stdout.readline())["event"] == "ready"
    process.terminate()
    assert process.wait(20) == 0
    assert (folder / "localyun.db").is_file() and (folder / "localyun.db.lock").is_file()
    assert os.listdir(tmp_path) == [name]


def test_the_image_can_be_told_to_keep_nothing(free, tmp_path):
    """An option counts more than a variable, and the image's environment names a folder."""
    words = [word for word in free if word not in ("--data-dir", str(tmp_path / "data"))]
    environment = clean_environment() | {"LOCALYUN_DATA_DIR": str(tmp_path / "data"), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [str(binary()), *words, "--ephemeral"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    assert json.loads(process.stdout.readline())["event"] == "ready"
    assert not (tmp_path / "data").exists() and len(os.listdir(tmp_path)) == 1
    process.terminate()
    assert process.wait(20) == 0
    assert os.listdir(tmp_path) == []


def started(words: list[str], folder: Path) -> subprocess.Popen:
    """A command that makes a throw-away folder, in a temporary directory of its own."""
    environment = clean_environment() | {"TMPDIR": str(folder)}
    return subprocess.Popen([str(binary()), *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)


def test_a_signal_right_behind_the_ready_line_is_an_orderly_stop(free, tmp_path):
    """Whoever reads the line may stop the service the same moment: status 0, and a folder that the next start finds in order."""
    for how in [signal.SIGTERM, signal.SIGINT] * 10:
        log = open(tmp_path / "log", "w+")
        process = subprocess.Popen([str(binary()), *free], stdout=subprocess.PIPE, stderr=log, text=True, env=clean_environment())
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.send_signal(how)
        assert process.wait(20) == 0, how
        log.seek(0)
        assert "stopping: publishers are closed" in log.read(), how
        assert json.loads((tmp_path / "data" / "last-run.json").read_text())["in_order"] is True, how


def test_a_stop_answers_what_is_asked_of_it_meanwhile():
    with Server() as server, ThreadPoolExecutor() as pool:
        armed = server.control("PUT", "/_localyun/faults", {"at": "api:DescribeLiveRecordConfig", "delay_ms": 1500})
        assert armed[0] == 200, armed
        asked = pool.submit(Api(server.api).ask, "DescribeLiveRecordConfig", DomainName="play.example.com")
        wait_for(lambda: server.rows("/_localyun/faults", "faults")[0]["struck"], what="the call under way")
        server.process.send_signal(signal.SIGTERM)
        status, answer = asked.result()
        assert status == 200 and "LiveAppRecordList" in answer, answer
        assert server.process.wait(20) == 0


def test_who_only_listens_does_not_hold_a_stop():
    """Idle connections, a follower of events and a viewer."""
    with Server() as server, requests.Session() as idle:
        publisher = Publisher(server.rtmp_host, server.rtmp_port, "live", "s1?vhost=play.example.com")
        publisher.push(4)
        assert idle.get(server.api + "/_localyun/health", timeout=20).status_code == 200
        follower = requests.get(server.api + "/_localyun/events", stream=True, timeout=20)
        viewer = requests.get(server.play + "/live/s1.flv?vhost=play.example.com", stream=True, timeout=20)
        for listening in (follower, viewer):
            assert listening.status_code == 200 and next(listening.iter_content(1))
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("words", [["serve", "--ephemeral"], ["exec", "--", "sleep", "30"], ["demo"]])
def test_a_signal_at_any_moment_of_the_start_leaves_nothing_behind(tmp_path, words):
    if words[0] == "serve":
        words = words + [part for name in ("api", "rtmp", "oss", "play") for part in (f"--{name}-addr", "127.0.0.1:0")]
    for delay_ms in (0, 2, 5, 10, 20, 30, 40, 60, 80, 120, 200, 400):
        process = started(words, tmp_path)
        time.sleep(delay_ms / 1000)
        process.send_signal(signal.SIGTERM)
        # Before it had looked at anything it may go at once; from then on it stops in order. When that is, the machine's load decides.
        status = process.wait(30)
        assert os.listdir(tmp_path) == [], (delay_ms, status)
