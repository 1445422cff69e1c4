"""Not a test of the suite: an hour of kills, stops, hangs, partitions and failovers of the database under many streams, from a seed.

    SEED=1 STREAMS=200 MINUTES=60 CLUSTER_TESTS=tests/cluster/chaos.py tests/cluster/run

Three nodes, a PostgreSQL with a synchronous standby, a localyun as the store. The seed says which moves are made, on which of the three places,
when they are due and how long they last; moves on different places overlap, those on one follow each other. Afterwards, and of each format by itself:

- each picture that a node had acknowledged more than a second before it died (and before what its mirror was behind by, as its own metric said) is in
  exactly one recording, byte for byte what was sent, and so is each that was acknowledged by a node that lived;
- no picture is anywhere twice, out of order, or in another stream's recording;
- each file and slice has its row and each row its object; each file's event came, and no event has two rows;
- whenever the moves pause, each stream has one publisher on one node and the mirrors have caught up.

What it found goes into target/cluster-chaos.json; a run that fails says how to run it again.
"""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from queue import Queue

from harness.server import PROJECT, Server
from harness.wait import wait_for
from lowrate import Encoders, Pictures, Publication, make_clip
from nodes import Nodes, host_of
from postgres import Postgres
from proxy import Proxy

STREAMS = int(os.environ.get("STREAMS", "20"))
MINUTES = float(os.environ.get("MINUTES", "2"))
SEED = int(os.environ.get("SEED", "1"))
OUT = PROJECT / "target" / "cluster-chaos.json"
LEASE_S = 6
PLACES = 3
# Between two pauses of the moves, and how long everything may take to be well again after the last of them.
PAUSE_EVERY_S, WELL_AGAIN_S = 240, 120
# How long an orderly stop may take.
GRACE_S = 30
# Media that may be lost with a node: the mirror's age.
LOSS_S = 1.0
FORMATS = ["flv", {"Format": "mp4"}, {"Format": "m3u8", "SliceDuration": 10}]

# How often each move is made, of a hundred or so. Those of the database are of all nodes.
MOVES = {
    "kill for good": 14, "kill and back": 10, "restart": 14, "hang": 14, "cut from database": 10, "cut from store": 8, "cut from both": 10,
    "database stopped at once": 6, "database replaced by its standby": 6, "database away": 5,
}  # fmt: skip


@dataclass(frozen=True)
class Move:
    """`due` and `lasts` in seconds; `silent`: a partition in which nothing is refused, and nothing gets through."""

    due: float
    kind: str
    place: int
    lasts: float
    silent: bool

    def __str__(self) -> str:
        where = "" if "database " in self.kind and "cut" not in self.kind else f" {self.place}"
        return f"{self.due:.0f}s {self.kind}{where} {self.lasts:.1f}s{' silent' if self.silent else ''}"


def plan(seed: int, seconds: float) -> list[Move | None]:
    """The moves of a run, from the seed alone; None: a pause, until everything is well again."""
    dice, moves, at, pause = random.Random(f"chaos {seed}"), [], 0.0, PAUSE_EVERY_S
    while True:
        at += dice.uniform(8, 28)
        if at >= seconds:
            return moves
        if at >= pause:
            moves.append(None)
            pause += PAUSE_EVERY_S
        (kind,) = dice.choices(list(MOVES), list(MOVES.values()))
        moves.append(Move(at, kind, dice.randrange(PLACES), dice.uniform(0.5, 2.5 * LEASE_S), dice.random() < 0.5))


@dataclass
class Excuse:
    """Of publications at a port that ended within a stretch of time: pictures acknowledged from an instant on may be missing."""

    port: int
    since: float
    ended: tuple[float, float]
    why: str
    # What was acknowledged from then on is not owed by the promise of a second alone.
    promised: float


@dataclass
class Place:
    """Where a node runs, with its ways to the database and to the store."""

    number: int
    database: Proxy
    store: Proxy
    server: Server | None = None
    name: str = ""
    life: int = 0
    lag: list[tuple[float, float]] = field(default_factory=list)
    # Each life of a node here: its name, its port, when it began.
    lives: list[tuple[str, int, float]] = field(default_factory=list)
    turns: Queue = field(default_factory=Queue)


class Chaos:
    """The cluster and what is done to it."""

    def __init__(self, cluster: Nodes, postgres: Postgres, streams: int):
        self.cluster, self.postgres, self.streams = cluster, postgres, streams
        store = host_of(cluster.store.oss)
        self.places = [Place(number, postgres.new_door(), Proxy(*store)) for number in range(PLACES)]
        self.database_turns: Queue = Queue()
        self.began = time.monotonic()
        self.excuses: list[Excuse] = []
        self.wrong: list[str] = []
        self.log: list[str] = []
        self.slow_stops = 0
        self.over = threading.Event()
        self.encoders: Encoders | None = None
        self.start_all()
        threads = [(self._work, place.turns) for place in self.places] + [(self._work, self.database_turns)]
        for work, turns in threads:
            threading.Thread(target=work, args=(turns,), daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    # ---- nodes ----

    def start_all(self) -> None:
        starting = [threading.Thread(target=self._start, args=(place, f"n{place.number}")) for place in self.places]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join()
        assert all(place.server for place in self.places), self.wrong

    def _start(self, place: Place, name: str) -> None:
        """Starts a node, as its keeper does: again and again while it ends, since the database or the store may be away."""
        user = f"http://127.0.0.1:{place.store.port}"
        database = self.postgres.url(self.cluster.database.rsplit("/", 1)[1], place.database.port)
        end = time.monotonic() + 90
        while True:
            try:
                place.server = self.cluster.start(name, database=database, store=user)
                break
            except (RuntimeError, subprocess.SubprocessError) as error:
                if time.monotonic() > end:
                    self._say(f"WRONG {name} does not start: {error}")
                    self.wrong.append(f"{name} does not start: {error}")
                    return
                time.sleep(0.5)
        place.name = name
        place.lives.append((name, place.server.rtmp_port, time.monotonic()))
        self.lead()

    def lead(self) -> None:
        if self.encoders is not None:
            servers = [place.server for place in self.places if place.server is not None]
            self.encoders.lead([(server.rtmp_host, server.rtmp_port) for server in servers])

    def _watch(self) -> None:
        """What the mirrors are behind by, as the nodes say."""
        while not self.over.wait(0.4):
            for place in self.places:
                server = place.server
                if server is None or server.process.poll() is not None:
                    continue
                with suppress(OSError, TypeError, ValueError):
                    text = server.control("GET", "/metrics", timeout=0.5)[1]
                    now = time.monotonic()
                    place.lag.append((now, float(re.search(r"mirror_lag_milliseconds (\d+)", text)[1]) / 1000))

    def _behind(self, place: Place, at: float) -> float:
        """The longest lag of the last seconds; where none was told, what the silence leaves open."""
        first = bisect_left(place.lag, (at - 5, 0.0))
        told = [(when, lag) for when, lag in place.lag[first:] if when <= at]
        if not told:
            return 5.0
        # Between two looks it may have grown by the time between them.
        return max(lag for _, lag in told) + min(2.0, at - told[-1][0])

    # ---- moves ----

    def _say(self, text: str) -> None:
        self.log.append(f"{time.monotonic() - self.began:.1f}s {text}")

    def _work(self, turns: Queue) -> None:
        while True:
            move, what = turns.get()
            try:
                self._say(f"begin {move}")
                what(move)
                self._say(f"end {move}")
            except BaseException as error:
                self._say(f"WRONG {move}: {error!r}")
                self.wrong.append(f"{move}: {error!r}")
            finally:
                turns.task_done()

    def make(self, move: Move) -> None:
        """Hands a move to whoever makes those of its place."""
        if move.kind.startswith("database"):
            self.database_turns.put((move, self._of_database))
        else:
            place = self.places[move.place]
            what: dict[str, Callable] = {"kill for good": self._kill, "kill and back": self._kill, "restart": self._restart, "hang": self._hang}
            do = what.get(move.kind, self._cut)
            place.turns.put((move, lambda move: do(move, place)))

    def settle(self) -> None:
        """All moves that are under way end."""
        for place in self.places:
            place.turns.join()
        self.database_turns.join()

    def _excuse(self, place: Place, since: float, until: float, why: str, promised: float) -> None:
        assert place.server is not None
        self.excuses.append(Excuse(place.server.rtmp_port, since, (promised, until), why, promised))

    def excuse_takeovers(self) -> int:
        """A node that lives and is taken for dead, since it hung or was cut off or the machine had no time for it, may lose what its mirror did
        not have when it was taken over; how often that was."""
        offset, count = time.monotonic() - time.time(), 0
        for server in [*self.cluster.gone, *self.cluster.servers.values()]:
            for line in server.log_path.read_text(errors="replace").splitlines():
                if (found := re.match(r"(\S+)Z +WARN .*a node's lease is over: .*node=\"(\S+)\"", line)) is None:
                    continue
                taken_at = datetime.fromisoformat(found[1] + "+00:00").timestamp() + offset
                for place in self.places:
                    life = max((life for life in place.lives if life[2] < taken_at and life[0] == found[2]), key=lambda life: life[2], default=None)
                    if life is not None:
                        count += 1
                        since = taken_at - LOSS_S - self._behind(place, taken_at)
                        self.excuses.append(Excuse(life[1], since, (taken_at - LEASE_S, taken_at + 4 * LEASE_S), "taken for dead", taken_at - LOSS_S))
        return count

    def _kill(self, move: Move, place: Place) -> None:
        server = place.server
        assert server is not None
        behind = self._behind(place, time.monotonic())
        if move.kind == "kill for good":
            place.life += 1
            killed_at = self.cluster.kill(place.name)
            self._excuse(place, killed_at - LOSS_S - behind, killed_at + 30, "killed", killed_at - LOSS_S)
            self._start(place, f"n{place.number}-{place.life}")
        else:
            server.process.kill()
            killed_at = time.monotonic()
            server.process.wait(10)
            self._excuse(place, killed_at - LOSS_S - behind, killed_at + 30, "killed", killed_at - LOSS_S)
            self._start(place, place.name)

    def _restart(self, move: Move, place: Place) -> None:
        assert place.server is not None
        began = time.monotonic()
        # A pod's grace. What does not end by then is killed, as there.
        place.server.process.send_signal(signal.SIGTERM)
        try:
            status = place.server.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            behind, status = self._behind(place, began), None
            place.server.process.kill()
            self._excuse(place, began - LOSS_S - behind, time.monotonic() + 30, "killed", began - LOSS_S)
            self.slow_stops += 1
        place.server.stop()
        if status not in (0, None):
            self.wrong.append(f"{place.name} ended with {status} when it was told to stop")
        self._start(place, place.name)

    def _hang(self, move: Move, place: Place) -> None:
        assert place.server is not None
        at, behind = time.monotonic(), self._behind(place, time.monotonic())
        place.server.process.send_signal(signal.SIGSTOP)
        time.sleep(move.lasts)
        place.server.process.send_signal(signal.SIGCONT)
        if move.lasts > LEASE_S / 2:
            self._excuse(place, at - LOSS_S - behind, time.monotonic() + 2 * LEASE_S, "hung", at - LOSS_S)
        time.sleep(2 * LEASE_S)

    def _cut(self, move: Move, place: Place) -> None:
        ways = {"cut from database": [place.database], "cut from store": [place.store], "cut from both": [place.database, place.store]}[move.kind]
        at, behind = time.monotonic(), self._behind(place, time.monotonic())
        for way in ways:
            way.vanish() if move.silent else way.cut()
        time.sleep(move.lasts)
        for way in ways:
            way.appear() if move.silent else way.mend()
        # Whoever gave way to another has what came since in a folder of its own.
        if place.database in ways and move.lasts > LEASE_S / 2:
            # The lease may be a renewal old when the way is cut.
            owed = at - LOSS_S - behind if place.store in ways else at
            self._excuse(place, owed, time.monotonic() + 2 * LEASE_S, move.kind, at - LOSS_S)
        time.sleep(2 * LEASE_S)

    def _of_database(self, move: Move) -> None:
        if move.kind == "database away":
            ways = [place.database for place in self.places]
            for way in ways:
                way.vanish() if move.silent else way.cut()
            time.sleep(move.lasts)
            for way in ways:
                way.appear() if move.silent else way.mend()
        elif move.kind == "database stopped at once":
            self.postgres.stop_at_once()
            time.sleep(move.lasts)
            self.postgres.start_again()
        else:
            self.postgres.promote()
            time.sleep(1)
            self.postgres.renew_standby()
        time.sleep(2 * LEASE_S)

    def check_well(self) -> float:
        """Every stream has one publisher on one node, and nothing is behind; how long that took."""
        began = time.monotonic()

        def gauge(text: str, name: str) -> float:
            return float(re.search(rf"^localyun_{name} (\d+)", text, re.M)[1])

        def state() -> dict:
            texts = []
            for place in self.places:
                if place.server is None:
                    return {"down": place.name}
                with suppress(OSError):
                    texts.append(place.server.control("GET", "/metrics", timeout=2)[1])
            rows = self.cluster.sql("SELECT COUNT(*) FROM live_stream s JOIN node n ON n.incarnation = s.incarnation WHERE s.state = 'live'")
            return {
                "publishers": sum(gauge(text, "publishers") for text in texts), "rows": int(rows[0]), "nodes": len(texts),
                "behind_ms": max((gauge(text, "cluster_mirror_lag_milliseconds") for text in texts), default=-1),
            }  # fmt: skip

        def is_well() -> bool:
            nonlocal last
            with suppress(Exception):
                last = state()
            return last.get("publishers") == self.streams == last.get("rows") and last["nodes"] == PLACES and last["behind_ms"] < 3000

        last: dict = {}
        try:
            wait_for(is_well, WELL_AGAIN_S, "everything to be well again")
        except AssertionError:
            self._say(f"WRONG not well: {last}")
            self.wrong.append(f"{WELL_AGAIN_S} s after the moves paused it is not well: {last}")
        return time.monotonic() - began

    def close(self) -> None:
        self.over.set()
        for place in self.places:
            for way in (place.database, place.store):
                way.appear()
                way.mend()
                way.close()


class Check:
    """What was recorded against what was acknowledged."""

    def __init__(self, chaos: Chaos, pictures: Pictures, crowd: list[list[Publication]]):
        self.chaos, self.cluster, self.pictures, self.crowd = chaos, chaos.cluster, pictures, crowd
        self.wrong: list[str] = []
        self.figures: Counter = Counter()
        self.worst = 0.0
        self.lost: dict[str, int] = {}

    def run(self) -> dict:
        for number, publications in enumerate(self.crowd):
            acknowledged = sum(len(one.acknowledged()) for one in publications)
            self.figures["pictures_acknowledged"] += acknowledged
            self.figures["publications"] += len(publications)
            for kind in ("flv", "mp4", "ts"):
                self._stream(number, publications, kind)
        self._rows()
        return dict(self.figures) | {"worst_loss_s": round(self.worst, 2), "pictures_lost_by": self.lost}

    def _held(self, number: int, kind: str) -> list[int]:
        name, cluster = f"s{number}", self.cluster
        if kind == "ts":
            rows = cluster.sql(f"SELECT object FROM record_slice WHERE stream_hash IN (SELECT stream_hash FROM record_session WHERE stream = '{name}') ORDER BY sequence")
            find = self.pictures.found_in_ts
        else:
            rows = cluster.sql(f"SELECT object FROM record_file WHERE stream = '{name}' AND format = '{kind}' ORDER BY started_at, id")
            find = self.pictures.found
        held: list[int] = []
        for key in rows:
            self.figures[f"{kind}_files"] += 1
            try:
                held += find(cluster.bucket.get(key), number)
            except Exception as error:
                self.wrong.append(f"{key}: {error!r}")
        return held

    def _stream(self, number: int, publications: list[Publication], kind: str) -> None:
        held = self._held(number, kind)
        once = set(held)
        if len(held) != len(once):
            twice = [one for one, times in Counter(held).items() if times > 1]
            self.figures["pictures_twice"] += len(twice)
            self.wrong.append(f"s{number} {kind}: {len(twice)} pictures twice: {twice[:3]}..{twice[-1]}")
        if held != sorted(held):
            self.wrong.append(f"s{number} {kind}: out of order")
        for one in publications:
            missing = [picture for picture in one.acknowledged() if picture not in once]
            if not missing:
                continue
            excuses = [it for it in self.chaos.excuses if it.port == one.port and it.ended[0] <= one.ended <= it.ended[1]]
            since = min((it.since for it in excuses), default=float("inf"))
            unowed = [picture for picture in missing if one.when(picture) >= since]
            if len(unowed) < len(missing):
                owed = [picture for picture in missing if one.when(picture) < since]
                self.figures["pictures_missing_that_are_owed"] += len(owed)
                at = self.chaos.began
                whole = one.acknowledged()
                self.wrong.append(
                    f"s{number} {kind}: {len(owed)} pictures are owed and missing, {owed[0]}..{owed[-1]}, acknowledged {one.when(owed[0]) - at:.1f}s..{one.when(owed[-1]) - at:.1f}s "
                    f"by port {one.port}, published {one.began - at:.1f}s..{one.ended - at:.1f}s as {whole[0]}..{whole[-1]}, excused from {since - at:.1f}s: {[it.why for it in excuses]}"
                )
            if unowed:
                worst = min(excuses, key=lambda it: it.since)
                self.lost[worst.why] = self.lost.get(worst.why, 0) + (kind == "flv") * len(unowed)
                if worst.why == "killed":
                    self.worst = max(self.worst, worst.promised + LOSS_S - one.when(unowed[0]))
                    early = [picture for picture in unowed if one.when(picture) < worst.promised]
                    self.figures["lost_that_were_older_than_a_second"] += len(early)

    def _rows(self) -> None:
        try:
            self.cluster.check_rows_and_objects()
        except AssertionError as error:
            rows, objects = error.args[0] if isinstance(error.args[0], tuple) else (error.args[0], [])
            alone = (sorted(set(rows) - set(objects))[:5], sorted(set(objects) - set(rows))[:5])
            self.wrong.append(f"rows without objects and objects without rows: {alone}")
        told = Counter(body["uri"] for body in self.cluster.inbox.bodies() if "uri" in body)
        files = self.cluster.sql("SELECT object FROM record_file")
        untold = [key for key in files if key not in told]
        if untold:
            self.wrong.append(f"{len(untold)} files were never told: {untold[:3]}")
        self.figures["files"] = len(files)
        self.figures["events_told_more_than_once"] = sum(1 for times in told.values() if times > 1)
        states = self.cluster.sql("SELECT state, COUNT(*) FROM callback GROUP BY state")
        self.figures["callbacks"] = {row.split("|")[0]: int(row.split("|")[1]) for row in states}
        if self.figures["callbacks"].keys() - {"success"}:
            self.wrong.append(f"callbacks that nobody took: {states}")


def again(seed: int, streams: int, minutes: float) -> str:
    return f"SEED={seed} STREAMS={streams} MINUTES={minutes:g} CLUSTER_TESTS=tests/cluster/chaos.py tests/cluster/run"


def test_the_same_seed_makes_the_same_moves():
    assert plan(7, 900) == plan(7, 900) != plan(8, 900)
    whole = plan(7, 3600)
    assert {move.kind for move in whole if move} == set(MOVES) and whole[:20] == plan(7, 900)[:20]


def test_chaos(nodes, tmp_path, monkeypatch):
    run(nodes, tmp_path, monkeypatch, SEED, STREAMS, MINUTES)


def run(nodes, tmp_path, monkeypatch, seed: int, streams: int, minutes: float) -> None:
    """A whole run; it fails where anything is wrong."""
    postgres = Postgres()
    made = [postgres]
    try:
        create = tmp_path / "create"
        create.write_text(f"#!/bin/sh\npsql -XqtAc 'create database \"'\"$1\"'\"' {postgres.url('postgres', postgres.door.port)} 2>/dev/null\nexit 0\n")
        create.chmod(0o755)
        monkeypatch.setenv("LOCALYUN_TEST_DATABASE_CREATE", str(create))
        monkeypatch.setenv("LOCALYUN_TEST_DATABASE", postgres.url("{name}", postgres.door.port))
        cluster = nodes(0, lease=f"{LEASE_S}s")
        chaos = Chaos(cluster, postgres, streams)
        made.insert(0, chaos)
        cluster.notify(chaos.places[0].name)
        cluster.rule(chaos.places[0].name, *FORMATS)
        clip = make_clip(tmp_path / "low.flv")
        encoders = Encoders(cluster.domain, clip, streams, seed, [(place.server.rtmp_host, place.server.rtmp_port) for place in chaos.places])
        made.insert(0, encoders)
        chaos.encoders = encoders
        well = [chaos.check_well()]
        chaos.began = began = time.monotonic()
        moves, idle = plan(seed, minutes * 60), 0.0
        for move in moves:
            if move is None:
                paused = time.monotonic()
                chaos.settle()
                well.append(chaos.check_well())
                idle += time.monotonic() - paused
                print(f"{time.monotonic() - began:.0f} s: well again after {well[-1]:.1f} s; wrong so far: {chaos.wrong}", flush=True)
            else:
                time.sleep(max(0.0, began + idle + move.due - time.monotonic()))
                chaos.make(move)
        chaos.settle()
        well.append(chaos.check_well())
        crowd = encoders.end()
        # DelayTime, and then the files.
        for statement, what in (
            ("SELECT COUNT(*) FROM record_session WHERE state <> 'ended'", "the end of all recordings"),
            ("SELECT COUNT(*) FROM live_stream WHERE state = 'live'", "the end of all streams"),
            ("SELECT COUNT(*) FROM callback WHERE state = 'pending'", "the last callback"),
        ):
            try:
                wait_for(lambda statement=statement: cluster.sql(statement) == ["0"], 300, what)
            except AssertionError as error:
                chaos.wrong.append(str(error))
        taken = chaos.excuse_takeovers()
        check = Check(chaos, Pictures(clip), crowd)
        found = check.run()
        wrong = chaos.wrong + check.wrong
        for server in [*cluster.gone, *cluster.servers.values()]:
            if "panicked at" in server.log_path.read_text(errors="replace"):
                wrong.append(f"{server.log_path.name}: a panic")
        result = {
            "seed": seed, "streams": streams, "minutes": minutes, "at": time.strftime("%Y-%m-%d %H:%M"), "load": [round(one, 1) for one in os.getloadavg()],
            "taken_for_dead": taken, "not_ended_within_the_grace": chaos.slow_stops, "moves": dict(Counter(move.kind for move in moves if move)), "pauses": len(well), "well_again_after_s": {"median": round(sorted(well)[len(well) // 2], 1), "worst": round(max(well), 1)},
        } | found | {"wrong": wrong, "again": again(seed, streams, minutes)}  # fmt: skip
        OUT.write_text(json.dumps(result | {"log": chaos.log, "plan": [str(move) for move in moves]}, indent=1))
        print(json.dumps(result, indent=1))
        assert not wrong, "\n".join([f"{len(wrong)} things are wrong; again: {again(seed, streams, minutes)}", *wrong[:40]])
    except BaseException:
        print(f"\nagain: {again(seed, streams, minutes)}")
        raise
    finally:
        for one in made:
            one.close()
