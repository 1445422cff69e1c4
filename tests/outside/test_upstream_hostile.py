"""Upstreams that are slow, endless, broken or somebody else: the caller gets the product's error, and nobody else notices."""

import gzip
import json
import socket
import subprocess
import threading
import time
import zlib
from urllib.parse import urlencode

import pytest
from harness.api import Api
from harness.process import Process
from harness.server import Server, binary, clean_environment
from harness.wait import wait_for
from upstreams import KEY, SECRET, Told, answer, certificate, context, forwarding, saying

DOMAIN = "play.example.com"
# src/edge/upstream/forward.rs: forwarded calls under way at a time.
AT_ONCE = 32
MIB = 1 << 20


def asked(server: Server, form: str = "JSON") -> tuple[int, str, float]:
    """One forwarded call: status, body, seconds."""
    api = Api(server.api)
    flat = api.signed("DescribeLiveSnapshotConfig", DomainName=DOMAIN, Format=form)
    began = time.monotonic()
    status, _, body = api.send("GET", "/?" + urlencode(flat))
    return status, body.decode(), time.monotonic() - began


def names(cause: str | tuple[str, ...], message: str) -> bool:
    """Whether the message names the cause, or one of several that timing chooses from."""
    return any(one in message for one in ((cause,) if isinstance(cause, str) else cause))


def unavailable(server: Server, cause: str | tuple[str, ...]) -> float:
    """The call fails as the product says it, in both forms, with the cause in brackets."""
    status, body, took = asked(server)
    said = json.loads(body)
    assert (status, said["Code"]) == (503, "ServiceUnavailable"), body
    assert names(cause, said["Message"]) and said["Message"].endswith(")"), said
    assert said["RequestId"] and said["HostId"]
    status, body, _ = asked(server, "XML")
    assert status == 503 and body.startswith("<?xml") and "<Code>ServiceUnavailable</Code>" in body, body
    return took


def endless(head: bytes, piece: bytes):
    """Sends pieces until the other side has had enough."""

    def act(peer: socket.socket, _: bytes) -> None:
        peer.sendall(head)
        while True:
            peer.sendall(piece)

    return act


def dripping(peer: socket.socket, _: bytes) -> None:
    """A byte now and then."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        peer.sendall(b" ")
        time.sleep(0.2)


def silent(peer: socket.socket, _: bytes) -> None:
    """Nothing at all."""
    peer.settimeout(60)
    peer.recv(1)


def packed(body: bytes, encoding: str) -> bytes:
    return answer(body, more=(f"Content-Encoding: {encoding}",))


BOMB = gzip.compress(b'{"RequestId":"' + b"0" * (64 * MIB) + b'"}', 9)
HTML = answer(b"<html>Sign in to the hotel's network</html>", kind="text/html")

# Only the first member is unpacked. What follows it is told as an error when it comes in a later read than the first one did, and
# is dropped with the connection when it came in the same.
MEMBERS = ("the answer broke off", "no whole JSON document")
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
# Its settings, and that it goes away since what it got was no preface.
HTTP2 = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(7) + b"\x01"

CASES = {
    "an endless body": (endless(answer(b"", length=1 << 40), b" " * 65536), "larger than 4194304 bytes"),
    "an endless body in chunks": (
        endless(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
        "larger than 4194304 bytes",
    ),
    "an endless body to the end of the connection": (endless(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" " * 65536), "larger than 4194304 bytes"),
    "endless headers": (endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"), "the answer broke off"),
    "a hundred thousand headers": (saying(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n{}"), "the answer broke off"),
    "a header that is passed on and large": (saying(answer(b"{}", more=("X-Localyun-Note: " + "a" * 100_000,))), "the headers of the answer are larger than 16384 bytes"),
    "headers that are passed on and many": (saying(answer(b"{}", more=("X-Localyun-Note: " + "a" * 300,) * 90)), "the headers of the answer are larger than 16384 bytes"),
    "endless words behind a chunk's length": (endless(CHUNKED + b"2;", b"a" * 1000), "the answer broke off"),
    "endless headers behind the last chunk": (endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"), "the answer broke off"),
    "a chunk of no possible length": (saying(CHUNKED + b"fffffffffffffffff\r\n{}"), "the answer broke off"),
    "a chunk of no length": (saying(CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n"), "the answer broke off"),
    "two lengths": (saying(answer(b"{}", more=("Content-Length: 7",))), "the answer broke off"),
    "a length below zero": (saying(answer(b"{}", length=-2)), "the answer broke off"),
    "another protocol is gone over to": (saying(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"), "status 101"),
    "HTTP/2 alone": (saying(HTTP2, close=True), "the answer broke off"),
    "no head at all": (saying(b'{"RequestId":"A"}', close=True), "the answer broke off"),
    "Brotli": (saying(packed(b"\x0b\x01\x80{}\x03", "br")), "packed as br"),
    "Zstandard": (saying(packed(b"\x28\xb5\x2f\xfd\x04\x00\x11\x00\x00{}", "zstd")), "packed as zstd"),
    "a bomb of many members": (saying(packed(gzip.compress(b" " * MIB) * 64, "gzip")), MEMBERS),
    "a packed bomb": (saying(packed(BOMB, "gzip")), "larger than 4194304 bytes"),
    "a bomb of another packing": (saying(packed(zlib.compress(b" " * MIB), "deflate")), "packed as deflate"),
    "packed twice": (saying(packed(gzip.compress(gzip.compress(b"{}")), "gzip, gzip")), "packed as gzip, gzip"),
    "packed wrongly": (saying(packed(b"{}", "gzip")), "the answer broke off"),
    "a redirect": (saying(answer(b"{}", "302 Found", more=("Location: http://127.0.0.1:9/",))), "redirect 302"),
    "a redirect that keeps the method": (saying(answer(b"{}", "307 Temporary Redirect", more=("Location: /",))), "redirect 307"),
    "a page": (saying(HTML), "text/html, neither JSON nor XML"),
    "no content type": (saying(answer(b"{}", kind="")), "neither JSON nor XML"),
    "JSON that is no text": (saying(answer(b'{"RequestId":"A","B":"\xff"}')), "no whole JSON document"),
    "JSON that is none": (saying(answer(b"<html></html>")), "no whole JSON document"),
    "XML that is none": (saying(answer(b"{}", kind="text/xml")), "no whole XML document"),
    "half an answer": (saying(answer(b'{"RequestId":', length=1000), close=True), "the answer broke off"),
    "half an answer to the end of the connection": (saying(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"RequestId":"A', close=True), "no whole JSON document"),
    "a length that is too short": (saying(answer(b'{"RequestId":"A"}', length=5), close=True), "no whole JSON document"),
    "half a chunk": (saying(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{}", close=True), "the answer broke off"),
    "an empty answer": (saying(answer(b"")), "no whole JSON document"),
    "no answer, the end": (saying(b"", close=True), "the answer broke off"),
    "another protocol": (saying(b"220 mail.example.com ESMTP\r\n", close=True), "the answer broke off"),
    "a status without a body": (saying(b"HTTP/1.1 204 No Content\r\n\r\n"), "neither JSON nor XML"),
    "a status that is none": (saying(answer(b"{}", "999 Odd")), "status 999"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_caller_gets_the_products_error(case):
    act, cause = CASES[case]
    with Told(act) as told, Server(*forwarding(told.url, "unimplemented", "--upstream-timeout", "20s")) as server:
        process = Process(server.process.pid)
        asked(server)
        before = process.memory()
        process.forget_peak()
        unavailable(server, cause)
        assert process.peak() - before < 40 * MIB
        # What localyun answers itself is as it was.
        assert Api(server.api).call("DescribeLiveRecordConfig", DomainName=DOMAIN)["TotalNum"] == 0
        entry = server.rows("/_localyun/requests?limit=3", "requests")[1]
        assert names(cause, entry["upstream"]["failure"]) and entry["verdict"] == "failed", entry


def dripping_headers(peer: socket.socket, _: bytes) -> None:
    """A header now and then."""
    peer.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(1000):
        peer.sendall(b"X-%d: a\r\n" % number)
        time.sleep(0.2)


@pytest.mark.parametrize("act", [silent, dripping, dripping_headers], ids=["silent", "dripping", "dripping headers"])
def test_a_slow_one_is_given_its_time_and_holds_nobody_up(act):
    with Told(act) as told, Server(*forwarding(told.url, "unimplemented", "--upstream-timeout", "2s")) as server:
        # More at once than may be under way, and each ends by its own deadline.
        took: list[float] = []
        threads = [threading.Thread(target=lambda: took.append(asked(server)[2])) for _ in range(80)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(told.requests) >= AT_ONCE, 20, "as many calls as may be under way")
        began = time.monotonic()
        for _ in range(20):
            Api(server.api).call("DescribeLiveRecordConfig", DomainName=DOMAIN)
        others = time.monotonic() - began
        for thread in threads:
            thread.join(30)
        assert len(took) == 80 and max(took) < 8, max(took)
        assert others < 5, others
        assert 1.5 < unavailable(server, "no answer within 2000 ms") < 6


def test_news_without_an_end_are_given_their_time_and_no_more():
    is_release = "release" in str(binary())
    news = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * (1000 if is_release else 20)

    def act(peer: socket.socket, _: bytes) -> None:
        while True:
            peer.sendall(news)
            # A debug build reads them a hundred times more slowly, and its time would be over long before it knows.
            if not is_release:
                time.sleep(0.001)

    with Told(act) as told, Server(*forwarding(told.url, "unimplemented", "--upstream-timeout", "2s")) as server:
        process = Process(server.process.pid)
        asked(server)
        before = process.memory()
        process.forget_peak()
        calls = [threading.Thread(target=asked, args=(server,)) for _ in range(4)]
        for call in calls:
            call.start()
        began = time.monotonic()
        for _ in range(5):
            Api(server.api).call("DescribeLiveRecordConfig", DomainName=DOMAIN)
        others = time.monotonic() - began
        for call in calls:
            call.join(60)
        assert others < 5, others
        assert 1.5 < unavailable(server, "no answer within 2000 ms") < (6 if is_release else 20)
        assert process.peak() - before < 40 * MIB


def test_news_before_an_answer_are_no_answer():
    body = b'{"RequestId":"A"}'
    with Told(saying(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(body))) as told, Server(*forwarding(told.url)) as server:
        assert asked(server)[:2] == (200, body.decode())


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_nothing_goes_to_where_a_redirect_leads(status):
    with Told(saying(answer(b'{"RequestId":"A"}'))) as other:
        for place in (f"{other.url}/?Action=A", other.url.replace("127.0.0.1", "localhost"), f"//127.0.0.1:{other.port}/"):
            moved = saying(answer(b"{}", status, more=(f"Location: {place}", f"Refresh: 0; url={place}", f"Alt-Svc: h2=\"127.0.0.1:{other.port}\"")))
            with Told(moved) as told, Server(*forwarding(told.url)) as server:
                unavailable(server, f"redirect {status[:3]}, which is not followed")
        assert other.requests == []


def test_what_belongs_to_a_connection_or_to_a_browser_is_not_passed_on():
    """Headers of one hop, cookies and pages' permissions stop here, and a cookie is not sent back."""
    more = (
        "Set-Cookie: session=1; Domain=127.0.0.1", "Connection: X-Hop, keep-alive", "X-Hop: 1", "Keep-Alive: timeout=9", "Upgrade: h2c", "Proxy-Authenticate: Basic",
        "WWW-Authenticate: Basic", "Trailer: X-T", "Via: 1.1 x", "Location: http://127.0.0.1:9/", "Strict-Transport-Security: max-age=9", "Clear-Site-Data: *",
        "Access-Control-Allow-Credentials: true", "Content-Disposition: attachment", "X-Localyun-Upstream: somebody else", "X-Acs-Request-Id: A",
    )
    with Told(saying(answer(b'{"RequestId":"A"}', more=more))) as told, Server(*forwarding(told.url)) as server:
        api = Api(server.api)
        for _ in range(2):
            query = urlencode(api.signed("DescribeLiveSnapshotConfig", DomainName=DOMAIN))
            status, headers, _ = api.send("GET", f"/?{query}")
            assert status == 200
            got = {name.lower(): value for name, value in headers.items()}
            assert (got["x-localyun-upstream"], got["x-acs-request-id"]) == (told.url, "A")
            own = {"access-control-allow-origin", "access-control-expose-headers", "connection", "content-length", "content-type", "date", "server", "vary", "x-acs-request-id", "x-localyun-upstream"}
            assert set(got) <= own and got.get("connection") != "X-Hop, keep-alive", got
        assert len(told.requests) == 2
        assert all(b"cookie" not in request.lower() for request in told.requests)


def test_an_answer_that_nobody_asked_for_is_nobodys():
    """Bytes behind an answer on a kept connection are not taken for the next call's answer."""
    numbers = iter(range(1000))

    def act(peer: socket.socket, _: bytes) -> None:
        peer.sendall(answer(b'{"RequestId":"%d"}' % next(numbers)) + answer(b'{"RequestId":"planted"}'))

    with Told(act) as told, Server(*forwarding(told.url)) as server:
        said = [asked(server)[1] for _ in range(6)]
        assert all("planted" not in body for body in said), said
        assert len(told.requests) == 6


def test_an_answer_of_a_million_values_is_passed_on_and_takes_no_more_than_its_bytes(tmp_path):
    """Kept it would lie in memory as values, each of which takes dozens of bytes: it is passed on, and not kept."""
    body = b'{"RequestId":"A","L":[' + b"0," * 2_000_000 + b"0]}"
    with Told(saying(answer(body))) as told, Server(*forwarding(told.url, "all", "--cassette", str(tmp_path / "cassette"))) as server:
        process = Process(server.process.pid)
        asked(server)
        before = process.memory()
        process.forget_peak()
        got: list[int] = []
        calls = [threading.Thread(target=lambda: got.append(len(asked(server)[1]))) for _ in range(8)]
        for call in calls:
            call.start()
        for call in calls:
            call.join(120)
        assert got == [len(body)] * 8
        assert process.peak() - before < 150 * MIB, (process.peak() - before) / MIB
        assert list((tmp_path / "cassette").glob("*.json")) == []
        assert 'localyun_cassette_calls_total{result="lost"} 9' in server.control("GET", "/metrics")[1]
        assert "has more than 200000 values" in server.log_tail()


def relayed(to: str):
    """A proxy that takes the mark of those who passed a call on out of it."""
    port = int(to.rsplit(":", 1)[1])

    def act(peer: socket.socket, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"x-localyun-via", b"connection"))]
        with socket.create_connection(("127.0.0.1", port), 60) as onward:
            onward.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            while piece := onward.recv(65536):
                peer.sendall(piece)
        peer.shutdown(socket.SHUT_RDWR)

    return act


@pytest.mark.parametrize("scheme", [[], ["--v1"]], ids=["acs3", "v1"])
def test_a_way_back_here_ends_where_a_proxy_hides_it(scheme):
    """The mark in the header is lost; the nonce, which is signed, is not."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Told(relayed(f"http://127.0.0.1:{port}")) as proxy:
        flags = forwarding(proxy.url, "all", "--upstream-timeout", "5s")
        with Server(*flags, "--api-addr", f"127.0.0.1:{port}", "--access-keys", f"testid:testsecret,{KEY}:{SECRET}") as server:
            command = [str(binary()), "call", "DescribeLiveSnapshotConfig", f"DomainName={DOMAIN}", "--endpoint", server.api, *scheme]
            began = time.monotonic()
            done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60)
            assert done.returncode == 1
            assert "ServiceUnavailable" in done.stdout + done.stderr and "the call came back here" in done.stdout + done.stderr, done
            assert time.monotonic() - began < 4
            assert len(proxy.requests) == 1, len(proxy.requests)


def test_a_packed_answer_that_nobody_asked_for_is_unpacked_within_the_limit():
    body = b'{"RequestId":"R-1"}'
    with Told(saying(packed(gzip.compress(body), "gzip"))) as told, Server(*forwarding(told.url)) as server:
        assert asked(server)[:2] == (200, body.decode())
        assert b"accept-encoding: identity" in told.requests[0].lower()


def test_the_largest_answer_that_fits_is_passed_on():
    def act(peer: socket.socket, _: bytes) -> None:
        peer.sendall(answer(b'{"A":"' + b"x" * (size - 8) + b'"}'))

    with Told(act) as told, Server(*forwarding(told.url, "all", "--upstream-answer-limit", "100000")) as server:
        size = 100_000
        status, body, _ = asked(server)
        assert (status, len(body)) == (200, size)
        size += 1
        unavailable(server, "larger than 100000 bytes")


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Server(*forwarding(f"http://127.0.0.1:{port}")) as server:
        unavailable(server, "no connection: Connection refused")
    with Server(*forwarding("http://nobody.invalid")) as server:
        unavailable(server, "no connection")


def test_an_answer_that_repeats_the_key_is_not_passed_on():
    def act(peer: socket.socket, request: bytes) -> None:
        peer.sendall(answer(json.dumps({"RequestId": "R", "Echo": request.decode()}).encode()))

    with Told(act) as told, Server(*forwarding(told.url)) as server:
        unavailable(server, "the answer repeats the key")
        assert "planted" not in asked(server)[1]


class TestTls:
    def test_a_certificate_is_trusted_that_the_file_names_and_no_other(self, tmp_path):
        mine, other = (certificate(tmp_path, name) for name in ("mine", "other"))
        with Told(saying(answer(b"{}")), context(*mine)) as told:
            with Server(*forwarding(told.url, "all", "--upstream-ca-file", str(mine[0]))) as server:
                assert asked(server)[:2] == (200, "{}")
            with Server(*forwarding(told.url, "all", "--upstream-ca-file", str(other[0]))) as server:
                unavailable(server, "certificate")
            with Server(*forwarding(told.url)) as server:
                unavailable(server, "certificate")

    def test_one_that_is_over_is_refused(self, tmp_path):
        over = certificate(tmp_path, "over", past=True)
        with Told(saying(answer(b"{}")), context(*over)) as told:
            with Server(*forwarding(told.url, "all", "--upstream-ca-file", str(over[0]))) as server:
                unavailable(server, "certificate")

    def test_one_for_another_name_is_refused(self, tmp_path):
        for host in ("live.aliyuncs.com", "localhost", "127.0.0.1.example.com"):
            other = certificate(tmp_path, host, host=host)
            with Told(saying(answer(b"{}")), context(*other)) as told, Server(*forwarding(told.url, "all", "--upstream-ca-file", str(other[0]))) as server:
                unavailable(server, "certificate")
                assert told.requests == []

    def test_http_2_alone_by_tls(self, tmp_path):
        mine = certificate(tmp_path, "mine")
        only = context(*mine)
        only.set_alpn_protocols(["h2"])
        with Told(saying(HTTP2, close=True), only) as told, Server(*forwarding(told.url, "all", "--upstream-ca-file", str(mine[0]))) as server:
            unavailable(server, "the answer broke off")

    def test_a_handshake_without_an_end(self, tmp_path):
        mine = certificate(tmp_path, "mine")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            flags = forwarding(f"https://127.0.0.1:{listener.getsockname()[1]}", "unimplemented", "--upstream-ca-file", str(mine[0]), "--upstream-timeout", "2s")
            with Server(*flags) as server:
                assert 1.5 < unavailable(server, "no ") < 6

    def test_no_tls_where_some_is_wanted_and_the_other_way_round(self, tmp_path):
        mine = certificate(tmp_path, "mine")
        with Told(saying(answer(b"{}"))) as told, Server(*forwarding(told.url.replace("http:", "https:"), "all", "--upstream-timeout", "5s")) as server:
            unavailable(server, "no ")
        with Told(saying(answer(b"{}")), context(*mine)) as told, Server(*forwarding(told.url.replace("https:", "http:"))) as server:
            unavailable(server, "the answer broke off")

    def test_tls_that_breaks_off(self, tmp_path):
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                peer.recv(100)
                peer.sendall(b"\x16\x03\x03\x00\x05hello")
                peer.close()

        threading.Thread(target=serve, daemon=True).start()
        with Server(*forwarding(f"https://127.0.0.1:{listener.getsockname()[1]}")) as server:
            unavailable(server, "no connection")
        listener.close()
