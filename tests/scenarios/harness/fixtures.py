"""Fixtures of all outside tests: one server and one receiver per file, one stage per test."""

import pytest

from .receiver import Receiver
from .server import Server
from .stage import Stage


@pytest.fixture(scope="module")
def receiver():
    """The callback receiver of a file."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def server():
    """The server of a file; its tests keep apart by domain, stream and bucket."""
    with Server() as server:
        yield server


@pytest.fixture
def stage(server, receiver, tmp_path):
    """A fresh domain and bucket, the latter with objects of somebody else in it."""
    stage = Stage(server, receiver, tmp_path)
    stage.bucket.plant()
    yield stage
    stage.close()


@pytest.fixture
def own_stage(receiver, tmp_path):
    """Makes a stage on a server of its own, for a test that needs settings or a clock to itself."""
    made = []

    def make(*flags: str, **more) -> Stage:
        server = Server(*flags, **more)
        made.append((server, None))
        stage = Stage(server, receiver, tmp_path)
        made[-1] = (server, stage)
        return stage

    yield make
    for server, stage in made:
        try:
            if stage is not None:
                stage.close()
        finally:
            server.stop()
