"""What lies in the data folder: others cannot read it, links in it lead nowhere, and what a kill or a cleaner took is told."""

import os
import socket
import stat
import time
import uuid
from pathlib import Path

import pytest

from harness.api import Api, escape
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its content, links followed nowhere."""
    found: dict[str, bytes | None] = {}
    for path in sorted(folder.rglob("*")):
        regular = path.is_file() and not path.is_symlink()
        found[str(path.relative_to(folder))] = path.read_bytes() if regular else None
    return found


def session_id() -> str:
    """A name as recording sessions have it."""
    number = (int(time.time() * 1000) << 80) | (7 << 76) | (uuid.uuid4().int & ((1 << 76) - 1))
    return str(uuid.UUID(int=(number & ~(3 << 62)) | (2 << 62)))


@pytest.fixture
def theirs(tmp_path) -> Path:
    """A folder of somebody else's that must stay as it is."""
    folder = tmp_path / "theirs"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.txt", "00000000.spool", "slice-0-0.ts", "payload", "deeper/b.txt"):
        (folder / name).write_bytes(b"whole " + name.encode())
    yield folder
    # And no test leaves it changed.
    assert tree(folder) == BEFORE


BEFORE = {
    "00000000.spool": b"whole 00000000.spool",
    "a.txt": b"whole a.txt",
    "deeper": None,
    "deeper/b.txt": b"whole deeper/b.txt",
    "payload": b"whole payload",
    "slice-0-0.ts": b"whole slice-0-0.ts",
}


@pytest.fixture
def left(receiver, tmp_path):
    """A data folder with a recording that a kill cut off: the folder, its session's spool folder."""
    data = tmp_path / "data"
    server = Server(data_dir=data)
    try:
        stage = Stage(server, receiver, tmp_path)
        stage.rule("mp4", DelayTime=15)
        publisher = stage.publisher()
        publisher.push(6)
        wait_for(lambda: any(path.stat().st_size for path in data.glob("spool/*/*.spool")), what="the spool on disk")
        time.sleep(0.6)
    finally:
        server.stop(force=True)
    (session,) = (data / "spool").iterdir()
    return data, session


def started(data: Path) -> str:
    """Starts on a data folder, ends in order, and gives the log of that run."""
    before = data.with_name(data.name + ".log")
    size = before.stat().st_size if before.exists() else 0
    with Server(data_dir=data) as server:
        server.advance(60)
        path = server.log_path
    return path.read_bytes()[size:].decode()


@pytest.mark.parametrize("named", ["session", "other"])
def test_a_link_in_the_spool_is_not_followed(left, theirs, named):
    data, session = left
    link = data / "spool" / (session_id() if named == "session" else "backup")
    link.symlink_to(theirs)
    log = started(data)
    assert link.is_symlink() and str(link.name) in log and "left alone" in log
    assert not session.exists(), "the real session is finished"


@pytest.mark.parametrize("name", ["a.txt", "00000001.spool", "slice-0-9.ts", "ahead-0-0", "notes"])
def test_a_link_in_a_session_leaves_the_session_whole(left, theirs, name):
    data, session = left
    (session / name).symlink_to(theirs if name in ("ahead-0-0", "notes") else theirs / "a.txt")
    before = tree(session)
    log = started(data)
    assert tree(session) == before
    assert session.name in log and "left alone" in log


def test_a_link_deeper_in_a_session_leaves_the_session_whole(left, theirs):
    data, session = left
    (session / "ahead-0-0").mkdir()
    (session / "ahead-0-0" / "payload").symlink_to(theirs / "payload")
    before = tree(session)
    assert session.name in started(data)
    assert tree(session) == before


def test_a_segment_that_has_a_second_name_is_not_cut(left, theirs):
    """A hard link is no link to look at, but what is cut off is cut off under both names."""
    data, session = left
    os.link(theirs / "a.txt", session / "00000001.spool")
    before = tree(session)
    assert session.name in started(data)
    assert tree(session) == before


def test_foreign_folders_and_files_in_the_spool_stay(left):
    data, session = left
    spool = data / "spool"
    (spool / "lost+found").mkdir()
    (spool / "backup").mkdir()
    (spool / "backup" / "00000000.spool").write_bytes(b"mine")
    (spool / "notes.txt").write_bytes(b"mine")
    (spool / session_id()).write_bytes(b"a file")
    strange = spool / session_id()
    strange.mkdir()
    (strange / "holiday.mp4").write_bytes(b"mine")
    (session / "notes.txt").write_bytes(b"mine")
    foreign = {name: content for name, content in tree(spool).items() if "spool" not in name or "backup" in name}
    log = started(data)
    assert tree(spool) == foreign, "the recording is finished, and everything else is there"
    for name in ("lost+found", "backup", "notes.txt", "holiday.mp4"):
        assert name in log, name


def test_a_pipe_among_the_segments_holds_nobody(left):
    data, session = left
    os.mkfifo(session / "00000001.spool")
    assert session.name in started(data)
    assert (session / "00000000.spool").exists()


@pytest.mark.parametrize("name", ["spool", "oss", "tls", "spool-damaged", "lock"])
def test_a_link_in_the_place_of_a_folder_of_the_service_is_refused(tmp_path, theirs, name):
    data = tmp_path / "data"
    data.mkdir()
    (data / name).symlink_to(theirs / "a.txt" if name == "lock" else theirs)
    with pytest.raises(RuntimeError) as refused:
        Server("--tls-addr", "127.0.0.1:0", data_dir=data)
    assert "ended with 2" in str(refused.value) and "--data-dir" in str(refused.value) and name in str(refused.value)


@pytest.mark.parametrize("place", [".localyun", ".localyun/tmp", ".localyun/uploads", ".localyun/meta", ".localyun/buckets"])
def test_a_link_among_the_stores_own_folders_is_refused_or_not_followed(tmp_path, theirs, place):
    data = tmp_path / "data"
    with Server(data_dir=data):
        pass
    own = data / "oss" / place
    if own.exists():
        own.rename(tmp_path / "away")
    (theirs / "tmp").mkdir()
    (theirs / "tmp" / "x").write_bytes(b"whole")
    own.symlink_to(theirs)
    try:
        with Server(data_dir=data) as server:
            server.control("POST", "/_localyun/reset")
    except RuntimeError as refused:
        assert "link" in str(refused)
    assert (theirs / "tmp" / "x").read_bytes() == b"whole"
    (theirs / "tmp" / "x").unlink()
    (theirs / "tmp").rmdir()


def test_a_reset_does_not_follow_links_out_of_the_store(stage, theirs):
    store = stage.server.data_dir / "oss"
    (store / "linked-bucket").symlink_to(theirs)
    (store / stage.bucket.name / "linked").symlink_to(theirs)
    (store / ".localyun" / "uploads").mkdir(exist_ok=True)
    (store / ".localyun" / "uploads" / "liverec-x").symlink_to(theirs)
    assert stage.server.control("POST", "/_localyun/reset")[0] == 200
    for link in (store / "linked-bucket", store / ".localyun" / "uploads" / "liverec-x"):
        link.unlink(missing_ok=True)
    stage.bucket.create()
    stage.bucket.plant()


def test_nothing_is_open_to_other_users(receiver, tmp_path):
    data = tmp_path / "data"
    old = os.umask(0)
    try:
        server = Server("--tls-addr", "127.0.0.1:0", data_dir=data)
    finally:
        os.umask(old)
    with server:
        stage = Stage(server, receiver, tmp_path)
        stage.rule("mp4", "m3u8", DelayTime=15)
        publisher = stage.publisher()
        publisher.push(6)
        wait_for(lambda: list(data.glob("spool/*/*.spool")), what="the spool on disk")
        open_to_others = {str(path): oct(mode(path)) for path in [data, *data.rglob("*")] if mode(path) & 0o077}
        assert not open_to_others
        stage.end(publisher)
        stage.advance(16)
        wait_for(lambda: stage.bucket.keys(".mp4"), what="the file")
        assert not [path for path in data.rglob("*") if mode(path) & 0o077]
        assert mode(data / "localyun.db") == 0o600 and mode(data) == 0o700


def test_what_an_earlier_version_left_open_is_closed(tmp_path):
    data = tmp_path / "data"
    with Server(data_dir=data):
        pass
    for path, left_open in ((data, 0o755), (data / "localyun.db", 0o644), (data / "spool", 0o755), (data / "oss", 0o755)):
        path.chmod(left_open)
    with Server(data_dir=data):
        assert mode(data) == 0o700 and mode(data / "localyun.db") == 0o600
        assert mode(data / "spool") == mode(data / "oss") == 0o700


def test_a_folder_that_is_somebody_elses_keeps_its_mode_and_is_told(tmp_path):
    data = tmp_path / "shared"
    data.mkdir()
    (data / "theirs.txt").write_bytes(b"x")
    data.chmod(0o755)
    with Server(data_dir=data) as server:
        assert mode(data) == 0o755
        assert "may read" in server.log_tail()
        assert mode(data / "localyun.db") == 0o600


def test_a_request_is_taken_once_over_a_kill_and_a_restart(tmp_path):
    data = tmp_path / "data"
    server = Server(data_dir=data)
    api = Api(server.api)
    flat = [api.signed("DescribeLiveRecordConfig", DomainName=f"once{n}.example.com") for n in range(20)]
    queries = ["/?" + "&".join(f"{escape(k)}={escape(v)}" for k, v in one.items()) for one in flat]
    try:
        assert all(api.send("GET", query)[0] == 200 for query in queries)
    finally:
        server.stop(force=True)
    for ends in ("kill", "stop"):
        server = Server(data_dir=data)
        try:
            api = Api(server.api)
            for query in queries:
                status, _, body = api.send("GET", query)
                assert status == 400 and b"SignatureNonceUsed" in body, (ends, body)
            assert api.ask("DescribeLiveRecordConfig", DomainName="new.example.com")[0] == 200
        finally:
            server.stop(force=ends == "kill")


needs_sqlite = pytest.mark.skipif("LOCALYUN_TEST_DATABASE" in os.environ, reason="the database is no file")


def killed(data: Path) -> None:
    server = Server(data_dir=data)
    try:
        Api(server.api).call("AddLiveDomain", DomainName=f"d{time.time_ns()}.example.com", LiveDomainType="liveVideo", Region="cn-shanghai")
    finally:
        server.stop(force=True)


@needs_sqlite
def test_a_lost_write_ahead_log_is_told(tmp_path):
    data = tmp_path / "data"
    killed(data)
    assert "write-ahead log" not in started(data), "a kill alone loses nothing"
    killed(data)
    (data / "localyun.db-wal").unlink()
    assert "write-ahead log" in started(data)
    assert "write-ahead log" not in started(data), "told once"


@needs_sqlite
def test_a_database_that_is_gone_or_older_is_told(tmp_path):
    data = tmp_path / "data"
    with Server(data_dir=data):
        pass
    copy = (data / "localyun.db").read_bytes()
    with Server(data_dir=data):
        pass
    (data / "localyun.db").write_bytes(copy)
    assert "older than the last run" in started(data)
    (data / "localyun.db").unlink()
    assert "the database of the last run is not there" in started(data)


def test_a_key_without_its_certificate_keeps_the_key(tmp_path):
    data = tmp_path / "data"
    with Server("--tls-addr", "127.0.0.1:0", data_dir=data):
        pass
    key = (data / "tls" / "key.pem").read_bytes()
    (data / "tls" / "cert.pem").unlink()
    with Server("--tls-addr", "127.0.0.1:0", data_dir=data) as server:
        host, port = server.ready["tls"].removeprefix("https://").split(":")
        socket.create_connection((host, int(port)), timeout=10).close()
    assert (data / "tls" / "key.pem").read_bytes() == key


def test_a_link_among_the_certificates_is_not_written_through(tmp_path, theirs):
    data = tmp_path / "data"
    (data / "tls").mkdir(parents=True)
    (data / "tls" / "cert.pem").symlink_to(theirs / "new.pem")
    with pytest.raises(RuntimeError) as refused:
        Server("--tls-addr", "127.0.0.1:0", data_dir=data)
    assert "--tls-addr" in str(refused.value)
    assert not (theirs / "new.pem").exists()
