"""Several nodes as one service: who is there, one publisher a name, rules and calls through any node."""

import json
import os
import subprocess
import threading
import time
import uuid

import pytest

from harness.api import escape
from harness.publisher import Publisher, Refused
from harness.server import binary, clean_environment
from harness.wait import wait_for

FREE = [f for name in ("api", "rtmp", "oss", "play", "cluster") for f in (f"--{name}-addr", "127.0.0.1:0")]


def refusal(folder, *flags: str, url: str | None = None) -> str:
    """The one line of a server that does not start."""
    more = {"LOCALYUN_DATABASE_URL": url} if url else {}
    done = subprocess.run(
        [binary(), "serve", "--data-dir", folder, *FREE, *flags], env=clean_environment() | more, capture_output=True, timeout=60, text=True
    )
    assert done.returncode == 2 and done.stdout == "", done.stderr
    return next(line for line in done.stderr.splitlines() if line.startswith("localyun: "))


def test_what_a_node_needs_is_said_in_one_sentence(tmp_path):
    store = ("--oss-endpoint", "http://127.0.0.1:1", "--oss-access-key", "a:b")
    assert "--database-url postgres://" in refusal(tmp_path / "a", "--cluster", "on", *store)
    assert "--oss-endpoint" in refusal(tmp_path / "b", "--cluster", "on", url="postgres://u@127.0.0.1:1/d")
    frozen = refusal(tmp_path / "c", "--cluster", "on", "--clock", "frozen", *store, url="postgres://u@127.0.0.1:1/d")
    assert frozen.startswith("localyun: --clock")


def test_three_nodes_start_at_once_on_nothing_and_see_each_other(nodes):
    cluster = nodes(0)
    starting = [threading.Thread(target=cluster.start, args=(name,)) for name in "abc"]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()
    for name in "abc":
        assert cluster.names(name) == ["a", "b", "c"]
        assert cluster.servers[name].control("GET", "/_localyun/live")[0] == 200
        assert cluster.servers[name].control("GET", "/_localyun/ready")[0] == 200
    status, body = cluster.servers["b"].control("GET", "/_localyun/nodes")
    assert [row["own"] for row in body["nodes"]] == [False, True, False] and body["total"] == 3
    assert all(row["state"] == "ready" and row["lease_left_ms"] > 0 for row in body["nodes"])


def test_a_second_node_of_a_name_and_a_process_alone_refuse(nodes, tmp_path):
    cluster = nodes(1)
    same = refusal(
        tmp_path / "x", "--cluster", "on", "--node-id", "a", "--oss-endpoint", cluster.store.oss, "--oss-access-key", "testid:testsecret", url=cluster.database
    )
    assert "a node of the name a is there already" in same and cluster.servers["a"].api in same
    assert "uses this database" in refusal(tmp_path / "y", url=cluster.database)


def test_a_rule_through_b_holds_for_the_next_push_to_a_and_c_lists_it(nodes):
    cluster = nodes(3)
    cluster.rule("b", "flv")
    live = cluster.live("s1", "a")
    live.push(1)
    assert cluster.online("c") == ["s1"]
    assert cluster.online("a") == ["s1"] and cluster.online("b") == ["s1"]
    wait_for(lambda: cluster.sql("SELECT state FROM record_session") == ["recording"], 10, "a recording under the rule that B took")
    counted = cluster.api("c").call("DescribeLiveStreamCount", DomainName=cluster.domain)
    assert counted["StreamCountInfos"]["StreamCountInfo"][0]["Count"] == 1
    # And rules that others took are seen through every node at once.
    cluster.api("c").call("DeleteLiveAppRecordConfig", DomainName=cluster.domain, AppName="live")
    for name in "abc":
        found = cluster.api(name).call("DescribeLiveRecordConfig", DomainName=cluster.domain)
        assert found["TotalNum"] == 0, name


# RACES=200 for the whole of it.
RACES = int(os.environ.get("RACES", "20"))


def test_one_name_on_all_three_has_one_winner(nodes):
    cluster = nodes(3)
    for number in range(RACES):
        came: list[Publisher] = []
        refused: list[str] = []

        def push(name: str, stream: str) -> None:
            server = cluster.servers[name]
            try:
                came.append(Publisher(server.rtmp_host, server.rtmp_port, "live", f"{stream}?vhost={cluster.domain}"))
                came[-1].push(0.2)
            except Refused as error:
                refused.append(error.code)

        racing = [threading.Thread(target=push, args=(name, f"race{number}")) for name in "abc"]
        for thread in racing:
            thread.start()
        for thread in racing:
            thread.join()
        assert len(came) == 1 and len(refused) == 2, (number, refused)
        came[0].drop()


def test_a_nonce_that_one_node_saw_is_used_up_at_all(nodes):
    cluster = nodes(2)
    first, second = cluster.api("a"), cluster.api("b")
    flat = first.signed("DescribeLiveRecordConfig", DomainName=cluster.domain)
    query = "/?" + "&".join(f"{escape(name)}={escape(value)}" for name, value in flat.items())
    assert first.send("GET", query)[0] == 200
    status, _, body = second.send("GET", query)
    assert status == 400 and json.loads(body)["Code"] == "SignatureNonceUsed"


def test_commands_reach_the_owner_through_any_node(nodes):
    cluster = nodes(2)
    cluster.rule("a", "flv", OnDemand=7)
    live = cluster.live("s1", "a")
    live.push(0.5)
    command = {"DomainName": cluster.domain, "AppName": "live", "StreamName": "s1"}
    began = time.monotonic()
    cluster.api("b").call("RealTimeRecordCommand", **command, Command="start")
    took = time.monotonic() - began
    assert took < 2, took
    assert cluster.api("b").ask("RealTimeRecordCommand", **command, Command="start")[1]["Code"] == "TaskAlreadyStarted"
    live.publishers[-1].push(8)
    cluster.api("b").call("RealTimeRecordCommand", **command, Command="cancel_delay")
    cluster.wait_files(1)
    # Forbidden through B, it is cut at A and does not come back at either.
    cluster.api("b").call("ForbidLiveStream", **command, LiveStreamType="publisher")
    wait_for(lambda: live.publishers[-1].closed.is_set(), 5, "the end of the publisher")
    for name in "ab":
        with pytest.raises(Refused):
            cluster.live("s1", name)
    # Ended by hand through B.
    other = cluster.live("s2", "a")
    assert cluster.servers["b"].control("DELETE", f"/_localyun/streams/{cluster.domain}/live/s2")[0] == 200
    wait_for(lambda: other.publishers[-1].closed.is_set(), 5, "the end of the other")
    unknown = {"DomainName": cluster.domain, "AppName": "live", "StreamName": uuid.uuid4().hex}
    assert cluster.api("b").ask("RealTimeRecordCommand", **unknown, Command="start")[0] == 404
