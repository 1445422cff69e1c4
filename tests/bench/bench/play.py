"""Viewers of live streams: CPU seconds a viewer-minute and memory a viewer, beside nginx-rtmp and SRS in the same run, where they are on the machine.

Memory is what the server's resident set grew by from when its publishers had been there for a while to the end of the run, with all viewers watching."""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.wait import wait_for

from . import media, own, peers, procs

# Streams of 1 Mbit/s, viewers in all, and how they watch.
CONDITIONS = ((1, 1000, "flv"), (1, 500, "rtmp"), (1, 500, "https"), (50, 1000, "flv"), (50, 1000, "rtmp"))
# A push begins before its viewers come, one after the other, and is ended when they have gone.
LEAD_SECONDS = 300
# Publishers come over two seconds, and each brings a group first; what a server keeps of them has been replaced several times by then.
SETTLED_SECONDS = 12
WATCH_TLS = Path(__file__).resolve().parents[1] / "watch_tls.py"


@dataclass
class Row:
    """One run. `cpu` is of the server, from when all viewers are there to the end; `memory` is what it grew by, a viewer; `resident` all that it held then, in MB."""

    server: str
    streams: int
    viewers: int
    form: str
    cpu: float
    memory: float
    resident: float
    cut: int
    least: float
    load: float


@dataclass(frozen=True)
class Started:
    """A server that runs: its process, the port of each form, and the query of its streams."""

    pid: int
    ports: dict[str, int]
    query: str = ""


@dataclass(frozen=True)
class Player:
    """A server: its name, the forms that it plays, and how it is started."""

    name: str
    forms: tuple[str, ...]
    start: Callable[[Path], AbstractContextManager[Started]]


@contextmanager
def _localyun(folder: Path) -> Iterator[Started]:
    with own.server(folder / "data", None, "--play-tls-addr", "127.0.0.1:0") as server:
        http, https = (urlsplit(server.ready[name]).port or 0 for name in ("play", "play_tls"))
        yield Started(server.process.pid, {"rtmp": server.rtmp_port, "flv": http, "https": https}, f"?vhost={own.DOMAIN}")


@contextmanager
def _nginx(folder: Path) -> Iterator[Started]:
    """nginx with the RTMP module of Debian: it plays RTMP and has no HTTP-FLV."""
    port = peers.free_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"load_module {peers.NGINX_MODULE};\nuser root;\nworker_processes 1;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/error.log warn;\n"
        "events { worker_connections 4096; }\n"
        f"rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; chunk_size 60000; application live {{ live on; wait_key on; }} }} }}\n"
    )
    with peers.running(["nginx", "-c", config, "-p", folder, "-e", folder / "error.log"], "nginx", port, folder) as (pid, _):
        yield Started(pid, {"rtmp": port})


@contextmanager
def _srs(folder: Path) -> Iterator[Started]:
    """SRS: RTMP and HTTP-FLV."""
    port, http = peers.free_port(), peers.free_port()
    config = folder / "srs.conf"
    config.write_text(
        f"listen {port};\nmax_connections 4000;\ndaemon off;\npid {folder}/pid;\nsrs_log_tank file;\nsrs_log_level error;\nsrs_log_file {folder}/srs.log;\n"
        f"http_server {{ enabled on; listen {http}; }}\nvhost __defaultVhost__ {{ http_remux {{ enabled on; mount [vhost]/[app]/[stream].flv; }} }}\n"
    )
    with peers.running([peers.srs_program(), "-c", config], "srs", port, folder) as (pid, _):
        yield Started(pid, {"rtmp": port, "flv": http})


def found(say: Callable[[str], None]) -> list[Player]:
    """Ours and the peers of this machine; those that are not there are told."""
    players = [Player("localyun", ("flv", "rtmp", "https"), _localyun)]
    if shutil.which("nginx") and peers.NGINX_MODULE.exists():
        players.append(Player("nginx-rtmp", ("rtmp",), _nginx))
    else:
        say(f"nginx-rtmp: {peers.ABSENT}")
    if peers.srs_program():
        players.append(Player("SRS", ("flv", "rtmp"), _srs))
    else:
        say(f"srs: {peers.ABSENT} ({peers.SRS_VARIABLE} names its program)")
    return players


def watch_command(tools: media.Tools, form: str, port: int, query: str, viewers: int, seconds: int, streams: int) -> list[str]:
    """The watchers' command line."""
    place = f"live/s%d{query}" if form == "rtmp" else f"/live/s%d.flv{query}"
    program = [sys.executable, WATCH_TLS] if form == "https" else [tools.watch, form]
    return [str(word) for word in (*program, "127.0.0.1", port, place, viewers, seconds, streams)]


def run(player: Player, streams: int, viewers: int, form: str, seconds: int, tools: media.Tools, folder: Path) -> Row:
    """One server under one crowd."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    with player.start(folder) as started:
        pid = started.pid
        push = subprocess.Popen(
            media.push_command(tools.push, "127.0.0.1", started.ports["rtmp"], started.query, streams, seconds + LEAD_SECONDS, tools.mega), stdout=subprocess.PIPE, text=True
        )
        try:
            wait_for(lambda: procs.use(pid).cpu > 0, 10, "the push")
            subprocess.run(["sleep", str(SETTLED_SECONDS)], check=True)
            alone = procs.use(pid)
            command = watch_command(tools, form, started.ports[form], started.query, viewers, seconds, streams)
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
                assert watch.stdout is not None
                if (said := watch.stdout.readline()) != "counting\n":
                    raise RuntimeError(f"{player.name}, {form}: the viewers did not all come ({said!r})")
                before = procs.use(pid)
                told = json.loads(watch.stdout.readline())
                after = procs.use(pid)
                load = procs.load()
        finally:
            push.kill()
            push.wait(20)
    minutes = viewers * seconds / 60
    least = told["least"] * 8 / seconds / 1e6
    return Row(player.name, streams, viewers, form, (after.cpu - before.cpu) / minutes, (after.rss - alone.rss) * 1024 / viewers, after.rss, told["cut"], least, load)


def runs(seconds: int, tools: media.Tools, folder: Path, keep: Callable[[list[Row]], None], say: Callable[[str], None]) -> list[Row]:
    """Every server under every crowd that it can have, in turns; `keep` is given the rows so far after each one."""
    rows: list[Row] = []
    for (streams, viewers, form), player in itertools.product(CONDITIONS, found(say)):
        if form not in player.forms:
            continue
        row = run(player, streams, viewers, form, seconds, tools, folder)
        say(f"{row.server}, {streams} streams, {viewers} viewers by {form}: {row.cpu:.4f} CPU-s a viewer-minute, {row.memory:.0f} KiB a viewer, {row.cut} cut off")
        rows.append(row)
        keep(rows)
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def failures(rows: list[Row]) -> list[str]:
    """What the runs have to show and do not, in words: no viewer is cut off, and ours costs no more than a peer in the same run."""
    found = [f"{row.server}, {row.form}: {row.cut} viewers cut off" for row in rows if row.server == "localyun" and row.cut]
    for ours in (row for row in rows if row.server == "localyun"):
        for other in rows:
            same = (other.streams, other.viewers, other.form) == (ours.streams, ours.viewers, ours.form)
            if not same or other.server == "localyun":
                continue
            for what, mine, theirs in (("CPU", ours.cpu, other.cpu), ("memory", ours.memory, other.memory)):
                if mine > theirs > 0:
                    found.append(f"{ours.streams} streams by {ours.form}: {mine / theirs:.2f} times {other.server}'s {what}")
    return found


def save(path: Path, told: list[str], rows: list[Row]) -> None:
    """Keeps rows and what the run's head says, so that a run that breaks off leaves them and the picture can be drawn again without one."""
    path.write_text(json.dumps({"told": told, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def load(path: Path) -> tuple[list[str], list[Row]]:
    """What was kept."""
    kept = json.loads(path.read_text())
    return kept["told"], [Row(**row) for row in kept["rows"]]
