"""Who may publish: the domain that a stream is published to decides, however the push named it."""

import hashlib
import json
import uuid

import pytest

from harness.publisher import Publisher, Refused
from harness.wait import wait_for

PUSH_KEY, PLAY_KEY = "pushkey0123456789", "playkey0123456789"


def auth_key(key: str, stream: str = "s1", app: str = "live", at: int = 4_102_444_800) -> str:
    """Type A: of an address that lasts."""
    return f"{at}-0-0-" + hashlib.md5(f"/{app}/{stream}-{at}-0-0-{key}".encode()).hexdigest()


@pytest.fixture
def domains(server, stage):
    """A streaming domain and an ingest domain that is mapped to it; `protect` sets a domain's key."""
    tag = uuid.uuid4().hex[:8]
    play, push = f"play-{tag}.example.com", f"push-{tag}.example.com"
    stage.api.call("AddLiveDomain", DomainName=play, LiveDomainType="liveVideo", Region="cn-shanghai")
    stage.api.call("AddLiveDomain", DomainName=push, LiveDomainType="liveEdge", Region="cn-shanghai")
    stage.api.call("AddLiveDomainMapping", PullDomain=play, PushDomain=push)

    def protect(domain: str, key: str | None) -> None:
        args = {"auth_type": "type_a", "auth_key1": key} if key else {"auth_type": "no_auth"}
        functions = [{"functionName": "aliauth", "functionArgs": [{"argName": k, "argValue": v} for k, v in args.items()]}]
        stage.api.call("BatchSetLiveDomainConfigs", DomainNames=domain, Functions=json.dumps(functions))

    return play, push, protect


def ways(domain: str, host: str, port: int):
    """Every way by which a push can name its domain: stream name, application, tcUrl's host, tcUrl's query."""
    own = f"{host}:{port}"
    yield "argument of the stream", "live", "s1?vhost={0}&{1}".replace("{0}", domain), f"rtmp://{own}/live"
    yield "argument beside a strange host", "live", "s1?vhost={0}&{1}".replace("{0}", domain), "rtmp://harmless.example.com/live"
    yield "argument in capitals", "live", "s1?vhost={0}&{1}".replace("{0}", domain.upper()), f"rtmp://{own}/live"
    yield "argument with a dot", "live", "s1?vhost={0}.&{1}".replace("{0}", domain), f"rtmp://{own}/live"
    yield "argument of the application", f"live?vhost={domain}", "s1?{1}", f"rtmp://{own}/live?vhost={domain}"
    yield "argument of tcUrl", "live", "s1?{1}", f"rtmp://{own}/live?vhost={domain}"
    yield "host of tcUrl", "live", "s1?{1}", f"rtmp://{domain}/live"


def try_to_push(server, app: str, name: str, tc_url: str, query: str) -> bool:
    """Whether a push is let in."""
    try:
        publisher = Publisher(server.rtmp_host, server.rtmp_port, app, name.replace("{1}", query), tc_url=tc_url)
    except Refused as refused:
        assert "auth_key" in refused.description, refused
        return False
    publisher.drop()
    publisher.closed.wait(5)
    return True


def outcomes(server, domain: str, query: str) -> dict[str, bool]:
    found = {}
    for way, app, name, tc_url in ways(domain, server.rtmp_host, server.rtmp_port):
        found[way] = try_to_push(server, app, name, tc_url, query)
        # The place is free for the next one.
        for stream in server.streams():
            server.control("DELETE", f"/_localyun/streams/{stream['domain']}/{stream['app']}/{stream['stream']}")
    return found


def test_a_protected_ingest_domain_is_protected_however_it_is_named(server, domains):
    play, push, protect = domains
    protect(push, PUSH_KEY)
    for query, may in (("x=1", False), ("auth_key=1-0-0-bad", False), (f"auth_key={auth_key(PLAY_KEY)}", False), (f"auth_key={auth_key(PUSH_KEY)}", True)):
        for domain in (push, play):
            assert set(outcomes(server, domain, query).values()) == {may}, (domain, query, outcomes(server, domain, query))


def test_the_keys_of_viewers_do_not_open_a_push_beside_those_of_publishers(server, domains):
    play, push, protect = domains
    protect(push, PUSH_KEY)
    protect(play, PLAY_KEY)
    for domain in (push, play):
        assert set(outcomes(server, domain, f"auth_key={auth_key(PLAY_KEY)}").values()) == {False}, domain
        assert set(outcomes(server, domain, f"auth_key={auth_key(PUSH_KEY)}").values()) == {True}, domain


def test_a_streaming_domains_keys_count_where_no_ingest_domain_has_any(server, domains):
    play, push, protect = domains
    protect(play, PLAY_KEY)
    for domain in (push, play):
        assert set(outcomes(server, domain, "x=1").values()) == {False}, domain
        assert set(outcomes(server, domain, f"auth_key={auth_key(PLAY_KEY)}").values()) == {True}, domain
    protect(push, None)
    assert set(outcomes(server, push, "x=1").values()) == {True}, "the ingest domain says that nobody has to sign"


def test_the_key_of_another_domain_opens_nothing(server, domains, stage):
    play, push, protect = domains
    protect(push, PUSH_KEY)
    other = f"other-{uuid.uuid4().hex[:8]}.example.com"
    protect(other, PLAY_KEY)
    name = f"s1?vhost={push}&auth_key={auth_key(PLAY_KEY)}"
    assert not try_to_push(server, "live", name, f"rtmp://{other}/live", "")
    # Two that are named: the first place decides, for the stream and for the key.
    assert not try_to_push(server, f"live?vhost={other}", f"s1?vhost={push}&auth_key={auth_key(PLAY_KEY)}", f"rtmp://{other}/live?vhost={other}", "")


def test_who_is_told_of_a_push_is_whose_domain_it_was_published_to(server, domains, stage):
    """A publisher must not keep its push from being told by naming another host beside the domain."""
    play, push, _ = domains
    stage.api.call("SetLiveStreamsNotifyUrlConfig", DomainName=push, NotifyUrl=stage.inbox.url)
    publisher = Publisher(server.rtmp_host, server.rtmp_port, "live", f"s1?vhost={push}", tc_url="rtmp://harmless.example.com/live")
    publisher.push(2)
    server.advance(5)
    publisher.leave()
    wait_for(lambda: stage.inbox.requests, what="the callback")
    assert "action=publish&" in stage.inbox.requests[0].query + "&"
