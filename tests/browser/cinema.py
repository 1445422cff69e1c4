"""A browser that plays recorded files: Debian's Chromium, a page with the players, and a relay that brings the store's objects to the page's own
origin, so that nothing depends on cross-origin rules (tests/oss plays across origins)."""

import http.client
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
MODULES = Path(os.environ.get("LOCALYUN_BROWSER_MODULES", HERE.parents[1] / "target" / "browser" / "node_modules"))
PAGE_FILES = {
    "/": (HERE / "page.html", "text/html; charset=utf-8"),
    "/page.js": (HERE / "page.js", "text/javascript"),
    "/hls.js": (MODULES / "hls.js" / "dist" / "hls.min.js", "text/javascript"),
    "/mpegts.js": (MODULES / "mpegts.js" / "dist" / "mpegts.js", "text/javascript"),
}
BY = {"m3u8": "hls", "cmaf": "hls", "mp4": "native", "flv": "flv"}
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
FLAGS += ["--mute-audio", "--autoplay-policy=no-user-gesture-required", "--no-proxy-server", "--disable-dev-shm-usage"]


class Cinema:
    """One browser and one page server. Use as a context manager."""

    def __enter__(self) -> "Cinema":
        self._store = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._driver = sync_playwright().start()
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        assert program, "Chromium is not installed (Debian: apt-get install chromium)"
        # The driver gives the browser a profile of its own and removes it.
        self._browser = self._driver.chromium.launch(executable_path=program, headless=True, chromium_sandbox=False, args=FLAGS)
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._driver.stop()
        self._server.shutdown()
        self._server.server_close()

    def play(self, store: str, bucket: str, key: str, form: str, seeks: list[float]) -> dict:
        """Plays an object to its end, then from each of `seeks`, and gives the page's report."""
        self._store = urlsplit(store).netloc
        page = self._browser.new_page()
        try:
            page.goto(f"http://127.0.0.1:{self._server.server_port}/")
            return page.evaluate("(wanted) => play(wanted)", {"by": BY[form], "url": f"/store/{bucket}/{key}", "seeks": seeks})
        finally:
            page.close()

    def watch(self, url: str, by: str, seconds: float) -> dict:
        """Watches a live stream across origins and gives the page's report."""
        page = self._browser.new_page()
        try:
            page.goto(f"http://127.0.0.1:{self._server.server_port}/")
            return page.evaluate("(wanted) => watch(wanted)", {"by": by, "url": url, "seconds": seconds})
        finally:
            page.close()

    def _handler(self):
        cinema = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = urlsplit(self.path).path
                if path.startswith("/store/"):
                    self._relay(path.removeprefix("/store"))
                    return
                file, kind = PAGE_FILES.get(path, (None, "text/plain"))
                self._answer(200 if file else 404, {"Content-Type": kind}, file.read_bytes() if file else b"")

            def _relay(self, path: str) -> None:
                connection = http.client.HTTPConnection(cinema._store, timeout=30)
                ask = {"Range": self.headers["Range"]} if "Range" in self.headers else {}
                connection.request("GET", path, headers=ask)
                answer = connection.getresponse()
                kept = ("content-type", "content-range", "accept-ranges", "etag", "last-modified")
                self._answer(answer.status, {name: value for name, value in answer.getheaders() if name.lower() in kept}, answer.read())
                connection.close()

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        return Handler
