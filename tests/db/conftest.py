"""The database tests stand on the harness of the scenarios."""

import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "scenarios")]

pytest_plugins = ["harness.fixtures"]


@pytest.fixture(scope="session")
def backend() -> str:
    """What `health` has to call the database under test."""
    return {"postgres": "postgresql", "mariadb": "mysql"}.get(os.environ.get("LOCALYUN_TEST_BACKEND", "sqlite"), "sqlite")
