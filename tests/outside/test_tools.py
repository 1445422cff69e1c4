"""The commands that show in a terminal what the control plane shows."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from datetime import timedelta

import pytest

from harness.server import binary, clean_environment
from harness.stage import wire
from harness.wait import wait_for


@pytest.fixture
def tool(stage):
    """Runs a command against the server of the stage."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess:
        whole = clean_environment() | {"LOCALYUN_ENDPOINT": stage.server.api} | environment
        return subprocess.run([binary(), *words], capture_output=True, text=True, timeout=60, env=whole)

    return run


def record(stage, stream: str = "s1") -> None:
    stage.rule("mp4", DelayTime=15)
    stage.push(6, stream=stream)
    stage.advance(16)


def test_publish_says_what_records_it(stage, tool):
    stage.rule("mp4", DelayTime=15)
    rtmp = stage.server.ready["rtmp"].removeprefix("rtmp://")
    push = ("publish", "--domain", stage.domain, "--seconds", "2", "--speed", "0", "--rtmp-addr", rtmp)
    done = tool(*push, "--stream", "s1")
    assert done.returncode == 0 and f"recorded by the rule {stage.domain}/live/* as mp4" in done.stderr, done.stderr
    done = tool(*push, "--stream", "s1", "--app", "other")
    assert done.returncode == 0 and "not recorded: no rule of the domain matches app other" in done.stderr
    assert "localyun call AddLiveAppRecordConfig" in done.stderr


def test_publish_and_play_find_the_ports_of_the_server_that_is_named(stage, tool):
    """A server on free ports: its API's address is all that a tool has to know."""
    stage.rule("mp4", DelayTime=15)
    done = tool("publish", "--domain", stage.domain, "--stream", "s1", "--seconds", "2", "--speed", "0")
    assert done.returncode == 0 and f"recorded by the rule {stage.domain}/live/*" in done.stderr, done.stderr
    live = stage.publisher(stream="s2")
    live.push(3)
    for how in ([], ["--format", "rtmp"]):
        watched = tool("play", "--domain", stage.domain, "--stream", "s2", "--seconds", "1", "--json", *how)
        assert watched.returncode == 0, watched.stderr
    stage.end(live)


def test_a_refusal_is_told_by_its_sentence_alone(tool):
    refused = tool("advance", "until", "2020-01-01T00:00:00Z")
    assert refused.returncode == 2 and refused.stderr.rstrip().endswith("the clock only goes forward") and "{" not in refused.stderr, refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("recordings", "--limit", "0"),
        ("callbacks", "--limit", "99999"),
        ("recordings", "--cursor", "x"),
        ("callbacks", "--since", "x"),
        ("advance", "1e300"),
        ("advance", "until", "x"),
        ("tail", "--kind", "foo"),
        ("tail", "--kind", "foo", "--since", "0"),
        ("tail", "--kind", ""),
        ("wait", ""),
        ("wait", "foo"),
        ("explain", "", "", ""),
        ("snapshot", "diff", "/nothing", "/nothing"),
        ("snapshot", "diff", "-", "-"),
        ("compare", "/nothing"),
        ("serve", "--id-seed", "-1"),
        ("reset", "--endpoint", "http://127.0.0.1:9/path"),
    ],
)
def test_what_is_asked_for_wrongly_has_status_2(tool, words):
    done = tool(*words)
    assert (done.returncode, done.stdout) == (2, "") and len(done.stderr.splitlines()) == 1, done.stderr
    assert "unknown option" not in done.stderr and not done.stderr.endswith("upstream's\n"), done.stderr


def test_parameters_do_not_overrule_what_says_which_call_it_is(stage, tool):
    stage.rule("mp4")
    for words in (("call",), ("call", "--v1"), ("call", "--v1", "--force"), ("sign",), ("sign", "--acs3")):
        for given in ("Action=DeleteLiveAppRecordConfig", "Version=5", "Timestamp=x", "Signature=a", "AccessKeyId=o", "SignatureNonce=n"):
            done = tool(*words, "DescribeLiveRecordConfig", f"DomainName={stage.domain}", given)
            assert (done.returncode, done.stdout) == (2, ""), done
            assert given.split("=")[0] in done.stderr
    assert stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["TotalNum"] == 1
    assert "<TotalNum>1<" in tool("call", "DescribeLiveRecordConfig", f"DomainName={stage.domain}", "Format=XML", "--v1").stdout


def test_a_file_that_cannot_be_written_is_to_blame_alone(stage, tool):
    live = stage.publisher(stream="s3")
    done = tool("play", "--domain", stage.domain, "--stream", "s3", "--seconds", "1", "-o", "/nonexist/x")
    assert done.returncode == 1 and "localyun: /nonexist/x: " in done.stderr, done.stderr
    del live


def test_explain_for_people_and_programs(stage, tool):
    stage.rule("mp4", DelayTime=15)
    told = tool("explain", stage.domain, "live", "s1")
    assert (told.returncode, told.stdout.splitlines()[0]) == (0, "recorded: the rule records automatically")
    assert told.stdout.splitlines()[1].split("\t") == ["live/*", "mp4", "open", "wins"]
    assert json.loads(tool("explain", stage.domain, "live", "s1", "--json").stdout)["records"] is True
    assert "cure: " in tool("explain", "other.example.com", "live", "s1").stdout


def test_advance_and_lists(stage, tool):
    stage.notify()
    record(stage)
    stage.wait_files(1)
    lines = tool("recordings", "--domain", stage.domain).stdout.splitlines()
    assert len(lines) == 1 and lines[0].split("\t")[0] == f"{stage.domain}/live/s1" and lines[0].endswith(".mp4")
    shown = json.loads(tool("recordings", "--domain", stage.domain, "--json").stdout)
    assert shown["total"] == 1
    (callback,) = tool("callbacks", "--domain", stage.domain).stdout.splitlines()
    assert callback.split("\t")[3:6] == ["file_created", "success", "1"]
    before = stage.now()
    assert tool("advance", "60").returncode == 0
    assert (stage.now() - before).total_seconds() >= 60
    assert tool("advance", "next").returncode == 0
    later = wire(stage.now() + timedelta(seconds=90))
    assert json.loads(tool("advance", "until", later, "--json").stdout)["now"] >= later
    for bad in (("advance", "soon"), ("advance", "until"), ("advance",), ("advance", "next", "x")):
        assert tool(*bad).returncode == 2, bad


def watched(stage, *words: str, **environment: str) -> tuple[int, str]:
    """A command whose output is a terminal: its status and what it wrote there."""
    ours, its = pty.openpty()
    whole = clean_environment() | {"LOCALYUN_ENDPOINT": stage.server.api, "TERM": "xterm"} | environment
    running = subprocess.Popen([binary(), *words], stdin=subprocess.DEVNULL, stdout=its, stderr=subprocess.DEVNULL, env=whole)
    os.close(its)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        # So a terminal ends whose other side is closed.
        pass
    os.close(ours)
    return running.wait(20), shown.decode().replace("\r\n", "\n")


def test_a_terminal_gets_columns_and_colours(stage, tool):
    stage.notify()
    record(stage)
    stage.wait_files(1)
    for words, head in ((("recordings", "--domain", stage.domain), ("STREAM", "STATE", "OBJECT")), (("callbacks", "--domain", stage.domain), ("ID", "KIND", "TRIES"))):
        status, shown = watched(stage, *words)
        lines = shown.splitlines()
        assert status == 0 and all(word in lines[0] for word in head) and "\x1b[" in lines[0] and "\t" not in shown, shown
        # The same in columns: each begins where its head does.
        begins = lines[0].replace("\x1b[90m", "").index(head[1])
        assert lines[1][begins - 1] == " " and lines[1][begins] != " ", shown
        status, plain = watched(stage, *words, NO_COLOR="1")
        assert status == 0 and "\x1b[" not in plain and head[0] in plain
        assert "\x1b[" not in tool(*words).stdout
    status, shown = watched(stage, "explain", stage.domain, "live", "s1")
    assert status == 0 and shown.startswith("\x1b[32mrecorded\x1b[0m: ")
    assert watched(stage, "explain", "other.example.com", "live", "s1")[1].startswith("\x1b[33mnot recorded\x1b[0m: ")


def test_get_fetches_and_signs(stage, tool, tmp_path):
    record(stage)
    (recording,) = stage.server.get(f"/_localyun/recordings?domain={stage.domain}")["recordings"]
    (file,) = recording["files"]
    place = f"{file['bucket']}/{file['object']}"
    target = tmp_path / "out.mp4"
    assert tool("get", place, "-o", str(target)).returncode == 0
    assert target.stat().st_size == file["size"]
    url = tool("get", place, "--url").stdout.strip()
    assert "Signature=" in url
    assert tool("get", "nobucket").returncode == 2
    missing = tool("get", f"{file['bucket']}/nothing")
    assert missing.returncode == 1 and "404: NoSuchKey: " in missing.stderr and "<" not in missing.stderr, missing
    assert "`localyun recordings` lists" in missing.stderr and missing.stderr.count("\n") == 1


def test_wait_and_tail(stage, tool):
    environment = clean_environment() | {"LOCALYUN_ENDPOINT": stage.server.api}
    # What happened behind an event is told whenever the follower comes.
    stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)
    (before,) = stage.server.get(f"/_localyun/wait?kind=call&domain={stage.domain}")["events"]
    command = [binary(), "tail", "--domain", stage.domain, "--kind", "publish,file,record", "--since", str(before["id"])]
    followers = [subprocess.Popen(command + more, stdout=subprocess.PIPE, text=True, env=environment) for more in ([], ["--json"])]
    waiting = subprocess.Popen([binary(), "wait", "file", "--domain", stage.domain, "--timeout", "20"], stdout=subprocess.PIPE, text=True, env=environment)
    record(stage)
    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0 and json.loads(out)["kind"] == "file"
    plain, shown = followers
    lines = [plain.stdout.readline().rstrip("\n").split("\t") for _ in range(5)]
    assert [line[1] for line in lines] == ["publish", "record", "record", "file", "record"]
    assert all(line[2] == f"{stage.domain}/live/s1" for line in lines)
    assert json.loads(shown.stdout.readline())["kind"] == "publish"
    for follower in followers:
        follower.send_signal(signal.SIGTERM)
        follower.wait(10)
    late = tool("wait", "file", "--domain", stage.domain, "--count", "2", "--timeout", "0.3")
    assert late.returncode == 1 and "1 of 2" in late.stderr
    assert tool("wait", "fiel", "--timeout", "1").returncode == 2


def test_reset(own_stage):
    stage = own_stage()
    stage.rule("mp4")
    environment = clean_environment() | {"LOCALYUN_ENDPOINT": stage.server.api}
    assert subprocess.run([binary(), "reset"], env=environment, timeout=60).returncode == 0
    assert stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)["TotalNum"] == 0


def test_a_snapshot_is_saved_compared_and_loaded(own_stage, tmp_path):
    stage = own_stage()
    environment = clean_environment() | {"LOCALYUN_ENDPOINT": stage.server.api}

    def tool(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run([binary(), "snapshot", *words], capture_output=True, text=True, timeout=60, env=environment)

    record(stage)
    for action in ("ForbidLiveStream", "ResumeLiveStream"):
        stage.api.call(action, DomainName=stage.domain, AppName="live", StreamName="s9", LiveStreamType="publisher")
    first, second, third = (str(tmp_path / f"{n}.json") for n in range(3))
    assert tool("save", first, "--with-objects").returncode == 0
    stage.rule("flv", stream="s2")
    assert tool("save", second).returncode == 0
    apart = tool("diff", first, second)
    assert apart.returncode == 1 and f"+ rules {stage.domain}/live/s2" in apart.stdout
    assert stage.server.control("POST", "/_localyun/reset")[0] == 200
    loaded = tool("load", first)
    assert loaded.returncode == 0 and loaded.stdout == "1 rules\n", loaded.stderr
    assert tool("save", third, "--with-objects").returncode == 0
    same = tool("diff", first, third)
    assert (same.returncode, same.stdout) == (0, "")
    # Rows that have no id count too.
    fewer = json.loads((tmp_path / "0.json").read_text())
    assert len(fewer["controls"]) == 2
    del fewer["controls"][0]
    (tmp_path / "fewer.json").write_text(json.dumps(fewer))
    less = tool("diff", first, str(tmp_path / "fewer.json"))
    assert (less.returncode, less.stdout) == (1, f"- controls {stage.domain}/live/s9\n")
    (tmp_path / "list.json").write_text("[]")
    assert tool("diff", first, str(tmp_path / "list.json")).returncode == 2
    assert tool("load", str(tmp_path / "nothing")).returncode == 1
    with open(first) as saved:
        piped = subprocess.run([binary(), "snapshot", "load", "-"], stdin=saved, capture_output=True, text=True, timeout=60, env=environment)
    assert (piped.returncode, piped.stdout) == (0, "1 rules\n"), piped.stderr
    with open(second) as saved:
        piped = subprocess.run([binary(), "snapshot", "diff", first, "-"], stdin=saved, capture_output=True, text=True, timeout=60, env=environment)
    assert piped.returncode == 1 and piped.stdout == apart.stdout


def test_exec_runs_a_command_beside_a_server(tmp_path):
    environment = clean_environment() | {"TMPDIR": str(tmp_path)}
    script = f'"{binary()}" health && "{binary()}" call DescribeLiveRecordConfig DomainName=a.example.com && exit 7'
    done = subprocess.run([binary(), "exec", "--access-keys", "me:word", "--", "sh", "-c", script], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 7, done.stderr
    assert done.stdout.startswith("ready") and '"TotalNum": 0' in done.stdout
    assert os.listdir(tmp_path) == []
    assert subprocess.run([binary(), "exec", "--", "no-such-program"], env=environment, capture_output=True, timeout=60).returncode == 127
    assert subprocess.run([binary(), "exec"], env=environment, capture_output=True, timeout=60).returncode == 2
    running = subprocess.Popen([binary(), "exec", "--", "sleep", "60"], env=environment)
    children = lambda: open(f"/proc/{running.pid}/task/{running.pid}/children").read() or any(open(f"/proc/{running.pid}/task/{t}/children").read() for t in os.listdir(f"/proc/{running.pid}/task"))  # noqa: E731
    wait_for(children, what="the command")
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 128 + signal.SIGTERM
    assert os.listdir(tmp_path) == []


def test_exec_leads_its_command_to_its_own_server_alone(tmp_path):
    """Whatever variables lead to another server, which the caller has beside it."""
    other = {name: "127.0.0.1:9" for name in ("LOCALYUN_API_ADDR", "LOCALYUN_RTMP_ADDR", "LOCALYUN_PLAY_ADDR", "LOCALYUN_OSS_ADDR")}
    other |= {"LOCALYUN_DATA_DIR": "/nothing", "LOCALYUN_CA_FILE": "/nothing", "AWS_SESSION_TOKEN": "gone", "ALIBABA_CLOUD_SECURITY_TOKEN": "gone"}
    environment = clean_environment() | {"TMPDIR": str(tmp_path)} | other
    script = f'"{binary()}" reset && "{binary()}" publish --domain a.example.com --stream s --speed 0 --seconds 1 && env'
    done = subprocess.run([binary(), "exec", "--control-token", "tok", "--", "sh", "-c", script], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    assert "LOCALYUN_CONTROL_TOKEN=tok\n" in done.stdout
    assert not [name for name in other if f"\n{name}=" in done.stdout]
    inherited = environment | {"LOCALYUN_CONTROL_TOKEN": "tok2"}
    done = subprocess.run([binary(), "exec", "--", "sh", "-c", f'"{binary()}" reset && env'], capture_output=True, text=True, timeout=60, env=inherited)
    assert done.returncode == 0 and "LOCALYUN_CONTROL_TOKEN=tok2\n" in done.stdout, done.stderr


def test_exec_has_nothing_of_the_store_and_the_cluster_of_another_server(tmp_path):
    """Variables that a service of the caller's has: not even its ports may be asked for."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = {
            "LOCALYUN_DATABASE_URL": f"postgres://nobody:nothing@{address}/other",
            "LOCALYUN_OSS_ENDPOINT": f"http://{address}",
            "LOCALYUN_OSS_ACCESS_KEY": "other:word",
            "LOCALYUN_OSS_REGION": "elsewhere",
            "LOCALYUN_OSS_PUBLIC_URL": f"http://{address}",
            "LOCALYUN_CLUSTER": "on",
            "LOCALYUN_CLUSTER_ADDR": address,
            "LOCALYUN_CLUSTER_TOKEN": "other",
            "LOCALYUN_NODE_ID": "other",
            "LOCALYUN_NODE_LEASE": "2s",
            "LOCALYUN_SPOOL_MIRROR": "off",
            "LOCALYUN_TLS_ADDR": address,
            "LOCALYUN_PLAY_TLS_ADDR": address,
        }
        environment = clean_environment() | {"TMPDIR": str(tmp_path)} | other
        done = subprocess.run([binary(), "exec", "--", "sh", "-c", f'"{binary()}" reset && env'], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    assert not [name for name in other if f"\n{name}=" in done.stdout]
    assert "elsewhere" not in done.stdout and address not in done.stdout
    # What is asked for is there, on a port of its own.
    assert "\nLOCALYUN_CA_FILE=" in done.stdout


def test_exec_leads_to_the_store_outside_that_its_server_has(tmp_path):
    environment = clean_environment() | {"TMPDIR": str(tmp_path)}
    outside = ("--oss-endpoint", "http://127.0.0.1:9/", "--oss-access-key", "theirs:word", "--oss-region", "eu")
    for public, address in (((), "http://127.0.0.1:9"), (("--oss-public-url", "http://store.test:9"), "http://store.test:9")):
        done = subprocess.run([binary(), "exec", *outside, *public, "--", "env"], capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        for line in (
            f"OSS_ENDPOINT={address}",
            f"AWS_ENDPOINT_URL_S3={address}",
            "OSS_ACCESS_KEY_ID=theirs",
            "OSS_ACCESS_KEY_SECRET=word",
            "AWS_ACCESS_KEY_ID=theirs",
            "AWS_SECRET_ACCESS_KEY=word",
            "AWS_REGION=eu",
            "ALIBABA_CLOUD_ACCESS_KEY_ID=testid",
        ):
            assert line in lines, line


def test_exec_hands_the_token_of_its_key_on(tmp_path):
    environment = clean_environment() | {"TMPDIR": str(tmp_path)}
    call = (binary(), "call", "DescribeLiveRecordConfig", "DomainName=a.example.com")
    done = subprocess.run([binary(), "exec", "--access-keys", "me:word:token", "--", *call], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0 and '"TotalNum": 0' in done.stdout, done.stdout + done.stderr


# Says which signals came until a second after the first one.
TELLS_SIGNALS = """
import signal, time
seen = []
for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(one, lambda number, _: seen.append(signal.Signals(number).name))
print("here", flush=True)
until = time.monotonic() + 30
while not seen and time.monotonic() < until:
    time.sleep(0.02)
time.sleep(1)
print("seen", *seen, flush=True)
"""


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_exec_hands_a_signal_on_as_what_it_is(tmp_path, which):
    environment = clean_environment() | {"TMPDIR": str(tmp_path)}
    ends = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Under nohup it would not look at SIGHUP.
    started = subprocess.Popen(
        [binary(), "exec", "--", sys.executable, "-c", TELLS_SIGNALS], text=True, env=environment, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL), **ends
    )
    with started as running:
        assert running.stdout.readline() == "here\n"
        running.send_signal(which)
        told, complaints = running.communicate(timeout=30)
    assert (running.returncode, told) == (0, f"seen {which.name}\n"), complaints
    assert os.listdir(tmp_path) == []


def test_at_a_terminal_the_command_of_exec_has_ctrl_c_once(tmp_path):
    environment = clean_environment() | {"TMPDIR": str(tmp_path)}
    child, terminal = pty.fork()
    if child == 0:
        os.execve(binary(), [str(binary()), "exec", "--", sys.executable, "-c", TELLS_SIGNALS], environment)
    seen, is_asked = b"", False
    try:
        while part := os.read(terminal, 65536):
            seen += part
            if b"here" in seen and not is_asked:
                os.write(terminal, b"\x03")
                is_asked = True
    except OSError:
        # So a terminal ends whose other side is closed.
        pass
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert seen.decode().split("seen ")[1].split() == ["SIGINT"], seen


def test_a_play_of_nothing_leaves_the_file_as_it_was(stage, tool, tmp_path):
    kept, absent = tmp_path / "kept", tmp_path / "absent"
    kept.write_bytes(b"an earlier recording")
    for how in ("flv", "hls"):
        for path in (kept, absent):
            done = tool("play", "--domain", stage.domain, "--stream", "nobody", "--format", how, "--seconds", "2", "-o", str(path))
            assert done.returncode == 1, done
    assert kept.read_bytes() == b"an earlier recording" and not absent.exists()
    told = tool("play", "--domain", stage.domain, "--stream", "nobody", "-o", str(tmp_path / "no" / "file")).stderr
    assert str(tmp_path / "no" / "file") in told, told


def test_doctor(stage, tool):
    well = tool("doctor")
    assert well.returncode == 0, well.stdout
    assert "server" in well.stdout and "ready" in well.stdout
    ill = tool("doctor", LOCALYUN_ACESS_KEYS="a:b", HTTP_PROXY="http://proxy.example.com:3128", LOCALYUN_ENDPOINT="http://127.0.0.1:9")
    assert ill.returncode == 1
    assert "did you mean LOCALYUN_ACCESS_KEYS?" in ill.stdout and "NO_PROXY" in ill.stdout
    findings = json.loads(tool("doctor", "--json").stdout)["findings"]
    assert {finding["what"] for finding in findings} >= {"version", "variables", "proxies", "server", "clocks", "ffmpeg"}
    spared = tool("doctor", "--json", HTTP_PROXY="http://proxy.example.com:3128", NO_PROXY="127.0.0.1,localhost")
    (found,) = [finding for finding in json.loads(spared.stdout)["findings"] if finding["what"] == "proxies"]
    assert found["state"] == "look" and "unset HTTP_PROXY" in found["told"], found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "PowerShell"])
def test_completions(shell):
    done = subprocess.run([binary(), "completions", shell], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "snapshot" in done.stdout and "ephemeral" in done.stdout
