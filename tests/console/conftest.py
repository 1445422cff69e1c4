"""One browser a test process, one server a file, one console a test."""

import pytest
from browser import Console, control
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
