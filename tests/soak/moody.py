"""A callback receiver of moods: most events it takes at once, some after refusals, some never; some requests it lets hang.

The server sends the events of a stream one after the other, so what follows a refusal on a stream is its repetition.
"""

import json
import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TRIES = 6
# Longer than the server waits with its clock standing, shorter than a run.
HANG_SECONDS = 1.6


class Moody:
    """Answers callbacks and on-demand questions. `taken` and `given_up` hold events by kind; `files` the announced files."""

    def __init__(self, seed: int):
        self.chance = random.Random(seed)
        self.lock = threading.Lock()
        self.open: dict[tuple, list[int]] = {}
        self.taken: Counter = Counter()
        self.given_up: Counter = Counter()
        self.files: list[dict] = []
        self.by_stream: dict[tuple, Counter] = {}
        self.requests = self.questions = 0
        self.wrong: list[str] = []
        moody = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                moody.serve(self)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        at = urlsplit(handler.path)
        if at.path == "/ask":
            with self.lock:
                self.questions += 1
                answer = json.dumps({"ApiVersion": "1.0", "NeedRecord": self.chance.random() < 0.8}).encode()
            return self.say(handler, 200, answer)
        if at.path == "/push":
            query = parse_qs(at.query)
            event = {"domain": query["app"][0], "app": query["appname"][0], "stream": query["id"][0], "event": query["action"][0]}
        else:
            event = json.loads(body)
        status, hang = self.judge(event)
        if hang:
            threading.Event().wait(HANG_SECONDS)
            handler.close_connection = True
            return None
        return self.say(handler, status, b"")

    def judge(self, event: dict) -> tuple[int, bool]:
        """The answer to an event: its status, or no answer at all."""
        kind = event.get("event", "file_created")
        key = (event["domain"], event["app"], event["stream"])
        with self.lock:
            self.requests += 1
            # [refusals still to come, refusals so far, whether the first one hangs]
            plan = self.open.pop(key, None) or self.plan()
            if plan[0] > 0:
                plan[0] -= 1
                plan[1] += 1
                hangs, plan[2] = bool(plan[2]), 0
                if plan[1] < TRIES:
                    self.open[key] = plan
                else:
                    self.given_up[kind] += 1
                    self.by_stream.setdefault(key, Counter())[kind] += 1
                return 503, hangs
            self.taken[kind] += 1
            self.by_stream.setdefault(key, Counter())[kind] += 1
            if kind == "file_created":
                self.files.append(event)
            return 200, False

    def plan(self) -> list[int]:
        """What an event meets, decided at its first request."""
        dice = self.chance.random()
        if dice < 0.004:
            return [1, 0, 1]
        if dice < 0.014:
            return [TRIES, 0, 0]
        return [self.chance.randrange(1, TRIES) if dice < 0.1 else 0, 0, 0]

    @staticmethod
    def say(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        """One answer; a caller that has gone away is no news."""
        try:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            handler.close_connection = True

    def close(self) -> None:
        """Ends the thread."""
        self.server.shutdown()
        self.server.server_close()
