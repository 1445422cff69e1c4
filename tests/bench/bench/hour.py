"""A long MP4: how soon after the end of its stream it can be read in the bucket."""

import base64
import hashlib
import hmac
import http.client
import shutil
import threading
import time
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, urlsplit

from harness.server import Server
from harness.wait import wait_for

from . import media, own, procs

TARGET_SECONDS = 1.0
# Off from the pushed seconds by no more than a few frames.
DURATION_SECONDS = 0.2
PIECE = 1 << 20
READY_DEADLINE = 300


@dataclass
class Hour:
    """The run. Times in seconds: `listed` until HEAD answers 200, `readable` until the first and the last megabyte had come too."""

    media_seconds: float
    push_seconds: float
    size: int
    listed: float
    readable: float
    duration: float
    lost: int
    cpu: float
    peak_rss: float
    load: float

    def failures(self) -> list[str]:
        """What the run has to show and does not, in words."""
        found = []
        if self.readable > TARGET_SECONDS:
            found.append(f"the MP4 was readable {self.readable:.2f} s after the end, {TARGET_SECONDS:g} s is the aim")
        if abs(self.duration - self.media_seconds) > DURATION_SECONDS:
            found.append(f"the MP4 lasts {self.duration:.3f} s, {self.media_seconds:g} s were pushed")
        if self.lost:
            found.append(f"{self.lost} frames lost")
        return found


class _Bucket:
    """Signed reads of the object store, over one connection (OSS signature V1)."""

    def __init__(self, server: Server) -> None:
        at = urlsplit(server.oss)
        self.connection = http.client.HTTPConnection(at.hostname or "127.0.0.1", at.port, timeout=60)

    def ask(self, method: str, key: str, piece: tuple[int, int] | None = None) -> tuple[int, int, bytes]:
        """Status, length of the whole object as HEAD tells it, and body."""
        date, resource = formatdate(usegmt=True), f"/{own.BUCKET}/{key}"
        signature = base64.b64encode(hmac.new(b"testsecret", f"{method}\n\n\n{date}\n{resource}".encode(), hashlib.sha1).digest()).decode()
        headers = {"Date": date, "Authorization": f"OSS testid:{signature}"}
        if piece:
            headers["Range"] = f"bytes={piece[0]}-{piece[1]}"
        self.connection.request(method, quote(resource), headers=headers)
        answer = self.connection.getresponse()
        return answer.status, int(answer.headers.get("Content-Length", 0)), answer.read()


def measure(seconds: float, speed: float, tools: media.Tools, folder: Path) -> Hour:
    """One stream of `seconds` pushed at `speed` (0: as fast as it is read); then its end, DelayTime advanced over, and reads until they succeed."""
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    data.mkdir(parents=True)
    with own.server(data) as server:
        own.record(server, ("mp4",))
        store, bucket = data / "oss" / own.BUCKET, _Bucket(server)
        # The client's own start is no part of what is measured.
        bucket.ask("HEAD", "nothing")
        start, began = procs.use(server.process.pid), time.monotonic()
        sent = media.push(tools.push, server.rtmp_host, server.rtmp_port, f"?vhost={own.DOMAIN}", 1, seconds, tools.ref, speed)
        ended = time.monotonic()
        load = procs.load()
        # The server closed the idle connection during the push; the next request makes a new one.
        bucket.connection.close()
        # Beside the reads: the call answers only when the work that fell due is done.
        advance = threading.Thread(target=server.advance, args=(own.AFTER_DELAY,))
        advance.start()
        path = wait_for(lambda: next(store.rglob("*.mp4"), None), READY_DEADLINE, "the MP4")
        key = path.relative_to(store).as_posix()
        size = wait_for(lambda: _length(bucket, key), READY_DEADLINE, f"HEAD of {key}")
        listed = time.monotonic() - ended
        piece = min(PIECE, size)
        for first in (0, size - piece):
            status, _, body = bucket.ask("GET", key, (first, first + piece - 1))
            if (status, len(body)) != (206, piece):
                raise RuntimeError(f"{key}: {status} and {len(body)} bytes at {first}")
        readable = time.monotonic() - ended
        advance.join()
        end = procs.use(server.process.pid)
        lost = media.lost(tools.tally, store, "mp4", 1, sent)[0]
        lasts = media.duration(path)
    shutil.rmtree(folder, ignore_errors=True)
    return Hour(seconds, ended - began, size, listed, readable, lasts, lost, (end.cpu - start.cpu) / (seconds / 60), end.peak, load)


def _length(bucket: _Bucket, key: str) -> int:
    status, length, _ = bucket.ask("HEAD", key)
    return length if status == 200 else 0
