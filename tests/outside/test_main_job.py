"""The main job with ffmpeg as the publisher: a minute goes in by RTMP, M3U8, MP4 and FLV come out, bit for bit."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from harness import probe
from harness.stage import Stage
from harness.wait import wait_for

SECONDS = 60


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A minute of H.264 with B-frames and AAC."""
    path = tmp_path_factory.mktemp("source") / "minute.flv"
    picture = "testsrc2=size=640x360:rate=25"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]
    command += ["-t", str(SECONDS), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "fastdecode", "-bf", "2", "-g", "50", "-keyint_min", "50"]
    command += ["-sc_threshold", "0", "-pix_fmt", "yuv420p", "-b:v", "800k", "-c:a", "aac", "-b:a", "96k", "-f", "flv", str(path)]
    subprocess.run(command, check=True, timeout=120)
    return path


@pytest.fixture(scope="module")
def recorded(server, receiver, source, tmp_path_factory) -> tuple[Stage, dict[str, dict]]:
    """The recording of that minute, with the file event of each format."""
    stage = Stage(server, receiver, tmp_path_factory.mktemp("recorded"))
    stage.rule({"Format": "m3u8", "SliceDuration": 5}, "mp4", "flv", DelayTime=15)
    stage.notify()
    url = f"rtmp://{server.rtmp_host}:{server.rtmp_port}/live/s1?vhost={stage.domain}"
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", str(source), "-c", "copy", "-f", "flv", url], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    wait_for(lambda: not server.is_live(stage.domain, "live", "s1"), what="the end of the push")
    stage.advance(16)
    events = {event["uri"].rsplit(".", 1)[1]: event for event in stage.wait_files(3)}
    assert set(events) == {"m3u8", "mp4", "flv"}
    return stage, events


@pytest.mark.parametrize("kind", ["mp4", "flv"])
def test_file_equals_source(recorded, source, kind):
    stage, events = recorded
    file = stage.fetch(events[kind]["uri"])
    assert probe.tracks(file) == ["audio:aac", "video:h264"]
    assert probe.duration(file) == pytest.approx(SECONDS, abs=0.2)
    assert events[kind]["duration"] == pytest.approx(SECONDS, abs=0.2)
    for track in "va":
        assert probe.payloads(file, track) == probe.payloads(source, track)
    probe.decodes(file)


def ticks(path: Path, track: str, field: str) -> list[float]:
    """The times of a track, from its first packet on."""
    times = [float(packet[field]) for packet in probe.packets(path, track)]
    return [at - times[0] for at in times]


@pytest.mark.parametrize("kind", ["mp4", "flv"])
def test_times_equal_the_source(recorded, source, kind):
    stage, events = recorded
    file = stage.fetch(events[kind]["uri"])
    for track in "va":
        for field in ("pts_time", "dts_time"):
            assert ticks(file, track, field) == pytest.approx(ticks(source, track, field), abs=0.002)
    both = [[float(probe.packets(path, track)[0]["pts_time"]) for track in "va"] for path in (file, source)]
    assert both[0][1] - both[0][0] == pytest.approx(both[1][1] - both[1][0], abs=0.002)


def test_playlist_equals_source(recorded, source):
    stage, events = recorded
    playlist = stage.playlist(events["m3u8"]["uri"])
    assert playlist.ended and playlist.duration == pytest.approx(SECONDS, abs=0.5)
    assert not any(segment.discontinuity for segment in playlist.segments)
    assert "#EXT-X-MEDIA-SEQUENCE:0" in playlist.tags
    assert max(segment.duration for segment in playlist.segments) <= playlist.target
    slices = [stage.fetch(key) for key in playlist.keys()]
    for track in "va":
        joined = [line for path in slices for line in probe.payloads(path, track)]
        assert joined == probe.payloads(source, track)


def test_slices_play_in_order_without_a_gap(recorded):
    stage, events = recorded
    playlist = stage.playlist(events["m3u8"]["uri"])
    slices = [stage.fetch(key) for key in playlist.keys()]
    assert all(probe.starts_with_key(path) for path in slices)
    for track, frame in (("v", 0.04), ("a", 1024 / 44100)):
        times = [float(packet["dts_time"]) for path in slices for packet in probe.packets(path, track)]
        steps = [later - earlier for earlier, later in pairwise(times)]
        assert min(steps) > 0, f"{track}: not in order"
        assert max(steps) < frame * 1.1 + 0.001, f"{track}: a gap of {max(steps)} s"
    folder = stage.folder / "play"
    folder.mkdir()
    for key in [playlist.key, *playlist.keys()]:
        (folder / key.rsplit("/", 1)[1]).write_bytes(stage.bucket.get(key))
    probe.decodes(folder / playlist.key.rsplit("/", 1)[1])
