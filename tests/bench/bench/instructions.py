"""Instructions a packet, counted by valgrind: what a busy machine cannot move. The committed numbers are the bound."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PARTS = {
    "chunks": "RTMP chunks to messages, payload copied once",
    "tags": "messages to frames",
    "units": "messages' pictures put together",
    "spool": "frames into the spool, with checksums",
    "ts": "MPEG-TS, payload included",
    "mp4": "MP4 index",
    "flv": "FLV index and tag headers",
    "cmaf": "CMAF fragment heads",
    "v1": "signature V1, a request with its parameters",
    "acs3": "signature ACS3, a request with its parameters",
}
# The difference of two runs leaves out start-up and the making of the media.
FEW, MANY = 1, 4
# `rep movsb` would count once for every byte that it copies: large copies are made by the vector loop.
PLAIN_COPIES = "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000"


@dataclass(frozen=True)
class Count:
    """Instructions a packet (or request) of one part, now and as committed."""

    part: str
    what: str
    now: float
    committed: float | None

    def change(self) -> float:
        """How much more than committed, as a part of it."""
        return self.now / self.committed - 1 if self.committed else 0.0


def _run(program: Path, part: str, rounds: int, folder: Path) -> tuple[int, int]:
    """Instructions of a run, and the packets of a round."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'out'}", program, part, str(rounds), folder]
    environment = {"PATH": os.environ.get("PATH", ""), "GLIBC_TUNABLES": PLAIN_COPIES}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not counted:
        raise RuntimeError(f"count {part}: {done.stderr.strip()[-600:]}")
    return int(counted[1]), int(done.stdout)


def measure(program: Path, folder: Path, committed: Path, say: Callable[[str], None]) -> tuple[list[Count], float]:
    """Every part's count, and the tolerance."""
    bounds = tomllib.loads(committed.read_text())
    found = []
    for part, what in PARTS.items():
        few, packets = _run(program, part, FEW, folder / "count")
        many, _ = _run(program, part, MANY, folder / "count")
        count = Count(part, what, (many - few) / (MANY - FEW) / packets, bounds["instructions"].get(part))
        say(f"{part}: {count.now:.0f} instructions a packet, committed {count.committed}")
        found.append(count)
    return found, bounds["tolerance"]


def failures(counts: list[Count], tolerance: float) -> list[str]:
    """What got worse, in words."""
    missing = [f"{count.part}: no committed number of instructions" for count in counts if count.committed is None]
    worse = [count for count in counts if count.change() > tolerance]
    return missing + [f"{count.part}: {count.now:.0f} instructions a packet, {count.change():+.1%} against {count.committed} committed" for count in worse]


def write(counts: list[Count], committed: Path) -> None:
    """Puts the new numbers in place of the old ones."""
    text = committed.read_text()
    for count in counts:
        line = f"{count.part} = {count.now:.0f}"
        text, replaced = re.subn(rf"^{count.part} = .*$", line, text, flags=re.MULTILINE)
        if not replaced:
            text = text.rstrip("\n") + f"\n{line}\n"
    committed.write_text(text)
