"""The load maker, and what came of its frames."""

import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

# The suffixes of a format's file and of its media, where they are not the format's name.
FILE_SUFFIX = {"cmaf": "m3u8"}
MEDIA_SUFFIX = {"m3u8": "ts", "cmaf": "m4s"}
# Payload of an RTMP chunk as OBS and many other publishers send it.
CHUNK = 4096
# Files a call of the counter.
AT_ONCE = 2000
STREAM = re.compile(r"s(\d+)")


@dataclass(frozen=True)
class Tools:
    """The bench's own programs, and its clips of 2.5 Mbit/s, of 500 kbit/s, of 1 Mbit/s and of some 25 kbit/s."""

    push: Path
    fire: Path
    sink: Path
    tally: Path
    watch: Path
    ref: Path
    light: Path
    mega: Path
    thin: Path

    @classmethod
    def of(cls, folder: Path) -> "Tools":
        """Where `run` puts them."""
        names = ("push", "fire", "sink", "tally", "watch", "ref.flv", "light.flv", "mega.flv", "thin.flv")
        return cls(*(folder / name for name in names))


def push_command(program: Path, host: str, port: int, query: str, streams: int, seconds: float, clip: Path, speed: float = 1, chunk: int = CHUNK) -> list[str]:
    """The load maker's command line."""
    return [str(word) for word in (program, host, port, "live", "s", query, streams, seconds, clip, speed, chunk)]


def push(program: Path, host: str, port: int, query: str, streams: int, seconds: float, clip: Path, speed: float = 1, chunk: int = CHUNK) -> dict:
    """Runs the load maker to its end."""
    command = push_command(program, host, port, query, streams, seconds, clip, speed, chunk)
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    if done.returncode != 0:
        raise RuntimeError(f"push: {done.stderr.strip()}")
    return json.loads(done.stdout)


def probe(path: Path) -> dict[str, int]:
    """Pictures and sound frames of a file by ffprobe."""
    command = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_type,nb_read_packets", "-of", "json", path]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    return {stream["codec_type"]: int(stream["nb_read_packets"]) for stream in shown["streams"]}


def duration(path: Path) -> float:
    """Seconds of a file by ffprobe."""
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "json", path]
    return float(json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)["format"]["duration"])


def tally(program: Path, paths: list[Path]) -> list[tuple[int, int]]:
    """Pictures and sound frames of each file by our own counter."""
    found = []
    for at in range(0, len(paths), AT_ONCE):
        done = subprocess.run([program, *paths[at : at + AT_ONCE]], capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        found += [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    return found


def stream_of(path: Path, root: Path) -> int:
    """The number of the publisher whose name a path holds."""
    for part in path.relative_to(root).parts:
        match = STREAM.fullmatch(part) or STREAM.match(Path(part).stem)
        if match:
            return int(match[1])
    raise RuntimeError(f"{path} belongs to no stream")


def lost(program: Path, root: Path, suffix: str, streams: int, sent: dict) -> tuple[int, int, list[Path]]:
    """Over all streams: frames that were sent and are in no file (or twice), bytes of the files, and the files of stream 0."""
    paths = sorted(root.rglob(f"*.{suffix}"))
    video, audio, size, first = Counter(), Counter(), 0, []
    for path, (pictures, sounds) in zip(paths, tally(program, paths), strict=True):
        stream = stream_of(path, root)
        video[stream] += pictures
        audio[stream] += sounds
        size += path.stat().st_size
        if stream == 0:
            first.append(path)
    missing = sum(abs(sent["video"] - video[n]) + abs(sent["audio"] - audio[n]) for n in range(streams))
    return missing, size, first


def agree(program: Path, first: list[Path], header: list[Path], whole: Path) -> None:
    """Our counter against ffprobe, on the files of one stream: a counter that is wrong must not look like a recorder that is right."""
    counted = [sum(column) for column in zip(*tally(program, first), strict=True)]
    if len(first) > 1 or header:
        whole.write_bytes(b"".join(path.read_bytes() for path in header + first))
        first = [whole]
    probed = probe(first[0])
    if counted != [probed.get("video", 0), probed.get("audio", 0)]:
        raise RuntimeError(f"{first[0]}: our counter finds {counted}, ffprobe {probed}")
