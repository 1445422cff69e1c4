"""Not a test of the suite: what PostgreSQL has to do for 10,000 streams on three nodes, and how nodes and commands fare meanwhile.

    cargo build --release --example simulate
    STREAMS=10000 STRETCH=600 SLICES=30 CLUSTER_TESTS=tests/cluster/scale.py tests/cluster/run

Three processes of tests/bench/simulate.rs: real nodes with streams that bring no media, of which each slice is committed as a recorder commits it.
Commands are given through the APIs of the nodes at a steady rate, each to a node that does not have the stream: three of five are
RealTimeRecordCommand, the others ForbidLiveStream and ResumeLiveStream. The lease's longest gap is the nodes' own, looked at fifty times a second,
and, apart from that, what the rows of the table `node` show twice a second. STATEMENTS=1 says which statements cost (and costs something itself).
The table goes into target/cluster-scale.json.
"""

import json
import os
import random
import re
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from harness.api import Api, ApiError
from harness.server import PROJECT, Server, clean_environment
from harness.wait import wait_for
from postgres import Postgres

STREAMS = int(os.environ.get("STREAMS", "600"))
SECONDS = float(os.environ.get("STRETCH", "60"))
SLICES = int(os.environ.get("SLICES", "30"))
COMMANDS = float(os.environ.get("COMMANDS", "5"))
STATEMENTS = "STATEMENTS" in os.environ
SIMULATE = Path(os.environ.get("SIMULATE", PROJECT / "target" / "release" / "examples" / "simulate"))
OUT = PROJECT / "target" / "cluster-scale.json"
NAMES = "abc"
DOMAIN = "play.simulated.example.com"
LEASE_MS = 6_000
TICKS = os.sysconf("SC_CLK_TCK")


class Node:
    """A process of simulated streams."""

    def __init__(self, name: str, first: int, count: int, database: str, store: Server, folder: Path):
        self.name, self.first, self.count = name, first, count
        settings = {
            "DATABASE_URL": database, "CLUSTER": "on", "NODE_ID": name, "NODE_LEASE": f"{LEASE_MS // 1000}s", "OSS_ENDPOINT": store.oss,
            "OSS_ACCESS_KEY": "testid:testsecret", "DATA_DIR": str(folder / name),
        } | {f"{door}_ADDR": "127.0.0.1:0" for door in ("API", "RTMP", "OSS", "PLAY", "CLUSTER")}  # fmt: skip
        environment = clean_environment() | {f"LOCALYUN_{key}": value for key, value in settings.items()}
        self.log = open(folder / f"{name}.log", "wb")
        words = [str(SIMULATE), str(first), str(count), str(SLICES)]
        self.process = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.api = Api(self.hear()["api"])

    def hear(self) -> dict:
        line = self.process.stdout.readline()
        assert line, (self.name, "has ended", Path(self.log.name).read_text()[-2000:])
        return json.loads(line)

    def ask(self, word: str) -> dict:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.hear()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


class Commands(threading.Thread):
    """Gives commands by a node to streams of the next one."""

    def __init__(self, by: Node, to: Node, every: float):
        super().__init__(daemon=True)
        self.by, self.to, self.every = by, to, every
        self.over = threading.Event()
        self.took: dict[str, list[float]] = {"RealTimeRecordCommand": [], "ForbidLiveStream": [], "ResumeLiveStream": []}
        self.failed: list[str] = []

    def run(self) -> None:
        dice, due = random.Random(self.by.name), time.monotonic()
        forbidden: list[str] = []
        while not self.over.is_set():
            due += self.every
            time.sleep(max(0.0, due - time.monotonic()))
            stream = f"s{self.to.first + dice.randrange(self.to.count)}"
            more: dict = {}
            action = "RealTimeRecordCommand"
            if (turn := sum(len(took) for took in self.took.values()) % 5) == 3:
                action, more = "ForbidLiveStream", {"LiveStreamType": "publisher"}
                forbidden.append(stream)
            elif turn == 4 and forbidden:
                action, more, stream = "ResumeLiveStream", {"LiveStreamType": "publisher"}, forbidden.pop()
            else:
                more = {"Command": "cancel_delay"}
            began = time.monotonic()
            try:
                self.by.api.call(action, DomainName=DOMAIN, AppName="live", StreamName=stream, **more)
            except (ApiError, OSError) as error:
                # A stream that was cut a moment ago is not there.
                if getattr(error, "code", "") != "InvalidStream.NotFound":
                    self.failed.append(f"{action}: {error}")
            self.took[action].append((time.monotonic() - began) * 1000)


class Leases(threading.Thread):
    """The ends of leases as the rows show them, each a renewal."""

    def __init__(self, database: str):
        super().__init__(daemon=True)
        statement = "SELECT id, expires_at FROM node WHERE member \\watch 0.5"
        self.process = subprocess.Popen(["psql", "-XqtA", database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(statement + "\n")
        self.process.stdin.flush()
        self.ends: dict[str, list[int]] = {}

    def run(self) -> None:
        for line in self.process.stdout:
            if (row := re.match(r"(\w+)\|(\d+)$", line.strip())) and int(row[2]) not in self.ends.setdefault(row[1], [])[-1:]:
                self.ends[row[1]].append(int(row[2]))

    def longest_gap_ms(self) -> int:
        return max(later - earlier for ends in self.ends.values() for earlier, later in zip(ends, ends[1:], strict=False))


def seconds_of(pid: int) -> float:
    """CPU seconds of a process and its children, those included that have ended."""
    total = 0.0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
                if int(entry.name) == pid:
                    total += sum(int(one) for one in fields[11:15])
                elif int(fields[1]) == pid:
                    total += sum(int(one) for one in fields[11:13])
    return total / TICKS


def at(values: list[float], part: float) -> float | None:
    values = sorted(values)
    return round(values[min(int(part * len(values)), len(values) - 1)], 1) if values else None


def test_scale(tmp_path):
    settings = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
    if STATEMENTS:
        settings |= {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "1000"}
    postgres = Postgres(standby=False, settings=settings)
    made: list = [postgres]
    try:
        database = postgres.create("simulated", direct=True)

        def sql(statement: str) -> list[str]:
            done = subprocess.run(["psql", "-XqtA", database, "-c", statement], check=True, capture_output=True, timeout=60, text=True)
            return done.stdout.split("\n")[:-1]

        store = Server(data_dir=tmp_path / "store", environment={"LOCALYUN_DATABASE_URL": None})
        made.append(store)
        each = -(-STREAMS // len(NAMES))
        nodes = []
        for number, name in enumerate(NAMES):
            nodes.append(Node(name, number * each, min(each, STREAMS - number * each), database, store, tmp_path))
            made.append(nodes[-1])
        formats = [{"Format": "m3u8", "SliceDuration": max(5, SLICES)}]
        nodes[0].api.call("AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", OssBucket="simulated", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat=formats)
        began = time.monotonic()
        for node in nodes:
            assert node.hear()["live"] == node.count
        came_in = time.monotonic() - began
        # A minute's figures are written, and every stream has had a slice.
        time.sleep(min(SLICES + 5, SECONDS))
        if STATEMENTS:
            sql("CREATE EXTENSION pg_stat_statements")
            sql("SELECT pg_stat_statements_reset()")
        leases = Leases(database)
        leases.start()
        commands = [Commands(node, nodes[(at + 1) % len(nodes)], len(nodes) / COMMANDS) for at, node in enumerate(nodes)]
        tables = ("record_slice", "minute_inflow", "publish_session", "command")

        def now() -> tuple[float, ...]:
            wal = int(sql("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")[0])
            rows = [int(sql(f"SELECT COUNT(*) FROM {table}")[0]) for table in tables]
            return (seconds_of(postgres.postmaster()), sum(seconds_of(node.process.pid) for node in nodes), wal, *rows)

        for node in nodes:
            node.ask("begin")
        before, began = now(), time.monotonic()
        for one in commands:
            one.start()
        loads = []
        while time.monotonic() - began < SECONDS:
            time.sleep(5)
            loads.append(os.getloadavg()[0])
            assert all(node.process.poll() is None for node in nodes)
        after, took = now(), time.monotonic() - began
        for one in commands:
            one.over.set()
        told = [node.ask("end") for node in nodes]
        leases.process.kill()
        for one in commands:
            one.join(30)
        cpu, of_nodes, wal, *rows = (b - a for a, b in zip(before, after, strict=True))
        slices = sum(one["slices"] for one in told)
        given = {action: [took for one in commands for took in one.took[action]] for action in commands[0].took}
        every = [took for took_of in given.values() for took in took_of]
        table = {
            "streams": STREAMS, "slices_s": SLICES, "seconds": round(took), "load": {"median": at(loads, 0.5), "worst": at(loads, 1)}, "came_in_after_s": round(came_in, 1),
            "postgres_cores": round(cpu / took, 3), "wal_bytes_per_s": round(wal / took), "wal_bytes_per_slice": round(wal / max(1, slices)), "nodes_cores": round(of_nodes / took, 3),
            "slices": slices, "slices_wanted": round(STREAMS * took / SLICES), "slices_failed": sum(one["failed"] for one in told),
            "slice_ms": {part: round(max(one["slice_ms"][part] for one in told), 1) for part in ("p50", "p99", "max")},
            "longest_lease_gap_ms": {"by_the_nodes": max(one["lease_gap_ms"] for one in told), "by_the_rows": leases.longest_gap_ms()},
            "commands_ms": {"p50": at(every, 0.5), "p99": at(every, 0.99), "max": at(every, 1), "of": len(every)},
            "commands_p50_ms": {action: at(took_of, 0.5) for action, took_of in given.items()}, "commands_failed": [error for one in commands for error in one.failed][:5],
            "rows": dict(zip(tables, map(int, rows), strict=True)),
        }  # fmt: skip
        if STATEMENTS:
            text = "SELECT round(total_exec_time), calls, rows, substr(regexp_replace(query, '\\s+', ' ', 'g'), 1, 150) FROM pg_stat_statements ORDER BY 1 DESC LIMIT 25"
            print("\n".join(sql(text)))
        known = json.loads(OUT.read_text()) if OUT.exists() else []
        OUT.write_text(json.dumps([*known, table | {"at": time.strftime("%Y-%m-%d %H:%M")}], indent=1))
        print(json.dumps(table, indent=1))
        assert slices >= 0.97 * table["slices_wanted"] and not table["slices_failed"], "slices came late or not at all"
        assert not table["commands_failed"]
        assert max(table["longest_lease_gap_ms"].values()) < LEASE_MS
        wait_for(lambda: sql("SELECT COUNT(*) FROM node WHERE member") == [str(len(NAMES))], 10, "all nodes")
    finally:
        for one in reversed(made):
            one.stop() if isinstance(one, Server) else one.close()
