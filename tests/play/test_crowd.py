"""Many viewers, slow viewers, viewers that read nothing: nobody waits for them."""

import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from harness.clip import VIDEO, read_tags
from harness.process import Process
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for
from players import Live, Push, address, ask, elementary, is_frame, play_in_background

IDLE = 400
# Each has a connection and a place on the tape, some KiB. All ask at once, and the heap still holds what the web framework had for each until then.
KIBIBYTES_EACH = 100


def stand(url: str, count: int) -> list[socket.socket]:
    """Players that ask and then read nothing."""
    parts = urlsplit(url)
    request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    sockets = []
    for _ in range(count):
        connection = socket.socket()
        # So small that a second of the stream does not fit.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((parts.hostname, parts.port))
        connection.sendall(request)
        sockets.append(connection)
    return sockets


@pytest.fixture
def own(receiver, tmp_path):
    """A stage on a server of its own."""
    with Server() as server:
        yield Stage(server, receiver, tmp_path)


def viewers(stage: Stage) -> int:
    """How many watch `s1`."""
    return next((row["viewers"] for row in stage.server.streams() if row["domain"] == stage.domain), 0)


def test_who_reads_nothing_holds_nobody(own, tmp_path):
    own.rule("mp4", DelayTime=15)
    own.notify()
    push = Push(own.server, own.domain).run(9)
    wait_for(lambda: own.server.is_live(own.domain, "live", "s1"), 5, "the stream to be live")
    url = address(own.server, "flv", own.domain)
    file = tmp_path / "good.flv"
    good = play_in_background(url, file)
    wait_for(lambda: viewers(own) == 1, 2, "a viewer from the start")
    process = Process(own.server.process.pid)
    before = process.memory()
    idle = stand(url, IDLE)
    # One takes a byte a second.
    dripping = threading.Event()

    def drip() -> None:
        while not dripping.wait(1):
            idle[0].recv(1)

    thread = threading.Thread(target=drip)
    thread.start()
    wait_for(lambda: viewers(own) == IDLE + 1, 10, f"{IDLE + 1} viewers")
    late = Live(url, 2).run()
    pictures = [(at, tag) for at, tag in late.tags if tag.kind == VIDEO and is_frame(tag)]
    assert pictures[0][0] - late.asked < 1
    grown = (process.memory() - before) / 1024
    assert grown < IDLE * KIBIBYTES_EACH, f"{grown / IDLE:.0f} KiB a player"
    push.join()
    dripping.set()
    thread.join()
    # Who watched all along has everything, and so has the recording.
    assert good.wait(20) == 0
    assert elementary(list(read_tags(file.read_bytes()))) == elementary(push.publisher.sent)
    for connection in idle:
        connection.close()
    own.server.advance(60)
    files = own.wait_files(1)
    assert abs(float(files[0]["duration"]) - 9) < 0.2, files
    metrics = own.server.get("/metrics")
    assert 'localyun_viewers{player="flv"} 0' in metrics, [line for line in str(metrics).splitlines() if "viewers" in line]


def test_a_slow_viewer_skips_to_a_key_frame(own):
    """The stream is pushed so fast that a reader of 50 KB/s falls behind at once."""
    push = Push(own.server, own.domain).run(240, speed=12)
    wait_for(lambda: own.server.is_live(own.domain, "live", "s1"), 5, "the stream to be live")
    parts = urlsplit(address(own.server, "flv", own.domain))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(5)
        slow.connect((parts.hostname, parts.port))
        slow.sendall(f"GET {parts.path}?{parts.query} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        began, held = time.monotonic(), b""
        skips = lambda: float(next(line.split()[1] for line in str(own.server.get("/metrics")).splitlines() if line.startswith("localyun_play_skips_total")))
        while time.monotonic() - began < 15 and skips() < 1:
            held += slow.recv(2048)
            time.sleep(0.04)
        assert skips() >= 1
        # What it gets then is whole again: it reads on as fast as it can.
        while time.monotonic() - began < 18:
            piece = slow.recv(65536)
            if not piece:
                break
            held += piece
    push.stop()
    head, body = held.split(b"\r\n\r\n", 1)
    # HTTP/1.0 knows no chunks.
    assert b"chunked" not in head.lower() and body.startswith(b"FLV")
    at, stamps = 13, []
    while len(body) >= at + 15:
        size = int.from_bytes(body[at + 1 : at + 4], "big")
        assert body[at] in (8, 9, 18), "tags follow each other without a break"
        stamps.append((body[at + 7] << 24 | int.from_bytes(body[at + 4 : at + 7], "big"), body[at], body[at + 11] if size else 0))
        at += 15 + size
    jumps = [(one, two) for one, two in zip(stamps, stamps[1:]) if two[0] - one[0] > 1000]
    assert jumps, "something was left out"
    for _, (stamp, _, _) in jumps:
        behind = [first for time_, kind, first in stamps if time_ >= stamp and kind == 9]
        assert behind[0] >> 4 == 1, "a key frame comes first"


def test_who_takes_a_byte_a_second_is_dropped(own):
    """The stream is pushed so fast that what the kernel holds for a player is full at once; then it has 20 s."""
    push = Push(own.server, own.domain).run(600, speed=12)
    wait_for(lambda: own.server.is_live(own.domain, "live", "s1"), 5, "the stream to be live")
    (dripped,) = stand(address(own.server, "flv", own.domain), 1)
    dripped.settimeout(5)
    wait_for(lambda: viewers(own) == 1, 5, "the player to be let in")
    began, taken = time.monotonic(), 0
    while viewers(own) and time.monotonic() - began < 50:
        taken += len(dripped.recv(1))
        time.sleep(1)
    lasted = time.monotonic() - began
    push.stop()
    dripped.close()
    assert 18 < lasted < 45 and taken > 15, (lasted, taken)


def test_viewers_that_come_and_go_leave_nothing(own):
    push = Push(own.server, own.domain).run(12)
    wait_for(lambda: own.server.is_live(own.domain, "live", "s1"), 5, "the stream to be live")
    url = address(own.server, "flv", own.domain)
    process = Process(own.server.process.pid)

    def round_of(count: int) -> None:
        sockets = stand(url, count)
        for connection in sockets:
            connection.settimeout(5)
            connection.recv(100)
            connection.close()

    # What is kept of the stream has grown to its bound before the first look, and so has what the heap holds for a crowd.
    for _ in range(4):
        round_of(200)
    wait_for(lambda: viewers(own) == 0, 10, "all to be gone")
    first = process.memory()
    for _ in range(8):
        round_of(200)
    wait_for(lambda: viewers(own) == 0, 10, "all to be gone")
    assert process.memory() - first < 12 << 20
    assert ask(url)[0] == 200
    push.stop()
