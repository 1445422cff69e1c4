"""A browser in front of the console: Debian's Chromium, with everything it asked for and complained of."""

import json
import os
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
MODULES = Path(os.environ.get("LOCALYUN_CONSOLE_MODULES", HERE.parents[1] / "target" / "console" / "node_modules"))
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
FLAGS += ["--mute-audio", "--autoplay-policy=no-user-gesture-required", "--no-proxy-server", "--disable-dev-shm-usage"]
PATIENCE_MS = 20_000
# For who works on the console: its files from a folder instead of the binary, so that nothing has to be built.
FILES = os.environ.get("LOCALYUN_CONSOLE_FILES")
KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html; charset=utf-8"}


def from_folder(route) -> None:
    name = urlsplit(route.request.url).path.removeprefix("/_localyun/ui/") or "index.html"
    file = Path(FILES or "") / name
    if file.is_file():
        route.fulfill(status=200, body=file.read_bytes(), content_type=KINDS[file.suffix[1:]])
    else:
        route.continue_()


# Which buttons were to be seen, and which were pressed: by screen and name, numbers and copied texts apart.
BUTTONS = """(() => {
  const [seen, pressed] = [new Set(), new Set()];
  const screen = (node) => {
    if (node.closest('dialog')) return 'dialog';
    if (node.closest('#top')) return 'top';
    if (node.closest('#status, #alerts')) return 'note';
    // By what is drawn: the address changes before it.
    const drawn = document.querySelector('main .screen');
    return drawn?.querySelector('.timeline') ? 'stream' : drawn?.classList[1] ?? 'now';
  };
  const name = (node) => {
    if (node.classList.contains('copy')) return 'any: Copy';
    return `${screen(node)}: ${(node.getAttribute('aria-label') || node.textContent).trim().replace(/\\d+([.,]\\d+)?/g, '#').replace(/^Map .+ to .+$/, 'Map')}`;
  };
  const note = () => {
    if (document.documentElement.lang !== 'en') return;
    for (const node of document.querySelectorAll('button')) if (node.checkVisibility() && node.textContent) seen.add(name(node));
  };
  document.addEventListener('click', (event) => {
    const node = event.target.closest?.('button');
    if (node) pressed.add(name(node));
  }, true);
  let due = null;
  new MutationObserver(() => {
    due ??= setTimeout(() => {
      due = null;
      note();
    }, 200);
  }).observe(document, { childList: true, subtree: true });
  window.buttonsOfTheTest = () => {
    note();
    return { seen: [...seen], pressed: [...pressed] };
  };
})()"""
PRESSES = Path(__file__).parents[2] / "target" / "console" / "buttons"


class Visit:
    """One open console. At its end, whatever left the origin or broke in the page fails the test."""

    def __init__(self, page: Page, origin: str, counts: bool):
        self.page, self.origin, self.counts = page, origin, counts
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.allowed: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.set_default_timeout(PATIENCE_MS)

    def go(self, *parts: str, query: str = "") -> "Visit":
        """Opens a screen by its address."""
        path = "/".join(parts)
        self.page.goto(f"{self.origin}/_localyun/ui/#/{path}{query}")
        self.page.wait_for_selector("main h1")
        self.settle()
        return self

    def settle(self) -> None:
        """Until the screen has drawn what it asked for."""
        self.page.wait_for_timeout(300)

    def button(self, name: str, where=None, exact: bool = True):
        return (where or self.page).get_by_role("button", name=name, exact=exact)

    def press(self, name: str, where=None) -> None:
        self.button(name, where).first.click()

    def sees(self, text: str, where=None) -> None:
        """Text that must be on the screen, now or soon."""
        (where or self.page.locator("main")).get_by_text(text).first.wait_for(state="visible")

    def allow(self, complaint: str) -> None:
        """A complaint of the browser that belongs to the test (a refused request, for one)."""
        self.allowed.append(complaint)

    def check(self) -> None:
        if self.counts:
            PRESSES.mkdir(parents=True, exist_ok=True)
            with open(PRESSES / f"{os.getpid()}.jsonl", "a") as out:
                print(json.dumps(self.page.evaluate("buttonsOfTheTest()")), file=out)
        strangers = [url for url in self.asked if not url.startswith((self.origin, "blob:", "data:", "about:"))]
        assert not strangers, f"requests that left the origin: {strangers[:5]}"
        wrong = [text for text in self.complaints if not any(part in text for part in self.allowed)]
        assert not wrong, f"the page complained: {wrong[:5]}"

    def play_to_the_end(self, rate: float = 8.0) -> dict:
        """Plays the video of the screen to its end, as fast as the browser does it."""
        video = self.page.locator("main video").first
        video.wait_for(state="visible")
        report = video.evaluate(
            """async (video, rate) => {
              const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
              const until = performance.now() + 30000;
              while (video.readyState < 1 && !video.error && performance.now() < until) await rest(50);
              video.playbackRate = rate;
              await video.play().catch(() => {});
              while (!video.ended && !video.error && performance.now() < until) await rest(50);
              return { ended: video.ended, error: video.error && video.error.message, time: video.currentTime, duration: video.duration,
                width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames };
            }""",
            rate,
        )
        return report


class Console:
    """One browser. Use as a context manager; `visit` opens a console in a context of its own."""

    def __enter__(self) -> "Console":
        self._driver = sync_playwright().start()
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        assert program, "Chromium is not installed (Debian: apt-get install chromium)"
        # The driver gives the browser a profile of its own and removes it.
        self._browser = self._driver.chromium.launch(executable_path=program, headless=True, chromium_sandbox=False, args=FLAGS)
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._driver.stop()

    def visit(self, server, language: str = "en", theme: str = "light", width: int = 1440, height: int = 900, scale: float = 1, token: str | None = None, bypass_csp: bool = False) -> Visit:
        context = self._browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale, locale="en-GB", bypass_csp=bypass_csp, accept_downloads=True)
        remembered = {"language": language, "theme": theme}
        context.add_init_script("".join(f"localStorage.setItem('localyun.{name}', '{value}');" for name, value in remembered.items()))
        if token:
            context.add_init_script(f"sessionStorage.setItem('localyun.token', '{token}')")
        if FILES:
            context.route(re.compile(r"/_localyun/ui/(?!object|play|live|ticket)"), from_folder)
        # By their names in one language.
        context.add_init_script(BUTTONS)
        return Visit(context.new_page(), server.api, counts=language == "en")


def control(server, method: str, path: str, body=None, token: str | None = None, headers: dict | None = None):
    """One control request: its status and JSON."""
    request = urllib.request.Request(f"{server.api}/_localyun/{path}", method=method, data=None if body is None else json.dumps(body).encode(), headers=headers or {})
    if token:
        request.add_header("authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text.lstrip().startswith((b"{", b"[")) else text
    except urllib.error.HTTPError as refused:
        text = refused.read()
        return refused.code, json.loads(text) if text.lstrip().startswith(b"{") else text


def host_of(server) -> str:
    return urlsplit(server.api).netloc
