"""An HTTP receiver for callbacks and on-demand questions that records what arrives and answers as it is told."""

import json
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Request:
    """One request as it came in; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> str:
        """The query string, untouched."""
        return urlsplit(self.target).query

    def json(self) -> dict:
        """The body as JSON."""
        return json.loads(self.body)


Answer = tuple[int, bytes | None]


@dataclass
class Inbox:
    """One path of the receiver. `answer` is called with the number of the request (0, 1, ...); None hangs until the end."""

    url: str
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[int], Answer | None] = lambda number: (200, b"")

    def say(self, body: object, status: int = 200) -> None:
        """Answers every request with `body` (bytes as they are, anything else as JSON)."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answer = lambda number: (status, data)

    def hang(self) -> None:
        """Accepts requests and never answers them."""
        self.answer = lambda number: None

    def stall(self) -> None:
        """Answers 200, and never ends the body."""
        self.answer = lambda number: (200, None)

    def bodies(self) -> list[dict]:
        """Every POST body, in order of arrival."""
        return [request.json() for request in list(self.requests) if request.method == "POST"]

    def files(self, suffix: str = "") -> list[dict]:
        """The file events, optionally only those whose uri ends in `suffix`."""
        return [body for body in self.bodies() if "uri" in body and body["uri"].endswith(suffix)]

    def events(self) -> list[str]:
        """The names of the status events, in order."""
        return [body["event"] for body in self.bodies() if "event" in body]


class Receiver:
    """A server thread with any number of inboxes."""

    def __init__(self) -> None:
        self.inboxes: dict[str, Inbox] = {}
        self.ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                receiver.take(self)

            do_POST = do_PUT = do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *about: object) -> None:
                """A caller that was killed in the middle of a request is no news."""
                if not isinstance(sys.exception(), OSError):
                    super().handle_error(*about)

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def inbox(self) -> Inbox:
        """A fresh path of its own."""
        path = f"/{uuid.uuid4().hex[:12]}"
        self.inboxes[path] = Inbox(f"http://127.0.0.1:{self.server.server_port}{path}")
        return self.inboxes[path]

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Records one request and answers it."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        inbox = self.inboxes.get(urlsplit(handler.path).path.rstrip("/"))
        answer: Answer | None = (404, b"no such inbox")
        if inbox is not None:
            number = len(inbox.requests)
            inbox.requests.append(Request(handler.command, handler.path, {name.lower(): value for name, value in handler.headers.items()}, body))
            answer = inbox.answer(number)
        if answer is None:
            self.ended.wait()
            handler.close_connection = True
            return
        try:
            handler.send_response(answer[0])
            handler.send_header("Content-Length", str(10 if answer[1] is None else len(answer[1])))
            handler.end_headers()
            handler.wfile.write(answer[1] or b"")
            if answer[1] is None:
                handler.wfile.flush()
                self.ended.wait()
                handler.close_connection = True
        except OSError:
            handler.close_connection = True

    def close(self) -> None:
        """Lets hanging requests go and ends the thread."""
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
