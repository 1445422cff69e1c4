"""Hundreds of connections that say nothing, or a byte at a time: each is cut off in time, and nobody else notices them."""

import os
import socket
import time
from urllib.parse import urlsplit

import pytest
from harness import probe
from harness.crowd import Crowd
from harness.process import Process
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for
from sdks import Acs3

EACH = 40
# Machine time: 15 s for a head or a publish, 20 s for a body, and some for a busy machine.
LONGEST_SECONDS = 30
PROMPT_SECONDS = 2
KIBIBYTES_EACH = 128


@pytest.fixture
def stage(receiver, tmp_path):
    """A stage on a server of its own, with every port."""
    with Server("--tls-addr", "127.0.0.1:0") as server:
        yield Stage(server, receiver, tmp_path)


def address(url: str) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname, parts.port


def shaken(host: str, port: int) -> bytes:
    """What an RTMP client sends to get past the handshake: the server does not insist on an echo."""
    return b"\x03" + bytes(8) + os.urandom(1528) + os.urandom(1536)


def gather(crowd: Crowd, stage: Stage) -> None:
    """Every kind of slow peer, at every port."""
    server = stage.server
    api, oss, tls = address(server.api), address(server.oss), address(server.ready["tls"])
    rtmp = (server.rtmp_host, server.rtmp_port)
    signed = urlsplit(stage.s3.generate_presigned_url("put_object", Params={"Bucket": stage.bucket.name, "Key": "slow"}))
    host = "Host: {}:{}\r\n"
    for name, place in (("api", api), ("oss", oss)):
        crowd.join(f"{name} mute", place, count=EACH)
        crowd.join(f"{name} head", place, drip=b"GET / HTTP/1.1\r\n" + host.format(*place).encode() + b"X-Pad: " + b"x", count=EACH)
    body = "POST /?Action=DescribeLiveRecordConfig HTTP/1.1\r\n" + host.format(*api) + "Content-Length: 500000\r\n\r\n"
    crowd.join("api body", api, body.encode(), b"x", count=EACH)
    body = f"PUT {signed.path}?{signed.query} HTTP/1.1\r\n" + host.format(*oss) + "Content-Length: 500000\r\n\r\n"
    chunks = "POST /?Action=DescribeLiveRecordConfig HTTP/1.1\r\n" + host.format(*api) + "Transfer-Encoding: chunked\r\n\r\nffff\r\n"
    crowd.join("api chunks", api, chunks.encode(), b"x", count=EACH)
    crowd.join("oss body", oss, body.encode(), b"x", count=EACH)
    body = f"PUT {signed.path}?{signed.query} HTTP/1.1\r\n" + host.format(*oss) + "Transfer-Encoding: chunked\r\n\r\nffff\r\n"
    crowd.join("oss chunks", oss, body.encode(), b"x", count=EACH)
    crowd.join("tls mute", tls, count=EACH)
    crowd.join("tls hello", tls, drip=b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600), count=EACH)
    crowd.join("rtmp mute", rtmp, count=EACH)
    crowd.join("rtmp handshake", rtmp, drip=b"\x03" + bytes(1536), count=EACH)
    # A message of 8 MB that never comes.
    crowd.join("rtmp message", rtmp, shaken(*rtmp) + b"\x03" + bytes(3) + b"\x7f\xff\xff\x14" + bytes(4), b"x", count=EACH)


def test_a_snapshot_that_hardly_comes_is_cut_off(stage):
    """It may be long, so its time has no bound: but it must come."""
    host, port = address(stage.server.api)
    for method, path in (("PUT", "snapshot"), ("POST", "seed")):
        with socket.create_connection((host, port), timeout=LONGEST_SECONDS) as peer:
            peer.sendall(f"{method} /_localyun/{path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100000\r\n\r\n".encode())
            peer.settimeout(0.5)
            began, answer = time.monotonic(), b""
            while not answer and time.monotonic() - began < LONGEST_SECONDS:
                peer.sendall(b" ")
                try:
                    answer = peer.recv(4096)
                except TimeoutError:
                    continue
            assert answer.startswith(b"HTTP/1.1 408 ") and b"too slowly" in answer, answer


def prompt(work) -> float:
    """Does something that must not take long, and gives the seconds."""
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    assert took < PROMPT_SECONDS, f"{took:.2f} s"
    return took


def test_slow_peers_are_cut_off_and_hold_nobody_up(stage):
    process = Process(stage.server.process.pid)
    sdk = Acs3(stage.server.api)
    stage.rule("mp4", "flv", DelayTime=15)
    stage.notify()
    neighbour = stage.publisher("neighbour")
    neighbour.push(4)
    stage.bucket.put("object", os.urandom(1 << 20))
    sdk.call("DescribeLiveRecordConfig", DomainName=stage.domain)
    descriptors, memory = process.descriptors(), process.memory()
    process.forget_peak()
    crowd = Crowd()
    slowest = {"call": 0.0, "push": 0.0, "get": 0.0}
    try:
        gather(crowd, stage)
        opened = sum(crowd.opened.values())

        def all_cut_off() -> bool:
            for name, work in (
                ("call", lambda: sdk.call("DescribeLiveRecordConfig", DomainName=stage.domain)),
                ("push", lambda: neighbour.push(0.5)),
                ("get", lambda: stage.bucket.get("object")),
            ):
                slowest[name] = max(slowest[name], prompt(work))
            return crowd.left() == 0

        try:
            wait_for(all_cut_off, LONGEST_SECONDS + 10, "the end of every slow connection")
        finally:
            times = {kind: f"{min(ended):.0f}-{max(ended):.0f} s" for kind, ended in crowd.ended.items()}
            left = {kind: crowd.left(kind) for kind in crowd.opened if crowd.left(kind)}
            print(f"{opened} connections; cut off after {times}; left {left}; the slowest beside them {slowest}")
    finally:
        crowd.close()
    grown = process.peak() - memory
    print(f"memory at most {grown >> 20:+d} MB, {grown // opened >> 10} KB a connection")
    assert not crowd.refused
    assert max(max(ended) for ended in crowd.ended.values()) < LONGEST_SECONDS
    assert grown < opened * KIBIBYTES_EACH << 10
    wait_for(lambda: process.descriptors() <= descriptors + 8, 15, "the descriptors to be free again")
    assert not neighbour.closed.is_set()
    stage.end(neighbour)
    stage.advance(20)
    source = stage.folder / "source.flv"
    source.write_bytes(neighbour.sent_flv())
    for event in stage.wait_files(2):
        file = stage.fetch(event["uri"])
        for track in "va":
            assert probe.payloads(file, track) == probe.payloads(source, track)
