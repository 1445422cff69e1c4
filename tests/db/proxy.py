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
        self.flows = threading.Event()
        self.flows.set()
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
                far = socket.create_connection(self.target, 10)
                far.settimeout(None)
                self.links |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.flows.wait()
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

    def vanish(self) -> None:
        """Nothing is closed, and nothing gets through: what is sent waits, as it does for a host that is gone without a word."""
        self.flows.clear()

    def appear(self) -> None:
        """What waited gets through."""
        self.flows.set()

    def mend(self) -> None:
        """Relays again."""
        self.is_cut = False

    def close(self) -> None:
        """Ends it all."""
        self.cut()
        self.listener.close()
