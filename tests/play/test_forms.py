"""Every form of a live stream: each frame equals the pushed one, and a player is shown a picture at once."""

import hashlib
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from harness.clip import AUDIO, VIDEO, Tag, is_key, load, read_tags
from harness.wait import wait_for
from players import FORMS, Elementary, Ffmpeg, Gstreamer, Live, Push, address, ask, elementary, fetch, frames, is_frame, play, play_in_background, tracks

SECONDS = 7


def told(got: Elementary) -> tuple[int, str, int]:
    """A short form of what was got, for a message."""
    return len(got.pictures), hashlib.sha256(got.pictures).hexdigest()[:12], len(got.sound)


@pytest.mark.parametrize(
    ("clip", "codec", "sound"),
    [("h264_aac", "h264", "adts"), ("hevc_enhanced", "hevc", "adts"), ("audio_only", None, "adts"), ("video_only", "h264", None), ("h264_mp3", "h264", "mp3")],
)
def test_a_viewer_from_the_start_gets_every_frame(stage, tmp_path, clip, codec, sound):
    # The extended form of H.265 in FLV is younger than many an ffmpeg: there our own viewer reads it.
    by_ffmpeg = [form for form in FORMS if codec != "hevc" or form in ("mp4", "m3u8")]
    watched_by = lambda: sum(row["viewers"] for row in stage.server.streams() if row["domain"] == stage.domain)
    push = Push(stage.server, stage.domain, clip=clip).run(SECONDS, crowd=lambda: watched_by() == len(by_ffmpeg) + 2)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    players = {form: Ffmpeg(address(stage.server, form, stage.domain), tmp_path / form, codec, sound) for form in by_ffmpeg}
    ours = {form: tmp_path / f"{form}.flv" for form in ("flv", "rtmp")}
    watching = [play_in_background(address(stage.server, form, stage.domain), file) for form, file in ours.items()]
    got = {form: player.got() for form, player in players.items()}
    for process in watching:
        assert process.wait(20) == 0
    push.join()
    sent = elementary(push.publisher.sent)
    assert len(sent.sound) > 200 if sound else sent.pictures
    # Who comes after the first picture begins with it, but for the first slice of a playlist; who was there before has the sound before it too.
    later = Elementary(sent.pictures, sent.sound[sound_before_pictures(push.publisher.sent) :])
    if sound != "adts":
        whole, seen = in_one_piece(sent), in_one_piece(later)
    else:
        whole, seen = sent, later
    for form, one in got.items():
        expected = (whole,) if form == "m3u8" else (whole, seen)
        assert told(one) in [told(each) for each in expected], form
        assert one in expected, form
    for form, file in ours.items():
        assert elementary(list(read_tags(file.read_bytes()))) in (sent, later), form


def sound_before_pictures(tags: list[Tag]) -> int:
    """How many frames of sound come before the first picture; none where there are no pictures."""
    kinds = [tag.kind for tag in tags if is_frame(tag)]
    return kinds.index(VIDEO) if VIDEO in kinds else 0


def in_one_piece(one: Elementary) -> Elementary:
    """With sound that is not told apart by frames."""
    return Elementary(one.pictures, (b"".join(one.sound),))


def test_who_comes_late_finds_pictures_and_sound_and_nothing_else(stage):
    """Metadata that carries a time is a track of text for ffmpeg, which then waits for it."""
    push = Push(stage.server, stage.domain).run(20)
    wait_for(lambda: push.publisher.sent[-1].timestamp > 2500, 10, "the middle of the push")
    found = {form: tracks(address(stage.server, form, stage.domain)) for form in ("flv", "rtmp", "mp4")}
    push.stop()
    assert found == dict.fromkeys(found, ["audio", "video"])


def test_a_codec_that_changes_reaches_everybody(stage, tmp_path):
    """FLV and RTMP go on with the new configuration, a playlist tells the break, an MP4 ends, since its one header cannot say it."""
    push = Push(stage.server, stage.domain).run_both(5, "hevc_enhanced", 9)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    ours = {form: tmp_path / f"{form}.flv" for form in ("flv", "rtmp")}
    watching = [play_in_background(address(stage.server, form, stage.domain), file) for form, file in ours.items()]
    url = address(stage.server, "m3u8", stage.domain)
    fetch(url)
    first = fetch(address(stage.server, "mp4", stage.domain))
    assert b"avc1" in first[:2000] and b"hvc1" not in first[:2000]
    sent_before = [tag for tag in push.publisher.sent if is_frame(tag)]
    # The answer ended with the change, not with the stream.
    assert push.publisher.sent[-1].timestamp < 9_000 and sent_before
    # Until the first picture of the new kind is there, who asks is shown the old ones.
    wait_for(lambda: b"hvc1" in ask(address(stage.server, "mp4", stage.domain))[2], 5, "an MP4 of the new kind")
    wait_for(lambda: "#EXT-X-DISCONTINUITY\n" in fetch(url).decode(), 10, "the break in the playlist")
    push.join()
    for process in watching:
        assert process.wait(20) == 0
    for form, file in ours.items():
        assert frames(list(read_tags(file.read_bytes()))) == frames(push.publisher.sent), form


def test_a_configuration_whose_first_picture_is_yet_to_come_keeps_nobody_out(stage):
    """Who asks for MP4 then is shown the group that there is."""
    publisher = stage.publisher("s1")
    publisher.push(3)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    for header in load("hevc_enhanced").headers:
        if header.kind == VIDEO:
            publisher.socket.sendall(publisher._chunks(Tag(VIDEO, 3000, header.body)))
    publisher.round_trip()
    status, _, body = ask(address(stage.server, "mp4", stage.domain))
    assert status == 200 and b"avc1" in body, (status, body[:100])


def test_the_sound_goes_on_where_the_picture_stopped(stage):
    """The camera goes off: who watches an MP4 hears on, and who comes then is given the sound in every form."""
    publisher = stage.publisher("s1")
    publisher.push(3)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    parts = urlsplit(address(stage.server, "mp4", stage.domain))
    sounds = tuple(tag for tag in publisher.clip.frames if tag.kind == AUDIO)
    publisher.clip = replace(publisher.clip, frames=sounds)
    # More than the pictures that there were.
    twenty_seconds = 20_000 * sum(len(tag.body) - 2 for tag in sounds) // publisher.clip.period
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as viewer:
        viewer.sendall(f"GET {parts.path}?{parts.query} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        goes_on = threading.Thread(target=publisher.push, args=(40, 5))
        goes_on.start()
        try:
            came = 0
            while came < twenty_seconds:
                piece = len(viewer.recv(65536))
                assert piece, "the answer ended"
                came += piece
            for form, head in (("m3u8", b"#EXTM3U"), ("flv", b"FLV"), ("mp4", b"moov")):
                status, _, body = ask(address(stage.server, form, stage.domain))
                assert status == 200 and head in body, (form, status, body[:100])
        finally:
            goes_on.join()


def unchunked(body: bytes) -> bytes:
    """A chunked body, which must be whole."""
    whole = b""
    while True:
        size, body = body.split(b"\r\n", 1)
        count = int(size, 16)
        whole, end, body = whole + body[:count], body[count : count + 2], body[count + 2 :]
        assert end == b"\r\n"
        if count == 0:
            assert body == b""
            return whole


@pytest.mark.parametrize(("version", "more"), [("1.1", ""), ("1.0", ""), ("1.1", "Content-Length: 0\r\n")])
def test_an_answer_ends_whole_with_its_stream(stage, version, more):
    """With and without chunks; a request that announces a body is left to the web framework."""
    push = Push(stage.server, stage.domain).run(4)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    parts = urlsplit(address(stage.server, "flv", stage.domain))
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(f"GET {parts.path}?{parts.query} HTTP/{version}\r\nHost: {parts.netloc}\r\nConnection: close\r\n{more}\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    push.join()
    head, body = answer.split(b"\r\n\r\n", 1)
    head = head.lower()
    assert head.count(b"access-control-allow-origin") == 1 and b"content-length" not in head
    assert (b"transfer-encoding: chunked" in head) == (version == "1.1")
    assert head.count(b"connection: close") == (version == "1.1")
    flv = unchunked(body) if version == "1.1" else body
    assert frames(list(read_tags(flv))) == frames(push.publisher.sent)


@pytest.mark.parametrize("form", FORMS)
def test_gstreamer_decodes_pictures_and_sound(stage, tmp_path, form):
    push = Push(stage.server, stage.domain).run(10)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    pictures, sound = Gstreamer(address(stage.server, form, stage.domain), tmp_path / form).got((320, 180))
    push.join()
    # 25 a second; a player of a playlist may begin three slices behind.
    assert pictures > 25 * 4 and sound > 4, (pictures, sound)


def test_a_viewer_in_the_middle_begins_at_once_with_a_key_frame(stage):
    push = Push(stage.server, stage.domain).run(6)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    wait_for(lambda: push.publisher.sent[-1].timestamp > 3300, 10, "the middle of the push")
    late = Live(address(stage.server, "flv", stage.domain), 1.5).run()
    push.join()
    pictures = [(at, tag) for at, tag in late.tags if tag.kind == VIDEO and is_frame(tag)]
    at, first = pictures[0]
    assert is_key(first)
    assert at - late.asked < 0.3, at - late.asked
    # It has what was pushed since then, and is no second behind.
    delays = [at - (push.began + tag.timestamp / 1000) for at, tag in pictures if at - late.asked > 0.5]
    assert delays and max(delays) < 1, max(delays)
    sent = {tag.timestamp: tag.body for tag in push.publisher.sent if tag.kind == VIDEO and is_frame(tag)}
    assert all(sent[tag.timestamp] == tag.body for _, tag in pictures)
    # Headers go before the first picture.
    assert not is_frame(late.tags[0][1])


def test_a_playlist_slides_over_whole_groups(stage):
    push = Push(stage.server, stage.domain).run(9)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    url = address(stage.server, "m3u8", stage.domain)
    listed = lambda: [line for line in fetch(url).decode().splitlines() if line and not line.startswith("#")]
    first = listed()
    assert first and all("?session=" in line for line in first)
    wait_for(lambda: len(listed()) >= 3, 10, "three slices")
    text = fetch(url).decode()
    assert "#EXT-X-TARGETDURATION:2" in text and "#EXTINF:2.000," in text and "ENDLIST" not in text
    slice_url = f"{stage.server.play}/live/{first[0]}"
    status, headers, _ = ask(slice_url)
    assert (status, headers["content-type"]) == (200, "video/mp2t")
    assert len(fetch(slice_url)) % 188 == 0
    # Another name, a session of nobody, no session.
    other = slice_url.replace("/s1-", "/s2-")
    for wrong in (other, slice_url[:-3] + "xyz", slice_url.split("?")[0]):
        assert ask(wrong)[0] == 403, wrong
    assert ask(slice_url.replace("s1-0.ts", "s1-999.ts"))[0] == 404
    push.join()
    wait_for(lambda: "#EXT-X-ENDLIST" in fetch(url).decode(), 5, "the end of the playlist")
    # Who comes now is too late.
    assert ask(url, headers={"User-Agent": "another"})[0] == 404


def test_a_player_that_asks_twice_at_once_is_one(stage):
    """Both answers come with the first slice, and the slices of both are there."""
    push = Push(stage.server, stage.domain).run(8)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    url = address(stage.server, "m3u8", stage.domain)
    with ThreadPoolExecutor(4) as pool:
        texts = [text.decode() for text in pool.map(fetch, [url] * 4)]
    for text in texts:
        (first, *_) = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert ask(f"{stage.server.play}/live/{first}")[0] == 200, texts
    watched_by = [row["viewers"] for row in stage.server.streams() if row["domain"] == stage.domain]
    assert watched_by == [1]
    push.stop()


def test_a_playlist_goes_on_where_the_publisher_comes_back(stage):
    """A player that has not seen the end: entries go from the beginning of its playlist, one by one (RFC 8216, 6.2.2), and the break is marked."""
    url = address(stage.server, "m3u8", stage.domain)

    def number(tag: str) -> int:
        (value,) = [line.partition(":")[2] for line in text.splitlines() if line.startswith(f"#EXT-X-{tag}:")] or ["0"]
        return int(value)

    listed = lambda: [line for line in text.splitlines() if line and not line.startswith("#")]
    push = Push(stage.server, stage.domain).run(5)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    text = fetch(url).decode()
    push.join()
    # Nobody asks in between.
    push = Push(stage.server, stage.domain).run(9)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live again")
    before = listed()
    assert before and number("MEDIA-SEQUENCE") == 0, text
    numbers = lambda: [int(line.partition(".ts")[0].rpartition("-")[2]) for line in listed()]
    text = fetch(url).decode()
    # What the player had, what it had not heard of, and what is new: without a hole, and under the addresses that it knows.
    assert number("MEDIA-SEQUENCE") == 0 and "#EXT-X-ENDLIST" not in text, text
    assert numbers() == list(range(len(listed()))) and listed()[: len(before)] == before, (before, text)
    ended, _, new = text.partition("#EXT-X-DISCONTINUITY\n")
    assert ended.count("#EXTINF") >= 3 and new.count("#EXTINF") >= 1 and "DISCONTINUITY" not in ended + new, text
    for name in listed():
        assert len(fetch(f"{stage.server.play}/live/{name}")) % 188 == 0, name
    # Whoever is new sees nothing of that.
    status, _, body = ask(url, headers={"User-Agent": "another"})
    assert status == 200 and b"DISCONTINUITY" not in body and b"-0.ts" in body
    push.join()
    known = listed()
    text = fetch(url).decode()
    # The list is full: it has lost its first entries, and no other one.
    first = number("MEDIA-SEQUENCE")
    assert numbers() == list(range(first, first + 6)) and listed()[: len(known) - first] == known[first:], (known, text)
    for name in listed():
        assert ask(f"{stage.server.play}/live/{name}")[0] == 200, name


@pytest.mark.parametrize("form", ["flv", "rtmp", "hls"])
def test_the_play_command_tells_what_came(stage, tmp_path, form):
    push = Push(stage.server, stage.domain).run(5)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    file = tmp_path / "out"
    addresses = ["--play-addr", stage.server.play, "--rtmp-addr", stage.server.ready["rtmp"]]
    done = play("--domain", stage.domain, "--stream", "s1", "--format", form, *addresses, "--json", "-o", str(file))
    push.join()
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    sent = [tag for tag in push.publisher.sent if is_frame(tag)]
    pictures = sum(tag.kind == VIDEO for tag in sent)
    assert (told["form"], told["end"]) == (form, "over")
    assert told["video"]["codec"] == "h264" and told["audio"]["codec"] == "aac"
    assert told["video"]["frames"] == pictures and told["audio"]["frames"] == len(sent) - pictures
    assert told["video"]["gaps"] == told["audio"]["gaps"] == told["missing_packets"] == 0
    assert told["begins_with_key"] is True
    limit = 300 if form != "hls" else 3000
    assert told["first_picture_ms"] < limit, told
    assert file.stat().st_size > 50_000
    if form != "hls":
        assert frames(list(read_tags(file.read_bytes()))) == frames(push.publisher.sent)


def test_the_play_command_says_why_nothing_came(stage):
    where = ["--domain", stage.domain, "--stream", "nobody", "--play-addr", stage.server.play, "--rtmp-addr", stage.server.ready["rtmp"]]
    for form in ("flv", "rtmp", "hls"):
        done = play(*where, "--format", form)
        assert done.returncode == 1 and "is not live" in done.stderr and not done.stdout, (form, done)
    assert play("http://127.0.0.1:9/live/s.flv").returncode == 1
    assert play("nonsense").returncode == 2


def begun(url: str, behind: bytes, half: bool) -> bytes:
    """What comes of a live answer to a request with other bytes behind it in the same packet, or with nothing more to come."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode() + behind)
        if half:
            connection.shutdown(socket.SHUT_WR)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found


def test_a_live_answer_is_the_last_one_of_its_connection(stage):
    """No answer to what came behind it stands among its chunks, and a client that closes its own side is sent the stream."""
    push = Push(stage.server, stage.domain).run(4)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    url = address(stage.server, "flv", stage.domain)
    for behind, half in ((b"GET /live/nope.flv HTTP/1.1\r\nHost: h\r\n\r\n", False), (b"GET /live/nope.flv HTTP/1.1\r\nHost: h\r\n\r\n", True), (b"", True)):
        found = begun(url, behind, half)
        assert found.count(b"HTTP/1.1 ") == 1, found[:400]
        assert found.startswith(b"HTTP/1.1 200 ") and found.endswith(b"0\r\n\r\n"), (behind, half, found[-40:])
        assert len(found) > 20_000
        push.join()
        push = Push(stage.server, stage.domain).run(4)
        wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live again")
    push.stop()
