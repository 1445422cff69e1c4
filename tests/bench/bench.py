"""Runs the bench and prints its tables; `--docs` also puts them into docs/performance.md. `run` prepares everything."""

import argparse
import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenarios"))

from bench import procs, recording, report, requests, startup  # noqa: E402

FORMATS = [("flv",), ("mp4",), ("m3u8",), ("cmaf",), ("m3u8", "mp4", "flv")]


def say(line: str) -> None:
    """Progress, apart from the result."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """The parts in turn, the cheap ones first."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=20, help="media a stream (at most the clip's 60)")
    options.add_argument("--streams", default="1,10,50,100")
    options.add_argument("--requests", type=int, default=4000)
    options.add_argument("--parts", default="start,api,recording")
    options.add_argument("--docs", action="store_true")
    asked = options.parse_args()
    work = HERE.parents[1] / "target" / "bench"
    run = work / "run"
    parts, lines = asked.parts.split(","), []
    first = procs.load()
    if "start" in parts:
        lines += ["### Start and rest", "", *report.start(startup.measure(run)), ""]
    if "api" in parts:
        lines += ["### API", "", *report.api(requests.rates(work / "fire", run, asked.requests)), ""]
    if "recording" in parts:
        counts = [int(n) for n in asked.streams.split(",")]
        rows = recording.runs(FORMATS, counts, asked.seconds, work / "push", work / "ref.flv", run / "media", say)
        lines += ["### Recording", "", *report.recording(rows), ""]
    shutil.rmtree(run, ignore_errors=True)
    machine = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.release()}, {os.cpu_count()} cores"
    lines = [f"{machine}, {asked.seconds} s of media a stream; load average {first:.1f} at the start, {procs.load():.1f} at the end.", "", *lines]
    print("\n".join(lines))
    if asked.docs:
        report.write(HERE.parents[1] / "docs" / "performance.md", lines[:-1])


main()
