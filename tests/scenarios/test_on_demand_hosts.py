"""The host of the on-demand URL misbehaves in every way: the answer counts as none, and nothing else is held up by it."""

import gzip
import io
import json
import time

import pytest

from harness import probe
from harness.process import Process
from harness.rawhost import RawHost, flood, head, plain, reset, silence, trickle
from harness.stage import Stage
from harness.wait import wait_for

YES = json.dumps({"ApiVersion": "1.0", "NeedRecord": True}).encode()
MEGABYTE = 1 << 20
ATTEMPTS = 6


def packed(data: bytes, repeat: int = 1) -> bytes:
    """Gzip of `data`, `repeat` times."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        for _ in range(repeat):
            file.write(data)
    return out.getvalue()


def whole(body: bytes, *lines: str) -> bytes:
    """An answer of 200 with its length."""
    return head("200 OK", f"Content-Length: {len(body)}", *lines) + body


def moved(status: str, url: str) -> bytes:
    """A redirect, with a yes of its own in the body."""
    return head(status, f"Location: {url}", f"Content-Length: {len(YES)}") + YES


def hosts(elsewhere: str) -> dict:
    """How the hosts misbehave, and whether they are asked again."""
    padded = YES[:-1] + b',"Pad":"'
    blanks = b"\r\n" * 32768
    bomb = packed(b" " * MEGABYTE, 64)
    return {
        "301": plain(moved("301 Moved Permanently", elsewhere)),
        "302": plain(moved("302 Found", elsewhere)),
        "307": plain(moved("307 Temporary Redirect", elsewhere)),
        "huge": flood(head("200 OK", f"Content-Length: {64 * MEGABYTE}") + padded, b"x" * MEGABYTE, 64),
        "endless": flood(head() + padded, b"x" * MEGABYTE, 1024),
        "endless head": flood(b"HTTP/1.1 200 OK\r\n", b"X-Pad: " + b"x" * 60_000 + b"\r\n", 1024),
        "trickling body": trickle(head("200 OK", f"Content-Length: {10 * MEGABYTE}") + padded, b"x", 0.05),
        "trickling head": trickle(b"HTTP/1.1 200 OK\r\n", b"X", 0.05),
        "silent": silence,
        "closes": lambda connection, ended: None,
        "resets": reset,
        "cut off": plain(head("200 OK", "Content-Length: 1000") + YES),
        "no json": plain(whole(b"yes, please")),
        "no http": plain(b"\x15\x03\x01\x00\x02\x02\x46" * 100),
        "blank lines": flood(head(), blanks, 160),
        "gzip bomb": plain(whole(bomb, "Content-Encoding: gzip")),
        "broken gzip": plain(whole(YES, "Content-Encoding: gzip")),
    }


@pytest.fixture
def bad(receiver):
    """The hosts, and the inbox to which the redirects point."""
    elsewhere = receiver.inbox()
    elsewhere.say(YES)
    made = {name: RawHost(behave) for name, behave in hosts(elsewhere.url).items()}
    yield made, elsewhere
    for host in made.values():
        host.close()


def prompt(work, limit: float = 5) -> float:
    """Does something and gives the seconds it took, which must be few."""
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    assert took < limit, f"{took:.1f} s"
    return took


def test_no_host_holds_anything_up(own_stage, receiver, tmp_path, bad):
    made, elsewhere = bad
    good = own_stage()
    server = good.server
    process = Process(server.process.pid)
    good.rule("mp4", "flv", DelayTime=15)
    good.notify()
    neighbour = good.publisher("neighbour")
    neighbour.push(5)
    process.forget_peak()
    before = process.memory()

    stages = {}
    asking = {}
    for name, host in made.items():
        stage = Stage(server, receiver, tmp_path)
        stage.rule("mp4", OnDemand=1, DelayTime=15)
        stage.notify(OnDemandUrl=host.url, NeedStatusNotify=True)
        stages[name] = stage
        asking[name] = stage.publisher()
    # The clock stands: every host has its first question, and the streams run past it.
    slowest = max(prompt(lambda: publisher.push(4)) for publisher in [*asking.values(), neighbour])
    wait_for(lambda: all(host.asked for host in made.values()), what="a question to every host")

    def every_attempt() -> bool:
        server.advance(3)
        for publisher in [*asking.values(), neighbour]:
            prompt(lambda: publisher.push(1))
        return all(host.asked >= ATTEMPTS for host in made.values())

    wait_for(every_attempt, 60, "six attempts each")
    for name, stage in stages.items():
        assert server.is_live(*asking[name].key), name
        stage.end(asking[name])
    good.end(neighbour)
    server.advance(200)
    peak = process.peak() - before
    print(f"{len(made)} hosts: slowest push {slowest:.2f} s, peak memory {peak / MEGABYTE:+.0f} MB")
    assert peak < 100 * MEGABYTE
    assert {name: host.asked for name, host in made.items()} == dict.fromkeys(made, ATTEMPTS)
    assert elsewhere.requests == []
    for name, stage in stages.items():
        assert stage.bucket.keys() == [] and stage.inbox.bodies() == [], name
    source = tmp_path / "source.flv"
    source.write_bytes(neighbour.sent_flv())
    for event in good.wait_files(2):
        file = good.fetch(event["uri"])
        for track in "va":
            assert probe.payloads(file, track) == probe.payloads(source, track)


def test_an_answer_in_gzip_counts(stage):
    """The product's client asks for gzip, so a host may send it."""
    host = RawHost(plain(whole(packed(YES), "Content-Encoding: gzip")))
    try:
        stage.rule("mp4", OnDemand=1, DelayTime=15)
        stage.notify(OnDemandUrl=host.url)
        stage.push(6)
        stage.advance(16)
        stage.wait_files(1)
        assert host.asked == 1
    finally:
        host.close()
