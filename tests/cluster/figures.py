"""Not tests: what several nodes cost, and what their losses come to. Each prints its table and leaves it in target/cluster-figures.json.

    CLUSTER_TESTS=tests/cluster/figures.py tests/cluster/run

Sizes by the environment: FIGURES (which: kills,restarts,partitions,cost,beside), STREAMS, KILLS, RESTARTS, STRETCH (seconds of each part of the cost: two slices at
least), ROUNDS (of the cost). The cost wants the bench's load maker and a clip, as tests/bench/run leaves them in target/bench; PUSH and CLIP name others.
"""

import json
import os
import random
import re
import shutil
import statistics
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness.probe import duration
from harness.server import PROJECT, Server
from harness.wait import wait_for
from marked import Encoder, lost_seconds, recorded
from nodes import Nodes, host_of
from proxy import Proxy
from test_loss import lag

STREAMS = int(os.environ.get("STREAMS", "10"))
KILLS = int(os.environ.get("KILLS", "5"))
RESTARTS = int(os.environ.get("RESTARTS", "3"))
SECONDS = float(os.environ.get("STRETCH", "30"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
WANTED = os.environ.get("FIGURES", "kills,restarts,partitions,cost,beside").split(",")
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


def spread(cluster: Nodes, names: list[str], prefix: str, comes_back: bool, count: int = STREAMS) -> dict[str, list[Encoder]]:
    """As many streams as are asked for, over the nodes, each at its own; they come back through the balancer."""
    made: dict[str, list[Encoder]] = {name: [] for name in names}
    for number in range(count):
        name = names[number % len(names)]
        server, turn = cluster.servers[name], [0]

        def door(server=server, turn=turn) -> tuple[str, int]:
            turn[0] += 1
            return (server.rtmp_host, server.rtmp_port) if turn[0] == 1 else cluster.balancer.listener.getsockname()

        encoder = Encoder(f"{prefix}s{number}", cluster.domain, door, comes_back=comes_back)
        made[name].append(encoder)
        cluster.ends.append(encoder.stopped)
        encoder.start()
    return made


class Loss(threading.Thread):
    """What becomes of the streams of one node that was killed: when the others have them, when their files are there."""

    def __init__(self, cluster: Nodes, victim: str, mine: list[Encoder], killed_at: float):
        super().__init__(daemon=True)
        self.cluster, self.victim, self.mine, self.killed_at = cluster, victim, mine, killed_at
        self.taken = self.finished = None
        self.start()

    def _until(self, statement: str, deadline: float) -> float | None:
        while time.monotonic() - self.killed_at < deadline:
            if self.cluster.sql(statement) == [str(len(self.mine))]:
                return time.monotonic() - self.killed_at
            time.sleep(0.25)
        return None

    def run(self) -> None:
        streams = ",".join(f"'{encoder.stream}'" for encoder in self.mine)
        self.taken = self._until(f"SELECT COUNT(*) FROM live_stream WHERE stream IN ({streams}) AND node <> '{self.victim}' AND incarnation <> ''", 60)
        self.finished = self._until(f"SELECT COUNT(*) FROM record_file WHERE stream IN ({streams})", 180)


def test_kills_for_good(nodes):
    """A third of the streams are the victims'; a new one dies each quarter of a minute, while the files of the one before are still owed."""
    wanted("kills")
    cluster = nodes(2, lease="6s")
    cluster.rule("a", "flv")
    third = STREAMS // 3
    stays = [encoder for encoders in spread(cluster, ["a", "b"], "stays", False, STREAMS - third).values() for encoder in encoders]
    losses, behind = [], []
    for number in range(KILLS):
        victim = f"v{number}"
        cluster.start(victim)
        (mine,) = spread(cluster, [victim], f"k{number}", False, third).values()
        wait_for(lambda: all(encoder.acknowledged for encoder in mine), 20, "all of its streams")
        time.sleep(random.uniform(5, 8))
        behind.append(lag(cluster, victim))
        killed_at = cluster.kill(victim)
        for encoder in mine:
            assert encoder.broken.wait(10)
        losses.append(Loss(cluster, victim, mine, killed_at))
        time.sleep(random.uniform(4, 7))
    for loss in losses:
        loss.join()
    for encoder in stays:
        encoder.end()
    wait_for(lambda: cluster.sql("SELECT COUNT(*) FROM record_session WHERE state <> 'ended'") == ["0"], 120, "the end of all recordings")
    lost, twice, owed_lost, files_of = [], 0, [], []
    for loss in losses:
        for encoder in loss.mine:
            files = recorded(cluster, encoder.stream)
            files_of.append(len(files))
            held = [one for file in files for one in file]
            twice += len(held) - len(set(held))
            assert held == list(range(len(held))), (encoder.stream, "a picture is missing in the middle")
            lost.append(lost_seconds(encoder, held, loss.killed_at))
            owed_lost.append(max(0, encoder.owed(loss.killed_at - 1.0) - len(held)))
    hurt = sum(1 for encoder in stays if encoder.breaks or encoder.missing([one for file in recorded(cluster, encoder.stream) for one in file]))
    cluster.check_rows_and_objects()
    report("kills", {
        "streams": STREAMS, "kills": KILLS, "streams_lost_with_them": len(lost), "media_lost_s": stretch(lost), "mirror_behind_when_killed_s": stretch(behind),
        "taken_over_after_s": stretch([loss.taken for loss in losses]), "files_after_s_with_15_s_of_delay": stretch([loss.finished for loss in losses]),
        "streams_without_exactly_one_file": sum(1 for one in files_of if one != 1), "pictures_acknowledged_a_second_before_and_lost": sum(owed_lost),
        "streams_with_such": sum(1 for one in owed_lost if one), "pictures_twice": twice, "streams_of_other_nodes_that_broke_or_lack_a_picture": hurt,
    })  # fmt: skip


def test_rolling_restarts(nodes):
    wanted("restarts")
    cluster = nodes(3, lease="6s")
    cluster.rule("a", "flv")
    crowd = [encoder for encoders in spread(cluster, list("abc"), "r", comes_back=True).values() for encoder in encoders]
    time.sleep(5)
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
        assert held == sorted(held), (encoder.stream, "out of order")
        twice += len(held) - len(set(held))
        missing += encoder.missing(held)
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
                proxy.appear()
                proxy.mend()
                proxy.close()


def end_all(cluster: Nodes, crowd: list[Encoder]) -> None:
    for encoder in crowd:
        encoder.end()
    wait_for(lambda: cluster.sql("SELECT COUNT(*) FROM record_session WHERE state <> 'ended'") == ["0"], 120, "the end of all recordings")
    wait_for(lambda: cluster.sql("SELECT COUNT(*) FROM live_stream WHERE state = 'live'") == ["0"], 60, "the end of all streams")


# How a way goes: connections are closed and refused; nothing gets through, in both directions; in one.
HOW = {
    "refused": (Proxy.cut, Proxy.mend),
    "silent": (Proxy.vanish, Proxy.appear),
    "silent from the node": (lambda proxy: proxy.vanish(back=False), Proxy.appear),
    "silent to the node": (lambda proxy: proxy.vanish(there=False), Proxy.appear),
}
CUTS = [("database", how) for how in HOW] + [("store", how) for how in HOW] + [("both", "refused"), ("both", "silent")]


@pytest.mark.parametrize("cut, how", CUTS)
def test_partitions(nodes, cut, how):
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
            HOW[how][0](proxy)
        time.sleep(10)
        moved = sum(1 for encoder in crowd["c"] if cluster.owner(encoder.stream) in ("a", "b"))
        for proxy in (database, store):
            HOW[how][1](proxy)
        mended = time.monotonic()
        wait_for(lambda: cluster.names("a") == ["a", "b", "c"], 30, "all nodes")
        back = time.monotonic() - mended
        time.sleep(5)
        end_all(cluster, everybody)
        twice = files = 0
        missing = {"before": 0, "cut": 0, "after": 0}
        for name, encoders in crowd.items():
            for encoder in encoders:
                parts = recorded(cluster, encoder.stream)
                files += len(parts)
                held = [one for part in parts for one in part]
                twice += len(held) - len(set(held))
                assert held == sorted(held), (encoder.stream, "out of order")
                # A second before the cut on, as long as the node may not know whose its streams are.
                first, end = encoder.owed(cut_at - 1), encoder.owed(mended + 3)
                for number in encoder.absent(held):
                    missing["before" if number < first else "cut" if number < end else "after"] += 1
                assert name == "c" or not encoder.absent(held), (encoder.stream, "a stream of another node lacks pictures")
        cluster.check_rows_and_objects()
        report(f"partition: {cut}, {how}", {
            "streams": STREAMS, "of_the_node": len(crowd["c"]), "taken_over_meanwhile": moved, "cut_for_s": round(mended - cut_at, 1), "all_nodes_after_s": round(back, 1),
            "breaks": {name: sum(encoder.breaks for encoder in encoders) for name, encoders in crowd.items()}, "files": files, "pictures_twice": twice,
            "acknowledged_pictures_missing": missing,
        })  # fmt: skip
        assert twice == missing["before"] == missing["after"] == 0
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


def measure(cluster: Nodes, servers: list[Server], streams: int) -> dict:
    """What a stretch of time costs, a second; what asks the database itself does so outside of it."""
    postmaster = next(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and is_postmaster(p, urlsplit(cluster.database).port))
    wal = lambda: int(cluster.sql("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")[0])  # noqa: E731
    changed = lambda: cluster.store.control("GET", "/_localyun/wait?kind=object&count=10000&timeout_s=0")[1]["count"]  # noqa: E731

    def now() -> tuple[float, ...]:
        return (sum(ticks(server.process.pid) for server in servers), ticks(postmaster, True), ticks(cluster.store.process.pid))

    written, changes = wal(), changed()
    time.sleep(1)
    before, began = now(), time.monotonic()
    time.sleep(SECONDS)
    after, took = now(), time.monotonic() - began
    changes, written = changed() - changes, wal() - written
    nodes, postgres, store = ((b - a) * 1000 / took for a, b in zip(before, after, strict=True))
    return {
        "streams": streams, "engine_ms_s": round(nodes, 2), "postgres_ms_s": round(postgres, 2), "wal_bytes_s": round(written / (took + 1)), "store_ms_s": round(store, 2),
        "store_changes_s": round(changes / (took + 1), 2),
    }  # fmt: skip


def is_postmaster(entry: Path, port: int | None) -> bool:
    with suppress(OSError):
        words = (entry / "cmdline").read_bytes().split(b"\0")
        return words[0].endswith(b"/postgres") and str(port).encode() in words
    return False


BENCH = PROJECT / "target" / "bench"
PUSH, CLIP = (Path(os.environ.get(name, BENCH / usual)) for name, usual in (("PUSH", "push"), ("CLIP", "ref.flv")))
WAYS = ("alone", "mirror off", "mirror 1s")


def served(way: str, cluster: Nodes) -> Server:
    """The one server of a way."""
    if way != "alone":
        return cluster.start("a")
    cluster.servers["a"] = Server(
        "--oss-endpoint", cluster.store.oss, "--oss-access-key", "testid:testsecret", data_dir=cluster.folder / "alone",
        environment={"LOCALYUN_DATABASE_URL": cluster.database},
    )  # fmt: skip
    return cluster.servers["a"]


def pushed(server: Server, domain: str, streams: int, seconds: float) -> subprocess.Popen:
    """So many streams of the bench's load maker, for so long."""
    command = [PUSH, server.rtmp_host, server.rtmp_port, "live", "c", f"?vhost={domain}", streams, seconds, CLIP, 1, 4096]
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)


def cost_of(way: str, slices: int, cluster: Nodes) -> dict:
    """What one server costs without and with all streams, and what a stream-second more."""
    server = served(way, cluster)
    cluster.rule("a", {"Format": "m3u8", "SliceDuration": slices})
    time.sleep(3)
    idle = measure(cluster, [server], 0)
    with pushed(server, cluster.domain, STREAMS, SECONDS + 12) as push:
        time.sleep(7)
        busy = measure(cluster, [server], STREAMS)
        told = json.loads(push.communicate(timeout=SECONDS + 60)[0])
    names = ["engine_ms", "postgres_ms", "wal_bytes", "store_ms", "store_changes"]
    each = {f"{name}_a_stream_s": (busy[f"{name}_s"] - idle[f"{name}_s"]) / STREAMS for name in names}
    return {f"idle_{name}": value for name, value in idle.items()} | busy | each | {"latest_frame_ms": told["late_ms"]}


@pytest.mark.parametrize("slices", [30, 5])
def test_cost(receiver, tmp_path, slices):
    """One server under all streams: alone on the same database and store, as a node without a mirror, as a node with one. In each round another one is
    the first, and the files of each are gone before the next: what is measured late pays for what fills the memory."""
    wanted("cost")
    rounds: dict[str, list[dict]] = {way: [] for way in WAYS}
    for number in range(ROUNDS):
        first = number % len(WAYS)
        for way in WAYS[first:] + WAYS[:first]:
            cluster = Nodes(receiver, tmp_path, mirror="1s" if way == "mirror 1s" else "off", lease="6s")
            try:
                rounds[way].append(cost_of(way, slices, cluster))
            finally:
                cluster.close()
                shutil.rmtree(cluster.folder)
                os.sync()
    table: dict = {"clip_kbit_s": round(CLIP.stat().st_size * 8 / duration(CLIP) / 1000), "seconds": SECONDS, "slices_s": slices, "rounds": ROUNDS}
    for way, measured in rounds.items():
        table[way] = {name: round(statistics.median(one[name] for one in measured), 4) for name in measured[0]}
        ratios = [one["engine_ms_s"] / alone["engine_ms_s"] for one, alone in zip(measured, rounds["alone"], strict=True)]
        table[f"{way}: engine to alone"] = [round(ratio, 3) for ratio in ratios]
    report(f"cost, slices of {slices} s, {table['clip_kbit_s']} kbit/s", table)


@pytest.mark.parametrize("slices", [30, 5])
def test_cost_side_by_side(receiver, tmp_path, slices):
    """The three ways at once, each with a third of the streams and a store of its own: whatever the machine does meanwhile, it does to all of them."""
    wanted("beside")
    streams = max(1, STREAMS // len(WAYS))
    table: dict = {"streams_each": streams, "seconds": SECONDS, "slices_s": slices}
    for number in range(ROUNDS):
        first = number % len(WAYS)
        clusters = {way: Nodes(receiver, tmp_path, mirror="1s" if way == "mirror 1s" else "off", lease="6s") for way in WAYS[first:] + WAYS[:first]}
        pushes = []
        try:
            servers = {way: served(way, cluster) for way, cluster in clusters.items()}
            for cluster in clusters.values():
                cluster.rule("a", {"Format": "m3u8", "SliceDuration": slices})
            pushes = [pushed(server, clusters[way].domain, streams, SECONDS + 12) for way, server in servers.items()]
            time.sleep(7)
            before = {way: ticks(server.process.pid) for way, server in servers.items()}
            time.sleep(SECONDS)
            took = {way: ticks(server.process.pid) - before[way] for way, server in servers.items()}
            late = [json.loads(push.communicate(timeout=SECONDS + 60)[0])["late_ms"] for push in pushes]
        finally:
            for push in pushes:
                push.kill()
            for cluster in clusters.values():
                cluster.close()
                shutil.rmtree(cluster.folder)
            os.sync()
        for way in WAYS:
            table.setdefault(f"{way}: engine, ms a stream-second", []).append(round(took[way] * 1000 / SECONDS / streams, 3))
            table.setdefault(f"{way}: engine to alone", []).append(round(took[way] / took["alone"], 3))
        table.setdefault("latest_frame_ms", []).append(max(late))
    for way in WAYS:
        table[f"{way}: median"] = round(statistics.median(table[f"{way}: engine to alone"]), 3)
    report(f"cost side by side, slices of {slices} s", table)
