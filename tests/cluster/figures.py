"""Not tests: what several nodes cost, and what their losses come to. Each prints its table and leaves it in target/cluster-figures.json.

    CLUSTER_TESTS=tests/cluster/figures.py tests/cluster/run

Sizes by the environment: FIGURES (which: kills,restarts,partitions,cost,chaos), STREAMS, KILLS, RESTARTS, SECONDS (of each cost), MINUTES (of chaos),
SEED (of chaos: the same one makes the same moves).
"""

import json
import os
import random
import re
import signal
import statistics
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness.server import PROJECT, Server
from harness.wait import wait_for
from marked import Encoder, lost_seconds, recorded
from nodes import Nodes, host_of
from proxy import Proxy

STREAMS = int(os.environ.get("STREAMS", "10"))
KILLS = int(os.environ.get("KILLS", "5"))
RESTARTS = int(os.environ.get("RESTARTS", "3"))
SECONDS = float(os.environ.get("SECONDS", "30"))
MINUTES = float(os.environ.get("MINUTES", "2"))
SEED = int(os.environ.get("SEED", "1"))
WANTED = os.environ.get("FIGURES", "kills,restarts,partitions,cost,chaos").split(",")
OUT = PROJECT / "target" / "cluster-figures.json"
TICKS = os.sysconf("SC_CLK_TCK")


def report(name: str, table: dict) -> None:
    """Prints a table and keeps it."""
    known = json.loads(OUT.read_text()) if OUT.exists() else {}
    known[name] = table | {"at": time.strftime("%Y-%m-%d %H:%M"), "load": os.getloadavg()[0]}
    OUT.write_text(json.dumps(known, indent=1))
    print(f"\n{name}: {json.dumps(known[name])}")


def wanted(name: str) -> None:
    if name not in WANTED:
        pytest.skip("not asked for")


def stretch(values: list[float]) -> dict:
    return {"median": round(statistics.median(values), 2), "worst": round(max(values), 2), "of": len(values)} if values else {"of": 0}


def spread(cluster: Nodes, names: list[str], prefix: str, comes_back: bool) -> dict[str, list[Encoder]]:
    """As many streams as are asked for, over the nodes, each at its own; they come back through the balancer."""
    made: dict[str, list[Encoder]] = {name: [] for name in names}
    for number in range(STREAMS):
        name = names[number % len(names)]
        server, turn = cluster.servers[name], [0]

        def door(server=server, turn=turn) -> tuple[str, int]:
            turn[0] += 1
            return (server.rtmp_host, server.rtmp_port) if turn[0] == 1 else cluster.balancer.listener.getsockname()

        encoder = Encoder(f"{prefix}s{number}", cluster.domain, door, comes_back=comes_back)
        made[name].append(encoder)
        encoder.start()
    return made


def test_kills_for_good(nodes):
    wanted("kills")
    cluster = nodes(2, lease="6s")
    cluster.rule("a", "flv")
    lost, owed_lost, taken_after, finished_after, twice = [], [], [], [], 0
    for number in range(KILLS):
        victim = f"v{number}"
        cluster.start(victim)
        crowd = spread(cluster, ["a", "b", victim], f"k{number}", comes_back=False)
        time.sleep(random.uniform(4, 7))
        killed_at = cluster.kill(victim)
        mine = crowd[victim]
        for encoder in mine:
            assert encoder.broken.wait(10)
        streams = ",".join(f"'{encoder.stream}'" for encoder in mine)
        alive = "incarnation IN (SELECT incarnation FROM node WHERE expires_at > extract(epoch FROM clock_timestamp()) * 1000)"
        wait_for(lambda: cluster.sql(f"SELECT COUNT(*) FROM live_stream WHERE stream IN ({streams}) AND {alive}") == [str(len(mine))], 40, "the takeover")
        taken_after.append(time.monotonic() - killed_at)
        wait_for(lambda: cluster.sql(f"SELECT COUNT(*) FROM record_file WHERE stream IN ({streams})") == [str(len(mine))], 90, "the files")
        finished_after.append(time.monotonic() - killed_at)
        for encoder in mine:
            files = recorded(cluster, encoder.stream)
            held = [one for file in files for one in file]
            twice += len(held) - len(set(held))
            assert held == list(range(len(held))), (encoder.stream, "a picture is missing in the middle")
            lost.append(lost_seconds(encoder, held, killed_at))
            owed_lost.append(max(0, encoder.owed(killed_at - 1.0) - len(held)))
        for others in crowd.values():
            for encoder in others:
                encoder.end()
        for name, others in crowd.items():
            assert name == victim or all(encoder.breaks == 0 for encoder in others), "a stream of another node broke"
    report("kills", {
        "streams": STREAMS, "kills": KILLS, "media_lost_s": stretch(lost), "taken_over_after_s": stretch(taken_after),
        "files_after_s_with_15_s_of_delay": stretch(finished_after), "pictures_acknowledged_a_second_before_and_lost": sum(owed_lost),
        "streams_with_such": sum(1 for one in owed_lost if one), "pictures_twice": twice,
    })  # fmt: skip


def test_rolling_restarts(nodes):
    wanted("restarts")
    cluster = nodes(3, lease="6s")
    cluster.rule("a", "flv")
    crowd = [encoder for encoders in spread(cluster, list("abc"), "r", comes_back=True).values() for encoder in encoders]
    time.sleep(3)
    took = []
    for number in range(RESTARTS):
        name = "abc"[number % 3]
        began = time.monotonic()
        assert cluster.servers[name].stop() == 0
        took.append(time.monotonic() - began)
        time.sleep(1.5)
        cluster.start(name)
        time.sleep(1.5)
    for encoder in crowd:
        encoder.end()
    cluster.wait_files(STREAMS, 120)
    sessions = int(cluster.sql("SELECT COUNT(*) FROM record_session")[0])
    missing = twice = 0
    for encoder in crowd:
        held = [one for file in recorded(cluster, encoder.stream) for one in file]
        twice += len(held) - len(set(held))
        missing += encoder.acknowledged[-1][1] - len(set(held))
    cluster.check_rows_and_objects()
    report("restarts", {
        "streams": STREAMS, "restarts": RESTARTS, "recordings_ended_by_them": sessions - STREAMS, "stop_took_s": stretch(took),
        "breaks": sum(encoder.breaks for encoder in crowd), "acknowledged_pictures_missing": missing, "pictures_twice": twice,
    })  # fmt: skip


class Ways:
    """Nodes whose ways to the database and to the store can be cut one by one."""

    def __init__(self, cluster: Nodes):
        self.cluster = cluster
        self.at = urlsplit(cluster.database)
        self.proxies: dict[str, tuple[Proxy, Proxy]] = {}

    def start(self, name: str) -> None:
        if name not in self.proxies:
            self.proxies[name] = (Proxy(self.at.hostname, self.at.port), Proxy(*host_of(self.cluster.store.oss)))
        database, store = self.proxies[name]
        user = self.at.netloc.rsplit("@", 1)[0]
        self.cluster.start(
            name, database=f"{self.at.scheme}://{user}@127.0.0.1:{database.port}{self.at.path}", store=f"http://127.0.0.1:{store.port}"
        )

    def close(self) -> None:
        for pair in self.proxies.values():
            for proxy in pair:
                proxy.mend()
                proxy.close()


def check_all(cluster: Nodes, crowd: list[Encoder]) -> dict:
    """The invariants: what is in the recordings, rows and objects."""
    twice = missing = recordings = 0
    for encoder in crowd:
        files = recorded(cluster, encoder.stream)
        recordings += len(files)
        held = [one for file in files for one in file]
        twice += len(held) - len(set(held))
        assert held == sorted(held), (encoder.stream, "out of order")
        missing += (encoder.acknowledged[-1][1] if encoder.acknowledged else 0) - len(set(held))
    cluster.check_rows_and_objects()
    assert twice == 0, f"{twice} pictures are in two recordings"
    return {"recordings": recordings, "acknowledged_pictures_missing": missing, "pictures_twice": twice}


def end_all(cluster: Nodes, crowd: list[Encoder]) -> None:
    for encoder in crowd:
        encoder.end()
    wait_for(lambda: cluster.sql("SELECT COUNT(*) FROM record_session WHERE state <> 'ended'") == ["0"], 120, "the end of all recordings")
    wait_for(lambda: cluster.sql("SELECT COUNT(*) FROM live_stream WHERE state = 'live'") == ["0"], 60, "the end of all streams")


@pytest.mark.parametrize("cut", ["database", "store", "both"])
def test_partitions(nodes, cut):
    wanted("partitions")
    cluster = nodes(0, lease="3s")
    ways = Ways(cluster)
    try:
        for name in "abc":
            ways.start(name)
        cluster.rule("a", "flv")
        crowd = spread(cluster, list("abc"), "p", comes_back=True)
        everybody = [encoder for encoders in crowd.values() for encoder in encoders]
        time.sleep(4)
        cut_at = time.monotonic()
        database, store = ways.proxies["c"]
        for proxy in {"database": [database], "store": [store], "both": [database, store]}[cut]:
            proxy.cut()
        time.sleep(10)
        moved = sum(1 for encoder in crowd["c"] if cluster.owner(encoder.stream) in ("a", "b"))
        for proxy in (database, store):
            proxy.mend()
        mended = time.monotonic()
        wait_for(lambda: cluster.names("a") == ["a", "b", "c"], 30, "all nodes")
        back = time.monotonic() - mended
        time.sleep(5)
        end_all(cluster, everybody)
        report(f"partition of {cut}", {
            "streams": STREAMS, "of_the_node": len(crowd["c"]), "taken_over_meanwhile": moved, "cut_for_s": round(mended - cut_at, 1), "all_nodes_after_s": round(back, 1),
            "breaks": {name: sum(encoder.breaks for encoder in encoders) for name, encoders in crowd.items()},
        } | check_all(cluster, everybody))  # fmt: skip
    finally:
        ways.close()


def ticks(pid: int, children: bool = False) -> float:
    """CPU seconds of a process so far, by itself or with its children, those that have ended included."""

    def of(process: int, gone: bool) -> float:
        with suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()
            return sum(int(one) for one in fields[11 : 15 if gone else 13]) / TICKS
        return 0.0

    total = of(pid, children)
    if children:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if int(re.search(r"^PPid:\t(\d+)", (entry / "status").read_text(), re.M)[1]) == pid:
                        total += of(int(entry.name), False)
    return total


def measure(cluster: Nodes, servers: list[Server], crowd: list[Encoder]) -> dict:
    """What a stretch of time costs, a stream-second."""
    postmaster = next(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and is_postmaster(p, urlsplit(cluster.database).port))

    def now() -> tuple[float, ...]:
        wal = int(cluster.sql("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")[0])
        objects = cluster.store.control("GET", "/_localyun/wait?kind=object&count=10000&timeout_s=0")[1]["count"]
        return (sum(ticks(server.process.pid) for server in servers), ticks(postmaster, True), wal, ticks(cluster.store.process.pid), objects)

    before, began = now(), time.monotonic()
    time.sleep(SECONDS)
    after, took = now(), time.monotonic() - began
    nodes, postgres, wal, store, objects = (b - a for a, b in zip(before, after, strict=True))
    each = took * len(crowd)
    assert all(encoder.breaks == 0 for encoder in crowd)
    return {
        "engine_ms": round(nodes / each * 1000, 3), "postgres_ms": round(postgres / each * 1000, 3), "wal_bytes": round(wal / each), "store_ms": round(store / each * 1000, 3),
        "store_changes_per_s": round(objects / took, 2),
    }  # fmt: skip


def is_postmaster(entry: Path, port: int | None) -> bool:
    with suppress(OSError):
        words = (entry / "cmdline").read_bytes().split(b"\0")
        return words[0].endswith(b"/postgres") and str(port).encode() in words
    return False


@pytest.mark.parametrize("slices", [30, 5])
def test_cost(nodes, slices):
    """One node under all streams: alone on the same database and store, as a node without a mirror, as a node with one."""
    wanted("cost")
    table = {"streams": STREAMS, "seconds": SECONDS, "slices_s": slices}
    for way in ("alone", "mirror off", "mirror 1s"):
        cluster = nodes(0, mirror="off" if way == "mirror off" else "1s", lease="6s")
        if way == "alone":
            server = Server(
                "--oss-endpoint", cluster.store.oss, "--oss-access-key", "testid:testsecret", data_dir=cluster.folder / f"alone-{slices}",
                environment={"LOCALYUN_DATABASE_URL": cluster.database},
            )  # fmt: skip
            cluster.servers["a"] = server
        else:
            cluster.start("a")
        cluster.rule("a", {"Format": "m3u8", "SliceDuration": slices})
        crowd = spread(cluster, ["a"], "c", comes_back=True)["a"]
        time.sleep(5)
        table[way] = measure(cluster, [cluster.servers["a"]], crowd)
        for encoder in crowd:
            encoder.end()
        cluster.servers.pop("a").stop()
    for way in ("mirror off", "mirror 1s"):
        table[f"{way}: engine to alone"] = round(table[way]["engine_ms"] / table["alone"]["engine_ms"], 3)
    report(f"cost, slices of {slices} s", table)


MOVES = ("kill", "restart", "hang", "database", "store", "both", "failover")


def test_chaos(nodes):
    """Kills for good, stops, hangs, partitions and a database that is away for all, from a seed; then the invariants."""
    wanted("chaos")
    dice = random.Random(SEED)
    cluster = nodes(0, lease="3s")
    ways = Ways(cluster)
    moves: list[str] = []
    try:
        names = ["n0", "n1", "n2"]
        for name in names:
            ways.start(name)
        cluster.rule(names[0], "flv")
        crowd = [encoder for encoders in spread(cluster, names, "x", comes_back=True).values() for encoder in encoders]
        began, fresh = time.monotonic(), 3
        while time.monotonic() - began < MINUTES * 60:
            move, victim = dice.choice(MOVES), dice.choice(names)
            pause, away = dice.uniform(6, 10), dice.uniform(2, 9)
            time.sleep(pause)
            moves.append(f"{time.monotonic() - began:.0f}s {move} {victim}")
            server, (database, store) = cluster.servers[victim], ways.proxies[victim]
            if move == "kill":
                cluster.kill(victim)
                names[names.index(victim)] = f"n{fresh}"
                ways.start(f"n{fresh}")
                fresh += 1
            elif move == "restart":
                assert server.stop() == 0
                ways.start(victim)
            elif move == "hang":
                server.process.send_signal(signal.SIGSTOP)
                time.sleep(away)
                server.process.send_signal(signal.SIGCONT)
            else:
                cut = {"database": [database], "store": [store], "both": [database, store]}.get(move) or [ways.proxies[name][0] for name in names]
                for proxy in cut:
                    proxy.cut()
                time.sleep(away)
                for proxy in cut:
                    proxy.mend()
        time.sleep(10)
        end_all(cluster, crowd)
        found = check_all(cluster, crowd)
        events = cluster.sql("SELECT COUNT(*) FROM callback WHERE state = 'pending'")
        report(f"chaos, seed {SEED}", {"streams": STREAMS, "minutes": MINUTES, "moves": moves, "breaks": sum(e.breaks for e in crowd), "callbacks_waiting": events[0]} | found)
    except BaseException:
        print(f"\nseed {SEED}, moves: {moves}")
        raise
    finally:
        ways.close()
