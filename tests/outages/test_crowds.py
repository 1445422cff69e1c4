"""10,000 idle connections at one port: their memory is bounded, nobody beside them notices, and all of it is given back."""

import os
import socket
import time
from urllib.parse import urlsplit

import pytest

from harness.crowd import Crowd, raise_limit
from harness.process import Process
from harness.stage import Stage
from harness.wait import wait_for

WANTED = 10_000
BATCH = 500
KIBIBYTES_EACH = 32
PROMPT_SECONDS = 3


def prompt(work) -> float:
    """Does something that must not take long, and gives the seconds."""
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    assert took < PROMPT_SECONDS, f"{took:.2f} s"
    return took


def every_service(stage: Stage, publisher) -> float:
    """A signed call, half a second of media and an object, each in time; the seconds of the slowest."""
    return max(
        prompt(lambda: stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)),
        prompt(lambda: publisher.push(0.5)),
        prompt(lambda: stage.bucket.get("object")),
    )


def address(server, port: str) -> tuple[str, int]:
    """Host and port of one of the server's ports."""
    parts = urlsplit(server.ready[port])
    return parts.hostname, parts.port


@pytest.mark.parametrize("port", ["api", "rtmp", "oss", "tls"])
def test_idle_connections(own_stage, port):
    count = min(WANTED, raise_limit(WANTED + 500) - 500) // BATCH * BATCH
    stage = own_stage("--tls-addr", "127.0.0.1:0")
    process = Process(stage.server.process.pid)
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    neighbour = stage.publisher("neighbour")
    neighbour.push(2)
    stage.bucket.put("object", os.urandom(1 << 20))
    every_service(stage, neighbour)
    before, descriptors = process.memory(), process.descriptors()
    each = []
    for _ in range(2):
        process.forget_peak()
        crowd = Crowd()
        try:
            for _ in range(count // BATCH):
                crowd.join("idle", address(stage.server, port), count=BATCH)
                neighbour.push(0.2)
            opened = crowd.opened["idle"]
            held = crowd.left()
            wait_for(lambda: process.descriptors() >= descriptors + held * 0.9 or crowd.left() < held, 10, "the server to take them")
            slowest = 0.0

            def all_ended() -> bool:
                nonlocal slowest
                slowest = max(slowest, every_service(stage, neighbour))
                return crowd.left() == 0

            wait_for(all_ended, 60, "the end of every idle connection")
        finally:
            crowd.close()
        wait_for(lambda: process.descriptors() <= descriptors + 8, 15, "the descriptors to be free again")
        grown = process.peak() - before
        each.append(grown / held / 1024)
        print(
            f"{port}: {opened} connections, at once {held}; {grown >> 20} MB at most, {each[-1]:.1f} KiB each; "
            f"{(process.memory() - before) >> 20} MB afterwards; the slowest request beside them {slowest:.2f} s"
        )
        assert opened == count and not crowd.refused
    # The allocator keeps what was freed: the second crowd has to find it.
    assert max(each) < KIBIBYTES_EACH and each[1] < each[0] * 1.5 + 2
    assert not neighbour.closed.is_set()
    stage.end(neighbour)
    stage.advance(20)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(neighbour.position / 1000, abs=0.2)


@pytest.mark.parametrize("port", ["api", "oss", "play"])
def test_a_connection_that_is_idle_between_two_requests_is_kept_and_does_not_hold_up_the_end(own_stage, port):
    """SDKs keep theirs for tens of seconds: one that the server closes as the next request comes is an error to whoever may not send that twice."""
    stage = own_stage()
    place = address(stage.server, port)
    with socket.create_connection(place, 10) as connection:

        def ask() -> None:
            connection.sendall(f"HEAD / HTTP/1.1\r\nHost: {place[0]}\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 "), "the connection has ended"

        ask()
        # What most servers grant, and twice what this one once did.
        time.sleep(10)
        ask()
        stage.server.process.terminate()
        stage.server.process.wait(PROMPT_SECONDS)
        assert connection.recv(65536) == b""


def test_a_peer_that_reads_nothing_is_cut_off(own_stage):
    """It asked for a large object and lets the answer pile up: the server gives it up and frees the connection."""
    stage = own_stage()
    process = Process(stage.server.process.pid)
    stage.bucket.put("object", bytes(48 << 20))
    signed = urlsplit(stage.s3.generate_presigned_url("get_object", Params={"Bucket": stage.bucket.name, "Key": "object"}))
    descriptors, memory = process.descriptors(), process.memory()
    place = address(stage.server, "oss")
    peers = []
    for _ in range(50):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(place)
        peer.sendall(f"GET {signed.path}?{signed.query} HTTP/1.1\r\nHost: {place[0]}:{place[1]}\r\n\r\n".encode())
        peers.append(peer)
    try:
        wait_for(lambda: process.descriptors() >= descriptors + 50, 10, "the server to answer them")
        began = time.monotonic()
        wait_for(lambda: process.descriptors() <= descriptors + 8, 90, "the server to give them up")
        print(f"given up after {time.monotonic() - began:.0f} s; memory {(process.peak() - memory) >> 20:+d} MB at most")
        assert process.peak() - memory < 64 << 20
    finally:
        for peer in peers:
            peer.close()
