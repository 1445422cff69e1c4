"""A clock that only advances move, and ids that follow from a number: two runs are the same."""

import hashlib
import os
import re

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
        events = server.get("/_localyun/wait?kind=record,file,slice,publish&count=12")["events"]
        told = [(e["id"] > 0, e["kind"], e["at_ms"], e.get("object"), e.get("session")) for e in events if e["stream"] == "s1"]
        named = [(row["session"], row["start_time"], [(f["id"], f["object"], f["size"]) for f in row["files"]]) for row in rows]
        return asked["RequestId"], named, digests, sorted(told, key=str)


def test_two_runs_give_the_same_names_ids_and_bytes():
    first, second = one_run(), one_run()
    assert first == second
    assert "2026-03-01-10-00-00" in first[1][0][2][0][1], first[1]
    assert re.fullmatch(r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F-]+", first[0])


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
