"""FLV clips as a publisher needs them: headers once, frames for ever."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .server import PROJECT

AUDIO, VIDEO, DATA = 8, 9, 18
MEDIA = PROJECT / "fixtures" / "media"


@dataclass(frozen=True)
class Tag:
    """One FLV tag; the body is also the body of the RTMP message of the same kind."""

    kind: int
    timestamp: int
    body: bytes


def _is_header(tag: Tag) -> bool:
    """Sequence headers of AAC, AVC, HEVC as codec id 12, and the enhanced form."""
    first, second = tag.body[0], tag.body[1] if len(tag.body) > 1 else 0xFF
    if tag.kind == AUDIO:
        return first >> 4 == 10 and second == 0
    if first & 0x80:
        return first & 0x0F in (0, 4)
    return first & 0x0F in (7, 12) and second == 0


def _is_end(tag: Tag) -> bool:
    """End-of-sequence tags, which a loop must not send."""
    if tag.kind != VIDEO:
        return False
    if tag.body[0] & 0x80:
        return tag.body[0] & 0x0F == 2
    return tag.body[0] & 0x0F in (7, 12) and tag.body[1] == 2


def is_key(tag: Tag) -> bool:
    """Whether a video tag is a key frame."""
    return tag.kind == VIDEO and tag.body[0] >> 4 & 0x07 == 1


def read_tags(data: bytes) -> Iterator[Tag]:
    """The tags of an FLV file, in file order."""
    at = int.from_bytes(data[5:9], "big") + 4
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = data[at + 7] << 24 | int.from_bytes(data[at + 4 : at + 7], "big")
        yield Tag(data[at], stamp, data[at + 11 : at + 11 + size])
        at += size + 15


def write_flv(tags: list[Tag]) -> bytes:
    """An FLV file of the given tags."""
    kinds = {tag.kind for tag in tags}
    out = bytearray(b"FLV\x01" + bytes([(AUDIO in kinds) * 4 | (VIDEO in kinds)]) + b"\x00\x00\x00\x09\x00\x00\x00\x00")
    for tag in tags:
        stamp = tag.timestamp & 0xFFFFFFFF
        out += bytes([tag.kind]) + len(tag.body).to_bytes(3, "big")
        out += (stamp & 0xFFFFFF).to_bytes(3, "big") + bytes([stamp >> 24]) + b"\x00\x00\x00" + tag.body
        out += (11 + len(tag.body)).to_bytes(4, "big")
    return bytes(out)


def without_keys(folder: Path) -> Path:
    """A clip whose key frames a relay has lost."""
    tags = list(read_tags((MEDIA / "h264_aac.flv").read_bytes()))
    path = folder / "keyless.flv"
    path.write_bytes(write_flv([tag for tag in tags if not is_key(tag) or tag.body[1] == 0]))
    return path


@dataclass(frozen=True)
class Clip:
    """A clip taken apart: `period` is how many milliseconds one round of the loop takes."""

    headers: tuple[Tag, ...]
    frames: tuple[Tag, ...]
    period: int


@lru_cache
def load(path: str | Path) -> Clip:
    """A clip by its name in fixtures/media, or any FLV file by its path."""
    file = Path(path)
    if not file.suffix:
        file = MEDIA / f"{path}.flv"
    media = [tag for tag in read_tags(file.read_bytes()) if tag.kind in (AUDIO, VIDEO) and tag.body]
    headers = tuple(tag for tag in media if _is_header(tag))
    frames = tuple(tag for tag in media if not _is_header(tag) and not _is_end(tag))
    main = [tag.timestamp for tag in frames if tag.kind == VIDEO] or [tag.timestamp for tag in frames]
    step = round((main[-1] - main[0]) / max(1, len(main) - 1))
    return Clip(headers, frames, main[-1] - main[0] + step)


def between(clip: Clip, start: int, end: int) -> Iterator[Tag]:
    """The frames of the endless loop whose time lies in [start, end), in order, with loop timestamps."""
    round_number = max(0, start // clip.period - 1)
    while round_number * clip.period < end:
        base = round_number * clip.period
        for tag in clip.frames:
            if start <= base + tag.timestamp < end:
                yield Tag(tag.kind, base + tag.timestamp, tag.body)
        round_number += 1
