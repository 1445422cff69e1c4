"""`clock/advance` with receivers that hang: they are waited for together, and the answer says whether everything is done."""

import os
import time

import pytest

from harness.wait import wait_for

STREAMS = 50
# Machine seconds that an hour may take, whoever hangs.
BOUND = 10


def bound() -> float:
    """The bound on this machine now: with more to do than processors, work takes its share longer."""
    return BOUND * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def advanced(stage, seconds: float) -> tuple[float, dict]:
    """One advance: the machine time that it took, and its answer."""
    began = time.monotonic()
    status, body = stage.server.control("POST", "/_localyun/clock/advance", {"seconds": seconds}, timeout=600)
    assert status == 200, body
    return time.monotonic() - began, body


def states(server) -> list[str]:
    """How every callback stands."""
    return [row["state"] for row in server.rows("/_localyun/callbacks?limit=1000", "callbacks")]


@pytest.mark.parametrize("receivers", [1, STREAMS])
def test_an_hour_with_fifty_streams_whose_receiver_hangs(own_stage, receiver, receivers):
    stage = own_stage()
    others = []
    try:
        own = stage.domain
        for n in range(receivers):
            # Of its own port each, and ended with the test: every request that hangs holds a connection.
            other = type(receiver)()
            others.append(other)
            inbox = other.inbox()
            inbox.hang()
            stage.domain = f"d{n}-{own}"
            stage.rule("mp4", DelayTime=15)
            stage.notify(NotifyUrl=inbox.url, NeedStatusNotify=True)
        for n in range(STREAMS):
            stage.domain = f"d{n % receivers}-{own}"
            publisher = stage.publisher(stream=f"s{n}")
            # One after the other, so each at an instant of its own.
            publisher.push(4)
        # On a busy machine the first ones may be gone by now: a push that is silent for long is ended.
        for publisher in stage.publishers:
            publisher.leave()
        wait_for(lambda: stage.server.streams() == [], what="the end of all")
        took, answer = advanced(stage, 3600)
        print(f"an hour with {STREAMS} streams and {receivers} hanging receivers: {took:.1f} s, bound {bound():.1f} s")
        assert took < bound(), took
        # An hour is enough for all tries of all callbacks: nothing is left to do, and that is what the answer says.
        assert answer["settled"] is True, (answer, states(stage.server))
        found = states(stage.server)
        assert len(found) == 3 * STREAMS and set(found) == {"failed"}
    finally:
        for other in others:
            other.close()


def test_the_answer_says_when_something_is_not_done(own_stage):
    """A receiver that hangs in the middle of its five seconds is not done; the rest is as it was."""
    stage = own_stage()
    stage.inbox.hang()
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(4)
    took, answer = advanced(stage, 16)
    assert answer["settled"] is False and took < bound()
    # Its five seconds pass; the next try hangs as well.
    assert advanced(stage, 6)[1]["settled"] is False
    stage.inbox.say(b"")
    _, answer = advanced(stage, 10)
    assert answer["settled"] is True
    assert states(stage.server) == ["success"]
    assert advanced(stage, 1)[1]["settled"] is True


def test_a_prompt_receiver_beside_one_that_hangs(own_stage, receiver):
    """Who answers is waited for: its callbacks are delivered at their first try, each in the second in which it fell due."""
    stage = own_stage()
    hanging, prompt = receiver.inbox(), type(receiver)()
    try:
        hanging.hang()
        inbox = prompt.inbox()
        own = stage.domain
        for n in range(10):
            stage.domain = f"d{n}-{own}"
            stage.rule("mp4", DelayTime=15)
            stage.notify(NotifyUrl=inbox.url if n % 2 else hanging.url)
            publisher = stage.publisher(stream=f"s{n}")
            publisher.push(4)
        for publisher in stage.publishers:
            stage.end(publisher)
        took, answer = advanced(stage, 600)
        assert took < bound() and answer["settled"] is True
        rows = stage.server.rows("/_localyun/callbacks?limit=100", "callbacks")
        assert sorted(row["state"] for row in rows) == ["failed"] * 5 + ["success"] * 5
        assert {len(row["attempts"]) for row in rows if row["state"] == "success"} == {1}
        assert {len(row["attempts"]) for row in rows if row["state"] == "failed"} == {6}
    finally:
        prompt.close()
