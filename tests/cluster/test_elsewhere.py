"""A node shows what others have: their streams to its players, their rates, calls and events in its lists."""

import http.client
import json
import signal
import subprocess
import threading
import time
import urllib.request
from urllib.parse import urlsplit

import pytest

from harness import probe
from harness.wait import wait_for
from nodes import LEASE_S
from test_loss import connect_again


class Watch:
    """Reads a live stream over HTTP into a file until it ends."""

    def __init__(self, cluster, node: str, form: str = "flv", stream: str = "s1"):
        self.path = cluster.folder / f"watched-{stream}-{node}-{time.monotonic_ns()}.{form}"
        self.ended = threading.Event()
        self.status = 0
        at = urlsplit(cluster.servers[node].play)
        self.connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
        self.connection.request("GET", f"/live/{stream}.{form}?vhost={cluster.domain}")
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        with open(self.path, "wb", buffering=0) as file:
            try:
                while data := self.answer.read1(65536):
                    file.write(data)
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                pass
        self.ended.set()

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def close(self) -> None:
        if self.connection.sock:
            self.connection.sock.shutdown(2)
        self.ended.wait(5)

    def pictures(self) -> list[str]:
        return probe.payloads(self.path, "v")


def within(got: list[str], sent: list[str]) -> bool:
    """Whether what came is a part of what was sent, without a gap."""
    starts = [at for at, one in enumerate(sent) if one == got[0]] if got else []
    return any(sent[at : at + len(got)] == got for at in starts)


def fetched(cluster, node: str) -> int:
    return cluster.servers[node].log_tail(10_000_000).count("fetched from another node")


DEBUG = ("--log", "info,localyun::cluster=debug")


def test_players_of_any_form_at_a_node_that_does_not_have_the_stream(nodes):
    cluster = nodes(1)
    cluster.start("b", *DEBUG)
    cluster.start("c", *DEBUG)
    live = cluster.live("s1", "a")
    pushing = threading.Thread(target=live.push, args=(14,))
    pushing.start()
    time.sleep(3)
    watches = [Watch(cluster, "b", form) for form in ("flv", "flv", "mp4")] + [Watch(cluster, "c", "flv")]
    assert [watch.status for watch in watches] == [200] * 4
    rtmp = cluster.folder / "watched.rtmp.flv"
    server = cluster.servers["b"]
    url = f"rtmp://{server.rtmp_host}:{server.rtmp_port}/live/s1?vhost={cluster.domain}"
    player = subprocess.Popen(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", url, "-c", "copy", str(rtmp)], stderr=subprocess.DEVNULL)
    hls = cluster.folder / "watched.hls.ts"
    url = f"{server.play}/live/s1.m3u8?vhost={cluster.domain}"
    other = subprocess.Popen(["ffmpeg", "-nostdin", "-v", "error", "-y", "-t", "5", "-i", url, "-c", "copy", str(hls)], stderr=subprocess.DEVNULL)
    time.sleep(4)
    (row,) = cluster.servers["c"].streams()
    assert row["node"] == "a" and row["answered"] is True and row["bytes"] > 0 and row["viewers"] >= 5, row
    pushing.join()
    live.publishers[-1].drop()
    began = time.monotonic()
    for watch in watches:
        assert watch.ended.wait(10), "a player goes on when the stream is over"
    assert time.monotonic() - began < 8
    assert player.wait(15) == 0 and other.wait(15) == 0
    sent = live.sent(0, cluster.folder)
    for watch in watches:
        got = watch.pictures()
        assert len(got) > 100 and within(got, sent), (watch.path, len(got), len(sent))
        assert got[-1] == sent[-1], "the end is missing"
    assert within(probe.payloads(rtmp, "v"), sent)
    assert len(probe.payloads(hls, "v")) > 50
    # Each node has fetched it once, whoever watched there.
    assert (fetched(cluster, "b"), fetched(cluster, "c")) == (1, 1)
    with pytest.raises(AssertionError):
        assert Watch(cluster, "b", stream="nobody").status == 200
    wait_for(lambda: Watch(cluster, "c").status == 404, 5, "the end of the stream at C")


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_player_goes_on_with_the_new_owner(nodes, how):
    cluster = nodes(3)
    cluster.rule("a", "flv")
    live = cluster.live("s1", "a")
    live.push(2)
    pushing = threading.Thread(target=live.push, args=(2,))
    pushing.start()
    watch = Watch(cluster, "b")
    pushing.join()
    if how == "stopped":
        assert cluster.servers.pop("a").stop() == 0
    else:
        cluster.kill("a")
    connect_again(live, "c")
    before = watch.size()
    live.push(4)
    assert watch.size() > before, "nothing of the new owner's came"
    live.publishers[-1].drop()
    assert watch.ended.wait(10)
    got, first, second = watch.pictures(), live.sent(0, cluster.folder), live.sent(1, cluster.folder)
    at = len(got) - len(second)
    assert at > 10 and within(got[:at], first) and got[at:] == second, (len(got), at)
    # Its time never goes back.
    times = [float(packet["dts_time"]) for packet in probe.packets(watch.path, "v")]
    assert times == sorted(times)


def test_a_stream_comes_back_to_the_node_of_its_player(nodes):
    cluster = nodes(2)
    live = cluster.live("s1", "a")
    pushing = threading.Thread(target=live.push, args=(3,))
    pushing.start()
    time.sleep(1)
    watch = Watch(cluster, "b")
    pushing.join()
    assert cluster.servers.pop("a").stop() == 0
    connect_again(live, "b")
    before = watch.size()
    live.push(3)
    assert watch.size() > before
    live.publishers[-1].drop()
    assert watch.ended.wait(10)


def inside(cluster, node: str) -> str:
    return next(row["inside"] for row in cluster.servers[node].get("/_localyun/nodes")["nodes"] if row["id"] == node)


def ask(url: str, token: str | None = None) -> int:
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_who_has_no_token_gets_nothing_between_the_nodes(nodes):
    cluster = nodes(0)
    for name in "ab":
        cluster.start(name, "--cluster-token", "between-us")
    cluster.start("c", "--cluster-token", "another")
    live = cluster.live("s1", "a")
    pushing = threading.Thread(target=live.push, args=(5,))
    pushing.start()
    time.sleep(1)
    stream = f"{inside(cluster, 'a')}/stream?domain={cluster.domain}&app=live&stream=s1"
    for url in (stream, f"{inside(cluster, 'a')}/_localyun/requests"):
        assert [ask(url), ask(url, "wrong"), ask(url, "between-us")] == [401, 401, 200], url
    assert Watch(cluster, "b").status == 200
    assert Watch(cluster, "c").status == 404
    pushing.join()
    # What is not for nodes is not there at all.
    for path in ("/", "/metrics2", "/node/unknown", "/_localyun/snapshot2"):
        assert ask(inside(cluster, "a") + path, "between-us") in (404, 405), path
    # A node that the others cannot speak with moves no clock.
    status, told = cluster.servers["a"].control("POST", "/_localyun/clock/advance", {"seconds": 60}, timeout=120)
    assert status == 503 and "node c" in told["error"], told
    assert "between-us" not in json.dumps(cluster.servers["a"].get("/_localyun/config"))


def test_lists_have_what_other_nodes_know_and_say_who_is_silent(nodes):
    cluster = nodes(3)
    lives = [cluster.live(f"s{n}", name) for n, name in enumerate("abc")]
    for live in lives:
        live.push(0.6)
    for name in "abc":
        cluster.api(name).call("DescribeLiveRecordConfig", DomainName=cluster.domain)
    body = cluster.servers["b"].get("/_localyun/streams")
    assert [(row["stream"], row["node"], row["answered"]) for row in body["streams"]] == [("s0", "a", True), ("s1", "b", True), ("s2", "c", True)]
    assert all(row["bytes"] > 0 and row["bitrate_kbps"] >= 0 and row["recorder"] is not None for row in body["streams"]), body
    # The calls of all, the newest first, page by page.
    calls = cluster.servers["c"].get("/_localyun/requests?action=DescribeLiveRecordConfig")
    assert sorted(row["node"] for row in calls["requests"]) == ["a", "b", "c"] and calls["total"] == 3
    assert [row["node"] for row in calls["requests"]] == ["c", "b", "a"]
    seen, path = [], "/_localyun/requests?action=DescribeLiveRecordConfig&limit=1"
    more = ""
    for _ in range(4):
        page = cluster.servers["a"].get(path + more)
        seen += [row["request_id"] for row in page["requests"]]
        if page["next"] is None:
            break
        more = f"&cursor={page['next']}"
    assert seen == [row["request_id"] for row in calls["requests"]], seen
    # What happened on any node is waited for on any other.
    for name in "abc":
        status, told = cluster.servers[name].control("GET", "/_localyun/wait?kind=publish&count=3&timeout_s=5")
        assert status == 200, told
        assert sorted(event["stream"] for event in told["events"]) == ["s0", "s1", "s2"]
        assert sorted({event.get("node", name) for event in told["events"]}) == ["a", "b", "c"]
    lives[1].publishers[-1].drop()
    status, told = cluster.servers["c"].control("GET", "/_localyun/wait?kind=unpublish&stream=s1&timeout_s=5")
    assert status == 200 and told["events"][0]["node"] == "b", told
    # One that hangs is told, in bounded time.
    process = cluster.servers["a"].process
    process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        body = cluster.servers["b"].get("/_localyun/streams")
        took = time.monotonic() - began
        assert took < 1.5 and {"node": "a", "answered": False} in body["nodes"], (took, body["nodes"])
        row = next(row for row in body["streams"] if row["stream"] == "s0")
        assert row["answered"] is False and row["bytes"] is None and row["node"] == "a"
    finally:
        process.send_signal(signal.SIGCONT)
    time.sleep(LEASE_S)
