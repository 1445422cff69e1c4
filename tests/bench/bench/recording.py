"""Recorders under N publishers: CPU-seconds per stream-minute, memory, bytes and lost frames."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.wait import wait_for

from . import media, own, peers, procs

ALONE = [("flv",), ("mp4",), ("m3u8",), ("cmaf",)]
THREE = ("m3u8", "mp4", "flv")
# What is recorded where only one thing differs from the first condition.
BESIDE = [("m3u8",), THREE]
# The condition that the bounds are set for, and what each recording may cost there as a multiple of nginx-rtmp's FLV.
BOUND_STREAMS, BOUND_SLICE, BOUND_SECONDS = 50, 5, 60
BOUND_ALONE, BOUND_THREE = 1.0, 1.2


@dataclass(frozen=True)
class Condition:
    """What a run is made under: publishers, payload of their RTMP chunks, length of a slice, seconds of media a stream."""

    streams: int
    chunk: int
    slice: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.streams} streams, chunks of {self.chunk}, slices of {self.slice} s, {self.seconds} s"


@dataclass
class Row:
    """One run. CPU-seconds per stream-minute: `cpu` up to the finished files, `system` of it in the kernel, `live` up to the end of the push.

    `lost` over all streams.
    """

    recorder: str
    at: Condition
    sliced: bool
    cpu: float
    system: float
    live: float
    idle_rss: float
    peak_rss: float
    bytes_ratio: float
    lost: int | None
    late_ms: float
    load: float


def _row(name: str, at: Condition, sliced: bool, sent: dict, uses: tuple[procs.Use, procs.Use, procs.Use], size: float, missing: int | None, load: float) -> Row:
    minutes = sent["media_s"] / 60
    start, live, end = uses
    cpu, system, part = ((now - start_of) / minutes for now, start_of in ((end.cpu, start.cpu), (end.system, start.system), (live.cpu, start.cpu)))
    return Row(name, at, sliced, cpu, system, part, start.rss, end.peak, size / sent["bytes"], missing, sent["late_ms"], load)


def localyun(formats: tuple[str, ...], at: Condition, tools: media.Tools, folder: Path) -> Row:
    """One run of localyun on an empty folder, its own object store and callbacks included."""
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    data.mkdir(parents=True)
    with own.server(data) as server:
        own.record(server, formats, at.slice)
        start = procs.use(server.process.pid)
        sent = media.push(tools.push, server.rtmp_host, server.rtmp_port, f"?vhost={own.DOMAIN}", at.streams, at.seconds, tools.ref, chunk=at.chunk)
        live = procs.use(server.process.pid)
        load = procs.load()
        wait_for(lambda: not server.is_live(own.DOMAIN, "live", f"s{at.streams - 1}"), 30, "the end of the last stream")
        server.advance(own.AFTER_DELAY)
        store = data / "oss" / own.BUCKET
        suffixes = {media.FILE_SUFFIX.get(name, name) for name in formats}
        wait_for(lambda: all(len(list(store.rglob(f"*.{suffix}"))) == at.streams for suffix in suffixes), 120, f"{at.streams} files each of {suffixes}")
        end = procs.use(server.process.pid)
        size, missing = 0, 0
        for name in formats:
            gone, bytes_, first = media.lost(tools.tally, store, media.MEDIA_SUFFIX.get(name, name), at.streams, sent)
            missing, size = missing + gone, size + bytes_
            header = [path for path in store.rglob("*_init.mp4") if media.stream_of(path, store) == 0] if name == "cmaf" else []
            media.agree(tools.tally, first, header, folder / "whole")
        sliced = any(name in own.SLICED for name in formats)
        return _row("localyun " + "+".join(formats), at, sliced, sent, (start, live, end), size, missing, load)


def peer(recorder: peers.Peer, at: Condition, tools: media.Tools, folder: Path) -> Row:
    """One run of another recorder, until its files no longer grow."""
    shutil.rmtree(folder, ignore_errors=True)
    files = folder.resolve() / "media"
    files.mkdir(parents=True)
    with recorder.start(files) as (pid, port):
        start = procs.use(pid)
        sent = media.push(tools.push, "127.0.0.1", port, "", at.streams, at.seconds, tools.ref, chunk=at.chunk)
        live = procs.use(pid)
        load = procs.load()
        sizes: list[int] = []

        def still() -> bool:
            sizes.append(sum(path.stat().st_size for path in files.rglob("*") if path.is_file()))
            return len(sizes) > 10 and len(set(sizes[-10:])) == 1

        wait_for(still, 30, "files that no longer grow")
        end = procs.use(pid)
        missing = media.lost(tools.tally, files, recorder.suffix, at.streams, sent)[0] if recorder.suffix else None
        return _row(recorder.name, at, False, sent, (start, live, end), sizes[-1], missing, load)


def conditions(streams: list[int], chunks: list[int], slices: list[int], seconds: list[int], product: bool) -> list[Condition]:
    """The first of each, then those in which one thing differs from it; with `product` all of them."""
    if product:
        return [Condition(*values) for values in itertools.product(streams, chunks, slices, seconds)]
    first = Condition(streams[0], chunks[0], slices[0], seconds[0])
    others = [replace(first, streams=n) for n in streams[1:]] + [replace(first, chunk=n) for n in chunks[1:]]
    others += [replace(first, slice=n) for n in slices[1:]] + [replace(first, seconds=n) for n in seconds[1:]]
    return [first, *others]


def runs(asked: list[Condition], product: bool, tools: media.Tools, folder: Path, say: Callable[[str], None]) -> list[Row]:
    """Every recorder under the first condition (or all), the compared ones under the others; peers and ours take turns, so that they meet the same machine."""
    rows = []
    others = peers.found(tools.sink, say)
    for number, at in enumerate(asked):
        whole = product or number == 0
        made = [lambda p=other, at=at: peer(p, at, tools, folder) for other in others if whole or other.compared]
        made += [lambda f=names, at=at: localyun(f, at, tools, folder) for names in ([*ALONE, THREE] if whole else BESIDE)]
        for run in made:
            row = run()
            lost = "" if row.lost is None else f", {row.lost} frames lost"
            say(f"{row.recorder}, {at}: {row.cpu:.3f} CPU-s per stream-minute, peak {row.peak_rss:.0f} MB{lost}, load {row.load:.1f}")
            rows.append(row)
            shutil.rmtree(folder, ignore_errors=True)
    return rows


def floor(rows: list[Row], name: str) -> dict[Condition, float]:
    """What a peer needs under each condition."""
    return {row.at: row.cpu for row in rows if row.recorder.startswith(name)}


def failures(rows: list[Row]) -> list[str]:
    """What the runs have to show and do not, in words."""
    ours = [row for row in rows if row.recorder.startswith("localyun")]
    found = [f"{row.recorder}, {row.at}: {row.lost} frames lost" for row in ours if row.lost]
    nginx = floor(rows, "nginx")
    for row in ours:
        bound = BOUND_THREE if "+" in row.recorder else BOUND_ALONE
        is_bound = (row.at.streams, row.at.slice, row.at.seconds) == (BOUND_STREAMS, BOUND_SLICE, BOUND_SECONDS)
        if is_bound and row.at in nginx and row.cpu > bound * nginx[row.at]:
            found.append(f"{row.recorder}, {row.at}: {row.cpu / nginx[row.at]:.2f} times nginx-rtmp's FLV, {bound:g} is the bound")
    return found
