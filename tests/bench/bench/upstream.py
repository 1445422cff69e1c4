"""What the hop costs: the same read answered directly, through a gateway, through one that keeps it, and from the cassette; and how long a
start takes on a cassette of 10,000 calls."""

import json
import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness.api import Api
from harness.server import Server

from .requests import READ_DOMAIN, Rate, Target, acs3, hundred_rules, v1

ACTION = "DescribeLiveRecordConfig"
KEY = "testid:testsecret"
# A call that is kept is synced to the disk.
KEPT = 2000
# Without the checks of its own answers that tests switch on.
UNCHECKED: dict[str, str | None] = {"LOCALYUN_CHECK_ANSWERS": None}


# The cassette that a start has to find its way in, how often it is tried, and how long it may take.
RECORDED = 10_000
STARTS = 7
START_MS = 1000


@dataclass
class Started:
    """Starts on a large cassette: the median and the slowest, one without a cassette beside it, and the first answers."""

    median_ms: float
    slowest_ms: float
    without_ms: float
    # Of a call that a file's name finds, and of one that only the patterns of all files do.
    named_ms: float
    edited_ms: float


@dataclass
class Hop:
    """Rates of the same calls on their ways; `cpu_us` is that of the process asked, the gateway's without the server behind it."""

    rates: list[tuple[str, str, Rate]]
    started: Started

    def of(self, way: str, scheme: str) -> Rate:
        """One way's rate."""
        return next(rate for name, by, rate in self.rates if (name, by) == (way, scheme))

    def failures(self) -> list[str]:
        """What is beyond its bound."""
        slowest = self.started.slowest_ms
        return [] if slowest < START_MS else [f"a start on {RECORDED} recorded calls took {slowest:.0f} ms, bound {START_MS}"]


WAYS = ("direct", "gateway", "gateway, kept", "cassette")


def measure(program: Path, folder: Path, many: int, depth: int, say: Callable[[str], None]) -> Hop:
    """`many` calls a way and scheme; fewer where each is kept."""
    rates: list[tuple[str, str, Rate]] = []
    cassette = folder / "cassette"
    shutil.rmtree(cassette, ignore_errors=True)

    def fire(way: str, server: Server, count: int) -> None:
        at = Api(server.api)
        target = Target(program, folder, server.process.pid, f"{at.host}:{at.port}", depth)
        for scheme, signed in (("V1", v1), ("ACS3", acs3)):
            rate = target.fire(f"{way}, {scheme}", [signed(at, ACTION, DomainName=READ_DOMAIN) for _ in range(count)])
            rates.append((way, scheme, rate))
            say(f"{rate.name}: {rate.per_second:.0f}/s, {rate.cpu_us:.0f} µs each, p50 {rate.p50_ms:.2f} ms")

    with ExitStack() as ends:
        behind = ends.enter_context(Server("--log", "warn", environment=UNCHECKED))
        hundred_rules(behind)
        fire("direct", behind, many)
        flags = ["--upstream", behind.api, "--upstream-access-key", KEY, "--upstream-mode", "all", "--log", "warn"]
        with Server(*flags, environment=UNCHECKED) as gateway:
            fire("gateway", gateway, many)
        with Server(*flags, "--cassette", str(cassette), environment=UNCHECKED) as gateway:
            fire("gateway, kept", gateway, KEPT)
            many_calls(gateway, cassette, folder / "large")
    with Server("--upstream-mode", "replay", "--cassette", str(cassette), "--log", "warn", environment=UNCHECKED) as replay:
        fire("cassette", replay, many)
    shutil.rmtree(cassette, ignore_errors=True)
    started = starts(folder / "large")
    say(f"{RECORDED} recorded calls: a start takes {started.median_ms:.0f} ms, {started.slowest_ms:.0f} at most, {started.without_ms:.0f} without")
    shutil.rmtree(folder / "large", ignore_errors=True)
    return Hop(rates, started)


def many_calls(gateway: Server, kept: Path, large: Path) -> None:
    """A cassette of many calls: one as it was kept, the others as if people had edited all of them, so that no name tells what is in a file."""
    shutil.rmtree(large, ignore_errors=True)
    large.mkdir()
    before = set(kept.iterdir())
    Api(gateway.api).call(ACTION, DomainName="one.example.com")
    (file,) = set(kept.iterdir()) - before
    shutil.copy(file, large)
    call = json.loads(file.read_text())
    action, digest, _, _ = file.name.split(".")
    for number in range(1, RECORDED):
        call["params"] = {"DomainName": f"d{number}.example.com"}
        (large / f"{action}.{int(digest, 16) ^ number:012x}.1.json").write_text(json.dumps(call))


def starts(large: Path) -> Started:
    """Several starts, and the first two answers of the last one."""
    took: list[float] = []
    for number in range(STARTS):
        with Server("--upstream-mode", "replay", "--cassette", str(large), "--log", "warn", environment=UNCHECKED) as server:
            took.append(server.ready["startup_ms"])
            if number == STARTS - 1:
                answers = []
                for domain in ("one.example.com", "d77.example.com"):
                    began = time.monotonic()
                    Api(server.api).call(ACTION, DomainName=domain)
                    answers.append(1000 * (time.monotonic() - began))
    with Server("--log", "warn", environment=UNCHECKED) as bare:
        without = bare.ready["startup_ms"]
    return Started(statistics.median(took), max(took), without, *answers)
