"""Recorders under N publishers: CPU-seconds per stream-minute, memory, bytes and lost frames."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.wait import wait_for

from . import media, own, peers, procs


@dataclass
class Row:
    """One run. CPU-seconds per stream-minute: `cpu` up to the finished files, `live` up to the end of the push. `lost` over all streams."""

    recorder: str
    streams: int
    cpu: float
    live: float
    idle_rss: float
    peak_rss: float
    bytes_ratio: float
    lost: int | None
    late_ms: float
    load: float


def _row(name: str, streams: int, sent: dict, uses: tuple[procs.Use, procs.Use, procs.Use], size: float, missing: int | None, load: float) -> Row:
    minutes = sent["media_s"] / 60
    start, live, end = uses
    cpu, part = (end.cpu - start.cpu) / minutes, (live.cpu - start.cpu) / minutes
    return Row(name, streams, cpu, part, start.rss, end.peak, size / sent["bytes"], missing, sent["late_ms"], load)


def localyun(formats: tuple[str, ...], streams: int, seconds: int, tools: media.Tools, folder: Path) -> Row:
    """One run of localyun on an empty folder, its own object store and callbacks included."""
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    data.mkdir(parents=True)
    with own.server(data) as server:
        own.record(server, formats)
        start = procs.use(server.process.pid)
        sent = media.push(tools.push, server.rtmp_host, server.rtmp_port, f"?vhost={own.DOMAIN}", streams, seconds, tools.ref)
        live = procs.use(server.process.pid)
        load = procs.load()
        wait_for(lambda: not server.is_live(own.DOMAIN, "live", f"s{streams - 1}"), 30, "the end of the last stream")
        server.advance(own.AFTER_DELAY)
        store = data / "oss" / own.BUCKET
        suffixes = {media.FILE_SUFFIX.get(name, name) for name in formats}
        wait_for(lambda: all(len(list(store.rglob(f"*.{suffix}"))) == streams for suffix in suffixes), 120, f"{streams} files each of {suffixes}")
        end = procs.use(server.process.pid)
        size, missing = 0, 0
        for name in formats:
            gone, bytes_, first = media.lost(tools.tally, store, media.MEDIA_SUFFIX.get(name, name), streams, sent)
            missing, size = missing + gone, size + bytes_
            header = [path for path in store.rglob("*_init.mp4") if media.stream_of(path, store) == 0] if name == "cmaf" else []
            media.agree(tools.tally, first, header, folder / "whole")
        return _row("localyun " + "+".join(formats), streams, sent, (start, live, end), size, missing, load)


def peer(recorder: peers.Peer, streams: int, seconds: int, tools: media.Tools, folder: Path) -> Row:
    """One run of another recorder, until its files no longer grow."""
    shutil.rmtree(folder, ignore_errors=True)
    files = folder.resolve() / "media"
    files.mkdir(parents=True)
    with recorder.start(files) as (pid, port):
        start = procs.use(pid)
        sent = media.push(tools.push, "127.0.0.1", port, "", streams, seconds, tools.ref)
        live = procs.use(pid)
        load = procs.load()
        sizes: list[int] = []

        def still() -> bool:
            sizes.append(sum(path.stat().st_size for path in files.rglob("*") if path.is_file()))
            return len(sizes) > 10 and len(set(sizes[-10:])) == 1

        wait_for(still, 30, "files that no longer grow")
        end = procs.use(pid)
        missing = media.lost(tools.tally, files, recorder.suffix, streams, sent)[0] if recorder.suffix else None
        return _row(recorder.name, streams, sent, (start, live, end), sizes[-1], missing, load)


def runs(formats: list[tuple[str, ...]], counts: list[int], seconds: int, tools: media.Tools, folder: Path, say: Callable[[str], None]) -> list[Row]:
    """Every recorder and format at every number of streams; all take turns, so that they meet the same machine."""
    rows = []
    others = peers.found(tools.sink, say)
    for streams in counts:
        made = [lambda n=streams, p=other: peer(p, n, seconds, tools, folder) for other in others]
        made += [lambda n=streams, f=names: localyun(f, n, seconds, tools, folder) for names in formats]
        for run in made:
            row = run()
            lost = "" if row.lost is None else f", {row.lost} frames lost"
            say(f"{row.recorder}, {row.streams} streams: {row.cpu:.3f} CPU-s per stream-minute, peak {row.peak_rss:.0f} MB{lost}, load {row.load:.1f}")
            rows.append(row)
            shutil.rmtree(folder, ignore_errors=True)
    return rows
