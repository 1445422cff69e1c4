"""The pytest plugin: a server for each worker process, clean for each test."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest

from .cloud import Cloud, File, Sink
from .program import start

#: Bytes of the server's log that a failed test shows.
LOG_SHOWN = 8000


@pytest.fixture(scope="session")
def localyun_settings() -> dict[str, Any]:
    """Settings of the server, as of `localyun serve` with underscores. Override it in conftest.py."""
    return {}


@pytest.fixture(scope="session")
def localyun_session(tmp_path_factory: pytest.TempPathFactory, localyun_settings: dict[str, Any]) -> Iterator[Cloud]:
    """The worker's server, as it is: nothing is reset. With pytest-xdist every worker has one of its own."""
    with start(tmp_path_factory.mktemp("localyun"), **localyun_settings) as cloud:
        yield cloud


@pytest.fixture
def localyun(localyun_session: Cloud, request: pytest.FixtureRequest) -> Cloud:
    """The worker's server, reset: no rules, streams, recordings, callbacks, faults; the clock as it was at the start."""
    cloud = localyun_session
    cloud.reset()
    request.node.stash[USED] = (cloud, cloud.log.stat().st_size if cloud.log else 0)
    return cloud


@pytest.fixture
def callback_sink(localyun: Cloud) -> Sink:
    """A receiver of callbacks in the server: `.url`, `.wait(…)`, `.answer(503)`."""
    return localyun.sink()


@pytest.fixture
def wait_for_file(localyun: Cloud) -> Callable[..., File]:
    """The first file of a stream: `wait_for_file("s1", format="mp4")`."""
    return localyun.wait_for_file


@pytest.fixture
def localyun_client(localyun: Cloud, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the official SDK. No proxy of the environment is there for this test: the SDK would take it for 127.0.0.1 too, whatever
    NO_PROXY says."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return localyun.client()


USED = pytest.StashKey[tuple[Cloud, int]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A test that failed shows what its server said meanwhile."""
    report = yield
    used = item.stash.get(USED, None)
    if used is not None and report.failed:
        cloud, begin = used
        if cloud.log is not None:
            with open(cloud.log, "rb") as log:
                size = log.seek(0, 2)
                log.seek(max(begin, size - LOG_SHOWN))
                said = log.read().decode(errors="replace")
            if said:
                report.sections.append(("localyun", said))
    return report
