"""A switchover that leaves the old primary up and read-only, as managed services do it: writes go on by themselves, nothing is restarted."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from harness.api import Api
from harness.server import Server
from harness.stage import ENDPOINT
from harness.wait import wait_for
from proxy import Proxy

pytestmark = pytest.mark.skipif(os.environ.get("LOCALYUN_TEST_BACKEND") != "postgres", reason="two PostgreSQL servers of which one follows the other")


class Postgres:
    """One server on a folder of its own."""

    def __init__(self, folder: Path, leader: "Postgres | None" = None):
        self.bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        if leader is None:
            self.run("initdb", "-D", folder, "-U", "localyun", "-A", "trust", "-E", "UTF8", "--no-sync")
        else:
            self.run("pg_basebackup", "-h", "127.0.0.1", "-p", leader.port, "-U", "localyun", "-D", folder, "-R", "-X", "stream", "-c", "fast")
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        command = [*self.as_user, self.bin / "postgres", "-D", folder, "-p", str(self.port), *settings]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.sql("select 1", check=False) == "1", 30, "PostgreSQL")

    def run(self, program: str, *args: object) -> None:
        subprocess.run([*self.as_user, self.bin / program, *map(str, args)], check=True, capture_output=True, timeout=60)

    def sql(self, text: str, database: str = "postgres", check: bool = True) -> str:
        command = [self.bin / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "localyun", "-qtAc", text, database]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=30).stdout.strip()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def pair():
    """A primary and its standby, in a folder that PostgreSQL's own user may read."""
    root = Path(subprocess.run(["mktemp", "-d", "/tmp/localyun-pair-XXXXXX"], check=True, capture_output=True, text=True).stdout.strip())
    if os.geteuid() == 0:
        shutil.chown(root, "nobody", "nogroup")
    servers = []
    try:
        servers.append(Postgres(root / "first"))
        servers.append(Postgres(root / "second", servers[0]))
        yield servers
    finally:
        for server in servers:
            server.end()
        shutil.rmtree(root, ignore_errors=True)


def add(server: Server, app: str) -> int:
    """The status of adding a rule."""
    rule = {"DomainName": "switch.example.com", "AppName": app, "OssBucket": "switch", "OssEndpoint": ENDPOINT, "RecordFormat": [{"Format": "flv"}]}
    return Api(server.api).ask("AddLiveAppRecordConfig", **rule)[0]


def test_writes_go_on_after_the_switchover(pair, tmp_path):
    first, second = pair
    first.sql("create database live")
    proxy = Proxy("127.0.0.1", first.port)
    settings = {"LOCALYUN_DATABASE_URL": f"postgres://localyun@127.0.0.1:{proxy.port}/live"}
    try:
        with Server(data_dir=tmp_path / "data", environment=settings) as server:
            for n in range(20):
                assert add(server, f"before{n}") == 200
            wait_for(lambda: second.sql("select count(*) from record_rule", "live") == "20", 30, "a standby that has it all")
            first.sql("alter system set default_transaction_read_only = on")
            first.sql("select pg_reload_conf()")
            second.sql("select pg_promote()")
            proxy.target = ("127.0.0.1", second.port)
            # Nothing is written for longer than a lease lasts.
            time.sleep(9)
            # The old connections are not cut: they are up, and lead to a server that takes no writes.
            wait_for(lambda: add(server, "after") in (200, 400), 20, "a write that holds")
            for n in range(20):
                assert add(server, f"after{n}") == 200
            assert server.control("GET", "/_localyun/health")[0] == 200
            assert int(second.sql("select count(*) from record_rule", "live")) == 41
            assert int(first.sql("select count(*) from record_rule", "live")) <= 20
    finally:
        proxy.close()
