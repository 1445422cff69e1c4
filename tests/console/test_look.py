"""How it looks and reads: axe-core on every screen in both languages and themes, nothing wider than the window, and pictures."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from browser import MODULES, control
from test_screens import DOMAIN, SCREENS, call, recorded, refused_signature

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SHOTS = Path(os.environ.get("LOCALYUN_CONSOLE_SHOTS", Path(__file__).resolve().parents[2] / "target" / "console" / "shots"))
AXE = """async () => {
  const found = await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
  return found.violations.map((it) => ({ id: it.id, help: it.help, nodes: it.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)) }));
}"""


# What a screen says, without commands, names of things and what is marked as another language.
WORDS = """() => {
  const said = document.querySelector('main').cloneNode(true);
  for (const node of said.querySelectorAll('pre, code, datalist, option, [lang]')) node.remove();
  return [...said.querySelectorAll('*')].flatMap((node) => [...node.childNodes]).filter((node) => node.nodeType === 3).map((node) => node.data).join('\\n');
}"""


@pytest.fixture(scope="module")
def filled(server):
    """A server where something of everything has happened."""
    control(server, "POST", "reset")
    recorded(server, "morning-show", 70, notify=f"{server.api}/_localyun/sink/console")
    call(server, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="*", StreamName="*", OssBucket="archive", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="cmaf", RecordFormat__1__CycleDuration="3600")
    call(server, "AddLiveDomainMapping", PullDomain=DOMAIN, PushDomain="push.example.com")
    control(server, "POST", "call", {"action": "DescribeLiveDomainSnapshotData", "params": {"DomainName": DOMAIN}})
    refused_signature(server)
    control(server, "PUT", "faults", {"at": "api:DescribeLiveStreamsOnlineList", "first": 2, "code": "Throttling.User"})
    control(server, "POST", "call", {"action": "DescribeLiveStreamsOnlineList", "params": {"DomainName": DOMAIN}})
    control(server, "POST", "streams", {"domain": DOMAIN, "stream": "concert", "seconds": 40, "speed": 0, "wait": True})
    control(server, "POST", "streams", {"domain": "push.example.com", "stream": "evening-news"})
    control(server, "POST", "streams", {"domain": "other.example.com", "stream": "unrecorded"})
    yield server
    control(server, "POST", "reset")


def addresses(server) -> dict[str, tuple[list[str], str]]:
    """Each screen, and with it a chosen thing of those that have any."""
    session = control(server, "GET", "recordings")[1]["recordings"]
    done = next(it for it in session if it["stream"] == "morning-show")["session"]
    callback = control(server, "GET", "callbacks")[1]["callbacks"][0]["id"]
    refused = next(it for it in control(server, "GET", "requests")[1]["requests"] if it["code"] == "SignatureDoesNotMatch")["request_id"]
    return {
        **{screen: ([screen], "") for screen in SCREENS},
        "stream": (["streams", DOMAIN, "live", "concert"], ""),
        "stream-live": (["streams", DOMAIN, "live", "evening-news"], ""),
        "recording": (["recordings", done], ""),
        "callback": (["callbacks", str(callback)], ""),
        "sink": (["callbacks", "sink"], ""),
        "call": (["calls", refused], ""),
        "new-call": (["calls", "new"], ""),
        "bucket": (["objects", "recordings", "record", "live", "morning-show"], ""),
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_nothing(browser, filled, language, theme):
    axe = (MODULES / "axe-core" / "axe.min.js").read_text()
    visit = browser.visit(filled, language, theme, bypass_csp=True)
    found = {}
    for name, (parts, query) in addresses(filled).items():
        visit.go(*parts, query=query)
        visit.page.wait_for_timeout(500)
        visit.page.evaluate(axe)
        violations = visit.page.evaluate(AXE)
        if violations:
            found[name] = violations
    visit.go("streams")
    visit.page.locator("main .push button").first.click()
    visit.page.evaluate(axe)
    if violations := visit.page.evaluate(AXE):
        found["dialog"] = violations
    visit.page.context.close()
    assert not found, found


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("language, theme", [("en", "light"), ("zh", "dark")])
def test_nothing_is_wider_than_the_window(browser, filled, width, language, theme):
    SHOTS.mkdir(parents=True, exist_ok=True)
    visit = browser.visit(filled, language, theme, width=width, height=800 if width == 360 else 900)
    wide = {}
    for name, (parts, query) in addresses(filled).items():
        visit.go(*parts, query=query)
        visit.page.wait_for_timeout(700)
        if (found := visit.page.evaluate("document.documentElement.scrollWidth")) > width:
            wide[name] = found
        text = visit.page.locator("main .screen").inner_text()
        assert len(text) > 30, f"{name} shows nothing"
        if language == "zh":
            # No sentence is left in English, but what the API says and what is a command: neither of the page nor of the server.
            assert re.search(r"[\u4e00-\u9fff]", text), name
            sentences = re.findall(r"(?:\b[A-Za-z]?[a-z]+\b[ ,;]+){4,}[a-z]+", visit.page.evaluate(WORDS))
            assert not sentences, (name, sentences[:3])
        visit.page.screenshot(path=SHOTS / f"{name}-{width}-{language}-{theme}.png", full_page=True)
    visit.check()
    visit.page.context.close()
    assert not wide, wide


# What colours are, by their names in the style sheets.
COLOURS = """(names) => names.map((name) => {
  const node = document.body.appendChild(document.createElement('i'));
  node.style.color = `var(${name})`;
  const colour = getComputedStyle(node).color.match(/\\d+/g).slice(0, 3).map(Number);
  node.remove();
  return colour;
})"""
# Those of marks with a label in them.
MARKS = ["--lane-push", "--lane-record", "--lane-file", "--wrong"]


def luminance(colour: list[int]) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (value / 255 for value in colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_labels_of_a_timeline_can_be_read_on_their_marks(browser, server, theme):
    """axe-core looks at no text in a drawing."""
    visit = browser.visit(server, theme=theme)
    visit.go("now")
    label, *marks = visit.page.evaluate(COLOURS, ["--ground", *MARKS])
    for name, mark in zip(MARKS, marks, strict=True):
        dark, light = sorted((luminance(label), luminance(mark)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, mark)
    visit.check()
    visit.page.context.close()


def showcase(server, stream: str) -> None:
    """A stream of which a picture tells most: recorded, ended and told, and a second push that may come back yet."""
    control(server, "POST", "call", {"action": "AddLiveAppRecordConfig", "params": {"DomainName": DOMAIN, "AppName": "show", "StreamName": "*", "OssBucket": "recordings", "OssEndpoint": "oss-cn-shanghai.aliyuncs.com", "DelayTime": "15",
            "RecordFormat.1.Format": "m3u8", "RecordFormat.1.SliceDuration": "5", "RecordFormat.1.CycleDuration": "900", "RecordFormat.2.Format": "mp4", "RecordFormat.2.CycleDuration": "900"}})
    for seconds in (20, 12):
        control(server, "POST", "streams", {"domain": DOMAIN, "app": "show", "stream": stream, "seconds": seconds, "wait": True})
        if seconds == 20:
            control(server, "POST", "clock/advance", {"seconds": 16})


@pytest.mark.skipif(not os.environ.get("PICTURES"), reason="PICTURES=1 writes the pictures of the documents")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_of_the_documents(browser, filled, theme):
    PICTURES.mkdir(parents=True, exist_ok=True)
    visit = browser.visit(filled, "en", theme, width=1120, height=640)
    showcase(filled, theme)
    there = addresses(filled) | {"showcase": (["streams", DOMAIN, "show", theme], "")}
    for name, address in (("now", "now"), ("streams", "streams"), ("timeline", "showcase"), ("recording", "recording"), ("signature", "call")):
        parts, query = there[address]
        visit.go(*parts, query=query)
        visit.page.wait_for_timeout(1500)
        if name == "recording":
            visit.press("Play", visit.page.locator("li.file").first)
            visit.page.wait_for_timeout(1500)
        shot = SHOTS / f"{name}-{theme}.png"
        visit.page.screenshot(path=shot)
        picture = PICTURES / f"{name}-{theme}.webp"
        subprocess.run([shutil.which("ffmpeg") or "ffmpeg", "-y", "-loglevel", "error", "-i", str(shot), "-c:v", "libwebp", "-quality", "82", str(picture)], check=True, timeout=60)
        assert picture.stat().st_size < 150_000
    visit.check()
    visit.page.context.close()
