"""A clock that only advances move, and ids that follow from a number: two runs are the same."""

import hashlib
import json
import os
import re
import time

import requests

from harness.server import Server
from harness.wait import wait_for

START = "2026-03-01T02:00:00Z"
FROZEN = ("--clock", "frozen", "--clock-start", START, "--id-seed", "7")


def test_a_frozen_clock_stands(own_stage):
    server = own_stage("--clock", "frozen", "--clock-start", START).server
    # Start-up alone takes longer than the clock's millisecond.
    clock = server.get("/_localyun/clock")
    assert (clock["now"], clock["now_ms"] % 1000, clock["frozen"]) == (START, 0, True)
    status, moved = server.control("POST", "/_localyun/clock/advance", {"seconds": 61.5})
    assert (status, moved["now"], moved["advanced_ms"]) == (200, "2026-03-01T02:01:01Z", 61_500)
    assert server.control("POST", "/_localyun/clock", {"frozen": False})[1]["frozen"] is False
    wait_for(lambda: server.get("/_localyun/clock")["now_ms"] > moved["now_ms"] + 100, 5, "a clock that goes")
    stood = server.control("POST", "/_localyun/clock", {"frozen": True})[1]
    # Fifty questions take longer than a millisecond.
    assert {server.get("/_localyun/clock")["now_ms"] for _ in range(50)} == {stood["now_ms"]}
    assert server.control("POST", "/_localyun/reset")[0] == 200
    assert server.get("/_localyun/clock")["now"] == START


def test_until_and_next(own_stage):
    stage = own_stage(*FROZEN)
    server = stage.server
    assert server.control("POST", "/_localyun/clock/advance", {"next": True})[1]["advanced_ms"] == 0
    moved = server.control("POST", "/_localyun/clock/advance", {"until": "2026-03-01T02:00:30Z"})[1]
    assert (moved["now"], moved["advanced_ms"]) == ("2026-03-01T02:00:30Z", 30_000)
    for bad in ({"until": START}, {"until": "later"}, {"next": True, "seconds": 1}, {"next": False}, {}, {"until": "2126-03-01T02:00:00Z"}):
        assert server.control("POST", "/_localyun/clock/advance", bad)[0] == 400, bad
    for bad in ({}, {"frozen": "yes"}, {"frozen": True, "x": 1}):
        assert server.control("POST", "/_localyun/clock", bad)[0] == 400, bad
    # The DelayTime of a recording is the next due time once its push has ended.
    stage.rule("mp4", DelayTime=15)
    assert server.control("POST", "/_localyun/streams", {"domain": stage.domain, "stream": "s1", "seconds": 4, "speed": 0, "wait": True})[0] == 200
    for _ in range(5):
        server.control("POST", "/_localyun/clock/advance", {"next": True})
        files = server.get(f"/_localyun/recordings?domain={stage.domain}")["recordings"][0]["files"]
        if files:
            break
    assert len(files) == 1 and server.get("/_localyun/clock")["now"] <= "2026-03-01T02:01:00Z"


def test_rates_are_by_machine_time(own_stage):
    stage = own_stage("--clock", "frozen", "--clock-start", START)
    publisher = stage.publisher()
    publisher.push(3, speed=2)
    rate = lambda: stage.server.get("/_localyun/streams")["streams"][0]["bitrate_kbps"]
    stood = rate()
    stage.server.advance(5)
    # The clip has some hundreds of kbit/s, and goes twice as fast; the second look comes some moments later.
    assert 0 < rate() <= stood < 20_000
    assert rate() > stood / 10


def test_a_period_that_begins_now_has_no_interval_yet(own_stage):
    stage = own_stage("--clock", "frozen", "--clock-start", "2026-03-01T02:04:58Z")
    stage.publisher().push(1)
    stage.server.advance(2)
    # The clock stands on a mark of five minutes.
    period = {"StartTime": "2026-03-01T02:05:00Z", "EndTime": "2026-03-01T02:30:00Z"}
    total = stage.api.call("DescribeLiveStreamsTotalCount", DomainName=stage.domain, **period)
    assert total["StreamCountList"]["StreamCountInfos"] == []
    period["StartTime"] = "2026-03-01T02:00:00Z"
    total = stage.api.call("DescribeLiveStreamsTotalCount", DomainName=stage.domain, **period)
    assert total["StreamCountList"]["StreamCountInfos"] == [{"Timestamp": "2026-03-01T02:00:00Z", "Count": 1}]


def one_run() -> tuple:
    """Names, ids and bytes of one run of the same calls."""
    with Server(*FROZEN) as server:
        from harness.api import Api

        api = Api(server.api)
        asked = api.call(
            "AddLiveAppRecordConfig",
            DomainName="play.example.com",
            AppName="live",
            StreamName="*",
            OssEndpoint="oss-cn-shanghai.aliyuncs.com",
            OssBucket="golden",
            **{"RecordFormat.1.Format": "mp4", "RecordFormat.2.Format": "m3u8", "RecordFormat.2.SliceDuration": 5},
        )
        for stream in ("s1", "s2"):
            wanted = {"domain": "play.example.com", "stream": stream, "seconds": 12, "speed": 0, "wait": True}
            assert server.control("POST", "/_localyun/streams", wanted)[0] == 200
        server.advance(181)
        rows = server.get("/_localyun/recordings")["recordings"]
        files = [file for row in rows for file in row["files"]]
        digests = [hashlib.sha256(requests.get(file["signed_url"]).content).hexdigest() for file in files if file["format"] == "mp4"]
        # Everything is done by now; a count would be reached while one run has another event ahead than the other.
        events = server.get("/_localyun/wait?kind=record,file,slice,publish&count=1&since=0")["events"]
        told = [(e["id"] > 0, e["kind"], e["at_ms"], e.get("object"), e.get("session")) for e in events if e["stream"] == "s1"]
        named = [(row["session"], row["start_time"], [(f["id"], f["object"], f["size"]) for f in row["files"]]) for row in rows]
        return asked["RequestId"], named, digests, sorted(told, key=str)


def test_two_runs_give_the_same_names_ids_and_bytes():
    first, second = one_run(), one_run()
    assert first == second
    assert "2026-03-01-10-00-00" in first[1][0][2][0][1], first[1]
    assert re.fullmatch(r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F-]+", first[0])


def whole_run(pause: float) -> dict[str, object]:
    """Everything that a run of the same calls leaves: objects byte for byte, rows, answers, callbacks, events. `pause` shifts the machine's time."""
    with Server(*FROZEN) as server:
        from harness.api import Api
        from harness.bucket import client

        api = Api(server.api)
        domain = {"DomainName": "play.example.com"}
        formats = {f"RecordFormat.{n}.Format": name for n, name in enumerate(("m3u8", "mp4", "flv"), 1)}
        rule = domain | {"AppName": "live", "StreamName": "*", "OssEndpoint": "oss-cn-shanghai.aliyuncs.com", "OssBucket": "golden"}
        answers = [api.call("AddLiveAppRecordConfig", **rule, **formats, **{"RecordFormat.1.SliceDuration": 5, "RecordFormat.2.CycleDuration": 300})]
        answers.append(api.call("AddLiveAppRecordConfig", **rule | {"StreamName": "s4"}, **{"RecordFormat.1.Format": "cmaf"}))
        # A sink's address has the port in it, which is another one each time; its name keeps out of what is compared.
        notify = {"NotifyUrl": f"{server.api}/_localyun/sink/golden", "NeedStatusNotify": True, "NotifyReqAuth": True, "NotifyAuthKey": "goldengoldengolden"}
        answers.append(api.call("AddLiveRecordNotifyConfig", **domain, **notify))
        for stream, clip, seconds in (("s1", "h264_aac", 17), ("s2", "hevc_enhanced", 8), ("s1", "h264_aac", 6), ("s3", "audio_only", 11), ("s4", "h264_aac", 9)):
            time.sleep(pause)
            wanted = {"domain": "play.example.com", "stream": stream, "clip": clip, "seconds": seconds, "speed": 0, "wait": True}
            assert server.control("POST", "/_localyun/streams", wanted)[0] == 200
            server.advance(7)
        time.sleep(pause)
        server.advance(400)
        window = domain | {"AppName": "live", "StreamName": "s1", "StartTime": START, "EndTime": "2026-03-01T03:00:00Z"}
        answers += [api.call(action, **window) for action in ("DescribeLiveStreamRecordIndexFiles", "DescribeLiveStreamRecordContent")]
        s3 = client(server.oss)
        listed = [row for page in s3.get_paginator("list_objects_v2").paginate(Bucket="golden") for row in page["Contents"]]
        objects = {}
        for row in listed:
            got = s3.get_object(Bucket="golden", Key=row["Key"])
            body = got["Body"].read()
            objects[row["Key"]] = (hashlib.sha256(body).hexdigest(), len(body), got["ETag"], got["ContentType"], got["Metadata"], str(row["LastModified"]))
        came = server.get("/_localyun/sinks/golden?limit=1000")["requests"]
        signed = [[[name, value if name.lower() == "ali-live-timestamp" else ""] for name, value in request["headers"]] for request in came]
        assert all(len(head) > 4 and head == sorted(head) for head in signed), signed[0]
        told = sorted(json.dumps([request["at"], request["json"], head], sort_keys=True) for request, head in zip(came, signed, strict=True))
        skipped = {"id", "took_us", "client", "caller", "url", "next_try"}
        events = [
            json.dumps({name: value for name, value in event.items() if name not in skipped}, sort_keys=True)
            for event in server.get("/_localyun/wait?kind=record,slice,file,publish,unpublish,clock,object&count=1&since=0")["events"]
        ]
        rows = re.sub(r"https?://127[^\"]*", "", json.dumps(server.get("/_localyun/recordings"), sort_keys=True))
        kept = json.loads(re.sub(r"127\.0\.0\.1:\d+", "", json.dumps(server.get("/_localyun/snapshot"))))
        requests_ids = [row["request_id"] for row in server.get("/_localyun/requests")["requests"]]
        return {
            "objects": objects, "answers": answers, "told": told, "events": sorted(events), "rows": rows, "ids": requests_ids,
            "snapshot": json.dumps(kept, sort_keys=True),
        }  # fmt: skip


def test_two_whole_runs_leave_the_same_byte_for_byte():
    """The machine's time, its load and its ports differ between the runs; nothing that a run leaves does."""
    first, second = whole_run(0), whole_run(0.4)
    assert len(first["objects"]) > 15 and {name.rsplit(".", 1)[1] for name in first["objects"]} >= {"m3u8", "ts", "mp4", "flv", "m4s"}
    for part in first:
        assert first[part] == second[part], part


def test_a_kept_folder_gives_other_ids_in_its_next_run(tmp_path):
    ids = []
    for _ in range(2):
        with Server("--id-seed", "7", data_dir=tmp_path / "data") as server:
            from harness.api import Api

            ids.append(Api(server.api).call("DescribeLiveRecordConfig", DomainName="d.example.com")["RequestId"])
    assert ids[0] != ids[1]


def test_an_ephemeral_folder_is_gone_at_the_end(tmp_path):
    import subprocess

    from harness.server import binary, clean_environment

    environment = clean_environment() | {"TMPDIR": str(tmp_path), "LOCALYUN_API_ADRR": "x"}
    free = [part for name in ("api", "rtmp", "oss", "play") for part in (f"--{name}-addr", "127.0.0.1:0")]
    process = subprocess.Popen([binary(), "serve", "--ephemeral", *free], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
    assert process.stdout.readline().startswith('{"event":"ready"')
    (folder,) = os.listdir(tmp_path)
    assert oct((tmp_path / folder).stat().st_mode)[-3:] == "700" and (tmp_path / folder / "localyun.db").exists()
    # At once: signals are watched before the line comes.
    process.terminate()
    _, told = process.communicate(timeout=20)
    assert process.returncode == 0 and os.listdir(tmp_path) == []
    assert "LOCALYUN_API_ADRR is no setting; did you mean LOCALYUN_API_ADDR?" in told
    both = subprocess.run([binary(), "serve", "--ephemeral", "--data-dir", str(tmp_path / "x"), *free], capture_output=True, text=True, env=environment)
    assert both.returncode == 2 and "--data-dir" in both.stderr
    nowhere = subprocess.run([binary(), "serve", "--ephemeral", *free], capture_output=True, text=True, env=environment | {"TMPDIR": str(tmp_path / "nowhere")})
    assert nowhere.returncode == 2 and "--ephemeral" in nowhere.stderr


def test_ids_that_a_snapshot_brought_are_not_made_again(own_stage):
    """Another server of the same number made them: what is recorded beside them is a recording of its own."""
    first = own_stage(*FROZEN)
    first.rule("mp4", DelayTime=15)
    once = {"domain": first.domain, "stream": "s1", "seconds": 4, "speed": 0, "wait": True}
    assert first.server.control("POST", "/_localyun/streams", once)[0] == 200
    first.advance(16)
    kept = first.server.get("/_localyun/snapshot")
    recorded = lambda server: server.get(f"/_localyun/recordings?domain={first.domain}")["recordings"]
    assert len(recorded(first.server)) == 1
    second = own_stage(*FROZEN)
    assert second.server.control("PUT", "/_localyun/snapshot", kept)[0] == 200
    assert second.server.control("POST", "/_localyun/streams", once)[0] == 200
    second.advance(16)
    recordings = recorded(second.server)
    assert [len(recording["files"]) for recording in recordings] == [1, 1]


def test_pushes_that_a_snapshot_brought_are_not_made_again(own_stage):
    """No recording tells of them: a push of the same id would be the end of the other one, and in no list."""
    first, second = own_stage(*FROZEN), own_stage(*FROZEN)
    push = lambda stage, stream: stage.server.control(
        "POST", "/_localyun/streams", {"domain": first.domain, "stream": stream, "seconds": 1, "speed": 0, "wait": True}
    )
    assert push(first, "a")[0] == 200
    kept = first.server.get("/_localyun/snapshot")
    assert (len(kept["pushes"]), kept["sessions"]) == (1, [])
    assert second.server.control("PUT", "/_localyun/snapshot", kept)[0] == 200
    assert push(second, "b")[0] == 200
    listed = second.api.call("DescribeLiveStreamsPublishList", DomainName=first.domain, StartTime="2026-03-01T01:00:00Z", EndTime="2026-03-01T03:00:00Z")
    assert sorted(row["StreamName"] for row in listed["PublishInfo"]["LiveStreamPublishInfo"]) == ["a", "b"]
