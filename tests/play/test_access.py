"""Who may watch, and what everybody else is told."""

import hashlib

import pytest
from harness.server import Server
from harness.stage import Stage
from harness.wait import wait_for
from players import Push, address, ask, fetch, functions, play, play_in_background, raw


@pytest.fixture
def live(stage):
    """A stage whose stream `s1` is live for the whole test."""
    publisher = stage.publisher("s1")
    publisher.push(3)
    wait_for(lambda: stage.server.is_live(*publisher.key), 5, "the stream to be live")
    return stage


def set_functions(stage, *given, domain: str | None = None) -> None:
    """Sets functions on the play domain."""
    stage.api.call("BatchSetLiveDomainConfigs", DomainNames=domain or stage.domain, Functions=functions(*given))


def key(uri: str, secret: str, at: int) -> str:
    """A type A key."""
    digest = hashlib.md5(f"{uri}-{at}-0-0-{secret}".encode()).hexdigest()
    return f"auth_key={at}-0-0-{digest}"


@pytest.mark.parametrize("form", ["flv", "mp4", "m3u8"])
def test_answers_are_open_to_every_page(live, form):
    here, nobody = address(live.server, form, live.domain), address(live.server, form, live.domain, "nobody")
    for method, url, status in (("GET", here, 200), ("HEAD", here, 200), ("OPTIONS", here, 204), ("GET", nobody, 404), ("HEAD", nobody, 404), ("POST", here, 405)):
        got, headers, body = ask(url, method, {"Origin": "https://page.example"})
        assert got == status, (method, url, got, body)
        assert headers["access-control-allow-origin"] == "*", (method, url)
    assert b"is not live" in ask(nobody)[2]
    got, headers, _ = ask(here, "HEAD")
    kinds = {"flv": "video/x-flv", "mp4": "video/mp4", "m3u8": "application/vnd.apple.mpegurl"}
    assert headers["content-type"] == kinds[form] and "content-length" not in headers
    got, headers, body = ask(here, headers={"Range": "bytes=0-"})
    assert (got, headers["accept-ranges"]) == (200, "none") and body
    got, headers, _ = ask(here, headers={"Range": "bytes=100-200"})
    assert got == 200 and "content-range" not in headers
    allowed = ask(here, "OPTIONS", {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"})[1]
    assert "GET" in allowed["access-control-allow-methods"]


def test_a_domain_may_close_what_is_open_to_every_page(live):
    """For answers, refusals and what a browser asks beforehand; what the domain does not name stays as it is."""
    slices = lambda: [line for line in fetch(address(live.server, "m3u8", live.domain)).decode().splitlines() if line.startswith("s1-")]
    set_functions(
        live,
        ("set_resp_header", {"key": "Access-Control-Allow-Origin", "value": "https://page.example"}),
        ("set_resp_header", {"key": "Timing-Allow-Origin", "value": "null"}),
    )
    asked = [("GET", f"{live.server.play}/live/{slices()[0]}", 200), ("GET", f"{live.server.play}/live/{slices()[0].replace('s1-0.ts', 's1-999.ts')}", 404)]
    for form in ("flv", "mp4", "m3u8"):
        here, nobody = address(live.server, form, live.domain), address(live.server, form, live.domain, "nobody")
        asked += [("GET", here, 200), ("HEAD", here, 200), ("OPTIONS", here, 204), ("GET", nobody, 404)]
    for method, url, status in asked:
        got, headers, body = ask(url, method, {"Origin": "https://other.example"})
        assert got == status, (method, url, got, body)
        assert headers["access-control-allow-origin"] == "https://page.example", (method, url, headers)
        assert "timing-allow-origin" not in headers and headers["access-control-allow-headers"] == "*", (method, url, headers)
    # Another domain has nothing of that.
    assert ask(address(live.server, "flv", f"other-{live.domain}"))[1]["access-control-allow-origin"] == "*"


def test_path_tricks_are_refused(live):
    for path in (
        "/live/../live/s1.flv",
        "/live/..%2f..%2fetc%2fpasswd.flv",
        "/live/%2e%2e/s1.flv",
        "/live/s1.flv/",
        "//live/s1.flv",
        "/live//s1.flv",
        "/live/s1%00.flv",
        "/live\\s1.flv",
        "/live/s1",
        "/live/s1.exe",
        "/live/*.flv",
        "/%ff/s1.flv",
        "/",
        "/live/%2e%2e%2fs1.flv",
        "/%2e/s1.flv",
        "/live/s1.flv%00",
        "/%00/s1.flv",
        "//",
        "/live//",
        "/../../etc/passwd",
        "/live/..;/s1.flv",
        "/live/" + "a" * 3000 + ".flv",
        "/live/" + "a" * 100_000 + ".flv",
        "/" + "a/" * 900 + "s1.flv",
    ):
        answer = raw(live.server.play, f"GET {path}?vhost={live.domain}")
        status = int(answer.split(b" ", 2)[1])
        assert 400 <= status < 500, (path, answer[:200])


def test_name_tricks_are_refused_over_rtmp(live):
    host = f"rtmp://{live.server.rtmp_host}:{live.server.rtmp_port}"
    for path in ("live/../s1", "live/..", "live/%2e%2e", "live/s1%00", "live/" + "a" * 3000, "live/s1.flv", "live/*"):
        refused = play(f"{host}/{path}?vhost={live.domain}", "--seconds", "2")
        assert refused.returncode in (1, 2) and not refused.stdout, (path, refused)
    assert play(f"{host}/live/s1?vhost={live.domain}", "--seconds", "1").returncode == 0


def test_protocols_that_a_domain_keeps_out(live):
    """As the provider `alicloudextend` sets it."""
    set_functions(live, ("alilive", {"enable": "on", "live_forbid_rtmp": "on", "live_forbid_hls": "on"}))
    told = {form: ask(address(live.server, form, live.domain))[0] for form in ("flv", "mp4", "m3u8")}
    assert told == {"flv": 200, "mp4": 200, "m3u8": 403}
    refused = play(address(live.server, "rtmp", live.domain), "--seconds", "1")
    assert refused.returncode == 1 and "alilive" in refused.stderr


def test_a_domain_must_be_named(stage):
    with Server() as server:
        status, _, body = ask(f"{server.play}/live/s1.flv")
        assert status == 404 and b"vhost=" in body
        # The one domain that has a rule is meant.
        own = Stage(server, stage.receiver, stage.folder)
        own.rule("mp4")
        assert ask(f"{server.play}/live/s1.flv")[2] == f"{own.domain}/live/s1 is not live\n".encode()
        # A host name is the domain.
        assert b"other.example.com/live/s1 is" in ask(f"{server.play}/live/s1.flv", headers={"Host": "other.example.com:80"})[2]


def test_what_is_pushed_to_an_ingest_domain_plays_at_its_play_domain(stage):
    push_domain = stage.domain.replace("play-", "push-")
    stage.api.call("AddLiveDomainMapping", PushDomain=push_domain, PullDomain=stage.domain)
    stage.publisher("s1", vhost=push_domain).push(3)
    wait_for(lambda: stage.server.is_live(stage.domain, "live", "s1"), 5, "the stream to be live")
    for form in ("flv", "mp4", "m3u8"):
        assert ask(address(stage.server, form, stage.domain))[0] == 200
        status, _, body = ask(address(stage.server, form, push_domain))
        assert status == 403 and stage.domain.encode() in body
    where = ["--play-addr", stage.server.play, "--rtmp-addr", stage.server.ready["rtmp"], "--stream", "s1", "--format", "rtmp", "--seconds", "1"]
    assert play("--domain", stage.domain, *where).returncode == 0
    refused = play("--domain", push_domain, *where)
    assert refused.returncode == 1 and stage.domain in refused.stderr


def test_a_signed_address_opens_and_its_slices_need_none(live):
    set_functions(live, ("aliauth", {"auth_type": "type_a", "auth_key1": "first", "auth_key2": "second", "ali_auth_delta": "60"}))
    now = int(live.now().timestamp())
    for form in ("flv", "mp4", "m3u8"):
        uri = f"/live/s1.{form}"
        status, _, body = ask(address(live.server, form, live.domain))
        assert (status, body) == (403, b"auth_key is missing\n")
        for query, want in (
            (key(uri, "first", now), 200),
            (key(uri, "second", now), 200),
            (key(uri, "wrong", now), 403),
            (key("/live/s1", "first", now), 403),
            (key(uri, "first", now - 90), 403),
        ):
            status, headers, body = ask(address(live.server, form, live.domain, query=query))
            assert status == want, (form, query, body)
            assert headers["access-control-allow-origin"] == "*"
    rtmp = ["--domain", live.domain, "--stream", "s1", "--format", "rtmp", "--rtmp-addr", live.server.ready["rtmp"], "--seconds", "1"]
    assert "auth_key is missing" in play(*rtmp).stderr
    assert play(*rtmp, "--query", key("/live/s1", "first", now)).returncode == 0
    # A playlist that was opened goes on when its address has run out, and its slices carry their own right.
    at = int(live.now().timestamp()) - 57
    url = address(live.server, "m3u8", live.domain, query=key("/live/s1.m3u8", "first", at))
    slices = [line for line in fetch(url).decode().splitlines() if line.startswith("s1-")]
    wait_for(lambda: live.now().timestamp() > at + 61, 8, "the address to run out")
    assert ask(url, headers={"User-Agent": "another"})[2] == b"auth_key is expired\n"
    assert fetch(url).startswith(b"#EXTM3U")
    assert ask(f"{live.server.play}/live/{slices[0]}")[0] == 200


def test_lists_of_addresses_and_referers(live):
    url = address(live.server, "flv", live.domain)
    set_functions(live, ("referer_white_list_set", {"refer_domain_allow_list": "good.example,*.fine.example", "allow_empty": "off"}))
    for referer, want in (("https://good.example/x", 200), ("https://a.fine.example/", 200), ("https://evil.example/", 403), (None, 403)):
        assert ask(url, headers={"Referer": referer} if referer else {})[0] == want, referer
    # A page that is kept out is not let in by another one of the same browser.
    playlist = address(live.server, "m3u8", live.domain)
    for referer, want in (("https://good.example/x", 200), ("https://good.example/y", 200), ("https://evil.example/", 403), (None, 403)):
        assert ask(playlist, headers={"Referer": referer} if referer else {})[0] == want, referer
    # RTMP has no Referer.
    rtmp = ["--domain", live.domain, "--stream", "s1", "--format", "rtmp", "--rtmp-addr", live.server.ready["rtmp"], "--seconds", "1"]
    assert play(*rtmp).returncode == 0
    live.api.call("BatchDeleteLiveDomainConfigs", DomainNames=live.domain, FunctionNames="referer_white_list_set")
    set_functions(live, ("ip_black_list_set", {"ip_list": "127.0.0.0/8"}))
    status, _, body = ask(url)
    assert status == 403 and b"ip_black_list_set" in body
    refused = play(*rtmp)
    assert refused.returncode == 1 and "ip_black_list_set" in refused.stderr
    live.api.call("BatchDeleteLiveDomainConfigs", DomainNames=live.domain, FunctionNames="ip_black_list_set")
    set_functions(live, ("set_resp_header", {"key": "X-Own", "value": "yes"}), ("set_resp_header", {"key": "Cache-Control", "value": "null"}))
    status, headers, _ = ask(url)
    assert (status, headers["x-own"]) == (200, "yes") and "cache-control" not in headers


def test_https_alone(receiver, tmp_path):
    with Server("--play-tls-addr", "127.0.0.1:0") as server:
        stage = Stage(server, receiver, tmp_path)
        publisher = stage.publisher("s1")
        publisher.push(3)
        set_functions(stage, ("https_force", {"enable": "on"}))
        url = address(server, "flv", stage.domain)
        status, headers, _ = ask(url)
        assert status == 302 and headers["location"].startswith(f"https://127.0.0.1:{server.ready['play_tls'].rsplit(':', 1)[1]}/live/s1.flv?vhost=")
        trust = ["--ca-file", str(server.data_dir / "tls" / "cert.pem")]
        for address_of in (url, headers["location"]):
            done = play(address_of, "--seconds", "1", *trust)
            assert done.returncode == 0, done.stderr
        publisher.leave()


def test_viewers_of_a_stopped_domain_are_cut(stage, tmp_path):
    """Those of a sub play domain alone where that is stopped, all where the main domain is."""
    main, sub = stage.domain, stage.domain.replace("play-", "sub-")
    for domain in (main, sub):
        stage.api.call("AddLiveDomain", DomainName=domain, LiveDomainType="liveVideo", Region="cn-shanghai")
    stage.api.call("AddLiveDomainPlayMapping", PullDomain=main, PlayDomain=sub)
    push = Push(stage.server, main).run(30)
    wait_for(lambda: stage.server.is_live(main, "live", "s1"), 5, "the stream to be live")
    watching = {
        (domain, form): play_in_background(address(stage.server, form, domain), tmp_path / f"{domain}.{form}") for domain in (main, sub) for form in ("flv", "rtmp")
    }
    viewers = lambda: next(row["viewers"] for row in rows(stage))
    wait_for(lambda: viewers() == len(watching), 10, "all viewers")
    playlist = address(stage.server, "m3u8", sub)
    slice_url = f"{stage.server.play}/live/" + next(line for line in fetch(playlist).decode().splitlines() if line.startswith("s1-"))
    assert ask(slice_url)[0] == 200
    stage.api.call("StopLiveDomain", DomainName=sub)
    for (domain, form), process in watching.items():
        if domain == sub:
            process.wait(3)
    assert ask(slice_url)[0] == 403
    for form in ("flv", "mp4", "m3u8"):
        status, _, body = ask(address(stage.server, form, sub))
        assert status == 403 and b"StopLiveDomain" in body, form
    assert [process.poll() for (domain, _), process in watching.items() if domain == main] == [None] * 2
    assert ask(address(stage.server, "flv", main))[0] == 200
    stage.api.call("StartLiveDomain", DomainName=sub)
    assert fetch(playlist).startswith(b"#EXTM3U")
    stage.api.call("StopLiveDomain", DomainName=main)
    for process in watching.values():
        process.wait(3)
    assert ask(address(stage.server, "flv", sub))[0] == 403
    push.stop()


def test_a_player_is_an_event_when_it_comes_and_when_it_goes(live):
    assert ask(address(live.server, "flv", live.domain))[0] == 200
    # It is noticed to be gone with the next bytes for it.
    wait_for(lambda: live.publishers[0].push(0.2) or rows(live)[0]["viewers"] == 0, 10, "the player to be gone")
    status, told = live.server.control("GET", f"/_localyun/wait?kind=play&domain={live.domain}&count=2&timeout_s=10")
    assert status == 200, told
    came, went = [event.get("data", event) for event in told["events"]][:2]
    assert (came["what"], went["what"], went["player"], went["play_domain"]) == ("came", "went", "flv", live.domain), told
    assert went["bytes"] > 0 and went["skips"] == 0


def rows(stage) -> list[dict]:
    """The stage's streams."""
    return [row for row in stage.server.streams() if row["domain"] == stage.domain]
