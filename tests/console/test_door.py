"""Who gets the console, and what nobody gets: strangers' pages, strangers' names, text as markup, the token in an address."""

import json
import urllib.parse

import boto3
import pytest
from botocore.config import Config
from browser import control, host_of
from harness.server import Server

POLICY = ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'")


def raw(server, path: str, headers: dict, method: str = "GET"):
    """A request with any headers, its status, headers and body."""
    import http.client
    connection = http.client.HTTPConnection(host_of(server), timeout=20)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def test_the_page_has_a_policy_without_exceptions(fresh):
    status, headers, body = raw(fresh, "/_localyun/ui/", {"Accept": "text/html"})
    assert status == 200 and b"<title>localyun</title>" in body
    policy = headers["content-security-policy"]
    for part in POLICY:
        assert part in policy
    assert "unsafe" not in policy and "http:" not in policy and "https:" not in policy and "*" not in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    again = raw(fresh, "/_localyun/ui/", {"If-None-Match": headers["etag"]})
    assert again[0] == 304 and again[2] == b""
    assert raw(fresh, "/_localyun/ui/nothing.js", {})[0] == 404
    assert raw(fresh, "/_localyun/ui/..%2fCargo.toml", {})[0] == 404
    assert raw(fresh, "/_localyun/ui", {})[1]["location"] == "/_localyun/ui/"


def test_a_browser_at_the_root_is_led_to_the_console(browser, fresh):
    visit = browser.visit(fresh)
    visit.page.goto(f"{fresh.api}/")
    visit.page.wait_for_url("**/_localyun/ui/**")
    visit.page.locator("h1", has_text="Now").wait_for()
    visit.check()
    visit.page.context.close()


def test_a_strangers_page_and_a_strangers_name_get_nothing(fresh):
    for path in ("/_localyun/ui/app.js", "/_localyun/ui/object?bucket=b&key=k", "/_localyun/ui/play?bucket=b&key=k.flv", "/_localyun/rules", "/_localyun/buckets"):
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
            status, _, body = raw(fresh, path, headers)
            assert status == 403 and b"import" not in body, (path, headers, status)
    # A link to the console may be followed; a link to an object may not.
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert raw(fresh, "/_localyun/ui/", link)[0] == 200
    assert raw(fresh, "/_localyun/ui/object?bucket=b&key=k", link)[0] == 403
    status, _, body = raw(fresh, "/_localyun/call", {"Origin": "http://evil.example", "Content-Length": "0"}, "POST")
    assert status == 403


def test_an_object_is_no_page_of_this_origin(browser, fresh):
    store = boto3.client("s3", endpoint_url=fresh.oss, aws_access_key_id="testid", aws_secret_access_key="testsecret", region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
    store.create_bucket(Bucket="pages")
    evil = b"<html><script>fetch('/_localyun/reset', {method: 'POST'}); document.title = 'taken'</script></html>"
    for key, kind in (("x.html", "text/html"), ("x.svg", "image/svg+xml"), ("x.js", "text/javascript")):
        store.put_object(Bucket="pages", Key=key, Body=evil, ContentType=kind)
        status, headers, _ = raw(fresh, f"/_localyun/ui/object?bucket=pages&key={key}", {})
        assert status == 200 and headers["content-type"] in ("text/plain; charset=utf-8", "application/octet-stream"), headers
        assert "sandbox" in headers["content-security-policy"] and headers["x-content-type-options"] == "nosniff"
    assert control(fresh, "GET", "buckets")[1]["total"] == 1


def test_ranges_of_an_object(fresh):
    store = boto3.client("s3", endpoint_url=fresh.oss, aws_access_key_id="testid", aws_secret_access_key="testsecret", region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
    store.create_bucket(Bucket="ranges")
    store.put_object(Bucket="ranges", Key="a b/中.bin", Body=bytes(range(100)))
    path = "/_localyun/ui/object?" + urllib.parse.urlencode({"bucket": "ranges", "key": "a b/中.bin"})
    for asked, wanted, told in (("bytes=0-9", range(10), "bytes 0-9/100"), ("bytes=90-", range(90, 100), "bytes 90-99/100"), ("bytes=-5", range(95, 100), "bytes 95-99/100"), ("bytes=95-400", range(95, 100), "bytes 95-99/100")):
        status, headers, body = raw(fresh, path, {"Range": asked})
        assert (status, body, headers["content-range"]) == (206, bytes(wanted), told), asked
    assert raw(fresh, path, {})[2] == bytes(range(100))
    assert raw(fresh, path, {"Range": "bytes=100-"})[0] == 416
    assert raw(fresh, path, {"Range": "bytes=9-2"})[0] == 200
    assert raw(fresh, "/_localyun/ui/object?bucket=ranges&key=none", {})[0] == 404
    assert raw(fresh, "/_localyun/ui/play?bucket=ranges&key=a%20b/x.flv", {})[0] == 404


def test_what_is_no_recording_is_told_by_the_status(fresh):
    store = boto3.client("s3", endpoint_url=fresh.oss, aws_access_key_id="testid", aws_secret_access_key="testsecret", region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
    store.create_bucket(Bucket="junk")
    for key, content, wanted in (("a.flv", b"GIF89a" * 100, 415), ("a.ts", b"\0" * 200_000, 415), ("a.m3u8", b"#EXTM3U\n", 415), ("b.m3u8", b"#EXTM3U\n#EXTINF:1,\n../../x.ts\n", 415), ("c.m3u8", b"#EXTM3U\n#EXTINF:1,\nnone.ts\n", 404), ("a.txt", b"x", 415)):
        store.put_object(Bucket="junk", Key=key, Body=content)
        status, _, body = raw(fresh, f"/_localyun/ui/play?bucket=junk&key={key}", {})
        assert status == wanted and json.loads(body)["error"], (key, status, body[:200])


@pytest.fixture(scope="module")
def guarded():
    with Server("--control-token", "a-token-of-the-test", "--play-addr", "127.0.0.1:0") as server:
        yield server


def test_with_a_token_the_page_asks_for_it_and_plays_by_tickets(browser, guarded):
    token = "a-token-of-the-test"
    for action, params in (("AddLiveAppRecordConfig", {"DomainName": "play.example.com", "AppName": "live", "StreamName": "*", "OssBucket": "recordings", "OssEndpoint": "oss-cn-shanghai.aliyuncs.com", "RecordFormat.1.Format": "flv", "RecordFormat.1.CycleDuration": "900"}),):
        assert control(guarded, "POST", "call", {"action": action, "params": params}, token)[1]["status"] == 200
    control(guarded, "POST", "streams", {"domain": "play.example.com", "stream": "t", "seconds": 10, "speed": 0, "wait": True}, token)
    control(guarded, "POST", "clock/advance", {"seconds": 200}, token)
    visit = browser.visit(guarded)
    visit.allow("401")
    page = visit.page
    page.goto(f"{guarded.api}/_localyun/ui/#/recordings")
    window = page.locator("dialog")
    window.get_by_label("Control token").fill("wrong")
    visit.press("Use it", window)
    window.get_by_text("does not hold the control token").wait_for()
    window.get_by_label("Control token").fill(token)
    visit.press("Use it", window)
    page.locator(".rows a").first.click()
    visit.press("Play", page.locator("li.file").first)
    assert visit.play_to_the_end()["ended"]
    assert not [url for url in visit.asked if token in url]
    tickets = [url for url in visit.asked if "ticket=" in url]
    assert tickets
    visit.check()
    # The ticket opens its object alone.
    path = tickets[0].removeprefix(guarded.api)
    assert raw(guarded, path, {})[0] == 200
    assert raw(guarded, path.replace("flv", "mp4"), {})[0] == 401
    assert raw(guarded, path.split("&until=")[0], {})[0] == 401
    assert raw(guarded, "/_localyun/streams" + "?" + path.split("?")[1], {})[0] == 401
    page.context.close()


def test_with_a_token_every_curl_line_carries_it(browser, guarded):
    visit = browser.visit(guarded, token="a-token-of-the-test")
    bearer = '-H "Authorization: Bearer $LOCALYUN_CONTROL_TOKEN"'
    visit.go("faults")
    assert visit.page.locator("form.card pre").inner_text().startswith(f"curl -X PUT {bearer} {guarded.api}/_localyun/faults -d '{{")
    visit.go("calls", "new", query="?action=DescribeLiveRecordConfig")
    made = visit.page.locator(".thecall")
    visit.press("curl", made)
    assert made.locator("pre").inner_text().startswith(f"curl -X POST {bearer} {guarded.api}/_localyun/call -d '{{")
    visit.check()
    visit.page.context.close()


def test_a_ticket_is_given_for_media_alone(guarded):
    token = "a-token-of-the-test"
    for path in ("/_localyun/reset", "/_localyun/snapshot?x=1", "http://evil.example/_localyun/ui/object?x", "/_localyun/ui/object"):
        assert control(guarded, "POST", "ui/ticket", {"path": path}, token)[0] == 400
    assert control(guarded, "POST", "ui/ticket", {"path": "/_localyun/ui/object?bucket=a&key=b"})[0] == 401
