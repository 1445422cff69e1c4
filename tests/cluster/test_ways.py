"""A node's ways to the database and to the store: in network namespaces, cut in both directions or in one, and a store that answers badly.

The ways of a namespace are Ethernet pairs. A queue that has no room for a single packet makes one direction of a pair lose everything, without a word.
"""

import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from harness.wait import wait_for
from nodes import LEASE_S, Nodes, host_of
from proxy import Proxy
from test_loss import lag

FORMATS = ["flv", {"Format": "m3u8", "SliceDuration": 5}]
# WAYS=all for every direction of every way; else those that differ most.
ALL = os.environ.get("WAYS") == "all"


def ip(*words: str, program: str = "ip") -> None:
    subprocess.run([program, *words], check=True, capture_output=True, timeout=20)


class Relay(Proxy):
    """A relay whose listener stands at an address of this machine's."""

    def __init__(self, at: str, host: str, port: int):
        super().__init__(host, port)
        self.outer = socket.create_server((at, 0))
        self.outer_port = self.outer.getsockname()[1]
        inner, self.listener = self.listener, self.outer
        # The thread of the first listener ends with it.
        inner.close()
        threading.Thread(target=self._accept, daemon=True).start()


class Namespace:
    """A network of its own with three ways to this machine: to the database, to the store, and for whoever speaks to the node."""

    WAYS = ("database", "store", "front")

    def __init__(self) -> None:
        if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("tc"):
            pytest.skip("network namespaces want root, ip and tc")
        tag = uuid.uuid4().hex[:6]
        self.name = f"localyun-{tag}"
        self.pairs = {way: (f"ly{tag}{at}", f"in{tag}{at}") for at, way in enumerate(self.WAYS)}
        try:
            ip("netns", "add", self.name)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("there are no network namespaces here")
        net = f"10.{200 + int(tag[:2], 16) % 50}.{int(tag[2:4], 16)}"
        self.here, self.there = {}, {}
        for at, (way, (outer, inner)) in enumerate(self.pairs.items()):
            self.here[way], self.there[way] = f"{net}.{4 * at + 1}", f"{net}.{4 * at + 2}"
            ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.name)
            ip("addr", "add", f"{self.here[way]}/30", "dev", outer)
            ip("link", "set", outer, "up")
            ip("-n", self.name, "addr", "add", f"{self.there[way]}/30", "dev", inner)
            ip("-n", self.name, "link", "set", inner, "up")
        ip("-n", self.name, "link", "set", "lo", "up")

    def lose(self, way: str, direction: str = "both") -> None:
        """Packets of a way vanish: `out` of the node, `in` to it, or both."""
        outer, inner = self.pairs[way]
        full = ("root", "tbf", "rate", "1kbit", "burst", "1", "latency", "1ms")
        if direction in ("in", "both"):
            ip("qdisc", "replace", "dev", outer, *full, program="tc")
        if direction in ("out", "both"):
            ip("-n", self.name, "qdisc", "replace", "dev", inner, *full, program="tc")

    def find(self, way: str) -> None:
        """They get through again."""
        outer, inner = self.pairs[way]
        for words in (("qdisc", "del", "dev", outer, "root"), ("-n", self.name, "qdisc", "del", "dev", inner, "root")):
            with suppress(subprocess.CalledProcessError):
                ip(*words, program="tc")

    def close(self) -> None:
        with suppress(subprocess.CalledProcessError):
            ip("netns", "del", self.name)


class Apart:
    """A node in a namespace, beside others that are not."""

    def __init__(self, cluster: Nodes):
        self.cluster, self.space = cluster, Namespace()
        at = urlsplit(cluster.database)
        self.relays = {
            "database": Relay(self.space.here["database"], at.hostname, at.port), "store": Relay(self.space.here["store"], *host_of(cluster.store.oss))
        }  # fmt: skip

    def start(self, name: str) -> None:
        at, front = urlsplit(self.cluster.database), self.space.there["front"]
        user = at.netloc.rsplit("@", 1)[0]
        self.cluster.start(
            name, *("--api-addr", f"{front}:0", "--rtmp-addr", f"{front}:0", "--play-addr", f"{front}:0", "--oss-addr", f"{front}:0"),
            database=f"{at.scheme}://{user}@{self.space.here['database']}:{self.relays['database'].outer_port}{at.path}",
            store=f"http://{self.space.here['store']}:{self.relays['store'].outer_port}", under=("ip", "netns", "exec", self.space.name),
        )  # fmt: skip

    def close(self) -> None:
        for way in self.space.WAYS:
            self.space.find(way)
        for relay in self.relays.values():
            relay.close()
        self.space.close()


@pytest.fixture
def apart(nodes):
    """Makes a node `c` in a namespace, beside two others."""
    made = []

    def make() -> tuple[Nodes, Namespace]:
        cluster = nodes(2)
        made.append((cluster, Apart(cluster)))
        made[-1][1].start("c")
        return cluster, made[-1][1].space

    yield make
    for cluster, node in made:
        if "c" in cluster.servers:
            cluster.kill("c")
        node.close()


def check_file(cluster: Nodes, live, owed_from: float) -> list[str]:
    """The stream's file has what was sent, from its beginning on, what was sent by then for certain."""
    keys = cluster.recorded(".flv", live.stream)
    got, sent = cluster.pictures(sorted(keys)[0]), live.sent(0, cluster.folder)
    assert got == sent[: len(got)] and len(got) >= live.sent_by(0, owed_from, cluster.folder), (len(got), len(sent))
    return got


@pytest.mark.parametrize("direction", ["both", "out", "in"] if ALL else ["both", "in"])
def test_a_way_to_the_database_that_loses_every_packet(apart, direction):
    """The node's streams move, and what it asks for late, when packets get through again, changes nothing."""
    cluster, space = apart()
    cluster.rule("a", *FORMATS)
    live = cluster.live("s1", "c")
    live.push(3)
    pushing = threading.Thread(target=live.push, args=(40,))
    pushing.start()
    time.sleep(1)
    lost_at = time.monotonic()
    space.lose("database", direction)
    wait_for(lambda: cluster.owner("s1") in ("a", "b"), 5 * LEASE_S, "the takeover")
    time.sleep(2)
    space.find("database")
    assert live.publishers[0].closed.wait(20), "the publisher goes on at a node that was declared dead"
    pushing.join()
    wait_for(lambda: cluster.names("a") == ["a", "b", "c"], 20, "all nodes")
    cluster.wait_files(1, 60)
    cluster.wait_files(1, 60, ".m3u8")
    got = check_file(cluster, live, lost_at - 1)
    slices = cluster.sql("SELECT object FROM record_slice ORDER BY sequence")
    assert [one for slice in slices for one in cluster.pictures(slice)] == got
    cluster.check_rows_and_objects()
    # It serves again.
    again = cluster.live("s2", "c")
    again.push(1)
    assert cluster.owner("s2") == "c"


@pytest.mark.parametrize("direction", ["both", "out", "in"] if ALL else ["in"])
def test_a_way_to_the_store_that_loses_every_packet(apart, direction):
    """Nobody is held, the lag shows, and all of it is recorded in the end."""
    cluster, space = apart()
    cluster.rule("a", *FORMATS)
    live = cluster.live("s1", "c")
    live.push(3)
    space.lose("store", direction)
    began = time.monotonic()
    live.push(8)
    assert time.monotonic() - began < 10, "the publisher is held"
    assert lag(cluster, "c") > 3 and cluster.owner("s1") == "c"
    space.find("store")
    live.push(1)
    wait_for(lambda: lag(cluster, "c") < 2, 60, "a mirror that has caught up")
    live.publishers[-1].drop()
    cluster.wait_files(1, 60)
    assert check_file(cluster, live, time.monotonic()) == live.sent(0, cluster.folder)
    cluster.wait_files(1, 60, ".m3u8")
    cluster.check_rows_and_objects()


def test_both_ways_lose_every_packet(apart):
    cluster, space = apart()
    cluster.rule("a", *FORMATS)
    live = cluster.live("s1", "c")
    live.push(4)
    lost_at = time.monotonic()
    for way in ("database", "store"):
        space.lose(way)
    wait_for(lambda: (live.push(0.4), cluster.owner("s1") in ("a", "b"))[1], 5 * LEASE_S, "the takeover")
    for way in ("database", "store"):
        space.find(way)
    assert live.publishers[0].closed.wait(20)
    cluster.wait_files(1, 60)
    cluster.wait_files(1, 60, ".m3u8")
    check_file(cluster, live, lost_at - 1)
    wait_for(lambda: cluster.names("a") == ["a", "b", "c"], 20, "all nodes")
    cluster.check_rows_and_objects()


def arm(cluster: Nodes, **fault: object) -> None:
    status, body = cluster.store.control("PUT", "/_localyun/faults", [fault] if fault else [])
    assert status == 200, body


@pytest.mark.parametrize("how", ["answers 500", "is slow", "hangs"])
def test_a_store_that(nodes, how):
    """Nobody is held, nothing is lost; and a node that dies then loses no more than its lag had said."""
    cluster = nodes(1)
    proxy = Proxy(*host_of(cluster.store.oss))
    try:
        cluster.start("b", store=f"http://127.0.0.1:{proxy.port}")
        cluster.rule("a", *FORMATS)
        lives = [cluster.live(f"s{n}", "b") for n in range(2)]
        for live in lives:
            live.push(1)
        if how == "answers 500":
            arm(cluster, at="store", code="InternalError")
        elif how == "is slow":
            arm(cluster, at="object-put", delay_ms=2_500)
        else:
            proxy.vanish()
        began = time.monotonic()
        pushing = [threading.Thread(target=live.push, args=(7,)) for live in lives]
        for thread in pushing:
            thread.start()
        for thread in pushing:
            thread.join()
        assert time.monotonic() - began < 9, "the publishers are held"
        assert lag(cluster, "b") > (1 if how == "is slow" else 4)
        arm(cluster)
        proxy.appear()
        for live in lives:
            live.push(1)
        wait_for(lambda: lag(cluster, "b") < 1.5, 30, "a mirror that has caught up")
        # The first ends as usual; the second one's node dies while the store is bad again.
        lives[0].publishers[-1].drop()
        if how == "is slow":
            arm(cluster, at="object-put", delay_ms=1_500)
            lives[1].push(3)
            behind = lag(cluster, "b")
        else:
            lives[1].push(1)
            behind = 1.0
        killed_at = cluster.kill("b")
        arm(cluster)
        cluster.wait_files(2, 90)
        cluster.wait_files(2, 90, ".m3u8")
        (whole,) = cluster.recorded(".flv", "s0")
        assert cluster.pictures(whole) == lives[0].sent(0, cluster.folder)
        check_file(cluster, lives[1], killed_at - behind - 2)
        time.sleep(2)
        cluster.check_rows_and_objects()
    finally:
        proxy.appear()
        proxy.close()
