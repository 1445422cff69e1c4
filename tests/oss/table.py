"""The short table at the end of a run: one line for each test file, with what was left out and why."""

from collections import defaultdict
from pathlib import PurePath

OUTCOMES = ("passed", "failed", "error", "skipped")


def pytest_terminal_summary(terminalreporter):
    counts = defaultdict(lambda: dict.fromkeys(OUTCOMES, 0))
    seconds = defaultdict(float)
    for outcome in OUTCOMES:
        for report in terminalreporter.stats.get(outcome, []):
            name = PurePath(report.nodeid.split("::")[0]).stem
            counts[name][outcome] += 1
            seconds[name] += getattr(report, "duration", 0)
    write = terminalreporter.write_line
    write("")
    write(f"{'':24}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for name in sorted(counts):
        row = counts[name]
        write(f"{name.removeprefix('test_'):24}{row['passed']:8}{row['failed'] + row['error']:8}{row['skipped']:9}{seconds[name]:9.1f}")
