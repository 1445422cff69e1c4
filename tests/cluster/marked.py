"""Streams whose every picture has a number in it, so that a recording says which pictures it holds, and none looks like another."""

import random
import re
import threading
import time
import uuid
from contextlib import suppress
from urllib.parse import quote

from harness.clip import VIDEO, Tag, _is_header
from harness.publisher import Publisher, Refused

SIGN = uuid.uuid5(uuid.NAMESPACE_DNS, "pictures.cluster.tests").bytes.replace(b"\x00", b"\x01")
NUMBER = re.compile(re.escape(SIGN) + rb"([0-9]{8})")


def numbers(data: bytes) -> list[int]:
    """The numbers of the pictures in a file, in its order."""
    return [int(found) for found in NUMBER.findall(data)]


class Marked(Publisher):
    """Numbers each picture by an SEI unit of its own (user data, unregistered)."""

    first = 0

    def _chunks(self, tag: Tag) -> bytes:
        if tag.kind == VIDEO and not _is_header(tag) and tag.body[0] & 0x80 == 0:
            unit = b"\x06\x05" + bytes([len(SIGN) + 8]) + SIGN + b"%08d" % self.first + b"\x80"
            tag = Tag(tag.kind, tag.timestamp, tag.body[:5] + len(unit).to_bytes(4, "big") + unit + tag.body[5:])
            self.first += 1
        chunks = super()._chunks(tag)
        self.sent.clear()
        return chunks


# The key frames of the clip are so far apart.
KEYS_MS = 2_000


class Encoder(threading.Thread):
    """An encoder that pushes one stream in real time, through whichever door it is given, until it is told to stop; it comes back where its push breaks,
    with a key frame, as encoders do."""

    def __init__(self, stream: str, domain: str, door, step: float = 0.2, comes_back: bool = True):
        super().__init__(daemon=True)
        self.stream, self.domain, self.door, self.step, self.comes_back = stream, domain, door, step, comes_back
        self.count = 0
        # When how many pictures had been acknowledged; and of each push the first picture and the one behind the last acknowledged.
        self.acknowledged: list[tuple[float, int]] = []
        self.pushed: list[list[int]] = []
        self.breaks = 0
        self.stopped = threading.Event()
        self.broken = threading.Event()
        self.publisher: Marked | None = None
        self.position = 0

    def run(self) -> None:
        time.sleep(random.uniform(0, self.step))
        while not self.stopped.is_set():
            try:
                host, port = self.door()
                publisher = Marked(host, port, "live", f"{self.stream}?vhost={quote(self.domain)}")
            except (Refused, AssertionError, OSError, ConnectionError, IndexError):
                self.stopped.wait(0.3)
                continue
            publisher.first, self.publisher = self.count, publisher
            publisher.position = self.position
            self.pushed.append([self.count, self.count])
            began, start = time.monotonic(), publisher.position
            with suppress(OSError, AssertionError, TimeoutError):
                while not self.stopped.is_set() and not publisher.closed.is_set():
                    # As much as is due by the end of the step: what took longer than it should is made up for.
                    due = time.monotonic() - began + self.step - (publisher.position - start) / 1000
                    publisher.push(max(due, 0.04), speed=max(due, 0.04) / self.step)
                    self.acknowledged.append((time.monotonic(), publisher.first))
                    self.pushed[-1][1] = publisher.first
            self.count, self.position = publisher.first, -(-publisher.position // KEYS_MS) * KEYS_MS
            if self.stopped.is_set():
                break
            self.breaks += 1
            with suppress(OSError):
                publisher.socket.close()
            self.publisher = None
            if not self.comes_back:
                self.broken.set()
                return
        if self.publisher is not None:
            with suppress(OSError):
                self.publisher.drop()
            self.publisher = None

    def owed(self, instant: float) -> int:
        """How many pictures had been acknowledged by then."""
        return max((count for at, count in self.acknowledged if at <= instant), default=0)

    def absent(self, held: list[int]) -> list[int]:
        """The pictures that were acknowledged and are not among those that are held."""
        there = set(held)
        return [number for first, end in self.pushed for number in range(first, end) if number not in there]

    def missing(self, held: list[int]) -> int:
        """How many these are."""
        return len(self.absent(held))

    def end(self) -> None:
        self.stopped.set()
        self.join(30)


def recorded(cluster, stream: str) -> list[list[int]]:
    """The numbers in each FLV recording of a stream, a list a file."""
    keys = cluster.sql(f"SELECT object FROM record_file WHERE stream = '{stream}' AND object LIKE '%.flv' ORDER BY id")
    return [numbers(cluster.bucket.get(key)) for key in keys]


def lost_seconds(encoder: Encoder, held: list[int], killed_at: float) -> float:
    """How long before the end the first picture was acknowledged that is missing: 0 where none is that was acknowledged."""
    end = held[-1] + 1 if held else 0
    missing = [at for at, count in encoder.acknowledged if count > end and at <= killed_at]
    return killed_at - missing[0] if missing else 0.0
