#!/usr/bin/env python3
"""The image without an engine: its settings (read from the Dockerfile) and those of the compose file, in a network of its own, with a caller
from outside. Wants root: it makes a network namespace and a pair of interfaces, and takes both away again.

    LOCALYUN_BIN=… tests/kits/container.py"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ["LOCALYUN_BIN"]
NAME = f"kits{os.getpid()}"
OUTSIDE, INSIDE = "10.213.8.1", "10.213.8.2"
API = f"http://{INSIDE}:8080"


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def settings_of_the_image() -> dict[str, str]:
    text = (ROOT / "Dockerfile").read_text()
    (block,) = re.findall(r"^ENV (.*?)^VOLUME", text, re.M | re.S)
    return dict(re.findall(r"(LOCALYUN_\w+)=(\S+)", block))


def ask(path: str, token: str | None, body: dict | None = None, method: str = "GET") -> tuple[int, str]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(API + path, sent, headers, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def check(what: str, holds: bool, seen: object = "") -> None:
    if not holds:
        raise SystemExit(f"container: {what}: {seen}")
    print(f"container: {what}")


def inside(data: str) -> None:
    own = {"LOCALYUN_DATA_DIR": data, "LOCALYUN_CONTROL_TOKEN": "local", "LOCALYUN_PUBLIC_HOST": INSIDE}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCALYUN_")}
    server = subprocess.Popen(
        ["ip", "netns", "exec", NAME, PROGRAM, "serve"],
        env={**kept, **settings_of_the_image(), **own}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        ready = server.stdout.readline()
        check("it is ready with the image's settings", ready.startswith("{"), ready)
        probe = ["ip", "netns", "exec", NAME, PROGRAM, "health", "--endpoint", "http://127.0.0.1:8080"]
        check("the health check passes inside", subprocess.run(probe, env=kept, capture_output=True).returncode == 0)
        check("the probe answers a caller from outside", ask("/_localyun/health", None)[0] == 200)
        status, told = ask("/_localyun/recordings", None)
        check("the control plane refuses one without the token, and names the setting", status == 401 and "control-token" in told, told)
        status, told = ask("/_localyun/streams", "local", {"domain": "play.example.com", "stream": "s0", "seconds": 1, "speed": 0, "wait": True}, "POST")
        check("with the token it publishes", status == 200, told)

        client = {**kept, "LOCALYUN_ENDPOINT": API, "LOCALYUN_CONTROL_TOKEN": "local"}
        script = """set -e
            localyun call AddLiveAppRecordConfig DomainName=play.example.com AppName=live StreamName='*' \
              OssBucket=recordings OssEndpoint=oss-cn-shanghai.aliyuncs.com RecordFormat.1.Format=mp4
            localyun call AddLiveRecordNotifyConfig DomainName=play.example.com NotifyUrl=http://127.0.0.1:8080/_localyun/sink/mine
            curl -sf -H "Authorization: Bearer $LOCALYUN_CONTROL_TOKEN" -X POST $LOCALYUN_ENDPOINT/_localyun/streams \
              -d '{"domain": "play.example.com", "stream": "s1", "seconds": 10, "speed": 0, "wait": true}'
            curl -sf -H "Authorization: Bearer $LOCALYUN_CONTROL_TOKEN" -X POST $LOCALYUN_ENDPOINT/_localyun/clock/advance -d '{"seconds": 181}'
            curl -sf -H "Authorization: Bearer $LOCALYUN_CONTROL_TOKEN" "$LOCALYUN_ENDPOINT/_localyun/wait?kind=file&timeout_s=10"
            curl -sf -H "Authorization: Bearer $LOCALYUN_CONTROL_TOKEN" $LOCALYUN_ENDPOINT/_localyun/recordings
            localyun env
            localyun recordings --json
            localyun callbacks --json"""
        with tempfile.TemporaryDirectory() as place:
            os.symlink(os.path.realpath(PROGRAM), f"{place}/localyun")
            path = f"{place}:{os.environ['PATH']}"
            done = subprocess.run(["bash", "-c", script], env={**client, "PATH": path, "NO_PROXY": "*"}, capture_output=True, text=True)
        check("the commands of docs/docker.md work from outside", done.returncode == 0, done.stdout + done.stderr)
        told = "".join([done.stdout] + [ask(f"/_localyun/{name}", "local")[1] for name in ("health", "recordings", "callbacks", "streams", "sinks/mine")])
        check("no address that it hands out is 0.0.0.0", "0.0.0.0" not in told, [line for line in told.splitlines() if "0.0.0.0" in line])
        recordings = json.loads(ask("/_localyun/recordings?stream=s1", "local")[1])["recordings"]
        url = recordings[0]["files"][0]["signed_url"]
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
            check("the address of a recording plays from outside", answer.read()[4:8] == b"ftyp", url)
    finally:
        server.terminate()
        server.wait(20)


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("container: not run: a network of its own with a way in wants root")
    run("ip", "netns", "add", NAME)
    try:
        pair = f"v{os.getpid()}"
        run("ip", "link", "add", pair, "type", "veth", "peer", "name", "eth0", "netns", NAME)
        run("ip", "addr", "add", f"{OUTSIDE}/24", "dev", pair)
        run("ip", "link", "set", pair, "up")
        run("ip", "-n", NAME, "addr", "add", f"{INSIDE}/24", "dev", "eth0")
        run("ip", "-n", NAME, "link", "set", "eth0", "up")
        run("ip", "-n", NAME, "link", "set", "lo", "up")
        with tempfile.TemporaryDirectory() as data:
            inside(data)
    finally:
        # The pair goes with it.
        run("ip", "netns", "delete", NAME)


main()
