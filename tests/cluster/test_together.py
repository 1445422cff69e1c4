"""What all nodes do as one: their clock, a reset, a snapshot."""

import signal
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

from harness.publisher import Publisher
from harness.wait import wait_for
from nodes import LEASE_S


def clock(cluster, name: str) -> dict:
    return cluster.servers[name].get("/_localyun/clock")


def near(cluster, ms: float = 600) -> bool:
    """Whether all clocks show about the same."""
    shown = [clock(cluster, name)["now_ms"] for name in cluster.servers]
    return max(shown) - min(shown) <= ms


def test_an_advance_moves_all_and_what_falls_due_anywhere_is_done(nodes):
    cluster = nodes(3)
    cluster.notify("a")
    cluster.rule("a", "flv")
    before = {name: clock(cluster, name)["now_ms"] for name in "abc"}
    lives = [cluster.live(f"s{n}", name) for n, name in enumerate("abc")]
    for live in lives:
        live.publishers[-1].push(2)
        live.publishers[-1].drop()
    # DelayTime (15 s) of streams on all three runs out by a call to one of them.
    status, told = cluster.servers["b"].control("POST", "/_localyun/clock/advance", {"seconds": 20})
    assert status == 200 and told["settled"] is True and told["advanced_ms"] == 20_000, told
    files = sorted(cluster.sql("SELECT stream FROM record_file"))
    assert files == ["s0", "s1", "s2"], files
    assert {body["stream"] for body in cluster.inbox.files()} == {"s0", "s1", "s2"}
    assert all(clock(cluster, name)["now_ms"] - before[name] >= 20_000 for name in "abc") and near(cluster)
    # By the next due time, and to an instant.
    live = cluster.live("s9", "c")
    live.publishers[-1].push(1)
    live.publishers[-1].drop()
    wait_for(lambda: clock(cluster, "c")["next_due"] is not None, 5, "something that falls due on C")
    for _ in range(6):
        assert cluster.servers["a"].control("POST", "/_localyun/clock/advance", {"next": True})[0] == 200
        if len(cluster.sql("SELECT stream FROM record_file")) == 4:
            break
    assert len(cluster.sql("SELECT stream FROM record_file")) == 4
    cluster.check_rows_and_objects()


def script(cluster, order: str) -> list[list[tuple]]:
    """Three streams, a long silence, six hours; what was told of each stream, in order, by the service clock."""
    cluster.notify(order[0])
    cluster.rule(order[0], {"Format": "flv", "CycleDuration": 900}, {"Format": "m3u8", "SliceDuration": 5})
    assert cluster.servers[order[0]].control("POST", "/_localyun/clock", {"frozen": True})[0] == 200
    # From a whole minute on, so that no second is rounded otherwise.
    whole = datetime.fromtimestamp(clock(cluster, order[0])["now_ms"] // 60_000 * 60 + 120, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert cluster.servers[order[-1]].control("POST", "/_localyun/clock/advance", {"until": whole})[0] == 200
    begun = clock(cluster, order[0])["now_ms"]
    assert begun % 60_000 == 0
    for number in range(3):
        live = cluster.live(f"s{number}", order[number % len(order)])
        live.publishers[-1].push(7 + number)
        live.publishers[-1].drop()
    for step, seconds in enumerate([5, 20, 6 * 3600]):
        server = cluster.servers[order[step % len(order)]]
        status, told = server.control("POST", "/_localyun/clock/advance", {"seconds": seconds}, timeout=180)
        assert status == 200 and told["settled"] is True and told["advanced_ms"] == seconds * 1000, told
    rows = cluster.servers[order[0]].get("/_localyun/callbacks?limit=1000")["callbacks"]
    log = []
    for stream in ("s0", "s1", "s2"):
        bodies = [body for body in cluster.inbox.bodies() if body.get("stream") == stream]
        told = [(body.get("event"), body.get("uri", "").rsplit(".", 1)[-1], body.get("duration")) for body in bodies]
        stamps = [body["start_time"] - begun // 1000 for body in bodies if "uri" in body]
        log.append(told + [("at", stamps)])
    assert rows and all(row["state"] == "success" for row in rows), rows
    return log


def test_the_same_script_has_the_same_log_on_one_node_and_on_three(nodes):
    one, many = script(nodes(1), "a"), script(nodes(3), "abc")
    assert one == many and all(len(log) >= 4 for log in one), (one, many)


def test_a_clock_that_stands_stands_for_all_and_for_who_comes_later(nodes):
    cluster = nodes(2)
    status, told = cluster.servers["b"].control("POST", "/_localyun/clock", {"frozen": True})
    assert status == 200 and told["frozen"] is True
    at = clock(cluster, "a")
    assert at["frozen"] is True and at["now_ms"] == told["now_ms"]
    assert cluster.servers["a"].control("POST", "/_localyun/clock/advance", {"seconds": 3600})[0] == 200
    cluster.start("c")
    shown = {name: (clock(cluster, name)["now_ms"], clock(cluster, name)["frozen"]) for name in "abc"}
    assert set(shown.values()) == {(told["now_ms"] + 3_600_000, True)}, shown
    assert cluster.servers["c"].control("POST", "/_localyun/clock", {"frozen": False})[0] == 200
    time.sleep(0.3)
    for name in "abc":
        assert clock(cluster, name)["frozen"] is False and clock(cluster, name)["now_ms"] > told["now_ms"] + 3_600_000, name
    # A node that starts once more goes on from there, and time never goes back.
    shown = clock(cluster, "a")["now_ms"]
    assert cluster.servers["a"].stop() == 0
    cluster.start("a")
    assert clock(cluster, "a")["now_ms"] >= shown and near(cluster, 2_500)


def test_a_node_that_hangs_is_waited_for_until_it_is_dead_and_follows_when_it_wakes(nodes):
    cluster = nodes(3)
    before = clock(cluster, "a")["now_ms"]
    hanging = cluster.servers["c"].process
    hanging.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    status, told = cluster.servers["a"].control("POST", "/_localyun/clock/advance", {"seconds": 600}, timeout=120)
    took = time.monotonic() - began
    hanging.send_signal(signal.SIGCONT)
    assert status == 200 and told["advanced_ms"] == 600_000, told
    assert took < 4 * LEASE_S + 8, took
    wait_for(lambda: cluster.names("a") == ["a", "b", "c"], 15, "the node that hung")
    wait_for(lambda: clock(cluster, "c")["now_ms"] - before >= 600_000, 15, "its clock")
    assert near(cluster, 2_500)


def test_a_reset_through_one_forgets_at_all(nodes):
    cluster = nodes(3)
    cluster.notify("a")
    cluster.rule("a", "flv")
    live = cluster.live("s1", "a")
    live.push(1)
    assert cluster.online("b") == ["s1"]
    cluster.servers["b"].advance(100)
    status, told = cluster.servers["c"].control("POST", "/_localyun/reset", timeout=120)
    assert (status, told) == (200, {"reset": True})
    assert live.publishers[-1].closed.wait(5)
    assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["0"] and cluster.sql("SELECT COUNT(*) FROM callback") == ["0"]
    assert cluster.sql("SELECT COUNT(*) FROM live_stream WHERE state <> 'live'") == ["0"]
    for name in "abc":
        assert cluster.api(name).call("DescribeLiveRecordConfig", DomainName=cluster.domain)["TotalNum"] == 0, name
        assert cluster.servers[name].get("/_localyun/streams")["total"] == 0
        assert abs(clock(cluster, name)["offset_ms"]) < 1_000, name
    # And they go on: the same stream through another node.
    cluster.rule("b", "flv")
    again = cluster.live("s1", "b")
    again.push(2)
    again.publishers[-1].drop()
    cluster.servers["a"].advance(20)
    (key,) = cluster.wait_files(1)
    assert cluster.pictures(key) == again.sent(0, cluster.folder)


def test_pushes_that_come_during_a_reset_are_of_the_time_after_it(nodes):
    """Encoders begin all the time, at all nodes: those of before are cut, those that come in between wait, and all that are let in are listed everywhere."""
    cluster = nodes(3)
    cluster.rule("a", "flv")
    over, began, lock = threading.Event(), [], threading.Lock()

    def come(name: str) -> None:
        for number in range(1_000):
            if over.is_set():
                return
            stream = f"{name}{number}"
            server = cluster.servers[name]
            with suppress(OSError, AssertionError, ConnectionError, IndexError):
                publisher = Publisher(server.rtmp_host, server.rtmp_port, "live", f"{stream}?vhost={cluster.domain}")
                publisher.push(0.2)
                with lock:
                    began.append((time.monotonic(), stream, publisher))
            time.sleep(0.05)

    coming = [threading.Thread(target=come, args=(name,)) for name in "abc"]
    for thread in coming:
        thread.start()
    time.sleep(2)
    asked = time.monotonic()
    status, told = cluster.servers["b"].control("POST", "/_localyun/reset", timeout=120)
    answered = time.monotonic()
    assert (status, told) == (200, {"reset": True})
    # A push that waits at the gate is no work that a reset waits for: it would wait for all its patience (20 s).
    assert answered - asked < 15
    time.sleep(1)
    over.set()
    for thread in coming:
        thread.join()
    before = [publisher for at, _, publisher in began if at < asked]
    after = {stream: publisher for at, stream, publisher in began if at > answered}
    assert len(before) >= 3 and len(after) >= 3
    wait_for(lambda: all(publisher.closed.is_set() for publisher in before), 5, "the end of what was live before")
    for name in "abc":
        listed = lambda name=name: {row["stream"] for row in cluster.servers[name].get("/_localyun/streams?limit=1000")["streams"]}  # noqa: E731
        there = {stream for _, stream, publisher in began if not publisher.closed.is_set()}
        assert there >= set(after), sorted(set(after) - there)
        wait_for(lambda listed=listed: listed() == {stream for _, stream, publisher in began if not publisher.closed.is_set()}, 5, f"the list of {name}")
    assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["0"], "a rule of before the reset holds after it"
    time.sleep(2)
    for stream, publisher in after.items():
        assert not publisher.closed.is_set(), stream
        publisher.push(0.2)
    for _, _, publisher in began:
        if not publisher.closed.is_set():
            publisher.drop()


def test_a_node_that_was_away_during_a_reset_takes_its_clock_back(nodes):
    cluster = nodes(3)
    assert cluster.servers["a"].control("POST", "/_localyun/clock/advance", {"seconds": 900}, timeout=60)[0] == 200
    hanging = cluster.servers["c"].process
    hanging.send_signal(signal.SIGSTOP)
    status, told = cluster.servers["a"].control("POST", "/_localyun/reset", timeout=120)
    hanging.send_signal(signal.SIGCONT)
    assert (status, told) == (200, {"reset": True}), told
    wait_for(lambda: cluster.names("a") == ["a", "b", "c"], 15, "the node that hung")
    wait_for(lambda: abs(clock(cluster, "c")["offset_ms"]) < 2_000, 15, "its clock")
    assert near(cluster, 2_500)


def test_a_snapshot_that_one_saved_another_loads(nodes):
    cluster = nodes(3)
    cluster.rule("a", "flv")
    live = cluster.live("s1", "a")
    live.push(1)
    saved = cluster.servers["b"].get("/_localyun/snapshot")
    status, told = cluster.servers["c"].control("PUT", "/_localyun/snapshot", saved)
    assert status == 409 and "being published" in told["error"], told
    live.publishers[-1].drop()
    cluster.servers["a"].advance(20)
    cluster.wait_files(1)
    saved = cluster.servers["a"].get("/_localyun/snapshot")
    assert cluster.servers["b"].control("POST", "/_localyun/reset", timeout=120)[0] == 200
    status, told = cluster.servers["c"].control("PUT", "/_localyun/snapshot", saved, timeout=120)
    assert status == 200 and told["rules"] == 1 and told["files"] == 1, told
    for name in "abc":
        assert cluster.api(name).call("DescribeLiveRecordConfig", DomainName=cluster.domain)["TotalNum"] == 1, name
        assert len(cluster.servers[name].get("/_localyun/recordings")["recordings"]) == 1
    again = cluster.live("s2", "a")
    again.push(1)
    wait_for(lambda: "recording" in cluster.sql("SELECT state FROM record_session WHERE stream = 's2'"), 10, "a recording under the loaded rule")
