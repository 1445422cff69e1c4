"""Deaths at chosen moments: while a slice goes up, and between its upload and its row. Whoever takes over makes each slice once."""

import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from harness.wait import wait_for
from nodes import Nodes
from proxy import Proxy
from test_loss import lag

SLICES = [{"Format": "m3u8", "SliceDuration": 5}, {"Format": "flv"}]


class Trap(Proxy):
    """A way to the database on which nothing gets through any more from a chosen moment on: when a statement is asked for the first time, or when it,
    or the transaction that it was in, is committed and the answer is on its way."""

    def __init__(self, cluster: Nodes, statement: str, committed: bool):
        at = urlsplit(cluster.database)
        self.statement, self.committed = statement.encode(), committed
        self.asking: set[frozenset] = set()
        self.sprung = threading.Event()
        super().__init__(at.hostname, at.port)

    def _relay(self, source, sink, flows) -> None:
        pair = frozenset((source, sink))
        with suppress(OSError):
            while data := source.recv(65536):
                if flows is self.there and self.statement in data:
                    self.asking.add(pair)
                    if not self.committed:
                        self._spring()
                # ReadyForQuery outside of a transaction, behind what was done (PostgreSQL: Message Formats).
                is_done = b"Z\0\0\0\5I" in data and (b"COMMIT\0" in data or b"INSERT 0 1\0" in data)
                if flows is self.back and self.committed and pair in self.asking and is_done:
                    self._spring()
                flows.wait()
                sink.sendall(data)
        self._end(source, sink)

    def _spring(self) -> None:
        if not self.sprung.is_set():
            self.vanish()
            self.sprung.set()


def behind(cluster: Nodes, name: str, trap: Trap) -> None:
    """Starts a node whose way to the database is the trap's."""
    at = urlsplit(cluster.database)
    user = at.netloc.rsplit("@", 1)[0]
    cluster.start(name, database=f"{at.scheme}://{user}@127.0.0.1:{trap.port}{at.path}")


def check_slices(cluster: Nodes, live, owed_from: float) -> None:
    """Slices and the file have the same pictures: what was sent, from the beginning on and in order, what was sent by then for certain."""
    sent = live.sent(0, cluster.folder)
    (key,) = cluster.recorded(".flv", live.stream)
    got = cluster.pictures(key)
    slices = cluster.sql("SELECT object FROM record_slice ORDER BY sequence")
    pieces = [one for slice in slices for one in cluster.pictures(slice)]
    assert got == sent[: len(got)] and len(got) >= live.sent_by(0, owed_from, cluster.folder)
    assert pieces == got, (len(pieces), len(got), slices)
    cluster.check_rows_and_objects()


@pytest.mark.parametrize("way", ["the row is not asked for", "the row is there and nobody told", "the row is asked for after the takeover"])
def test_killed_between_the_upload_of_a_slice_and_its_row(nodes, way):
    cluster = nodes(1, lease="6s")
    is_there = way == "the row is there and nobody told"
    trap = Trap(cluster, 'INSERT INTO "record_slice"', committed=is_there)
    try:
        behind(cluster, "c", trap)
        cluster.rule("a", *SLICES)
        live = cluster.live("s1", "c")
        pushing = threading.Thread(target=live.push, args=(30,))
        pushing.start()
        assert trap.sprung.wait(20), "no row of a slice was asked for"
        assert len(cluster.bucket.keys(".ts")) == 1 and cluster.sql("SELECT COUNT(*) FROM record_slice") == ["1" if is_there else "0"]
        killed_at = cluster.kill("c")
        pushing.join()
        if way == "the row is asked for after the takeover":
            wait_for(lambda: cluster.owner("s1") == "a", 20, "the takeover")
            # What the dead node had asked for comes now.
            trap.appear()
        cluster.wait_files(1, 60)
        cluster.wait_files(1, 60, ".m3u8")
        time.sleep(1)
        check_slices(cluster, live, killed_at - 2)
    finally:
        trap.appear()
        trap.close()


def test_killed_while_a_slice_goes_up(nodes):
    """The store takes its time; what the dead node put arrives while the taker puts the same slice, or after."""
    cluster = nodes(2)
    cluster.rule("a", *SLICES)
    live = cluster.live("s1", "a")
    pushing = threading.Thread(target=live.push, args=(30,))
    pushing.start()
    time.sleep(5.2)
    # The mirror's objects wait as well from here on.
    armed_at = time.monotonic()
    status, body = cluster.store.control("PUT", "/_localyun/faults", {"at": "object-put", "first": 6, "delay_ms": 9_000})
    assert status == 200, body
    wait_for(lambda: cluster.store.get("/_localyun/faults")["faults"][0]["struck"] >= 2, 6, "a slice on its way")
    killed_at = cluster.kill("a")
    pushing.join()
    cluster.wait_files(1, 90)
    cluster.wait_files(1, 90, ".m3u8")
    # All that was on its way has arrived.
    time.sleep(max(0.0, killed_at + 12 - time.monotonic()))
    check_slices(cluster, live, armed_at - 2.5)


@pytest.mark.parametrize("way", ["the row is not asked for", "the row is there and nobody told"])
def test_killed_between_the_upload_of_a_file_and_its_row(nodes, way):
    """The file is whole in the store when its node dies: there is one of it afterwards, and it is told."""
    cluster = nodes(1, lease="6s")
    is_there = way == "the row is there and nobody told"
    trap = Trap(cluster, 'INSERT INTO "record_file"', committed=is_there)
    try:
        behind(cluster, "c", trap)
        cluster.notify("a")
        cluster.rule("a", "flv")
        live = cluster.live("s1", "c")
        live.push(3)
        live.publishers[-1].drop()
        assert trap.sprung.wait(40), "no row of a file was asked for"
        assert len(cluster.recorded(".flv")) == 1 and cluster.sql("SELECT COUNT(*) FROM record_file") == ["1" if is_there else "0"]
        cluster.kill("c")
        (key,) = cluster.wait_files(1)
        assert cluster.pictures(key) == live.sent(0, cluster.folder)
        wait_for(lambda: cluster.inbox.files(), 40, "the event")
        assert {body["uri"] for body in cluster.inbox.files()} == {key}
        cluster.check_rows_and_objects()
    finally:
        trap.appear()
        trap.close()


def test_killed_twice_before_the_file_of_a_recording_that_has_ended_is_there(nodes):
    """The first heir makes the file of what has ended, and dies before its row: the second one makes it all the same."""
    cluster = nodes(0, lease="6s")
    traps = {name: Trap(cluster, 'INSERT INTO "record_file"', committed=False) for name in ("b", "c")}
    try:
        for name, trap in traps.items():
            behind(cluster, name, trap)
        cluster.rule("b", "flv", {"Format": "mp4"})
        live = cluster.live("s1", "c")
        live.push(3)
        live.publishers[-1].drop()
        assert traps["c"].sprung.wait(40), "no row of a file was asked for"
        # The end of the recording has to be in the mirror, so that the heir finds it.
        time.sleep(1)
        wait_for(lambda: lag(cluster, "c") == 0, 3, "the mirror")
        cluster.kill("c")
        assert traps["b"].sprung.wait(40), "nobody went on with the files"
        assert cluster.sql("SELECT state FROM record_session WHERE state = 'ended'") == [], "it has ended, and its files are not there"
        cluster.kill("b")
        cluster.start("a")
        for suffix in (".flv", ".mp4"):
            (key,) = cluster.wait_files(1, suffix=suffix)
            assert cluster.pictures(key) == live.sent(0, cluster.folder)
        wait_for(lambda: cluster.sql("SELECT DISTINCT state FROM record_session") == ["ended"], 20, "the end of the recording")
        cluster.check_rows_and_objects()
    finally:
        for trap in traps.values():
            trap.appear()
            trap.close()
