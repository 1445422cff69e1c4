"""What one node answers holds at the others: bans and stops, what domains are for, temporary keys, notes, numbers of viewers."""

import http.client
import json
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from harness.api import Api, ApiError, escape
from harness.notes import explained, noted
from harness.wait import wait_for
from nodes import Live, Nodes
from test_elsewhere import Watch

# None of them is taken for dead.
LONG = "30s"


def pushing(cluster: Nodes, stream: str, node: str, seconds: float = 40) -> Live:
    """A stream that goes on by itself, and that all nodes know of."""
    live = cluster.live(stream, node)
    threading.Thread(target=live.push, args=(seconds,), daemon=True).start()
    for name in cluster.servers:
        wait_for(lambda at=name: stream in cluster.online(at), 10, f"{stream} in the list of {name}")
    return live


@contextmanager
def hanging(cluster: Nodes, node: str):
    """A node does nothing for as long as this lasts."""
    process = cluster.servers[node].process
    tasks = Path(f"/proc/{process.pid}/task")
    process.send_signal(signal.SIGSTOP)
    try:
        # Each thread goes on until it hears of it.
        states = lambda: {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()}  # noqa: E731
        wait_for(lambda: states() == {"T"}, 5, f"the standstill of {node}")
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def named(cluster: Nodes, stream: str = "s1") -> dict:
    return {"DomainName": cluster.domain, "AppName": "live", "StreamName": stream}


def declare(cluster: Nodes, node: str, domain: str, kind: str = "liveVideo") -> None:
    cluster.api(node).call("AddLiveDomain", DomainName=domain, LiveDomainType=kind, Region="cn-shanghai")


def watch(cluster: Nodes, node: str, domain: str, stream: str = "s1") -> Watch:
    """Watches by a play domain of its own."""
    own, cluster.domain = cluster.domain, domain
    try:
        return Watch(cluster, node, stream=stream)
    finally:
        cluster.domain = own


def test_a_node_that_was_slow_cuts_what_was_forbidden_meanwhile(nodes):
    cluster = nodes(2, lease=LONG)
    lives = [pushing(cluster, stream, "b") for stream in ("s1", "s2", "s3")]
    forbid = {"LiveStreamType": "publisher"}
    with hanging(cluster, "b"):
        # Nothing of a cut that keeps nobody out would reach the node later: the caller has to know.
        status, body = cluster.api("a").ask("ForbidLiveStream", **named(cluster, "s2"), **forbid, Oneshot="yes")
        assert (status, body["Code"]) == (500, "InternalError"), body
        status, body = cluster.servers["a"].control("DELETE", f"/_localyun/streams/{cluster.domain}/live/s2")
        assert status == 503 and "node b" in body["error"], body
        cluster.api("a").call("ForbidLiveStream", **named(cluster), **forbid)
    assert lives[0].publishers[-1].closed.wait(5), "a forbidden stream goes on"
    assert any("ForbidLiveStream" in str(status) for status in lives[0].publishers[-1].statuses)
    for node in "ab":
        wait_for(lambda at=node: cluster.online(at) == ["s2", "s3"], 5, f"what is left, at {node}")
    # Its domain, too.
    declare(cluster, "a", cluster.domain)
    with hanging(cluster, "b"):
        cluster.api("a").call("StopLiveDomain", DomainName=cluster.domain)
    for live in lives[1:]:
        assert live.publishers[-1].closed.wait(5), "a stream of a stopped domain goes on"


def test_viewers_of_a_stopped_play_domain_go_from_every_node(nodes):
    cluster = nodes(2)
    sub = f"sub-{cluster.domain}"
    for domain in (cluster.domain, sub):
        declare(cluster, "a", domain)
    cluster.api("a").call("AddLiveDomainPlayMapping", PullDomain=cluster.domain, PlayDomain=sub)
    live = pushing(cluster, "s1", "a")
    subs = [watch(cluster, node, sub) for node in "ab"]
    mains = [watch(cluster, node, cluster.domain) for node in "ab"]
    assert [it.status for it in subs + mains] == [200] * 4
    cluster.api("a").call("StopLiveDomain", DomainName=sub)
    for it in subs:
        assert it.ended.wait(5), "a viewer of a stopped domain goes on"
    assert not live.publishers[-1].closed.is_set()
    assert not any(it.ended.is_set() for it in mains)
    # One call more at the other node, right behind, hides nothing of it.
    cluster.api("a").call("StartLiveDomain", DomainName=sub)
    (again,) = [watch(cluster, "b", sub)]
    assert again.status == 200
    cluster.api("a").call("StopLiveDomain", DomainName=sub)
    cluster.api("b").call("TagLiveResources", ResourceType="DOMAIN", ResourceId=[cluster.domain], Tag=[{"Key": "k", "Value": "v"}])
    assert again.ended.wait(5), "a viewer of a stopped domain goes on"


def test_a_domain_that_is_declared_anew_is_what_it_is_at_every_node(nodes):
    cluster = nodes(2)
    declare(cluster, "a", cluster.domain, "liveEdge")
    for node in "ab":
        try:
            cluster.rule(node)
        except ApiError as error:
            assert (error.status, error.code) == (403, "IllegalOperation"), error
        else:
            raise AssertionError("a rule for an ingest domain")
    cluster.api("a").call("DeleteLiveDomain", DomainName=cluster.domain)
    declare(cluster, "a", cluster.domain)
    cluster.rule("b")


def target(api: Api, action: str, **params: object) -> str:
    flat = api.signed(action, **params)
    return "/?" + "&".join(f"{escape(name)}={escape(value)}" for name, value in flat.items())


def sent(cluster: Nodes, node: str, call: str) -> tuple[int, dict]:
    status, _, body = cluster.api(node).send("GET", call)
    return status, json.loads(body)


ROLE = {"Version": "2015-04-01", "RoleArn": "acs:ram::1:role/r", "RoleSessionName": "session", "DurationSeconds": 900}


def test_a_temporary_key_is_good_at_every_node_until_it_ends(nodes):
    cluster = nodes(3)
    status, body = sent(cluster, "a", target(cluster.api("a"), "AssumeRole", **ROLE))
    assert status == 200, body
    key = body["Credentials"]

    def asked(node: str, token: str = key["SecurityToken"], secret: str = key["AccessKeySecret"], name: str = key["AccessKeyId"]) -> tuple[int, str]:
        api = Api(cluster.servers[node].api, name, secret)
        status, body = api.ask("DescribeLiveRecordConfig", DomainName=cluster.domain, SecurityToken=token)
        return status, body.get("Code", "")

    assert [asked(node) for node in "ab"] == [(200, "")] * 2
    assert asked("b", token="another") == (400, "InvalidSecurityToken.Malformed")
    assert asked("b", secret="another")[1] == "SignatureDoesNotMatch"
    assert asked("b", name=key["AccessKeyId"][:-1] + "x") == (404, "InvalidAccessKeyId.NotFound")
    # The node that issued it need not be there.
    assert cluster.servers["a"].stop() == 0
    cluster.servers.pop("a")
    assert asked("b") == (200, "")
    assert cluster.sql("SELECT COUNT(*) FROM issued_key") == ["1"]
    cluster.servers["b"].advance(901)
    # One that has seen it, and one that has not.
    assert [asked(node) for node in "bc"] == [(400, "InvalidSecurityToken.Expired")] * 2
    # What has ended long since is forgotten by whoever has the job.
    cluster.servers["b"].advance(24 * 3600)
    wait_for(lambda: cluster.sql("SELECT COUNT(*) FROM issued_key") == ["0"], 90, "the end of the key")


def test_a_call_of_a_neighbouring_product_is_taken_once_by_all_nodes(nodes):
    cluster = nodes(2)
    for action, more in (("AssumeRole", ROLE), ("GetCallerIdentity", {"Version": "2015-04-01"})):
        call = target(cluster.api("a"), action, **more)
        told = [sent(cluster, node, call) for node in "aba"]
        assert [status for status, _ in told] == [200, 400, 400], told
        assert {body["Code"] for _, body in told[1:]} == {"SignatureNonceUsed"}
    assert cluster.sql("SELECT COUNT(*) FROM issued_key") == ["1"]


def test_what_the_streams_node_notes_is_told_by_the_one_that_was_asked(nodes):
    cluster = nodes(2)
    cluster.rule("a", "flv", OnDemand=7)
    pushing(cluster, "s1", "b")
    for node in "ab":
        status, _, note = noted(cluster.servers[node], "RealTimeRecordCommand", **named(cluster), Command="stop")
        assert status == 200 and note and "stop" in note, (node, note)
        assert explained(cluster.servers[node], cluster.domain) == [note]
    # In words of others, too.
    (row,) = cluster.servers["a"].get(f"/_localyun/explain?domain={cluster.domain}&app=live&stream=s1")["notes"]
    assert row["words"]["notes"][0]["code"] == "NothingDone", row


def test_a_call_that_a_slow_store_holds_up_at_the_streams_node_is_waited_for(nodes):
    cluster = nodes(2, lease=LONG)
    cluster.rule("a", {"Format": "m3u8", "SliceDuration": 5})
    begun = cluster.servers["a"].get("/_localyun/clock")["now_ms"] / 1000
    pushing(cluster, "s1", "b")
    wait_for(lambda: int(cluster.sql("SELECT COUNT(*) FROM record_slice")[0]) >= 2, 30, "two slices")
    wire = lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))  # noqa: E731
    period = {"StartTime": wire(begun - 60), "EndTime": wire(begun + 3600)}
    status, body = cluster.store.control("PUT", "/_localyun/faults", {"at": "store", "delay_ms": 1_700})
    assert status == 200, body
    try:
        began = time.monotonic()
        status, body = cluster.api("a").ask("CreateLiveStreamRecordIndexFiles", **named(cluster), **period)
        took = time.monotonic() - began
    finally:
        cluster.store.control("DELETE", "/_localyun/faults")
    assert status == 200, body
    assert took > 3, f"the store was not slow: {took:.1f} s"


def test_the_console_sees_a_stream_of_another_node(nodes):
    """Its picture goes on for as long as somebody looks at it, and `explain` says that it is live."""
    cluster = nodes(2)
    pushing(cluster, "s1", "b")
    stream = f"domain={cluster.domain}&app=live&stream"
    here, there = (cluster.servers[node].get(f"/_localyun/explain?{stream}=s1") for node in "ba")
    assert here["live"]["media"] and there["live"]["since"] == here["live"]["since"], (here, there)
    assert (there["note"], there["words"]["note"]) == (here["note"], here["words"]["note"])
    for node in "ab":
        assert cluster.servers[node].get(f"/_localyun/explain?{stream}=nobody")["live"] is None
        at = urlsplit(cluster.servers[node].api)
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
        connection.request("GET", f"/_localyun/ui/live?{stream}=s1")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("content-type")) == (200, "video/mp4"), node
        began, got = time.monotonic(), b""
        # A stream that nobody watches is fetched for 5 s.
        while time.monotonic() - began < 8:
            piece = answer.read1(65536)
            assert piece, f"the picture ends at {node}"
            got += piece
        assert b"moov" in got and b"moof" in got, node
        connection.close()
        assert cluster.servers[node].control("GET", f"/_localyun/ui/live?{stream}=nobody")[0] == 404, node


def test_viewers_are_counted_on_all_nodes(nodes):
    cluster = nodes(3, lease=LONG)
    lives = [pushing(cluster, stream, node) for stream, node in (("s1", "a"), ("s2", "c"))]
    watches = [watch(cluster, node, cluster.domain, stream) for node, stream in (("a", "s1"), ("b", "s1"), ("b", "s1"), ("c", "s2"))]
    assert [it.status for it in watches] == [200] * 4

    def counted(node: str) -> tuple[int, dict]:
        told = cluster.api(node).call("DescribeLiveDomainOnlineUserNum", DomainName=cluster.domain)
        streams = told["OnlineUserInfo"]["LiveStreamOnlineUserNumInfo"]
        return told["UserCount"], {row["StreamName"]: row["Infos"]["Info"][0]["UserNumber"] for row in streams}

    for node in "abc":
        assert counted(node) == (4, {"s1": 3, "s2": 1}), node
        told = cluster.api(node).call("DescribeLiveStreamOnlineUserNum", **named(cluster))
        assert told["TotalUserNumber"] == 3, (node, told)
    with hanging(cluster, "b"):
        began = time.monotonic()
        assert counted("a") == (2, {"s1": 1, "s2": 1})
        assert time.monotonic() - began < 1.5
    for live in lives:
        live.publishers[-1].drop()
    wait_for(lambda: counted("a") == (0, {}), 10, "the viewers' end")
