"""Upstreams for the tests of the gateway: a second localyun, and servers that do what they are told, down to the byte."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from harness.server import Server

KEY, SECRET = "UPSTREAM-planted-id-01", "planted-upstream-secret-02"
# What must be found nowhere but at the upstream.
PLANTED = (KEY, SECRET)


def forwarding(to: str, mode: str = "all", *more: str, key: str = f"{KEY}:{SECRET}") -> tuple[str, ...]:
    """The flags of a gateway."""
    return ("--upstream", to, "--upstream-access-key", key, "--upstream-mode", mode, *more)


@contextlib.contextmanager
def pair(mode: str = "all", *more: str, upstream: tuple[str, ...] = ()) -> Iterator[tuple[Server, Server]]:
    """A gateway and the second localyun behind it, which knows the planted key alone."""
    with Server("--access-keys", f"{KEY}:{SECRET}", *upstream) as behind, Server(*forwarding(behind.api, mode, *more)) as gateway:
        yield gateway, behind


class Told:
    """A server that reads a request and does as `act` says with the connection, a thread each."""

    def __init__(self, act: Callable[[socket.socket, bytes], None], tls: ssl.SSLContext | None = None):
        self.act, self.tls = act, tls
        self.requests: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            if self.tls:
                peer = self.tls.wrap_socket(peer, server_side=True)
            while request := self._request(peer):
                self.requests.append(request)
                self.act(peer, request)
        with contextlib.suppress(OSError):
            peer.close()

    @staticmethod
    def _request(peer: socket.socket) -> bytes:
        whole = b""
        while b"\r\n\r\n" not in whole:
            piece = peer.recv(65536)
            if not piece:
                return b""
            whole += piece
        head, _, body = whole.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            piece = peer.recv(65536)
            if not piece:
                return b""
            body += piece
        return head + b"\r\n\r\n" + body

    def __enter__(self) -> "Told":
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.listener.close()


def answer(body: bytes, status: str = "200 OK", kind: str = "application/json", more: tuple[str, ...] = (), length: int | None = None) -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *more]
    if kind:
        lines.insert(1, f"Content-Type: {kind}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def saying(whole: bytes, close: bool = False) -> Callable[[socket.socket, bytes], None]:
    """Always the same answer."""

    def act(peer: socket.socket, _: bytes) -> None:
        peer.sendall(whole)
        if close:
            peer.shutdown(socket.SHUT_RDWR)

    return act


def certificate(folder: Path, name: str, past: bool = False, host: str | None = None) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, or for another host, and its key; one whose time is over where `past`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime.now(UTC) - timedelta(days=400 if past else 1)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), begins, begins + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) if host else x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


def context(cert: Path, key: Path) -> ssl.SSLContext:
    """TLS with that certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cert, key)
    return made
