"""Callbacks and a database over the network: one that is away makes none be forgotten, and one that gives numbers before it commits neither."""

import os
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for

pytestmark = pytest.mark.skipif("LOCALYUN_TEST_DATABASE" not in os.environ, reason="SQLite has no network and one writer")


def sql(settings: dict[str, str], text: str) -> None:
    """A statement of somebody else's on the server's database."""
    at = urlsplit(settings["LOCALYUN_DATABASE_URL"])
    where = ["-h", "127.0.0.1", f"-{'p' if at.scheme == 'postgres' else 'P'}", str(at.port)]
    if at.scheme == "postgres":
        psql = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))[-1]
        command = [str(psql), *where, "-U", "localyun", "-v", "ON_ERROR_STOP=1", "-qtAc", text, at.path[1:]]
    else:
        command = ["mariadb", "--no-defaults", *where, "-u", "localyun", "-plocalyun", "-e", text, at.path[1:]]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def told(stage: Stage) -> list[str]:
    """What came to the receiver, in order: the names of events, and of files that they are files."""
    return [body.get("event", "file") for body in stage.inbox.bodies()]


def test_callbacks_that_wait_while_the_database_is_away_are_sent_in_their_order(proxy, settings, receiver, tmp_path):
    with Server(environment=settings) as server:
        stage = Stage(server, receiver, tmp_path)
        stage.rule("mp4", DelayTime=15)
        stage.notify(NeedStatusNotify=True)
        assert server.control("PUT", "/_localyun/callbacks", {"paused": True})[0] == 200
        for _ in range(3):
            stage.push(6)
        stage.advance(16)
        wait_for(lambda: len(server.rows("/_localyun/callbacks", "callbacks")) == 7, what="the rows of all events")
        proxy.cut()
        assert server.control("PUT", "/_localyun/callbacks", {"paused": False})[0] == 200
        # Long enough for each of them to be asked for in vain.
        time.sleep(3)
        proxy.mend()
        events = ["record_started", "record_paused", *["record_resumed", "record_paused"] * 2, "file"]
        wait_for(lambda: told(stage) == events, 30, "all events, in their order")
        wait_for(lambda: {row["state"] for row in server.rows("/_localyun/callbacks", "callbacks")} == {"success"}, what="what came of them")


def pushes_told(stage: Stage) -> list[str]:
    """The ends and beginnings of pushes that came to the receiver, in order."""
    return [parse_qs(request.query)["action"][0] for request in stage.inbox.requests]


@pytest.mark.parametrize("is_begun", [True, False], ids=["the end alone", "the beginning too"])
def test_a_push_that_ends_while_the_database_is_away_is_told_of(proxy, settings, receiver, tmp_path, is_begun):
    with Server(environment=settings) as server:
        stage = Stage(server, receiver, tmp_path)
        stage.api.call("SetLiveStreamsNotifyUrlConfig", DomainName=stage.domain, NotifyUrl=stage.inbox.url)
        publisher = stage.publisher()
        publisher.push(1)
        if is_begun:
            stage.advance(3)
            wait_for(lambda: pushes_told(stage) == ["publish"], what="the beginning")
        proxy.cut()
        # The service tells of the beginning after two seconds.
        time.sleep(3)
        publisher.leave()
        time.sleep(2)
        proxy.mend()
        wait_for(lambda: pushes_told(stage) == ["publish", "publish_done"], 40, "both, in their order")
        time.sleep(2)
        assert pushes_told(stage) == ["publish", "publish_done"]


def test_an_outcome_is_written_when_the_database_is_back(proxy, settings, receiver, tmp_path):
    with Server(environment=settings) as server:
        stage = Stage(server, receiver, tmp_path)

        def answer(_: int) -> tuple[int, bytes]:
            proxy.cut()
            return 200, b""

        stage.inbox.answer = answer
        stage.rule("mp4", DelayTime=15)
        stage.notify()
        stage.push(6)
        stage.advance(16)
        wait_for(lambda: stage.inbox.requests, what="the event")
        time.sleep(3)
        proxy.mend()

        def state() -> list[str]:
            status, body = server.control("GET", "/_localyun/callbacks")
            return [row["state"] for row in body["callbacks"]] if status == 200 else []

        wait_for(lambda: state() == ["success"], 30, "the outcome")
        assert len(stage.inbox.requests) == 1


def test_one_that_commits_long_after_it_got_its_number_is_sent(settings, receiver, tmp_path):
    names = "domain, app, stream, kind, method, url, sign_host, sign_key, created_at, next_at, done_at, owner"

    def insert(number: int) -> None:
        values = f"{number}, 'late:{number}', 'pending', '[]', '{{\"number\": {number}}}'"
        sql(settings, f"INSERT INTO callback (id, dedupe, state, attempts, body, {names}) SELECT {values}, {names} FROM callback WHERE id = {first}")

    def comes(number: int) -> None:
        insert(number)
        # A copy wakes the sender, as every new row does.
        assert server.control("POST", f"/_localyun/callbacks/{first}/replay", {"body": '{"copy": true}'})[0] == 200
        wait_for(lambda: number in [body.get("number") for body in stage.inbox.bodies()], 15, f"number {number}")

    with Server(environment=settings) as server:
        stage = Stage(server, receiver, tmp_path)
        stage.rule("mp4", DelayTime=15)
        stage.notify()
        stage.push(6)
        stage.advance(16)
        stage.wait_files(1)
        (row,) = server.rows("/_localyun/callbacks", "callbacks")
        first = row["id"]
        comes(20_000)
        comes(10_000)
