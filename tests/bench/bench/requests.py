"""API throughput: signed requests made beforehand, fired over keep-alive connections, beside the web framework alone."""

import hashlib
import hmac
import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.api import Api, escape
from harness.server import Server

from . import own, procs

VERSION = "2016-11-01"
RULES = 100
CONNECTIONS = 32
READ_DOMAIN = "read.example.com"
# As many as localyun's API port has.
WORKERS = 2
# Domains over which the spread writes go, and writes to a single one: all of its rules are looked at.
DOMAINS = 40
ONE_DOMAIN_WRITES = 2000
BARE = "actix-web alone, short answer"


@dataclass
class Rate:
    """One kind of request: answers a second, CPU of the server and of the load maker in microseconds an answer, latencies in milliseconds."""

    name: str
    answers: int
    per_second: float
    cpu_us: float
    maker_us: float
    maker_busy: float
    p50_ms: float
    p99_ms: float


def _http(host: str, target: str, headers: dict[str, str] | None = None) -> bytes:
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}"] + [f"{k}: {v}" for k, v in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def v1(api: Api, action: str, **params: object) -> bytes:
    """A GET with RPC signature V1 in its query."""
    flat = api.signed(action, **params)
    return _http(f"{api.host}:{api.port}", "/?" + "&".join(f"{escape(k)}={escape(v)}" for k, v in flat.items()))


def acs3(api: Api, action: str, **params: str) -> bytes:
    """A GET with ACS3-HMAC-SHA256 in its headers."""
    host, empty = f"{api.host}:{api.port}", hashlib.sha256(b"").hexdigest()
    query = "&".join(f"{escape(k)}={escape(v)}" for k, v in sorted(params.items()))
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": empty,
        "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-version": VERSION,
    }
    names = ";".join(headers)
    canonical = "\n".join(["GET", "/", query, *(f"{k}:{v}" for k, v in headers.items()), "", names, empty])
    signed = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(api.secret.encode(), signed.encode(), "sha256").hexdigest()
    del headers["host"]
    headers["Authorization"] = f"ACS3-HMAC-SHA256 Credential={api.key},SignedHeaders={names},Signature={signature}"
    return _http(host, f"/?{query}", headers)


@dataclass(frozen=True)
class Target:
    """What is fired at, and with what."""

    program: Path
    folder: Path
    pid: int
    host: str
    depth: int

    def fire(self, name: str, requests: list[bytes]) -> Rate:
        """Sends the requests and measures both sides meanwhile."""
        file = self.folder / "requests"
        file.write_bytes(b"".join(len(one).to_bytes(4, "big") + one for one in requests))
        host, port = self.host.split(":")
        before = procs.use(self.pid).cpu
        command = [self.program, host, port, str(CONNECTIONS), file, str(self.depth)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        after = procs.use(self.pid).cpu
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr.strip()}")
        seen = json.loads(done.stdout)
        if seen["failed"]:
            raise RuntimeError(f"{name}: {seen['failed']} answers are no success; the first: {done.stderr.strip()[:600]}")
        answers, seconds, maker = seen["answers"], seen["seconds"], seen["cpu_s"]
        cpu = (after - before) / answers * 1e6
        return Rate(name, answers, answers / seconds, cpu, maker / answers * 1e6, maker / seconds, seen["p50_us"] / 1e3, seen["p99_us"] / 1e3)


@contextmanager
def _bare(program: Path, size: int) -> Iterator[tuple[int, str]]:
    """The web framework alone, answering `size` bytes: its process and address."""
    process = subprocess.Popen([program, str(WORKERS), str(size)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.pid, f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait(20)


def rule(domain: str, app: str) -> dict[str, object]:
    """The parameters of a rule."""
    return {"DomainName": domain, "AppName": app, **own.PLACE, "RecordFormat": [{"Format": "mp4"}]}


def hundred_rules(server: Server) -> Api:
    """Stores the rules that the reads find."""
    api = Api(server.api)
    for n in range(RULES):
        api.call("AddLiveAppRecordConfig", **rule(READ_DOMAIN, f"app{n:03}"))
    return api


def rates(program: Path, bare: Path, folder: Path, many: int, depth: int, say: Callable[[str], None]) -> list[Rate]:
    """Reads of a page out of 100 rules by both signatures, durable writes, and the web framework alone before and after; `many` requests a kind."""
    data = folder / "api-data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    found: list[Rate] = []

    def note(rate: Rate) -> None:
        found.append(rate)
        say(f"{rate.name}: {rate.per_second:.0f}/s, server {rate.cpu_us:.0f} µs, load maker {rate.maker_us:.1f} µs each")

    def alone(name: str, size: int) -> None:
        with _bare(bare, size) as (pid, host):
            note(Target(program, folder, pid, host, depth).fire(name, [_http(host, "/")] * (many * 8)))

    with own.server(data) as server:
        api = hundred_rules(server)
        ours = Target(program, folder, server.process.pid, f"{api.host}:{api.port}", depth)
        # The floor before and after, so that a change of the machine's load shows.
        alone(BARE, 2)
        kinds = [("default page", {"DomainName": READ_DOMAIN}), ("30 a page", {"DomainName": READ_DOMAIN, "PageNum": "1", "PageSize": "30"})]
        for kind, params in kinds:
            whole = api.call("DescribeLiveRecordConfig", **params)
            listed = len(whole["LiveAppRecordList"]["LiveAppRecord"])
            name = f"DescribeLiveRecordConfig, {kind} ({listed} of {RULES} rules)"
            note(ours.fire(f"{name}, V1", [v1(api, "DescribeLiveRecordConfig", **params) for _ in range(many)]))
            note(ours.fire(f"{name}, ACS3", [acs3(api, "DescribeLiveRecordConfig", **params) for _ in range(many)]))
            size = len(json.dumps(whole, separators=(",", ":")))
            alone(f"actix-web alone, {size} bytes as that page has", size)
        one = {"DomainName": READ_DOMAIN, "AppName": "app001"}
        note(ours.fire("DescribeLiveRecordConfig, 1 rule, V1", [v1(api, "DescribeLiveRecordConfig", **one) for _ in range(many)]))
        note(ours.fire("GET /_localyun/clock", [_http(f"{api.host}:{api.port}", "/_localyun/clock")] * (many * 2)))
        spread = [v1(api, "AddLiveAppRecordConfig", **rule(f"write{n % DOMAINS}.example.com", f"app{n:05}")) for n in range(many // 2)]
        note(ours.fire(f"AddLiveAppRecordConfig, durable, {DOMAINS} domains, V1", spread))
        single = [v1(api, "AddLiveAppRecordConfig", **rule("one.example.com", f"app{n:05}")) for n in range(min(many // 2, ONE_DOMAIN_WRITES))]
        note(ours.fire("AddLiveAppRecordConfig, durable, one domain, V1", single))
        alone(f"{BARE}, again", 2)
        return found
