"""RTMP chunks in both directions (Adobe's RTMP specification 1.0, section 5.3), written for a client."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

EXTENDED = 0xFFFFFF


@dataclass
class Message:
    """One RTMP message, put together from its chunks."""

    kind: int
    stream: int
    timestamp: int
    body: bytes


def pack(channel: int, message: Message, chunk_size: int) -> bytes:
    """The chunks of one message: a full header (type 0) first, type 3 for the rest."""
    stamp = message.timestamp & 0xFFFFFFFF
    short = min(stamp, EXTENDED)
    extra = struct.pack(">I", stamp) if short == EXTENDED else b""
    head = bytes([channel]) + short.to_bytes(3, "big") + len(message.body).to_bytes(3, "big")
    head += bytes([message.kind]) + struct.pack("<I", message.stream) + extra
    if len(message.body) <= chunk_size:
        return head + message.body
    parts = [head, message.body[:chunk_size]]
    for at in range(chunk_size, len(message.body), chunk_size):
        parts += [bytes([0xC0 | channel]), extra, message.body[at : at + chunk_size]]
    return b"".join(parts)


@dataclass
class _Channel:
    timestamp: int = 0
    delta: int = 0
    size: int = 0
    kind: int = 0
    stream: int = 0
    extended: bool = False
    body: bytearray = field(default_factory=bytearray)


class Reader:
    """Takes bytes with a blocking `read(n)` and gives messages; follows the peer's chunk size."""

    def __init__(self, read: Callable[[int], bytes]):
        self.read = read
        self.chunk_size = 128
        self.channels: dict[int, _Channel] = {}

    def next(self) -> Message:
        """The next whole message."""
        while True:
            message = self._chunk()
            if message is None:
                continue
            if message.kind == 1:
                self.chunk_size = struct.unpack(">I", message.body[:4])[0] & 0x7FFFFFFF
            return message

    def _chunk(self) -> Message | None:
        first = self.read(1)[0]
        number = first & 0x3F
        if number == 0:
            number = 64 + self.read(1)[0]
        elif number == 1:
            low, high = self.read(2)
            number = 64 + low + 256 * high
        channel = self.channels.setdefault(number, _Channel())
        self._header(first >> 6, channel)
        want = min(self.chunk_size, channel.size - len(channel.body))
        channel.body += self.read(want)
        if len(channel.body) < channel.size:
            return None
        body, channel.body = bytes(channel.body), bytearray()
        return Message(channel.kind, channel.stream, channel.timestamp, body)

    def _header(self, form: int, channel: _Channel) -> None:
        stamp = channel.delta
        if form < 3:
            stamp = int.from_bytes(self.read(3), "big")
            channel.extended = stamp == EXTENDED
        if form < 2:
            channel.size = int.from_bytes(self.read(3), "big")
            channel.kind = self.read(1)[0]
        if form == 0:
            channel.stream = struct.unpack("<I", self.read(4))[0]
        if channel.extended:
            stamp = struct.unpack(">I", self.read(4))[0]
        if channel.body:
            return
        channel.timestamp = stamp if form == 0 else channel.timestamp + stamp
        channel.delta = 0 if form == 0 else stamp
