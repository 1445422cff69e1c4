"""What is sent: the committed clips and variants of them, each tag with the time that its frame should have in the recording.

Variants are made by rewriting FLV tags; only codecs that no clip has are encoded, by ffmpeg, at test time.
"""

import re
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness import clip as clips
from harness.clip import AUDIO, VIDEO, Tag, is_key

from .frames import Frame, of_tag

WRAP = 1 << 32


@dataclass(frozen=True)
class Sent:
    """A tag on its way; `at` is the expected media time in milliseconds, None for a tag that holds no frame to be recorded."""

    tag: Tag
    at: float | None


@dataclass(frozen=True)
class Source:
    """One row of the matrix: `prefix` is the size of NAL unit lengths, `noise` what ffmpeg says of the sent stream itself.

    `headers` is how many CMAF files there are: one header serves one file, so a changed configuration begins another.
    `expected` is there where the messages are not frames one by one.
    """

    sent: tuple[Sent, ...]
    prefix: int = 4
    noise: str = ""
    headers: int = 1
    expected: tuple[Frame, ...] | None = None

    def frames(self) -> list[Frame]:
        """The frames that a recording has to hold."""
        if self.expected is not None:
            return list(self.expected)
        return [of_tag(item.tag, item.at, self.prefix) for item in self.sent if item.at is not None]


def _timed(name: str, seconds: float = 10) -> list[Sent]:
    clip = clips.load(name)
    heads = [Sent(tag, None) for tag in clip.headers]
    return heads + [Sent(tag, tag.timestamp) for tag in clip.frames if tag.timestamp < seconds * 1000]


def _encoded(folder: Path, *options: str) -> list[Sent]:
    file = folder / "encoded.flv"
    picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100"]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *picture, "-t", "8", "-g", "50", *options, "-f", "flv", str(file)]
    subprocess.run(command, check=True, timeout=60)
    media = [tag for tag in clips.read_tags(file.read_bytes()) if tag.kind in (AUDIO, VIDEO)]
    # Sound format 10 and every codec of a video tag here have a packet type in the second byte: 0 header, 1 frame, 2 end.
    frames = [tag for tag in media if tag.body[1] == 1]
    return [Sent(tag, None) for tag in media if tag.body[1] == 0] + [Sent(tag, tag.timestamp - frames[0].timestamp) for tag in frames]


def _shifted(sent: list[Sent], wire: Callable[[int], int]) -> list[Sent]:
    """The same frames with other timestamps on the wire."""
    return [replace(item, tag=replace(item.tag, timestamp=wire(item.tag.timestamp) % WRAP)) for item in sent]


def _with_body(item: Sent, body: bytes) -> Sent:
    return replace(item, tag=replace(item.tag, body=body))


def _is_avc_picture(item: Sent) -> bool:
    return item.at is not None and item.tag.kind == VIDEO


def slices(folder: Path) -> Source:
    """Four slices a picture, B-frames, and the encoder's SEI."""
    return Source(tuple(_encoded(folder, "-c:v", "libx264", "-x264-params", "slices=4:scenecut=0:keyint=50", "-pix_fmt", "yuv420p", "-c:a", "aac")))


def sei(_: Path) -> Source:
    """A SEI unit of user data (H.264 annex D.1.6), different in each picture, before its slices."""
    out, count = [], 0
    for item in _timed("h264_bframes_aac"):
        if _is_avc_picture(item):
            unit = b"\x06\x05\x14" + b"localyun-tst-sei" + struct.pack(">I", count | 0x80808080) + b"\x80"
            count += 1
            item = _with_body(item, item.tag.body[:5] + struct.pack(">I", len(unit)) + unit + item.tag.body[5:])
        out.append(item)
    return Source(tuple(out))


def resolution(folder: Path) -> Source:
    """Other parameter sets and another size from 6 s on."""
    first = _timed("h264_aac", 6)
    small = ["-vf", "scale=160:90", "-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p", "-sc_threshold", "0"]
    second = [item for item in _encoded(folder, *small, "-c:a", "aac", "-af", "asetpts=PTS+1024") if item.tag.kind == VIDEO]
    begin = next(item.tag.timestamp for item in second if item.at is not None)
    joined = [replace(item, at=None if item.at is None else item.at + 6000, tag=replace(item.tag, timestamp=6000 + max(0, item.tag.timestamp - begin))) for item in second]
    sound = [item for item in _timed("h264_aac") if item.tag.kind == AUDIO and item.at is not None and item.at >= 6000]
    media = sorted(sound + [item for item in joined if item.at is not None], key=lambda item: item.tag.timestamp)
    # Its parser, not its decoder, reads the slices of the second part with the parameter sets of the first.
    noise = r"\[NULL @ \w+\] reference count \d+ overflow|    Last message repeated \d+ times"
    return Source(tuple(first + [item for item in joined if item.at is None] + media), noise=noise, headers=2)


def mpeg4(folder: Path) -> Source:
    """MPEG-4 part 2 as codec id 9: the header a record, the pictures with start codes (ffmpeg's own FLV replaces them by lengths)."""
    file = folder / "encoded.m4v"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "10", "-g", "50"]
    subprocess.run([*command, "-c:v", "mpeg4", "-b:v", "200k", "-bf", "0", "-f", "m4v", str(file)], check=True, timeout=60)
    data = file.read_bytes()
    # A picture begins at its VOP, a key picture at its GOV (ISO/IEC 14496-2, table 6-3) or the headers repeated before that.
    vops = [match.start() for match in re.finditer(b"\x00\x00\x01\xb6", data)]
    govs = [match.start() for match in re.finditer(b"\x00\x00\x01\xb3", data)]
    heads = [match.start() for match in re.finditer(b"\x00\x00\x01\xb0", data)]
    starts = [max([at for at in govs if at < vop and data.find(b"\x00\x00\x01\xb6", at) == vop] or [vop]) for vop in vops]
    ends = [max([at for at in heads if start < at < after] or [after]) for start, after in zip(starts, starts[1:] + [len(data)], strict=True)]
    pictures = [data[start:end] for start, end in zip(starts, [min(e, after) for e, after in zip(ends, starts[1:] + [len(data)], strict=True)], strict=True)]
    sent = [Sent(Tag(VIDEO, 0, b"\x19\x00\x00\x00\x00" + data[: starts[0]]), None)]
    for n, picture in enumerate(pictures):
        # vop_coding_type, the two bits after the start code: 0 is an intra picture.
        vop = picture.index(b"\x00\x00\x01\xb6")
        head = 0x19 if picture[vop + 4] >> 6 == 0 else 0x29
        sent.append(Sent(Tag(VIDEO, n * 40, bytes([head, 1, 0, 0, 0]) + picture), n * 40))
    sound = [item for item in _timed("h264_aac") if item.tag.kind == AUDIO]
    media = sorted(sent[1:] + [item for item in sound if item.at is not None], key=lambda item: item.at)
    return Source(tuple([sent[0]] + [item for item in sound if item.at is None] + media))


def he_aac(folder: Path) -> Source:
    """AAC whose configuration announces SBR (ISO/IEC 14496-3, 1.6.6): object type 5, core 22.05 kHz, output 44.1 kHz."""
    plain = _encoded(folder, "-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ar", "22050", "-ac", "2")
    # 00101 (SBR), 0111 (22.05 kHz), 0010 (stereo), 0100 (44.1 kHz), 00010 (LC), 000
    config = (0b00101_0111_0010_0100_00010_000 << 7).to_bytes(4, "big")
    return Source(tuple(_with_body(i, i.tag.body[:2] + config) if i.at is None and i.tag.kind == AUDIO else i for i in plain))


def aac_change(folder: Path) -> Source:
    """Sound turns from 44.1 kHz stereo to 48 kHz mono after the last frame that begins before 6 s."""
    plain = _timed("h264_aac")
    heads, media = [i for i in plain if i.at is None], [i for i in plain if i.at is not None]
    other = [i for i in _encoded(folder, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ar", "48000", "-ac", "1") if i.tag.kind == AUDIO]
    head, sound = other[0], other[1:]
    begin = max(i.at for i in media if i.tag.kind == AUDIO and i.at < 6000) + 24
    moved = [(begin + i.at - sound[0].at, i.tag) for i in sound]
    late = [Sent(replace(tag, timestamp=int(at)), at) for at, tag in moved if at < 10_000]
    media = sorted([i for i in media if i.tag.kind == VIDEO or i.at < begin - 1] + late, key=lambda i: i.at)
    at = media.index(late[0])
    return Source(tuple(heads + media[:at] + [Sent(replace(head.tag, timestamp=begin), None)] + media[at:]), headers=2)


def late_headers(_: Path) -> Source:
    """Frames before their sequence header: nobody can decode them, so the recording begins with the first key frame after it."""
    sent = _timed("h264_aac")
    heads, media = [i for i in sent if i.at is None], [i for i in sent if i.at is not None]
    early = [replace(i, at=None) for i in media if i.tag.timestamp < 2000]
    return Source(tuple(early + heads + [replace(i, at=i.at - 2000) for i in media if i.tag.timestamp >= 2000]))


def late_sound(_: Path) -> Source:
    """Sound, its header included, sets in after three seconds of picture."""
    sent = _timed("h264_aac")
    heads = {i.tag.kind: i for i in sent if i.at is None}
    media = [i for i in sent if i.at is not None and (i.tag.kind == VIDEO or i.at >= 3000)]
    at = next(n for n, i in enumerate(media) if i.tag.kind == AUDIO)
    return Source(tuple([heads[VIDEO]] + media[:at] + [heads[AUDIO]] + media[at:]))


def repeated_headers(_: Path) -> Source:
    """Both sequence headers again before every key frame, as many encoders do."""
    sent = _timed("h264_bframes_aac")
    heads = [i for i in sent if i.at is None]
    out = []
    for item in sent:
        if item.at is not None and is_key(item.tag):
            out += [replace(head, tag=replace(head.tag, timestamp=item.tag.timestamp)) for head in heads]
        out.append(item)
    return Source(tuple(out))


def negative_cts(_: Path) -> Source:
    """Composition offsets moved down by two pictures: that of a key frame is 0, those of B-frames are negative."""
    out = []
    for item in _timed("h264_bframes_aac"):
        if _is_avc_picture(item):
            cts = int.from_bytes(item.tag.body[2:5], "big", signed=True) - 80
            item = _with_body(item, item.tag.body[:2] + cts.to_bytes(3, "big", signed=True) + item.tag.body[5:])
        out.append(item)
    return Source(tuple(out))


def short_lengths(_: Path) -> Source:
    """NAL unit lengths of two bytes (lengthSizeMinusOne 1)."""
    out = []
    for item in _timed("h264_aac"):
        body = item.tag.body
        if item.tag.kind == VIDEO and item.at is None:
            body = body[:9] + bytes([body[9] & 0xFC | 1]) + body[10:]
        elif item.tag.kind == VIDEO:
            at, parts = 5, [body[:5]]
            while at < len(body):
                size = int.from_bytes(body[at : at + 4], "big")
                parts.append(struct.pack(">H", size) + body[at + 4 : at + 4 + size])
                at += 4 + size
            body = b"".join(parts)
        out.append(_with_body(item, body))
    return Source(tuple(out), prefix=2)


def enhanced_avc(_: Path) -> Source:
    """H.264 under extended headers with FourCC `avc1`; pictures without an offset use CodedFramesX."""
    out = []
    for item in _timed("h264_bframes_aac"):
        body = item.tag.body
        if item.tag.kind == VIDEO:
            kind = 0 if item.at is None else (1 if body[2:5] != b"\0\0\0" else 3)
            tail = body[2:] if kind == 1 else body[5:]
            body = bytes([0x80 | body[0] & 0x70 | kind]) + b"avc1" + tail
        out.append(_with_body(item, body))
    return Source(tuple(out))


def pause(_: Path) -> Source:
    """Six seconds without a frame, which are media time."""
    sent = _shifted(_timed("h264_aac"), lambda t: t + 6000 * (t >= 4000))
    return Source(tuple(i if i.at is None or i.at < 4000 else replace(i, at=i.at + 6000) for i in sent))


def _jump(by: int) -> Source:
    """The publisher's clock jumps for both tracks at a key frame, which goes on one step after the picture before it."""
    sent = _timed("h264_aac")
    at = next(n for n, i in enumerate(sent) if i.at is not None and is_key(i.tag) and i.at >= 4000)
    moved = [replace(i, tag=replace(i.tag, timestamp=(i.tag.timestamp + 20_000 + by) % WRAP)) for i in sent[at:]]
    return Source(tuple(_shifted(sent[:at], lambda t: t + 20_000) + moved))


def sound_first(_: Path) -> Source:
    """Sound is sent 400 ms ahead of the picture of the same time, as a slow video encoder does."""
    sent = _timed("h264_aac")
    media = [i for i in sent if i.at is not None]
    media.sort(key=lambda i: i.at - (400 if i.tag.kind == AUDIO else 0))
    return Source(tuple([i for i in sent if i.at is None] + media))


def plain(name: str) -> Callable[[Path], Source]:
    """A committed clip as it is."""
    return lambda _: Source(tuple(_timed(name)))


def shifted(by: int) -> Callable[[Path], Source]:
    """A clip whose timestamps begin elsewhere."""
    return lambda _: Source(tuple(_shifted(_timed("h264_bframes_aac"), lambda t: t + by)))


SOURCES: dict[str, Callable[[Path], Source]] = {
    **{name: plain(name) for name in ("h264_aac", "h264_bframes_aac", "keyframe4s", "h264_mp3", "audio_only", "video_only", "hevc_enhanced", "hevc_id12")},
    "slices": slices,
    "sei": sei,
    "resolution": resolution,
    "mpeg4": mpeg4,
    "he_aac": he_aac,
    "aac_change": aac_change,
    "late_headers": late_headers,
    "late_sound": late_sound,
    "repeated_headers": repeated_headers,
    "negative_cts": negative_cts,
    "short_lengths": short_lengths,
    "enhanced_avc": enhanced_avc,
    "start_at_an_hour": shifted(3_600_000),
    "wrap": shifted(WRAP - 5000),
    "pause": pause,
    "jump_forward": lambda _: _jump(100_000),
    "jump_back": lambda _: _jump(-15_000),
    "sound_first": sound_first,
}
