"""An HTTP host that answers by raw bytes, for answers that no decent server gives."""

import socket
import struct
import threading
from collections.abc import Callable


class RawHost:
    """Reads one request a connection and leaves the rest to `behave(connection, ended)`; `asked` counts the requests."""

    def __init__(self, behave: Callable[[socket.socket, threading.Event], None]):
        self.behave = behave
        self.asked = 0
        self.sent = 0
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/ask"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    part = connection.recv(4096)
                    if not part:
                        return
                    head += part
                self.asked += 1
                self.behave(connection, self.ended)
            except OSError:
                pass

    def close(self) -> None:
        """Ends the listener and every answer under way."""
        self.ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def head(status: str = "200 OK", *lines: str) -> bytes:
    """The head of an answer."""
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "Connection: close", "", "")).encode()


def plain(data: bytes) -> Callable:
    """Sends these bytes and closes."""
    return lambda connection, ended: connection.sendall(data)


def flood(first: bytes, block: bytes, blocks: int) -> Callable:
    """Sends a block over and over, as fast as it is taken."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(first)
        for _ in range(blocks):
            connection.sendall(block)

    return behave


def trickle(first: bytes, piece: bytes, pause: float) -> Callable:
    """Sends a piece at a time until the peer has enough."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(first)
        while not ended.wait(pause):
            connection.sendall(piece)

    return behave


def silence(connection: socket.socket, ended: threading.Event) -> None:
    """Never answers."""
    ended.wait()


def reset(connection: socket.socket, ended: threading.Event) -> None:
    """Breaks the connection off with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
