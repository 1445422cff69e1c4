"""The tests of several nodes stand on the harness of the scenarios and on the relay of the database tests."""

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "cluster"), str(TESTS / "scenarios"), str(TESTS / "db"), str(TESTS / "outside")]

pytest_plugins = ["harness.fixtures"]

from nodes import Nodes  # noqa: E402


def pytest_collection_modifyitems(items):
    """Without PostgreSQL there are no nodes."""
    if "LOCALYUN_TEST_DATABASE" not in os.environ:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="PostgreSQL: start this by 'tests/run cluster'"))


@pytest.fixture
def nodes(receiver, tmp_path):
    """Makes nodes on a database and a store of the test's own; all of them end with it."""
    made = []

    def make(count: int = 3, **more) -> Nodes:
        made.append(Nodes(receiver, tmp_path, **more))
        for name in "abcdefgh"[:count]:
            made[-1].start(name)
        return made[-1]

    yield make
    for nodes in made:
        nodes.close()
