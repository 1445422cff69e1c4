"""Snapshots as streams: any length in bounded memory, objects on request; seeds beside what is there."""

import hashlib
import json

import pytest
import requests

from harness.api import ApiError

RULE = {"domain": "play.example.com", "app": "live", "oss_endpoint": "oss-cn-shanghai.aliyuncs.com", "oss_bucket": "seeded", "formats": [{"format": "mp4"}]}


def resident(server) -> int:
    return int(open(f"/proc/{server.process.pid}/statm").read().split()[1]) * 4096


def stream_hash(domain: str, app: str, stream: str) -> str:
    return hashlib.sha256(b"".join(part.encode() + b"\0" for part in (domain, app, stream))).hexdigest()[:40]


def large(rows: int):
    """A snapshot of so many slices, as it is sent."""
    of = stream_hash("d.example.com", "live", "s1")
    yield b'{"localyun": 1, "rules": [], "slices": ['
    for number in range(rows):
        row = {
            "id": f"session:0:{number:09}",
            "stream_hash": of,
            "session_id": "session",
            "sequence": number,
            "bucket": "bucket",
            "endpoint": "oss-cn-shanghai.aliyuncs.com",
            "object": f"record/live/s1/{number:09}_" + "x" * 200 + ".ts",
            "started_at": 1_772_330_400_000 + 5_000 * number,
            "ended_at": 1_772_330_405_000 + 5_000 * number,
            "duration_ms": 5_000,
            "uploaded_at": 1_772_330_405_000 + 5_000 * number,
            "discontinuity": False,
            "width": 640,
            "height": 360,
        }
        yield (b"," if number else b"") + json.dumps(row).encode()
    yield b"]}"


def test_a_large_state_goes_in_and_out_in_flat_memory(own_stage):
    server = own_stage().server
    place = server.api + "/_localyun/snapshot"
    assert requests.put(place, data=large(2_000), timeout=300).status_code == 200
    with requests.get(place, stream=True) as answer:
        assert sum(len(chunk) for chunk in answer.iter_content(65536)) > 1 << 20
    before = resident(server)
    # 100,000 rows are 55 MB.
    answer = requests.put(place, data=large(100_000), timeout=600)
    assert answer.status_code == 200, answer.text
    assert answer.json()["slices"] == 100_000
    size, digest = 0, hashlib.sha256()
    with requests.get(place, stream=True, timeout=300) as answer:
        for chunk in answer.iter_content(65536):
            size += len(chunk)
            digest.update(chunk)
    assert size > 45 << 20
    assert resident(server) - before < 40 << 20
    # As it went out it comes in, and is the same once more.
    with requests.get(place, stream=True, timeout=300) as out:
        assert requests.put(place, data=out.iter_content(65536), timeout=600).status_code == 200
    again = hashlib.sha256()
    with requests.get(place, stream=True, timeout=300) as answer:
        for chunk in answer.iter_content(65536):
            again.update(chunk)
    assert again.digest() == digest.digest()


def test_a_body_that_breaks_off_changes_nothing(own_stage):
    stage = own_stage()
    stage.rule("mp4")
    before = stage.server.get("/_localyun/snapshot")

    def broken():
        yield b'{"localyun": 1, "rules": [], "slices": ['
        yield b" " * 100_000

    answer = requests.put(stage.server.api + "/_localyun/snapshot", data=broken(), timeout=30)
    assert answer.status_code == 400 and "EOF" in answer.json()["error"]
    assert stage.server.get("/_localyun/snapshot") == before
    left = [path.name for path in stage.server.data_dir.iterdir() if path.name.startswith("snapshot")]
    assert left == []


def test_objects_come_along_where_they_are_asked_for(own_stage):
    first, second = own_stage(), own_stage()
    first.rule("mp4", DelayTime=15)
    first.push(6)
    first.advance(16)
    (recording,) = first.server.get("/_localyun/recordings")["recordings"]
    (file,) = recording["files"]
    big = bytes(range(256)) * 4_096
    first.s3.put_object(Bucket=file["bucket"], Key="empty", Body=b"", ContentType="a/b")
    first.s3.put_object(Bucket=file["bucket"], Key="中/big", Body=big, Metadata={"note": "kept"})
    plain = first.server.get("/_localyun/snapshot")
    assert "objects" not in plain and plain["buckets"][0]["acl"] == "private"
    whole = requests.get(first.server.api + "/_localyun/snapshot?objects=true").content
    assert len(json.loads(whole)["objects"]) == 3
    second.s3.create_bucket(Bucket="other")
    second.s3.put_object(Bucket="other", Key="goes", Body=b"x")
    answer = requests.put(second.server.api + "/_localyun/snapshot", data=whole)
    assert answer.status_code == 200 and answer.json()["objects"] == 3, answer.text
    got = second.s3.get_object(Bucket=file["bucket"], Key="中/big")
    assert got["Body"].read() == big and got["Metadata"] == {"note": "kept"}
    assert second.s3.get_object(Bucket=file["bucket"], Key="empty")["ContentType"] == "a/b"
    (there,) = second.server.get("/_localyun/recordings")["recordings"]
    assert requests.get(there["files"][0]["signed_url"]).content == requests.get(file["signed_url"]).content
    with pytest.raises(second.s3.exceptions.NoSuchKey):
        second.s3.get_object(Bucket="other", Key="goes")
    # Without objects those that are there stay.
    assert requests.put(second.server.api + "/_localyun/snapshot", json=plain).status_code == 200
    assert second.s3.get_object(Bucket=file["bucket"], Key="中/big")["ContentLength"] == len(big)


@pytest.mark.parametrize(
    "bad",
    [
        {"objects": [{"bucket": "abc", "key": "k"}]},
        {"objects": [{"bucket": "abc", "key": "k", "base64": ["*"]}]},
        {"objects": [{"bucket": "A_", "key": "k", "base64": []}]},
        {"objects": [{"bucket": "abc", "key": "k", "base64": [], "size": 1}]},
        {"buckets": [{"name": "abc", "acl": "default"}]},
        {"buckets": [{"name": "abc"}, {"name": "abc"}]},
        {"buckets": [{"name": "abc", "colour": "red"}]},
        {"buckets": [{"name": "abc", "cors": [{"origin": "*"}]}]},
    ],
)
def test_what_is_no_object_or_bucket_is_refused(own_stage, bad):
    stage = own_stage()
    stage.rule("mp4")
    before = stage.server.get("/_localyun/snapshot")
    status, told = stage.server.control("PUT", "/_localyun/snapshot", {"localyun": 1} | bad)
    assert status == 400, told
    assert stage.server.get("/_localyun/snapshot") == before


def test_a_seed_goes_beside_what_is_there(own_stage):
    stage = own_stage()
    stage.rule("flv", app="other", stream="*")
    seed = {
        "rules": [RULE],
        "domains": [{"domain": "push.example.com", "kind": "liveEdge", "play_domain": "play.example.com"}],
        "buckets": [{"name": "pictures", "acl": "public-read", "cors": [{"origins": ["*"], "methods": ["GET"]}]}, {"name": "plain"}],
    }
    status, told = stage.server.control("POST", "/_localyun/seed", seed)
    assert (status, told["seeded"], told["rules"]) == (200, True, 2), told
    rules = stage.api.call("DescribeLiveRecordConfig", DomainName="play.example.com")["LiveAppRecordList"]["LiveAppRecord"]
    (rule,) = rules
    assert (rule["StreamName"], rule["OnDemond"], rule["RecordFormatList"]["RecordFormat"][0]["CycleDuration"]) == ("*", 0, 3600)
    assert stage.s3.get_bucket_acl(Bucket="pictures")["Grants"]
    stage.s3.put_object(Bucket="pictures", Key="a.png", Body=b"x")
    assert requests.get(f"{stage.server.oss}/pictures/a.png").status_code == 200
    preflight = requests.options(f"{stage.server.oss}/pictures/a.png", headers={"Origin": "http://x.example.com", "Access-Control-Request-Method": "GET"})
    assert preflight.headers["access-control-allow-origin"] == "*"
    # Once more: what is there stays.
    changed = seed | {"rules": [RULE | {"oss_bucket": "another"}], "buckets": [{"name": "pictures"}]}
    assert stage.server.control("POST", "/_localyun/seed", changed)[0] == 200
    assert stage.api.call("DescribeLiveRecordConfig", DomainName="play.example.com")["LiveAppRecordList"]["LiveAppRecord"] == rules
    assert requests.get(f"{stage.server.oss}/pictures/a.png").status_code == 200
    for bad in ({"rules": [{"domain": "d"}]}, {"rules": [RULE | {"colour": 1}]}, {"colours": []}, [], {"localyun": 2}):
        assert stage.server.control("POST", "/_localyun/seed", bad)[0] == 400, bad
    with pytest.raises(ApiError):
        stage.api.call("DescribeLiveRecordNotifyConfig", DomainName="play.example.com")


def test_the_smallest_seed_file_starts_a_server(own_stage, tmp_path):
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"localyun": 1, "rules": [RULE], "buckets": [{"name": "plain", "acl": "public-read"}]}))
    stage = own_stage("--seed", str(seed))
    assert stage.api.call("DescribeLiveRecordConfig", DomainName="play.example.com")["TotalNum"] == 1
    assert {bucket["Name"] for bucket in stage.s3.list_buckets()["Buckets"]} >= {"seeded", "plain"}
