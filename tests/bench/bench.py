"""Runs the bench and prints its tables; `--docs` also puts them into docs/performance.md, `--redraw` does that with what the last run of part `play` kept.

`run` prepares everything."""

import argparse
import os
import platform
import shutil
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenarios"))

from bench import crowds as masses
from bench import hour, instructions, long, media, picture, play, procs, profile, recording, report, requests, startup, store, upstream  # noqa: E402

PROJECT = HERE.parents[1]
PARTS = ("start", "api", "profile", "instructions", "recording", "store", "play", "crowds", "upstream", "long", "hour")


def say(line: str) -> None:
    """Progress, apart from the result."""
    print(line, file=sys.stderr, flush=True)


def numbers(text: str) -> list[int]:
    """A list as the command line has it."""
    return [int(word) for word in text.split(",")]


def options() -> argparse.Namespace:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--parts", default="start,api,recording", help=f"of {','.join(PARTS)}, or all")
    asked.add_argument("--streams", type=numbers, default="50,10,100", help="recording: numbers of publishers, the first with everything")
    asked.add_argument("--chunks", type=numbers, default="4096,128,60000", help="recording: bytes of a publisher's RTMP chunk, likewise")
    asked.add_argument("--slices", type=numbers, default="5,30", help="recording: seconds of a slice, likewise")
    asked.add_argument("--seconds", type=numbers, default="60,15", help="recording: media a stream, likewise")
    asked.add_argument("--product", action="store_true", help="recording: every recorder under every combination")
    asked.add_argument("--requests", type=int, default=20000, help="api: requests a kind")
    asked.add_argument("--depth", type=int, default=1, help="api: open requests a connection; more than 1 is pipelining")
    asked.add_argument("--objects", type=int, default=100000, help="store: in one folder")
    asked.add_argument("--play-seconds", type=int, default=30, help="play: how long a crowd watches")
    asked.add_argument("--crowd-viewers", type=int, default=2000, help="crowds: viewers beside recordings")
    asked.add_argument("--idle-players", type=int, default=10000, help="crowds: players that read nothing")
    asked.add_argument("--crowd-recordings", type=int, default=50, help="crowds: streams that are recorded beside them")
    asked.add_argument("--crowd-seconds", type=int, default=600, help="crowds: how long viewers come and go")
    asked.add_argument("--long-streams", type=int, default=200)
    asked.add_argument("--long-seconds", type=int, default=600)
    asked.add_argument("--hour-seconds", type=int, default=3600, help="media of the long MP4")
    asked.add_argument("--hour-speed", type=float, default=0, help="times real time; 0: as fast as it is read")
    asked.add_argument("--write-counts", action="store_true", help="instructions: commit what was counted")
    asked.add_argument("--docs", action="store_true")
    asked.add_argument("--redraw", action="store_true", help="measure nothing: write what the last run of part play kept into the docs")
    return asked.parse_args()


def write_viewers(told: list[str], rows: list[play.Row]) -> None:
    """The table of viewers and its picture."""
    page = PROJECT / "docs" / "performance.md"
    report.write(page, [*told, "![CPU and memory a viewer, beside other servers](viewers.svg)", "", *report.play(rows)], report.VIEWERS)
    picture.draw(page.with_name("viewers.svg"), rows)


def main() -> int:
    """The parts in turn, the cheap ones first."""
    asked = options()
    parts = list(PARTS) if asked.parts == "all" else asked.parts.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        say(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    work = PROJECT / "target" / "bench"
    kept_rows = work / "play.json"
    if asked.redraw:
        write_viewers(*play.load(kept_rows))
        return 0
    run, tools, made = work / "run", media.Tools.of(work), Path(os.environ["LOCALYUN_BENCH_EXAMPLES"])
    run.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    failures: list[str] = []
    crowds: list[play.Row] = []
    first, began = procs.load(), time.monotonic()

    def told() -> list[str]:
        minutes = (time.monotonic() - began) / 60
        where = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores; load average {first:.1f} at the start, {procs.load():.1f} at the end."
        line = f"`tests/bench/run {' '.join(sys.argv[1:])}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {minutes:.0f} minutes, {where}"
        held = "All bounds held." if not failures else "Not held: " + "; ".join(failures) + "."
        return [line, "", held, ""]

    def section(name: str, table: list[str], wrong: list[str]) -> None:
        lines.extend([f"### {name}", "", *table, ""])
        failures.extend(f"{name}: {text}" for text in wrong)
        # The table is shown when its part is done: a later part that breaks off takes no earlier result with it.
        say("\n".join(["", *table, ""]))

    if "start" in parts:
        section("Start and rest", report.start(startup.measure(run)), [])
    if "api" in parts:
        section("API", report.api(requests.rates(tools.fire, made / "bare", run, asked.requests, asked.depth, say)), [])
    if "profile" in parts:
        section("Where a read's time goes", report.profile(profile.measure(os.environ["LOCALYUN_SYMBOLS_BIN"], tools.fire, run, asked.requests)), [])
    if "instructions" in parts:
        committed = HERE / "instructions.toml"
        counts, tolerance = instructions.measure(made / "count", run, committed, say)
        section("Instructions", report.instructions(counts, tolerance), [] if asked.write_counts else instructions.failures(counts, tolerance))
        if asked.write_counts:
            instructions.write(counts, committed)
    if "recording" in parts:
        conditions = recording.conditions(asked.streams, asked.chunks, asked.slices, asked.seconds, asked.product)
        rows = recording.runs(conditions, asked.product, tools, run / "media", say)
        section("Recording", report.recording(rows), recording.failures(rows))
    if "store" in parts:
        small = store.measure(tools.fire, run, asked.objects, say)
        section("Object store", report.store(small), small.failures())
    if "play" in parts:

        def keep(rows: list[play.Row]) -> None:
            play.save(kept_rows, [*told()[:2], "The run broke off behind its last row here.", ""], rows)

        crowds = play.runs(asked.play_seconds, tools, run / "play", keep, say)
        section("Live viewers", report.play(crowds), play.failures(crowds))
    if "crowds" in parts:
        size = masses.Size(asked.crowd_viewers, asked.crowd_recordings, asked.idle_players, asked.crowd_seconds)
        seen_crowds = masses.measure(size, tools, run / "crowds", say)
        section("Crowds", report.crowds(seen_crowds), seen_crowds.wrong)
    if "upstream" in parts:
        hop = upstream.measure(tools.fire, run, asked.requests, asked.depth, say)
        section("Through a gateway", report.upstream(hop), hop.failures())
    if "long" in parts:
        seen = long.measure(asked.long_streams, asked.long_seconds, tools, run / "media", say)
        section("Many streams for long", report.long(seen), seen.failures())
    if "hour" in parts:
        mp4 = hour.measure(asked.hour_seconds, asked.hour_speed, tools, run / "media")
        section("A long MP4", report.hour(mp4), mp4.failures())
    shutil.rmtree(run, ignore_errors=True)
    head = told()
    print("\n".join([*head, *lines]))
    if crowds:
        play.save(kept_rows, head, crowds)
    if asked.docs:
        if crowds:
            write_viewers(head, crowds)
        if parts != ["play"]:
            report.write(PROJECT / "docs" / "performance.md", [*head, *lines][:-1])
    return 1 if failures else 0


# Ended from outside, it still ends what it started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sys.exit(main())
