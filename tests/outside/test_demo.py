"""`localyun demo` and the other subcommands, as a newcomer types them."""

import json
import subprocess
import urllib.request
from urllib.parse import urlsplit

import pytest

from harness.server import binary, clean_environment
from harness.wait import wait_for


def run(*arguments: str, folder=None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """One subcommand, run to its end."""
    return subprocess.run(
        [str(binary()), *arguments], capture_output=True, text=True, timeout=timeout, env=clean_environment(), cwd=folder
    )


def test_demo_shows_the_main_job(tmp_path):
    done = run("demo", "--exit", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout + done.stderr
    for word in (".m3u8", ".mp4", "record/", "AddLiveAppRecordConfig", "rtmp://"):
        assert word in said, f"{word} is not in what the demo printed"
    assert list(tmp_path.iterdir()) == [], "the demo works in a throw-away folder"


def test_two_demos_at_once(tmp_path):
    """Free ports and folders of their own: two do not meet."""
    command = [str(binary()), "demo", "--exit"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_environment(), cwd=tmp_path) for _ in range(2)]
    for process in both:
        out, _ = process.communicate(timeout=90)
        assert process.returncode == 0, out[-2000:]


def test_call(server):
    done = run("call", "DescribeLiveRecordConfig", "DomainName=call.example.com", "--endpoint", server.api)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["TotalNum"] == 0
    refused = run("call", "DescribeLiveRecordConfig", "--endpoint", server.api)
    assert refused.returncode == 1 and "MissingDomainName" in refused.stdout + refused.stderr


def test_sign_gives_a_url_that_works(server):
    done = run("sign", "DescribeLiveRecordConfig", "DomainName=sign.example.com", "--endpoint", server.api)
    assert done.returncode == 0, done.stderr
    url = done.stdout.split()[-1]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=20) as answer:
        assert answer.status == 200
    explained = run("sign", "DescribeLiveRecordConfig", "DomainName=sign.example.com", "--endpoint", server.api, "--explain")
    assert "GET&%2F&" in explained.stdout + explained.stderr


def test_coverage():
    done = run("coverage")
    assert done.returncode == 0
    assert "AddLiveAppRecordConfig" in done.stdout and len(done.stdout.splitlines()) > 400


def test_env(server):
    done = run("env", "--endpoint", server.api)
    assert done.returncode == 0, done.stderr
    assert server.api in done.stdout or server.api.removeprefix("http://") in done.stdout
    shell = subprocess.run(["bash", "-eu", "-c", done.stdout + "\nenv"], capture_output=True, text=True, timeout=20)
    assert shell.returncode == 0, shell.stderr


@pytest.mark.parametrize("clip", [None, "h264_aac"])
def test_publish(stage, clip):
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    where = ["--domain", stage.domain, "--app", "live", "--stream", "s1", "--seconds", "12", "--speed", "0"]
    rtmp = urlsplit(stage.server.ready["rtmp"]).netloc
    done = run("publish", *where, "--rtmp-addr", rtmp, *(["--clip", clip] if clip else []))
    assert done.returncode == 0, done.stderr
    wait_for(lambda: not stage.server.is_live(stage.domain, "live", "s1"), what="the end of the push")
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(12, abs=0.5)


def test_publish_of_a_file_that_is_none(server, tmp_path):
    broken = tmp_path / "broken.flv"
    broken.write_bytes(b"not an FLV file")
    done = run("publish", "--domain", "x.example.com", "--app", "live", "--stream", "s1", "--clip", str(broken), "--rtmp-addr", server.ready["rtmp"].removeprefix("rtmp://"))
    assert done.returncode not in (0, 101) and "panicked" not in done.stderr
    assert "broken.flv" in done.stderr
