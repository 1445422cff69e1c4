"""A proxy before a localyun that alters answers on purpose, so that whoever compares has something to find."""

import copy
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# status, headers, body (parsed JSON, or bytes)
Answer = tuple[int, dict[str, str], object]


class Altering:
    """Passes every request on and gives the answer to `alter(action, query, answer)` first. Use as a context manager."""

    def __init__(self, upstream: str, alter: Callable[[str, dict[str, str], Answer], Answer]):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def pass_on(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                request = urllib.request.Request(upstream + self.path, data=body, method=self.command)
                for name, value in self.headers.items():
                    # The host stays the one that the client has signed.
                    if name.lower() not in ("content-length", "connection", "accept-encoding"):
                        request.add_header(name, value)
                try:
                    with opener.open(request, timeout=60) as answer:
                        status, headers, text = answer.status, dict(answer.headers), answer.read()
                except urllib.error.HTTPError as error:
                    status, headers, text = error.code, dict(error.headers), error.read()
                query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}
                action = self.headers.get("x-acs-action") or query.get("Action", "")
                kept = {name.lower(): value for name, value in headers.items() if name.lower() == "content-type"}
                try:
                    parsed: object = json.loads(text)
                except ValueError:
                    parsed = text
                if action:
                    status, kept, parsed = alter(action, query, (status, kept, copy.deepcopy(parsed)))
                text = parsed if isinstance(parsed, bytes) else json.dumps(parsed).encode()
                self.send_response(status)
                for name, value in kept.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = pass_on

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> "Altering":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


def planted(action: str, query: dict[str, str], answer: Answer) -> Answer:
    """Every answer gets a member that it should not have, above all and in its innermost object; every error gets another code."""
    status, headers, body = answer
    if isinstance(body, dict):
        if status >= 400:
            body["Code"] = "Planted." + str(body.get("Code"))
        innermost: object = body
        while True:
            inner = list(innermost.values()) if isinstance(innermost, dict) else innermost
            containers = [item for item in inner if isinstance(item, (dict, list)) and item]
            if not containers:
                break
            innermost = containers[-1]
        if isinstance(innermost, dict):
            innermost["Planted"] = 1
        body["PlantedAbove"] = 1
    return status, headers, body
