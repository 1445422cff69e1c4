"""Deaths at chosen moments: while a slice goes up, and between its upload and its row. Whoever takes over makes each slice once."""

import threading
import time
from urllib.parse import urlsplit

import pytest

from harness.wait import wait_for
from nodes import Nodes
from proxy import Proxy

SLICES = [{"Format": "m3u8", "SliceDuration": 5}, {"Format": "flv"}]


def behind_a_proxy(cluster: Nodes, name: str) -> Proxy:
    """Starts a node whose way to the database is the proxy's."""
    at = urlsplit(cluster.database)
    proxy = Proxy(at.hostname, at.port)
    user = at.netloc.rsplit("@", 1)[0]
    cluster.start(name, database=f"{at.scheme}://{user}@127.0.0.1:{proxy.port}{at.path}")
    return proxy


def check_slices(cluster: Nodes, live, owed_from: float) -> None:
    """Slices and the file have the same pictures: what was sent, from the beginning on and in order, what was sent by then for certain."""
    sent = live.sent(0, cluster.folder)
    (key,) = cluster.recorded(".flv", live.stream)
    got = cluster.pictures(key)
    slices = cluster.sql("SELECT object FROM record_slice ORDER BY id")
    pieces = [one for slice in slices for one in cluster.pictures(slice)]
    assert got == sent[: len(got)] and len(got) >= live.sent_by(0, owed_from, cluster.folder)
    assert pieces == got, (len(pieces), len(got), slices)
    cluster.check_rows_and_objects()


@pytest.mark.parametrize("way", ["the row is not asked for", "the row is there and nobody told", "the row is asked for after the takeover"])
def test_killed_between_the_upload_of_a_slice_and_its_row(nodes, way):
    cluster = nodes(1, lease="6s")
    proxy = behind_a_proxy(cluster, "c")
    try:
        cluster.rule("a", *SLICES)
        live = cluster.live("s1", "c")
        pushing = threading.Thread(target=live.push, args=(30,))
        pushing.start()
        time.sleep(4.5)
        assert cluster.bucket.keys(".ts") == []
        proxy.vanish(there=way != "the row is there and nobody told")
        wait_for(lambda: cluster.bucket.keys(".ts"), 5, "the object of the first slice")
        if way == "the row is there and nobody told":
            wait_for(lambda: cluster.sql("SELECT COUNT(*) FROM record_slice") == ["1"], 5, "its row")
        else:
            time.sleep(0.3)
            assert cluster.sql("SELECT COUNT(*) FROM record_slice") == ["0"]
        killed_at = cluster.kill("c")
        pushing.join()
        if way == "the row is asked for after the takeover":
            wait_for(lambda: cluster.owner("s1") == "a", 20, "the takeover")
            # What the dead node had asked for comes now.
            proxy.appear()
        cluster.wait_files(1, 60)
        cluster.wait_files(1, 60, ".m3u8")
        time.sleep(1)
        check_slices(cluster, live, killed_at - 2)
    finally:
        proxy.appear()
        proxy.close()


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
    check_slices(cluster, live, armed_at - 1.5)


def test_killed_between_the_upload_of_a_file_and_its_row(nodes):
    """The file is whole in the store when its node dies: there is one of it afterwards, and one event."""
    cluster = nodes(1, lease="6s")
    proxy = behind_a_proxy(cluster, "c")
    try:
        cluster.notify("a")
        cluster.rule("a", "flv")
        live = cluster.live("s1", "c")
        live.push(3)
        live.publishers[-1].drop()
        # Its DelayTime runs out by the clock of all, and while it does the way goes.
        time.sleep(12)
        proxy.vanish()
        wait_for(lambda: cluster.recorded(".flv"), 12, "the object")
        time.sleep(0.3)
        assert cluster.sql("SELECT COUNT(*) FROM record_file") == ["0"]
        cluster.kill("c")
        (key,) = cluster.wait_files(1)
        assert cluster.pictures(key) == live.sent(0, cluster.folder)
        cluster.check_rows_and_objects()
        wait_for(lambda: cluster.inbox.files(), 20, "the event")
        assert len({body["uri"] for body in cluster.inbox.files()}) == 1
    finally:
        proxy.appear()
        proxy.close()
