"""What cannot be recorded, or comes to the wrong place, is told: an event, and one warning with cause and cure."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from harness import clip as clips, probe
from harness.clip import AUDIO, VIDEO
from harness.publisher import Refused
from harness.stage import Stage
from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}


def warnings(stage: Stage, *texts: str) -> list[str]:
    """The log's warnings that hold all the texts."""
    lines = stage.server.log_tail(10_000_000).splitlines()
    return [line for line in lines if "WARN" in line and all(text in line for text in texts)]


def one_warning(stage: Stage, *texts: str) -> None:
    """Waits for the warning: the publisher's command may end before the program has read the last it sent. One push is told once."""
    wait_for(lambda: warnings(stage, *texts), what=f"a warning with {texts}")
    assert len(warnings(stage, *texts)) == 1


def delimiters_alone(folder: Path) -> Path:
    """A clip whose messages of pictures hold a delimiter each and no picture."""
    tags = []
    for tag in clips.read_tags((clips.MEDIA / "h264_aac.flv").read_bytes()):
        if tag.kind == VIDEO and tag.body[1] == 1:
            tag = clips.Tag(VIDEO, tag.timestamp, tag.body[:5] + b"\0\0\0\x02\x09\xf0")
        tags.append(tag)
    path = folder / "delimiters.flv"
    path.write_bytes(clips.write_flv(tags))
    return path


@pytest.mark.parametrize("make", [clips.without_keys, delimiters_alone])
@pytest.mark.parametrize("seconds", [8, 40], ids=["short", "long"])
def test_no_key_frame(stage, make, seconds):
    """The sound alone would be half a recording: no file, no slice, and one record_error."""
    stage.rule(M3U8, "mp4", "flv", DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher(clip=make(stage.folder))
    publisher.push(seconds)
    if seconds > 15:
        wait_for(lambda: "record_error" in stage.inbox.events(), what="record_error while it is live")
        assert stage.server.is_live(stage.domain, "live", "s1") and not publisher.closed.is_set()
    stage.end(publisher)
    stage.advance(30)
    wait_for(lambda: "record_error" in stage.inbox.events(), what="record_error")
    stage.advance(200)
    assert stage.inbox.files() == [] and stage.bucket.keys() == []
    assert stage.inbox.events().count("record_error") == 1
    # The stream records again when its pictures are whole.
    stage.push(6)
    stage.advance(20)
    stage.wait_files(3)


def test_a_key_frame_that_comes_late(stage):
    """Twelve seconds of sound, then the picture: nothing is told, and all of it is there."""
    stage.rule("mp4", DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher(clip=clips.without_keys(stage.folder))
    publisher.push(12)
    publisher.clip = clips.load("h264_aac")
    publisher.push(8)
    stage.end(publisher)
    stage.advance(16)
    wait_for(lambda: stage.inbox.files(), what="a file")
    assert "record_error" not in stage.inbox.events()
    assert sum(event["duration"] for event in stage.inbox.files()) == pytest.approx(20, abs=0.5)


def test_pictures_that_come_late_and_without_a_key_frame(stage):
    """Twenty seconds of sound alone are a recording, whatever comes then."""
    stage.rule(M3U8, "mp4", DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher(clip="audio_only")
    publisher.push(20)
    publisher.turn_to(clips.without_keys(stage.folder))
    publisher.push(20)
    wait_for(lambda: "record_error" in stage.inbox.events(), what="record_error while it is live")
    stage.end(publisher)
    stage.advance(30)
    for ending in (".m3u8", ".mp4"):
        wait_for(lambda: sum(event["duration"] for event in stage.inbox.files(ending)) >= 19.9, what=f"the sound as {ending}")
    assert stage.inbox.events().count("record_error") == 1


def test_further_tracks_are_named(stage):
    """Sound and picture of track 1 beside the default ones, as ffmpeg and OBS send them."""
    stage.rule("mp4", DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    publisher.push(4)
    for kind, head in ((AUDIO, b"\x95\x01mp4a\x01"), (VIDEO, b"\xa6\x03avc1\x01")):
        publisher.socket.sendall(publisher._chunks(clips.Tag(kind, 4000, head + b"\x00\x01\x02")))
    publisher.push(4)
    (row,) = [row for row in stage.server.streams() if row["domain"] == stage.domain]
    assert sorted(row["media"]["unsupported"]) == ["audio track 1 (AAC)", "video track 1 (H.264)"]
    stage.end(publisher)
    stage.advance(16)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(8, abs=0.2)
    assert "record_error" not in stage.inbox.events()
    one_warning(stage, stage.domain, "audio track 1 (AAC)")


@pytest.mark.parametrize(
    ("first", "texts"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ["TLS", "rtmp://"]),
        (b"GET /_localyun/health HTTP/1.1\r\nHost: x\r\n\r\n", ["HTTP request", "ready line"]),
        (b"POST /open/1 HTTP/1.1\r\nHost: x\r\n\r\n", ["RTMPT", "rtmp://"]),
        (b"OPTIONS rtsp://127.0.0.1/live RTSP/1.0\r\nCSeq: 1\r\n\r\n", ["RTSP", "RTMP"]),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 4000 1935\r\n\x03", ["PROXY protocol", "load balancer"]),
        (b"FLV\x01\x05\0\0\0\x09\0\0\0\0", ["FLV file", "rtmp://"]),
        ((b"\x47" + bytes(187)) * 8, ["MPEG-TS", "-f flv"]),
        (b"\x06" + bytes(1536), ["RTMPE", "rtmp://"]),
    ],
    ids=["tls", "http", "rtmpt", "rtsp", "proxy", "flv", "ts", "rtmpe"],
)
def test_other_protocols_at_the_rtmp_port(stage, first, texts):
    for _ in range(3):
        with socket.create_connection((stage.server.rtmp_host, stage.server.rtmp_port), timeout=10) as connection:
            connection.sendall(first)
            answer = b""
            try:
                while part := connection.recv(4096):
                    answer += part
            except ConnectionResetError:
                pass
        is_http = b"HTTP/1." in first
        assert answer.startswith(b"HTTP/1.1 400 ") == is_http and (b"RTMP port" in answer) == is_http
    one_warning(stage, "no RTMP comes to the RTMP port", *texts)


def test_a_rule_of_rtmp_that_is_broken_before_a_publish(own_stage):
    """The first one is told with the peer and the reason, those of the next seconds are not; who only comes and goes breaks none."""
    stage = own_stage()

    def say(said: bytes) -> str:
        """Says it, waits for the end of the connection, and gives our own address."""
        with socket.create_connection((stage.server.rtmp_host, stage.server.rtmp_port), timeout=10) as connection:
            host, port = connection.getsockname()
            connection.sendall(said)
            try:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:
                pass
        return f"{host}:{port}"

    greeting = b"\x03" + bytes(2 * 1536)
    silent = [say(b""), say(greeting[:700]), say(greeting)]
    told, again = [say(greeting + b"\xc9" + bytes(128)) for _ in range(2)]
    one_warning(stage, "breaks the rules of RTMP", told, "chunk stream 9 starts with a chunk of type 3")
    assert [peer for peer in (*silent, again) if warnings(stage, peer)] == []


@pytest.mark.parametrize("app", ["play.example.com/live", "live/room"])
def test_a_slash_in_the_push_url(stage, app):
    with pytest.raises(Refused, match="slash.*rtmp://HOST/APP/STREAM.*vhost="):
        stage.publisher(app=app)
    one_warning(stage, "push refused", app, "vhost=")


@pytest.mark.parametrize("options", [[], ["-flags:v", "-global_header"]], ids=["default", "cure"])
def test_mpeg4_part_2_of_ffmpeg(stage, options):
    """FFmpeg's default leaves the decoder's headers out; the warning's cure is a recording."""
    stage.rule("mp4", DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    target = f"rtmp://{stage.server.rtmp_host}:{stage.server.rtmp_port}/live/s1?vhost={stage.domain}"
    picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "8", "-c:v", "mpeg4", "-g", "50", *options, "-strict", "-1"]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *picture, "-f", "flv", target], check=True, timeout=60)
    cure = "-flags:v -global_header"
    if not options:
        wait_for(lambda: "record_error" in stage.inbox.events(), what="record_error")
        one_warning(stage, stage.domain, cure)
        return
    stage.advance(20)
    (event,) = stage.wait_files(1)
    assert warnings(stage, stage.domain, cure) == [] and event["duration"] == pytest.approx(8, abs=0.2)
    probe.decodes(stage.fetch(event["uri"]))


def fault_code(stage: Stage, stream: str) -> str | None:
    """What the control plane says of the recorder."""
    rows = [row for row in stage.server.streams() if (row["domain"], row["stream"]) == (stage.domain, stream)]
    return rows[0]["recorder"]["last_error"] if rows else None


@pytest.mark.parametrize("format", ["mp4", M3U8], ids=["mp4", "m3u8"])
@pytest.mark.parametrize("leave", [True, False], ids=["gone", "live"])
def test_a_file_size_limit_is_told_as_such(own_stage, format, leave):
    """A push much faster than real time, and a limit on the size of files."""
    stage = own_stage(under=("prlimit", f"--fsize={4 << 20}"))
    stage.rule(format, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    publisher.push(400)
    if leave:
        stage.end(publisher)
    wait_for(lambda: "record_error" in stage.inbox.events(), what="record_error")
    if not leave:
        wait_for(lambda: fault_code(stage, "s1") == "StorageFileTooLarge", what="the code")
        assert stage.server.is_live(stage.domain, "live", "s1") and not publisher.closed.is_set()
        stage.end(publisher)
    stage.advance(60)
    assert stage.inbox.events().count("record_error") == 1
    assert warnings(stage, stage.domain, "StorageFileTooLarge") and not warnings(stage, stage.domain, "StorageFull")
    # What had been written before is a file that plays, and the next recording is whole.
    for event in stage.inbox.files("mp4"):
        probe.decodes(stage.fetch(event["uri"]))
    stage.push(8, "s2")
    stage.advance(20)
    wait_for(lambda: [event for event in stage.inbox.files() if event["stream"] == "s2"], what="the next file")


def test_a_spool_that_cannot_be_begun_is_told(own_stage):
    stage = own_stage()
    stage.rule("mp4", DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    spool = stage.server.data_dir / "spool"
    shutil.rmtree(spool)
    spool.write_bytes(b"")
    publisher = stage.publisher()
    publisher.push(3)
    wait_for(lambda: "record_error" in stage.inbox.events(), what="record_error")
    assert fault_code(stage, "s1") == "StorageFailed"
    stage.end(publisher)
    spool.unlink()
    stage.push(6, "s2")
    stage.advance(20)
    wait_for(lambda: stage.inbox.files(), what="a file of the next stream")
    assert stage.inbox.events().count("record_error") == 1


@pytest.mark.parametrize(("format", "told"), [("mp4", "transformat_error"), (M3U8, "record_error")], ids=["mp4", "m3u8"])
def test_a_range_that_can_never_be_read_does_not_hold_up_what_follows(own_stage, format, told):
    """A segment of the spool turns into a folder: no read of it will ever succeed."""
    stage = own_stage()
    stage.rule(format, DelayTime=15)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher()
    publisher.push(4)
    # While the push goes on: a slice is made as soon as it has ended.
    (segment,) = (stage.server.data_dir / "spool").glob("*/*.spool")
    segment.unlink()
    segment.mkdir()
    stage.end(publisher)
    stage.advance(20)
    for _ in range(20):
        stage.advance(20)
    wait_for(lambda: told in stage.inbox.events(), what=told)
    # The next recording of the same stream stands behind it.
    stage.push(6)
    stage.advance(20)
    (event,) = stage.wait_files(1)
    assert event["duration"] == pytest.approx(6, abs=0.2)
    assert [path.is_dir() for path in (stage.server.data_dir / "spool-damaged").glob("*/*.spool")] == [True], "what could not be read is kept"
    assert os.listdir(stage.server.data_dir / "spool") == []
