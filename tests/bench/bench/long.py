"""Many small streams for a long time: is any frame late or lost, and does memory grow?"""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.server import Server
from harness.wait import wait_for

from . import media, own, procs

# A stall shorter than this between two looks is caught up before it is seen.
SAMPLE_SECONDS = 1
SAY_SECONDS = 30
# Later than this is late, seen from either side.
LATE_MS = 1000
# Memory is compared from here on: buffers and caches have their size by then. A run shorter than twice this says nothing about growth.
SETTLED_SECONDS = 120
GROWTH = 0.10


@dataclass
class Sample:
    """One look: seconds since the push began, resident megabytes, cores busy since the look before, how far the recorder is behind at most."""

    at: float
    rss: float
    cores: float
    behind_ms: float


@dataclass
class Long:
    """The run as a whole."""

    streams: int
    seconds: float
    samples: list[Sample]
    sent: dict
    lost: int
    cpu: float
    peak_rss: float
    load: float

    @property
    def grown(self) -> float | None:
        """By how much of its size after the first minutes memory has grown at the end; None where the run was too short to tell."""
        settled = [sample for sample in self.samples if sample.at >= SETTLED_SECONDS]
        return settled[-1].rss / settled[0].rss - 1 if settled and self.seconds >= 2 * SETTLED_SECONDS else None

    @property
    def behind_ms(self) -> float:
        """The server's view: the furthest that any stream's recording was behind."""
        return max((sample.behind_ms for sample in self.samples), default=0.0)

    def failures(self) -> list[str]:
        """What the run has to show and does not, in words."""
        found = []
        if self.lost:
            found.append(f"{self.lost} frames of {self.streams} streams lost")
        if self.sent["late_frames"]:
            found.append(f"{self.sent['late_frames']} frames taken over 1 s late, the latest after {self.sent['late_ms']} ms")
        if self.behind_ms > LATE_MS:
            found.append(f"a recording was {self.behind_ms:.0f} ms behind")
        if self.grown is not None and self.grown > GROWTH:
            found.append(f"memory grew by {self.grown:.0%} after its first minutes")
        return found


class _Behind:
    """How far each recording is behind real time: its end against the clock, less the best that was ever seen of that stream (its start)."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}

    def look(self, server: Server) -> float:
        """The furthest of all streams, in milliseconds."""
        rows = server.streams()
        # After the answer: a server that stands still must not hide it by answering late.
        now = time.monotonic() * 1000
        worst = 0.0
        for row in rows:
            recorded = row["recorder"]["recorded_ms"]
            if recorded:
                lag = now - recorded
                best = self.best[row["stream"]] = min(lag, self.best.get(row["stream"], lag))
                worst = max(worst, lag - best)
        return worst


def measure(streams: int, seconds: float, tools: media.Tools, folder: Path, say: Callable[[str], None]) -> Long:
    """`streams` of 500 kbit/s for `seconds`, recorded to MPEG-TS; every frame of every stream counted afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    data.mkdir(parents=True)
    with own.server(data) as server:
        own.record(server, ("m3u8",))
        pid = server.process.pid
        start = last = procs.use(pid)
        command = media.push_command(tools.push, server.rtmp_host, server.rtmp_port, f"?vhost={own.DOMAIN}", streams, seconds, tools.light)
        samples, behind, began = [], _Behind(), time.monotonic()
        pusher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        before, pause = began, threading.Event()
        try:
            # A look every few seconds is what is measured, so this is a time and not a condition.
            while pusher.poll() is None:
                pause.wait(SAMPLE_SECONDS)
                if pusher.poll() is not None:
                    break
                use, now = procs.use(pid), time.monotonic()
                # The first publisher has nothing more to send a little before the last.
                if now - began > seconds - 1:
                    continue
                sample = Sample(now - began, use.rss, (use.cpu - last.cpu) / (now - before), behind.look(server))
                last, before = use, now
                samples.append(sample)
                if len(samples) % SAY_SECONDS == 0:
                    say(f"{sample.at:.0f} s: {sample.rss:.0f} MB, {sample.cores:.2f} cores, at most {sample.behind_ms:.0f} ms behind, load {procs.load():.1f}")
        finally:
            if pusher.poll() is None:
                pusher.terminate()
            said, error = pusher.communicate(timeout=20)
        if pusher.returncode != 0:
            raise RuntimeError(error.strip())
        sent = json.loads(said)
        load = procs.load()
        wait_for(lambda: not server.streams(), 60, "the end of all streams")
        server.advance(own.AFTER_DELAY)
        store = data / "oss" / own.BUCKET
        wait_for(lambda: len(list(store.rglob("*.m3u8"))) == streams, 120, f"{streams} index files")
        end = procs.use(pid)
        lost, _, _ = media.lost(tools.tally, store, "ts", streams, sent)
    shutil.rmtree(folder, ignore_errors=True)
    return Long(streams, seconds, samples, sent, lost, (end.cpu - start.cpu) / (sent["media_s"] / 60), end.peak, load)
