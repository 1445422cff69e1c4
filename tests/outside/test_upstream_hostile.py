"""Upstreams that are slow, endless, broken or somebody else: the caller gets the product's error, and nobody else notices."""

import gzip
import json
import socket
import threading
import time
import zlib

import pytest
from harness.api import Api
from harness.process import Process
from harness.server import Server
from harness.wait import wait_for
from upstreams import Told, answer, certificate, context, forwarding, saying

DOMAIN = "play.example.com"
# src/upstream/forward.rs: forwarded calls under way at a time.
AT_ONCE = 32
MIB = 1 << 20


def asked(server: Server, form: str = "JSON") -> tuple[int, str, float]:
    """One forwarded call: status, body, seconds."""
    api = Api(server.api)
    flat = api.signed("DescribeLiveSnapshotConfig", DomainName=DOMAIN, Format=form)
    from urllib.parse import urlencode

    began = time.monotonic()
    status, _, body = api.send("GET", "/?" + urlencode(flat))
    return status, body.decode(), time.monotonic() - began


def unavailable(server: Server, cause: str) -> float:
    """The call fails as the product says it, in both forms, with the cause in brackets."""
    status, body, took = asked(server)
    said = json.loads(body)
    assert (status, said["Code"]) == (503, "ServiceUnavailable"), body
    assert cause in said["Message"] and said["Message"].endswith(")"), said
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

CASES = {
    "an endless body": (endless(answer(b"", length=1 << 40), b" " * 65536), "larger than 4194304 bytes"),
    "an endless body in chunks": (
        endless(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
        "larger than 4194304 bytes",
    ),
    "an endless body to the end of the connection": (endless(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" " * 65536), "larger than 4194304 bytes"),
    "endless headers": (endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"), "the answer broke off"),
    "a packed bomb": (saying(packed(BOMB, "gzip")), "larger than 4194304 bytes"),
    "a bomb of another packing": (saying(packed(zlib.compress(b" " * MIB), "deflate")), "packed as deflate"),
    "packed twice": (saying(packed(gzip.compress(gzip.compress(b"{}")), "gzip, gzip")), "packed as gzip, gzip"),
    "packed wrongly": (saying(packed(b"{}", "gzip")), "the answer broke off"),
    "a redirect": (saying(answer(b"{}", "302 Found", more=("Location: http://127.0.0.1:9/",))), "redirect 302"),
    "a redirect that keeps the method": (saying(answer(b"{}", "307 Temporary Redirect", more=("Location: /",))), "redirect 307"),
    "a page": (saying(HTML), "text/html, neither JSON nor XML"),
    "no content type": (saying(answer(b"{}", kind="")), "neither JSON nor XML"),
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
        assert cause in entry["upstream"]["failure"] and entry["verdict"] == "failed", entry


@pytest.mark.parametrize("act", [silent, dripping], ids=["silent", "dripping"])
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
