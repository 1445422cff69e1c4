"""What somebody must not learn by looking on: the user, password and tokens of a callback's address, and keys."""

import json
import re

import pytest

from harness.api import ApiError
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for

WORDS = ("hush-user", "hush-pass", "hush-token", "hush-sign", "hushkey0123456789")


@pytest.fixture
def told(own_stage):
    """A stage whose notify configurations are full of secrets, and a check that nobody was told one of them."""
    stage = own_stage("--log", "debug")
    plain = stage.inbox.url
    secret = re.sub("^http://", "http://hush-user:hush-pass@", plain) + "?token=hush-token&b=c&sign=hush-sign"
    stage.api.call(
        "AddLiveRecordNotifyConfig",
        DomainName=stage.domain,
        NotifyUrl=secret,
        OnDemandUrl="http://hush-user:hush-pass@127.0.0.1:9/ask?access_token=hush-token",
        NeedStatusNotify=True,
        NotifyReqAuth=True,
        NotifyAuthKey="hushkey0123456789",
    )
    stage.api.call("SetLiveStreamsNotifyUrlConfig", DomainName=stage.domain, NotifyUrl=secret)
    stage.secret = secret
    return stage


def hushed(text: str) -> list[str]:
    return [word for word in WORDS if word in text]


def test_nobody_who_looks_on_is_told_a_secret(told):
    stage = told
    for bad in ("http://hush-user:hush-pass@", "ftp://hush-user:hush-pass@h/x?token=hush-token", "http://hush-user:hush-pass@ h/"):
        with pytest.raises(ApiError):
            stage.api.call("UpdateLiveRecordNotifyConfig", DomainName=stage.domain, NotifyUrl=bad)
    stage.rule("mp4", DelayTime=15)
    stage.rule("flv", stream="asked", OnDemand=1, DelayTime=15)
    stage.push(4, query="auth_key=hushkey0123456789")
    stage.push(2, stream="asked")
    stage.advance(60)
    domain = f"domain={stage.domain}&app=live&stream"
    for path in (
        "requests?limit=100",
        "callbacks?limit=100",
        "recordings",
        "snapshot",
        "config",
        "streams",
        "health",
        f"explain?{domain}=s1",
        f"explain?{domain}=asked",
    ):
        assert hushed(json.dumps(stage.server.get("/_localyun/" + path))) == [], path
    assert hushed(stage.server.control("GET", "/metrics")[1]) == []
    assert hushed(stage.server.log_tail(10_000_000)) == []
    # What is not secret is still to be seen, and the callback itself had everything.
    assert "b=c" in json.dumps(stage.server.get("/_localyun/callbacks?limit=100"))
    assert any("token=hush-token" in request.query for request in stage.inbox.requests)
    config = stage.api.call("DescribeLiveRecordNotifyConfig", DomainName=stage.domain)
    assert config["LiveRecordNotifyConfig"]["NotifyUrl"] == stage.secret


def test_a_snapshot_without_secrets_is_put_back_with_those_that_are_held(told):
    stage = told
    snapshot = stage.server.get("/_localyun/snapshot")
    status, body = stage.server.control("PUT", "/_localyun/snapshot", snapshot)
    assert (status, body["missing_secrets"]) == (200, []), body
    config = stage.api.call("DescribeLiveRecordNotifyConfig", DomainName=stage.domain)["LiveRecordNotifyConfig"]
    assert config["NotifyUrl"] == stage.secret
    assert stage.server.get("/_localyun/snapshot") == snapshot


def test_a_snapshot_without_secrets_is_taken_elsewhere_and_says_what_is_missing(told, own_stage):
    snapshot = told.server.get("/_localyun/snapshot")
    other = own_stage()
    status, body = other.server.control("PUT", "/_localyun/snapshot", snapshot)
    assert status == 200, body
    missing = {(one["kind"], one["field"]) for one in body["missing_secrets"] if one["name"] == told.domain}
    assert missing == {
        ("record_notify", "notify_auth_key"),
        ("record_notify", "notify_url"),
        ("record_notify", "on_demand_url"),
        ("stream_notify", "notify_url"),
    }
    config = other.api.call("DescribeLiveRecordNotifyConfig", DomainName=told.domain)["LiveRecordNotifyConfig"]
    assert config["NotifyUrl"] == told.inbox.url + "?token=&b=c&sign="
    assert "***" not in json.dumps(config["NotifyUrl"])


def test_a_callback_goes_again_to_the_address_whose_secrets_are_hidden(told):
    """Who changes the body alone sends the address as it was shown."""
    stage = told
    stage.rule("mp4", DelayTime=15)
    stage.push(4)
    stage.advance(60)
    rows = stage.server.rows("/_localyun/callbacks?limit=100", "callbacks")
    row = next(row for row in rows if row["method"] == "POST" and "?token=***&b=c&sign=***" in row["url"])
    replay = f"/_localyun/callbacks/{row['id']}/replay"
    copies = lambda: [request for request in list(stage.inbox.requests) if request.body == b'{"again": true}']
    status, told_of = stage.server.control("POST", replay, {"url": row["url"], "body": '{"again": true}'})
    assert status == 200 and told_of["replayed"] != row["id"], told_of
    wait_for(copies, 10, "the copy")
    (copy,) = copies()
    assert "token=hush-token&b=c&sign=hush-sign" in copy.query, copy
    # What was hidden is not known of any other address.
    came = len(stage.inbox.requests)
    for url in (row["url"].replace("b=c", "b=d"), row["url"].replace("http://***@", "http://"), f"{stage.inbox.url}?other=***"):
        status, refused = stage.server.control("POST", replay, {"url": url})
        assert status == 400 and "***" in refused["error"], (url, refused)
    assert len(stage.inbox.requests) == came


def test_a_setting_that_is_refused_is_told_without_its_password(tmp_path):
    for flag, value in (
        ("--oss-endpoint", "ftp://hush-user:hush-pass@h/x?token=hush-token"),
        ("--api-addr", "http://hush-user:hush-pass@h"),
        ("--database-url", "postgres://hush-user:hush-pass@127.0.0.1:9/d"),
        ("--database-url", "mysql://hush-user:hush-pass@127.0.0.1:9/d"),
        ("--database-url", "postgres://hush-user:hush-pass@[bad/d"),
    ):
        with pytest.raises(RuntimeError) as refused:
            Server(flag, value, data_dir=tmp_path / "data")
        assert flag in str(refused.value) and hushed(str(refused.value)) == [], refused.value


def test_settings_are_shown_without_passwords(own_stage):
    stage: Stage = own_stage("--access-keys", "testid:testsecret,other:hush-pass", "--bearer-tokens", "hush-token", "--oss-endpoint", "http://hush-user:hush-pass@127.0.0.1:9", "--oss-access-key", "a:hushkey0123456789")
    assert hushed(json.dumps(stage.server.get("/_localyun/config"))) == []
