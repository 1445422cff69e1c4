"""Publishers that cost little: one small clip, sent as prepared chunks, with no look back at what was sent."""

import struct
import subprocess
from pathlib import Path

from harness import clip as clips
from harness.publisher import CHANNELS, Publisher

EXTENDED = 0xFFFFFF
VIDEO = clips.VIDEO
# A frame a second and a key frame every five: a day of it is a few megabytes.
PICTURE = "testsrc2=size=64x48:rate=1"
KEY_SECONDS = 5


def make_clips(folder: Path) -> dict[str, Path]:
    """A minute of pictures, alone and with sound."""
    made = {}
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000"]
    for name, more, codec in (("silent", [], []), ("loud", sound, ["-c:a", "aac", "-ac", "1", "-b:a", "8k"])):
        made[name] = folder / f"{name}.flv"
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", PICTURE, *more, "-t", "60", *codec, "-c:v", "libx264", "-preset", "ultrafast"]
        command += ["-bf", "0", "-g", str(KEY_SECONDS), "-keyint_min", str(KEY_SECONDS), "-sc_threshold", "0", "-qp", "45", "-pix_fmt", "yuv420p"]
        subprocess.run([*command, "-f", "flv", str(made[name])], check=True, timeout=60)
    return made


class Tap(Publisher):
    """A publisher whose media is metered out by the second. `pictures` counts the video frames sent."""

    def __init__(self, host: str, port: int, app: str, name: str, clip: Path):
        super().__init__(host, port, app, name, clip=str(clip))
        self.pictures = 0
        stream = struct.pack("<I", self.stream)
        self._headers = [self._ready(tag, stream) for tag in self.clip.headers]
        self._frames = [self._ready(tag, stream) for tag in self.clip.frames]
        self._at = self._round = 0

    @staticmethod
    def _ready(tag: clips.Tag, stream: bytes) -> tuple[int, int, bytes, bytes, bytes]:
        head = len(tag.body).to_bytes(3, "big") + bytes([tag.kind]) + stream
        return tag.kind, tag.timestamp, bytes([CHANNELS[tag.kind]]), head, tag.body

    def feed(self, seconds: int) -> None:
        """Sends the next seconds of the loop."""
        out = []
        if self.position == 0:
            out += [part for _, _, channel, head, body in self._headers for part in (channel, b"\0\0\0", head, body)]
        self.position += seconds * 1000
        while True:
            kind, at, channel, head, body = self._frames[self._at]
            at += self._round
            if at >= self.position:
                break
            if at < EXTENDED:
                out += (channel, at.to_bytes(3, "big"), head, body)
            else:
                out += (channel, b"\xff\xff\xff", head, at.to_bytes(4, "big"), body)
            self.pictures += kind == VIDEO
            self._at += 1
            if self._at == len(self._frames):
                self._at, self._round = 0, self._round + self.clip.period
        self.socket.sendall(b"".join(out))
