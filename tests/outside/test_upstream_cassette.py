"""Forwarded calls kept as files that people read and edit, and answered from those without a network."""

import json
import subprocess
import time
from pathlib import Path

import pytest
from harness.api import Api, ApiError
from harness.server import Server
from upstreams import PLANTED, Told, answer, forwarding, pair, saying

DOMAIN = "play.example.com"
RULE = {"DomainName": DOMAIN, "AppName": "live", "OssBucket": "recordings", "OssEndpoint": "oss-cn-shanghai.aliyuncs.com"}


def replaying(folder: Path, *more: str) -> Server:
    return Server("--upstream-mode", "replay", "--cassette", str(folder), *more)


def story(api: Api) -> list[tuple[int, dict]]:
    """A few calls whose answers depend on their order."""
    told = [api.ask("AddLiveAppRecordConfig", **RULE, RecordFormat=[{"Format": "mp4"}])]
    told += [api.ask("DescribeLiveRecordConfig", DomainName=DOMAIN)]
    told += [api.ask("AddLiveAppRecordConfig", **{**RULE, "AppName": "other"}, RecordFormat=[{"Format": "flv"}])]
    told += [api.ask("DescribeLiveRecordConfig", DomainName=DOMAIN)]
    told += [api.ask("DescribeLiveRecordNotifyConfig", DomainName="none.example.com")]
    window = {"StartTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60)), "EndTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    told += [api.ask("DescribeLiveStreamRecordContent", DomainName=DOMAIN, AppName="live", StreamName="s1", **window)]
    return told


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A cassette with the story, and what was answered."""
    folder = tmp_path_factory.mktemp("recorded") / "cassette"
    with pair("all", "--cassette", str(folder)) as (gateway, _):
        return folder, story(Api(gateway.api))


def copied(folder: Path, to: Path) -> Path:
    subprocess.run(["cp", "-r", str(folder), str(to)], check=True)
    return to


def test_a_story_is_answered_from_the_cassette_as_it_was_and_again(recorded):
    folder, told = recorded
    time.sleep(1.1)
    with replaying(folder) as server:
        assert f"API calls are answered from the {len(told)} recorded ones" in server.log_tail()
        assert story(Api(server.api)) == told
        # The rest of the tale has been told: the last answers stay.
        again = Api(server.api).ask("DescribeLiveRecordConfig", DomainName=DOMAIN)
        assert again == told[3]
        server.control("POST", "/_localyun/reset")
        assert story(Api(server.api)) == told
        entry = server.rows("/_localyun/requests?limit=1", "requests")[0]
        assert entry["upstream"]["to"] == "cassette" and (folder / entry["upstream"]["cassette"]).is_file()
        text = server.control("GET", "/metrics")[1]
        assert 'localyun_cassette_calls_total{result="replayed"} 13' in text


def test_the_files_are_for_people_and_their_names_are_stable(recorded, tmp_path):
    folder, told = recorded
    files = sorted(folder.iterdir())
    assert len(files) == len(told)
    for file in files:
        text = file.read_text()
        call = json.loads(text)
        assert text == json.dumps(call, indent=2, ensure_ascii=False) + "\n"
        assert list(call) == ["localyun_cassette", "recorded", "upstream", "action", "version", "format", "params", "answer"]
        assert file.name.startswith(call["action"] + ".") and not set(call["params"]) & {"Signature", "AccessKeyId", "SignatureNonce", "Timestamp", "Action"}
        assert "body" in call["answer"], text
        for word in (*PLANTED, "testid", "testsecret"):
            assert word not in text
    window = json.loads(next(file for file in files if file.name.startswith("DescribeLiveStreamRecordContent")).read_text())["params"]
    assert (window["StartTime"], window["EndTime"]) == ("{time}", "{time}")
    # Recorded again elsewhere, later, by another run.
    again = tmp_path / "again"
    with pair("all", "--cassette", str(again)) as (gateway, _):
        story(Api(gateway.api))
    assert [file.name for file in sorted(again.iterdir())] == [file.name for file in files]


def test_the_nearest_recorded_call_is_named(recorded):
    folder, _ = recorded
    with replaying(folder) as server:
        status, said = Api(server.api).ask("DescribeLiveRecordConfig", DomainName="other.example.com")
        assert (status, said["Code"]) == (400, "NotRecorded")
        assert "the nearest recorded call is DescribeLiveRecordConfig." in said["Message"]
        assert 'DomainName: recorded "play.example.com", asked "other.example.com"' in said["Message"]
        _, said = Api(server.api).ask("DescribeLiveRecordConfigs", DomainName=DOMAIN)
        assert "did you mean DescribeLiveRecordConfig?" in said["Message"]
        # Signatures are looked at as ever.
        status, said = Api(server.api, secret="wrong").ask("DescribeLiveRecordConfig", DomainName=DOMAIN)
        assert said["Code"] == "SignatureDoesNotMatch"


def test_what_is_not_recorded_is_answered_by_localyun_where_that_is_wanted(recorded):
    folder, told = recorded
    with replaying(folder, "--cassette-miss", "emulate") as server:
        api = Api(server.api)
        assert api.ask("DescribeLiveRecordNotifyConfig", DomainName="none.example.com") == told[4]
        other = api.call("DescribeLiveRecordConfig", DomainName="other.example.com")
        assert other["TotalNum"] == 0
        assert api.ask("DescribeLiveSnapshotConfig", DomainName=DOMAIN)[1]["Code"] == "ActionNotImplemented"


def test_an_edited_cassette_answers_what_people_wrote(recorded, tmp_path):
    folder = copied(recorded[0], tmp_path / "edited")
    file = next(file for file in folder.iterdir() if file.name.startswith("DescribeLiveRecordNotifyConfig"))
    call = json.loads(file.read_text())
    call["params"]["DomainName"] = "{any}.example.com"
    call["answer"] = {"status": 200, "headers": {"content-type": "application/json"}, "body": {"RequestId": "BY-HAND"}}
    file.write_text(json.dumps(call))
    with replaying(folder) as server:
        assert Api(server.api).ask("DescribeLiveRecordNotifyConfig", DomainName="some.example.com") == (200, {"RequestId": "BY-HAND"})
    file.write_text("{")
    with replaying(folder) as server:
        with pytest.raises(ApiError) as refused:
            Api(server.api).call("DescribeLiveRecordNotifyConfig", DomainName="some.example.com")
        assert file.name in refused.value.message and "cannot be read" in refused.value.message


def test_answers_come_back_byte_for_byte(tmp_path):
    bodies = {
        "compact": ("JSON", b'{"RequestId":"A","N":1.5,"L":["a/\\"b",{}],"Z":null}'),
        "spaced": ("JSON", b'{ "RequestId" : "A" }\n'),
        "escaped": ("JSON", b'{"RequestId":"\\u4e2d\\/"}'),
        "xml": ("XML", "<?xml version='1.0'?><R><RequestId>A</RequestId><A b=\"c\">中 &amp; x</A></R>\n".encode()),
    }
    for name, (form, body) in bodies.items():
        folder = tmp_path / name
        kind = "application/json;charset=utf-8" if form == "JSON" else "text/xml;charset=utf-8"
        with Told(saying(answer(body, kind=kind, more=("x-acs-request-id: A",)))) as told, Server(*forwarding(told.url, "all", "--cassette", str(folder))) as gateway:
            flat = Api(gateway.api).signed("DescribeLiveRecordConfig", Format=form)
            first = Api(gateway.api).send("GET", "/?" + query(flat))
        with replaying(folder) as server:
            flat = Api(server.api).signed("DescribeLiveRecordConfig", Format=form)
            again = Api(server.api).send("GET", "/?" + query(flat))
        assert (again[0], again[2]) == (first[0], first[2]) == (200, body), name
        for header in ("content-type", "x-acs-request-id"):
            assert again[1][header] == first[1][header]
        assert again[1]["x-localyun-upstream"].startswith("cassette DescribeLiveRecordConfig.")


def query(flat: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(flat)


def test_a_second_recorder_and_a_folder_that_cannot_be_written_are_refused_at_the_start(tmp_path):
    folder = tmp_path / "cassette"
    with Told(saying(answer(b"{}"))) as told:
        flags = forwarding(told.url, "all", "--cassette", str(folder))
        with Server(*flags), pytest.raises(RuntimeError, match="another localyun keeps its calls there"):
            Server(*flags)
        link = tmp_path / "link"
        link.symlink_to(folder)
        for bad in (link, Path("/proc/1/cassette"), Path("/dev/null")):
            with pytest.raises(RuntimeError, match="--cassette: "):
                Server(*forwarding(told.url, "all", "--cassette", str(bad)))
        with pytest.raises(RuntimeError, match="there is no recorded call in it"):
            replaying(folder)


def test_ten_thousand_recorded_calls_start_in_under_a_second(tmp_path):
    folder = tmp_path / "cassette"
    with Told(saying(answer(b'{"RequestId":"A"}'))) as told, Server(*forwarding(told.url, "all", "--cassette", str(folder))) as gateway:
        Api(gateway.api).call("DescribeLiveRecordConfig", DomainName="one.example.com")
    (file,) = folder.iterdir()
    call = json.loads(file.read_text())
    action, digest, _, _ = file.name.split(".")
    for number in range(9_999):
        call["params"] = {"DomainName": f"d{number}.example.com"}
        # As if people had edited all of them: no name tells what is in the file.
        (folder / f"{action}.{int(digest, 16) ^ (number + 1):012x}.1.json").write_text(json.dumps(call))
    with replaying(folder) as server:
        assert server.ready["startup_ms"] < 1_000
        assert Api(server.api).call("DescribeLiveRecordConfig", DomainName="one.example.com")["RequestId"] == "A"
        began = time.monotonic()
        assert Api(server.api).call("DescribeLiveRecordConfig", DomainName="d77.example.com")["RequestId"] == "A"
        print(f"first call that no name finds among 10,000: {time.monotonic() - began:.2f} s")
