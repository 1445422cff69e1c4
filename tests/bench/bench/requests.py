"""API throughput: signed requests made beforehand, fired over keep-alive connections."""

import hashlib
import hmac
import json
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.api import Api, escape
from harness.server import Server

from . import procs

VERSION = "2016-11-01"
RULES = 100


@dataclass
class Rate:
    """One kind of request: answers a second, server CPU in microseconds an answer, latencies in milliseconds."""

    name: str
    connections: int
    answers: int
    failed: int
    per_second: float
    cpu_us: float
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


def fire(program: Path, server: Server, name: str, connections: int, requests: list[bytes], folder: Path) -> Rate:
    """Sends the requests and measures the server meanwhile."""
    file = folder / "requests"
    file.write_bytes(b"".join(len(one).to_bytes(4, "big") + one for one in requests))
    host, port = server.api.removeprefix("http://").split(":")
    before = procs.use(server.process.pid).cpu
    done = subprocess.run([program, host, port, str(connections), file], capture_output=True, text=True, timeout=300)
    after = procs.use(server.process.pid).cpu
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    seen = json.loads(done.stdout)
    if seen["failed"]:
        raise RuntimeError(f"{name}: {seen['failed']} answers are no success; the first: {done.stderr.strip()[:600]}")
    answers = seen["answers"]
    return Rate(name, connections, answers, seen["failed"], answers / seen["seconds"], (after - before) / answers * 1e6, seen["p50_us"] / 1e3, seen["p99_us"] / 1e3)


def _rule(domain: str, app: str) -> dict[str, object]:
    place = {"OssBucket": "recordings", "OssEndpoint": "oss-cn-shanghai.aliyuncs.com"}
    return {"DomainName": domain, "AppName": app, **place, "RecordFormat": [{"Format": "mp4"}]}


def rates(program: Path, folder: Path, many: int) -> list[Rate]:
    """Reads of a page out of 100 rules by both signatures, durable writes, and the clock route as the floor; `many` requests a kind."""
    data = folder / "api-data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    with Server("--log", "warn", data_dir=data) as server:
        api = Api(server.api)
        for n in range(RULES):
            api.call("AddLiveAppRecordConfig", **_rule("read.example.com", f"app{n:03}"))
        read = {"DomainName": "read.example.com", "PageNum": "1", "PageSize": "30"}
        listed = api.call("DescribeLiveRecordConfig", **read)["LiveAppRecordList"]["LiveAppRecord"]
        clock = _http(f"{api.host}:{api.port}", "/_localyun/clock")
        found = []
        # The floor before and after, so that a change of the machine's load shows.
        found.append(fire(program, server, "GET /_localyun/clock", 32, [clock] * (many * 4), folder))
        found.append(fire(program, server, f"DescribeLiveRecordConfig, {len(listed)} of 100 rules, V1", 32, [v1(api, "DescribeLiveRecordConfig", **read) for _ in range(many)], folder))
        found.append(fire(program, server, f"DescribeLiveRecordConfig, {len(listed)} of 100 rules, ACS3", 32, [acs3(api, "DescribeLiveRecordConfig", **read) for _ in range(many)], folder))
        one = {"DomainName": "read.example.com", "AppName": "app001"}
        found.append(fire(program, server, "DescribeLiveRecordConfig, 1 rule, V1", 32, [v1(api, "DescribeLiveRecordConfig", **one) for _ in range(many)], folder))
        writes = [v1(api, "AddLiveAppRecordConfig", **_rule(f"write{n % 40}.example.com", f"app{n:05}")) for n in range(many // 2)]
        found.append(fire(program, server, "AddLiveAppRecordConfig, durable, V1", 32, writes, folder))
        found.append(fire(program, server, "GET /_localyun/clock, again", 32, [clock] * (many * 4), folder))
        return found
