"""Crowds of connections that say nothing, or a byte at a time, and what each of them sees of the server."""

import resource
import selectors
import socket
import threading
import time
from collections import Counter


def raise_limit(wanted: int) -> int:
    """Raises this process's limit of descriptors towards `wanted`; gives what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


class Crowd:
    """Connections of several kinds. Every `pause` seconds each sends the next byte of its kind's text, if that has one."""

    def __init__(self, pause: float = 0.25):
        self.pause = pause
        self.began = time.monotonic()
        self.ended: dict[str, list[float]] = {}
        self.opened: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._members: dict[socket.socket, list] = {}
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self, kind: str, address: tuple[str, int], first: bytes = b"", drip: bytes = b"", count: int = 1) -> None:
        """Opens connections that send `first` at once and `drip` a byte at a time; its last byte is repeated for ever."""
        for _ in range(count):
            try:
                member = socket.create_connection(address, timeout=10)
                if first:
                    member.sendall(first)
            except OSError:
                self.refused[kind] += 1
                continue
            member.setblocking(False)
            with self._lock:
                self.opened[kind] += 1
                self._members[member] = [kind, drip, 0, time.monotonic()]
                self._selector.register(member, selectors.EVENT_READ)

    def left(self, kind: str | None = None) -> int:
        """How many are still connected, as far as they can tell."""
        with self._lock:
            return sum(kind in (None, entry[0]) for entry in self._members.values())

    def _drop(self, member: socket.socket) -> None:
        with self._lock:
            entry = self._members.pop(member, None)
            if entry is None:
                return
            self._selector.unregister(member)
        self.ended.setdefault(entry[0], []).append(time.monotonic() - entry[3])
        member.close()

    def _read(self, member: socket.socket) -> None:
        try:
            if not member.recv(65536):
                self._drop(member)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(member)

    def _send(self) -> None:
        with self._lock:
            talking = [(member, entry) for member, entry in self._members.items() if entry[1]]
        for member, entry in talking:
            byte = entry[1][min(entry[2], len(entry[1]) - 1) :][:1]
            entry[2] += 1
            try:
                member.send(byte)
            except BlockingIOError:
                pass
            except OSError:
                self._drop(member)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            for key, _ in self._selector.select(0.05):
                self._read(key.fileobj)
            if time.monotonic() >= due:
                due = time.monotonic() + self.pause
                self._send()

    def close(self) -> None:
        """Ends the thread and what is still connected."""
        self._over.set()
        self._thread.join(10)
        with self._lock:
            for member in self._members:
                member.close()
            self._members.clear()
            self._selector.close()
