"""Waiting for a condition instead of for a time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02


def wait_for(condition: Callable[[], T], deadline: float = 10.0, what: str = "the condition") -> T:
    """The first truthy answer of `condition`, asked every few milliseconds; fails the test after `deadline` seconds."""
    end = time.monotonic() + deadline
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise AssertionError(f"waited {deadline:g} s for {what}; the last answer was {answer!r}")
        pause.wait(POLL_SECONDS)
