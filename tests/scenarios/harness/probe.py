"""ffprobe and ffmpeg as the independent witness of what is in a file."""

import json
import subprocess
from pathlib import Path

# What TS adds to or takes from H.264 and AAC packets: parameter sets and delimiters per key frame, and ADTS headers.
BARE_H264 = "filter_units=remove_types=7-9"


def _run(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == 0, (command, done.stderr.decode()[-2000:])
    return done.stdout


def show(path: Path) -> dict:
    """Format and streams of a file; a file that ffprobe complains about fails."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path)], capture_output=True, timeout=60
    )
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


def tracks(path: Path) -> list[str]:
    """`video:h264`, `audio:aac` and so on, sorted."""
    return sorted(f"{s['codec_type']}:{s['codec_name']}" for s in show(path)["streams"])


def duration(path: Path) -> float:
    """The container's duration in seconds."""
    return float(show(path)["format"]["duration"])


def packets(path: Path, kind: str) -> list[dict]:
    """The packets of one kind (`v` or `a`) with pts_time, dts_time, duration_time, size and flags."""
    out = _run("ffprobe", "-v", "error", "-select_streams", kind, "-show_packets", "-of", "json", str(path))
    return json.loads(out)["packets"]


def starts_with_key(path: Path) -> bool:
    """Whether the first video packet of a file is a key frame."""
    return "K" in packets(path, "v")[0]["flags"]


def payloads(path: Path, kind: str) -> list[str]:
    """One line per packet, size and MD5 of its bare payload, so that containers can be compared with each other."""
    codec = [s["codec_name"] for s in show(path)["streams"] if s["codec_type"][0] == kind][0]
    annex_b = path.suffix in (".ts", ".m3u8")
    filters: list[str] = []
    if codec == "h264":
        filters = ["-bsf:v", BARE_H264 if annex_b else f"h264_mp4toannexb,{BARE_H264}"]
    elif codec == "aac" and annex_b:
        filters = ["-bsf:a", "aac_adtstoasc"]
    relaxed = ["-allowed_extensions", "ALL"] if path.suffix == ".m3u8" else []
    out = _run("ffmpeg", "-v", "error", *relaxed, "-i", str(path), "-map", f"0:{kind}", "-c", "copy", *filters, "-f", "framehash", "-hash", "md5", "-")
    rows = [line.split(",") for line in out.decode().splitlines() if not line.startswith("#")]
    return [f"{row[4].strip()} {row[5].strip()}" for row in rows]


def decodes(path: Path) -> None:
    """The whole file decodes with no complaint."""
    relaxed = ["-allowed_extensions", "ALL"] if path.suffix == ".m3u8" else []
    done = subprocess.run(["ffmpeg", "-v", "error", "-xerror", *relaxed, "-i", str(path), "-f", "null", "-"], capture_output=True, timeout=120)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr.decode()[-2000:]
