"""The database in trouble: it takes no writes for a while, it has no room, its standby replaces it."""

import shutil
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness.publisher import Refused
from harness.wait import wait_for
from nodes import LEASE_S, Nodes
from postgres import Postgres

FORMATS = ["flv", {"Format": "m3u8", "SliceDuration": 5}]


def name_of(cluster: Nodes) -> str:
    return urlsplit(cluster.database).path.strip("/")


def end_connections(cluster: Nodes) -> None:
    cluster.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(cluster)}' AND pid <> pg_backend_pid()")


def owners(cluster: Nodes) -> list[str]:
    return cluster.sql("SELECT stream, node, epoch FROM live_stream WHERE incarnation <> '' ORDER BY stream")


def push_all(lives, seconds: float) -> None:
    pushing = [threading.Thread(target=live.push, args=(seconds,)) for live in lives]
    for thread in pushing:
        thread.start()
    for thread in pushing:
        thread.join()


def check_whole(cluster: Nodes, lives) -> None:
    """Nothing of what was sent is missing, in either format."""
    for live in lives:
        assert not live.publishers[-1].closed.is_set(), f"{live.stream} was cut"
        live.publishers[-1].drop()
    cluster.wait_files(len(lives), 60)
    cluster.wait_files(len(lives), 60, ".m3u8")
    for live in lives:
        (key,) = cluster.recorded(".flv", live.stream)
        sent = live.sent(0, cluster.folder)
        assert cluster.pictures(key) == sent, live.stream
        slices = cluster.sql(f"SELECT object FROM record_slice WHERE object LIKE '%/{live.stream}/%' ORDER BY sequence")
        assert [one for slice in slices for one in cluster.pictures(slice)] == sent
    cluster.check_rows_and_objects()


def test_a_switchover_that_leaves_the_old_server_up_without_writes(nodes):
    """The connections stay and lead to a server that takes no writes; then they lead to it still, and another one, which new ones reach, does."""
    cluster = nodes(3)
    cluster.rule("a", *FORMATS)
    lives = [cluster.live(f"s{n}", name) for n, name in enumerate("abc")]
    push_all(lives, 2)
    before = owners(cluster)
    cluster.sql(f'ALTER DATABASE "{name_of(cluster)}" SET default_transaction_read_only = on')
    end_connections(cluster)
    time.sleep(0.5)
    began = time.monotonic()
    push_all(lives, 4)
    with pytest.raises((Refused, AssertionError)):
        cluster.live("s9", "a")
    status, body = cluster.api("b").ask("AddLiveRecordNotifyConfig", DomainName=cluster.domain, NotifyUrl=cluster.inbox.url)
    assert status >= 500, body
    assert cluster.servers["c"].control("GET", "/_localyun/ready")[0] == 200
    push_all(lives, max(0.5, 2.5 * LEASE_S - (time.monotonic() - began)))
    # New connections may write; those that are there may not, for as long as they live.
    cluster.sql(f'BEGIN READ WRITE; ALTER DATABASE "{name_of(cluster)}" RESET default_transaction_read_only; COMMIT')
    wait_for(lambda: cluster.api("b").ask("AddLiveRecordNotifyConfig", DomainName=cluster.domain, NotifyUrl=cluster.inbox.url)[0] == 200, 10, "a call that writes")
    push_all(lives, 2)
    late = [cluster.live(f"late{n}", name) for n, name in enumerate("abc")]
    for live in late:
        live.publishers[-1].push(1)
    assert owners(cluster)[-3:] == before, "a stream moved"
    check_whole(cluster, lives + late)


@pytest.mark.parametrize("writes", ["INSERT", "INSERT OR UPDATE"])
def test_a_database_without_room(nodes, writes):
    """It refuses what would make it larger, or everything, leases too (SQLSTATE 53100); what is recorded meanwhile has its rows afterwards."""
    # A busy machine may need some seconds for a renewal once it is let again.
    cluster = nodes(3, lease="10s")
    cluster.notify("a")
    cluster.rule("a", *FORMATS)
    lives = [cluster.live(f"s{n}", name) for n, name in enumerate("abc")]
    push_all(lives, 2)
    before = owners(cluster)
    cluster.sql("CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$")
    tables = cluster.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    cluster.sql("; ".join(f'CREATE TRIGGER no_room BEFORE {writes} ON "{table}" FOR EACH STATEMENT EXECUTE FUNCTION no_room()' for table in tables))
    push_all(lives, 7 if writes == "INSERT" else 12)
    with pytest.raises((Refused, AssertionError)):
        cluster.live("s9", "a")
    status, body = cluster.api("b").ask("AddLiveAppRecordConfig", **{
        "DomainName": cluster.domain, "AppName": "other", "OssBucket": cluster.bucket.name, "OssEndpoint": "oss-cn-shanghai.aliyuncs.com",
        "RecordFormat": [{"Format": "flv"}],
    })  # fmt: skip
    assert status >= 500 and cluster.servers["c"].control("GET", "/_localyun/ready")[0] == 200, body
    assert cluster.sql("SELECT COUNT(*) FROM record_slice") == ["0"]
    cluster.sql("; ".join(f'DROP TRIGGER no_room ON "{table}"' for table in tables))
    push_all(lives, 2)
    wait_for(lambda: int(cluster.sql("SELECT COUNT(*) FROM record_slice")[0]) >= 3, 20, "the rows of what was uploaded meanwhile")
    assert owners(cluster) == before, "a stream moved"
    check_whole(cluster, lives)
    wait_for(lambda: len({body["uri"] for body in cluster.inbox.bodies() if "uri" in body}) == 6, 20, "each file's event")


@pytest.fixture
def own_postgres(tmp_path, monkeypatch):
    """A primary with a synchronous standby, of this test alone."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin")) or shutil.which("psql") is None:
        pytest.skip("PostgreSQL is missing")
    postgres = Postgres()
    create = tmp_path / "create"
    create.write_text(f"#!/bin/sh\npsql -XqtAc 'create database \"'\"$1\"'\"' {postgres.url('postgres', postgres.door.port)} 2>/dev/null\nexit 0\n")
    create.chmod(0o755)
    monkeypatch.setenv("LOCALYUN_TEST_DATABASE_CREATE", str(create))
    monkeypatch.setenv("LOCALYUN_TEST_DATABASE", postgres.url("{name}", postgres.door.port))
    yield postgres
    postgres.close()


@pytest.mark.parametrize("how", ["its standby is promoted", "it is stopped at once and starts again"])
def test_the_database_dies_under_live_streams(nodes, own_postgres, how):
    """What was answered is kept, nothing that is live moves or is cut, and what is recorded meanwhile has its rows afterwards."""
    cluster = nodes(3)
    cluster.notify("a")
    cluster.rule("a", *FORMATS)
    lives = [cluster.live(f"s{n}", name) for n, name in enumerate("abc")]
    push_all(lives, 3)
    before = owners(cluster)
    pushing = threading.Thread(target=push_all, args=(lives, 22))
    pushing.start()
    time.sleep(1)
    # The last thing that is answered before it dies.
    cluster.api("b").call("AddLiveAppRecordConfig", **{
        "DomainName": cluster.domain, "AppName": "other", "OssBucket": cluster.bucket.name, "OssEndpoint": "oss-cn-shanghai.aliyuncs.com",
        "RecordFormat": [{"Format": "flv"}],
    })  # fmt: skip
    died = time.monotonic()
    if how == "its standby is promoted":
        own_postgres.promote()
    else:
        own_postgres.stop_at_once()
        time.sleep(2 * LEASE_S)
        own_postgres.start_again()
    found = wait_for(lambda: cluster.api("c").ask("DescribeLiveRecordConfig", DomainName=cluster.domain)[1].get("TotalNum"), 30, "an answer")
    assert found == 2
    wait_for(lambda: cluster.api("a").ask("DeleteLiveAppRecordConfig", DomainName=cluster.domain, AppName="other")[0] == 200, 30, "a call that writes")
    print(f"{how}: calls that write are answered {time.monotonic() - died:.1f} s after its death")
    pushing.join()
    assert owners(cluster) == before, "a stream moved"
    check_whole(cluster, lives)
    wait_for(lambda: len({body["uri"] for body in cluster.inbox.bodies() if "uri" in body}) == 6, 20, "each file's event")
