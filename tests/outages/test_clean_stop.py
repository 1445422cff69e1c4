"""SIGTERM in the middle of operation: what was promised is kept over it, and nothing and nobody can hang it."""

import signal
import time

from harness import probe
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for

STOP_SECONDS = 12


def stop(server: Server, seconds: float = STOP_SECONDS) -> float:
    """SIGTERM; how long the end took."""
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(seconds)
    return time.monotonic() - began


def again(stage: Stage, server: Server) -> None:
    """The stage goes on with another process on the same folder."""
    other = Stage(server, stage.receiver, stage.folder)
    stage.server, stage.api, stage.bucket.s3 = server, other.api, other.s3


def callbacks(server: Server) -> list[dict]:
    """The outbox."""
    return server.rows("/_localyun/callbacks?limit=1000", "callbacks")


def whole(stage: Stage, source) -> None:
    """Both files of a stream hold every packet of its source."""
    path = stage.folder / "source.flv"
    path.write_bytes(source.sent_flv())
    files = [event for event in stage.inbox.files() if event["stream"] == source.key[2]]
    assert {event["uri"].rsplit(".", 1)[1] for event in files} == {"mp4", "flv"}
    for event in files:
        file = stage.fetch(event["uri"])
        for track in "va":
            assert probe.payloads(file, track) == probe.payloads(path, track)


def test_rules_sessions_and_pending_callbacks_outlive_a_stop(receiver, tmp_path):
    folder = tmp_path / "data"
    server = Server(data_dir=folder)
    stage = Stage(server, receiver, tmp_path)
    stage.rule("mp4", "flv", DelayTime=180)
    stage.notify(NeedStatusNotify=True)
    live, gone = stage.publisher("s1"), stage.publisher("s2")
    live.push(9)
    gone.push(7)
    stage.end(gone, "drop")
    # From here on the receiver takes nothing; what the stop makes stays in the outbox.
    wait_for(lambda: stage.inbox.events().count("record_paused") == 1, what="the pause of s2")
    taken = len(stage.inbox.requests)
    stage.inbox.say(b"no", status=503)
    rules = stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["LiveAppRecordList"]
    notify = stage.api.call("DescribeLiveRecordNotifyConfig", DomainName=stage.domain)["LiveRecordNotifyConfig"]
    assert stop(server) < STOP_SECONDS
    assert server.stop() == 0 and live.closed.wait(5)
    assert list((folder / "spool").iterdir()) == []
    stage.inbox.answer = lambda number: (200, b"")
    refused = len(stage.inbox.requests)
    assert refused > taken
    with Server(data_dir=folder) as server:
        again(stage, server)
        assert stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["LiveAppRecordList"] == rules
        assert stage.api.call("DescribeLiveRecordNotifyConfig", DomainName=stage.domain)["LiveRecordNotifyConfig"] == notify
        server.advance(10)
        wait_for(lambda: all(row["state"] == "success" for row in callbacks(server)), 20, "an outbox with nothing to do")
        del stage.inbox.requests[taken:refused]
        assert len(stage.inbox.files()) == 4, "each file is told once"
        assert sorted(stage.inbox.events()) == ["record_paused"] * 2 + ["record_started"] * 2
        for source in (live, gone):
            whole(stage, source)
        sessions = [row for row in server.rows("/_localyun/recordings", "recordings") if row["domain"] == stage.domain]
        assert [row["state"] for row in sessions] == ["ended"] * 2
        assert server.streams() == []
        # The rule is in force for who comes now, and the old sessions stay as they are.
        stage.push(6, "s1")
        server.advance(200)
        wait_for(lambda: len(stage.inbox.files()) == 6, 20, "the files of the next push")


def test_a_receiver_that_hangs_does_not_hang_the_stop(receiver, tmp_path):
    folder = tmp_path / "data"
    server = Server(data_dir=folder)
    stage = Stage(server, receiver, tmp_path)
    stage.rule("mp4", "flv", DelayTime=180)
    stage.notify(NeedStatusNotify=True)
    stage.inbox.hang()
    sources = [stage.publisher(f"s{number}") for number in range(4)]
    for source in sources:
        source.push(6)
    assert stop(server) < STOP_SECONDS
    assert server.stop() == 0
    hung = len(stage.inbox.requests)
    stage.inbox.answer = lambda number: (200, b"")
    with Server(data_dir=folder) as server:
        again(stage, server)
        server.advance(10)
        wait_for(lambda: len(callbacks(server)) >= 8 and all(row["state"] == "success" for row in callbacks(server)), 20, "all callbacks taken")
        del stage.inbox.requests[:hung]
        assert len(stage.inbox.files()) == 8
        for source in sources:
            whole(stage, source)


def test_a_second_sigterm_ends_at_once(receiver, tmp_path):
    folder = tmp_path / "data"
    server = Server(data_dir=folder)
    stage = Stage(server, receiver, tmp_path)
    stage.rule("mp4", "flv", DelayTime=180)
    stage.notify()
    source = stage.publisher("s1")
    source.push(8)
    status, body = server.control("PUT", "/_localyun/faults", [{"at": "object-put", "first": 1, "delay_ms": 15_000}])
    assert status == 200, body
    server.process.send_signal(signal.SIGTERM)
    assert source.closed.wait(5), "the first signal ends publishers"
    wait_for(lambda: server.process.poll() is not None or b"stopping" in server.log_path.read_bytes(), what="the stop under way")
    assert server.process.poll() is None, "an upload is under way and is waited for"
    assert stop(server, 5) < 4
    assert server.stop() == 0
    with Server(data_dir=folder) as server:
        again(stage, server)
        # The second signal may come before the first has closed the recording: then it waits for its publisher, as after a kill.
        server.advance(200)
        stage.wait_files(2)
        whole(stage, source)
        assert list((folder / "spool").iterdir()) == []
