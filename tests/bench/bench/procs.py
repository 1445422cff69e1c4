"""CPU time and memory of a process and all below it, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and its descendants that are alive."""
    found = [pid]
    for child in found:
        for task in Path(f"/proc/{child}/task").glob("*/children"):
            found += [int(word) for word in task.read_text().split()]
    return found


@dataclass(frozen=True)
class Use:
    """CPU seconds so far and those of them in the kernel, resident megabytes now and at most."""

    cpu: float
    system: float
    rss: float
    peak: float


def use(pid: int) -> Use:
    """What the tree has used; children that ended count in their parent's sums."""
    cpu = system = rss = peak = 0.0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        cpu += sum(int(fields[n]) for n in (11, 12, 13, 14)) / TICKS
        system += sum(int(fields[n]) for n in (12, 14)) / TICKS
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                rss += int(line.split()[1]) / 1024
            elif line.startswith("VmHWM:"):
                peak += int(line.split()[1]) / 1024
    return Use(cpu, system, rss, peak)


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]
