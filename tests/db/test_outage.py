"""The database goes away in the middle of recordings and comes back: nothing is lost, and nobody hangs meanwhile."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import probe
from harness.api import ApiError
from harness.server import Server, binary, clean_environment
from harness.stage import Stage
from harness.wait import wait_for

pytestmark = pytest.mark.skipif("LOCALYUN_TEST_DATABASE" not in os.environ, reason="SQLite has no network")


def test_recordings_outlive_the_database(proxy, settings, receiver, tmp_path):
    with Server(environment=settings) as server:
        stage = Stage(server, receiver, tmp_path)
        stage.rule({"Format": "m3u8", "SliceDuration": 5}, "mp4", "flv", DelayTime=15)
        stage.notify(NeedStatusNotify=True)
        publisher = stage.publisher()
        publisher.push(11)
        proxy.cut()
        publisher.push(11)
        began = time.monotonic()
        status, body = server.control("GET", "/_localyun/health")
        assert status == 503 and "database" in str(body), (status, body)
        with pytest.raises(ApiError) as error:
            stage.rule("mp4", stream="other")
        assert error.value.status >= 500
        assert time.monotonic() - began < 45, "an answer has to come while the database is gone"
        assert server.is_live(stage.domain, "live", "s1")
        publisher.push(11)
        proxy.mend()
        wait_for(lambda: server.control("GET", "/_localyun/health")[0] == 200, 30, "a healthy server")
        stage.rule("mp4", stream="other")
        publisher.push(4)
        stage.end(publisher)
        stage.advance(60)
        files = {event["uri"].rsplit(".", 1)[1]: event for event in stage.wait_files(3)}
        path = tmp_path / "source.flv"
        path.write_bytes(publisher.sent_flv())
        for kind in ("mp4", "flv"):
            file = stage.fetch(files[kind]["uri"])
            assert all(probe.payloads(file, track) == probe.payloads(path, track) for track in "va")
        playlist = stage.playlist(files["m3u8"]["uri"])
        slices = [stage.fetch(key) for key in playlist.keys()]
        assert [line for slice in slices for line in probe.payloads(slice, "v")] == probe.payloads(path, "v")
        wait_for(lambda: "record_started" in stage.inbox.events(), what="the event of before the outage")


def test_a_database_that_vanishes_without_a_word_is_not_waited_for(proxy, settings, receiver, tmp_path):
    with Server(environment=settings) as server:
        stage = Stage(server, receiver, tmp_path)
        stage.rule({"Format": "m3u8", "SliceDuration": 5}, "mp4", "flv", DelayTime=15)
        stage.notify(NeedStatusNotify=True)
        publisher = stage.publisher()
        publisher.push(11)
        proxy.vanish()
        publisher.push(11)
        calls = (lambda: stage.rule("mp4", stream="other"), lambda: stage.api.call("DescribeLiveRecordNotifyConfig", DomainName=stage.domain))
        with ThreadPoolExecutor() as pool:
            outcomes = [pool.submit(refused_after, call) for call in calls]

            def answered() -> bool:
                publisher.push(1)
                return all(outcome.done() for outcome in outcomes)

            # The stream is live all the time.
            wait_for(answered, 30, "two answers")
        assert all(outcome.result() < 20 for outcome in outcomes), [outcome.result() for outcome in outcomes]
        # Rules lie in memory too.
        stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain)
        assert server.is_live(stage.domain, "live", "s1")
        publisher.push(11)
        proxy.appear()
        wait_for(lambda: server.control("GET", "/_localyun/health")[0] == 200, 40, "a healthy server")
        # The rule that nobody could promise is there or is not, and the answers agree about it.
        wait_for(lambda: known_and_taken(stage, "other"), 30, "one truth about the rule in doubt")
        publisher.push(4)
        stage.end(publisher)
        stage.advance(60)
        files = {event["uri"].rsplit(".", 1)[1]: event for event in stage.wait_files(3)}
        path = tmp_path / "source.flv"
        path.write_bytes(publisher.sent_flv())
        for kind in ("mp4", "flv"):
            file = stage.fetch(files[kind]["uri"])
            assert all(probe.payloads(file, track) == probe.payloads(path, track) for track in "va")


def refused_after(call) -> float:
    """The seconds until a call is refused by an error of the server's own."""
    began = time.monotonic()
    with pytest.raises(ApiError) as error:
        call()
    assert error.value.status >= 500, error.value
    return time.monotonic() - began


def known_and_taken(stage: Stage, stream: str) -> bool:
    """Whether a rule can be added when it is not listed, and is listed when it cannot be added."""
    listed = stage.api.call("DescribeLiveRecordConfig", DomainName=stage.domain, StreamName=stream)["TotalNum"] > 0
    try:
        stage.rule("mp4", stream=stream)
    except ApiError as error:
        return listed and error.status < 500
    return not listed


def test_sigterm_while_the_database_is_gone_loses_nothing(proxy, settings, receiver, tmp_path):
    folder = tmp_path / "data"
    with Server(data_dir=folder, environment=settings) as server:
        stage = Stage(server, receiver, tmp_path)
        stage.rule("mp4", DelayTime=15)
        stage.notify()
        publisher = stage.publisher()
        publisher.push(8)
        proxy.cut()
        publisher.push(8)
    assert server.process.returncode == 0
    proxy.mend()
    with Server(data_dir=folder, environment=settings) as server:
        (event,) = stage.wait_files(1)
        stage.bucket.s3 = Stage(server, receiver, tmp_path).s3
        path = tmp_path / "source.flv"
        path.write_bytes(publisher.sent_flv())
        assert probe.payloads(stage.fetch(event["uri"]), "v") == probe.payloads(path, "v")


def test_a_start_without_the_database_says_so(proxy, settings, tmp_path):
    proxy.cut()
    free = [f for name in ("api", "rtmp", "oss") for f in (f"--{name}-addr", "127.0.0.1:0")]
    done = subprocess.run(
        [binary(), "serve", "--data-dir", tmp_path / "data", *free], env=clean_environment() | settings, capture_output=True, timeout=60, text=True
    )
    assert done.returncode not in (0, -6, 101) and done.stdout == ""
    assert "database" in done.stderr and "panicked" not in done.stderr
