"""The tables, on standard output and in docs/performance.md."""

from collections.abc import Callable
from pathlib import Path

from .crowds import Crowds
from .hour import Hour
from .instructions import Count
from .long import SAY_SECONDS, Long
from .play import Row as Crowd
from .recording import Condition, Row, floor
from .requests import BARE, RULES, Rate
from .store import PAGE, SMALL, Store
from .upstream import RECORDED, START_MS, STARTS, WAYS, Hop

# Between which lines of docs/performance.md a run's tables stand: those of viewers have a place of their own, since they are measured apart.
NEWEST = ("<!-- newest run: begin -->", "<!-- newest run: end -->")
VIEWERS = ("<!-- newest run with viewers: begin -->", "<!-- newest run with viewers: end -->")
# What the project set itself: signed reads as a part of the bare framework's rate, and durable writes a second.
READ_RATIO, WRITES = 0.35, 3000


def _table(head: str, rows: list[list[str]]) -> list[str]:
    columns = head.count("|") + 1
    return [f"| {head} |", "| --- |" + " --: |" * (columns - 1), *(f"| {' | '.join(row)} |" for row in rows)]


def recording(rows: list[Row]) -> list[str]:
    """CPU as ratios to nginx-rtmp and to the sinks under the same condition."""
    nginx, through, buffer = (floor(rows, name) for name in ("nginx", "sink through", "sink buffer"))

    def ratio(row: Row, base: dict[Condition, float], cpu: float) -> str:
        return f"{cpu / base[row.at]:.2f}" if base.get(row.at) else "-"

    return _table(
        "recorder | streams | chunk | slice s | run s | CPU-s per stream-minute | of it in the kernel | of it while live | to nginx FLV | live part to nginx FLV "
        "| to sink through | to sink buffer | peak RSS MB | bytes out / in | frames lost | load",
        [
            [
                row.recorder,
                str(row.at.streams),
                str(row.at.chunk),
                str(row.at.slice) if row.sliced else "-",
                str(row.at.seconds),
                f"{row.cpu:.3f}",
                f"{row.system:.3f}",
                f"{row.live:.3f}",
                ratio(row, nginx, row.cpu),
                ratio(row, nginx, row.live),
                ratio(row, through, row.cpu),
                ratio(row, buffer, row.cpu),
                f"{row.peak_rss:.0f}",
                f"{row.bytes_ratio:.3f}",
                "-" if row.lost is None else str(row.lost),
                f"{row.load:.1f}",
            ]
            for row in rows
        ],
    )


def play(rows: list[Crowd]) -> list[str]:
    """Crowds of viewers, ours beside those of the same run."""
    ours = {(row.streams, row.viewers, row.form): row for row in rows if row.server == "localyun"}

    def ratio(row: Crowd, value: Callable[[Crowd], float]) -> str:
        other = ours.get((row.streams, row.viewers, row.form))
        return f"{value(other) / value(row):.2f}" if other and other is not row and value(row) > 0 else ""

    return _table(
        "server | streams of 1 Mbit/s | viewers | by | CPU-s a viewer-minute | localyun to it | KiB a viewer | localyun to it | resident MB | least Mbit/s | cut off | load",
        [
            [
                row.server,
                str(row.streams),
                str(row.viewers),
                row.form,
                f"{row.cpu:.4f}",
                ratio(row, lambda row: row.cpu),
                f"{row.memory:.1f}",
                ratio(row, lambda row: row.memory),
                f"{row.resident:.0f}",
                f"{row.least:.2f}",
                str(row.cut),
                f"{row.load:.1f}",
            ]
            for row in rows
        ],
    )


def api(rates: list[Rate]) -> list[str]:
    """Rates, and as ratios to the web framework alone."""
    alone = [rate for rate in rates if rate.name.startswith(BARE)]
    rate_floor, cpu_floor = (sum(values) / len(alone) for values in ([r.per_second for r in alone], [r.cpu_us for r in alone]))
    lines = _table(
        "request | answers/s | part of actix-web's rate | server CPU µs each | times actix-web's CPU | load maker CPU µs each | load maker busy | p50 ms | p99 ms",
        [
            [
                rate.name,
                f"{rate.per_second:.0f}",
                f"{rate.per_second / rate_floor:.0%}",
                f"{rate.cpu_us:.1f}",
                f"{rate.cpu_us / cpu_floor:.1f}",
                f"{rate.maker_us:.1f}",
                f"{rate.maker_busy:.0%}",
                f"{rate.p50_ms:.2f}",
                f"{rate.p99_ms:.1f}",
            ]
            for rate in rates
        ],
    )
    reads = [rate for rate in rates if f"of {RULES} rules" in rate.name]
    by_rate, by_cpu = [rate.per_second / rate_floor for rate in reads], [cpu_floor / rate.cpu_us for rate in reads]
    writes = {rate.name.split(", ")[2]: rate.per_second for rate in rates if "durable" in rate.name}
    told = f"{min(by_rate):.0%} to {max(by_rate):.0%} of the rate of actix-web alone, {min(by_cpu):.0%} to {max(by_cpu):.0%} by the server's CPU"
    lines += ["", f"Signed reads over {RULES} rules: {told}; {READ_RATIO:.0%} is the aim."]
    lines += ["Durable writes: " + ", ".join(f"{rate / WRITES:.2f} ({where})" for where, rate in writes.items()) + f" of the {WRITES} a second aimed at."]
    return lines


def profile(shares: dict[str, dict[str, float]]) -> list[str]:
    """Where a read's time goes, in per cent of the samples."""
    names = list(next(iter(shares.values())))
    rows = [[part, *(f"{seen[part]:.1f} %" for seen in shares.values())] for part in names]
    return _table("DescribeLiveRecordConfig, 30 of 100 rules: part of the server's CPU | " + " | ".join(shares), rows)


def instructions(counts: list[Count], tolerance: float) -> list[str]:
    """Counts beside the committed ones."""
    lines = _table(
        "part | what | instructions a packet | committed | change",
        [[c.part, c.what, f"{c.now:.0f}", f"{c.committed}" if c.committed else "-", f"{c.change():+.1%}"] for c in counts],
    )
    # The second column is text.
    lines[1] = "| --- | --- | --: | --: | --: |"
    return [*lines, "", f"More than {tolerance:.0%} above the committed number fails the run."]


def long(seen: Long) -> list[str]:
    """Many streams for long."""
    sent = seen.sent
    rows = [
        ["server's view: the furthest that a recording was behind real time", f"{seen.behind_ms:.0f} ms"],
        ["publishers' view: the latest that a frame was taken by the socket", f"{sent['late_ms']:.0f} ms"],
        ["frames over 1 s late", str(sent["late_frames"])],
        ["sends that the socket did not take whole", str(sent["stalls"])],
        ["the load maker itself slept through at most", f"{sent['slept_ms']:.0f} ms"],
        [f"frames lost, of {seen.streams * (sent['video'] + sent['audio'])} in all streams", str(seen.lost)],
        ["CPU-s per stream-minute", f"{seen.cpu:.3f}"],
        ["peak RSS", f"{seen.peak_rss:.0f} MB"],
        ["RSS at the end against that after its first minutes", "too short a run" if seen.grown is None else f"{seen.grown:+.1%}"],
    ]
    lines = _table(f"{seen.streams} streams of 500 kbit/s to MPEG-TS, {seen.seconds:.0f} s, load {seen.load:.1f} | ", rows)
    each = [sample for n, sample in enumerate(seen.samples, 1) if n % SAY_SECONDS == 0]
    return [*lines, "", *_table("at s | RSS MB | cores busy | behind ms", [[f"{s.at:.0f}", f"{s.rss:.0f}", f"{s.cores:.2f}", f"{s.behind_ms:.0f}"] for s in each])]


def hour(seen: Hour) -> list[str]:
    """One long MP4."""
    rows = [
        ["size", f"{seen.size / 1e6:.0f} MB"],
        ["the push took", f"{seen.push_seconds:.1f} s ({seen.media_seconds / seen.push_seconds:.0f} times real time)"],
        ["end of the push to HEAD 200", f"{seen.listed:.2f} s"],
        ["end of the push to first and last megabyte read", f"{seen.readable:.2f} s"],
        ["duration by ffprobe", f"{seen.duration:.3f} s"],
        ["frames lost", str(seen.lost)],
        ["CPU-s per stream-minute", f"{seen.cpu:.3f}"],
        ["peak RSS", f"{seen.peak_rss:.0f} MB"],
    ]
    return _table(f"MP4 of {seen.media_seconds:.0f} s, load {seen.load:.1f} | ", rows)


def store(seen: Store) -> list[str]:
    """Small reads, and listings."""
    rows = [
        [f"HEAD of {SMALL} bytes on a kept connection, median and 99th of a hundred", f"{seen.head[0]:.2f} ms, {seen.head[1]:.2f} ms"],
        ["GET of the same", f"{seen.get[0]:.2f} ms, {seen.get[1]:.2f} ms"],
        ["GET as a multiple of HEAD", f"{seen.get[0] / seen.head[0]:.2f}"],
    ]
    for at in seen.listings:
        rows.append([f"{at.objects} objects of one folder in {at.pages} pages of {PAGE}", f"{at.cpu:.2f} CPU-s ({at.us_each:.1f} µs an object), {at.seconds:.1f} s"])
    return _table(f"object store, load {seen.load:.1f} | ", rows)


def crowds(seen: Crowds) -> list[str]:
    """Crowds that are not to be felt."""
    return _table("crowds | ", seen.rows)


def start(seen: dict[str, float]) -> list[str]:
    """What a start costs."""
    rows = [
        ["spawn to ready, empty folder, median", f"{seen['ready_ms']:.0f} ms"],
        ["resident at rest", f"{seen['idle_rss_mb']:.0f} MB"],
        ["CPU at rest", f"{seen['idle_cpu_ms_per_s']:.1f} ms a second"],
        ["program", f"{seen['binary_mb']:.1f} MB"],
    ]
    return _table("start and rest | ", rows)


def write(page: Path, lines: list[str], marks: tuple[str, str] = NEWEST) -> None:
    """Puts the lines between two marks of the page."""
    begin, end = marks
    text = page.read_text()
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    page.write_text(head + "\n".join([begin, "", *lines, "", end]) + tail)


def upstream(hop: Hop) -> list[str]:
    """The ways of a call, as ratios to the direct one."""

    def row(way: str, scheme: str) -> list[str]:
        rate, direct = hop.of(way, scheme), hop.of("direct", scheme)
        return [
            f"{way}, {scheme}",
            f"{rate.per_second:.0f}",
            f"{rate.per_second / direct.per_second:.2f}",
            f"{rate.cpu_us:.0f}",
            f"{rate.cpu_us / direct.cpu_us:.2f}",
            f"{rate.p50_ms:.2f}",
            f"{rate.p99_ms:.2f}",
        ]

    started = hop.started
    starts = [
        "",
        f"A start on a cassette of {RECORDED:,} calls: {started.median_ms:.0f} ms, {started.slowest_ms:.0f} ms the slowest of {STARTS} (bound {START_MS}), "
        f"{started.without_ms:.0f} ms without one. Its first answer: {started.named_ms:.1f} ms, {started.edited_ms:.0f} ms where every file has to be read.",
    ]
    head = "way of a read of 10 rules | answers/s | to direct | CPU µs of the process asked | to direct | p50 ms | p99 ms"
    return _table(head, [row(way, scheme) for way in WAYS for scheme in ("V1", "ACS3")]) + starts
