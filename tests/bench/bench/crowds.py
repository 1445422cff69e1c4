"""Crowds that are not to be felt: thousands of viewers beside recordings, thousands of players that read nothing, and players that come and go for minutes."""

import json
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from harness.server import Server
from harness.wait import wait_for

from . import media, own, play, procs

# The watchers' and the bench's own descriptors, and what a server has open besides players.
SPARE_DESCRIPTORS = 400
# Players that the server lets in at a time.
DOOR = 10_000
RECORDED_SECONDS = 60
WATCHED_SECONDS = 20
# How long players that read nothing are looked at.
STOOD_SECONDS = 20
# Players of a round that come together, watch for a moment and go.
ROUND = 200
# Memory is compared from here on.
SETTLED_SECONDS = 120
GROWTH = 0.10
SAY_SECONDS = 60


@dataclass(frozen=True)
class Size:
    """How many viewers are beside how many recordings, how many players read nothing, and how long viewers come and go."""

    viewers: int
    recordings: int
    players: int
    seconds: int


@dataclass
class Crowds:
    """What the runs have shown, as lines of a table, and what they had to show and did not."""

    rows: list[list[str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def told(self, what: str, value: str, holds: bool = True) -> None:
        """One line; where it does not hold it is a failure too."""
        self.rows.append([what, value])
        if not holds:
            self.wrong.append(f"{what}: {value}")


def _viewers(server: Server) -> int:
    return sum(row["viewers"] for row in server.streams())


@contextmanager
def _push(server: Server, tools: media.Tools, streams: int, seconds: float, clip: Path) -> Iterator[subprocess.Popen]:
    """Publishers until the end of the block, or of their time."""
    command = media.push_command(tools.push, server.rtmp_host, server.rtmp_port, f"?vhost={own.DOMAIN}", streams, seconds, clip)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: len(server.streams()) == streams, 20, "all publishers")
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def _watch(server: Server, tools: media.Tools, form: str, viewers: int, seconds: int, streams: int = 1) -> dict:
    """A crowd to its end."""
    port = urlsplit(server.play).port or 0 if form == "flv" else server.rtmp_port
    command = play.watch_command(tools, form, port, f"?vhost={own.DOMAIN}", viewers, seconds, streams)
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout.splitlines()[-1])


def _stand(server: Server, number: int, asks: bool = True) -> list[socket.socket]:
    """Players that read nothing, with the smallest buffers; those that do not ask say nothing either."""
    host = urlsplit(server.play).netloc
    request = f"GET /live/s0.flv?vhost={own.DOMAIN} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    standing = []
    for _ in range(number):
        player = socket.socket()
        player.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        player.settimeout(20)
        player.connect((urlsplit(server.play).hostname, urlsplit(server.play).port))
        if asks:
            player.sendall(request)
        standing.append(player)
    return standing


def _status(player: socket.socket) -> int:
    """What a player that asked was answered."""
    return int(player.recv(100).split(b" ", 2)[1])


def beside_recordings(viewers: int, recordings: int, tools: media.Tools, folder: Path, seen: Crowds) -> None:
    """Recordings of many streams while one of them is watched by thousands and by one that reads nothing: no frame is lost."""
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    data.mkdir(parents=True)
    with own.server(data) as server:
        own.record(server, ("flv",))
        with _push(server, tools, recordings, RECORDED_SECONDS, tools.light) as push:
            (stalled,) = _stand(server, 1)
            crowd = _watch(server, tools, "flv", viewers, WATCHED_SECONDS)
            said, _ = push.communicate(timeout=RECORDED_SECONDS + 60)
            stalled.close()
        sent = json.loads(said)
        wait_for(lambda: not server.streams(), 30, "the end of all streams")
        server.advance(own.AFTER_DELAY)
        store = data / "oss" / own.BUCKET
        wait_for(lambda: len(list(store.rglob("*.flv"))) == recordings, 120, f"{recordings} files")
        lost, _, _ = media.lost(tools.tally, store, "flv", recordings, sent)
    what = f"{recordings} recordings beside {viewers} viewers and one that reads nothing"
    seen.told(f"{what}: frames lost, of {recordings * (sent['video'] + sent['audio'])}", str(lost), lost == 0)
    seen.told(f"{what}: frames taken over 1 s late", str(sent["late_frames"]), sent["late_frames"] == 0)
    seen.told(f"{what}: viewers cut off", str(crowd["cut"]), crowd["cut"] == 0)
    seen.told(f"{what}: least and most Mbit/s a viewer", " to ".join(f"{crowd[key] * 8 / WATCHED_SECONDS / 1e6:.2f}" for key in ("least", "most")))


def idle(asked: int, tools: media.Tools, folder: Path, seen: Crowds) -> None:
    """Players that read nothing, and connections that ask for nothing, as many as the machine's descriptors give: a viewer beside them does not feel them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    players = min(asked, hard - SPARE_DESCRIPTORS, DOOR)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    with own.server(folder / "data") as server, _push(server, tools, 1, 600, tools.thin):
        pid = server.process.pid
        before = procs.use(pid)
        standing = _stand(server, players)
        wait_for(lambda: _viewers(server) == players, 60, f"{players} players")
        came = procs.use(pid)
        seen.told(f"{players} players that read nothing (of {asked} asked for; {hard} descriptors a process)", "let in")
        if players == DOOR:
            (more,) = _stand(server, 1)
            status = _status(more)
            more.close()
            seen.told("of them, one more is answered", str(status), status == 503)
            # The door has room for a viewer who comes to them.
            standing.pop().close()
            wait_for(lambda: _viewers(server) < DOOR, 10, "room")
        time.sleep(STOOD_SECONDS)
        stood = procs.use(pid)
        seen.told("of them, KiB of the server's memory each", f"{(stood.rss - before.rss) * 1024 / players:.1f}")
        seen.told(f"of them, server's CPU for a second of them, over {STOOD_SECONDS} s", f"{(stood.cpu - came.cpu) / STOOD_SECONDS:.2f} s")
        crowd = _watch(server, tools, "rtmp", 1, 5)
        seen.told("a viewer who comes to them: cut off, bytes", f"{crowd['cut']}, {crowd['bytes']}", crowd["cut"] == 0 and crowd["least"] > 0)
        for player in standing:
            player.close()
        began = time.monotonic()
        wait_for(lambda: _viewers(server) == 0, 30, "the end of all players")
        seen.told("all of them gone from the server's books after", f"{time.monotonic() - began:.1f} s")
        silent = _stand(server, players, asks=False)
        crowd = _watch(server, tools, "flv", 10, 5)
        what = f"{players} connections that ask for nothing: of ten viewers beside them cut off, and bytes of the one with least"
        seen.told(what, f"{crowd['cut']}, {crowd['least']}", crowd["cut"] == 0 and crowd["least"] > 0)
        for player in silent:
            player.close()
        after = procs.use(pid)
        seen.told("resident MB before, with all players, and after", f"{before.rss:.0f}, {stood.rss:.0f}, {after.rss:.0f}")


def come_and_go(seconds: int, tools: media.Tools, folder: Path, seen: Crowds, say: Callable[[str], None]) -> None:
    """Rounds of viewers, by HTTP-FLV and RTMP in turns, over ten streams: memory does not grow."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    with own.server(folder / "data") as server, _push(server, tools, 10, seconds + 120, tools.light):
        samples: list[tuple[float, float]] = []
        rounds, cut, began, told = 0, 0, time.monotonic(), 0.0
        while (at := time.monotonic() - began) < seconds:
            cut += _watch(server, tools, ("flv", "rtmp")[rounds % 2], ROUND, 1, streams=10)["cut"]
            rounds += 1
            samples.append((at, procs.use(server.process.pid).rss))
            if at - told >= SAY_SECONDS:
                told = at
                say(f"{at:.0f} s: {rounds} rounds of {ROUND} viewers, {samples[-1][1]:.1f} MB")
        settled = [rss for at, rss in samples if at >= min(SETTLED_SECONDS, seconds / 4)]
        third = max(1, len(settled) // 3)
        first, last = (sorted(part)[len(part) // 2] for part in (settled[:third], settled[-third:]))
        seen.told(f"{rounds * ROUND} viewers that come and go in {seconds} s: cut off", str(cut), cut == 0)
        grown = last / first - 1
        seen.told("of them, resident MB in the first and in the last third (medians)", f"{first:.1f}, {last:.1f} ({grown:+.1%})", grown <= GROWTH)


def measure(size: Size, tools: media.Tools, folder: Path, say: Callable[[str], None]) -> Crowds:
    """All three in turn."""
    seen = Crowds()
    for name, run in (
        ("beside recordings", lambda: beside_recordings(size.viewers, size.recordings, tools, folder, seen)),
        ("players that read nothing", lambda: idle(size.players, tools, folder, seen)),
        ("viewers that come and go", lambda: come_and_go(size.seconds, tools, folder, seen, say)),
    ):
        say(f"crowds: {name}")
        run()
        shutil.rmtree(folder, ignore_errors=True)
    return seen
