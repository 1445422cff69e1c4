"""The database tests stand on the harness of the scenarios."""

import os
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "scenarios")]

from proxy import Proxy  # noqa: E402

pytest_plugins = ["harness.fixtures"]


@pytest.fixture(scope="session")
def backend() -> str:
    """What `health` has to call the database under test."""
    return {"postgres": "postgresql", "mariadb": "mysql"}.get(os.environ.get("LOCALYUN_TEST_BACKEND", "sqlite"), "sqlite")


@pytest.fixture
def proxy():
    """A relay to the database under test."""
    at = urlsplit(os.environ["LOCALYUN_TEST_DATABASE"])
    proxy = Proxy(at.hostname, at.port)
    yield proxy
    proxy.close()


@pytest.fixture
def settings(proxy) -> dict[str, str]:
    """The setting of a fresh database behind the relay."""
    name = f"t{uuid.uuid4().hex[:12]}"
    subprocess.run([os.environ["LOCALYUN_TEST_DATABASE_CREATE"], name], check=True, timeout=60)
    at = urlsplit(os.environ["LOCALYUN_TEST_DATABASE"])
    user = at.netloc.rsplit("@", 1)[0]
    return {"LOCALYUN_DATABASE_URL": f"{at.scheme}://{user}@127.0.0.1:{proxy.port}/{name}"}
