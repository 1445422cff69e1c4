"""A host vanishes without a word: its packets are lost, and no connection is refused or reset. Nothing hangs, ingest does not notice,
and everything is delivered when the host is back.

The host is a network namespace whose address is taken away. That needs root and a kernel that allows it.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid

import pytest

from harness import probe
from harness.bucket import Bucket, client
from harness.server import Server, clean_environment
from harness.stage import Stage
from harness.wait import wait_for

PROMPT_SECONDS = 3

# Writes each request's body as a line of JSON and answers 200.
RECEIVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[2], "ab") as file:
            file.write(body + b"\\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer((sys.argv[1], 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Host:
    """Another host, one cable away."""

    def __init__(self) -> None:
        tag = uuid.uuid4().hex[:6]
        self.name, self.near, self.far = f"ly-{tag}", f"lyn{tag}", f"lyf{tag}"
        net = uuid.uuid4().int
        self.here, self.address = (f"10.{200 + net % 50}.{net // 50 % 250}.{last}" for last in (1, 2))

    def up(self) -> None:
        """Makes the namespace; what fails leaves nothing behind."""
        self.ip("netns", "add", self.name)
        self.ip("link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.name)
        self.ip("addr", "add", f"{self.here}/30", "dev", self.near)
        self.ip("link", "set", self.near, "up")
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "link", "set", self.far, "up")
        self.appear()
        # Known for good, so that nobody is told that the host cannot be found.
        links = json.loads(self.inside("ip", "-json", "link", "show", self.far))
        self.ip("neigh", "replace", self.address, "lladdr", links[0]["address"], "dev", self.near, "nud", "permanent")

    def ip(self, *words: str) -> str:
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20).stdout

    def inside(self, *command: str) -> str:
        """Runs a command on the host."""
        return self.ip("netns", "exec", self.name, *command)

    @property
    def under(self) -> tuple[str, ...]:
        """Before a command that is to run on the host."""
        return ("ip", "netns", "exec", self.name)

    def vanish(self) -> None:
        """Whatever is sent to it is lost from now on."""
        self.inside("ip", "addr", "flush", "dev", self.far)

    def appear(self) -> None:
        """It is there (again)."""
        self.inside("ip", "addr", "replace", f"{self.address}/30", "dev", self.far)

    def down(self) -> None:
        """Takes the namespace and its cable away."""
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, timeout=20)
        subprocess.run(["ip", "link", "del", self.near], capture_output=True, timeout=20)


@pytest.fixture
def host():
    host = Host()
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and iproute2")
    try:
        host.up()
    except subprocess.CalledProcessError as error:
        host.down()
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.strip()}")
    yield host
    host.down()


@pytest.fixture
def far_receiver(host, tmp_path):
    """The URL of a receiver on the host, and a function that gives the bodies it took."""
    file = tmp_path / "received"
    command = [*host.under, sys.executable, "-c", RECEIVER, host.address, str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment())
    try:
        port = int(process.stdout.readline())
        yield (
            f"http://{host.address}:{port}/told",
            lambda: [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else [],
        )
    finally:
        process.kill()
        process.wait(10)


def prompt(work, seconds: float = PROMPT_SECONDS) -> None:
    """Does something that must not take long."""
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    assert took < seconds, f"{took:.2f} s"


def check_files(stage: Stage, source, events: list[dict]) -> None:
    """Every frame of the source is in the MP4 and FLV files."""
    path = stage.folder / "source.flv"
    path.write_bytes(source.sent_flv())
    for event in events:
        file = stage.fetch(event["uri"])
        for track in "va":
            assert probe.payloads(file, track) == probe.payloads(path, track)


def test_the_receiver_vanishes(own_stage, host, far_receiver):
    url, told = far_receiver
    stage = own_stage()
    stage.rule("mp4", "flv", DelayTime=15)
    stage.notify(NotifyUrl=url, NeedStatusNotify=True)
    source = stage.publisher()
    source.push(4)
    wait_for(lambda: [body.get("event") for body in told()] == ["record_started"], what="the first callback")
    host.vanish()
    for _ in range(4):
        prompt(lambda: source.push(2))
    prompt(lambda: stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain))
    stage.end(source)
    # An interruption is told, then the files: each is tried six times.
    stage.advance(16)
    assert len(told()) == 1
    files = wait_for(lambda: stage.bucket.keys(".mp4") and stage.bucket.keys(".flv") and stage.bucket.keys(), what="the files without the receiver")
    assert len(files) == 2
    rows = stage.server.rows("/_localyun/callbacks?limit=1000", "callbacks")
    assert any(attempt["error"] for row in rows for attempt in row["attempts"]), rows
    host.appear()

    def all_told() -> bool:
        stage.advance(2)
        for row in stage.server.rows("/_localyun/callbacks?limit=1000", "callbacks"):
            if row["state"] == "failed":
                stage.server.control("POST", f"/_localyun/callbacks/{row['id']}/replay")
        return len([body for body in told() if "uri" in body]) >= 2

    wait_for(all_told, 40, "every callback after the receiver is back")
    check_files(stage, source, [body for body in told() if "uri" in body])


@pytest.fixture
def far_store(host, tmp_path):
    """The endpoint of an object store on the host: another localyun, on SQLite of its own."""
    flags = ("--oss-addr", f"{host.address}:0")
    with Server(*flags, data_dir=tmp_path / "far", under=host.under) as server:
        yield server.oss


def retries(server: Server) -> int:
    """Uploads that had to be tried again."""
    (line,) = [line for line in server.get("/metrics").splitlines() if line.startswith("localyun_upload_retries_total ")]
    return int(line.split()[1])


def test_the_outside_store_vanishes(own_stage, host, far_store):
    """First with a connection that was in use, whose requests nobody answers; then with none that can be made."""
    stage = own_stage("--oss-endpoint", far_store, "--oss-access-key", "testid:testsecret", "--oss-addressing", "path")
    bucket = Bucket(client(far_store), stage.bucket.name)
    stage.rule({"Format": "m3u8", "SliceDuration": 5}, "mp4", "flv", DelayTime=15)
    stage.notify()
    source = stage.publisher()
    source.push(8)
    wait_for(lambda: bucket.keys(".ts"), what="the first slice outside")
    host.vanish()
    for _ in range(4):
        prompt(lambda: source.push(6))
    prompt(lambda: stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain))
    # A rule's bucket is asked for, and waited for no longer than a client waits.
    prompt(lambda: stage.rule("mp4", app="another"), 6)
    stage.end(source)
    # The request on its way is given up after a while; from then on time passes again, and each further try rests a little longer.
    wait_for(lambda: retries(stage.server), 90, "the end of the first try")
    stage.advance(16)
    assert stage.inbox.files() == []
    host.appear()

    def arrived() -> bool:
        stage.advance(10)
        return len(stage.inbox.files()) >= 3

    wait_for(arrived, 90, "every file after the store is back")
    files = stage.inbox.files()
    assert sorted(event["uri"].rsplit(".", 1)[1] for event in files) == ["flv", "m3u8", "mp4"]
    path = stage.folder / "source.flv"
    path.write_bytes(source.sent_flv())
    for event in files:
        if event["uri"].endswith(".m3u8"):
            continue
        file = stage.folder / event["uri"].rsplit("/", 1)[1]
        file.write_bytes(bucket.get(event["uri"]))
        for track in "va":
            assert probe.payloads(file, track) == probe.payloads(path, track)
