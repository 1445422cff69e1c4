"""The scenarios' server, receiver and stages, and one browser a test process."""

import pytest
from cinema import Cinema

pytest_plugins = ["harness.fixtures"]


@pytest.fixture(scope="session")
def cinema():
    """A browser with the players' page."""
    with Cinema() as cinema:
        yield cinema
