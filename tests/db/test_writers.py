"""Many writers at once lose nothing, and what a server answers is what its database holds: asked again after a restart."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.api import Api
from harness.server import Server
from harness.stage import ENDPOINT

THREADS = 32
EACH = 6
DOMAIN = "writers.example.com"


@pytest.fixture
def folder(tmp_path) -> Path:
    """The data folder that a server and its successor share."""
    return tmp_path / "data"


def at_once(task: Callable[[int], object], count: int = THREADS) -> list:
    """Runs a task in that many threads which start together; the first exception is raised."""
    barrier = threading.Barrier(count)

    def run(number: int) -> object:
        barrier.wait(30)
        return task(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def rule(app: str, stream: str | None = None, **more: object) -> dict:
    """The parameters of a rule."""
    return {"DomainName": DOMAIN, "AppName": app, "StreamName": stream, "OssBucket": "writers", "OssEndpoint": ENDPOINT, "RecordFormat": [{"Format": "flv"}]} | more


def rules(server: Server) -> dict[tuple[str, str], dict]:
    """All rules of the domain, page by page; a rule that is told twice fails."""
    found, page = [], 1
    while True:
        answer = Api(server.api).call("DescribeLiveRecordConfig", DomainName=DOMAIN, PageNum=page, PageSize=30)
        found += answer["LiveAppRecordList"].get("LiveAppRecord", [])
        if page >= answer["TotalPage"]:
            break
        page += 1
    keyed = {(row["AppName"], row.get("StreamName")): row for row in found}
    assert len(keyed) == len(found) == answer["TotalNum"]
    return keyed


def test_the_database_is_the_one_meant(folder, backend):
    with Server(data_dir=folder) as server:
        health = server.get("/_localyun/health")
        assert (health["status"], health["database"]) == ("ready", backend)
    assert (folder / "localyun.db").exists() == (backend == "sqlite")


def test_no_rule_is_lost(folder):
    def work(number: int) -> None:
        api = Api(base)
        for n in range(EACH):
            api.call("AddLiveAppRecordConfig", **rule(f"app{number}", f"s{n}"))
        for n in range(0, EACH, 2):
            api.call("DeleteLiveAppRecordConfig", DomainName=DOMAIN, AppName=f"app{number}", StreamName=f"s{n}")

    expected = {(f"app{number}", f"s{n}") for number in range(THREADS) for n in range(1, EACH, 2)}
    with Server(data_dir=folder) as server:
        base = server.api
        at_once(work)
        assert set(rules(server)) == expected
    with Server(data_dir=folder) as server:
        assert set(rules(server)) == expected


def test_one_of_many_wins_and_the_others_are_told(folder):
    with Server(data_dir=folder) as server:
        answers = at_once(lambda _: Api(server.api).ask("AddLiveAppRecordConfig", **rule("same", "s")))
        assert sorted((status, body.get("Code")) for status, body in answers) == [(200, None)] + [(400, "ConfigAlreadyExists")] * (THREADS - 1)
        assert set(rules(server)) == {("same", "s")}
    with Server(data_dir=folder) as server:
        assert set(rules(server)) == {("same", "s")}


def test_answers_after_a_race_are_those_after_a_restart(folder):
    """Updates, deletes and inserts of the same few rules: whoever came last, memory and database agree."""

    def work(number: int) -> None:
        api = Api(base)
        for n in range(EACH):
            app = f"app{n % 3}"
            status, body = api.ask("AddLiveAppRecordConfig", **rule(app, "s", DelayTime=20 + number))
            assert status == 200 or body["Code"] == "ConfigAlreadyExists", body
            status, body = api.ask("UpdateLiveAppRecordConfig", **rule(app, "s", DelayTime=100 + number * EACH + n))
            assert status in (200, 404), body
            if (number + n) % 5 == 0:
                status, body = api.ask("DeleteLiveAppRecordConfig", DomainName=DOMAIN, AppName=app, StreamName="s")
                assert status in (200, 404), body

    def seen(server: Server) -> dict:
        return {key: row["DelayTime"] for key, row in rules(server).items()}

    with Server(data_dir=folder) as server:
        base = server.api
        at_once(work)
        before = seen(server)
    with Server(data_dir=folder) as server:
        assert seen(server) == before


def test_names_that_differ_in_case_are_different(folder):
    with Server(data_dir=folder) as server:
        api = Api(server.api)
        for app in ("Live", "live", "LIVE"):
            api.call("AddLiveAppRecordConfig", **rule(app, "Ünïcode-流"))
        assert set(rules(server)) == {(app, "Ünïcode-流") for app in ("Live", "live", "LIVE")}
    with Server(data_dir=folder) as server:
        assert set(rules(server)) == {(app, "Ünïcode-流") for app in ("Live", "live", "LIVE")}
