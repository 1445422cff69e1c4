"""Streams whose messages are not one picture each, and further tracks beside the default one.

What has to come out is known from the tags before they were taken apart: `Source.expected`.
"""

import re
import struct
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
from harness import clip as clips
from harness.clip import AUDIO, VIDEO, Tag

from .frames import Frame, bare_units, of_tag, units
from .sources import Sent, Source, _encoded, _timed, mpeg4

AUD = {"h264": b"\x09\xf0", "hevc": b"\x46\x01\x50"}


def _is_picture(item: Sent) -> bool:
    return item.at is not None and item.tag.kind == VIDEO


def _expected(sent: Iterable[Sent]) -> list[Frame]:
    return [of_tag(item.tag, item.at) for item in sent if item.at is not None]


def _head(body: bytes) -> int:
    """Where the coded data of a video tag begin."""
    if not body[0] & 0x80:
        return 5
    return 8 if body[0] & 0x0F == 1 else 5


def _long(found: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in found)


def _unique_sei(codec: str, count: int) -> bytes:
    """User data (H.264 annex D.1.6), another one for each picture."""
    head = b"\x06" if codec == "h264" else b"\x4e\x01"
    return head + b"\x05\x14" + b"localyun-tst-sei" + struct.pack(">I", count | 0x80808080) + b"\x80"


def _apart(sent: list[Sent], codec: str, cut: Callable[[int, list[bytes]], list[list[bytes]]], expect: Callable[[int, list[bytes]], list[bytes]], early: int = 0) -> Source:
    """Each picture as the messages that `cut` makes of it; `expect` says which units the recorded one has. All but the last message of a
    picture are stamped `early` milliseconds before it."""
    out, expected, count = [], [], 0
    for item in sent:
        if not _is_picture(item):
            out.append(item)
            expected += _expected([item])
            continue
        body = item.tag.body
        head, found = body[: _head(body)], units(body[_head(body) :], 4)
        messages = cut(count, found)
        for n, message in enumerate(messages):
            at = item.tag.timestamp - (early if n + 1 < len(messages) else 0)
            out.append(Sent(Tag(VIDEO, max(0, at), head + _long(message)), None))
        whole = of_tag(item.tag, item.at)
        expected.append(replace(whole, data=bare_units(codec, expect(count, found))))
        count += 1
    return Source(tuple(out), expected=tuple(expected))


def _delimiter_sei_slice(codec: str) -> tuple:
    cut = lambda n, found: [[AUD[codec]], [_unique_sei(codec, n)], found]
    return cut, lambda n, found: [_unique_sei(codec, n), *found]


def dji(_: Path) -> Source:
    """Delimiter, SEI and slice, each a message of its own."""
    return _apart(_timed("h264_bframes_aac"), "h264", *_delimiter_sei_slice("h264"))


def dji_hevc(_: Path) -> Source:
    """The same of H.265."""
    return _apart(_timed("hevc_enhanced"), "hevc", *_delimiter_sei_slice("hevc"))


def dji_id12(_: Path) -> Source:
    """The same of H.265 as codec id 12."""
    return _apart(_timed("hevc_id12"), "hevc", *_delimiter_sei_slice("hevc"))


def group_sei(_: Path) -> Source:
    """One message of SEI alone before each group, stamped 20 ms before its key frame."""
    key = lambda found: any(unit[0] & 0x1F == 5 for unit in found)
    cut = lambda n, found: [[_unique_sei("h264", n)], found] if key(found) else [found]
    return _apart(_timed("h264_aac"), "h264", cut, lambda n, found: [_unique_sei("h264", n), *found] if key(found) else found, early=20)


def empty_units(_: Path) -> Source:
    """NAL units without a byte around and between the others."""
    cut = lambda n, found: [[b"", *(part for unit in found for part in (unit, b""))]]
    return _apart(_timed("h264_bframes_aac"), "h264", cut, lambda n, found: found)


def late_delimiter(_: Path) -> Source:
    """A delimiter behind the SEI, in one message with it and the slice."""
    cut = lambda n, found: [[_unique_sei("h264", n), AUD["h264"], *found]]
    return _apart(_timed("h264_bframes_aac"), "h264", cut, lambda n, found: [_unique_sei("h264", n), *found])


def _each_alone(found: list[bytes], is_slice: Callable[[bytes], bool]) -> list[list[bytes]]:
    """A message for each slice; what stands before the first one goes with it."""
    messages, opening = [], []
    for unit in found:
        opening.append(unit)
        if is_slice(unit):
            messages.append(opening)
            opening = []
    return messages


def slices_apart(folder: Path) -> Source:
    """Four slices a picture, each slice a message of its own."""
    sent = _encoded(folder, "-c:v", "libx264", "-x264-params", "slices=4:scenecut=0:keyint=50", "-pix_fmt", "yuv420p", "-c:a", "aac")
    return _apart(sent, "h264", lambda n, found: _each_alone(found, lambda unit: unit[0] & 0x1F in (1, 5)), lambda n, found: found)


def slices_apart_hevc(folder: Path) -> Source:
    """The same of H.265."""
    file, flv = folder / "encoded.mp4", folder / "encoded-hevc.flv"
    newer = imageio_ffmpeg.get_ffmpeg_exe()
    picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100", "-t", "8"]
    coding = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:slices=4:keyint=50:min-keyint=50:scenecut=0:bframes=0:open-gop=0", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    for command in ([*picture, *coding, "-tag:v", "hvc1", str(file)], ["-i", str(file), "-c", "copy", str(flv)]):
        subprocess.run([newer, "-nostdin", "-v", "error", "-y", *command], check=True, timeout=120)
    media = [tag for tag in clips.read_tags(flv.read_bytes()) if tag.kind in (AUDIO, VIDEO) and tag.body]
    clip = clips.load(flv)
    first = min(tag.timestamp for tag in clip.frames)
    heads = [Sent(tag, None) for tag in media if tag in clip.headers]
    sent = heads + [Sent(tag, tag.timestamp - first) for tag in clip.frames]
    slices = lambda unit: unit[0] >> 1 & 0x3F < 32
    assert max(sum(map(slices, units(i.tag.body[_head(i.tag.body) :], 4))) for i in sent if _is_picture(i)) > 1, "more than one slice a picture"
    return _apart(sent, "hevc", lambda n, found: _each_alone(found, slices), lambda n, found: found)


def mpeg4_apart(folder: Path) -> Source:
    """MPEG-4 part 2 whose group headers come in a message of their own."""
    whole = mpeg4(folder)
    out = []
    for item in whole.sent:
        body = item.tag.body
        vop = body.find(b"\x00\x00\x01\xb6")
        if _is_picture(item) and vop > 5:
            out += [Sent(replace(item.tag, body=body[:vop]), None), Sent(replace(item.tag, body=body[:5] + body[vop:]), None)]
        else:
            out.append(replace(item, at=None))
    return Source(tuple(out), expected=tuple(whole.frames()))


def _flagged(sent: list[Sent], frame_type: int) -> Source:
    """Every picture with the same FrameType."""
    out = []
    for item in sent:
        if item.tag.kind == VIDEO and item.at is not None:
            body = item.tag.body
            item = Sent(replace(item.tag, body=bytes([body[0] & 0x8F | frame_type << 4]) + body[1:]), item.at)
        out.append(item)
    return Source(tuple(out), expected=tuple(_expected(sent)))


def open_groups(folder: Path) -> Source:
    """Groups that begin with a recovery point instead of an IDR picture; the encoder calls them key frames."""
    coding = ["-c:v", "libx264", "-x264-params", "open-gop=1:keyint=50:min-keyint=50:bframes=2:scenecut=0", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    sent = _encoded(folder, *coding)
    keys = [item for item in sent if _is_picture(item) and item.tag.body[0] >> 4 == 1]
    assert any(unit[0] & 0x1F == 1 for item in keys for unit in units(item.tag.body[5:], 4)), "no open group"
    return Source(tuple(sent))


def _extended(item: Sent) -> tuple[int, bytes, bytes]:
    """Packet type, FourCC and body of a tag of H.264 or AAC."""
    body = item.tag.body
    if item.tag.kind == AUDIO:
        return body[1], b"mp4a", body[2:]
    return (0, b"avc1", body[5:]) if item.at is None else (1, b"avc1", body[2:])


def _first(item: Sent, packet_type: int) -> int:
    return (0x90 if item.tag.kind == AUDIO else 0x80 | item.tag.body[0] & 0x70) | packet_type


def _mod_ex(sizes: tuple[int, ...]) -> Callable[[Sent], bytes]:
    """Every packet behind ModEx packets whose data have these sizes; the first one is the nanosecond offset."""

    def wrap(item: Sent) -> bytes:
        packet_type, four_cc, body = _extended(item)
        out = bytes([_first(item, 7)])
        for n, size in enumerate(sizes):
            length = bytes([size - 1]) if size < 256 else b"\xff" + struct.pack(">H", size - 1)
            following = 7 if n + 1 < len(sizes) else packet_type
            out += length + bytes(size) + bytes([(n << 4) & 0xF0 | following])
        return out + four_cc + body

    return wrap


def _wrapped(wrap: Callable[[Sent], bytes | list[bytes]]) -> Source:
    sent = _timed("h264_bframes_aac")
    out = []
    for item in sent:
        made = wrap(item)
        out += [Sent(replace(item.tag, body=body), None) for body in ([made] if isinstance(made, bytes) else made)]
    return Source(tuple(out), expected=tuple(_expected(sent)))


def _multitrack(item: Sent, kind: int, tracks: list[tuple[int, bytes, bytes]]) -> bytes:
    """A multitrack message of (number, FourCC, body)."""
    packet_type = _extended(item)[0]
    out = bytes([_first(item, 5 if item.tag.kind == AUDIO else 6), kind << 4 | packet_type])
    if kind != 2:
        out += tracks[0][1]
    for number, four_cc, body in tracks:
        out += (four_cc if kind == 2 else b"") + bytes([number]) + (b"" if kind == 0 else len(body).to_bytes(3, "big")) + body
    return out


def one_track(item: Sent) -> list[bytes]:
    """The default track as ever, and two more of each kind as messages of their own (OneTrack)."""
    _, four_cc, body = _extended(item)
    return [item.tag.body] + [_multitrack(item, 0, [(number, four_cc, body[::-1] if item.at is not None else body)]) for number in (1, 2)]


def many_tracks(item: Sent) -> bytes:
    """All tracks in one message (ManyTracks), the default one not first."""
    _, four_cc, body = _extended(item)
    return _multitrack(item, 1, [(1, four_cc, body[:9]), (0, four_cc, body), (7, four_cc, b"")])


def many_codecs(item: Sent) -> bytes:
    """Tracks of other codecs in the same message (ManyTracksManyCodecs)."""
    _, four_cc, body = _extended(item)
    other = b"Opus" if item.tag.kind == AUDIO else b"av01"
    return _multitrack(item, 2, [(0, four_cc, body), (3, other, b"\x01\x02\x03")])


def channel_layout(folder: Path) -> Source:
    """AAC of four channels that a programme config element describes."""
    sent = _encoded(folder, "-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-af", "aformat=channel_layouts=quad")
    config = next(item.tag.body[2:] for item in sent if item.at is None and item.tag.kind == AUDIO)
    assert config[1] >> 3 & 0x0F == 0, "a channel configuration instead of a programme config element"
    return Source(tuple(sent))


MESSAGES: dict[str, Callable[[Path], Source]] = {
    "dji": dji,
    "dji_hevc": dji_hevc,
    "dji_id12": dji_id12,
    "group_sei": group_sei,
    "empty_units": empty_units,
    "late_delimiter": late_delimiter,
    "slices_apart": slices_apart,
    "slices_apart_hevc": slices_apart_hevc,
    "mpeg4_apart": mpeg4_apart,
    "keys_not_flagged": lambda _: _flagged(_timed("h264_aac"), 2),
    "keys_not_flagged_hevc": lambda _: _flagged(_timed("hevc_enhanced"), 2),
    "all_flagged": lambda _: _flagged(_timed("h264_aac"), 1),
    "open_groups": open_groups,
    "mod_ex": lambda _: _wrapped(_mod_ex((3,))),
    "mod_ex_unknown": lambda _: _wrapped(_mod_ex((3, 1, 255, 256, 300))),
    "one_track": lambda _: _wrapped(one_track),
    "many_tracks": lambda _: _wrapped(many_tracks),
    "many_codecs": lambda _: _wrapped(many_codecs),
    "channel_layout": channel_layout,
}
