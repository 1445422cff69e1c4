"""Every source in every format: each frame once, in order, unchanged, at its time; files that decode without a word."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.chunks import Message, pack
from harness.clip import Tag
from harness.playlist import Playlist
from harness.publisher import CHANNELS, CHUNK_SIZE
from harness.stage import Stage

from matrix import witness
from matrix.frames import Frame
from matrix.messages import MESSAGES
from matrix.sources import SOURCES, Source

SLICE_SECONDS = 5
FORMATS = ({"Format": "m3u8", "SliceDuration": SLICE_SECONDS}, "mp4", "flv", {"Format": "cmaf", "SliceDuration": SLICE_SECONDS})
# A millisecond each for rounding at the publisher and in the file; MP4 lays AAC on its sample clock (docs/media.md).
TOLERANCE_MS = 2.1

@dataclass
class Recording:
    """One source recorded in all formats: the keys of its files and where to put fetched ones."""

    source: Source
    keys: dict[str, list[str]]
    stage: Stage
    folder: Path

    def media(self, name: str, key: str) -> tuple[Path, Playlist | None, list[Path]]:
        """A file that holds all media of one of the format's files, its playlist and its slices."""
        if name in ("mp4", "flv"):
            whole = self.folder / f"whole.{name}"
            whole.write_bytes(self.stage.bucket.get(key))
            return whole, None, []
        listing = self.stage.playlist(key)
        (self.folder / f"{name}.m3u8").write_bytes(self.stage.bucket.get(key))
        head, parts = b"", []
        maps = [tag.split('"')[1] for tag in listing.tags if tag.startswith("#EXT-X-MAP:")]
        folder = key.rpartition("/")[0]
        for uri in maps[:1]:
            head = self.stage.bucket.get(f"{folder}/{uri}")
            self._keep(uri, head)
        for segment, key in zip(listing.segments, listing.keys(), strict=True):
            parts.append(self._keep(segment.uri, self.stage.bucket.get(key)))
        whole = self.folder / f"whole.{'mp4' if maps else 'ts'}"
        if maps:
            whole = self.folder / "whole-cmaf.mp4"
        whole.write_bytes(head + b"".join(part.read_bytes() for part in parts))
        return whole, listing, parts

    def _keep(self, uri: str, body: bytes) -> Path:
        path = self.folder / uri
        assert self.folder in path.resolve().parents, uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return path


def send(stage: Stage, source: Source, stream: str) -> None:
    """Publishes the tags as they are, leaves, and waits until the server knows."""
    publisher = stage.publisher(stream)
    for item in source.sent:
        tag: Tag = item.tag
        publisher.socket.sendall(pack(CHANNELS[tag.kind], Message(tag.kind, publisher.stream, tag.timestamp, tag.body), CHUNK_SIZE))
    publisher.round_trip()
    assert not publisher.closed.is_set(), "the server closed the connection"
    stage.end(publisher)


def record(stage: Stage, source: Source, folder: Path) -> Recording:
    """Records a source once, in all formats."""
    # A rule takes three formats, so the fourth records a second push of the same tags.
    stage.rule(*FORMATS[:3], DelayTime=15, stream="s1")
    stage.rule(*FORMATS[3:], DelayTime=15, stream="s2")
    stage.notify()
    send(stage, source, "s1")
    send(stage, source, "s2")
    stage.advance(16)
    keys = {}
    for event in stage.wait_files(len(FORMATS) - 1 + source.headers):
        uri = event["uri"]
        form = uri.rpartition(".")[2]
        if form == "m3u8" and b"#EXT-X-MAP" in stage.bucket.get(uri):
            form = "cmaf"
        keys.setdefault(form, []).append(uri)
    assert sorted(keys) == ["cmaf", "flv", "m3u8", "mp4"] and len(keys["cmaf"]) == source.headers, keys
    return Recording(source, keys, stage, folder)


def origin(frames: list[Frame]) -> float:
    """The presentation time that all others are measured from: the first picture's, else the first sound's."""
    first = next((f for f in frames if f.kind == "v"), frames[0])
    return first.ms + first.cts


def compare(expected: list[Frame], found: list[Frame], shift: float) -> None:
    """Every frame of each track once, in order, unchanged and at its time."""
    base, zero = origin(expected), origin(found)
    away = {"v": 0.0, "a": shift if any(f.kind == "v" for f in expected) else 0.0}
    for kind in sorted({f.kind for f in expected} | {f.kind for f in found}):
        want, got = [f for f in expected if f.kind == kind], [f for f in found if f.kind == kind]
        if [f.data for f in want] != [f.data for f in got]:
            places = {}
            for n, frame in enumerate(want):
                places.setdefault(frame.data, []).append(n)
            order = [places.get(f.data, [-1])[0] for f in got]
            wrong = next((n for n, (a, b) in enumerate(zip(want, got)) if a.data != b.data), min(len(want), len(got)))
            unknown = order.count(-1)
            raise AssertionError(f"{kind}: {len(want)} frames sent, {len(got)} recorded, {unknown} of them unknown; first difference at {wrong}, there source frames {order[wrong : wrong + 5]}")
        assert [f.key for f in want] == [f.key for f in got], f"{kind}: key flags"
        times = [(n, w.ms + w.cts - base, round(g.ms + g.cts - zero + away[kind], 2)) for n, (w, g) in enumerate(zip(want, got, strict=True))]
        late = [(n, sent, seen) for n, sent, seen in times if abs(sent - seen) > TOLERANCE_MS]
        assert not late, f"{kind}: {len(late)} of {len(want)} at the wrong time (frame, sent, recorded): {late[:4]}"
        backward = [n for n in range(1, len(got)) if got[n].ms <= got[n - 1].ms - 0.01]
        assert not backward, f"{kind}: decoding times go back at {backward[:4]}"


def check(recording: Recording, form: str) -> None:
    """One format of a recording, whole and in its slices."""
    expected, noise = recording.source.frames(), recording.source.noise
    found, seconds, slices = [], 0.0, 0
    for key in recording.keys[form]:
        whole, listing, parts = recording.media(form, key)
        found += witness.frames(whole, noise)
        witness.decodes(whole, noise)
        if listing is None:
            continue
        witness.decodes(recording.folder / f"{form}.m3u8", noise)
        assert listing.ended and not any(segment.discontinuity for segment in listing.segments)
        if form == "m3u8" and any(f.kind == "v" for f in expected):
            begins = [next(f.key for f in witness.frames(part, noise) if f.kind == "v") for part in parts]
            assert all(begins), f"slices that begin with no key frame: {begins}"
        seconds += listing.duration
        slices += len(parts)
    # ffmpeg shows the pictures of a fragmented file later by its most negative composition offset (ISO/IEC 14496-12, 8.8.8,
    # has no such shift; files that ffmpeg fragments itself show it as well).
    shift = -min(0, *(f.cts for f in expected)) if form == "cmaf" else 0
    compare(expected, found, shift)
    if slices:
        span = max(f.ms for f in expected) - min(f.ms for f in expected)
        assert seconds == pytest.approx(span / 1000, abs=0.1), "the playlists' duration"
        assert slices >= 2, "the clip is long enough for an edge between slices"


ALL = SOURCES | MESSAGES


@pytest.mark.parametrize("name", ALL)
def test_every_frame(stage, tmp_path, name):
    folder = tmp_path.resolve()
    recording = record(stage, ALL[name](folder), folder)
    wrong = []
    for form in ("m3u8", "mp4", "flv", "cmaf"):
        try:
            check(recording, form)
        except AssertionError as error:
            wrong.append(f"{form}: {error}")
    assert not wrong, "\n".join(wrong)
