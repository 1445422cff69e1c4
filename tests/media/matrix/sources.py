"""What is sent: the committed clips and variants of them, each tag with the time that its frame should have in the recording.

Variants are made by rewriting FLV tags; only codecs that no clip has are encoded, by ffmpeg, at test time.
"""

import re
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import clip as clips
from harness.clip import AUDIO, VIDEO, Tag, is_key

from .frames import Frame, of_tag

WRAP = 1 << 32
# A change that one file cannot hold in any format.
EVERYWHERE = {"m3u8": 2, "mp4": 2, "flv": 2, "cmaf": 2}


@dataclass(frozen=True)
class Sent:
    """A tag on its way; `at` is the expected media time in milliseconds, None for a tag that holds no frame to be recorded."""

    tag: Tag
    at: float | None


FORMATS = ("m3u8", "mp4", "flv", "cmaf")


@dataclass(frozen=True)
class Source:
    """One row of the matrix: `prefix` is the size of NAL unit lengths, `noise` what ffmpeg says of the sent stream itself.

    `again` is a second push, within DelayTime. `files` is how many files there are of each format, one where it says nothing;
    `breaks` how many EXT-X-DISCONTINUITY the playlists of each format have in all, none where it says nothing. `overlap` is for how many
    seconds one file's sound lies beside another one's pictures.
    `expected` is there where the messages are not frames one by one.
    """

    sent: tuple[Sent, ...]
    again: tuple[Sent, ...] = ()
    prefix: int = 4
    noise: str = ""
    files: dict[str, int] = field(default_factory=dict)
    breaks: dict[str, int] = field(default_factory=dict)
    overlap: float = 0
    expected: tuple[Frame, ...] | None = None

    def frames(self) -> list[Frame]:
        """The frames that a recording has to hold."""
        if self.expected is not None:
            return list(self.expected)
        return [of_tag(item.tag, item.at, self.prefix) for item in self.sent + self.again if item.at is not None]

    def count(self, form: str) -> int:
        """How many files of a format there are."""
        return self.files.get(form, 1)


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
    second = [item for item in _encoded(folder, *small, "-c:a", "aac", "-af", "asetpts=PTS+1024") if item.tag.kind == VIDEO and (item.at is None or item.at < 4000)]
    begin = next(item.tag.timestamp for item in second if item.at is not None)
    joined = [replace(item, at=None if item.at is None else item.at + 6000, tag=replace(item.tag, timestamp=6000 + max(0, item.tag.timestamp - begin))) for item in second]
    sound = [item for item in _timed("h264_aac") if item.tag.kind == AUDIO and item.at is not None and item.at >= 6000]
    media = sorted(sound + [item for item in joined if item.at is not None], key=lambda item: item.tag.timestamp)
    # Its parser, not its decoder, reads the slices of the second part with the parameter sets of the first.
    noise = r"\[NULL @ \w+\] reference count \d+ overflow|    Last message repeated \d+ times"
    return Source(tuple(first + [item for item in joined if item.at is None] + media), noise=noise, files={"cmaf": 2}, breaks={"m3u8": 1})


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


def aac_change(folder: Path, at_ms: int = 6000) -> Source:
    """Sound turns from 44.1 kHz stereo to 48 kHz mono after the last frame that begins before 6 s, where a key frame is."""
    plain = _timed("h264_aac")
    heads, media = [i for i in plain if i.at is None], [i for i in plain if i.at is not None]
    other = [i for i in _encoded(folder, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ar", "48000", "-ac", "1") if i.tag.kind == AUDIO]
    head, sound = other[0], other[1:]
    begin = max(i.at for i in media if i.tag.kind == AUDIO and i.at < at_ms) + 24
    moved = [(begin + i.at - sound[0].at, i.tag) for i in sound]
    late = [Sent(replace(tag, timestamp=int(at)), at) for at, tag in moved if at < 10_000]
    media = sorted([i for i in media if i.tag.kind == VIDEO or i.at < begin - 1] + late, key=lambda i: i.at)
    at = media.index(late[0])
    return Source(tuple(heads + media[:at] + [Sent(replace(head.tag, timestamp=begin), None)] + media[at:]), files=EVERYWHERE)


def aac_change_in_group(folder: Path) -> Source:
    """The same in the midst of a group of pictures: sound from there on is the second file's, the pictures beside it the first one's."""
    return replace(aac_change(folder, 5000), overlap=1)


def _heads(sent: list[Sent]) -> list[Sent]:
    return [item for item in sent if item.at is None]


def _media(sent: list[Sent], kind: int | None = None) -> list[Sent]:
    return [item for item in sent if item.at is not None and (kind is None or item.tag.kind == kind)]


def _part(sent: list[Sent], begin: float, end: float, to: float = 0) -> list[Sent]:
    """The frames that lie within [begin, end) as a whole, moved so that `begin` is expected at `to`; on the wire they keep their times."""
    last = {AUDIO: 24, VIDEO: 40}
    return [replace(item, at=item.at - begin + to) for item in _media(sent) if begin <= item.at and item.at + last[item.tag.kind] <= end]


def _other_size(folder: Path) -> list[Sent]:
    """Other pictures beside the same sound."""
    sent = _encoded(folder, "-vf", "scale=160:90", "-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p", "-sc_threshold", "0", "-c:a", "aac")
    same = _timed("h264_aac")
    heads = [item for item in _heads(sent) if item.tag.kind == VIDEO] + [item for item in _heads(same) if item.tag.kind == AUDIO]
    pictures = [replace(item, tag=replace(item.tag, timestamp=int(item.at))) for item in _media(sent, VIDEO)]
    return heads + sorted(_media(same, AUDIO) + pictures, key=lambda item: item.at)


def _back(second: list[Sent], **more: object) -> Source:
    """A push of six seconds, and another one within DelayTime that begins with its sound, as ffmpeg's does."""
    first = _timed("h264_aac")
    head = [item for item in _heads(second) if item.tag.kind == VIDEO] + [item for item in _heads(second) if item.tag.kind == AUDIO]
    return Source(tuple(_heads(first) + _part(first, 0, 6000)), tuple(head + _part(second, 0, 7000, 6000)), **more)


def back_the_same(_: Path) -> Source:
    """The encoder comes back as it was."""
    return _back(_timed("h264_aac"), breaks={"m3u8": 1, "cmaf": 1})


def back_with_size(folder: Path) -> Source:
    """It comes back with another picture size."""
    noise = r"\[NULL @ \w+\] reference count \d+ overflow|    Last message repeated \d+ times"
    return _back(_other_size(folder), noise=noise, files={"cmaf": 2}, breaks={"m3u8": 1})


def back_with_sound(folder: Path) -> Source:
    """It comes back with the sound of another rate, and sends it before its first picture."""
    other = _encoded(folder, "-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ar", "48000", "-ac", "1")
    sound, pictures = _media(other, AUDIO), [item for item in _media(other, VIDEO) if item.at >= 0]
    late = _heads(other) + [item for item in sound if item.at < 400] + sorted([item for item in sound if item.at >= 400] + pictures, key=lambda item: item.at)
    return _back(late, files=EVERYWHERE)


def back_with_codec(_: Path) -> Source:
    """It comes back with H.265."""
    return _back(_timed("hevc_enhanced"), files=EVERYWHERE)


def codec_change(_: Path) -> Source:
    """H.264 turns into H.265 in a push."""
    first, second = _timed("h264_aac"), _timed("hevc_enhanced")
    pictures = [replace(item, tag=replace(item.tag, timestamp=int(item.at))) for item in _part(_media(second, VIDEO), 0, 5000, 6000)]
    media = sorted([item for item in _media(first) if item.tag.kind == AUDIO or item.at < 6000] + pictures, key=lambda item: item.at)
    at = media.index(pictures[0])
    head = [item for item in _heads(second) if item.tag.kind == VIDEO]
    return Source(tuple(_heads(first) + media[:at] + head + media[at:]), files=EVERYWHERE)


def _long(seconds: float) -> list[Sent]:
    clip = clips.load("h264_aac")
    return [Sent(tag, None) for tag in clip.headers] + [Sent(tag, tag.timestamp) for tag in clips.between(clip, 0, round(seconds * 1000))]


def picture_joins(_: Path) -> Source:
    """Sound for twelve seconds, then pictures; their header comes with them."""
    sent = _long(20)
    heads = {item.tag.kind: item for item in _heads(sent)}
    media = [item for item in _media(sent) if item.tag.kind == AUDIO or item.at >= 12_000]
    at = next(n for n, item in enumerate(media) if item.tag.kind == VIDEO)
    return Source(tuple([heads[AUDIO]] + media[:at] + [heads[VIDEO]] + media[at:]), files=EVERYWHERE)


def announced_picture_joins(_: Path) -> Source:
    """The same with both headers at once, as ffmpeg sends them."""
    sent = _long(20)
    return Source(tuple(_heads(sent) + [item for item in _media(sent) if item.tag.kind == AUDIO or item.at >= 12_000]), files=EVERYWHERE)


def sound_joins(_: Path) -> Source:
    """Pictures for nine seconds, then sound, in the midst of a group of pictures."""
    sent = _long(16)
    return Source(tuple(_heads(sent) + [item for item in _media(sent) if item.tag.kind == VIDEO or item.at >= 9000]), files=EVERYWHERE)


def picture_lost(_: Path) -> Source:
    """Pictures are away from 6 to 20 s while sound goes on."""
    sent = _long(26)
    media = [item for item in _media(sent) if item.tag.kind == AUDIO or not 6000 <= item.at < 20_000]
    # The last picture before lasts beyond the sound that comes after it, which is the next file's.
    return Source(tuple(_heads(sent) + media), files={"m3u8": 3, "cmaf": 3}, overlap=0.04)


def sound_lost(_: Path) -> Source:
    """Sound is away from 6 to 20 s while pictures go on."""
    sent = _long(26)
    media = [item for item in _media(sent) if item.tag.kind == VIDEO or not 6000 <= item.at < 20_000]
    return Source(tuple(_heads(sent) + media), files={"m3u8": 3, "cmaf": 3})


def long_groups(folder: Path) -> Source:
    """Key frames 10.4 s apart: ffmpeg's default of 250 pictures a group at 24 pictures a second."""
    options = ["-vf", "scale=160:90", "-r", "24", "-t", "32", "-g", "250", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-sc_threshold", "0"]
    return Source(tuple(_encoded(folder, *options, "-pix_fmt", "yuv420p", "-c:a", "aac")))


def mp3_in_cmaf(_: Path) -> Source:
    """MP3, which CMAF has no place for."""
    return Source(tuple(_timed("h264_mp3")), files={"cmaf": 0})


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
    **{name: plain(name) for name in ("h264_aac", "h264_bframes_aac", "keyframe4s", "audio_only", "video_only", "hevc_enhanced", "hevc_id12")},
    "slices": slices,
    "sei": sei,
    "resolution": resolution,
    "mpeg4": mpeg4,
    "he_aac": he_aac,
    "aac_change": aac_change,
    "aac_change_in_group": aac_change_in_group,
    "back_the_same": back_the_same,
    "back_with_size": back_with_size,
    "back_with_sound": back_with_sound,
    "back_with_codec": back_with_codec,
    "codec_change": codec_change,
    "picture_joins": picture_joins,
    "announced_picture_joins": announced_picture_joins,
    "sound_joins": sound_joins,
    "picture_lost": picture_lost,
    "sound_lost": sound_lost,
    "long_groups": long_groups,
    "h264_mp3": mp3_in_cmaf,
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
