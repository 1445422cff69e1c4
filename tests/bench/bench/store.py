"""The object store: small reads on a kept connection, and a flat folder of many objects listed page by page."""

import base64
import hashlib
import hmac
import json
import re
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

from harness.server import Server

from . import own, procs

# Small enough for head and body to lie in one packet.
SMALL = 1000
READS = 3000
PAGE = 1000
CONNECTIONS = 32
# What a small read may take, in milliseconds, and as a multiple of HEAD.
P50_MS, P99_MS, TIMES_HEAD = 1.0, 3.0, 2.0
# A listing is linear when an object of the large folder costs no more than this times one of the small folder.
LINEAR = 1.5
KEY = re.compile(rb"<Key>([^<]*)</Key>")


@dataclass
class Listing:
    """A folder listed to its end: CPU of the server and time over all pages."""

    objects: int
    pages: int
    cpu: float
    seconds: float

    @property
    def us_each(self) -> float:
        """Microseconds of the server's CPU an object."""
        return self.cpu / self.objects * 1e6


@dataclass
class Store:
    """Times of small reads in milliseconds, by method: median and 99th of a hundred; and two listings."""

    head: tuple[float, float]
    get: tuple[float, float]
    listings: list[Listing]
    load: float

    def failures(self) -> list[str]:
        """What the run has to show and does not, in words."""
        found = []
        if self.get[0] > P50_MS or self.get[1] > P99_MS:
            found.append(f"small GETs take {self.get[0]:.2f} ms, the slowest of a hundred {self.get[1]:.2f} ms; {P50_MS:g} and {P99_MS:g} are the bounds")
        if self.get[0] > TIMES_HEAD * self.head[0]:
            found.append(f"a small GET takes {self.get[0] / self.head[0]:.1f} times what HEAD does")
        few, many = self.listings[0], self.listings[-1]
        if many.us_each > LINEAR * few.us_each:
            found.append(f"an object costs {many.us_each:.1f} µs in a listing of {many.objects}, {few.us_each:.1f} µs in one of {few.objects}")
        return found


def _request(host: str, method: str, resource: str, query: str = "", body: bytes = b"") -> bytes:
    """A request with OSS signature V1."""
    date = formatdate(usegmt=True)
    signature = base64.b64encode(hmac.new(b"testsecret", f"{method}\n\n\n{date}\n{resource}".encode(), hashlib.sha1).digest()).decode()
    lines = [f"{method} {resource}{query} HTTP/1.1", f"Host: {host}", f"Date: {date}", f"Authorization: OSS testid:{signature}", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Connection:
    """A kept connection that says when the last byte of an answer came."""

    def __init__(self, host: str) -> None:
        name, port = host.split(":")
        self.host = host
        self.socket = socket.create_connection((name, int(port)), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method: str, resource: str, query: str = "", body: bytes = b"") -> tuple[float, bytes]:
        """Milliseconds and body of a successful answer."""
        request, got, wanted = _request(self.host, method, resource, query, body), b"", None
        began = time.perf_counter()
        self.socket.sendall(request)
        while wanted is None or len(got) < wanted:
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise RuntimeError(f"{method} {resource}: closed")
            got += piece
            end = got.find(b"\r\n\r\n")
            if wanted is None and end >= 0:
                length = re.search(rb"(?i)content-length: *(\d+)", got[:end])
                wanted = end + 4 + (int(length[1]) if length and method != "HEAD" else 0)
        took = (time.perf_counter() - began) * 1000
        head, _, content = got.partition(b"\r\n\r\n")
        if head[9:10] != b"2":
            raise RuntimeError(f"{method} {resource}: {got[:600]!r}")
        return took, content


def _times(connection: _Connection, method: str, resource: str) -> list[float]:
    return [connection.ask(method, resource)[0] for _ in range(READS // 10)]


def _spread(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def _fill(fire: Path, host: str, folder: Path, keys: range) -> None:
    """Puts an object under each key."""
    file = folder / "requests"
    made = [_request(host, "PUT", f"/{own.BUCKET}/flat/{n:07}", body=b"x") for n in keys]
    file.write_bytes(b"".join(len(one).to_bytes(4, "big") + one for one in made))
    name, port = host.split(":")
    done = subprocess.run([fire, name, port, str(CONNECTIONS), file], capture_output=True, text=True, timeout=3600)
    if done.returncode != 0 or json.loads(done.stdout)["failed"]:
        raise RuntimeError(f"the folder cannot be filled: {done.stderr.strip()[:600]}")


def _list(server: Server, connection: _Connection, objects: int) -> Listing:
    """Lists the folder in pages and checks that each key comes once."""
    before, began = procs.use(server.process.pid).cpu, time.monotonic()
    marker, seen, pages = "", 0, 0
    while True:
        _, page = connection.ask("GET", f"/{own.BUCKET}/", f"?prefix=flat/&max-keys={PAGE}&marker={marker}")
        keys = [key.decode() for key in KEY.findall(page)]
        if keys != [f"flat/{n:07}" for n in range(seen, seen + len(keys))]:
            raise RuntimeError(f"page {pages} of the listing holds other keys than were put")
        seen, pages = seen + len(keys), pages + 1
        if b"<IsTruncated>true" not in page:
            break
        marker = keys[-1]
    if seen != objects:
        raise RuntimeError(f"{seen} objects listed, {objects} were put")
    return Listing(objects, pages, procs.use(server.process.pid).cpu - before, time.monotonic() - began)


def measure(fire: Path, folder: Path, objects: int, say: Callable[[str], None]) -> Store:
    """Small reads first, then a tenth of the objects listed, then all."""
    data = folder / "store-data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    with own.server(data) as server:
        host = urlsplit(server.oss).netloc
        connection = _Connection(host)
        connection.ask("PUT", f"/{own.BUCKET}/")
        small = f"/{own.BUCKET}/small"
        connection.ask("PUT", small, body=b"x" * SMALL)
        heads: list[float] = []
        gets: list[float] = []
        for _ in range(10):
            heads += _times(connection, "HEAD", small)
            gets += _times(connection, "GET", small)
        load = procs.load()
        listings, filled = [], 0
        for count in (objects // 10, objects):
            say(f"putting {count} objects")
            _fill(fire, host, folder, range(filled, count))
            filled = count
            # The server closed the idle connection meanwhile.
            listings.append(_list(server, _Connection(host), count))
        found = Store(_spread(heads), _spread(gets), listings, load)
    shutil.rmtree(data, ignore_errors=True)
    return found
