"""Crowds of viewers as a picture: CPU and memory a viewer, a bar a server, groups of bars a condition. Drawn by hand as SVG, so that no library is needed."""

from pathlib import Path
from xml.sax.saxutils import escape

from .play import Row

# They stand out on white and on black.
COLOURS = {"localyun": "#3b78e7", "nginx-rtmp": "#8a8f98", "SRS": "#d98324"}
OTHER = "#777"
FORMS = {"flv": "HTTP-FLV", "https": "HTTPS-FLV", "rtmp": "RTMP"}
WIDTH, LEFT, RIGHT, BAR, GAP, GROUP = 860, 270, 70, 15, 4, 14
STYLE = (
    "<style>text{font:12px sans-serif;fill:#1f2328}.head{font-weight:bold}.back{fill:#fff}"
    "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}}</style>"
)


def _panel(rows: list[Row], top: int, title: str, value, form: str) -> tuple[list[str], int]:
    """One measure of all conditions; the lines and where it ends."""
    lines = [f'<text x="16" y="{top + 16}" class="head">{escape(title)}</text>']
    y = top + 30
    most = max((value(row) for row in rows), default=0) or 1
    groups: dict[tuple[int, int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.streams, row.viewers, row.form), []).append(row)
    for (streams, viewers, kind), members in groups.items():
        name = f"{streams} stream{'s' if streams > 1 else ''}, {viewers} viewers, {FORMS.get(kind, kind)}"
        for number, row in enumerate(members):
            length = max(1, round(value(row) / most * (WIDTH - LEFT - RIGHT)))
            if number == 0:
                lines.append(f'<text x="16" y="{y + 12}">{escape(name)}</text>')
            lines.append(f'<rect x="{LEFT}" y="{y}" width="{length}" height="{BAR}" fill="{COLOURS.get(row.server, OTHER)}"/>')
            lines.append(f'<text x="{LEFT + length + 6}" y="{y + 12}">{format(value(row), form)}</text>')
            y += BAR + GAP
        y += GROUP
    return lines, y


def crowds(rows: list[Row]) -> str:
    """The picture."""
    cpu, end = _panel(rows, 34, "CPU seconds a viewer-minute (less is better)", lambda row: row.cpu, ".4f")
    memory, end = _panel(rows, end + 8, "KiB of memory a viewer (less is better)", lambda row: max(row.memory, 0), ".1f")
    legend, x = [], 16
    for server in dict.fromkeys(row.server for row in rows):
        legend.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{COLOURS.get(server, OTHER)}"/><text x="{x + 18}" y="23">{escape(server)}</text>')
        x += 120
    size = f'viewBox="0 0 {WIDTH} {end}" width="{WIDTH}" height="{end}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="CPU and memory a viewer, beside other servers">'
    return "\n".join([head, STYLE, f'<rect class="back" width="{WIDTH}" height="{end}"/>', *legend, *cpu, *memory, "</svg>", ""])


def draw(path: Path, rows: list[Row]) -> None:
    """Writes the picture."""
    path.write_text(crowds(rows))
