"""A TCP relay between a server and its database, to be cut and mended."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Listens on one port for good; what it relays to can be made to look gone."""

    def __init__(self, host: str, port: int):
        self.target = (host, port)
        self.links: set[socket.socket] = set()
        self.lock = threading.Lock()
        self.is_cut = False
        # To what it relays to, and back.
        self.there, self.back = threading.Event(), threading.Event()
        self.appear()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if self.is_cut:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(self.target, 10)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self.links |= {near, far}
            for source, sink, flows in ((near, far, self.there), (far, near, self.back)):
                threading.Thread(target=self._relay, args=(source, sink, flows), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, flows: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                flows.wait()
                sink.sendall(data)
        self._end(source, sink)

    def _end(self, *links: socket.socket) -> None:
        for link in links:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()
        with self.lock:
            self.links -= set(links)

    def cut(self) -> None:
        """Ends every connection; new ones end at once."""
        with self.lock:
            self.is_cut = True
            links = list(self.links)
        self._end(*links)

    def vanish(self, there: bool = True, back: bool = True) -> None:
        """Nothing is closed, and nothing gets through in these directions: what is sent waits, as it does for a host that is gone without a word."""
        for flows, is_gone in ((self.there, there), (self.back, back)):
            if is_gone:
                flows.clear()

    def appear(self) -> None:
        """What waited gets through."""
        self.there.set()
        self.back.set()

    def mend(self) -> None:
        """Relays again."""
        self.is_cut = False

    def close(self) -> None:
        """Ends it all."""
        self.cut()
        self.listener.close()
