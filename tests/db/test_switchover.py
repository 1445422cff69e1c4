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

BACKEND = os.environ.get("LOCALYUN_TEST_BACKEND")
pytestmark = pytest.mark.skipif(BACKEND not in ("postgres", "mariadb"), reason="two servers of which one follows the other")


def unprivileged() -> list[str]:
    """Neither server runs as root."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Postgres:
    """One server on a folder of its own."""

    scheme, account = "postgres", "localyun"

    def __init__(self, folder: Path, leader: "Postgres | None" = None):
        self.bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.as_user = unprivileged()
        self.port = free_port()
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

    def takes_no_writes(self) -> None:
        """From now on, for whoever is connected too."""
        self.sql("alter system set default_transaction_read_only = on")
        self.sql("select pg_reload_conf()")

    def leads(self) -> None:
        """It is the primary now."""
        self.sql("select pg_promote()")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class MariaDB:
    """One server on a folder of its own; the second of a pair follows the first."""

    scheme, account = "mysql", "localyun:localyun"

    def __init__(self, folder: Path, leader: "MariaDB | None" = None):
        self.port, self.socket = free_port(), folder.with_name(folder.name + ".sock")
        path = os.environ["PATH"] + os.pathsep + "/usr/sbin"
        install, server = (shutil.which(name, path=path) for name in ("mariadb-install-db", "mariadbd"))
        base = f"--basedir={Path(install).resolve().parents[1]}"
        own = ["--no-defaults", base, f"--datadir={folder}"]
        made = [install, *own, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*unprivileged(), *made], check=True, capture_output=True, timeout=120)
        settings = [f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.socket}", f"--pid-file={folder}.pid"]
        settings += ["--log-bin", f"--server-id={2 if leader else 1}", "--innodb-flush-log-at-trx-commit=0"]
        command = [*unprivileged(), server, *own, *settings]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.sql("select 1", check=False) == "1", 30, "MariaDB")
        if leader is None:
            # Who may write in spite of read_only is not who is tested here.
            self.sql("create user localyun@'127.0.0.1' identified by 'localyun'; grant all on live.* to localyun@'127.0.0.1'")
            self.sql("create user follower@'127.0.0.1' identified by 'follower'; grant replication slave on *.* to follower@'127.0.0.1'")
            return
        source = f"master_host='127.0.0.1', master_port={leader.port}, master_user='follower', master_password='follower', master_use_gtid=slave_pos"
        self.sql(f"change master to {source}; start slave; set global read_only=1")

    def sql(self, text: str, database: str = "", check: bool = True) -> str:
        command = ["mariadb", "--no-defaults", f"--socket={self.socket}", "-u", "root", "-NBe", text, database]
        return subprocess.run(command[: None if database else -1], check=check, capture_output=True, text=True, timeout=30).stdout.strip()

    def takes_no_writes(self) -> None:
        """From now on, for whoever is connected too."""
        self.sql("set global read_only=1")

    def leads(self) -> None:
        """It is the primary now."""
        self.sql("stop slave; set global read_only=0")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def pair():
    """A primary and its standby, in a folder that the database's own user may read."""
    kind = Postgres if BACKEND == "postgres" else MariaDB
    root = Path(subprocess.run(["mktemp", "-d", "/tmp/localyun-pair-XXXXXX"], check=True, capture_output=True, text=True).stdout.strip())
    if os.geteuid() == 0:
        shutil.chown(root, "nobody", "nogroup")
    servers = []
    try:
        servers.append(kind(root / "first"))
        servers.append(kind(root / "second", servers[0]))
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
    settings = {"LOCALYUN_DATABASE_URL": f"{first.scheme}://{first.account}@127.0.0.1:{proxy.port}/live"}
    try:
        with Server(data_dir=tmp_path / "data", environment=settings) as server:
            for n in range(20):
                assert add(server, f"before{n}") == 200
            wait_for(lambda: second.sql("select count(*) from record_rule", "live", check=False) == "20", 30, "a standby that has it all")
            first.takes_no_writes()
            second.leads()
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
