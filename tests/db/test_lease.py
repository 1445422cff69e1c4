"""One process a database: a second one says who is the first, a dead one's lease ends by itself, three at once leave one."""

import os
import re
import signal
import subprocess
import time
import uuid
from urllib.parse import urlsplit

import pytest

from harness.api import Api
from harness.server import Server, binary, clean_environment
from harness.stage import ENDPOINT
from harness.wait import wait_for
from proxy import Proxy

network = pytest.mark.skipif("LOCALYUN_TEST_DATABASE" not in os.environ, reason="a database over the network")
FREE = [f for name in ("api", "rtmp", "oss") for f in (f"--{name}-addr", "127.0.0.1:0")]


@pytest.fixture
def settings(tmp_path) -> dict[str, str]:
    """The setting of a fresh database that several processes may name."""
    if "LOCALYUN_TEST_DATABASE" not in os.environ:
        return {"LOCALYUN_DATABASE_URL": f"sqlite://{tmp_path}/shared.db?mode=rwc"}
    name = f"t{uuid.uuid4().hex[:12]}"
    subprocess.run([os.environ["LOCALYUN_TEST_DATABASE_CREATE"], name], check=True, timeout=60)
    return {"LOCALYUN_DATABASE_URL": os.environ["LOCALYUN_TEST_DATABASE"].replace("{name}", name)}


def behind(proxy: Proxy, settings: dict[str, str]) -> dict[str, str]:
    """The same database through a relay."""
    at = urlsplit(settings["LOCALYUN_DATABASE_URL"])
    user = at.netloc.rsplit("@", 1)[0]
    return {"LOCALYUN_DATABASE_URL": f"{at.scheme}://{user}@127.0.0.1:{proxy.port}{at.path}"}


def start(folder, settings) -> subprocess.Popen:
    """A server that may refuse to start."""
    command = [binary(), "serve", "--data-dir", folder, *FREE]
    return subprocess.Popen(command, env=clean_environment() | settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def add(server: Server, app: str) -> tuple[int, dict]:
    """Adds a rule."""
    rule = {"DomainName": "lease.example.com", "AppName": app, "OssBucket": "lease", "OssEndpoint": ENDPOINT, "RecordFormat": [{"Format": "flv"}]}
    return Api(server.api).ask("AddLiveAppRecordConfig", **rule)


def test_a_second_process_refuses_and_names_the_first(settings, tmp_path):
    with Server(data_dir=tmp_path / "a", environment=settings) as first:
        began = time.monotonic()
        second = start(tmp_path / "b", settings)
        try:
            out, log = second.communicate(timeout=60)
        finally:
            second.kill()
        assert second.returncode == 2 and out == "", log
        assert time.monotonic() - began < 15
        (line,) = [line for line in log.splitlines() if line.startswith("localyun: ")]
        assert "DATABASE_URL" in line and "uses this database" in line and first.api in line
        assert add(first, "a")[0] == 200
    # And no more once the first has ended.
    began = time.monotonic()
    with Server(data_dir=tmp_path / "b", environment=settings):
        assert time.monotonic() - began < 10


def test_a_second_process_on_one_data_folder_names_the_first(tmp_path):
    with Server(data_dir=tmp_path / "a") as first:
        done = subprocess.run([binary(), "serve", "--data-dir", tmp_path / "a", *FREE], env=clean_environment(), capture_output=True, timeout=60, text=True)
        assert done.returncode == 2 and "uses this folder" in done.stderr and first.api in done.stderr


def test_a_killed_process_leaves_its_lease_to_its_successor_at_once(settings, tmp_path):
    with Server(data_dir=tmp_path / "a", environment=settings) as server:
        assert add(server, "a")[0] == 200
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(10)
    began = time.monotonic()
    with Server(data_dir=tmp_path / "a", environment=settings) as server:
        assert "waiting for the lease" not in server.log_tail()
        assert time.monotonic() - began < 5
        assert add(server, "a")[1]["Code"] == "ConfigAlreadyExists"


@network
def test_on_another_machine_the_dead_ones_lease_is_waited_for(settings, tmp_path):
    """Another data folder stands for another machine: nothing proves that the first is dead."""
    with Server(data_dir=tmp_path / "a", environment=settings) as server:
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(10)
    began = time.monotonic()
    with Server(data_dir=tmp_path / "b", environment=settings) as server:
        assert server.log_tail().count("waiting for the lease") == 1
        assert time.monotonic() - began < 15
        assert add(server, "a")[0] == 200


@network
def test_three_processes_on_an_empty_database_leave_one(settings, tmp_path):
    processes = [start(tmp_path / name, settings) for name in "abc"]
    try:
        wait_for(lambda: sum(p.poll() is not None for p in processes) == 2, 60, "two that refuse")
        (serving,) = [p for p in processes if p.poll() is None]
        for process in processes:
            if process is not serving:
                out, log = process.communicate(timeout=10)
                assert process.returncode == 2 and out == "" and "uses this database" in log, log
        assert '"event":"ready"' in serving.stdout.readline()
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=30)


@network
def test_who_was_cut_off_for_longer_than_its_lease_stops_when_another_took_over(settings, tmp_path):
    at = urlsplit(settings["LOCALYUN_DATABASE_URL"])
    proxy = Proxy(at.hostname, at.port)
    try:
        with Server(data_dir=tmp_path / "a", environment=behind(proxy, settings)) as first:
            assert add(first, "a")[0] == 200
            proxy.cut()
            with Server(data_dir=tmp_path / "b", environment=settings) as second:
                assert add(second, "b")[0] == 200
                assert add(first, "c")[0] >= 500
                proxy.mend()
                assert first.process.wait(30) == 2
                assert re.search(rf"{re.escape(second.api)}.* uses this database", first.log_tail())
                assert add(second, "c")[0] == 200
    finally:
        proxy.close()


@network
def test_who_was_cut_off_and_not_followed_goes_on(settings, tmp_path):
    at = urlsplit(settings["LOCALYUN_DATABASE_URL"])
    proxy = Proxy(at.hostname, at.port)
    try:
        with Server(data_dir=tmp_path / "a", environment=behind(proxy, settings)) as server:
            proxy.cut()
            time.sleep(8)
            assert add(server, "a")[0] >= 500
            proxy.mend()
            wait_for(lambda: server.control("GET", "/_localyun/health")[0] == 200, 15, "a healthy server")
            assert add(server, "a")[0] == 200
    finally:
        proxy.close()
