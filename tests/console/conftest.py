"""One browser a test process, one server a file, one console a test."""

import json
import shutil

import pytest
from browser import PRESSES, Console, control
from harness.server import Server


@pytest.fixture(scope="session")
def browser():
    with Console() as console:
        yield console


@pytest.fixture(scope="module")
def server():
    """A server of the file; `fresh` empties it."""
    with Server("--play-addr", "127.0.0.1:0") as server:
        yield server


@pytest.fixture
def fresh(server):
    assert control(server, "POST", "reset")[0] == 200
    return server


@pytest.fixture
def visit(browser, fresh):
    """A console on an empty server."""
    visit = browser.visit(fresh)
    yield visit
    visit.check()
    visit.page.context.close()


def is_whole(config) -> bool:
    return not config.option.keyword and not config.option.collectonly and not hasattr(config, "workerinput") and config.args in ([], ["."])


def pytest_sessionstart(session):
    if is_whole(session.config):
        shutil.rmtree(PRESSES, ignore_errors=True)


def pytest_sessionfinish(session, exitstatus):
    """Where every test passed, every button that was to be seen somewhere was pressed by one of them."""
    if exitstatus != 0 or not is_whole(session.config):
        return
    seen, pressed = set(), set()
    for file in PRESSES.glob("*.jsonl"):
        for line in file.read_text().splitlines():
            told = json.loads(line)
            seen |= set(told["seen"])
            pressed |= set(told["pressed"])
    if missed := sorted(seen - pressed):
        print(f"\nbuttons that no test pressed: {missed}")
        session.exitstatus = 1
    else:
        print(f"\n{len(seen)} buttons were to be seen, and all were pressed")
