"""kill -9 while a stream has shown pictures and no key frame: the sound alone is half a recording after the restart too."""

from harness import clip as clips, probe
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for

M3U8 = {"Format": "m3u8", "SliceDuration": 5}


def killed(receiver, folder) -> Stage:
    """A stage whose stream had 8 s of sound on disk when its server was killed, behind which another server goes on."""
    data = folder / "data"
    server = Server(data_dir=data)
    stage = Stage(server, receiver, folder)
    stage.rule(M3U8, "mp4", "flv", DelayTime=60)
    stage.notify(NeedStatusNotify=True)
    publisher = stage.publisher(clip=clips.without_keys(folder))
    publisher.push(8)
    # All that was sent has been read and is on disk then.
    stage.advance(1)
    assert "record_error" not in stage.inbox.events()
    server.stop(force=True)
    other = Stage(Server(data_dir=data), receiver, folder)
    stage.server, stage.api, stage.bucket.s3 = other.server, other.api, other.s3
    return stage


def test_no_file_of_the_sound_alone(receiver, tmp_path):
    stage = killed(receiver, tmp_path)
    with stage.server:
        stage.advance(90)
        wait_for(lambda: "record_error" in stage.inbox.events(), what="record_error")
        assert stage.inbox.files() == [] and stage.bucket.keys() == []
        assert stage.inbox.events().count("record_error") == 1


def test_a_key_frame_behind_the_restart_lets_it_go_on(receiver, tmp_path):
    """Who comes back in time with key frames has it all, the sound from before the kill too, as without one: pictures that join begin a file."""
    stage = killed(receiver, tmp_path)
    with stage.server:
        stage.push(6)
        stage.advance(90)
        files = [stage.fetch(event["uri"]) for event in stage.wait_files(6) if event["uri"].endswith(".mp4")]
        assert "record_error" not in stage.inbox.events()
        sound = [len(probe.payloads(file, "a")) for file in files]
        assert sum(sound) > 13 * 43 and sound[0] > 7 * 43, sound
        assert probe.payloads(files[1], "v")
