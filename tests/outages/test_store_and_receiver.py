"""Object store or callback receiver are down: nothing is lost, and nothing stands still that could go on."""

import signal
import socket
import time

import pytest

from harness import probe
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for

DOWN = {"at": "store", "code": "InternalError"}


def faults(server: Server, *wanted: dict) -> None:
    """Arms exactly these faults."""
    status, body = server.control("PUT", "/_localyun/faults", list(wanted))
    assert status == 200, body


def callbacks(server: Server) -> list[dict]:
    """The outbox, newest first."""
    return server.rows("/_localyun/callbacks?limit=1000", "callbacks")


def bindable(host: str, port: int) -> bool:
    """Whether the port can be taken by somebody else now."""
    with socket.socket() as probe_socket:
        probe_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe_socket.bind((host, port))
        except OSError:
            return False
        return True


def full_length(stage: Stage, source, files: list[dict]) -> None:
    """Every file event names a valid file with every packet of the source."""
    assert {event["uri"].rsplit(".", 1)[1] for event in files} == {"mp4", "flv"}
    path = stage.folder / "source.flv"
    path.write_bytes(source.sent_flv())
    for event in files:
        file = stage.fetch(event["uri"])
        for track in "va":
            assert probe.payloads(file, track) == probe.payloads(path, track)


def test_recordings_wait_for_a_store_that_is_down(own_stage):
    stage = own_stage()
    stage.rule("mp4", "flv", DelayTime=15)
    stage.notify()
    faults(stage.server, DOWN)
    source = stage.push(12)
    stage.advance(60)
    assert stage.inbox.files() == []
    # The stream's ingest and the control plane do not mind.
    again = stage.publisher("s2")
    again.push(4)
    assert stage.server.is_live(stage.domain, "live", "s2")
    faults(stage.server)
    stage.end(again)
    stage.advance(60)
    wait_for(lambda: len(stage.inbox.files()) >= 4, 30, "the files of both streams")
    full_length(stage, source, [event for event in stage.inbox.files() if event["stream"] == "s1"])
    assert len(stage.inbox.files()) == 4


def test_sigterm_while_the_store_is_down_loses_nothing(receiver, tmp_path):
    folder = tmp_path / "data"
    with Server(data_dir=folder) as server:
        stage = Stage(server, receiver, tmp_path)
        stage.rule("mp4", "flv", DelayTime=15)
        stage.notify()
        faults(server, DOWN)
        source = stage.publisher()
        source.push(12)
    assert server.process.returncode == 0
    assert stage.inbox.files() == []
    with Server(data_dir=folder) as server:
        stage.server, stage.bucket.s3 = server, Stage(server, receiver, tmp_path).s3
        server.advance(1)
        full_length(stage, source, stage.wait_files(2))
        assert list((folder / "spool").iterdir()) == []


def test_sigterm_finishes_open_recordings_and_frees_the_ports(receiver, tmp_path):
    folder = tmp_path / "data"
    server = Server(data_dir=folder)
    stage = Stage(server, receiver, tmp_path)
    stage.rule("mp4", "flv", DelayTime=180)
    stage.notify(NeedStatusNotify=True)
    sources = {name: stage.publisher(name) for name in ("s1", "s2", "s3", "s4")}
    for source in sources.values():
        source.push(11)
    ports = [int(server.api.rsplit(":", 1)[1]), server.rtmp_port, int(server.oss.rsplit(":", 1)[1])]
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(20)
    assert time.monotonic() - began < 15
    assert all(bindable("127.0.0.1", port) for port in ports)
    assert server.stop() == 0
    assert all(source.closed.wait(5) for source in sources.values())
    assert list((folder / "spool").iterdir()) == []
    files = stage.inbox.files()
    assert sorted((event["stream"], event["uri"].rsplit(".", 1)[1]) for event in files) == sorted((name, kind) for name in sources for kind in ("mp4", "flv"))
    with Server(data_dir=folder) as server:
        stage.bucket.s3 = Stage(server, receiver, tmp_path).s3
        full_length(stage, sources["s1"], [event for event in files if event["stream"] == "s1"])
        server.advance(300)
        assert len(stage.inbox.files()) == len(files), "a file was told twice"


def test_callbacks_to_a_receiver_that_is_down_can_be_replayed(own_stage):
    stage = own_stage()
    stage.rule("mp4", "flv", DelayTime=15)
    stage.notify()
    stage.inbox.say(b"no", status=503)
    stage.push(6)
    stage.advance(60)
    wait_for(lambda: [row["state"] for row in callbacks(stage.server)] == ["failed"] * 2, 20, "both callbacks given up")
    assert [len(row["attempts"]) for row in callbacks(stage.server)] == [6, 6]
    told = len(stage.inbox.requests)
    assert told == 12
    stage.inbox.say(b"")
    for row in callbacks(stage.server):
        status, body = stage.server.control("POST", f"/_localyun/callbacks/{row['id']}/replay")
        assert status == 200, body
    wait_for(lambda: [row["state"] for row in callbacks(stage.server)] == ["success"] * 2, 10, "both callbacks taken")
    assert len(stage.inbox.requests) == told + 2
    bodies = [request.body for request in stage.inbox.requests]
    assert set(bodies[:told]) == set(bodies[told:])


def test_a_receiver_that_nobody_runs_holds_nothing_up(own_stage):
    stage = own_stage()
    stage.rule("mp4", DelayTime=15)
    stage.notify(NotifyUrl="http://127.0.0.1:9/nobody")
    stage.push(6)
    stage.advance(60)
    (row,) = wait_for(lambda: [row for row in callbacks(stage.server) if row["state"] == "failed"], 20, "the callback given up")
    assert len(row["attempts"]) == 6 and all(attempt["status"] is None and attempt["error"] for attempt in row["attempts"])
    assert len(stage.bucket.keys(".mp4")) == 1


def test_a_rule_is_taken_while_the_outside_store_is_down(receiver, tmp_path, own_stage):
    """Its bucket is made when the store is back, before the first object goes into it."""
    folder = tmp_path / "store"
    with Server(data_dir=folder) as store:
        address = store.oss.removeprefix("http://")
    stage = own_stage("--oss-endpoint", f"http://{address}", "--oss-access-key", "testid:testsecret")
    began = time.monotonic()
    stage.rule("mp4", "flv", DelayTime=15)
    assert time.monotonic() - began < 6
    stage.notify()
    source = stage.push(12)
    stage.advance(60)
    assert stage.inbox.files() == []
    with Server("--oss-addr", address, data_dir=folder) as store:
        stage.bucket.s3 = Stage(store, receiver, tmp_path).s3

        def recorded() -> bool:
            stage.advance(10)
            return len(stage.inbox.files()) >= 2

        wait_for(recorded, 30, "the files after the store is back")
        full_length(stage, source, stage.inbox.files())


@pytest.mark.parametrize("code, told", [("NoSuchBucket", "BucketNotFound"), ("AccessDenied", "AccessDenied")])
def test_a_store_that_will_never_take_it_ends_the_recording(own_stage, code, told):
    stage = own_stage()
    stage.rule({"Format": "m3u8", "SliceDuration": 5}, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    faults(stage.server, {"at": "store", "code": code})
    publisher = stage.publisher()
    publisher.push(20)
    wait_for(lambda: "record_error" in stage.inbox.events(), 15, "record_error")
    (stream,) = stage.server.streams()
    assert stream["recorder"]["last_error"] == told


def test_slice_numbers_go_on_while_slices_wait_for_a_store(own_stage):
    stage = own_stage()
    stage.rule({"Format": "m3u8", "SliceDuration": 5}, DelayTime=15)
    faults(stage.server, DOWN)
    stage.push(11)
    stage.advance(60)
    # More streams than the server keeps recorders of; that of s1 still has its slices to upload.
    for number in range(260):
        stage.publisher(f"visit{number}", app="visit").leave()
    stage.push(11)
    stage.advance(60)
    faults(stage.server)
    stage.advance(60)
    wait_for(lambda: len(stage.bucket.keys(".m3u8")) == 2, 30, "both playlists")
    numbers = sorted(int(key.rsplit("_", 1)[1].removesuffix(".ts")) for key in stage.bucket.keys(".ts"))
    assert numbers == list(range(len(numbers))) and len(numbers) >= 4
