"""Hostile and broken RTMP peers: each is got rid of, and a stream beside it is recorded whole."""

import errno
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

import pytest

from harness import amf0
from harness.chunks import Message, pack
from harness.process import Process
from harness.publisher import Publisher, Refused
from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}
# Far more than the kernel takes on its way.
FLOOD_BYTES = 64 << 20


@pytest.fixture
def neighbour(stage):
    """A well-behaved stream beside the test: recorded without a scratch."""
    stage.rule(M3U8, DelayTime=15)
    stage.notify()
    publisher = stage.publisher("neighbour")
    publisher.push(6)
    yield publisher
    publisher.push(6)
    assert not publisher.closed.is_set()
    stage.end(publisher)
    stage.advance(16)

    def own_files() -> list[dict]:
        return [event for event in stage.inbox.files() if event["stream"] == "neighbour"]

    wait_for(own_files, what="the neighbour's file")
    (event,) = own_files()
    assert event["duration"] == pytest.approx(publisher.position / 1000, abs=0.5)


def peer(stage) -> socket.socket:
    """A plain connection to the RTMP port."""
    return socket.create_connection((stage.server.rtmp_host, stage.server.rtmp_port), timeout=15)


class Returning(Publisher):
    """A publisher that may wait with its publish, end its stream, and begin anew on the same connection."""

    def __init__(self, stage, stream: str, wait: Callable[[], None] = lambda: None):
        self.wait = wait
        self.key = (stage.domain, "live", stream)
        super().__init__(stage.server.rtmp_host, stage.server.rtmp_port, "live", f"{stream}?vhost={quote(stage.domain)}")
        stage.publishers.append(self)

    def _send_command(self, name: str, *values: object, stream: int = 0) -> int:
        if name == "publish":
            self.wait()
        return super()._send_command(name, *values, stream=stream)

    def stop(self) -> None:
        """Ends the stream and keeps the connection."""
        self._send_command("FCUnpublish", None, self._name)

    def begin(self) -> None:
        """Publishes once more."""
        self.statuses.clear()
        self._headers_due = True
        self._send_command("publish", None, self._name, "live", stream=self.stream)
        status = wait_for(self._publish_status, 15, "an answer to publish")
        assert status["code"] == "NetStream.Publish.Start", status


def closed_by_server(connection: socket.socket) -> bool:
    """Reads to the end; true when the server closes, false when nothing comes for the socket's timeout."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def shaken(stage) -> socket.socket:
    """A connection after the handshake."""
    connection = peer(stage)
    connection.sendall(b"\x03" + bytes(8) + os.urandom(1528))
    got = b""
    while len(got) < 3073:
        got += connection.recv(3073 - len(got))
    connection.sendall(got[1:1537])
    return connection


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 80, b"\x06" + os.urandom(1536), bytes(5000)], ids=["http", "rtmpe", "zeros"])
def test_wrong_handshake(stage, neighbour, first):
    with peer(stage) as connection:
        try:
            connection.sendall(first)
        except ConnectionError:
            return
        assert closed_by_server(connection)


def test_garbage_after_the_handshake(stage, neighbour):
    with shaken(stage) as connection:
        try:
            connection.sendall(os.urandom(2_000_000))
            connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            # The server has closed it already; a hang would be a time-out.
            assert error.errno in (errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET), error
            return
        assert closed_by_server(connection)


def broken(kind: int, body: bytes) -> bytes:
    """One message as it must not be."""
    return pack(3, Message(kind, 0, 0, body), 128)


@pytest.mark.parametrize(
    "data",
    [
        broken(1, struct.pack(">I", 0)),
        broken(1, b"\x00"),
        broken(20, b"\x02\xff\xffconnect"),
        broken(20, b"\x03" * 120),
        broken(20, b"\x0a\xff\xff\xff\xff" * 20),
        b"\x03" + bytes(3) + b"\xff\xff\xff" + b"\x14" + bytes(4) + bytes(128),
        b"\xc9" + bytes(128),
    ],
    ids=["chunk-size-0", "short-chunk-size", "short-string", "nested-objects", "huge-array", "message-of-16-mib", "type-3-first"],
)
def test_broken_messages(stage, neighbour, data):
    with shaken(stage) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert closed_by_server(connection)
    assert stage.server.control("GET", "/_localyun/health")[0] == 200


def test_a_player_that_asks_and_does_not_read_takes_no_memory(own_stage):
    """Pings without end, and nothing is read of the answers: it is not heard after a while, and gone in the end."""
    stage = own_stage()
    stage.publisher().push(3)
    process = Process(stage.server.process.pid)
    with shaken(stage) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connect = amf0.encode("connect", 1, {"app": "live", "tcUrl": "rtmp://127.0.0.1/live"})
        for stream, command in ((0, connect), (0, amf0.encode("createStream", 2, None)), (1, amf0.encode("play", 0, None, f"s1?vhost={stage.domain}"))):
            connection.sendall(pack(3, Message(20, stream, 0, command), 128))
        wait_for(lambda: [row["viewers"] for row in stage.server.streams()] == [1], what="the player to be let in")
        before, sent = process.memory(), 0
        process.forget_peak()
        pings = pack(2, Message(4, 0, 0, struct.pack(">HI", 6, 0)), 128) * 4096
        connection.settimeout(5)
        with suppress(TimeoutError, ConnectionError):
            while sent < FLOOD_BYTES:
                sent += connection.send(pings[sent % len(pings) :])
        grown = process.peak() - before
        assert sent < FLOOD_BYTES and grown < 24 << 20, (sent, grown)
    assert stage.server.control("GET", "/_localyun/health")[0] == 200


def test_half_open_connections_do_not_last(stage, neighbour):
    """Connections that say nothing, or stop inside the handshake, are closed in a matter of seconds; one that has published may begin anew."""
    again = Returning(stage, "again")
    mute, stuck = peer(stage), peer(stage)
    stuck.sendall(b"\x03" + bytes(100))
    for connection in (mute, stuck):
        connection.settimeout(0.5)

    def both_closed() -> bool:
        neighbour.push(0.5)
        again.push(0.5)
        return all(closed_by_server(connection) for connection in (mute, stuck))

    try:
        wait_for(both_closed, 30, "the server to close connections that publish nothing")
    finally:
        mute.close()
        stuck.close()
    # It is older than they became.
    again.stop()
    stage.wait_gone(again)
    again.begin()
    again.push(2)
    assert stage.server.is_live(*again.key)
    stage.end(again)


def test_a_publish_after_a_long_wait_has_its_whole_time(stage):
    """An encoder that connects early is not silent before it publishes."""
    early = Returning(stage, "early", wait=lambda: stage.advance(9))
    stage.advance(7)
    early.push(2)
    assert stage.server.is_live(*early.key)
    stage.advance(11)
    wait_for(early.closed.is_set, what="the server to cut the silent publisher")


def test_many_idle_connections(stage, neighbour):
    crowd = [peer(stage) for _ in range(200)]
    try:
        other = stage.publisher("other")
        other.push(2)
        stage.end(other)
    finally:
        for connection in crowd:
            connection.close()


def test_second_publisher_is_refused(stage, neighbour):
    with pytest.raises(Refused) as error:
        stage.publisher("neighbour")
    assert error.value.code == "NetStream.Publish.BadName"
    assert stage.server.is_live(stage.domain, "live", "neighbour")


def test_publisher_that_comes_back(stage, neighbour):
    """After a lost connection the name is free again at once."""
    first = stage.publisher("again")
    first.push(2)
    stage.end(first, "reset")
    second = stage.publisher("again")
    second.push(2)
    stage.end(second)


def test_silent_publisher_is_cut_after_ten_seconds(stage, neighbour):
    silent = stage.publisher("silent")
    silent.push(2)
    for _ in range(3):
        neighbour.push(3)
        stage.advance(3)
    assert not silent.closed.is_set()
    neighbour.push(2)
    stage.advance(2)
    wait_for(silent.closed.is_set, what="the server to cut the silent publisher")
    stage.wait_gone(silent)


def test_publish_names_a_missing_domain(own_stage):
    """With no vhost, a bare address and no rule anywhere, the refusal says which argument is missing."""
    stage = own_stage()
    with pytest.raises(Refused) as error:
        Publisher(stage.server.rtmp_host, stage.server.rtmp_port, "live", "s1")
    assert "vhost" in error.value.description


def test_domain_by_tc_url_and_by_the_only_rule(own_stage):
    stage = own_stage()
    server = stage.server
    named = Publisher(server.rtmp_host, server.rtmp_port, "live", "s1", tc_url="rtmp://push.example.com/live")
    named.push(1)
    assert server.is_live("push.example.com", "live", "s1")
    named.leave()
    stage.rule("mp4")
    alone = Publisher(server.rtmp_host, server.rtmp_port, "live", "s2")
    alone.push(1)
    assert server.is_live(stage.domain, "live", "s2")
    alone.leave()


def test_media_before_publish(stage, neighbour):
    with shaken(stage) as connection:
        connection.sendall(broken(20, amf0.encode("connect", 1, {"app": "live", "tcUrl": "rtmp://x.example.com/live"})))
        connection.sendall(broken(9, b"\x17\x01" + bytes(100)) * 50)
        connection.shutdown(socket.SHUT_WR)
        assert closed_by_server(connection)


@pytest.mark.parametrize("name", ["a/b/../../c", "x" * 300, "s p a c e", "%00", "..", ""], ids=["dots", "long", "space", "nul", "parent", "empty"])
def test_odd_stream_names(stage, neighbour, name):
    """A name is refused or recorded under its own prefix; it never reaches another place."""
    try:
        odd = stage.publisher(name)
        odd.push(2)
        stage.end(odd)
    except Refused as error:
        assert error.description
    assert all(key.startswith("record/live/") and ".." not in key.split("/") for key in stage.bucket.keys())


@pytest.mark.parametrize("start", [0x00FFFFFF - 2000, 0xFFFFFFFF - 2000], ids=["extended", "wrap"])
def test_vast_timestamps(stage, start):
    """Timestamps that pass 24 bits (the extended field begins) and that wrap at 32 bits."""
    stage.rule(M3U8, DelayTime=15)
    stage.notify()
    stream = stage.publisher()
    stream.shift = start
    stream.push(6)
    stage.end(stream)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(6, abs=0.5)
