"""A publisher whose every packet carries a number, and the reader that finds those numbers in a recording.

A picture carries its number in an SEI message of user data (ISO/IEC 14496-10 annex D), sound in a data stream element
(ISO/IEC 14496-3, 4.4.2.7). Both are part of the access unit: any muxer keeps them, any decoder passes over them.
"""

import re
import threading
import time
from collections import Counter

from harness import clip as clips
from harness.clip import AUDIO, Tag
from harness.publisher import Publisher

MARK = re.compile(rb"<LY([VA])([0-9a-f]{2})([0-9a-f]{8})>")
SEI_LABEL = b"localyun-crash-1"
STEP_SECONDS = 0.08
TS_PACKET = 188


def marked(tag: Tag, stream: int, number: int) -> bytes:
    """The body of a message with a number in it."""
    kind = b"A" if tag.kind == AUDIO else b"V"
    mark = b"<LY" + kind + b"%02x%08x>" % (stream, number)
    if tag.kind == AUDIO:
        return tag.body[:2] + bytes([0x81, len(mark)]) + mark + tag.body[2:]
    unit = bytes([6, 5, len(SEI_LABEL) + len(mark)]) + SEI_LABEL + mark + b"\x80"
    return tag.body[:5] + len(unit).to_bytes(4, "big") + unit + tag.body[5:]


def numbers(data: bytes) -> Counter:
    """How often each (stream, number) is in a file; TS is taken apart first."""
    if data[:1] == b"\x47":
        data = elementary(data)
    return Counter((int(m[2], 16), int(m[3], 16)) for m in MARK.finditer(data))


def elementary(data: bytes) -> bytes:
    """The payloads of a transport stream, one PID after the other, without the headers between them."""
    streams: dict[int, bytearray] = {}
    for at in range(0, len(data) - TS_PACKET + 1, TS_PACKET):
        packet = data[at : at + TS_PACKET]
        assert packet[0] == 0x47, f"no sync byte at {at}"
        start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
        if packet[3] & 0x10:
            streams.setdefault((packet[1] & 0x1F) << 8 | packet[2], bytearray()).extend(packet[start:])
    return b"".join(bytes(stream) for stream in streams.values())


class Source:
    """One stream of the campaign: its packets' numbers go on over all connections and all lives of the server."""

    def __init__(self, index: int):
        self.index = index
        self.name = f"s{index}"
        self.next = 0
        self.acknowledged: list[tuple[int, float]] = []

    def safe_before(self, instant: float) -> int:
        """How many packets the server had answered for by that instant."""
        return max((count for count, when in self.acknowledged if when <= instant), default=0)

    def run(self, host: str, port: int, domain: str, speed: float, seconds: float, how: str, ended: threading.Event) -> None:
        """One connection: `seconds` of pushing, or until the server is gone; `how` is the way it leaves."""
        publisher = None
        try:
            publisher = Publisher(host, port, "live", f"{self.name}?vhost={domain}", clip="h264_aac")
            clip, batch = publisher.clip, bytearray()
            for tag in clip.headers:
                batch += publisher._chunks(tag)
            began, position = time.monotonic(), 0
            while not ended.is_set() and (passed := time.monotonic() - began) < seconds:
                until = round((passed + STEP_SECONDS) * 1000 * speed)
                for tag in clips.between(clip, position, until):
                    batch += publisher._chunks(Tag(tag.kind, tag.timestamp, marked(tag, self.index, self.next)))
                    self.next += 1
                position = until
                publisher.socket.sendall(batch)
                batch.clear()
                publisher.sent.clear()
                publisher.round_trip()
                self.acknowledged.append((self.next, time.monotonic()))
                ended.wait(max(0.0, began + position / 1000 / speed - time.monotonic()))
            getattr(publisher, how)()
        except (OSError, AssertionError):
            # The server was killed under it, or has not come up yet.
            if publisher is not None:
                publisher.socket.close()
