"""Recordings that go to an S3 store outside: moto's server with buckets in the path, another localyun with buckets in the
host name. The machine knows no such host names, so that server runs under a hosts file of its own, where the system
allows a mount namespace."""

import http.client
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from harness import probe
from harness.bucket import Bucket, client
from harness.playlist import parse
from harness.server import PROJECT, Server, binary, clean_environment
from harness.stage import Stage
from harness.wait import wait_for

M3U8, CMAF = ({"Format": format, "SliceDuration": 5} for format in ("m3u8", "cmaf"))
PART_BYTES = 16 << 20
CLIP = PROJECT / "fixtures" / "media" / "h264_aac.flv"
SECONDS = 20


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """moto's server in a process of its own; it picks the port and says it."""
    log = tmp_path_factory.mktemp("moto") / "log"
    program = Path(sys.executable).parent / "moto_server"
    with log.open("wb") as output:
        process = subprocess.Popen([str(program), "-H", "127.0.0.1", "-p", "0"], stdout=output, stderr=output, env=clean_environment())

    def address():
        assert process.poll() is None, log.read_text()
        said = [line.split("Running on ")[1] for line in log.read_text().splitlines() if "Running on http://127" in line]
        return said[0].split()[0] if said else None

    try:
        yield wait_for(address, 60, "moto's address")
    finally:
        process.terminate()
        process.wait(20)


def outside(stage: Stage, endpoint: str) -> Bucket:
    """The bucket of a stage at another server, where its recordings go."""
    return Bucket(client(endpoint), stage.bucket.name)


def record_all_formats(stage: Stage, bucket: Bucket) -> None:
    """Every announced object is outside and plays to its end; nothing went into the store inside."""
    stage.rule(M3U8, "mp4", "flv", app="live", DelayTime=15)
    stage.rule(CMAF, app="cmaf", DelayTime=15)
    stage.notify()
    stage.push(SECONDS, app="live")
    stage.push(SECONDS, app="cmaf")
    stage.advance(16)
    events = [event["uri"] for event in stage.wait_files(4)]
    for kind in ("mp4", "flv"):
        (key,) = [key for key in events if key.endswith(f".{kind}")]
        path = stage.folder / f"copy.{kind}"
        path.write_bytes(bucket.get(key))
        assert probe.duration(path) == pytest.approx(SECONDS, abs=0.2)
        probe.decodes(path)
    playlists = [key for key in events if key.endswith(".m3u8")]
    assert len(playlists) == 2, "one of TS slices, one of CMAF"
    for key in playlists:
        playlist = parse(key, bucket.get(key))
        assert playlist.ended and playlist.duration == pytest.approx(SECONDS, abs=0.5)
        folder = stage.folder / key.split("/")[1]
        for name in [key, *playlist.keys(), *(k for k in bucket.all_keys() if k.startswith(key.rsplit("/", 1)[0]))]:
            path = folder / name.rsplit("/", 1)[1]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bucket.get(name))
        probe.decodes(folder / key.rsplit("/", 1)[1])
    assert stage.bucket.keys() == []


def flags(endpoint: str, addressing: str) -> list[str]:
    return ["--oss-endpoint", endpoint, "--oss-access-key", "testid:testsecret", "--oss-addressing", addressing]


def test_all_formats_arrive_at_moto(moto, own_stage):
    stage = own_stage(*flags(moto, "path"))
    bucket = outside(stage, moto)
    record_all_formats(stage, bucket)
    (event,) = stage.inbox.files(".mp4")
    head = bucket.s3.head_object(Bucket=bucket.name, Key=event["uri"])
    assert head["ContentType"] == "video/mp4"
    assert "-" not in head["ETag"], "a small file goes in one request"
    files = [file for row in stage.server.rows("/_localyun/recordings", "recordings") for file in row["files"]]
    assert {file["url"] for file in files} == {f"{moto}/{bucket.name}/{file['object']}" for file in files}
    assert stage.server.get("/_localyun/health")["oss"] == moto
    told = subprocess.run([str(binary()), "env", "--endpoint", stage.server.api], env=clean_environment(), capture_output=True, text=True, timeout=20).stdout
    assert f"export AWS_ENDPOINT_URL_S3='{moto}'" in told and "AWS_SECRET_ACCESS_KEY" not in told


def test_a_bucket_is_made_in_the_region_of_the_store(moto, own_stage):
    """AWS wants a region other than us-east-1 in the request's body as well, and so does moto."""
    stage = own_stage(*flags(moto, "path"), "--oss-region", "eu-west-1")
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(6)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    bucket = outside(stage, moto)
    assert bucket.s3.get_bucket_location(Bucket=bucket.name)["LocationConstraint"] == "eu-west-1"
    assert len(bucket.get(event["uri"])) > 10_000


@contextmanager
def no_maker_of_buckets(store: str):
    """A store whose keys may do everything but make a bucket; the paths of the requests that it refused."""
    address, refused = urlsplit(store).netloc, []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path.strip("/")
            if self.command == "PUT" and "/" not in path:
                refused.append(path)
                self.answer(403, {}, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
                return
            connection = http.client.HTTPConnection(address, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            text = answer.read()
            length = answer.headers["Content-Length"] if self.command == "HEAD" else None
            kept = {name: value for name, value in answer.headers.items() if name.lower() in ("etag", "content-type", "last-modified")}
            self.answer(answer.status, kept, text, length)
            connection.close()

        def answer(self, status, headers, text, length=None):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", refused
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_who_may_make_no_bucket_writes_into_one_that_is_there(moto, own_stage):
    with no_maker_of_buckets(moto) as (store, refused):
        stage = own_stage(*flags(store, "path"))
        bucket = outside(stage, moto)
        bucket.s3.create_bucket(Bucket=bucket.name, CreateBucketConfiguration={"LocationConstraint": bucket.s3.meta.region_name})
        stage.rule("mp4", DelayTime=15)
        stage.notify()
        stage.push(6)
        stage.advance(16)
        (event,) = stage.wait_files(1)
        assert len(bucket.get(event["uri"])) > 10_000
        assert bucket.name not in refused


def test_a_large_file_goes_in_parts(moto, own_stage):
    """More than 32 MiB of FLV."""
    stage = own_stage(*flags(moto, "path"))
    bucket = outside(stage, moto)
    seconds = (2 * PART_BYTES // CLIP.stat().st_size + 2) * 10
    stage.rule("flv", DelayTime=15)
    stage.notify()
    stage.push(seconds)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    head = bucket.s3.head_object(Bucket=bucket.name, Key=event["uri"])
    size = head["ContentLength"]
    assert size > 2 * PART_BYTES
    parts = -(-size // PART_BYTES)
    assert head["ETag"].strip('"').endswith(f"-{parts}")
    path = stage.folder / "large.flv"
    path.write_bytes(bucket.get(event["uri"]))
    assert len(probe.payloads(path, "v")) == seconds * 25
    assert bucket.s3.list_multipart_uploads(Bucket=bucket.name).get("Uploads", []) == []


def test_a_store_that_is_away_for_a_while(own_stage, tmp_path):
    """Nobody listens when the recording ends; the file arrives once somebody does."""
    folder = tmp_path / "outside"
    with Server(data_dir=folder) as store:
        address = store.oss.removeprefix("http://")
        stage = own_stage(*flags(store.oss, "path"))
        stage.rule("mp4", DelayTime=15)
        stage.notify()
        stage.push(6)
    stage.advance(16)
    assert stage.inbox.files() == []
    with Server("--oss-addr", address, data_dir=folder) as store:
        bucket = outside(stage, store.oss)

        def arrived():
            stage.advance(60)
            return stage.inbox.files()

        (event,) = wait_for(arrived, 60, "the file event after the store came back")
        assert len(bucket.get(event["uri"])) > 10_000


NAMESPACE = ["unshare", "--mount", "--map-root-user"]


def namespaces_work() -> bool:
    try:
        return subprocess.run([*NAMESPACE, "sh", "-c", "mount --bind /dev/null /etc/hosts"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def test_buckets_in_the_host_name(receiver, tmp_path, monkeypatch):
    """The same recording into another localyun, addressed as http://BUCKET.store.example."""
    if not namespaces_work():
        pytest.skip("this system allows no mount namespace, so there is no hosts file for a test")
    with Server() as store:
        port = store.oss.rsplit(":", 1)[1]
        wrapper = tmp_path / "localyun-with-hosts"
        hosts = tmp_path / "hosts"
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(NAMESPACE)} sh -c \'mount --bind "$0" /etc/hosts && exec "$@"\' "{hosts}" "{binary()}" "$@"\n')
        wrapper.chmod(0o755)
        hosts.write_text("127.0.0.1 localhost store.example\n")
        monkeypatch.setenv("LOCALYUN_BIN", str(wrapper))
        with Server(*flags(f"http://store.example:{port}", "virtual")) as server:
            stage = Stage(server, receiver, tmp_path)
            # A bind mount shows the file's later content only when it is written in place.
            with hosts.open("a") as file:
                file.write(f"127.0.0.1 {stage.bucket.name}.store.example\n")
            try:
                record_all_formats(stage, outside(stage, store.oss))
                (row, *_) = server.rows("/_localyun/recordings", "recordings")
                assert all(file["url"].startswith(f"http://{stage.bucket.name}.store.example:{port}/") for file in row["files"])
            finally:
                stage.close()
