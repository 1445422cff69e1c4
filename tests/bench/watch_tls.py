"""N viewers of live streams over HTTPS, as `watch.c` has them over HTTP: they read, count and throw away, from one thread.

    watch_tls.py HOST PORT PATH N SECONDS [STREAMS]

"%d" in PATH is the number of the stream; viewer i watches stream i modulo STREAMS (1). All are there before the count begins, which is told by
a line `counting`. One line of JSON at the end, with the fields of `watch.c`."""

import json
import resource
import selectors
import socket
import ssl
import sys
import time
from dataclasses import dataclass

READ = 1 << 16
PATIENCE_SECONDS = 20
# The first rush of kept pictures is no part of the count.
RUSH_SECONDS = 2


@dataclass
class Viewer:
    """One of them."""

    socket: ssl.SSLSocket
    bytes: int = 0


def come(context: ssl.SSLContext, host: str, port: int, path: str) -> Viewer:
    """A viewer that has got the head of its answer and the beginning of its stream."""
    plain = socket.create_connection((host, port), timeout=PATIENCE_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secure = context.wrap_socket(plain, server_hostname=host)
    secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    got = b""
    while b"FLV\x01" not in got:
        piece = secure.recv(READ)
        if not piece or len(got) > READ:
            sys.exit(f"watch_tls: no FLV came: {got[:200]!r}")
        got += piece
    secure.setblocking(False)
    return Viewer(secure)


def drain(polled: selectors.DefaultSelector, wait: float) -> int:
    """Reads what has come; how many viewers were cut off meanwhile."""
    cut = 0
    for key, _ in polled.select(wait):
        viewer: Viewer = key.data
        try:
            # What was decrypted already would wake nobody.
            while piece := viewer.socket.recv(READ):
                viewer.bytes += len(piece)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            continue
        except OSError:
            pass
        cut += 1
        polled.unregister(viewer.socket)
    return cut


def main() -> None:
    """The crowd from its first viewer to its end."""
    host, port, path, number, seconds, *more = sys.argv[1:]
    streams = int(more[0]) if more else 1
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    polled, viewers, cut = selectors.DefaultSelector(), [], 0
    for i in range(int(number)):
        viewer = come(context, host, int(port), path.replace("%d", str(i % streams)))
        viewers.append(viewer)
        polled.register(viewer.socket, selectors.EVENT_READ, viewer)
        cut += drain(polled, 0)
    start = time.monotonic() + RUSH_SECONDS
    end, counting = start + float(seconds), False
    while (at := time.monotonic()) < end:
        cut += drain(polled, 0.1)
        if not counting and at >= start:
            counting = True
            for viewer in viewers:
                viewer.bytes = 0
            print("counting", flush=True)
    bytes_each = [viewer.bytes for viewer in viewers]
    told = {"cut": cut, "bytes": sum(bytes_each), "least": min(bytes_each), "most": max(bytes_each), "cpu_s": round(time.process_time(), 2)}
    print(json.dumps(told), flush=True)


main()
