"""Nodes of two releases on one database: a later one brings a step of the schema that this one can live with, and one that it cannot."""

import pytest

from harness.wait import wait_for

STEP = "m9001_of_a_later_release"


def later(cluster, tolerated: bool) -> None:
    """What the first node of a later release does to the database: columns with defaults, a table, and its step."""
    for statement in [
        "ALTER TABLE live_stream ADD COLUMN of_later VARCHAR(20) NOT NULL DEFAULT ''",
        "ALTER TABLE node ADD COLUMN of_later BIGINT NOT NULL DEFAULT 7",
        "ALTER TABLE callback ADD COLUMN of_later BIGINT",
        "CREATE TABLE of_later (id BIGINT PRIMARY KEY)",
        f"INSERT INTO seaql_migrations VALUES ('{STEP}', 1)",
        f"UPDATE cluster SET tolerates = '{STEP if tolerated else ''}'",
    ]:
        cluster.sql(statement)


def test_the_release_before_goes_on_and_starts_again_beside_a_later_one(nodes):
    cluster = nodes(2)
    cluster.rule("a", "flv")
    live = cluster.live("s1", "a")
    live.push(1)
    later(cluster, tolerated=True)
    live.push(1)
    # One that is started again in the middle of the exchange, and takes streams over.
    cluster.start("c")
    assert "a newer localyun has brought the database further" in cluster.servers["c"].log_tail(100_000)
    assert cluster.servers["a"].stop() == 0
    cluster.start("a")
    wait_for(lambda: cluster.names("c") == ["a", "b", "c"], 10, "all nodes")
    live.connect("c")
    live.push(1)
    live.publishers[-1].drop()
    cluster.servers["b"].advance(20)
    (key,) = cluster.wait_files(1)
    assert cluster.pictures(key) == live.sent(0, cluster.folder) + live.sent(1, cluster.folder)
    cluster.check_rows_and_objects()


def test_a_step_that_nobody_said_it_can_live_with_is_refused_in_one_sentence(nodes):
    cluster = nodes(1)
    later(cluster, tolerated=False)
    assert cluster.online("a") == []
    with pytest.raises(RuntimeError, match=f"a newer localyun: its step {STEP}"):
        cluster.start("b")
