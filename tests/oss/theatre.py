"""A browser that plays a playlist: a page with a player, and a relay in front of the store that notes what is fetched."""

import http.client
import json
import queue
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

PAGE = Path(__file__).parent / "player" / "page.html"
PASSED_ON = ("range", "origin", "host", "user-agent", "accept")
PATIENCE_SECONDS = 60


def listen(handler) -> tuple[ThreadingHTTPServer, str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


class Theatre:
    """The page has another origin than the store, so playing it also needs the bucket's cross-origin rules."""

    def __init__(self, store: str, hls_js: Path | None):
        self.reports: queue.Queue[dict] = queue.Queue()
        self.fetched: list[tuple[str, int]] = []
        self.pages, self.origin = listen(self._page_handler(hls_js))
        self.relay, self.store = listen(self._relay_handler(urlsplit(store).netloc))

    def close(self) -> None:
        for server in (self.pages, self.relay):
            server.shutdown()
            server.server_close()

    def _page_handler(self, hls_js: Path | None):
        reports = self.reports

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = urlsplit(self.path).path
                files = {"/": (PAGE, "text/html"), "/hls.js": (hls_js, "text/javascript")}
                file, kind = files.get(path, (None, ""))
                body = file.read_bytes() if file else b""
                self.send_response(200 if file else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler

    def _relay_handler(self, netloc: str):
        fetched = self.fetched

        class Handler(BaseHTTPRequestHandler):
            def pass_on(self):
                connection = http.client.HTTPConnection(netloc, timeout=30)
                headers = {name: value for name, value in self.headers.items() if name.lower() in PASSED_ON or name.lower().startswith("access-control-")}
                connection.request(self.command, self.path, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                fetched.append((self.path, answer.status))
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                connection.close()

            do_GET = do_OPTIONS = pass_on

            def log_message(self, *_):
                pass

        return Handler

    def play(self, chromium: str, path: str, by: str, folder: Path) -> dict:
        """Plays an object of the store and gives the page's report."""
        url = f"{self.origin}/?by={by}&src={quote(self.store + path, safe='')}"
        command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
        command += ["--autoplay-policy=no-user-gesture-required", "--no-proxy-server", f"--user-data-dir={folder}", url]
        log = folder.with_suffix(".log")
        with log.open("wb") as output:
            browser = subprocess.Popen(command, stdout=output, stderr=output)
            try:
                return self.reports.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                raise AssertionError(f"the page told nothing; {self.fetched}; {log.read_text(errors='replace')[-2000:]}") from None
            finally:
                browser.terminate()
                browser.wait(20)
