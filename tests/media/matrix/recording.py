"""A source pushed to a server and recorded in every format."""

from dataclasses import dataclass
from pathlib import Path

from harness.chunks import Message, pack
from harness.clip import Tag
from harness.playlist import Playlist
from harness.publisher import CHANNELS, CHUNK_SIZE
from harness.stage import Stage

from .sources import FORMATS, Source

SLICE_SECONDS = 5
GROUPS = ({"Format": "m3u8", "SliceDuration": SLICE_SECONDS}, "mp4", "flv", {"Format": "cmaf", "SliceDuration": SLICE_SECONDS})


@dataclass
class Recording:
    """One source recorded in all formats: the keys of its files, how long each is, and where to put fetched ones."""

    source: Source
    keys: dict[str, list[str]]
    seconds: dict[str, float]
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
    """Publishes the tags as they are, leaves, and waits until the server knows; once more for a second push."""
    for sent in filter(None, (source.sent, source.again)):
        publisher = stage.publisher(stream)
        for item in sent:
            tag: Tag = item.tag
            publisher.socket.sendall(pack(CHANNELS[tag.kind], Message(tag.kind, publisher.stream, tag.timestamp, tag.body), CHUNK_SIZE))
        publisher.round_trip()
        assert not publisher.closed.is_set(), "the server closed the connection"
        stage.end(publisher)


def record(stage: Stage, source: Source, folder: Path) -> Recording:
    """Records a source once, in all formats."""
    # A rule takes three formats, so the fourth records a second push of the same tags.
    stage.rule(*GROUPS[:3], DelayTime=15, stream="s1")
    stage.rule(*GROUPS[3:], DelayTime=15, stream="s2")
    stage.notify()
    send(stage, source, "s1")
    send(stage, source, "s2")
    stage.advance(16)
    keys, seconds = {}, {}
    for event in stage.wait_files(sum(map(source.count, FORMATS))):
        uri = event["uri"]
        form = uri.rpartition(".")[2]
        if form == "m3u8" and b"#EXT-X-MAP" in stage.bucket.get(uri):
            form = "cmaf"
        keys.setdefault(form, []).append(uri)
        seconds[uri] = event["duration"]
    assert {form: len(found) for form, found in keys.items()} == {form: source.count(form) for form in FORMATS if source.count(form)}, keys
    return Recording(source, keys, seconds, stage, folder)
