"""A small RTMP publisher that does exactly what a test says: when to send, when to be silent, how to leave."""

import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress

from . import amf0, clip as clips
from .chunks import Message, Reader, pack
from .clip import AUDIO, DATA, VIDEO, Tag
from .wait import wait_for

COMMAND, CHUNK_SIZE = 20, 60_000
CHANNELS = {COMMAND: 3, DATA: 4, AUDIO: 5, VIDEO: 6}
BATCH_BYTES = 256 * 1024


class Refused(AssertionError):
    """The server did not let this publisher in; `code` and `description` are those of its status."""

    def __init__(self, code: str, description: str):
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class Publisher:
    """One RTMP connection that publishes one stream.

    Media time runs from 0 with the first `push`; timestamps on the wire are media time plus `shift` milliseconds, and for sound `sound_shift` more:
    its clock is another one then, and it goes out before the picture of the same instant.
    """

    def __init__(self, host: str, port: int, app: str, name: str, *, clip: str = "h264_aac", tc_url: str | None = None, metadata: dict | None = None):
        self.clip = clips.load(clip)
        self.position = 0
        self.shift = 0
        self.sound_shift = 0
        self.sent: list[Tag] = []
        self.statuses: list[dict] = []
        self.closed = threading.Event()
        self._results: dict[float, list] = {}
        self._news = threading.Condition()
        self._transaction = 0
        self._headers_due = True
        self.socket = socket.create_connection((host, port), timeout=20)
        self._wake, self._woken = socket.socketpair()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        try:
            self._handshake()
            self._listener.start()
            self._set_chunk_size()
            self._open(app, name, tc_url or f"rtmp://{host}:{port}/{app}", metadata)
        except BaseException:
            self.socket.close()
            raise

    def _handshake(self) -> None:
        self.socket.sendall(b"\x03" + struct.pack(">II", 0, 0) + os.urandom(1528))
        answer = self._read(1 + 1536)
        self._read(1536)
        self.socket.sendall(answer[1:])

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError("the server closed the connection")
            data += part
        return data

    def _set_chunk_size(self) -> None:
        self.socket.sendall(pack(2, Message(1, 0, 0, struct.pack(">I", CHUNK_SIZE)), 128))

    def _open(self, app: str, name: str, tc_url: str, metadata: dict | None) -> None:
        self._call("connect", {"app": app, "type": "nonprivate", "flashVer": "FMLE/3.0", "tcUrl": tc_url})
        self._send_command("releaseStream", None, name)
        self._send_command("FCPublish", None, name)
        self.stream = int(self._call("createStream", None)[-1])
        self._name = name
        self._send_command("publish", None, name, "live", stream=self.stream)
        status = wait_for(self._publish_status, 15, "an answer to publish")
        if status.get("code") != "NetStream.Publish.Start":
            raise Refused(str(status.get("code")), str(status.get("description")))
        if metadata is not None:
            self._send(Message(DATA, self.stream, 0, amf0.encode("@setDataFrame", "onMetaData", metadata)))

    def _publish_status(self) -> dict | None:
        with self._news:
            for status in self.statuses:
                if "Publish" in str(status.get("code")) or status.get("level") == "error":
                    return status
        if self.closed.is_set():
            return {"code": "closed", "description": "the server closed the connection without a status"}
        return None

    def _read_or_end(self, size: int) -> bytes:
        """As `_read`, but `reset` can end the wait: a socket in use by a blocked call is not really closed."""
        data = b""
        while len(data) < size:
            ready = {number for number, _ in self._poll.poll()}
            if self._woken.fileno() in ready:
                raise ConnectionError("told to end")
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError("the server closed the connection")
            data += part
        return data

    def _listen(self) -> None:
        reader = Reader(self._read_or_end)
        # Unlike `select` it takes any descriptor, of however many.
        self._poll = select.poll()
        for end in (self.socket, self._woken):
            self._poll.register(end, select.POLLIN)
        try:
            while True:
                self._take(reader.next())
        except (OSError, ValueError, struct.error, IndexError):
            self.closed.set()
        finally:
            with self._news:
                self._news.notify_all()
            self._woken.close()

    def _take(self, message: Message) -> None:
        if message.kind != COMMAND:
            return
        values = amf0.decode(message.body)
        with self._news:
            if values[0] in ("_result", "_error"):
                self._results[values[1]] = values
            elif values[0] == "onStatus" and isinstance(values[-1], dict):
                self.statuses.append(values[-1])
            self._news.notify_all()

    def _send(self, message: Message) -> None:
        self.socket.sendall(pack(CHANNELS[message.kind], message, CHUNK_SIZE))

    def _send_command(self, name: str, *values: object, stream: int = 0) -> int:
        self._transaction += 1
        self._send(Message(COMMAND, stream, 0, amf0.encode(name, self._transaction, *values)))
        return self._transaction

    def _call(self, name: str, *values: object) -> list:
        number = self._send_command(name, *values)
        with self._news:
            self._news.wait_for(lambda: number in self._results or self.closed.is_set(), 20)
            answer = self._results.get(number)
        if answer is None:
            raise Refused("closed" if self.closed.is_set() else "silent", f"no answer to {name}")
        if answer[0] == "_error":
            info = answer[-1] if isinstance(answer[-1], dict) else {}
            raise Refused(str(info.get("code")), str(info.get("description")))
        return answer

    def round_trip(self) -> None:
        """Returns when the server has taken everything sent so far: it answers commands in the order of arrival."""
        self._call("createStream", None)

    def push(self, seconds: float, speed: float = 0) -> None:
        """Sends the next `seconds` of the looped clip, as fast as it goes or at `speed` times real time."""
        start, end = self.position, self.position + round(seconds * 1000)
        began, batch = time.monotonic(), bytearray()
        if self._headers_due:
            self._headers_due = False
            for tag in self.clip.headers:
                batch += self._chunks(Tag(tag.kind, start + self.shift, tag.body))
        tags = clips.between(self.clip, start, end)
        if self.sound_shift:
            tags = sorted(tags, key=lambda tag: (tag.timestamp, tag.kind != AUDIO))
        for tag in tags:
            shift = self.shift + (self.sound_shift if tag.kind == AUDIO else 0)
            batch += self._chunks(Tag(tag.kind, tag.timestamp + shift, tag.body))
            late = (tag.timestamp - start) / 1000 / speed - (time.monotonic() - began) if speed else 0
            if late > 0 or len(batch) > BATCH_BYTES:
                self.socket.sendall(batch)
                batch.clear()
            if late > 0 and self.closed.wait(late):
                break
        self.socket.sendall(batch)
        self.position = end
        self.round_trip()

    def turn_to(self, clip: str) -> None:
        """Goes on with another clip, its headers first."""
        self.clip, self._headers_due = clips.load(clip), True

    def _chunks(self, tag: Tag) -> bytes:
        self.sent.append(tag)
        return pack(CHANNELS[tag.kind], Message(tag.kind, self.stream, tag.timestamp, tag.body), CHUNK_SIZE)

    def sent_flv(self) -> bytes:
        """Everything sent so far as one FLV file."""
        return clips.write_flv(self.sent)

    def leave(self) -> None:
        """Ends the stream politely: FCUnpublish, deleteStream, then the connection."""
        if not self.closed.is_set():
            self._send_command("FCUnpublish", None, self._name)
            self._send_command("deleteStream", None, self.stream)
        self.drop()

    def drop(self) -> None:
        """Closes the connection with no word (FIN after everything sent)."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.closed.wait(3)
        self.socket.close()

    def reset(self) -> None:
        """Breaks the connection as a lost network does: RST instead of FIN."""
        with suppress(OSError):
            self._wake.send(b"x")
        self._listener.join(5)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
