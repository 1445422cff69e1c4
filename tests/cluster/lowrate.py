"""Hundreds of encoders of a low bit rate in a process of their own. What each picture is follows from its stream and its number alone, so
that a recording can be compared with what was sent, byte by byte, and nobody has to keep that."""

import multiprocessing
import random
import re
import subprocess
import threading
import time
import uuid
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import quote

from harness import clip as clips
from harness.chunks import Message, pack
from harness.clip import VIDEO
from harness.crowd import raise_limit
from harness.publisher import CHANNELS, CHUNK_SIZE, Publisher, Refused

SIGN = uuid.uuid5(uuid.NAMESPACE_DNS, "lowrate.cluster.tests").bytes.replace(b"\x00", b"\x01")
MARK = re.compile(re.escape(SIGN) + rb"([0-9]{4})([0-9]{8})")
# Bytes of a picture in front of the mark: the unit's length, its header and its size.
BEFORE = 4 + 3
# Pictures a second and a group.
RATE, GROUP = 5, 5
STEP_S = 1.0


def make_clip(path: Path) -> Path:
    """Ten seconds of moving picture at some 16 kbit/s, in groups of one second."""
    source = f"testsrc2=size=96x64:rate={RATE}:duration=10"
    x264 = f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=0:rc-lookahead=0:threads=1:nal-hrd=none"
    words = ["ffmpeg", "-y", "-loglevel", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "veryfast", "-b:v", "16k", "-x264-params", x264]
    subprocess.run([*words, "-an", str(path)], check=True, timeout=60)
    return path


class Pictures:
    """What the pictures of all streams are."""

    def __init__(self, path: Path):
        clip = clips.load(str(path))
        self.header = next(tag for tag in clip.headers if tag.kind == VIDEO)
        self.frames = [tag.body for tag in clip.frames if tag.kind == VIDEO]
        # The first second has the encoder's own words in it; each group begins with a key picture.
        self.frames = self.frames[GROUP:]
        assert len(self.frames) % GROUP == 0 and all(clips.is_key(clips.Tag(VIDEO, 0, body)) == (n % GROUP == 0) for n, body in enumerate(self.frames))

    def body(self, stream: int, number: int) -> bytes:
        """A picture as it goes over the wire: an SEI unit of its own (user data, unregistered) in front of the encoder's units."""
        frame = self.frames[number % len(self.frames)]
        unit = b"\x06\x05" + bytes([len(SIGN) + 12]) + SIGN + b"%04d%08d" % (stream, number) + b"\x80"
        return frame[:5] + len(unit).to_bytes(4, "big") + unit + frame[5:]

    def found(self, data: bytes, stream: int) -> Iterator[int]:
        """The numbers of the pictures in an FLV or MP4 file, each of which is as it was sent, to the last byte."""
        for match in MARK.finditer(data):
            number = int(match[2])
            wanted = self.body(stream, number)[5:]
            start = match.start() - BEFORE
            assert int(match[1]) == stream, f"a picture of stream {int(match[1])} in a recording of {stream}"
            assert data[start : start + len(wanted)] == wanted, f"picture {number} of stream {stream} is not what was sent"
            yield number

    def found_in_ts(self, data: bytes, stream: int) -> Iterator[int]:
        """The same of an MPEG transport stream: its video's payloads put together, units behind start codes."""
        whole = elementary(data)
        for match in MARK.finditer(whole):
            number = int(match[2])
            assert int(match[1]) == stream, f"a picture of stream {int(match[1])} in a slice of {stream}"
            start = match.start() - 3
            for unit in units(self.body(stream, number)[5:]):
                assert whole[start : start + len(unit)] == unit, f"picture {number} of stream {stream} is not what was sent"
                start = next((start + len(unit) + skip for skip in (3, 4) if whole[start + len(unit) : start + len(unit) + skip] == b"\x00" * (skip - 1) + b"\x01"), len(whole))
            yield number


def units(sample: bytes) -> Iterator[bytes]:
    """The NAL units of a sample with lengths in front."""
    at = 0
    while at + 4 <= len(sample):
        size = int.from_bytes(sample[at : at + 4], "big")
        yield sample[at + 4 : at + 4 + size]
        at += 4 + size


def elementary(data: bytes) -> bytes:
    """The video of a transport stream: of the PID whose PES packets have a video's id, without their headers."""
    pid, out = None, []
    for at in range(0, len(data) - 187, 188):
        second = data[at + 1]
        this = (second & 0x1F) << 8 | data[at + 2]
        if pid is not None and this != pid:
            continue
        begin = at + 4
        if data[at + 3] & 0x20:
            begin += 1 + data[begin]
        if second & 0x40:
            if data[begin : begin + 3] != b"\x00\x00\x01" or data[begin + 3] & 0xF0 != 0xE0:
                continue
            pid = this
            begin += 9 + data[begin + 8]
        elif pid is None:
            continue
        out.append(data[begin : at + 188])
    return b"".join(out)


@dataclass
class Publication:
    """One publication: at whose port, from which number on, and when how many pictures had been acknowledged."""

    port: int
    first: int
    began: float
    at: array = field(default_factory=lambda: array("d"))
    upto: array = field(default_factory=lambda: array("I"))
    ended: float = 0.0

    def acknowledged(self) -> range:
        return range(self.first, self.upto[-1] if self.upto else self.first)

    def when(self, number: int) -> float:
        """When a picture had been acknowledged."""
        return self.at[bisect_right(self.upto, number)]


class Encoder(threading.Thread):
    """Pushes one stream in real time to whichever node takes it; comes back where that breaks."""

    def __init__(self, number: int, name: str, crowd: "Crowd"):
        super().__init__(daemon=True)
        self.number, self.name_, self.crowd = number, name, crowd
        self.dice = random.Random(f"{crowd.seed}:{name}")
        self.connections: list[Publication] = []
        self.next = 0

    def run(self) -> None:
        crowd, turn = self.crowd, self.number
        crowd.over.wait(self.dice.uniform(0, 2))
        while not crowd.over.is_set():
            targets = crowd.targets
            target = targets[turn % len(targets)]
            turn += self.dice.randrange(1, 3)
            try:
                publisher = Publisher(*target, "live", f"{self.name_}?vhost={quote(crowd.domain)}")
            except (Refused, AssertionError, OSError, IndexError):
                crowd.over.wait(0.5)
                continue
            connection = Publication(target[1], self.next, time.monotonic())
            self.connections.append(connection)
            with suppress(Refused, AssertionError, OSError):
                self._push(publisher, connection)
            connection.ended = time.monotonic()
            # What follows begins with a key picture.
            self.next = -(-self.next // GROUP) * GROUP
            if crowd.over.is_set():
                with suppress(OSError):
                    publisher.drop()
            else:
                with suppress(OSError):
                    publisher.reset()

    def _push(self, publisher: Publisher, connection: Publication) -> None:
        crowd, pictures = self.crowd, self.crowd.pictures
        header = Message(VIDEO, publisher.stream, 0, pictures.header.body)
        batch = bytearray(pack(CHANNELS[VIDEO], header, CHUNK_SIZE))
        began, sent = time.monotonic(), 0
        while not crowd.over.is_set() and not publisher.closed.is_set():
            due = max(1, round((time.monotonic() - began) * RATE) - sent)
            # Who was held up sends what it has, a second's worth at a time.
            for _ in range(min(due, RATE)):
                message = Message(VIDEO, publisher.stream, sent * 1000 // RATE, pictures.body(self.number, self.next))
                batch += pack(CHANNELS[VIDEO], message, CHUNK_SIZE)
                sent, self.next = sent + 1, self.next + 1
            publisher.socket.sendall(batch)
            batch.clear()
            publisher.round_trip()
            connection.at.append(time.monotonic())
            connection.upto.append(self.next)
            publisher.closed.wait(max(0.05, began + sent / RATE + STEP_S - time.monotonic()))


class Crowd:
    """All encoders, in the process of their own."""

    def __init__(self, line: Connection, domain: str, path: Path, count: int, seed: int):
        self.domain, self.seed, self.pictures = domain, seed, Pictures(path)
        self.targets: list[tuple[str, int]] = line.recv()
        self.over = threading.Event()
        self.encoders = [Encoder(number, f"s{number}", self) for number in range(count)]
        threading.stack_size(512 * 1024)
        raise_limit(8 * count + 256)
        for encoder in self.encoders:
            encoder.start()
        while (word := line.recv()) is not None:
            self.targets = word
        self.over.set()
        for encoder in self.encoders:
            encoder.join(40)
        line.send([encoder.connections for encoder in self.encoders])


class Encoders:
    """The crowd, seen from the test."""

    def __init__(self, domain: str, path: Path, count: int, seed: int, targets: list[tuple[str, int]]):
        context = multiprocessing.get_context("spawn")
        self.line, far = context.Pipe()
        self.process = context.Process(target=Crowd, args=(far, domain, path, count, seed), daemon=True)
        self.process.start()
        self.lead(targets)

    def lead(self, targets: list[tuple[str, int]]) -> None:
        """Where encoders that come back try."""
        self.line.send(targets)

    def end(self) -> list[list[Publication]]:
        """Ends them all: the publications of each stream."""
        self.line.send(None)
        assert self.line.poll(120), "the encoders do not end"
        found = self.line.recv()
        self.process.join(30)
        return found

    def close(self) -> None:
        if self.process.is_alive():
            self.process.kill()
