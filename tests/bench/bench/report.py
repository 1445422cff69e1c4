"""The tables, on standard output and in docs/performance.md."""

from pathlib import Path

from .recording import Row
from .requests import Rate

BEGIN, END = "<!-- newest run: begin -->", "<!-- newest run: end -->"


def recording(rows: list[Row]) -> list[str]:
    """CPU as a ratio to nginx-rtmp at the same number of streams."""
    floor = {row.streams: row.cpu for row in rows if row.recorder.startswith("nginx")}
    lines = [
        "| recorder | streams | CPU-s per stream-minute | of it while live | ratio to nginx FLV | peak RSS MB | bytes out / in | frames lost | load |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        base = floor.get(row.streams)
        ratio = f"{row.cpu / base:.2f}" if base else "-"
        lines.append(
            f"| {row.recorder} | {row.streams} | {row.cpu:.3f} | {row.live:.3f} | {ratio} | {row.peak_rss:.0f} | {row.bytes_ratio:.3f} | {row.lost} | {row.load:.1f} |"
        )
    return lines


def api(rates: list[Rate]) -> list[str]:
    """Rates, and as a ratio to the route that does next to nothing."""
    floor = [rate.cpu_us for rate in rates if rate.name.startswith("GET /_localyun/clock")]
    base = sum(floor) / len(floor)
    lines = ["| request | answers/s | server CPU µs each | ratio to clock | p50 ms | p99 ms |", "| --- | --: | --: | --: | --: | --: |"]
    for rate in rates:
        lines.append(f"| {rate.name} | {rate.per_second:.0f} | {rate.cpu_us:.0f} | {rate.cpu_us / base:.1f} | {rate.p50_ms:.1f} | {rate.p99_ms:.1f} |")
    return lines


def start(seen: dict[str, float]) -> list[str]:
    """What a start costs."""
    return [
        "| | |",
        "| --- | --: |",
        f"| spawn to ready, empty folder, median | {seen['ready_ms']:.0f} ms |",
        f"| resident at rest | {seen['idle_rss_mb']:.0f} MB |",
        f"| CPU at rest | {seen['idle_cpu_ms_per_s']:.1f} ms a second |",
        f"| program | {seen['binary_mb']:.1f} MB |",
    ]


def write(page: Path, lines: list[str]) -> None:
    """Puts the lines between the page's two marks."""
    text = page.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(head + "\n".join([BEGIN, "", *lines, "", END]) + tail)
