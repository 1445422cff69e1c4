"""HLS media playlists (RFC 8216) read with a few lines of our own."""

from dataclasses import dataclass
from posixpath import dirname, join, normpath


@dataclass(frozen=True)
class Segment:
    """One media segment; `discontinuity` says whether EXT-X-DISCONTINUITY stands before it."""

    uri: str
    duration: float
    discontinuity: bool


@dataclass(frozen=True)
class Playlist:
    """A parsed playlist."""

    key: str
    segments: tuple[Segment, ...]
    target: int
    ended: bool
    tags: tuple[str, ...]

    @property
    def duration(self) -> float:
        """The sum of EXTINF."""
        return sum(segment.duration for segment in self.segments)

    def keys(self) -> list[str]:
        """The object keys of the segments: URIs are relative to the playlist's own folder."""
        return [normpath(join(dirname(self.key), segment.uri)) for segment in self.segments]


def parse(key: str, text: bytes) -> Playlist:
    """The playlist stored under `key`; anything that is not a media playlist fails."""
    lines = text.decode().splitlines()
    assert lines and lines[0] == "#EXTM3U", lines[:1]
    segments, tags, target, pending, broken = [], [], 0, None, False
    for line in lines[1:]:
        if line.startswith("#EXTINF:"):
            pending = float(line[8:].split(",")[0])
        elif line == "#EXT-X-DISCONTINUITY":
            broken = True
        elif line.startswith("#EXT-X-TARGETDURATION:"):
            target = int(line.split(":")[1])
        elif line and not line.startswith("#"):
            assert pending is not None, f"no EXTINF before {line}"
            segments.append(Segment(line, pending, broken))
            pending, broken = None, False
        if line.startswith("#EXT"):
            tags.append(line)
    return Playlist(key, tuple(segments), target, "#EXT-X-ENDLIST" in lines, tuple(tags))
