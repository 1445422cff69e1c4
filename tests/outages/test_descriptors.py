"""The server runs out of descriptors: what is recorded is recorded whole, nothing spins, and it takes new streams when there are some again."""

import http.client
import json
import threading
import time

import pytest

from harness import probe
from harness.api import escape
from harness.crowd import Crowd
from harness.process import Process
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for

LIMIT = 256
M3U8 = {"Format": "m3u8", "SliceDuration": 5}


@pytest.fixture
def stage(receiver, tmp_path):
    """A stage on a server with few descriptors."""
    with Server(under=("prlimit", f"--nofile={LIMIT}:{LIMIT}")) as server:
        yield Stage(server, receiver, tmp_path)


def test_out_of_descriptors(stage):
    server = stage.server
    process = Process(server.process.pid)
    stage.rule("mp4", "flv", M3U8, DelayTime=15, app="live")
    stage.notify()
    first = stage.publisher("first")
    first.push(7)
    crowd = Crowd()
    try:
        place = (server.rtmp_host, server.rtmp_port)
        # More than there are descriptors for: the rest waits in the kernel's queue, which takes 128 and lets others try for seconds.
        crowd.join("idle", place, count=LIMIT + 60 - process.descriptors())
        wait_for(lambda: process.descriptors() >= LIMIT - 1, 10, "the last descriptor to be taken")
        # The stream that is there goes on, over slice after slice.
        cpu, began = process.cpu(), time.monotonic()
        wait = threading.Event()
        while time.monotonic() - began < 6:
            first.push(2)
            assert not first.closed.is_set()
            wait.wait(0.2)
        used = (process.cpu() - cpu) / (time.monotonic() - began)
        print(f"{process.descriptors()} of {LIMIT} descriptors open; {used:.0%} of a core")
        assert used < 0.8
        assert process.descriptors() >= LIMIT - 40
        # Its end falls into the shortage too.
        first.leave()
    finally:
        crowd.close()
    wait_for(lambda: process.descriptors() < LIMIT // 2, 30, "descriptors to be free again")
    stage.wait_gone(first)
    second = stage.push(6, "second")
    stage.advance(30)
    sources = {"first": first, "second": second}

    def told() -> bool:
        stage.advance(10)
        return len(stage.inbox.files()) >= 6

    wait_for(told, 30, "every file of both streams")
    assert len(stage.inbox.files()) == 6
    for name, publisher in sources.items():
        (stage.folder / f"{name}.flv").write_bytes(publisher.sent_flv())
    for event in stage.inbox.files():
        source = stage.folder / f"{event['stream']}.flv"
        if event["uri"].endswith(".m3u8"):
            assert event["duration"] == pytest.approx(sources[event["stream"]].position / 1000, abs=0.2)
            continue
        file = stage.fetch(event["uri"])
        for track in "va":
            assert probe.payloads(file, track) == probe.payloads(source, track)
    wait_for(lambda: not list((server.data_dir / "spool").iterdir()), 20, "an empty spool")


def ask(caller: http.client.HTTPConnection, stage: Stage, action: str, **parameters: str) -> None:
    """One signed call on a connection that is kept; it has to be answered well."""
    flat = stage.api.signed(action, **parameters)
    caller.request("GET", "/?" + "&".join(f"{escape(k)}={escape(v)}" for k, v in flat.items()))
    answer = caller.getresponse()
    text = answer.read()
    assert answer.status == 200, text


def test_a_recording_begins_while_there_are_none(stage):
    """A publisher that is in already starts to be recorded in the shortage: what is kept back for that is used."""
    server = stage.server
    process = Process(server.process.pid)
    publisher = stage.publisher("late")
    publisher.push(1)
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    crowd = Crowd()
    # A connection made before: no new one gets through.
    caller = http.client.HTTPConnection(stage.api.host, stage.api.port, timeout=10)
    try:
        ask(caller, stage, "DescribeLiveRecordConfig", DomainName=stage.domain)
        crowd.join("idle", (server.rtmp_host, server.rtmp_port), count=LIMIT + 60 - process.descriptors())
        wait_for(lambda: process.descriptors() >= LIMIT - 1, 4, "the last descriptor to be taken")
        ask(caller, stage, "RealTimeRecordCommand", DomainName=stage.domain, AppName="live", StreamName="late", Command="start")
        publisher.push(6)
        assert process.descriptors() >= LIMIT - 1
        caller.request("GET", "/_localyun/streams")
        (stream,) = json.loads(caller.getresponse().read())["streams"]
        assert stream["recorder"]["last_error"] is None, stream
    finally:
        caller.close()
        crowd.close()
    stage.end(publisher)
    stage.advance(30)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(6, abs=2.1)
