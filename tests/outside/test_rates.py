"""Documented call rates from outside: with the setting on, SDKs are throttled, each action by its own rate, on the service clock."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.server import Server
from sdks import Acs3, Core, SdkError

ACTION, RATE = "SetLiveStreamsNotifyUrlConfig", 15
CALLERS = 4


@pytest.fixture(scope="module")
def limited():
    """A server that keeps to the documented rates."""
    with Server("--limits", "on") as server:
        yield server


def burst(kind: type, server: Server, calls: int) -> tuple[list[SdkError], float]:
    """So many calls, several at a time: the refusals, and the seconds that it took."""

    def caller(number: int) -> list[SdkError]:
        sdk, refused = kind(server.api), []
        for _ in range(number, calls, CALLERS):
            try:
                sdk.call(ACTION, DomainName="push.example.com", NotifyUrl="http://127.0.0.1:9/n")
            except SdkError as error:
                refused.append(error)
        return refused

    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        refused = [error for errors in pool.map(caller, range(CALLERS)) for error in errors]
    return refused, time.monotonic() - began


@pytest.mark.parametrize("kind", [Acs3, Core], ids=lambda kind: kind.name)
def test_a_burst_is_throttled_until_a_second_has_passed(limited, kind):
    # The other SDK's calls count for the same key.
    limited.advance(1)
    refused, seconds = burst(kind, limited, 6 * RATE)
    assert refused, f"none of {6 * RATE} calls in {seconds:.1f} s was throttled"
    assert {(error.code, error.status) for error in refused} == {("Throttling.User", 400)}
    served = 6 * RATE - len(refused)
    assert RATE <= served <= RATE * (1 + seconds) + 1
    # Another action has a rate of its own.
    assert kind(limited.api).call("DescribeLiveRecordConfig", DomainName="push.example.com")["RequestId"]
    limited.advance(1)
    assert burst(kind, limited, RATE)[0] == []


@pytest.mark.parametrize("kind", [Acs3, Core], ids=lambda kind: kind.name)
def test_nothing_is_throttled_by_default(server, kind):
    assert burst(kind, server, 3 * RATE)[0] == []
