"""Viewers of live streams: CPU seconds a viewer-minute and memory a viewer, beside nginx-rtmp and SRS in the same run, where they are on the machine.

Memory is what the server's resident set grew by from when its publishers were there to the end of the run, with all viewers watching."""

import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.wait import wait_for

from . import media, own, peers, procs

# Streams of 1 Mbit/s, viewers in all, and how they watch.
CONDITIONS = ((1, 1000, "flv"), (1, 500, "rtmp"), (50, 1000, "flv"), (50, 1000, "rtmp"))
# A push begins before its viewers come, one after the other, and is ended when they have gone.
LEAD_SECONDS = 300


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
class Player:
    """A server: its name, the forms that it plays, and how it is started: the process, its RTMP port, its HTTP port and the query of its streams."""

    name: str
    forms: tuple[str, ...]
    start: Callable[[Path], AbstractContextManager[tuple[int, int, int, str]]]


@contextmanager
def _localyun(folder: Path) -> Iterator[tuple[int, int, int, str]]:
    with own.server(folder / "data") as server:
        http = int(server.play.rsplit(":", 1)[1])
        yield server.process.pid, server.rtmp_port, http, f"?vhost={own.DOMAIN}"


@contextmanager
def _nginx(folder: Path) -> Iterator[tuple[int, int, int, str]]:
    """nginx with the RTMP module of Debian: it plays RTMP and has no HTTP-FLV."""
    port = peers.free_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"load_module {peers.NGINX_MODULE};\nuser root;\nworker_processes 1;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/error.log warn;\n"
        "events { worker_connections 4096; }\n"
        f"rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; chunk_size 60000; application live {{ live on; wait_key on; }} }} }}\n"
    )
    with peers.running(["nginx", "-c", config, "-p", folder, "-e", folder / "error.log"], "nginx", port, folder) as (pid, _):
        yield pid, port, 0, ""


@contextmanager
def _srs(folder: Path) -> Iterator[tuple[int, int, int, str]]:
    """SRS: RTMP and HTTP-FLV."""
    port, http = peers.free_port(), peers.free_port()
    config = folder / "srs.conf"
    config.write_text(
        f"listen {port};\nmax_connections 4000;\ndaemon off;\npid {folder}/pid;\nsrs_log_tank file;\nsrs_log_level error;\nsrs_log_file {folder}/srs.log;\n"
        f"http_server {{ enabled on; listen {http}; }}\nvhost __defaultVhost__ {{ http_remux {{ enabled on; mount [vhost]/[app]/[stream].flv; }} }}\n"
    )
    with peers.running([peers.srs_program(), "-c", config], "srs", port, folder) as (pid, _):
        yield pid, port, http, ""


def found(say: Callable[[str], None]) -> list[Player]:
    """Ours and the peers of this machine; those that are not there are told."""
    players = [Player("localyun", ("flv", "rtmp"), _localyun)]
    if shutil.which("nginx") and peers.NGINX_MODULE.exists():
        players.append(Player("nginx-rtmp", ("rtmp",), _nginx))
    else:
        say(f"nginx-rtmp: {peers.ABSENT}")
    if peers.srs_program():
        players.append(Player("SRS", ("flv", "rtmp"), _srs))
    else:
        say(f"srs: {peers.ABSENT} ({peers.SRS_VARIABLE} names its program)")
    return players


def run(player: Player, streams: int, viewers: int, form: str, seconds: int, tools: media.Tools, folder: Path) -> Row:
    """One server under one crowd."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    with player.start(folder) as (pid, rtmp, http, query):
        push = subprocess.Popen(
            media.push_command(tools.push, "127.0.0.1", rtmp, query, streams, seconds + LEAD_SECONDS, tools.mega), stdout=subprocess.PIPE, text=True
        )
        try:
            wait_for(lambda: procs.use(pid).cpu > 0, 10, "the push")
            # Publishers come over two seconds, and each brings a group first.
            subprocess.run(["sleep", "5"], check=True)
            alone = procs.use(pid)
            place = f"/live/s%d.flv{query}" if form == "flv" else f"live/s%d{query}"
            command = [tools.watch, form, "127.0.0.1", http if form == "flv" else rtmp, place, viewers, seconds, streams]
            watch = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
            assert watch.stdout is not None
            assert watch.stdout.readline() == "counting\n"
            before = procs.use(pid)
            told = json.loads(watch.stdout.readline())
            after = procs.use(pid)
            load = procs.load()
            watch.wait(20)
        finally:
            push.kill()
            push.wait(20)
    minutes = viewers * seconds / 60
    least = told["least"] * 8 / seconds / 1e6
    return Row(player.name, streams, viewers, form, (after.cpu - before.cpu) / minutes, (after.rss - alone.rss) * 1024 / viewers, after.rss, told["cut"], least, load)


def runs(seconds: int, tools: media.Tools, folder: Path, say: Callable[[str], None]) -> list[Row]:
    """Every server under every crowd that it can have, in turns."""
    rows = []
    for (streams, viewers, form), player in itertools.product(CONDITIONS, found(say)):
        if form not in player.forms:
            continue
        row = run(player, streams, viewers, form, seconds, tools, folder)
        say(f"{row.server}, {streams} streams, {viewers} viewers by {form}: {row.cpu:.4f} CPU-s a viewer-minute, {row.memory:.0f} KiB a viewer, {row.cut} cut off")
        rows.append(row)
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
