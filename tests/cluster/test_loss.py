"""The loss of a node: who takes over, what is lost, and that nothing comes twice. Pictures are compared by hash."""

import os
import re
import signal
import time
from urllib.parse import urlsplit

import pytest

from harness.publisher import Refused
from harness.server import Server
from harness.wait import wait_for
from nodes import LEASE_S
from proxy import Proxy

FORMATS = ["flv", {"Format": "mp4"}, {"Format": "m3u8", "SliceDuration": 5}]
# Media that may be missing: the mirror's age; what it took to put an object comes on top, by the node's own count.
LOSS_S = 1.0


def lag(cluster, node: str) -> float:
    """Seconds for which recorded bytes wait for the mirror."""
    text = cluster.servers[node].control("GET", "/metrics")[1]
    return float(re.search(r"mirror_lag_milliseconds (\d+)", text).group(1)) / 1000


def push_all(cluster, lives, node: str, rounds: int) -> float:
    """Pushes on several streams at once, a round in 0.4 s; the longest wait for the mirror that was seen."""
    most = 0.0
    for _ in range(rounds):
        began = time.monotonic()
        for live in lives:
            live.publishers[-1].push(0.4)
            live.marks[-1].append((time.monotonic(), len(live.publishers[-1].sent)))
        most = max(most, lag(cluster, node))
        time.sleep(max(0.0, 0.4 - (time.monotonic() - began)))
    return most


def connect_again(live, node: str, deadline: float = 30) -> None:
    """An encoder that tries until it is let in."""
    end = time.monotonic() + deadline
    while True:
        try:
            live.connect(node)
            return
        except (Refused, AssertionError, OSError, ConnectionError):
            assert time.monotonic() < end, "the encoder is not let in"
            time.sleep(0.3)


def check_prefix(cluster, key: str, live, killed_at: float, waited: float = 1.0) -> float:
    """The file holds what was sent, from the beginning on and in order; the seconds of it that are missing."""
    sent = live.sent(0, cluster.folder)
    got = cluster.pictures(key)
    assert got == sent[: len(got)], "a picture is missing in the middle, or came twice"
    owed = live.sent_by(0, killed_at - LOSS_S - waited, cluster.folder)
    assert len(got) >= owed, f"{len(got)} pictures of {len(sent)}, {owed} are owed"
    missing = next((killed_at - at for at, _ in reversed(live.marks[0]) if live.sent_by(0, at, cluster.folder) <= len(got)), 0.0)
    return max(missing, 0.0)


def test_killed_for_good_the_others_finish_what_it_recorded(nodes):
    cluster = nodes(3)
    cluster.notify("a")
    cluster.rule("a", *FORMATS)
    lives = [cluster.live(f"s{n}", "a") for n in range(4)]
    waited = push_all(cluster, lives, "a", 20)
    killed_at = cluster.kill("a")
    wait_for(lambda: {cluster.owner(live.stream) for live in lives} <= {"b", "c"} and len(cluster.names("b")) == 2, LEASE_S + 6, "the takeover")
    took = time.monotonic() - killed_at
    assert took < 3 * LEASE_S, took
    for suffix in (".flv", ".mp4", ".m3u8"):
        cluster.wait_files(len(lives), 60, suffix)
    for live in lives:
        (key,) = cluster.recorded(".flv", live.stream)
        lost = check_prefix(cluster, key, live, killed_at, waited)
        print(f"{live.stream}: {lost:.2f} s of media lost, taken over after {took:.1f} s, longest wait for the mirror {waited:.2f} s")
        (mp4,) = cluster.recorded(".mp4", live.stream)
        assert cluster.pictures(mp4) == cluster.pictures(key)
    cluster.check_rows_and_objects()
    wait_for(lambda: len({body["uri"] for body in cluster.inbox.bodies() if "uri" in body}) >= 3 * len(lives), 20, "each file's event")
    assert "streams are taken over" in "".join(s.log_tail(100_000) for s in cluster.servers.values())


def test_back_within_its_lease_it_goes_on_with_its_own(nodes):
    cluster = nodes(2, lease="30s")
    cluster.rule("a", "flv")
    live = cluster.live("s1", "a")
    live.push(4)
    killed_at = cluster.kill("a")
    cluster.start("a")
    connect_again(live, "a")
    live.push(3)
    live.publishers[-1].drop()
    (key,) = cluster.wait_files(1)
    assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["1"]
    got, first, second = cluster.pictures(key), live.sent(0, cluster.folder), live.sent(1, cluster.folder)
    owed = live.sent_by(0, killed_at - 1, cluster.folder)
    kept = len(got) - len(second)
    assert kept >= owed and got == first[:kept] + second
    cluster.check_rows_and_objects()


def test_the_encoder_comes_back_on_another_node_and_the_file_goes_on(nodes):
    """The old node is alive and has nobody publishing; then the old node is dead."""
    cluster = nodes(3)
    cluster.rule("a", "flv")
    live = cluster.live("s1", "a")
    live.push(3)
    live.publishers[-1].drop()
    connect_again(live, "b")
    live.push(3)
    assert cluster.owner("s1") == "b"
    killed_at = cluster.kill("b")
    connect_again(live, "c")
    live.push(3)
    live.publishers[-1].drop()
    (key,) = cluster.wait_files(1)
    assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["1"]
    got = cluster.pictures(key)
    parts = [live.sent(n, cluster.folder) for n in range(3)]
    kept = len(got) - len(parts[0]) - len(parts[2])
    assert kept >= live.sent_by(1, killed_at - LOSS_S - 1, cluster.folder)
    assert got == parts[0] + parts[1][:kept] + parts[2]
    cluster.check_rows_and_objects()


def test_who_gives_a_stream_away_and_gets_it_back_goes_on_with_its_file(nodes):
    """The node that asked for it cannot fetch it, and the encoder comes back to the first."""
    cluster = nodes(1)
    host, port = urlsplit(cluster.store.oss).hostname, urlsplit(cluster.store.oss).port
    proxy = Proxy(host, port)
    try:
        cluster.start("b", store=f"http://127.0.0.1:{proxy.port}")
        cluster.rule("a", "flv", DelayTime=60)
        live = cluster.live("s1", "a")
        live.push(3)
        live.publishers[-1].drop()
        proxy.cut()
        with pytest.raises((Refused, AssertionError, OSError)):
            live.connect("b")
        assert cluster.owner("s1") == "b"
        connect_again(live, "a")
        proxy.mend()
        live.push(3)
        live.publishers[-1].drop()
        assert cluster.owner("s1") == "a"
        cluster.servers["a"].advance(120)
        (key,) = cluster.wait_files(1)
        assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["1"]
        sent = [hash for publisher in (0, len(live.publishers) - 1) for hash in live.sent(publisher, cluster.folder)]
        assert cluster.pictures(key) == sent
        cluster.check_rows_and_objects()
    finally:
        proxy.close()


def test_what_could_not_be_fetched_is_fetched_when_the_store_is_back(nodes):
    """The taker of a lost node's stream cannot reach the store; nobody publishes the stream any more."""
    cluster = nodes(1)
    host, port = urlsplit(cluster.store.oss).hostname, urlsplit(cluster.store.oss).port
    proxy = Proxy(host, port)
    try:
        cluster.start("b", store=f"http://127.0.0.1:{proxy.port}")
        cluster.rule("a", "flv")
        live = cluster.live("s1", "a")
        live.push(4)
        proxy.cut()
        killed_at = cluster.kill("a")
        wait_for(lambda: cluster.owner("s1") == "b", 5 * LEASE_S, "the takeover")
        time.sleep(2)
        proxy.mend()
        (key,) = cluster.wait_files(1)
        check_prefix(cluster, key, live, killed_at)
        cluster.check_rows_and_objects()
    finally:
        proxy.close()


def test_after_the_delay_another_node_begins_a_new_file(nodes):
    cluster = nodes(2)
    cluster.rule("a", "flv")
    live = cluster.live("s1", "a")
    live.push(2)
    live.publishers[-1].drop()
    cluster.wait_files(1)
    connect_again(live, "b")
    live.push(2)
    live.publishers[-1].drop()
    cluster.wait_files(2)
    assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["2"]
    cluster.check_rows_and_objects()


def test_who_hangs_past_its_lease_commits_nothing_and_joins_anew(nodes):
    cluster = nodes(2)
    cluster.rule("a", *FORMATS)
    live = cluster.live("s1", "a")
    live.push(4)
    server = cluster.servers["a"]
    stopped_at = time.monotonic()
    server.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: cluster.owner("s1") == "b", 5 * LEASE_S, "the takeover, which the end of the lease allows")
    server.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "declared dead" in server.log_tail(100_000), 10, "the zombie's awakening")
    wait_for(lambda: live.publishers[0].closed.is_set(), 10, "the end of its publisher")
    wait_for(lambda: cluster.names("b") == ["a", "b"], 10, "both nodes")
    for suffix in (".flv", ".mp4", ".m3u8"):
        cluster.wait_files(1, 60, suffix)
    (key,) = cluster.recorded(".flv", "s1")
    check_prefix(cluster, key, live, stopped_at)
    cluster.check_rows_and_objects()
    # It serves again.
    again = cluster.live("s2", "a")
    again.push(1)
    assert cluster.owner("s2") == "a"


def test_cut_off_from_the_database_alone_it_gives_way(nodes):
    cluster = nodes(2)
    at = urlsplit(cluster.database)
    proxy = Proxy(at.hostname, at.port)
    try:
        user = at.netloc.rsplit("@", 1)[0]
        cluster.start("c", database=f"{at.scheme}://{user}@127.0.0.1:{proxy.port}{at.path}")
        cluster.rule("a", "flv")
        live = cluster.live("s1", "c")
        live.push(3)
        cut_at = time.monotonic()
        proxy.cut()
        assert cluster.servers["c"].control("GET", "/_localyun/ready")[0] == 200
        live.push(3)
        wait_for(lambda: cluster.owner("s1") in ("a", "b"), 3 * LEASE_S, "the takeover")
        with pytest.raises((Refused, AssertionError)):
            cluster.live("s9", "c")
        proxy.mend()
        wait_for(lambda: cluster.names("a") == ["a", "b", "c"], 15, "all nodes")
        (key,) = cluster.wait_files(1)
        got, sent = cluster.pictures(key), live.sent(0, cluster.folder)
        assert got == sent[: len(got)] and len(got) >= live.sent_by(0, cut_at - LOSS_S - 1, cluster.folder)
        cluster.check_rows_and_objects()
    finally:
        proxy.close()


def test_what_a_cut_off_node_kept_is_told_and_a_lone_server_finishes_it(nodes):
    cluster = nodes(1)
    at = urlsplit(cluster.database)
    proxy = Proxy(at.hostname, at.port)
    try:
        user = at.netloc.rsplit("@", 1)[0]
        server = cluster.start("c", database=f"{at.scheme}://{user}@127.0.0.1:{proxy.port}{at.path}")
        cluster.rule("a", "flv")
        live = cluster.live("s1", "c")
        live.push(3)
        proxy.cut()
        wait_for(lambda: (live.push(0.4), cluster.owner("s1") == "a")[1], 4 * LEASE_S, "the takeover")
        live.push(3)
        proxy.mend()
        wait_for(lambda: "kept under spool-taken" in server.log_tail(1_000_000), 20, "the word of what is kept")
        (key,) = cluster.wait_files(1)
        got, sent = cluster.pictures(key), live.sent(0, cluster.folder)
        assert len(got) < len(sent) and got == sent[: len(got)]
        assert cluster.servers.pop("c").stop() == 0
    finally:
        proxy.close()
    (session,) = (cluster.folder / "c" / "spool-taken").iterdir()
    rescue = cluster.folder / "rescue"
    (rescue / "spool").mkdir(parents=True)
    session.rename(rescue / "spool" / session.name)
    alone = Server("--oss-endpoint", cluster.store.oss, "--oss-access-key", "testid:testsecret", data_dir=rescue, environment={"LOCALYUN_DATABASE_URL": None})
    try:
        alone.advance(60)
        files = lambda: [file for row in alone.get("/_localyun/recordings")["recordings"] for file in row["files"]]  # noqa: E731
        wait_for(files, 20, "the file of what was kept")
        (file,) = files()
        name = file.get("object") or file["OssObject"]
        whole = cluster.pictures(name)
        assert whole == sent[: len(whole)] and len(whole) > len(got)
    finally:
        alone.stop()


def test_a_database_that_is_away_for_all_moves_no_stream(nodes):
    cluster = nodes(0)
    at = urlsplit(cluster.database)
    proxy = Proxy(at.hostname, at.port)
    try:
        user = at.netloc.rsplit("@", 1)[0]
        for name in "abc":
            cluster.start(name, database=f"{at.scheme}://{user}@127.0.0.1:{proxy.port}{at.path}")
        cluster.rule("a", "flv")
        lives = [cluster.live(f"s{n}", name) for n, name in enumerate("abc")]
        for live in lives:
            live.push(1)
        before = cluster.sql("SELECT stream, node, epoch FROM live_stream ORDER BY stream")
        proxy.cut()
        for _ in range(3 * LEASE_S):
            for live in lives:
                live.publishers[-1].push(0.3)
            time.sleep(1)
        proxy.mend()
        time.sleep(2 * LEASE_S)
        assert cluster.sql("SELECT stream, node, epoch FROM live_stream ORDER BY stream") == before
        for live in lives:
            live.publishers[-1].push(1)
            assert not live.publishers[-1].closed.is_set()
            live.publishers[-1].drop()
        cluster.wait_files(3)
        for live in lives:
            (key,) = cluster.recorded(".flv", live.stream)
            assert cluster.pictures(key) == live.sent(0, cluster.folder)
        cluster.check_rows_and_objects()
    finally:
        proxy.close()


def test_a_store_that_is_away_holds_nobody_and_loses_nothing(nodes):
    cluster = nodes(1)
    host, port = urlsplit(cluster.store.oss).hostname, urlsplit(cluster.store.oss).port
    proxy = Proxy(host, port)
    try:
        cluster.start("b", store=f"http://127.0.0.1:{proxy.port}")
        cluster.rule("a", *FORMATS)
        live = cluster.live("s1", "b")
        live.push(2)
        proxy.cut()
        live.push(5)
        wait_for(lambda: lag(cluster, "b") > 2, 10, "a lag that shows")
        proxy.mend()
        live.push(2)
        wait_for(lambda: lag(cluster, "b") < 2, 20, "a mirror that has caught up")
        live.publishers[-1].drop()
        (key,) = cluster.wait_files(1)
        assert cluster.pictures(key) == live.sent(0, cluster.folder)
        cluster.wait_files(1, 60, ".mp4")
        cluster.check_rows_and_objects()
    finally:
        proxy.close()


def test_a_rolling_restart_ends_no_recording(nodes):
    """Each node in turn is told to stop and started again while encoders push; they come back through the balancer."""
    cluster = nodes(3)
    cluster.notify("a")
    cluster.rule("a", "flv")
    lives = [cluster.live(f"s{n}", name) for n, name in enumerate("abc")]
    for live in lives:
        live.push(2)
    for name in "abc":
        order = [other for other in "abc" if other != name]
        began = time.monotonic()
        assert cluster.servers[name].stop() == 0
        took = time.monotonic() - began
        assert took < 15, took
        for number, live in enumerate(lives):
            if live.publishers[-1].closed.is_set():
                connect_again(live, order[number % 2])
            live.push(1.5)
        cluster.start(name)
    for live in lives:
        live.publishers[-1].drop()
    cluster.wait_files(3)
    assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["3"]
    for live in lives:
        (key,) = cluster.recorded(".flv", live.stream)
        sent = [hash for n in range(len(live.publishers)) for hash in live.sent(n, cluster.folder)]
        assert cluster.pictures(key) == sent, live.stream
    cluster.check_rows_and_objects()


def test_killed_again_while_it_takes_over(nodes):
    """The taker dies too, at some moment after the first death; the third finishes."""
    cluster = nodes(3)
    cluster.rule("a", "flv")
    lives = [cluster.live(f"s{n}", "a") for n in range(3)]
    waited = push_all(cluster, lives, "a", 10)
    killed_at = cluster.kill("a")
    owners = lambda: {cluster.owner(live.stream) for live in lives}  # noqa: E731
    wait_for(lambda: owners() & {"b", "c"}, 4 * LEASE_S, "a takeover")
    time.sleep(float(os.environ.get("CLUSTER_MOMENT", "0.1")))
    taker = (owners() & {"b", "c"}).pop()
    cluster.kill(taker)
    wait_for(lambda: owners() == {"b", "c"} - {taker}, 5 * LEASE_S, "the second takeover")
    cluster.wait_files(3, 90)
    for live in lives:
        (key,) = cluster.recorded(".flv", live.stream)
        check_prefix(cluster, key, live, killed_at, waited)
    cluster.check_rows_and_objects()


def test_without_a_mirror_slices_stay_and_open_files_are_told_lost(nodes):
    cluster = nodes(2, mirror="off")
    assert "without a mirror" in cluster.servers["a"].log_tail()
    cluster.rule("a", {"Format": "m3u8", "SliceDuration": 5})
    live = cluster.live("s1", "a")
    live.publishers[-1].push(14)
    wait_for(lambda: len(cluster.bucket.keys(".ts")) >= 2, 10, "slices")
    cluster.kill("a")
    wait_for(lambda: "nothing of a recording's open files is left" in cluster.servers["b"].log_tail(100_000), 4 * LEASE_S, "the word of the loss")
    wait_for(lambda: cluster.sql("SELECT state FROM record_session") == ["ended"], 10, "the end of the session")
    assert len(cluster.bucket.keys(".ts")) >= 2 and cluster.recorded(".m3u8") == []
    connect_again(live, "b")
    live.push(1)
    assert cluster.owner("s1") == "b"
