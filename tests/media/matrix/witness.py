"""ffprobe and ffmpeg as witnesses: the packets of a recorded file as frames, and whether it decodes without a word."""

import json
import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
from harness.clip import AUDIO, VIDEO, Tag, read_tags

from .frames import Frame, bare_mpeg4, bare_units, of_tag, units, units_annex_b, video_codec

HEX_LINE = re.compile(r"^[0-9a-f]{8}: ([0-9a-f ]{39})", re.MULTILINE)
SECONDS = 120


def _run(command: list[str], noise: str = "") -> bytes:
    """The output of a command that succeeds and says nothing on standard error but lines that match `noise`."""
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    said = "\n".join(line for line in lines if line.strip() and not (noise and re.fullmatch(noise, line)))
    assert done.returncode == 0 and not said, f"{' '.join(command[:3])}: {said[-2000:]}"
    return done.stdout


def is_hevc_flv(path: Path) -> bool:
    """Whether an FLV file holds HEVC as codec id 12."""
    return path.suffix == ".flv" and any(t.kind == VIDEO and t.body[0] & 0x8F == 12 for t in read_tags(path.read_bytes()))


def _mpeg4_tags(path: Path) -> list[Tag]:
    """The media tags of an FLV file with MPEG-4 part 2, which ffmpeg writes and reads in a form of its own; else nothing."""
    tags = [tag for tag in read_tags(path.read_bytes()) if tag.kind in (AUDIO, VIDEO)] if path.suffix == ".flv" else []
    return tags if any(tag.kind == VIDEO and video_codec(tag) == "mpeg4" for tag in tags) else []


def decodes(path: Path, noise: str = "") -> None:
    """The whole file decodes and ffmpeg says nothing."""
    program, file = "ffmpeg", path
    if is_hevc_flv(path):
        program = imageio_ffmpeg.get_ffmpeg_exe()
    elif tags := _mpeg4_tags(path):
        file = path.with_suffix(".m4v")
        file.write_bytes(b"".join(tag.body[5:] for tag in tags if tag.kind == VIDEO and tag.body[1] < 2))
    relaxed = ["-allowed_extensions", "ALL"] if path.suffix == ".m3u8" else []
    _run([program, "-nostdin", "-v", "error", "-xerror", *relaxed, "-i", str(file), "-f", "null", "-"], noise)


def _payload(packet: dict) -> bytes:
    return bytes.fromhex("".join(HEX_LINE.findall(packet["data"])).replace(" ", ""))


def _bare(codec: str, data: bytes, annex_b: bool) -> bytes:
    if codec in ("h264", "hevc"):
        return bare_units(codec, units_annex_b(data) if annex_b else units(data, 4))
    if codec == "mpeg4":
        return bare_mpeg4(data)
    if codec == "aac" and annex_b:
        assert data[0] == 0xFF and data[1] & 0xF6 == 0xF0, "no ADTS header"
        raw = data[7 if data[1] & 1 else 9 :]
        # Without a channel configuration, the layout stands in the raw data block itself (ISO/IEC 14496-3, 1.A.3.2 and 4.5.1.2).
        return raw if (data[2] & 1) << 2 | data[3] >> 6 else raw[_layout_size(raw) :]
    return data


def _layout_size(raw: bytes) -> int:
    """Bytes of the programme config element (ISO/IEC 14496-3, table 4.2) that a raw data block begins with."""
    bits = "".join(f"{byte:08b}" for byte in raw[:300])
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    assert take(3) == 5, "no programme config element"
    take(10)
    pairs = [take(4) for _ in range(3)]
    low, data, coupling = take(2), take(3), take(4)
    for mixdown in (4, 4, 3):
        at += mixdown * take(1)
    at += 5 * (sum(pairs) + coupling) + 4 * (low + data)
    at += -at % 8
    comment = take(8)
    return at // 8 + comment


def frames(path: Path, noise: str = "") -> list[Frame]:
    """Every packet of a file, in file order."""
    if tags := _mpeg4_tags(path):
        return [of_tag(tag, tag.timestamp) for tag in tags if tag.body[1] == 1]
    file = path
    if is_hevc_flv(path):
        # Only the newer ffmpeg knows codec id 12. It hands the packets to ffprobe in Matroska, which keeps milliseconds and payloads as they are.
        file = path.with_suffix(".mkv")
        newer = imageio_ffmpeg.get_ffmpeg_exe()
        _run([newer, "-y", "-nostdin", "-v", "error", "-i", str(path), "-map", "0", "-c", "copy", "-copyts", "-f", "matroska", str(file)])
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_packets", "-show_data", "-of", "json", str(file)]
    shown = json.loads(_run(command, noise))
    codecs = {stream["index"]: stream["codec_name"] for stream in shown["streams"]}
    found = []
    for packet in shown["packets"]:
        codec = codecs[packet["stream_index"]]
        pts = float(packet["pts_time"]) * 1000
        dts = float(packet.get("dts_time", packet["pts_time"])) * 1000
        data = _bare(codec, _payload(packet), path.suffix == ".ts")
        found.append(Frame(packet["codec_type"][0], dts, pts - dts, "K" in packet["flags"], data))
    return found
