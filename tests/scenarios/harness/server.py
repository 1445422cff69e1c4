"""One localyun process on free ports and a folder of its own, with its control routes."""

import hashlib
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = Path(__file__).resolve().parents[3]
READY_SECONDS = 30
STOP_SECONDS = 20


def binary() -> Path:
    """The program under test: LOCALYUN_BIN, else the newer of the release and the debug build."""
    named = os.environ.get("LOCALYUN_BIN")
    if named:
        return Path(named)
    built = [PROJECT / "target" / kind / "localyun" for kind in ("release", "debug")]
    built = [path for path in built if path.exists()]
    if not built:
        raise RuntimeError("no localyun binary: run `cargo build` first, or name one with LOCALYUN_BIN")
    return max(built, key=lambda path: path.stat().st_mtime)


def clean_environment() -> dict[str, str]:
    """The environment without settings of localyun and without proxies, so that a test means the same everywhere."""
    hidden = {"http_proxy", "https_proxy", "all_proxy"}
    return {k: v for k, v in os.environ.items() if not k.startswith("LOCALYUN_") and k.lower() not in hidden}


def database(data_dir: Path) -> dict[str, str]:
    """The setting of a database of this data folder's own, where LOCALYUN_TEST_DATABASE asks for an outside one.

    It is a URL with `{name}` in it; LOCALYUN_TEST_DATABASE_CREATE is a program that makes the database of a given name
    and is content when there is one, so that a server started again on its folder finds what it wrote.
    """
    url = os.environ.get("LOCALYUN_TEST_DATABASE")
    if not url:
        return {}
    name = "t" + hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]
    subprocess.run([os.environ["LOCALYUN_TEST_DATABASE_CREATE"], name], check=True, timeout=60)
    return {"LOCALYUN_DATABASE_URL": url.replace("{name}", name)}


class Server:
    """`localyun serve` with its ready line read. Use as a context manager; the end is SIGTERM to its own pid.

    `under` is a command that becomes the server, such as `prlimit` or `ip netns exec`.
    """

    def __init__(
        self,
        *flags: str,
        data_dir: Path | None = None,
        environment: dict[str, str | None] | None = None,
        program: str | None = None,
        under: tuple[str, ...] = (),
    ):
        """`environment` is added to the server's; a None takes a variable out. `program` runs instead of the one under test."""
        self.own_folder = data_dir is None
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="localyun-test-"))
        self.log_path = self.data_dir.with_name(self.data_dir.name + ".log")
        self.log = open(self.log_path, "ab")
        free = [f for name in ("api", "rtmp", "oss", "play") for f in (f"--{name}-addr", "127.0.0.1:0") if f"--{name}-addr" not in flags]
        command = [*under, program or str(binary()), "serve", "--data-dir", str(self.data_dir), *free, *flags]
        whole = clean_environment() | {"LOCALYUN_CHECK_ANSWERS": "1"} | database(self.data_dir) | (environment or {})
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={name: value for name, value in whole.items() if value is not None},
            text=True,
        )
        self.lines: list[str] = []
        self._fresh: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()
        try:
            self.ready = self._read_ready()
        except BaseException:
            self.stop(force=True)
            raise
        self.api = self.ready["api"]
        self.oss = self.ready["oss"]
        self.play = self.ready["play"]
        rtmp = urlsplit(self.ready["rtmp"])
        self.rtmp_host, self.rtmp_port = rtmp.hostname or "127.0.0.1", rtmp.port or 1935
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def _read_lines(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._fresh.put(line)
        self._fresh.put(None)

    def _read_ready(self) -> dict:
        try:
            line = self._fresh.get(timeout=READY_SECONDS)
        except queue.Empty:
            raise RuntimeError(f"no ready line within {READY_SECONDS} s; log: {self.log_tail()}") from None
        if line is None:
            raise RuntimeError(f"localyun ended with {self.process.wait()} before it was ready; log: {self.log_tail()}")
        return json.loads(line)

    def log_tail(self, size: int = 3000) -> str:
        """The end of what the server wrote on standard error."""
        self.log.flush()
        return self.log_path.read_bytes()[-size:].decode("utf-8", "replace")

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, force: bool = False) -> int:
        """Ends the process in order and gives its exit status; a server that does not end is killed and is a failure."""
        late = False
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if force else signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                late = True
                self.process.kill()
                self.process.wait()
        self._reader.join(5)
        wrong = ("panicked at", "the answer does not fit the spec")
        panics = [line for line in self.log_tail(10_000_000).splitlines() if any(text in line for text in wrong)]
        self.log.close()
        if self.own_folder and not os.environ.get("LOCALYUN_TEST_KEEP"):
            shutil.rmtree(self.data_dir, ignore_errors=True)
            self.log_path.unlink(missing_ok=True)
        if late:
            raise AssertionError(f"localyun did not end within {STOP_SECONDS} s of SIGTERM")
        assert not panics, panics
        return self.process.returncode

    def control(self, method: str, path: str, body: object = None, timeout: float = 60) -> tuple[int, object]:
        """One control-plane request: status and the parsed JSON (or the text where it is none)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text) if text else None
        except json.JSONDecodeError:
            return status, text

    def get(self, path: str) -> object:
        """A control route that has to answer 200."""
        status, body = self.control("GET", path)
        assert status == 200, (path, status, body)
        return body

    def rows(self, path: str, name: str) -> list[dict]:
        """The list that a control route answers, bare or under `name`."""
        body = self.get(path)
        rows = body.get(name) if isinstance(body, dict) else body
        assert isinstance(rows, list), (path, body)
        return rows

    def advance(self, seconds: float) -> None:
        """Moves the service clock; what falls due has happened when this returns."""
        status, body = self.control("POST", "/_localyun/clock/advance", {"seconds": seconds}, timeout=180)
        assert status == 200, (status, body)

    def streams(self) -> list[dict]:
        """The streams being published now."""
        return self.rows("/_localyun/streams", "streams")

    def is_live(self, domain: str, app: str, stream: str) -> bool:
        """Whether the named stream is being published."""
        want = (domain, app, stream)
        return any((row.get("domain"), row.get("app"), row.get("stream")) == want for row in self.streams())
