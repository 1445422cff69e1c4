"""The plugin's promises: a clean cloud for each test, a server for each worker, told reasons, no orphans."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import localyun as kit

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("number", range(8))
def test_each_test_has_a_clean_cloud(localyun, callback_sink, number):
    assert localyun.recordings() == [] and localyun.callbacks() == [] and callback_sink.requests() == []
    localyun.record("mp4", notify_url=callback_sink.url)
    localyun.publish("s1", seconds=5)
    localyun.advance(181)
    assert localyun.wait_for_file("s1").format == "mp4"
    assert len(localyun.recordings(stream="s1")) == 1
    assert [body for body in callback_sink.wait(3) if "uri" in body]


def test_a_reset_takes_milliseconds(localyun):
    localyun.record()
    took = []
    for _ in range(20):
        began = time.perf_counter()
        localyun.reset()
        took.append(time.perf_counter() - began)
    # The best one is the kit's and the server's; what the others took longer is the machine's.
    assert min(took) < 0.1


def test_a_file_that_cannot_come_is_told_with_the_reason(localyun):
    with pytest.raises(kit.TimedOut, match="no recording rule.*AddLiveAppRecordConfig"):
        localyun.wait_for_file("s1", timeout=0.1)


def test_a_file_that_the_clock_holds_back_is_told(localyun):
    localyun.record()
    localyun.publish("s1", seconds=5)
    with pytest.raises(kit.TimedOut, match="advance"):
        localyun.wait_for_file("s1", timeout=0.1)


def test_a_callback_that_does_not_come_is_told_with_those_that_came(localyun, callback_sink):
    localyun.record("mp4", notify_url=callback_sink.url)
    localyun.publish("s1", seconds=5)
    callback_sink.wait(event="record_started")
    with pytest.raises(kit.TimedOut, match="record_started"):
        callback_sink.wait(event="of another name", timeout=0.1)


def test_waiting_ends_with_what_is_waited_for_and_not_later(localyun):
    localyun.record()
    localyun.publish("s1", seconds=5)
    localyun.advance(181)
    began = time.perf_counter()
    localyun.wait_for_file("s1", timeout=30)
    assert time.perf_counter() - began < 5


def test_lists_have_no_end_at_a_page(localyun):
    for number in range(3):
        localyun.call("DescribeLiveRecordConfig", DomainName="play.example.com", PageNum=number + 1)
    assert len(list(localyun._pages("requests", {}))) == 3
    assert len(localyun.requests(limit=2)) == 2


def test_a_refusal_has_the_products_code(localyun):
    with pytest.raises(kit.Refused, match="MissingDomainName") as refused:
        localyun.call("DescribeLiveRecordConfig")
    assert refused.value.status == 400


def test_two_workers_have_two_servers(pytester, tmp_path):
    pytester.makepyfile(
        f"""
        import os, pathlib
        def note(localyun, name):
            pathlib.Path({str(tmp_path)!r}, os.environ["PYTEST_XDIST_WORKER"] + name).write_text(str(localyun.ready["pid"]))
        def test_one(localyun): note(localyun, "a")
        def test_two(localyun): note(localyun, "b")
        def test_three(localyun): note(localyun, "c")
        def test_four(localyun): note(localyun, "d")
        """
    )
    assert pytester.runpytest_subprocess("-n", "2", "-q").ret == 0
    of_worker: dict[str, set[str]] = {}
    for path in tmp_path.iterdir():
        of_worker.setdefault(path.name[:-1], set()).add(path.read_text())
    assert all(len(servers) == 1 for servers in of_worker.values())
    assert len(of_worker) == 2 and len(set().union(*of_worker.values())) == 2
    for server in set().union(*of_worker.values()):
        assert not Path(f"/proc/{server}").exists(), "a server outlived its worker"


def test_a_failed_test_shows_the_servers_log(pytester):
    pytester.makepyfile(
        """
        def test_it(localyun):
            localyun.publish("s1", seconds=1)
            assert False
        """
    )
    result = pytester.runpytest_subprocess("-q")
    result.stdout.fnmatch_lines(["*- localyun -*", "*play.example.com*"])


def test_settings_are_overridden_in_conftest(pytester):
    pytester.makeconftest(
        """
        import pytest
        @pytest.fixture(scope="session")
        def localyun_settings():
            return {"clock_start": "2026-03-01T02:00:00Z"}
        """
    )
    pytester.makepyfile("def test_it(localyun): assert localyun.clock()['now'].startswith('2026-03-01T02:00')")
    assert pytester.runpytest_subprocess("-q").ret == 0


def test_a_program_that_cannot_start_says_why(monkeypatch):
    with pytest.raises(kit.CannotStart, match="API_ADDR"):
        with kit.start(api_addr="nowhere"):
            pass
    monkeypatch.setenv("LOCALYUN_BIN", "")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sysconfig.get_path", lambda *_: "/nowhere")
    with pytest.raises(kit.CannotStart, match="not installed"):
        kit.program()


def test_a_program_that_pip_put_into_the_users_folder_is_found(monkeypatch, tmp_path):
    (tmp_path / "localyun").touch()
    monkeypatch.setenv("LOCALYUN_BIN", "")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sysconfig.get_path", lambda name, scheme=None: str(tmp_path) if (name, scheme) == ("scripts", f"{os.name}_user") else "/nowhere")
    monkeypatch.setattr("site.ENABLE_USER_SITE", True)
    assert kit.program() == str(tmp_path / "localyun")
    # An environment of its own does not look into it.
    monkeypatch.setattr("site.ENABLE_USER_SITE", False)
    with pytest.raises(kit.CannotStart, match="not installed"):
        kit.program()


@pytest.fixture
def dead_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def test_the_official_client_goes_past_a_proxy(dead_proxy, localyun_client):
    from alibabacloud_live20161101.models import DescribeLiveRecordConfigRequest

    answer = localyun_client.describe_live_record_config(DescribeLiveRecordConfigRequest(domain_name="play.example.com"))
    assert answer.body.total_num == 0


def test_the_shells_settings_do_not_reach_the_server(monkeypatch):
    monkeypatch.setenv("LOCALYUN_ACCESS_KEYS", "other:key")
    with kit.start() as cloud:
        assert cloud.call("DescribeLiveRecordConfig", DomainName="play.example.com")["TotalNum"] == 0


def test_a_token_and_a_key_are_used():
    with kit.start(control_token="t0ken", access_keys="a1:s1") as cloud:
        cloud.record()
        cloud.reset()
        assert cloud.env["ALIBABA_CLOUD_ACCESS_KEY_ID"] == "a1"


@pytest.mark.parametrize(
    ("keys", "used"),
    [
        ("a1:s1:t1", ("a1", "s1", "t1")),
        ("a1:s1:t1:2,b:c", ("a1", "s1", "t1:2")),
        ("old:x:disabled, new:y", ("new", "y", None)),
        ("", ("testid", "testsecret", None)),
    ],
)
def test_the_first_key_that_is_not_disabled_signs(keys, used):
    with kit.start(access_keys=keys) as cloud:
        assert (cloud.key_id, cloud.key_secret, cloud.security_token) == used
        cloud.record()
        cloud.publish("s1", seconds=5)
        cloud.advance(181)
        assert cloud.wait_for_file("s1").read()[4:8] == b"ftyp"


def test_where_every_key_is_disabled_the_refusal_says_so():
    with kit.start(access_keys="old:x:disabled") as cloud:
        with pytest.raises(kit.Refused, match="InvalidAccessKeyId.Inactive"):
            cloud.record()


def test_a_token_of_the_test_goes_before_that_of_the_key():
    with kit.start(access_keys="a1:s1:t1") as cloud:
        with pytest.raises(kit.Refused, match="InvalidSecurityToken"):
            cloud.call("DescribeLiveRecordConfig", DomainName="play.example.com", SecurityToken="another")


def test_a_setting_that_is_none_is_left_out():
    with kit.start(control_token=None, access_keys=None, api_addr=None) as cloud:
        cloud.record()
        cloud.reset()
        # The kit's own choice, and not the port that `serve` takes by itself.
        assert not cloud.endpoint.endswith(":8080")


def test_a_fault_without_a_code_is_a_failure(localyun, callback_sink):
    localyun.record("mp4", notify_url=callback_sink.url)
    localyun.fault("callback", first=1)
    localyun.publish("s1", seconds=5)
    localyun.advance(200)
    assert callback_sink.wait(stream="s1")
    tried = [callback for callback in localyun.callbacks() if len(callback["attempts"]) == 2]
    assert tried and tried[0]["state"] == "success"


@pytest.mark.parametrize("keys", ["testid:testsecret", "a1:s1:t1"])
def test_variables_are_those_of_localyun_env(keys):
    import shlex
    import subprocess

    with kit.start(access_keys=keys) as cloud:
        asked = [kit.program(), "env", "--shell", "bash", "--endpoint", cloud.url]
        env = {**os.environ, "LOCALYUN_ACCESS_KEYS": keys}
        lines = subprocess.run(asked, check=True, capture_output=True, text=True, env=env).stdout.splitlines()
        told = dict(shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in lines if line.startswith("export "))
        assert cloud.env == told


def test_another_store_is_told_as_it_is_reached():
    with kit.start(oss_public_url="http://store.example.com:9000") as cloud:
        assert cloud.env["OSS_ENDPOINT"] == cloud.env["AWS_ENDPOINT_URL_S3"] == "http://store.example.com:9000"


@pytest.mark.skipif(not os.path.exists("/proc"), reason="needs /proc")
def test_the_folder_and_the_process_go_away():
    with kit.start() as cloud:
        folder, server = cloud.log.parent, cloud.ready["pid"]
        assert Path(f"/proc/{server}").exists()
    assert not folder.exists() and not Path(f"/proc/{server}").exists()
