"""What the console costs: how long a full screen takes, whether memory stays flat, what an open console takes from a recording.

    tests/console/run figures screens        10,000 events, 2,000 streams, 50,000 callbacks, a recording of a day: every screen
    tests/console/run figures memory         ten open consoles for ten minutes (MINUTES=10)
    tests/console/run figures cpu            100 recorded streams with and without an open console (WINDOW_S=30, ROUNDS=5)

LOCALYUN_BIN names the program; figures are those of a release build. Status 1: a bound was not held. One line of JSON at the end.
"""

import http.client
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from browser import Console, control, host_of
from harness.server import Server

PROJECT = Path(__file__).resolve().parents[2]
DOMAIN, MANY = "play.example.com", "many.example.com"
EVENTS, STREAMS, CALLBACKS, DAY_S = (int(os.environ.get(name, usual)) for name, usual in (("EVENTS", 10_000), ("STREAMS", 2_000), ("CALLBACKS", 50_000), ("DAY_S", 86_400)))
SERVER_MS, USABLE_MS, CPU_PART = 300, 1000, 0.03
# What a screen has when there is something to be used on it.
SCREENS = {
    "now": ("now", ".happenings li"),
    "streams": ("streams", "main tbody tr"),
    "stream, live": (f"streams/{MANY}/live/m7", "svg.lanes rect.push"),
    "stream of a day": (f"streams/{DOMAIN}/live/day", "svg.lanes rect.file"),
    "recordings": ("recordings", "main .rows li"),
    "recording of a day": ("recordings/{day}", "li.file"),
    "callbacks": ("callbacks", "main .rows li"),
    "callbacks, failed": ("callbacks?state=failed", "main .rows li"),
    "callback, the oldest": ("callbacks/1", ".attempts > li"),
    "calls": ("calls", "main .rows li"),
    "call": ("calls/{call}", ".detail tbody tr"),
    "rules": ("rules", "h3 ~ .scroll tbody tr"),
    "objects": ("objects", "main tbody tr"),
    "objects of a day": ("objects/recordings/{folder}", "main tbody tr"),
    "faults": ("faults", ".cards li"),
    "state": ("state", "main table tbody tr"),
}
# The first moment at which what is looked for is there and the page has drawn it and is free again.
USABLE = """async (selector) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const until = performance.now() + 20000;
  while (!document.querySelector(selector) && performance.now() < until) await frame();
  await frame();
  await frame();
  return performance.now();
}"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rule(server, domain: str, *formats: str) -> None:
    params = {"DomainName": domain, "AppName": "live", "StreamName": "*", "OssBucket": "recordings", "OssEndpoint": "oss-cn-shanghai.aliyuncs.com"}
    for number, name in enumerate(formats, 1):
        params |= {f"RecordFormat.{number}.Format": name, f"RecordFormat.{number}.CycleDuration": "900"}
    answer = control(server, "POST", "call", {"action": "AddLiveAppRecordConfig", "params": params})
    assert answer[1]["status"] == 200, answer


def pusher() -> Path:
    """The bench's publisher of many streams, from one thread."""
    made = PROJECT / "target" / "console" / "push"
    source = PROJECT / "tests" / "bench" / "push.c"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        made.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-D_GNU_SOURCE", "-O2", "-o", str(made), str(source)], check=True, timeout=120)
    return made


def push(server, count: int, seconds: int, clip: str, name: str = "m", domain: str = MANY) -> subprocess.Popen:
    rtmp = urlsplit(server.ready["rtmp"])
    words = [pusher(), rtmp.hostname, rtmp.port, "live", name, f"?vhost={domain}", count, seconds, PROJECT / "fixtures" / "media" / clip]
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(*pushes: subprocess.Popen) -> None:
    for one in pushes:
        one.terminate()
        one.wait(20)


def wait_live(server, count: int) -> None:
    until = time.monotonic() + 60
    while (live := control(server, "GET", "streams?limit=1")[1]["total"]) < count:
        assert time.monotonic() < until, f"{live} of {count} streams are live"
        time.sleep(0.5)


def clone_callbacks(data: Path, wanted: int) -> None:
    """Rows like those that are there, with names of their own, until there are so many."""
    with sqlite3.connect(data / "localyun.db") as base:
        columns = [row[1] for row in base.execute("PRAGMA table_info(callback)") if row[1] != "id"]
        there = base.execute("SELECT count(*) FROM callback").fetchone()[0]
        taken = [{"dedupe": "c.dedupe || '-' || n", "stream": "'s' || (n % 2000)", "created_at": "c.created_at - n", "state": "CASE n % 50 WHEN 0 THEN 'failed' ELSE c.state END"}.get(name, f"c.{name}") for name in columns]
        base.execute(
            f"WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < {wanted - there}) "
            f"INSERT INTO callback ({', '.join(columns)}) SELECT {', '.join(taken)} FROM count JOIN callback c ON c.id = 1 + n % {there}"
        )
    base.close()


def filled(data: Path) -> None:
    """The first run: a day's recording, and the callbacks of it as models of many."""
    with Server(data_dir=data) as server:
        rule(server, DOMAIN, "m3u8", "mp4")
        control(server, "POST", "call", {"action": "AddLiveRecordNotifyConfig", "params": {"DomainName": DOMAIN, "NotifyUrl": f"{server.api}/_localyun/sink/console", "NeedStatusNotify": "true"}})
        began = time.monotonic()
        status, told = control(server, "POST", "streams", {"domain": DOMAIN, "stream": "day", "clip": "one_per_second", "seconds": DAY_S, "speed": 0, "wait": True})
        assert status == 200, told
        control(server, "POST", "clock/advance", {"seconds": 200})
        until = time.monotonic() + 600
        while (day := control(server, "GET", f"recordings?domain={DOMAIN}")[1]["recordings"][0])["state"] != "ended":
            assert time.monotonic() < until, day["state"]
            time.sleep(1)
        say(f"a recording of {DAY_S} s: {len(day['files'])} files, {day['slices']} slices, in {time.monotonic() - began:.0f} s")
    clone_callbacks(data, CALLBACKS)


def many_calls(server, count: int) -> None:
    def some(part: int) -> None:
        connection = http.client.HTTPConnection(host_of(server), timeout=60)
        for number in range(part):
            # Each fiftieth is refused, and some name an action that is not there.
            action = "DescribeLiveDomainSnapshotData" if number % 50 == 7 else "DescribeLiveRecordConfig"
            connection.request("POST", "/_localyun/call", json.dumps({"action": action, "params": {"DomainName": DOMAIN}}), {"content-type": "application/json"})
            connection.getresponse().read()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, [count // 4] * 4))


def server_ms(server, path: str, times: int = 5) -> float:
    """The median of a route's answer, to its last byte, without a browser in between."""
    took = []
    for _ in range(times):
        connection = http.client.HTTPConnection(host_of(server), timeout=60)
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200, (path, answer.status)
        connection.close()
    return statistics.median(took)


def screens() -> dict:
    data = Path(tempfile.mkdtemp(prefix="localyun-figures-"))
    pushes: list[subprocess.Popen] = []
    found: dict = {}
    try:
        filled(data)
        with Server(data_dir=data) as server, Console() as browser:
            rule(server, MANY, "m3u8")
            pushes += [push(server, count, 3600, "one_per_second.flv", name) for name, count in (("m", STREAMS - STREAMS // 2), ("n", STREAMS // 2))]
            wait_live(server, STREAMS)
            many_calls(server, EVENTS)
            (day,) = control(server, "GET", f"recordings?domain={DOMAIN}")[1]["recordings"]
            call = control(server, "GET", "requests?limit=1")[1]["requests"][0]["request_id"]
            totals = {name: control(server, "GET", f"{name}?limit=1")[1]["total"] for name in ("streams", "recordings", "callbacks", "requests")}
            say(f"there are {totals}")
            assert totals["streams"] == STREAMS and totals["callbacks"] >= CALLBACKS, totals
            place = {"day": day["session"], "call": call, "folder": str(Path(next(f for f in day["files"] if f["format"] == "mp4")["object"]).parent)}
            for name, (address, selector) in SCREENS.items():
                usable, asked = [], set()
                for _ in range(3):
                    visit = browser.visit(server)
                    visit.page.goto(f"{server.api}/_localyun/ui/#/{address.format(**place)}", wait_until="commit")
                    usable.append(visit.page.evaluate(USABLE, selector))
                    assert visit.page.locator(selector).count() > 0, f"{name} shows nothing"
                    asked |= {urlsplit(url)._replace(scheme="", netloc="").geturl() for url in visit.asked if "/_localyun/" in url and "/ui/" not in url and "/events" not in url}
                    visit.page.context.close()
                routes = {path: round(server_ms(server, path), 1) for path in sorted(asked)}
                slowest = max(routes, key=routes.get)
                found[name] = {"usable_ms": round(statistics.median(usable)), "server_ms": routes[slowest], "all_ms": round(sum(routes.values()), 1), "slowest": slowest}
                say(f"{name:22} usable {found[name]['usable_ms']:5} ms; server {routes[slowest]:6} ms at most ({slowest}), {found[name]['all_ms']} ms together")
    finally:
        end(*pushes)
        shutil.rmtree(data, ignore_errors=True)
    wrong = [name for name, it in found.items() if it["usable_ms"] > USABLE_MS or it["all_ms"] > SERVER_MS]
    return {"screens": found, "totals": totals, "wrong": wrong}


def resident_mb(pid: int) -> float:
    return int(next(line for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS")).split()[1]) / 1024


def memory() -> dict:
    minutes = int(os.environ.get("MINUTES", 10))
    rows = []
    with Server() as server, Console() as browser:
        rule(server, MANY, "m3u8", "mp4")
        pushing = push(server, 20, minutes * 60 + 60, "h264_aac.flv")
        try:
            wait_live(server, 20)
            places = ["now", "streams", f"streams/{MANY}/live/m7", "recordings", "callbacks", "calls", "rules", "objects/recordings", "faults", "state"]
            visits = [browser.visit(server) for _ in places]
            for visit, place in zip(visits, places):
                visit.page.goto(f"{server.api}/_localyun/ui/#/{place}")
            sessions = [visit.page.context.new_cdp_session(visit.page) for visit in visits]
            began = time.monotonic()
            for minute in range(1, minutes + 1):
                while time.monotonic() < began + minute * 60:
                    control(server, "POST", "call", {"action": "DescribeLiveRecordConfig", "params": {"DomainName": MANY}})
                    time.sleep(0.2)
                heaps, nodes = [], []
                for session in sessions:
                    session.send("HeapProfiler.collectGarbage")
                    session.send("Performance.enable")
                    metrics = {it["name"]: it["value"] for it in session.send("Performance.getMetrics")["metrics"]}
                    heaps.append(round(metrics["JSHeapUsedSize"] / 2**20, 2))
                    nodes.append(int(metrics["Nodes"]))
                rows.append({"minute": minute, "server_mb": round(resident_mb(server.process.pid), 1), "heaps_mb": heaps, "nodes": nodes})
                say(f"minute {minute}: server {rows[-1]['server_mb']} MB; pages {heaps} MB; nodes {nodes}")
        finally:
            end(pushing)
    # What the first two minutes fill (1000 events, the journal) is not growth.
    base, last = rows[min(2, len(rows) - 1)], rows[-1]
    wrong = [place for at, place in enumerate(places) if last["heaps_mb"][at] > base["heaps_mb"][at] * 1.25 + 1]
    if last["server_mb"] > base["server_mb"] * 1.1 + 4:
        wrong.append("server")
    return {"minutes": rows, "wrong": wrong}


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu() -> dict:
    window, rounds, streams = (int(os.environ.get(name, usual)) for name, usual in (("WINDOW_S", 30), ("ROUNDS", 5), ("STREAMS", 100)))
    screen = os.environ.get("SCREEN", "now")
    took: dict[str, list[float]] = {"without": [], "with": []}
    with Server() as server, Console() as browser:
        rule(server, MANY, "m3u8", "mp4", "flv")
        pushing = push(server, streams, (window + 10) * 4 * rounds + 120, "h264_aac.flv")
        try:
            wait_live(server, streams)
            # Connections, buffers and the first files are behind it then.
            time.sleep(60)
            # In this order, so that what grows or falls meanwhile counts for both alike.
            for _ in range(rounds):
                for how in ("without", "with", "with", "without"):
                    visit = None
                    if how == "with":
                        visit = browser.visit(server)
                        visit.page.goto(f"{server.api}/_localyun/ui/#/{screen}")
                    time.sleep(5)
                    before = cpu_s(server.process.pid)
                    time.sleep(window)
                    took[how].append(round(cpu_s(server.process.pid) - before, 2))
                    say(f"{how:8} {took[how][-1]:.2f} s of CPU in {window} s")
                    if visit:
                        visit.page.context.close()
        finally:
            end(pushing)
    more = sum(took["with"]) / sum(took["without"]) - 1
    return {"streams": streams, "screen": screen, "window_s": window, "cpu_s": took, "more": round(more, 4), "wrong": ["cpu"] if more > CPU_PART else []}


if __name__ == "__main__":
    parts = {"screens": screens, "memory": memory, "cpu": cpu}
    if sys.argv[1:] == [] or any(name not in parts for name in sys.argv[1:]):
        sys.exit(__doc__)
    done = {name: parts[name]() for name in sys.argv[1:]}
    print(json.dumps(done))
    sys.exit(1 if any(it["wrong"] for it in done.values()) else 0)
