"""A coded frame in a form that does not depend on the container, so that source and output can be compared.

Parameter sets and delimiters are left out on both sides: MPEG-TS repeats them before key frames (ISO/IEC 13818-1, 2.14), MP4 and
FLV keep them outside the pictures. Every other NAL unit counts, SEI and each slice of a picture included.
"""

import re
from dataclasses import dataclass

from harness.clip import AUDIO, VIDEO, Tag

# NAL unit types left out: SPS, PPS, AUD of H.264 (table 7-1); VPS, SPS, PPS, AUD of H.265 (table 7-1).
OUTSIDE = {"h264": {7, 8, 9}, "hevc": {32, 33, 34, 35}}
START_CODE = re.compile(b"\x00\x00\x01")
VIDEO_CODECS = {7: "h264", 9: "mpeg4", 12: "hevc"}
FOUR_CC = {b"avc1": "h264", b"hvc1": "hevc", b"mp4v": "mpeg4"}


@dataclass(frozen=True)
class Frame:
    """One picture or audio frame. `ms` is its decoding time and `cts` the distance to its presentation."""

    kind: str
    ms: float
    cts: float
    key: bool
    data: bytes


def units(data: bytes, prefix: int) -> list[bytes]:
    """The NAL units of a picture with length prefixes."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + prefix], "big")
        at += prefix
        assert at + size <= len(data), "a NAL unit is longer than its picture"
        found.append(data[at : at + size])
        at += size
    return found


def units_annex_b(data: bytes) -> list[bytes]:
    """The NAL units of a picture with start codes (H.264 annex B); zeros before a start code belong to it."""
    starts = [match.start() for match in START_CODE.finditer(data)]
    ends = starts[1:] + [len(data)]
    return [data[start + 3 : end].rstrip(b"\x00") if end != len(data) else data[start + 3 :] for start, end in zip(starts, ends, strict=True)]


def bare_units(codec: str, found: list[bytes]) -> bytes:
    """What counts of a picture, each unit with its length."""
    kind = (lambda unit: unit[0] & 0x1F) if codec == "h264" else (lambda unit: unit[0] >> 1 & 0x3F)
    kept = [unit.rstrip(b"\x00") for unit in found if unit and kind(unit) not in OUTSIDE[codec]]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in kept)


def bare_mpeg4(data: bytes) -> bytes:
    """A picture of MPEG-4 part 2 from its first GOV or VOP on (ISO/IEC 14496-2, table 6-3); what stands before are headers."""
    starts = [data.find(code) for code in (b"\x00\x00\x01\xb3", b"\x00\x00\x01\xb6")]
    return data[min(start for start in starts if start >= 0) :]


def video_codec(tag: Tag) -> str:
    """The codec of a video tag, legacy or extended."""
    return FOUR_CC[tag.body[1:5]] if tag.body[0] & 0x80 else VIDEO_CODECS[tag.body[0] & 0x0F]


def of_tag(tag: Tag, at: float, prefix: int = 4) -> Frame:
    """The frame of a tag that should lie at `at` milliseconds of the recording."""
    body = tag.body
    if tag.kind == AUDIO:
        return Frame("a", at, 0, True, body[2:] if body[0] >> 4 == 10 else body[1:])
    assert tag.kind == VIDEO
    codec, key = video_codec(tag), body[0] >> 4 & 7 == 1
    if body[0] & 0x80:
        timed = body[0] & 0x0F == 1
        cts, data = (body[5:8], body[8:]) if timed else (b"\0\0\0", body[5:])
    else:
        cts, data = body[2:5], body[5:]
    offset = int.from_bytes(cts, "big", signed=True)
    return Frame("v", at, offset, key, bare_mpeg4(data) if codec == "mpeg4" else bare_units(codec, units(data, prefix)))
