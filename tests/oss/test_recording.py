"""A finished recording as its users meet it: listed by OSS clients, and played from a public bucket by a browser."""

import shutil
import xml.etree.ElementTree as ET

import oss2
import pytest
import requests
from harness.receiver import Receiver
from harness.server import PROJECT
from harness.stage import Stage
from theatre import Theatre

SECONDS, SLICE_SECONDS = 18, 6
FRAMES = SECONDS * 25
HLS_JS = PROJECT / "target/oss-node/node_modules/hls.js/dist/hls.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def recorded(server, receiver: Receiver, tmp_path_factory):
    """Eighteen seconds in slices of six (a key frame every two), as MP4 and as FLV; the bucket is readable by everybody, from every page."""
    stage = Stage(server, receiver, tmp_path_factory.mktemp("recorded"))
    stage.rule({"Format": "m3u8", "SliceDuration": 5}, "mp4", "flv", DelayTime=15)
    stage.notify()
    stage.push(SECONDS)
    stage.advance(16)
    files = {event["uri"].rsplit(".", 1)[1]: event["uri"] for event in stage.wait_files(3)}
    bucket = oss2.Bucket(oss2.Auth("testid", "testsecret"), server.oss, stage.bucket.name)
    bucket.put_bucket_acl(oss2.BUCKET_ACL_PUBLIC_READ)
    rule = oss2.models.CorsRule(allowed_origins=["*"], allowed_methods=["GET", "HEAD"], allowed_headers=["*"])
    bucket.put_bucket_cors(oss2.models.BucketCors([rule]))
    yield stage, bucket, files
    stage.close()


def test_listing(recorded):
    stage, bucket, files = recorded
    slices = stage.playlist(files["m3u8"]).keys()
    assert len(slices) == SECONDS // SLICE_SECONDS
    keys = [item.key for item in oss2.ObjectIterator(bucket)]
    assert keys == sorted([*files.values(), *slices])
    folder = files["m3u8"].rsplit("/", 1)[0] + "/"
    top = bucket.list_objects(delimiter="/")
    assert (top.object_list, top.prefix_list) == ([], [folder.split("/")[0] + "/"])
    inside = bucket.list_objects_v2(prefix=folder, delimiter="/")
    assert sorted(item.key for item in inside.object_list) == sorted(key for key in keys if key.startswith(folder))
    for item in oss2.ObjectIterator(bucket):
        assert item.size == bucket.head_object(item.key).content_length > 0


def test_anybody_reads_a_public_bucket_and_nobody_writes(recorded, server):
    _, bucket, files = recorded
    base = f"{server.oss}/{bucket.bucket_name}"
    document = ET.fromstring(requests.get(base).content)
    assert files["mp4"] in [item.findtext("Key") for item in document.findall("Contents")]
    playlist = requests.get(f"{base}/{files['m3u8']}")
    assert playlist.status_code == 200 and playlist.text.startswith("#EXTM3U")
    assert playlist.headers["Content-Type"] in ("application/vnd.apple.mpegurl", "application/x-mpegURL")
    assert requests.put(f"{base}/{files['m3u8']}", data=b"x").status_code == 403
    assert requests.delete(f"{base}/{files['mp4']}").status_code == 403


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
@pytest.mark.parametrize("by", ["native", "hls.js"])
def test_a_browser_plays_the_playlist(recorded, server, tmp_path, by):
    """`native` is the browser's own HLS player (Chromium since version 142)."""
    stage, bucket, files = recorded
    if by == "hls.js" and not HLS_JS.exists():
        pytest.skip("hls.js is not there: npm is not installed, or tests/oss/run has not fetched it")
    theatre = Theatre(server.oss, HLS_JS if HLS_JS.exists() else None)
    try:
        report = theatre.play(CHROMIUM, f"/{bucket.bucket_name}/{files['m3u8']}", by, tmp_path / "profile")
        fetched = list(theatre.fetched)
    finally:
        theatre.close()
    if by == "native" and report["native"] == "":
        pytest.skip("this browser has no HLS player of its own")
    assert report.get("ended"), report
    assert report["width"] == 320
    assert report["time"] == pytest.approx(SECONDS, abs=0.2)
    assert report["frames"] > FRAMES * 0.8, "most pictures were decoded, at four times the speed"
    read = [path for path, status in fetched if status in (200, 206)]
    for key in [files["m3u8"], *stage.playlist(files["m3u8"]).keys()]:
        assert f"/{bucket.bucket_name}/{key}" in read, (key, fetched)
    assert all(status < 400 for path, status in fetched), fetched
