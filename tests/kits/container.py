#!/usr/bin/env python3
"""The container without an engine. What an engine would do is done by hand: a network for the container with the image's settings (read from
the Dockerfile), a network for the developer's machine, and between them the ports that are published there, as docs/docker.md's own
`docker run` line, the compose file and the page's recipe for CI have them. The page's commands run on the developer's side as they stand.

Wants root: it makes network namespaces and takes them away again.

    LOCALYUN_BIN=… tests/kits/container.py"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from documents import Block, blocks

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/docker.md"
OWN = "by=tests/kits/container.py"
PROGRAM = os.path.realpath(os.environ["LOCALYUN_BIN"])
HOST, CONTAINER = f"kh{os.getpid()}", f"kc{os.getpid()}"
GATEWAY, INSIDE = "172.29.213.1", "172.29.213.2"
KEPT = {name: value for name, value in os.environ.items() if not name.startswith("LOCALYUN_") and "proxy" not in name.lower()}


@dataclass(frozen=True)
class Run:
    """How a container is started: its settings, the ports that are published (outer to inner), names beside its own."""

    settings: dict[str, str]
    ports: dict[int, int] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()


def check(what: str, holds: bool, seen: object = "") -> None:
    if not holds:
        raise SystemExit(f"container: {what}: {seen}")
    print(f"container: {what}")


def page_blocks(wanted: str) -> Block:
    (found,) = [block for block in blocks(PAGE) if block.mark == OWN and wanted in block.text]
    return found


def settings_of_the_image() -> dict[str, str]:
    text = (ROOT / "Dockerfile").read_text()
    (block,) = re.findall(r"^ENV (.*?)^VOLUME", text, re.M | re.S)
    return dict(re.findall(r"(LOCALYUN_\w+)=(\S+)", block))


def health_check_of_the_image() -> list[str]:
    (words,) = re.findall(r"^HEALTHCHECK [^\[]*(\[[^\]]*\])", (ROOT / "Dockerfile").read_text(), re.M)
    return json.loads(words)


def of_the_page() -> Run:
    """The page's `docker run` line."""
    (line,) = [line for line in page_blocks("docker run").text.replace("\\\n", " ").splitlines() if line.startswith("docker run")]
    words = shlex.split(line)
    pairs = list(zip(words, words[1:], strict=False))
    ports = dict(tuple(map(int, value.split(":"))) for name, value in pairs if name == "-p")
    settings = dict(value.split("=", 1) for name, value in pairs if name == "-e")
    hosts = tuple(value.split(":")[0] for name, value in pairs if name == "--add-host" and value.endswith(":host-gateway"))
    assert words[-1] == "localyun" and hosts, line
    return Run(settings, ports, hosts)


def of_compose() -> Run:
    """The service of the compose file that the page starts."""
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["localyun"]
    plain = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in service["environment"].items()}
    ports = dict(tuple(map(int, port.split(":")[-2:])) for port in service["ports"])
    return Run(plain, ports, tuple(host.split(":")[0] for host in service["extra_hosts"]))


def lines_of_compose() -> None:
    """The page's lines that an engine would run start what is in the compose file, under the profile that it has there."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    lines = [line for block in blocks(PAGE) if block.mark == OWN for line in block.text.splitlines() if line.startswith("docker compose")]
    for line in lines:
        words = shlex.split(line)
        profiles = {value for name, value in zip(words, words[1:], strict=False) if name == "--profile"}
        named = [word for word in words[words.index("up") + 1 :] if not word.startswith("-")]
        started = named or [name for name, service in services.items() if "profiles" not in service]
        fits = [name in services and set(services[name].get("profiles", [])) <= profiles for name in started]
        check(f"`{line}` starts {', '.join(started)}", bool(started) and all(fits), services.keys())
        for name in started:
            # What it depends on is under the same profile, and the ports that the page speaks of are published.
            needed = services[name].get("depends_on", {})
            check(f"{name} has what it needs", all(set(services[other]["profiles"]) <= profiles for other in needed))
            check(f"{name} has a token", "LOCALYUN_CONTROL_TOKEN" in services[name]["environment"])
    check("the page has lines of compose", len(lines) == 2, lines)


def of_ci() -> tuple[Run, dict[str, str]]:
    """The page's service of a CI job, and the variables of the job. It is reached by its name and publishes nothing."""
    recipe = yaml.safe_load(page_blocks("alias:").text)
    (service,) = recipe["services"]
    return Run(service["variables"]), {**recipe["variables"], "ALIAS": service["alias"]}


def of_github() -> tuple[Run, dict[str, str]]:
    """The same of GitHub: the job is on the runner, where the service's ports are published."""
    job = yaml.safe_load(page_blocks("runs-on:").text)["jobs"]["test"]
    (service,) = job["services"].values()
    ports = dict(tuple(map(int, port.split(":"))) for port in service["ports"])
    return Run(service["env"], ports), job["env"]


def forward(outer: int, inner: int) -> None:
    """A port of the developer's machine that leads into the container, as an engine's proxy does it: the peer inside is the gateway."""

    def pipe(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    listener = socket.create_server(("127.0.0.1", outer))
    while True:
        taken, _ = listener.accept()
        try:
            led = socket.create_connection((INSIDE, inner), 10)
        except OSError:
            taken.close()
            continue
        for pair in ((taken, led), (led, taken)):
            threading.Thread(target=pipe, args=pair, daemon=True).start()


def command(*words: str) -> None:
    subprocess.run(words, check=True)


@contextlib.contextmanager
def networks(names: dict[str, dict[str, str]]) -> Iterator[None]:
    """Both networks; `names` are the hosts files of each."""
    folders = [Path("/etc/netns") / name for name in (HOST, CONTAINER)]
    try:
        for folder, lines in zip(folders, names.values(), strict=True):
            folder.mkdir(parents=True)
            text = "".join(f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **lines}.items())
            (folder / "hosts").write_text(text)
        for name in (HOST, CONTAINER):
            command("ip", "netns", "add", name)
            command("ip", "-n", name, "link", "set", "lo", "up")
        command("ip", "-n", HOST, "link", "add", "bridge0", "type", "veth", "peer", "name", "eth0", "netns", CONTAINER)
        for name, link, address in ((HOST, "bridge0", GATEWAY), (CONTAINER, "eth0", INSIDE)):
            command("ip", "-n", name, "addr", "add", f"{address}/24", "dev", link)
            command("ip", "-n", name, "link", "set", link, "up")
        yield
    finally:
        for name, folder in zip((HOST, CONTAINER), folders, strict=True):
            # The pair goes with them.
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
            with contextlib.suppress(OSError):
                (folder / "hosts").unlink(missing_ok=True)
                folder.rmdir()
        with contextlib.suppress(OSError):
            folders[0].parent.rmdir()


def inside(*words: str) -> list[str]:
    return ["ip", "netns", "exec", CONTAINER, *words]


def outside(*words: str) -> list[str]:
    return ["ip", "netns", "exec", HOST, *words]


@contextlib.contextmanager
def container(run: Run, names_of_the_host: dict[str, str] | None = None) -> Iterator[Path]:
    """A container that runs, with its ports published; gives a folder of the developer's with `localyun` on its path."""
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as desk:
        bin_folder = Path(desk) / "bin"
        bin_folder.mkdir()
        (bin_folder / "localyun").symlink_to(PROGRAM)
        names = {HOST: names_of_the_host or {}, CONTAINER: {name: GATEWAY for name in run.hosts}}
        with networks(names):
            settings = {**KEPT, **settings_of_the_image(), **run.settings, "LOCALYUN_DATA_DIR": data}
            server = subprocess.Popen(inside(PROGRAM, "serve"), env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            proxies = [
                subprocess.Popen(outside(sys.executable, __file__, "forward", str(outer), str(inner)), env={**os.environ})
                for outer, inner in run.ports.items()
            ]
            try:
                ready = server.stdout.readline()
                check("it is ready with the image's settings", ready.startswith("{") and "0.0.0.0" not in ready, ready)
                probe = [PROGRAM, *health_check_of_the_image()[1:]]
                check("its health check passes", subprocess.run(inside(*probe), env=KEPT, capture_output=True).returncode == 0)
                for outer in run.ports:
                    wait_for_port(outer)
                yield Path(desk)
            finally:
                for process in (*proxies, server):
                    process.terminate()
                for process in (*proxies, server):
                    process.wait(20)


def wait_for_port(port: int) -> None:
    look = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
    for _ in range(100):
        if subprocess.run(outside(sys.executable, "-c", look), capture_output=True).returncode == 0:
            return
        time.sleep(0.05)
    raise SystemExit(f"container: nobody publishes {port}")


def shell(desk: Path, script: str, **more: str) -> str:
    """Commands on the developer's machine; all of them have to come back with 0."""
    env = {**KEPT, "PATH": f"{desk}/bin:{os.environ['PATH']}", "HOME": str(desk), **more}
    done = subprocess.run(outside("bash", "-euo", "pipefail", "-c", script), cwd=desk, env=env, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise SystemExit(f"container: {script!r} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


#: What a developer does after the page's own commands, from the address in LOCALYUN_ENDPOINT.
FIRST_RECORDING = """
localyun call AddLiveAppRecordConfig DomainName=play.example.com AppName=live StreamName='*' \
  OssBucket=recordings OssEndpoint=oss-cn-shanghai.aliyuncs.com RecordFormat.1.Format=mp4
localyun call AddLiveRecordNotifyConfig DomainName=play.example.com NotifyUrl="$RECEIVER"
eval "$(localyun env)"
localyun publish --domain play.example.com --stream s1 --seconds 10 --speed 0
localyun advance 181
localyun wait file
localyun callbacks --json
localyun env
url=$(localyun recordings --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["recordings"][0]["files"][0]["signed_url"])')
curl -sf -o made.mp4 "$url"
python3 -c 'assert open("made.mp4", "rb").read()[4:8] == b"ftyp"'
localyun publish --domain play.example.com --stream s2 --seconds 30 &
localyun wait publish --stream s2
localyun play --domain play.example.com --stream s2 --seconds 2
kill $!
"""
ANSWERS = """
for route in health config recordings callbacks streams nodes requests sinks control.openapi.json; do
  curl -sf -H "Authorization: Bearer $LOCALYUN_CONTROL_TOKEN" "$LOCALYUN_ENDPOINT/_localyun/$route"
done
"""
RECEIVER = """
import http.server, sys
class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        open(sys.argv[1], "ab").write(self.rfile.read(int(self.headers["content-length"])) + b"\\n")
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("0.0.0.0", 5055), Taker).serve_forever()
"""


def whole_page(run: Run, how: str) -> None:
    """The page's session on the developer's machine, then a first recording with a callback out of the container."""
    with container(run) as desk:
        status = shell(desk, "curl -s -o told -w '%{http_code}' http://localhost:8080/_localyun/recordings; echo; cat told")
        check(f"{how}: without the token it is refused, and the setting is named", status.startswith("401") and "LOCALYUN_CONTROL_TOKEN" in status, status)
        check(f"{how}: the probe answers anybody", "ready" in shell(desk, "curl -sf http://localhost:8080/_localyun/health"))
        session = page_blocks("LOCALYUN_ENDPOINT=").text
        told = shell(desk, session)
        came = desk / "came"
        receiver = subprocess.Popen(outside(sys.executable, "-c", RECEIVER, str(came)))
        try:
            export = session.splitlines()[0]
            told += shell(desk, f"{export}\n{FIRST_RECORDING}\n{ANSWERS}", RECEIVER="http://host.docker.internal:5055/callback")
            check(f"{how}: a callback comes out to the developer's machine", b'"uri"' in came.read_bytes())
        finally:
            receiver.terminate()
            receiver.wait(10)
        told = without_settings(told)
        check(f"{how}: the page's commands work from outside, and a recording plays", True)
        check(f"{how}: no address that it hands out is 0.0.0.0", "0.0.0.0" not in told, [line for line in told.splitlines() if "0.0.0.0" in line])


#: What a program does that reaches other ports than those inside, as Testcontainers publishes them: the sink is told its inner address, a signed
#: address gets the outer authority of the store (LocalyunContainer of the Java kit does both).
MAPPED = """
asked() { curl -sf -H "Authorization: Bearer $LOCALYUN_CONTROL_TOKEN" "$@"; }
localyun call AddLiveAppRecordConfig DomainName=play.example.com AppName=live StreamName='*' \
  OssBucket=recordings OssEndpoint=oss-cn-shanghai.aliyuncs.com RecordFormat.1.Format=mp4
localyun call AddLiveRecordNotifyConfig DomainName=play.example.com NotifyUrl=http://127.0.0.1:8080/_localyun/sink/mine
asked -d '{"domain": "play.example.com", "app": "live", "stream": "s1", "seconds": 5, "speed": 0, "wait": true}' "$LOCALYUN_ENDPOINT/_localyun/streams"
localyun advance 181
localyun wait file
localyun wait callback
asked "$LOCALYUN_ENDPOINT/_localyun/sinks/mine" >sink.json
url=$(localyun recordings --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["recordings"][0]["files"][0]["signed_url"])')
echo "signed: $url"
curl -sf -o made.mp4 "$(printf %s "$url" | sed 's/:9000/:29000/')"
python3 -c 'assert open("made.mp4", "rb").read()[4:8] == b"ftyp"'
python3 -c 'import json; assert any("uri" in (request["json"] or {}) for request in json.load(open("sink.json"))["requests"])'
"""


def mapped() -> None:
    """The container's ports are published under other numbers, which nothing inside knows."""
    with container(Run({"LOCALYUN_CONTROL_TOKEN": "mapped"}, {28080: 8080, 29000: 9000})) as desk:
        told = shell(desk, MAPPED, LOCALYUN_ENDPOINT="http://localhost:28080", LOCALYUN_CONTROL_TOKEN="mapped")
        check("other ports outside: a sink is told by the inner address", True)
        check("other ports outside: a signed address plays at the store's outer port", "signed: http://localhost:9000/" in told, told)


def without_settings(told: str) -> str:
    """What was set is told as it was set, in the list of settings alone."""
    return re.sub(r'\{\s*"name": "[\w-]+-addr",\s*"value": "0\.0\.0\.0:\d+",\s*"source": "\w+"\s*\}', "", told)


def main() -> None:
    if sys.argv[1:2] == ["forward"]:
        forward(*map(int, sys.argv[2:]))
    if os.geteuid() != 0:
        sys.exit("container: not run: networks of its own with a way between them want root")
    lines_of_compose()
    whole_page(of_the_page(), "docker run")
    whole_page(of_compose(), "compose")
    # The page asks for a public host; who forgets it is told the host by which it came.
    page = of_the_page()
    forgetful = Run({name: value for name, value in page.settings.items() if name != "LOCALYUN_PUBLIC_HOST"}, page.ports, page.hosts)
    whole_page(forgetful, "without a public host")
    mapped()
    run, variables = of_ci()
    alias = variables.pop("ALIAS")
    with container(run, {alias: INSIDE}) as desk:
        told = shell(desk, FIRST_RECORDING + ANSWERS, **variables, RECEIVER="http://127.0.0.1:8080/_localyun/sink/mine")
        check("CI: a job reaches the service by its name, and a recording plays", f"http://{alias}:9000/" in told)
        check("CI: no address that it hands out is 0.0.0.0", "0.0.0.0" not in without_settings(told))
    run, variables = of_github()
    with container(run) as desk:
        told = shell(desk, FIRST_RECORDING + ANSWERS, **variables, RECEIVER="http://127.0.0.1:8080/_localyun/sink/mine")
        check("CI: a job of GitHub reaches the published ports, and a recording plays", "http://localhost:9000/" in told)


if __name__ == "__main__":
    main()
