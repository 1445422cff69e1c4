"""Nodes whose machines' clocks differ by half a minute, each its own way: leases are by the database's clock, so nobody is taken for dead and nobody is
waited for too long."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from harness.wait import wait_for
from nodes import LEASE_S
from test_loss import check_prefix, connect_again

SKEW_S = 30


@pytest.fixture(scope="module")
def skewed(tmp_path_factory) -> Path:
    """The library that moves a process's clock."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a C compiler is missing")
    made = tmp_path_factory.mktemp("skew") / "skew.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(Path(__file__).with_name("skew.c"))], check=True, timeout=60)
    return made


def test_half_a_minute_between_the_clocks(nodes, skewed):
    cluster = nodes(0)
    under = lambda seconds: ("env", f"LD_PRELOAD={skewed}", f"SKEW_SECONDS={seconds}")  # noqa: E731
    for name, seconds in [("a", 0), ("b", SKEW_S), ("c", -SKEW_S)]:
        cluster.start(name, under=under(seconds))
    shown = {name: cluster.servers[name].get("/_localyun/clock") for name in "abc"}
    apart = [shown[name]["now_ms"] - shown["a"]["now_ms"] for name in "bc"]
    if not (abs(apart[0] - SKEW_S * 1000) < 3_000 and abs(apart[1] + SKEW_S * 1000) < 3_000):
        pytest.skip(f"this program's clock is not moved by a library: {apart}")
    cluster.notify("a")
    cluster.rule("b", "flv")
    lives = [cluster.live(f"s{n}", name) for n, name in enumerate("abc")]
    for _ in range(2 * LEASE_S):
        for live in lives:
            live.push(0.35)
        assert cluster.names("a") == ["a", "b", "c"]
        rows = cluster.servers["c"].get("/_localyun/nodes")["nodes"]
        assert all(row["state"] == "ready" and 0 < row["lease_left_ms"] <= LEASE_S * 1000 for row in rows), rows
    assert [cluster.owner(live.stream) for live in lives] == ["a", "b", "c"]
    assert "declared dead" not in "".join(server.log_tail(1_000_000) for server in cluster.servers.values())
    # Given away by the node that is ahead to the one that is behind: the file goes on, although it was begun in that one's future.
    lives[1].publishers[-1].drop()
    connect_again(lives[1], "c")
    lives[1].push(2)
    # The one that is behind is lost for good; one that is ahead or right has it within the lease, not half a minute later or at once.
    for live in (lives[0], lives[2]):
        live.push(1)
    killed_at = cluster.kill("c")
    assert cluster.owner("s2") == "c"
    wait_for(lambda: {cluster.owner("s1"), cluster.owner("s2")} <= {"a", "b"}, 3 * LEASE_S, "the takeover")
    assert time.monotonic() - killed_at > LEASE_S * 0.6
    lives[0].publishers[-1].drop()
    cluster.wait_files(3, 90)
    assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["3"]
    (key,) = cluster.recorded(".flv", "s2")
    check_prefix(cluster, key, lives[2], killed_at)
    (key,) = cluster.recorded(".flv", "s1")
    got, first = cluster.pictures(key), lives[1].sent(0, cluster.folder)
    assert got[: len(first)] == first and len(got) >= len(first) + lives[1].sent_by(1, killed_at - 2, cluster.folder)
    cluster.check_rows_and_objects()
    wait_for(lambda: {body["stream"] for body in cluster.inbox.files()} == {"s0", "s1", "s2"}, 20, "each file's event")
