"""The object store's connections: small answers at once, and what came whole is stored though its sender is gone."""

import contextlib
import fcntl
import os
import re
import socket
import statistics
import struct
import subprocess
import termios
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode, urlsplit

import pytest
import requests
from harness.server import Server
from harness.wait import wait_for

ROUNDS = int(os.environ.get("STORE_ROUNDS", "120"))


def signed(stage, operation: str, key: str) -> tuple[str, int, str]:
    """Host, port and target of a signed request."""
    url = stage.s3.generate_presigned_url(operation, Params={"Bucket": stage.bucket.name, "Key": key}, ExpiresIn=3600)
    parts = urlsplit(url)
    return parts.hostname, parts.port, f"{parts.path}?{parts.query}"


def head(method: str, target: str, host: str, port: int, *more: str) -> bytes:
    """The head of a request."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}:{port}", *more, "", ""]).encode()


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        piece = connection.recv(65536)
        assert piece, buffer
        buffer += piece
    top, _, body = buffer.partition(b"\r\n\r\n")
    status = int(top.split()[1])
    length = re.search(rb"(?i)content-length: (\d+)", top)
    wanted = int(length[1]) if length and status >= 200 else 0
    while len(body) < wanted:
        piece = connection.recv(65536)
        assert piece, body
        body += piece
    return status, body


@pytest.mark.parametrize("size", [1, 1000, 20_000])
def test_a_small_get_waits_for_no_acknowledgement(stage, size):
    """The head and the body of an answer leave together; in two writes the second waited 40 ms for a delayed acknowledgement, in every
    second answer. Each read is held against a HEAD beside it, and of three rounds the best counts, since other work slows both down."""
    body = os.urandom(size)
    stage.s3.put_object(Bucket=stage.bucket.name, Key="small", Body=body)
    host, port, get_target = signed(stage, "get_object", "small")
    _, _, head_target = signed(stage, "head_object", "small")

    def seconds(connection: socket.socket, request: bytes, wanted: bytes | None) -> float:
        began = time.perf_counter()
        connection.sendall(request)
        if wanted is None:
            top = b""
            while b"\r\n\r\n" not in top:
                top += connection.recv(65536)
        else:
            assert answer(connection) == (200, wanted)
        return time.perf_counter() - began

    def extra() -> float:
        with socket.create_connection((host, port), timeout=10) as reads, socket.create_connection((host, port), timeout=10) as heads:
            pairs = [
                (seconds(reads, head("GET", get_target, host, port), body), seconds(heads, head("HEAD", head_target, host, port), None))
                for _ in range(60)
            ]
        return statistics.mean(read - beside for read, beside in pairs)

    rounds = [extra() for _ in range(3)]
    assert min(rounds) < 0.015, rounds


def close_at_once(host: str, port: int, pieces: list[bytes], reset: bool) -> int:
    """Sends a request, and is gone before any answer as soon as the other machine has all of it; gives the port that it came from."""
    with socket.create_connection((host, port), timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        unsent = True
        while unsent:
            # Closing a socket with unread bytes in it throws away what is still to be sent.
            (unsent,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"0000"))
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return connection.getsockname()[1]


def still_served(port: int, clients: set[int]) -> list[str]:
    """The connections from these ports that the server has not closed yet (established, or closed by the other side alone)."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    number = lambda address: int(address.split(":")[1], 16)  # noqa: E731
    return [row[2] for row in rows if number(row[1]) == port and number(row[2]) in clients and row[3] in ("01", "08")]


def chunked(body: bytes) -> list[bytes]:
    """A body in chunks, as ffmpeg sends it."""
    step = 32 * 1024
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    return [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("form", ["length", "chunks"])
@pytest.mark.parametrize("size", [1000, 200_000, 2_000_000])
def test_a_body_that_came_whole_is_stored_though_its_sender_is_gone(stage, size, form, reset):
    """Each sender closes behind its last byte and hears no answer. Half of them ask for `100 Continue` and do not wait for it."""
    body = os.urandom(size)
    rounds = ROUNDS if size < 1_000_000 else ROUNDS // 6
    targets = [signed(stage, "put_object", f"gone/{number}") for number in range(rounds)]

    def put(number: int) -> None:
        host, port, target = targets[number]
        more = ["Transfer-Encoding: chunked"] if form == "chunks" else [f"Content-Length: {size}"]
        more += ["Expect: 100-continue"] if number % 2 else []
        pieces = [head("PUT", target, host, port, *more)] + (chunked(body) if form == "chunks" else [body])
        close_at_once(host, port, pieces, reset)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(rounds)))

    def stored() -> dict[str, int]:
        pages = stage.s3.get_paginator("list_objects_v2").paginate(Bucket=stage.bucket.name, Prefix="gone/")
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}

    with contextlib.suppress(AssertionError):
        wait_for(lambda: len(stored()) == rounds, 20)
    assert len(stored()) == rounds
    assert set(stored().values()) == {size}


def test_a_body_that_broke_off_is_not_stored(stage):
    """The other side of it: half a body is no object."""
    clients = set()
    for number in range(20):
        host, port, target = signed(stage, "put_object", f"half/{number}")
        body = [b"8\r\n12345678\r\n"] if number % 2 else [b"12345678"]
        more = "Transfer-Encoding: chunked" if number % 2 else "Content-Length: 9"
        clients.add(close_at_once(host, port, [head("PUT", target, host, port, more), *body], reset=bool(number % 3)))
    wait_for(lambda: still_served(port, clients) == [], what="the server to be done with all")
    assert stage.s3.list_objects_v2(Bucket=stage.bucket.name, Prefix="half/")["KeyCount"] == 0
    host, port, target = signed(stage, "put_object", "half/told")
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(head("PUT", target, host, port, "Content-Length: 9") + b"12345678")
        connection.shutdown(socket.SHUT_WR)
        status, document = answer(connection)
    assert (status, b"<Code>IncompleteBody</Code>" in document) == (400, True)


def test_what_ffmpeg_puts_as_hls_is_all_there(tmp_path):
    """ffmpeg closes each connection behind its last chunk."""
    with Server("--auth", "off") as server:
        bucket = f"{server.oss}/hls"
        subprocess.run(["curl", "-sf", "-X", "PUT", bucket], check=True)
        source = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=60", "-f", "lavfi", "-i", "sine=d=60"]
        coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac"]
        output = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "-method", "PUT", f"{bucket}/live/index.m3u8"]
        command = ["ffmpeg", "-hide_banner", "-loglevel", "error", *source, *coding, *output]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        playlist = subprocess.run(["curl", "-sf", f"{bucket}/live/index.m3u8"], capture_output=True, text=True, check=True).stdout
        assert "#EXT-X-ENDLIST" in playlist
        names = [line for line in playlist.splitlines() if line and not line.startswith("#")]
        assert len(names) == 60
        for name in names:
            file = tmp_path / name
            subprocess.run(["curl", "-sf", "-o", str(file), f"{bucket}/live/{name}"], check=True)
            assert file.stat().st_size % 188 == 0 and file.stat().st_size > 0, name


def test_of_two_lengths_the_coding_wins(stage):
    """ali-oss sends Content-Length and Transfer-Encoding together (RFC 9112 section 6.3)."""
    host, port, target = signed(stage, "put_object", "both")
    with socket.create_connection((host, port), timeout=10) as connection:
        for length in (5, 500):
            request = head("PUT", target, host, port, f"Content-Length: {length}", "Transfer-Encoding: chunked")
            connection.sendall(request + b"5\r\nhello\r\n0\r\n\r\n")
            status, document = answer(connection)
            assert status == 200, document
            # The connection ends, since somebody in between may have counted otherwise.
            assert connection.recv(1) == b""
            connection.close()
            assert stage.s3.get_object(Bucket=stage.bucket.name, Key="both")["Body"].read() == b"hello"
            connection = socket.create_connection((host, port), timeout=10)
        connection.close()


def test_a_body_is_asked_for_when_the_head_is_good(stage):
    """`100 Continue` comes only when the signature, the bucket and the conditions hold; a refusal comes in its place, and at once."""
    host, port, target = signed(stage, "put_object", "asked")
    expects = ["Content-Length: 5", "Expect: 100-continue"]

    def first(target: str, *more: str) -> tuple[int, bytes, float]:
        with socket.create_connection((host, port), timeout=10) as connection:
            began = time.perf_counter()
            connection.sendall(head("PUT", target, host, port, *expects, *more))
            status, body = answer(connection)
            if status == 100:
                connection.sendall(b"hello")
                status, body = answer(connection)
                assert status == 200, body
                return 100, body, time.perf_counter() - began
            return status, body, time.perf_counter() - began

    assert first(target)[0] == 100
    assert stage.s3.get_object(Bucket=stage.bucket.name, Key="asked")["Body"].read() == b"hello"
    forged = re.sub(r"Signature=.{8}", "Signature=00000000", target)
    for refused, code in [
        (first(forged), b"SignatureDoesNotMatch"),
        (first(target, "If-None-Match: *"), b"PreconditionFailed"),
        (first(target, "Content-MD5: nonsense"), b"InvalidDigest"),
    ]:
        status, body, seconds = refused
        assert (status >= 400, code in body) == (True, True), refused
        assert seconds < 4, "it waited for a body that nobody asked for"


def answers(methods: str, address: tuple[str, int], heads: list[bytes]) -> list[tuple[int, bytes]]:
    """Status and body of the answers to requests that leave in one packet; `methods` says for each whether it is a HEAD."""
    got = []
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"".join(heads))
        stream = connection.makefile("rb")
        for method in methods.split():
            top = b""
            while not top.endswith(b"\r\n\r\n"):
                line = stream.readline()
                assert line, (got, top)
                top += line
            length = re.search(rb"(?i)content-length: (\d+)", top)
            got.append((int(top.split()[1]), stream.read(int(length[1])) if length and method != "HEAD" else b""))
        connection.shutdown(socket.SHUT_WR)
        assert stream.read() == b"", "more than was asked for"
    return got


@pytest.mark.parametrize("methods", ["GET HEAD", "HEAD GET", "GET GET HEAD", "HEAD GET HEAD GET GET", "GET HEAD GET HEAD"])
@pytest.mark.parametrize("size", [0, 50, 300_000])
def test_each_of_several_requests_in_one_packet_has_its_own_answer(stage, methods, size):
    """Whether an answer has a body is for its own request to say, not for one that came behind it."""
    body = os.urandom(size)
    stage.s3.put_object(Bucket=stage.bucket.name, Key="one", Body=body)
    heads = {}
    for method, operation in (("GET", "get_object"), ("HEAD", "head_object")):
        host, port, target = signed(stage, operation, "one")
        heads[method] = head(method, target, host, port)
    got = answers(methods, (host, port), [heads[method] for method in methods.split()])
    assert got == [(200, body if method == "GET" else b"") for method in methods.split()]


def test_a_put_and_reads_behind_it_in_one_packet(stage):
    host, port, target = signed(stage, "put_object", "new")
    put = head("PUT", target, host, port, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"
    reads = [head("HEAD", signed(stage, "head_object", "new")[2], host, port), head("GET", signed(stage, "get_object", "new")[2], host, port)]
    assert answers("PUT HEAD GET", (host, port), [put, *reads]) == [(200, b""), (200, b""), (200, b"hello")]


def test_the_play_port_keeps_answers_apart(stage):
    """The same where streams are played: answers to HEAD have no body, those to GET have theirs."""
    at = urlsplit(stage.server.play)
    heads = [head(method, "/live/nothing.flv", at.hostname, at.port) for method in ("HEAD", "GET", "HEAD")]
    got = answers("HEAD GET HEAD", (at.hostname, at.port), heads)
    assert [status for status, _ in got] == [404, 404, 404]
    assert [bool(body) for _, body in got] == [False, True, False]


@pytest.mark.parametrize("target", ["/_localyun/live", "/_localyun/streams", "/?Action=Nothing"])
def test_the_api_keeps_answers_apart(stage, target):
    """The same at the API, the control plane included, though most of its answers are there before the next request is read."""
    at = urlsplit(stage.server.api)
    for methods in ("GET GET HEAD", "HEAD GET GET HEAD", "GET HEAD GET"):
        got = answers(methods, (at.hostname, at.port), [head(method, target, at.hostname, at.port) for method in methods.split()])
        assert len({status for status, _ in got}) == 1
        assert [bool(body) for _, body in got] == [method == "GET" for method in methods.split()], methods


def test_an_answer_with_the_length_of_an_object_and_no_body_is_for_head_alone(stage):
    """`?objectMeta` by GET announced bytes that never came, so the connection was closed over it without an answer."""
    at = urlsplit(stage.server.oss)
    stage.s3.put_bucket_acl(Bucket=stage.bucket.name, ACL="public-read")
    for size in (0, 1, 5000):
        stage.s3.put_object(Bucket=stage.bucket.name, Key="meta", Body=os.urandom(size))
        request = head("GET", f"/{stage.bucket.name}/meta?objectMeta", at.hostname, at.port)
        assert answers("GET GET", (at.hostname, at.port), [request, request]) == [(200, b""), (200, b"")]
        told = requests.head(f"{stage.server.oss}/{stage.bucket.name}/meta?objectMeta", timeout=20)
        assert (told.status_code, told.headers["Content-Length"]) == (200, str(size))


@pytest.mark.parametrize("broken", ["4\r\nabcd\r\nzz\r\n", "-1\r\n", "0x4\r\nabcd\r\n", "FFFFFFFFFFFFFFFFF\r\n", "4\r\nabcd4\r\nabcd\r\n0\r\n\r\n"])
def test_a_body_in_broken_chunks_is_refused_with_a_document(stage, broken):
    host, port, target = signed(stage, "put_object", "broken")
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(head("PUT", target, host, port, "Transfer-Encoding: chunked") + broken.encode())
        status, document = answer(connection)
        assert (status, b"<Code>IncompleteBody</Code>" in document) == (400, True), document
        assert connection.recv(1) == b"", "the connection goes on behind bytes that nobody can tell apart"
    assert "Contents" not in stage.s3.list_objects_v2(Bucket=stage.bucket.name, Prefix="broken")


@pytest.mark.parametrize("more", [("CONNECT", "h:80"), ("GET", "/", "Connection: upgrade", "Upgrade: websocket")])
def test_another_protocol_is_not_waited_for(stage, more):
    """Behind `CONNECT` and `Upgrade` comes no body, and no end of one."""
    at = urlsplit(stage.server.oss)
    method, target, *fields = more
    with socket.create_connection((at.hostname, at.port), timeout=10) as connection:
        began = time.perf_counter()
        connection.sendall(head(method, target, at.hostname, at.port, *fields))
        status, document = answer(connection)
        assert status in (403, 405), document
        assert time.perf_counter() - began < 3
        assert connection.recv(1) == b""


def test_an_api_call_that_came_whole_is_done_though_its_caller_is_gone(stage):
    """The same at the API: every rule whose call was sent whole is there."""
    count = 60
    threads = []
    host, port = urlsplit(stage.server.api).hostname, urlsplit(stage.server.api).port
    for number in range(count):
        parameters = stage.rule_parameters([{"Format": "mp4"}], app=f"app{number}")
        target = "/?" + urlencode(stage.api.signed("AddLiveAppRecordConfig", **parameters), quote_via=quote)
        pieces = [head("GET", target, host, port)]
        threads.append(threading.Thread(target=close_at_once, args=(host, port, pieces, bool(number % 2))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def there() -> int:
        return stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain, PageSize=30)["TotalNum"]

    with contextlib.suppress(AssertionError):
        wait_for(lambda: there() == count, 20)
    assert there() == count
