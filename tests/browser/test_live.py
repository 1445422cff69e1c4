"""Live streams in a browser, across origins: `<video>` by itself, mpegts.js and hls.js show pictures and play sound."""

import threading

import pytest
from harness.wait import wait_for

SECONDS = 10


@pytest.mark.parametrize(("form", "by"), [("mp4", "native"), ("flv", "flv"), ("m3u8", "hls")])
@pytest.mark.parametrize("clip", ["h264_aac", "h264_mp3"])
def test_a_browser_watches(stage, cinema, clip, form, by):
    publisher = stage.publisher("s1", clip=clip)
    pushing = threading.Thread(target=publisher.push, args=(SECONDS, 1))
    pushing.start()
    wait_for(lambda: stage.server.is_live(*publisher.key), 5, "the stream to be live")
    wait_for(lambda: len(publisher.sent) > 150, 10, "some seconds of it")
    url = f"{stage.server.play}/live/s1.{form}?vhost={stage.domain}"
    report = cinema.watch(url, by, 3)
    pushing.join(30)
    assert report["errors"] == [] and report["moved"], report
    assert report["frames"] > 40 and report["width"] > 0, report
    assert report["sound"] > 1000 and report["pictures"] > 1000, report
