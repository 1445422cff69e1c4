"""Standard output and standard error: a reader that goes away, a disk that is full, a terminal, a file that is only half there."""

import http.server
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time
from pathlib import Path

import pytest

from harness.api import Api
from harness.server import Server, binary, clean_environment
from harness.wait import wait_for

FREE = [part for name in ("api", "rtmp", "oss", "play") for part in (f"--{name}-addr", "127.0.0.1:0")]
TOOLS = (
    "serve", "demo", "call", "sign", "coverage", "publish", "play", "health", "env", "exec", "tail", "wait", "advance", "reset", "explain", "recordings",
    "callbacks", "get", "snapshot", "compare", "doctor", "completions",
)  # fmt: skip


def localyun(*arguments: str, env: dict[str, str] | None = None, **more) -> subprocess.CompletedProcess:
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.run([binary(), *arguments], text=True, timeout=60, env=clean_environment() | (env or {}), **more)


def record(api: str, stream: str = "s1", seconds: int = 5) -> dict:
    """Records a stream as MP4 and gives the file."""
    Api(api).call(
        "AddLiveAppRecordConfig",
        **{"DomainName": "play.example.com", "AppName": "live", "StreamName": "*", "OssBucket": "habits"},
        **{"OssEndpoint": "oss-cn-shanghai.aliyuncs.com", "RecordFormat.1.Format": "mp4"},
    )
    push = ["publish", "--domain", "play.example.com", "--stream", stream, "--seconds", str(seconds), "--speed", "0", "--endpoint", api]
    health = json.loads(localyun("doctor", "--json", "--endpoint", api).stdout)
    assert health
    rtmp = re.search(r"rtmp://([^/']+)", localyun("env", "--shell", "bash", "--endpoint", api).stdout)[1]
    assert localyun(*push, "--rtmp-addr", rtmp).returncode == 0
    assert localyun("advance", "181", "--endpoint", api).returncode == 0
    told = json.loads(localyun("recordings", "--json", "--endpoint", api).stdout)
    (recording,) = told["recordings"]
    (file,) = recording["files"]
    return file


@pytest.fixture(scope="module")
def recorded():
    """A server with one recording of a minute."""
    with Server() as server:
        file = record(server.api, seconds=60)
        yield server, f"{file['bucket']}/{file['object']}", file["size"]


@pytest.mark.parametrize("where", ["a pipe that nobody reads", "a full disk"])
def test_a_log_that_nobody_takes_stops_nothing(where):
    """`localyun serve 2>&1 | head`, or a log on a full disk: what is told there must not end what is recorded."""
    if where == "a full disk":
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, end = os.pipe()
        os.close(reader)
    process = subprocess.Popen(
        [binary(), "serve", "--ephemeral", "--log", "debug", *FREE], stdout=subprocess.PIPE, stderr=end, text=True, env=clean_environment()
    )
    os.close(end)
    try:
        ready = json.loads(process.stdout.readline())
        assert record(ready["api"])["size"] > 100_000
        assert localyun("health", "--endpoint", ready["api"]).returncode == 0
    finally:
        process.terminate()
        status = process.wait(20)
    assert status == 0


@pytest.mark.parametrize("where", ["a pipe that nobody reads", "a full disk"])
def test_a_ready_line_that_nobody_takes_stops_nothing(where, tmp_path):
    if where == "a full disk":
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, end = os.pipe()
        os.close(reader)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    flags = ["--api-addr", f"127.0.0.1:{port}", *FREE[2:]]
    log = open(tmp_path / "log", "w+")
    process = subprocess.Popen([binary(), "serve", "--ephemeral", *flags], stdout=end, stderr=log, env=clean_environment())
    os.close(end)
    try:
        wait_for(lambda: localyun("health", "--endpoint", f"http://127.0.0.1:{port}").returncode == 0, what="the server")
    finally:
        process.terminate()
        status = process.wait(20)
    log.seek(0)
    told = log.read()
    assert status == 0 and "panicked" not in told and "the ready line could not be written" in told, told


def test_what_prints_on_and_on_ends_with_its_reader(recorded):
    server, _, _ = recorded
    env = clean_environment() | {"LOCALYUN_ENDPOINT": server.api}
    for words in (["tail", "--since", "0"], ["tail", "--since", "0", "--json"], ["demo"]):
        process = subprocess.Popen([binary(), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        assert process.stdout.readline().strip()
        process.stdout.close()
        # Nothing more happens on the server: who reads no longer is seen without a line.
        assert process.wait(20) in (0, 1) if words == ["demo"] else process.wait(5) == 0, words
        assert "panicked" not in process.stderr.read()


def test_a_reader_that_has_seen_enough_is_no_failure(recorded):
    server, place, _ = recorded
    for words in (f"get {place}", "coverage", "recordings --json", "snapshot save -", "serve --help", "completions bash"):
        script = f"set -o pipefail; '{binary()}' {words} | head -c 10 >/dev/null"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=clean_environment() | {"LOCALYUN_ENDPOINT": server.api})
        assert (done.returncode, done.stderr) == (0, ""), words


def test_a_full_disk_is_told(recorded):
    server, place, _ = recorded
    for words in (["get", place], ["coverage"], ["recordings"], ["snapshot", "save", "-"], ["env"], ["--help"], ["--version"], ["completions", "zsh"], ["health"]):
        with open("/dev/full", "w") as full:
            done = localyun(*words, stdout=full, env={"LOCALYUN_ENDPOINT": server.api})
        assert done.returncode == 1 and done.stderr.startswith("localyun: not everything was printed: No space left"), (words, done)
        assert done.stderr.count("\n") == 1


def test_a_fetched_file_is_whole_or_not_there(recorded, tmp_path):
    server, place, size = recorded
    env = {"LOCALYUN_ENDPOINT": server.api}
    target = tmp_path / "a.mp4"
    target.write_text("before")
    assert localyun("get", f"{place}x", "-o", str(target), env=env).returncode == 1
    assert target.read_text() == "before" and os.listdir(tmp_path) == ["a.mp4"]
    assert localyun("get", place, "-o", str(target), env=env).returncode == 0
    assert target.stat().st_size == size and os.listdir(tmp_path) == ["a.mp4"]
    assert len(subprocess.run([binary(), "get", place, "-o", "-"], capture_output=True, env=clean_environment() | env).stdout) == size
    for bad, words in ((tmp_path, "that is a folder; write a file's name"), (tmp_path / "no/such", "No such file or directory")):
        for tool in (("get", place, "-o", str(bad)), ("snapshot", "save", str(bad))):
            done = localyun(*tool, env=env)
            assert done.returncode in (1, 2) and words in done.stderr and "part" not in done.stderr, done
    assert sorted(os.listdir(tmp_path)) == ["a.mp4"]


def test_ctrl_c_leaves_no_half_file(tmp_path):
    """A store that brings a little and then nothing more."""

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            if "/_localyun/signed" in self.path:
                body = json.dumps({"url": f"http://{self.headers['host']}/object"}).encode()
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.send_header("content-length", "1000000")
            self.end_headers()
            self.wfile.write(b"x" * 1000)
            self.wfile.flush()
            begun.set()
            over.wait(30)

        def log_message(self, *_):
            pass

    begun, over = threading.Event(), threading.Event()
    slow = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=slow.serve_forever, daemon=True).start()
    env = clean_environment() | {"LOCALYUN_ENDPOINT": f"http://127.0.0.1:{slow.server_port}"}
    try:
        for how in (signal.SIGINT, signal.SIGTERM):
            for words in (["get", "b/k", "-o", "a"], ["snapshot", "save", "a"]):
                begun.clear()
                process = subprocess.Popen([binary(), *words], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
                assert begun.wait(20)
                wait_for(lambda: os.listdir(tmp_path), what="the file under way")
                process.send_signal(how)
                assert process.wait(20) == 1 and "interrupted" in process.stderr.read()
                assert os.listdir(tmp_path) == [], words
    finally:
        over.set()
        slow.shutdown()


def at_a_terminal(*arguments: str, which: str, end: signal.Signals | None = None, after: bytes = b"", columns: int = 0, **environment: str) -> tuple[int, str]:
    """Status, and what a person sees on one of the two streams; with `end`, that signal comes when `after` was seen."""
    leader, terminal = pty.openpty()
    if columns:
        termios.tcsetwinsize(terminal, (24, columns))
    other = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | {which: terminal}
    process = subprocess.Popen([binary(), *arguments], env=clean_environment() | {"TERM": "xterm"} | environment, **other)
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
        if end is not None and after in seen:
            process.send_signal(end)
            end = None
    os.close(leader)
    return process.wait(30), seen.decode(errors="replace")


def test_colours_where_they_are_seen_and_not_forbidden(recorded):
    server, _, _ = recorded
    explain = ("explain", "play.example.com", "live", "s1", "--endpoint", server.api)
    assert "\x1b[32m" in at_a_terminal(*explain, which="stdout")[1]
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in at_a_terminal(*explain, which="stdout", **plain)[1]
    assert "\x1b" not in localyun(*explain).stdout
    serve = ("serve", "--ephemeral", *FREE)
    status, told = at_a_terminal(*serve, which="stderr", end=signal.SIGINT, after=b"console")
    assert status == 0 and "\x1b[" in told and "/_localyun/ui/" in told
    status, told = at_a_terminal(*serve, which="stderr", end=signal.SIGINT, after=b"console", NO_COLOR="1")
    assert status == 0 and "\x1b" not in told and "/_localyun/ui/" in told


def test_a_terminal_gets_no_video(recorded):
    server, place, _ = recorded
    status, told = at_a_terminal("get", place, "--endpoint", server.api, which="stdout")
    assert status == 2 and told == ""
    push = subprocess.Popen(
        [binary(), "publish", "--domain", "play.example.com", "--stream", "seen", "--seconds", "20", "--endpoint", server.api, "--rtmp-addr", f"127.0.0.1:{server.rtmp_port}"],
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert localyun("wait", "publish", "--stream", "seen", "--endpoint", server.api).returncode == 0
        play = ("play", "--domain", "play.example.com", "--stream", "seen", "--play-addr", server.play.removeprefix("http://"), "-o", "-")
        assert at_a_terminal(*play, which="stdout")[0] == 2
        piped = subprocess.run([binary(), *play, "--seconds", "1"], capture_output=True, timeout=30, env=clean_environment())
        # The stream, and what is told of it beside.
        assert piped.returncode == 0 and piped.stdout[:3] == b"FLV" and b"frames" in piped.stderr, piped.stderr
        script = f"set -o pipefail; '{binary()}' {' '.join(play)} | head -c 1000 | wc -c"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, env=clean_environment())
        assert (done.returncode, done.stdout.strip()) == (0, "1000"), done.stderr
    finally:
        push.terminate()
        push.wait(20)


def test_a_closed_terminal_ends_it_in_order_unless_it_shall_stay(tmp_path):
    def begun(**more) -> subprocess.Popen:
        env = clean_environment() | {"TMPDIR": str(tmp_path)}
        process = subprocess.Popen([binary(), "serve", "--ephemeral", *FREE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, **more)
        assert process.stdout.readline()
        return process

    process = begun()
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 0 and os.listdir(tmp_path) == []
    # As nohup does it.
    process = begun(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert process.wait(20) == 0 and os.listdir(tmp_path) == []


@pytest.mark.parametrize("tool", TOOLS)
def test_every_subcommand_has_help(tool):
    for words in ((tool, "--help"), ("help", tool)):
        done = localyun(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert f"{Path(binary()).name} {tool}" in done.stdout and "\x1b" not in done.stdout
        assert "--help" in done.stdout


@pytest.mark.parametrize("tool", TOOLS)
def test_help_fits_a_terminal_of_80_columns(tool):
    status, told = at_a_terminal(tool, "--help", which="stdout", columns=80)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", told).splitlines()
    assert status == 0 and max(map(len, lines)) <= 80, max(lines, key=len)
    # Whatever else reads gets each sentence whole.
    if tool == "serve":
        plain = localyun(tool, "--help").stdout
        assert max(map(len, plain.splitlines())) > 120


def test_the_help_of_exec_tells_its_own_defaults():
    told = localyun("exec", "--help").stdout
    assert "RTMP ingest [default: a free port]" in told and "[default: a throw-away folder]" in told
    assert "127.0.0.1:8080" not in told and "LOCALYUN_DATA_DIR" not in told


def test_exec_takes_the_log_filter_of_the_environment():
    assert " DEBUG " in localyun("exec", "--", "true", env={"LOCALYUN_LOG": "debug"}).stderr
    assert localyun("exec", "--", "true").stderr == ""


def test_help_names_every_subcommand():
    told = localyun("--help").stdout
    listed = re.findall(r"^  (\w+) +\S", told.split("Commands:")[1].split("Options:")[0], re.M)
    assert set(TOOLS) <= set(listed) | {"serve"}, set(TOOLS) - set(listed)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("exec", "--", "no-such-program"), 127, "no-such-program cannot be run: No such file or directory"),
        (("exec", "echo", "hi"), 2, "a command goes behind --: localyun exec [OPTIONS] -- echo …"),
        (("exec", "--", "/etc"), 126, "write a program and its arguments behind --"),
        (("exec", "--", "sh", "-c", "exit 7"), 7, ""),
        (("exec", "--", "sh", "-c", "kill -9 $$"), 137, ""),
        (("advance", "-5"), 2, "the clock goes forward"),
        (("advance", "nan"), 2, "the clock goes forward"),
        (("wait", "file", "--timeout", "-1"), 2, "--timeout: must be 0 to 600 seconds"),
        (("publsh",), 2, "did you mean publish?"),
        (("call", "AddLiveAppRecordConfg"), 2, "did you mean AddLiveAppRecordConfig?"),
        (("health", "--endpiont", "x"), 2, "did you mean --endpoint?"),
        (("health", "--endpoint", "http://127.0.0.1:1"), 1, "is `localyun serve` running there?"),
        (("completions", "tcsh"), 2, "bash"),
        (("play", "http://127.0.0.1:1/live/s.flv"), 1, "is `localyun serve` running there?"),
        (("serve", "--ephemeral", *FREE[2:], "--api-addr", "192.0.2.1:0"), 2, "0.0.0.0 stands for all"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_each_message_says_what_to_do(words, status, told):
    done = localyun(*words)
    assert done.returncode == status and told in done.stderr, done
    assert done.stderr.count("\n") == (1 if told else 0), done.stderr


def test_a_push_to_nobody_says_what_to_do():
    done = localyun("publish", "--domain", "play.example.com", "--stream", "s1", "--rtmp-addr", "127.0.0.1:1")
    assert done.returncode == 1 and "is `localyun serve` running there? --rtmp-addr says where to push" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="it takes rights away")
def test_a_port_that_wants_rights_says_which():
    # Containers may lower the line; then there is nothing to refuse.
    if int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read()) < 1024:
        pytest.skip("every port may be taken here")
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary(), "serve", "--ephemeral", *FREE[2:], "--api-addr", "127.0.0.1:81"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=clean_environment() | {"TMPDIR": "/tmp"})
    assert done.returncode == 2 and "a port below 1024 wants root" in done.stderr, done


def test_another_server_is_told_from_localyun():
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    try:
        for words in (("health",), ("recordings",), ("tail",), ("wait", "file")):
            done = localyun(*words, "--endpoint", f"http://127.0.0.1:{other.server_port}")
            assert done.returncode == 1 and "is that localyun? --endpoint" in done.stderr and done.stderr.count("\n") == 1, done
    finally:
        other.shutdown()


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        ("bash", 'eval "$({program} completions bash)"; COMP_WORDS=(localyun pub); COMP_CWORD=1; _localyun localyun pub localyun; echo "${{COMPREPLY[*]}}"'),
        ("zsh", 'autoload -U compinit; compinit -u -D; eval "$({program} completions zsh)"; (( $+functions[_localyun] )) && [[ $_comps[localyun] == _localyun ]] && echo publish'),
        ("fish", '{program} completions fish | source; complete -C "localyun pub" | string split -f1 \\t'),
    ],
    ids=["bash", "zsh", "fish"],
)
def test_a_shell_takes_its_completions(shell, script):
    if not any(os.access(os.path.join(folder, shell), os.X_OK) for folder in os.environ["PATH"].split(":")):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-c", script.format(program=f"'{binary()}'")], capture_output=True, text=True, timeout=60, env=clean_environment())
    assert "publish" in done.stdout.split() and done.stderr == "", done
