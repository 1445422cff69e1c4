"""Where files and slices are cut, and what is told of it: docs/media.md, Cuts."""

import json
import subprocess

import pytest
from harness.stage import ENDPOINT, wire

from matrix import witness
from matrix.frames import units
from matrix.recording import GROUPS, send
from matrix.sources import SOURCES


@pytest.fixture(scope="module")
def long_groups(tmp_path_factory):
    """A minute of small pictures with a key frame every 25 s, and sound."""
    file = tmp_path_factory.mktemp("clip") / "groups.flv"
    source = ["-f", "lavfi", "-i", "testsrc2=size=64x36:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100", "-t", "60"]
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "625", "-keyint_min", "625", "-sc_threshold", "0", "-bf", "0", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *source, *video, "-c:a", "aac", "-f", "flv", str(file)], check=True, timeout=60)
    return file


def first_picture_is_key(path) -> bool:
    """Whether the first picture of a file is one that decoding can start from."""
    return next(frame.key for frame in witness.frames(path) if frame.kind == "v")


def test_a_cycle_ends_before_a_key_frame(stage, long_groups):
    stage.rule({"Format": "m3u8", "SliceDuration": 5, "CycleDuration": 15}, {"Format": "mp4", "CycleDuration": 15}, {"Format": "flv", "CycleDuration": 15}, DelayTime=15)
    stage.notify()
    stage.push(60, clip=str(long_groups))
    stage.advance(16)
    files = stage.wait_files(9)
    for form in ("m3u8", "mp4", "flv"):
        of_form = sorted((event for event in files if event["uri"].endswith(form)), key=lambda event: event["start_time"])
        assert [event["duration"] for event in of_form] == pytest.approx([25, 25, 10], abs=0.1), form
        for event in of_form:
            keys = stage.playlist(event["uri"]).keys() if form == "m3u8" else [event["uri"]]
            assert all(first_picture_is_key(stage.fetch(key)) for key in keys), event


@pytest.mark.parametrize("stands", [False, True])
def test_restart_begins_with_a_key_frame(stage, long_groups, stands):
    """While pictures come, the cut waits for the next group; a stream that stands is cut at once, and its group begins the new file."""
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    publisher = stage.publisher(clip=str(long_groups))
    publisher.push(7)
    stage.command("restart")
    if stands:
        stage.advance(3)
        (first,) = stage.wait_files(1)
    for _ in range(5):
        publisher.push(4)
        if not stands:
            stage.advance(1.5)
    publisher.push(3)
    stage.end(publisher)
    stage.advance(16)
    first, second = stage.wait_files(2)
    assert [first["duration"], second["duration"]] == pytest.approx([7, 30] if stands else [25, 5], abs=0.1)
    assert first_picture_is_key(stage.fetch(first["uri"])) and first_picture_is_key(stage.fetch(second["uri"]))


def units_of_keys(path) -> list[set[int]]:
    """The types of the NAL units in each key frame of a file."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_packets", "-show_data", "-of", "json", str(path)]
    packets = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)["packets"]
    found = []
    for packet in packets:
        if "K" in packet["flags"]:
            data = bytes.fromhex("".join(witness.HEX_LINE.findall(packet["data"])).replace(" ", ""))
            found.append({unit[0] & 0x1F for unit in units(data, 4)})
    return found


@pytest.mark.parametrize("form", ["mp4", "flv"])
def test_pictures_of_two_sizes_bring_their_parameter_sets(stage, tmp_path, form):
    stage.rule(form, DelayTime=15)
    stage.notify()
    send(stage, SOURCES["resolution"](tmp_path), "s1")
    send(stage, SOURCES["keyframe4s"](tmp_path), "s2")
    stage.advance(16)
    changed, plain = (stage.fetch(event["uri"]) for event in sorted(stage.wait_files(2), key=lambda event: event["stream"]))
    found = units_of_keys(changed)
    assert len(found) >= 5 and all({7, 8, 5} <= kinds for kinds in found), found
    assert not any(7 in kinds for kinds in units_of_keys(plain)), "one header is enough for one size"


def test_an_index_file_marks_what_changes(stage, tmp_path):
    """Slices of other sizes, other sound and other tracks in one playlist, each change after EXT-X-DISCONTINUITY."""
    stage.rule({"Format": "m3u8", "SliceDuration": 5}, DelayTime=15)
    stage.notify()
    begin = stage.now()
    for row, files in (("resolution", 1), ("aac_change", 3), ("picture_joins", 5)):
        send(stage, SOURCES[row](tmp_path), "s1")
        stage.advance(20)
        stage.wait_files(files)
    parameters = {"DomainName": stage.domain, "AppName": "live", "StreamName": "s1", "OssBucket": stage.bucket.name, "OssEndpoint": ENDPOINT}
    stage.api.call("CreateLiveStreamRecordIndexFiles", **parameters, OssObject="index.m3u8", StartTime=wire(begin), EndTime=wire(stage.now()))
    listing = stage.playlist("index.m3u8")
    # In resolution at 6 s; a new recording; in aac_change at 6 s; a new recording; in picture_joins at 12 s.
    assert sum(segment.discontinuity for segment in listing.segments) == 5


def test_mp3_in_cmaf_is_refused_aloud(stage):
    stage.rule(GROUPS[0], GROUPS[3], DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher(clip="h264_mp3")
    publisher.push(12)
    (row,) = [row for row in stage.server.streams() if row["domain"] == stage.domain]
    assert any("MP3" in reason for reason in row["recorder"]["refused_formats"]), row
    stage.end(publisher)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert b"#EXT-X-MAP" not in stage.bucket.get(event["uri"])
    assert sorted(stage.inbox.events()) == sorted(["record_started", "record_error", "record_paused"])
    assert not [key for key in stage.bucket.keys("") if key.endswith((".m4s", "_init.mp4"))]


def test_mp3_in_cmaf_alone_is_no_recording(stage):
    stage.rule(GROUPS[3], DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    stage.push(12, clip="h264_mp3")
    stage.advance(16)
    assert stage.inbox.events() == ["record_started", "record_error"] and not stage.inbox.files("")
    assert not [key for key in stage.bucket.keys("") if key.endswith((".m4s", "_init.mp4", ".m3u8")) and "foreign" not in key]
