"""Players: ffmpeg for every form, and readers of our own that know when each byte came."""

import http.client
import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from harness.clip import AUDIO, VIDEO, Tag, _is_header, read_tags
from harness.publisher import Publisher
from harness.server import Server, binary, clean_environment
from harness.wait import wait_for
from matrix.frames import Frame, bare_units, of_tag, units_annex_b

FORMS = ("flv", "rtmp", "mp4", "m3u8")
# Of a push that waits for its viewers; a publisher may be silent for ten seconds.
FIRST_SECONDS = 0.2


def address(server: Server, form: str, domain: str, stream: str = "s1", query: str = "", app: str = "live") -> str:
    """Where a stream is watched."""
    more = f"&{query}" if query else ""
    if form == "rtmp":
        return f"rtmp://{server.rtmp_host}:{server.rtmp_port}/{app}/{stream}?vhost={domain}{more}"
    return f"{server.play}/{app}/{stream}.{form}?vhost={domain}{more}"


class Push:
    """A publisher that sends in real time on a thread of its own."""

    def __init__(self, server: Server, domain: str, stream: str = "s1", clip: str = "h264_aac", app: str = "live"):
        self.publisher = Publisher(server.rtmp_host, server.rtmp_port, app, f"{stream}?vhost={domain}", clip=clip)
        self.began = 0.0
        self._stopped = False
        self._thread: threading.Thread | None = None

    def run(self, seconds: float, speed: float = 1, crowd: Callable[[], bool] | None = None) -> "Push":
        """Begins to send; the push ends politely when the time is over. With a `crowd` it stands still behind its first frames until that is there."""

        def work() -> None:
            self.began = time.monotonic()
            try:
                if crowd:
                    self.publisher.push(FIRST_SECONDS)
                    wait_for(crowd, 9, "the viewers")
                self.publisher.push(seconds, speed)
                self.publisher.leave()
            except (OSError, AssertionError):
                if not self._stopped:
                    raise

        self._thread = threading.Thread(target=work)
        self._thread.start()
        wait_for(lambda: self.began > 0 and len(self.publisher.sent) > 3, 5, "the first frames to be sent")
        return self

    def run_both(self, first: float, clip: str, second: float) -> "Push":
        """As `run`, in real time: first its own clip, then another one, headers included."""

        def work() -> None:
            self.began = time.monotonic()
            self.publisher.push(first, 1)
            self.publisher.turn_to(clip)
            self.publisher.push(second, 1)
            self.publisher.leave()

        self._thread = threading.Thread(target=work)
        self._thread.start()
        wait_for(lambda: self.began > 0 and len(self.publisher.sent) > 3, 5, "the first frames to be sent")
        return self

    def stop(self) -> None:
        """Ends the push where it is."""
        self._stopped = True
        self.publisher.drop()
        self.join()

    def join(self) -> None:
        """Waits for the end."""
        assert self._thread is not None
        self._thread.join(120)
        assert not self._thread.is_alive()


def is_frame(tag: Tag) -> bool:
    """Whether a tag holds a frame, and no header."""
    return tag.kind in (AUDIO, VIDEO) and len(tag.body) > 1 and not _is_header(tag) and not (tag.kind == VIDEO and tag.body[0] & 0x80 == 0 and tag.body[1] == 2)


def frames(tags: list[Tag]) -> list[tuple[str, bool, bytes]]:
    """What counts of each frame, in order."""
    found: list[Frame] = [of_tag(tag, 0) for tag in tags if is_frame(tag)]
    return [(frame.kind, frame.key, frame.data) for frame in found]


@dataclass(frozen=True)
class Elementary:
    """The pictures of a stream as NAL units without parameter sets and delimiters, and its frames of sound."""

    pictures: bytes
    sound: tuple[bytes, ...]


def elementary(tags: list[Tag]) -> Elementary:
    """Of what was pushed."""
    found = [of_tag(tag, 0) for tag in tags if is_frame(tag)]
    return Elementary(b"".join(f.data for f in found if f.kind == "v"), tuple(f.data for f in found if f.kind == "a"))


def adts_frames(data: bytes) -> tuple[bytes, ...]:
    """The raw frames of an ADTS file."""
    found, at = [], 0
    while at + 7 <= len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        found.append(data[at + 7 : at + size])
        at += size
    return tuple(found)


class Ffmpeg:
    """ffmpeg that copies what it watches into elementary streams; `codec` is that of the pictures, `sound` the form of the sound, none where there is none.

    Frames of MP3 follow each other without anything between them: they are one piece here.
    """

    def __init__(self, url: str, path: Path, codec: str | None = "h264", sound: str | None = "adts"):
        self.codec, self.sound, self.video, self.audio = codec, sound, path.with_suffix(".video"), path.with_suffix(".audio")
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", url]
        if codec:
            command += ["-map", "0:v", "-c", "copy", "-f", codec, str(self.video)]
        if sound:
            bare = ["-write_xing", "0", "-id3v2_version", "0"] if sound == "mp3" else []
            command += ["-map", "0:a", "-c", "copy", *bare, "-f", sound, str(self.audio)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=clean_environment())

    def got(self, timeout: float = 30) -> Elementary:
        """What it has when the stream has ended."""
        try:
            _, said = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        assert self.process.returncode == 0, said
        pictures = bare_units(self.codec, units_annex_b(self.video.read_bytes())) if self.codec else b""
        heard = self.audio.read_bytes() if self.sound else b""
        return Elementary(pictures, adts_frames(heard) if self.sound == "adts" else (heard,))


def tracks(url: str) -> list[str]:
    """The kinds of the tracks that ffprobe finds."""
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", url]
    return sorted(subprocess.run(command, capture_output=True, check=True, text=True, timeout=40, env=clean_environment()).stdout.split())


class Gstreamer:
    """GStreamer that decodes what it watches: pictures and sound, raw, in a file each."""

    def __init__(self, url: str, path: Path):
        self.pictures, self.sound = path.with_suffix(".pictures"), path.with_suffix(".sound")
        command = ["gst-launch-1.0", "-q", "uridecodebin", f"uri={url}", "name=from"]
        command += ["from.", "!", "queue", "!", "videoconvert", "!", "video/x-raw,format=I420", "!", "filesink", f"location={self.pictures}"]
        command += ["from.", "!", "queue", "!", "audioconvert", "!", "audioresample", "!", "audio/x-raw,format=S16LE,rate=44100,channels=2", "!", "filesink", f"location={self.sound}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=clean_environment())

    def got(self, size: tuple[int, int], timeout: float = 60) -> tuple[int, float]:
        """Pictures, and seconds of sound of 44.1 kHz in stereo, when the stream has ended."""
        try:
            _, said = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        assert self.process.returncode == 0, said
        width, height = size
        return self.pictures.stat().st_size // (width * height * 3 // 2), self.sound.stat().st_size / (44_100 * 4)


@dataclass
class Live:
    """A reader of HTTP-FLV that notes when each tag came."""

    url: str
    seconds: float
    asked: float = 0.0
    tags: list[tuple[float, Tag]] = field(default_factory=list)

    def run(self) -> "Live":
        """Reads for the given time, or until the stream ends."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        self.asked = time.monotonic()
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        held, at = b"", 13
        while time.monotonic() - self.asked < self.seconds:
            piece = answer.read1(65536)
            if not piece:
                break
            held += piece
            now = time.monotonic()
            while len(held) >= at + 15:
                size = int.from_bytes(held[at + 1 : at + 4], "big")
                if len(held) < at + 15 + size:
                    break
                stamp = held[at + 7] << 24 | int.from_bytes(held[at + 4 : at + 7], "big")
                self.tags.append((now, Tag(held[at], stamp, held[at + 11 : at + 11 + size])))
                at += 15 + size
        connection.close()
        return self


def ask(url: str, method: str = "GET", headers: dict[str, str] | None = None, length: int = 2000) -> tuple[int, dict[str, str], bytes]:
    """One request: status, headers in lower case, and the beginning of the body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers or {})
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        body = b"" if method == "HEAD" else answer.read1(length)
        return answer.status, told, body
    finally:
        connection.close()


def raw(url: str, line: str) -> bytes:
    """The answer to a request line as it is written, whatever a client would make of it."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        found = b""
        while piece := connection.recv(65536):
            found += piece
            if len(found) > 100_000:
                break
        return found


def play(*arguments: str, timeout: float = 40) -> subprocess.CompletedProcess:
    """`localyun play`."""
    return subprocess.run([str(binary()), "play", *arguments], capture_output=True, text=True, timeout=timeout, env=clean_environment())


def play_in_background(url: str, file: Path) -> subprocess.Popen:
    """`localyun play` that writes what comes until the stream ends."""
    return subprocess.Popen([str(binary()), "play", url, "-o", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment())


def fetch(url: str) -> bytes:
    """A whole body."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20) as answer:
        return answer.read()


def functions(*given: tuple[str, dict[str, str]]) -> str:
    """The Functions parameter of BatchSetLiveDomainConfigs."""
    entry = lambda name, args: {"functionName": name, "functionArgs": [{"argName": k, "argValue": v} for k, v in args.items()]}
    return json.dumps([entry(name, args) for name, args in given])

