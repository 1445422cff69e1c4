"""Where the time of a signed read goes: samples of the stack, each given to the innermost part of the program that it was in."""

import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

from harness.wait import wait_for

from . import own, requests

HERTZ = 499
# Requests a signature; each sample carries 16 KiB of stack.
MOST = 8000
# Of the innermost function that matches. What no part claims goes to the web framework or the runtime, where the stack has them.
PARTS = [
    ("signature, time, nonce", re.compile(r"localyun(?:_base)?::rpc::(auth|signature_v1|signature_v3|nonce)|localyun(?:_base)?::identity|\b(sha1|sha2|hmac)::")),
    ("parameters", re.compile(r"localyun(?:_base)?::wire::(params|percent)")),
    ("spec check", re.compile(r"localyun(?:_base)?::spec")),
    ("handler and database", re.compile(r"localyun(?:_base)?::(actions|store|model)|sqlx|sea_orm|sqlite3|sea_query")),
    ("rendering", re.compile(r"localyun(?:_base)?::wire::render")),
    ("journal and counters", re.compile(r"localyun(?:_base)?::(rpc::journal|metrics)|prometheus_client")),
    ("steps of a call, the rest", re.compile(r"localyun(?:_base)?::(rpc|wire|faults|ids|error|clock)")),
    ("conversion from and to HTTP", re.compile(r"localyun(?:_base)?::web::api")),
    ("web framework", re.compile(r"actix|httparse|\bhttp::")),
    ("runtime", re.compile(r"tokio|mio::|parking_lot|std::thread|std::sys")),
]
KERNEL, OTHER = "kernel: sockets, wake-ups, memory, disk", "not attributed"
FALLBACK = 2


def plain(symbol: str) -> str:
    """A name as the source has it; of the newer mangling (v0) only the path's words, which is what the patterns look for."""
    if not symbol.startswith("_R"):
        return symbol
    words, at = [], 2
    while match := re.compile(r"(\d+)_?").search(symbol, at):
        end = match.end() + int(match[1])
        words.append(symbol[match.end() : end])
        at = max(end, match.end())
    return "::".join(words)


def part_of(frames: list[tuple[str, str]]) -> str:
    """The part that a stack belongs to; innermost frame first, each with its name and its object file."""
    if not frames:
        return OTHER
    if "kernel" in frames[0][1]:
        return KERNEL
    names = [plain(name) for name, _ in frames]
    for parts in (PARTS[:-FALLBACK], PARTS[-FALLBACK:-1], PARTS[-1:]):
        for name in names:
            for part, pattern in parts:
                if pattern.search(name):
                    return part
    return OTHER


def shares(script: str) -> dict[str, float]:
    """Per cent of the samples by part, from the output of `perf script -F ip,sym,dso`."""
    counted: Counter[str] = Counter()
    for block in re.split(r"\n\s*\n", script):
        frames = [match.groups() for match in re.finditer(r"^\s*[0-9a-f]+\s+(.*?)\s+\(([^()]*)\)\s*$", block, re.MULTILINE)]
        if frames:
            counted[part_of(frames)] += 1
    whole = sum(counted.values()) or 1
    names = [KERNEL, *(part for part, _ in PARTS), OTHER]
    return {name: 100 * counted[name] / whole for name in names}


def measure(program: str, fire: Path, folder: Path, many: int) -> dict[str, dict[str, float]]:
    """The shares of a read of 30 rules, for both signatures. `program` is a build with its symbols."""
    data = folder / "profile-data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    with own.server(data, program) as server:
        api = requests.hundred_rules(server)
        target = requests.Target(fire, folder, server.process.pid, f"{api.host}:{api.port}", 1)
        params = {"DomainName": requests.READ_DOMAIN, "PageNum": "1", "PageSize": "30"}
        return {
            name: _shares(target, folder, [sign(api, "DescribeLiveRecordConfig", **params) for _ in range(min(many, MOST))])
            for name, sign in (("V1", requests.v1), ("ACS3", requests.acs3))
        }


def _shares(target: requests.Target, folder: Path, asked: list[bytes]) -> dict[str, float]:
    samples = folder / "perf.data"
    command = ["perf", "record", "-q", "-F", str(HERTZ), "--call-graph", "dwarf,16384", "-p", str(target.pid), "-o", samples]
    recorder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(samples.exists, 20, "perf")
        target.fire("profile", asked)
    finally:
        recorder.send_signal(signal.SIGINT)
        said = recorder.communicate(timeout=60)[1]
    if not samples.exists():
        raise RuntimeError(f"perf record: {said.strip()}")
    command = ["perf", "script", "-i", samples, "--no-inline", "-F", "ip,sym,dso"]
    script = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    samples.unlink()
    return shares(script)
