"""Snapshots and seeds: a refusal changes nothing, no value gets in that no action would take, hidden secrets are told."""

import json
import re

import pytest

from harness.api import ApiError
from harness.server import Server

from test_start_up import free, refused  # noqa: F401

RULE = {
    "domain": "seed.example.com",
    "app": "live",
    "stream": "*",
    "oss_endpoint": "oss-cn-shanghai.aliyuncs.com",
    "oss_bucket": "seed-bucket",
    "start_time": None,
    "end_time": None,
    "on_demand": "automatic",
    "delay_s": 180,
    "formats": [{"format": "mp4", "object_prefix": "r/{StreamName}/{Sequence}_{StartTime}_{EndTime}", "slice_prefix": None, "slice_s": 30, "cycle_s": 60}],
    "created_at": 0,
}
FORMAT = RULE["formats"][0]
KEY = "0123456789abcdef"
BAD = [
    {"rules": [RULE, RULE]},
    {"rules": [RULE | {"oss_bucket": "No_Bucket"}]},
    {"rules": [RULE | {"delay_s": -5}]},
    {"rules": [RULE | {"delay_s": 2**62}]},
    {"rules": [RULE | {"delay_s": 2**64}]},
    {"rules": [RULE | {"formats": []}]},
    {"rules": [RULE | {"formats": [FORMAT | {"cycle_s": 0}]}]},
    {"rules": [RULE | {"formats": [FORMAT | {"cycle_s": -1}]}]},
    {"rules": [RULE | {"formats": [FORMAT | {"format": "m3u8", "slice_s": 0}]}]},
    {"rules": [RULE | {"formats": [FORMAT | {"object_prefix": "x"}]}]},
    {"rules": [RULE | {"app": ""}]},
    {"rules": [RULE | {"stream": "a/b"}]},
    {"rules": [RULE | {"created_at": 2**62}]},
    {"rules": [RULE | {"colour": "red"}]},
    {"rules": [RULE | {"formats": [FORMAT | {"colour": "red"}]}]},
    {"record_notify": [{"domain": "d", "notify_url": "x"}]},
    {"record_notify": [{"domain": "d", "notify_url": "http://h/x", "colour": "red"}]},
    {"record_notify": [{"domain": d, "notify_url": "http://h/x"} for d in ("d", "D")]},
    {"domains": [{"domain": "d", "kind": "moon"}]},
    {"slices": [{"id": "x"}]},
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_refused_snapshot_changes_nothing(stage, bad):
    stage.rule("mp4")
    stage.notify()
    before = stage.server.get("/_localyun/snapshot")
    buckets = stage.s3.list_buckets()["Buckets"]
    status, body = stage.server.control("PUT", "/_localyun/snapshot", {"localyun": 1, "domains": []} | bad)
    assert status == 400 and body["error"], body
    assert stage.server.get("/_localyun/snapshot") == before
    assert stage.s3.list_buckets()["Buckets"] == buckets


@pytest.mark.parametrize("bad", [BAD[0], BAD[2], BAD[13], BAD[18]], ids=["twice", "delay", "unknown", "kind"])
def test_bad_seed(free, tmp_path, bad):  # noqa: F811
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps(bad))
    refused(*free, "--seed", str(seed), names="--seed")


def test_a_snapshot_comes_back_as_it_was(own_stage):
    stage = own_stage()
    stage.rule({"Format": "m3u8", "SliceDuration": 5}, "flv", DelayTime=15, StreamName="s1", StartTime="2020-01-01T00:00:00Z")
    stage.notify()
    stage.api.call("AddLiveDomainMapping", PushDomain="push.example.com", PullDomain=stage.domain)
    stage.push(12)
    stage.advance(16)
    stage.wait_files(2)
    before = stage.server.get("/_localyun/snapshot")
    assert before["sessions"] and len(before["slices"]) >= 2 and len(before["files"]) == 2
    status, body = stage.server.control("PUT", "/_localyun/snapshot", before)
    assert (status, body["missing_secrets"]) == (200, [])
    assert stage.server.get("/_localyun/snapshot") == before
    # One of some thousand slices is longer than other bodies may be.
    many = [before["slices"][0] | {"id": f"{n:040}"} for n in range(4_000)]
    status, body = stage.server.control("PUT", "/_localyun/snapshot", before | {"slices": many})
    assert status == 200, body
    assert len(stage.server.get("/_localyun/snapshot")["slices"]) == 4_000


def test_secrets_that_are_not_held_are_told(own_stage, tmp_path):
    first, second = own_stage(), own_stage()
    first.rule("mp4")
    first.notify(NotifyReqAuth="true", NotifyAuthKey=KEY)
    aliauth = {"functionName": "aliauth", "functionArgs": [{"argName": "auth_type", "argValue": "type_a"}, {"argName": "auth_key1", "argValue": "one"}]}
    first.api.call("BatchSetLiveDomainConfigs", DomainNames=first.domain, Functions=json.dumps([aliauth]))
    snapshot = first.server.get("/_localyun/snapshot")
    assert KEY not in json.dumps(snapshot)
    told = [
        {"kind": "record_notify", "name": first.domain, "field": "notify_auth_key"},
        {"kind": "domain_configs", "name": first.domain, "field": "auth_key1"},
    ]
    assert first.server.control("PUT", "/_localyun/snapshot", snapshot)[1]["missing_secrets"] == []
    assert first.api.call("DescribeLiveRecordNotifyConfig", DomainName=first.domain)["LiveRecordNotifyConfig"]["NotifyAuthKey"] == KEY
    status, body = second.server.control("PUT", "/_localyun/snapshot", snapshot)
    assert (status, body["missing_secrets"]) == (200, told)

    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps(snapshot))
    folder = tmp_path / "seeded"
    with Server("--seed", str(seed), data_dir=folder) as server:
        log = re.sub(r"\x1b\[[0-9;]*m", "", server.log_tail())
        assert log.count("the seed hides a secret") == 2 and "notify_auth_key" in log
        seeded = server.get("/_localyun/snapshot")
        seeded["record_notify"][0]["notify_auth_key"] = KEY
        assert server.control("PUT", "/_localyun/snapshot", seeded)[0] == 200
    # What exists stays when the seed is read again.
    with Server("--seed", str(seed), data_dir=folder) as server:
        assert server.get("/_localyun/snapshot")["record_notify"][0]["notify_auth_key"] == "***"


def test_the_documented_example_is_taken(own_stage, tmp_path):
    from harness.server import PROJECT

    text = (PROJECT / "docs/cli.md").read_text()
    seed = tmp_path / "seed.json"
    seed.write_text(re.search(r"```json as=seed.json\n(.*?)```", text, re.S)[1])
    stage = own_stage("--seed", str(seed), "--domains", "declared")
    rules = stage.api.call("DescribeLiveRecordConfig", DomainName="play.example.com")["LiveAppRecordList"]["LiveAppRecord"]
    assert [row["AppName"] for row in rules] == ["live"]
    assert stage.api.call("DescribeLiveRecordNotifyConfig", DomainName="play.example.com")
    with pytest.raises(ApiError):
        stage.api.call("DescribeLiveRecordConfig", DomainName="other.example.com")
