"""A PostgreSQL of a test's own: a primary with a synchronous standby, which can be ended at once, started again, and replaced by its standby."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from harness.wait import wait_for
from proxy import Proxy

USER = "localyun"


def programs() -> Path:
    """Debian keeps the programs of each version in a folder of its own."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Postgres:
    """Two servers, one of which writes. `door` always leads to that one; further doors for others come from `new_door`."""

    def __init__(self, synchronous: bool = True, standby: bool = True, settings: dict[str, str] | None = None):
        self.synchronous, self.settings = synchronous, settings or {}
        # A folder that the servers' user may go through; they refuse to run as root.
        self.folder = Path(tempfile.mkdtemp(prefix="localyun-postgres-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.own = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
        if self.own:
            shutil.chown(self.folder, "nobody", "nogroup")
        self.doors: list[Proxy] = []
        self.servers: dict[str, subprocess.Popen] = {}
        self.ports = {name: free_port() for name in ("one", "two")}
        self.primary = "one"
        self._run("initdb", "-D", self._data("one"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        self._start("one")
        if standby:
            self._stand_by("two")
        self.door = self.new_door()

    def _data(self, name: str) -> str:
        return str(self.folder / name)

    def _run(self, program: str, *words: str) -> None:
        command = [*self.own, str(programs() / program), *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, (command, done.stderr[-2000:])

    @property
    def standby(self) -> str:
        return "two" if self.primary == "one" else "one"

    def url(self, name: str, port: int) -> str:
        """The address of a database by a door's port."""
        return f"postgres://{USER}@127.0.0.1:{port}/{name}"

    def new_door(self) -> Proxy:
        """A way to whichever server writes, to be cut and mended."""
        self.doors.append(Proxy("127.0.0.1", self.ports[self.primary]))
        return self.doors[-1]

    def _ask(self, name: str, statement: str) -> str:
        words = ["psql", "-XqtA", self.url("postgres", self.ports[name]), "-c", statement]
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False).stdout.strip()

    def _start(self, name: str) -> None:
        settings = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": "300", "hot_standby": "on",
            "wal_keep_size": "256MB", "wal_receiver_status_interval": "1s", "wal_sender_timeout": "5s",
        } | self.settings  # fmt: skip
        words = [str(programs() / "postgres"), "-D", self._data(name), "-p", str(self.ports[name])]
        for setting, value in settings.items():
            words += ["-c", f"{setting}={value}"]
        with open(self.folder / f"{name}.log", "ab") as log:
            self.servers[name] = subprocess.Popen([*self.own, *words], cwd=self.folder, stdout=log, stderr=log)
        wait_for(lambda: self._ask(name, "select 1") == "1", 60, f"PostgreSQL {name}")

    def _stand_by(self, name: str) -> None:
        """Makes a server a copy of the one that writes, which from then on commits nothing that the copy has not."""
        self._end(name, signal.SIGQUIT)
        shutil.rmtree(self._data(name), ignore_errors=True)
        source = f"host=127.0.0.1 port={self.ports[self.primary]} user={USER} application_name={name}"
        self._run("pg_basebackup", "-D", self._data(name), "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        # Whoever replaces its primary waits for nobody until it has a standby of its own.
        own = Path(self._data(name)) / "postgresql.auto.conf"
        own.write_text("".join(line for line in own.read_text().splitlines(True) if not line.startswith("synchronous_standby_names")))
        self._start(name)
        wait_for(lambda: self._ask(self.primary, "select count(*) from pg_stat_replication where state = 'streaming'") == "1", 60, "the standby")
        if self.synchronous:
            self._ask(self.primary, "alter system set synchronous_standby_names = '*'")
            self._ask(self.primary, "select pg_reload_conf()")

    def _end(self, name: str, how: int) -> None:
        server = self.servers.pop(name, None)
        if server is not None:
            server.send_signal(how)
            server.wait(60)

    # ---- what tests do ----

    def create(self, name: str, direct: bool = False) -> str:
        """Makes a database; its address by the door that is never cut, or by none."""
        self._ask(self.primary, f'create database "{name}"')
        return self.url(name, self.ports[self.primary] if direct else self.door.port)

    def stop_at_once(self) -> None:
        """An immediate stop of the server that writes: no word to anybody, and it recovers when it starts."""
        self._end(self.primary, signal.SIGQUIT)

    def start_again(self) -> None:
        self._start(self.primary)

    def promote(self) -> None:
        """The standby replaces the server that wrote, which is gone; `renew_standby` gives it a standby."""
        self.stop_at_once()
        self.primary = self.standby
        self._ask(self.primary, "select pg_promote(true, 60)")
        wait_for(lambda: self._ask(self.primary, "select pg_is_in_recovery()") == "f", 60, "the promotion")
        for door in self.doors:
            door.target = ("127.0.0.1", self.ports[self.primary])

    def renew_standby(self) -> None:
        self._stand_by(self.standby)

    def postmaster(self) -> int:
        return self.servers[self.primary].pid

    def close(self) -> None:
        for door in self.doors:
            door.mend()
            door.close()
        for name in list(self.servers):
            self._end(name, signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
