"""What the hop costs: the same read answered directly, through a gateway, through one that keeps it, and from the cassette."""

import shutil
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


@dataclass
class Hop:
    """Rates of the same calls on their ways; `cpu_us` is that of the process asked, the gateway's without the server behind it."""

    rates: list[tuple[str, str, Rate]]

    def of(self, way: str, scheme: str) -> Rate:
        """One way's rate."""
        return next(rate for name, by, rate in self.rates if (name, by) == (way, scheme))


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
    with Server("--upstream-mode", "replay", "--cassette", str(cassette), "--log", "warn", environment=UNCHECKED) as replay:
        fire("cassette", replay, many)
    shutil.rmtree(cassette, ignore_errors=True)
    return Hop(rates)
