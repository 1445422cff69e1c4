"""Every screen and every button on a real server. A screen that shows nothing fails."""

import hashlib
import json
import re
import shlex
import subprocess
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from browser import control
from harness.server import Server, binary, clean_environment

DOMAIN = "play.example.com"
SCREENS = ("now", "streams", "recordings", "callbacks", "calls", "rules", "objects", "faults", "state")


def until(page, condition: str) -> None:
    """Waits for what the page is asked for. The browser's own way to wait makes code of a text in the page, which its policy forbids."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"waited 20 s for {condition}")


def call(server, action: str, **params) -> dict:
    status, answer = control(server, "POST", "call", {"action": action, "params": {name.replace("__", "."): value for name, value in params.items()}})
    assert status == 200 and answer["status"] == 200, answer
    return answer


def store_of(server):
    """A client of the server's object store."""
    return boto3.client("s3", endpoint_url=server.oss, aws_access_key_id="testid", aws_secret_access_key="testsecret", region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))


def refuses(route) -> None:
    """An answer in the place of the server's, for what it would not refuse by itself."""
    route.fulfill(status=409, json={"error": "not in this test"})


def recorded(server, stream: str = "s1", seconds: int = 10, notify: str | None = None) -> None:
    """A recording in three formats, closed."""
    call(server, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com",
         RecordFormat__1__Format="mp4", RecordFormat__1__CycleDuration="900", RecordFormat__2__Format="m3u8", RecordFormat__2__CycleDuration="900", RecordFormat__3__Format="flv", RecordFormat__3__CycleDuration="900")
    if notify:
        call(server, "AddLiveRecordNotifyConfig", DomainName=DOMAIN, NotifyUrl=notify, NeedStatusNotify="true", NotifyReqAuth="true", NotifyAuthKey="aKeyOfCallbacks16")
    control(server, "POST", "streams", {"domain": DOMAIN, "stream": stream, "seconds": seconds, "speed": 0, "wait": True})
    control(server, "POST", "clock/advance", {"seconds": 200})


def refused_signature(server, **more) -> None:
    """A call whose signature is that of another text: the client forgot to encode twice."""
    query = {"Action": "DescribeLiveRecordConfig", "Version": "2016-11-01", "Format": "JSON", "AccessKeyId": "testid", "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
             "SignatureNonce": "n" + hashlib.md5(str(more).encode()).hexdigest(), "Timestamp": control(server, "GET", "clock")[1]["now"], "DomainName": DOMAIN} | more
    import base64
    import hmac
    text = "GET&/&" + "&".join(f"{name}={query[name]}" for name in sorted(query))
    query["Signature"] = base64.b64encode(hmac.new(b"testsecret&", text.encode(), hashlib.sha1).digest()).decode()
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{server.api}/?{urllib.parse.urlencode(query)}", timeout=20)
        raise AssertionError("the signature was taken")
    except urllib.error.HTTPError as refused:
        assert json.loads(refused.read())["Code"] == "SignatureDoesNotMatch"


@pytest.mark.parametrize("screen", SCREENS)
def test_an_empty_screen_teaches(visit, screen):
    visit.go(screen)
    text = visit.page.locator("main .screen").inner_text()
    assert len(text) > 80, f"{screen} shows nothing: {text!r}"
    # Each view as curl and as JSON.
    visit.page.locator("main .sources").get_by_role("button", name="as curl").click()
    visit.page.locator("dialog pre", has_text=re.compile("^curl .?http")).first.wait_for()
    visit.page.keyboard.press("Escape")
    visit.page.locator("main .sources").get_by_role("button", name="as JSON").click()
    body = visit.page.locator("dialog pre").first.inner_text()
    assert body.strip().startswith("{") and len(body) > 10


def test_now_tells_what_happens_filters_pauses_and_clears(visit, fresh):
    page = visit.page
    visit.go("now")
    recorded(fresh)
    rows = page.locator(".happenings li")
    for kind in ("call", "publish", "record", "file", "clock"):
        page.locator(".happenings .badge", has_text=re.compile(f"^{kind}$")).first.wait_for()
    page.locator(".counters li", has_text="recordings").get_by_text("1", exact=True).wait_for()
    visit.press("publish", page.locator(".toggles"))
    until(page, "[...document.querySelectorAll('.happenings .badge')].every((it) => it.textContent === 'publish')")
    assert rows.count() >= 1 and "kinds=publish" in page.url
    visit.press("publish", page.locator(".toggles"))
    page.get_by_label("Search").fill("nothing-like-that")
    visit.sees("Nothing like that has happened yet.")
    page.get_by_label("Search").fill("")
    rows.first.wait_for()
    visit.press("Pause")
    before = rows.count()
    call(fresh, "DescribeLiveRecordConfig", DomainName=DOMAIN)
    page.wait_for_timeout(1200)
    assert rows.count() == before
    visit.press("Go on")
    until(page, f"document.querySelectorAll('.happenings li').length > {before}")
    refused_signature(fresh)
    page.get_by_label("Problems only").check()
    until(page, "document.querySelectorAll('.happenings li').length === document.querySelectorAll('.happenings li.wrong').length && document.querySelectorAll('.happenings li').length > 0")
    page.get_by_label("Problems only").uncheck()
    visit.press("Clear")
    until(page, "document.querySelectorAll('.happenings li').length === 0")
    visit.press("Publish a clip")
    visit.press("Close", page.locator("dialog"))


def test_a_reset_takes_what_happened_before_it_off_the_pages(visit, fresh):
    page = visit.page
    recorded(fresh)
    visit.go("now")
    page.locator(".happenings .badge", has_text=re.compile("^file$")).first.wait_for()
    # Of another screen that shows it, and while another one is open.
    visit.go("recordings")
    page.locator("main .rows li").first.wait_for()
    assert control(fresh, "POST", "reset")[0] == 200
    page.locator("main form.publish").wait_for()
    visit.go("now")
    page.locator(".happenings .badge", has_text=re.compile("^clock$")).first.wait_for()
    kept = control(fresh, "GET", "wait?count=1&timeout_s=0")[1]
    assert page.locator(".happenings li").count() <= kept["count"] + 5
    assert page.locator(".happenings .badge", has_text=re.compile("^(file|publish|call)$")).count() == 0


@pytest.mark.parametrize(("language", "wanted"), [("en", "The server does not answer."), ("zh", "服务没有应答")])
def test_a_server_that_is_gone_is_told_in_the_readers_language(browser, language, wanted):
    with Server() as server:
        visit = browser.visit(server, language)
        visit.allow("Failed to load resource")
        visit.go("faults")
    page = visit.page
    for screen in SCREENS:
        page.evaluate(f"location.hash = '#/{screen}'")
        page.locator(f"main .screen.{screen}").wait_for()
        page.locator("main .problem", has_text=wanted).wait_for()
        assert "Failed to fetch" not in page.locator("main").inner_text()
        for name in page.locator("main button:visible").all_inner_texts():
            assert name.strip() and name not in ("Show more", "显示更多"), screen
    visit.check()
    page.context.close()


def test_a_restart_takes_what_happened_before_it_off_the_page(browser, tmp_path):
    """Nothing has happened since, so that only the events' route can tell."""
    folder = tmp_path / "data"
    with Server(data_dir=folder) as first:
        visit = browser.visit(first)
        visit.allow("Failed to load resource")
        visit.go("now")
        control(first, "POST", "call", {"action": "AddLiveStreamTranscode", "params": {"Domain": DOMAIN, "App": "live", "Template": "lsd"}})
        visit.page.locator(".happenings .badge", has_text=re.compile("^call$")).first.wait_for()
        visit.page.locator(".badges", has_text="not implemented").wait_for()
        api = urllib.parse.urlsplit(first.api).netloc
    with Server("--api-addr", api, data_dir=folder):
        until(visit.page, "document.querySelectorAll('.happenings li').length === 0")
        visit.page.locator(".badges", has_text="not implemented").wait_for(state="detached")
    visit.check()
    visit.page.context.close()


def test_the_clock_of_the_top_bar(visit, fresh):
    page = visit.page
    visit.go("now")

    def shown() -> str:
        return page.locator(".clock .time").inner_text()

    def now() -> int:
        return control(fresh, "GET", "clock")[1]["now_ms"]

    start = now()
    visit.press("+3 min")
    visit.sees("what fell due is done", page)
    assert 180_000 <= now() - start < 200_000
    visit.press("+1 h")
    until(page, "document.querySelectorAll('#status .note').length > 1")
    assert now() - start >= 3_780_000
    visit.press("Freeze")
    visit.button("Let it run").wait_for()
    assert control(fresh, "GET", "clock")[1]["frozen"] is True
    first = shown()
    page.wait_for_timeout(1500)
    assert shown() == first
    visit.press("Let it run")
    visit.button("Freeze").wait_for()
    assert control(fresh, "GET", "clock")[1]["frozen"] is False
    # To the next due time where nothing is due.
    visit.press("to next due")
    visit.sees("Nothing is due", page)
    # The end of DelayTime.
    call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "due", "seconds": 5, "speed": 0, "wait": True})
    for _ in range(6):
        if control(fresh, "GET", "recordings")[1]["recordings"][0]["state"] == "ended":
            break
        visit.press("to next due")
        page.wait_for_timeout(700)
    assert control(fresh, "GET", "recordings")[1]["recordings"][0]["state"] == "ended"


def test_addresses_key_language_and_theme(visit, fresh):
    page = visit.page
    visit.go("now")
    page.locator(".addresses summary").click()
    text = page.locator(".addresses").inner_text()
    for address in (fresh.api, fresh.oss, fresh.ready["rtmp"], fresh.ready["play"], "testid"):
        assert address in text
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".addresses button").first.click()
    visit.sees("Copied.", page)
    assert page.evaluate("navigator.clipboard.readText()") == fresh.api
    page.get_by_role("button", name="中文").click()
    page.locator("h1", has_text="实时动态").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.get_by_role("button", name="English").click()
    page.locator("h1", has_text="Now").wait_for()
    page.get_by_label("Colours").select_option("dark")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_a_callback_is_read_resent_and_sent_edited_to_the_sink(visit, fresh):
    page = visit.page
    sink = f"{fresh.api}/_localyun/sink/console"
    recorded(fresh, notify="http://127.0.0.1:1/nobody")
    for _ in range(8):
        control(fresh, "POST", "clock/advance", {"seconds": 5})
    visit.go("callbacks", query="?state=failed")
    page.locator(".rows a", has_text="file recorded").first.click()
    visit.sees("POST http://127.0.0.1:1/nobody")
    assert page.locator(".attempts > li.wrong").count() == 6
    # The signature, by a box for the key.
    box = page.get_by_label("Check the signature with this key").first
    box.fill("another-key")
    visit.sees("The signature is not made with this key.")
    box.fill("aKeyOfCallbacks16")
    visit.sees("The signature is made with this key.")
    visit.press("Send again")
    page.locator("#alerts", has_text="Sent, and not taken: ").wait_for()
    assert page.locator("#status .note").count() == 0
    control(fresh, "POST", "clock/advance", {"seconds": 20})
    until(page, "document.querySelectorAll('.attempts > li').length === 12")
    visit.go("now", query="?kinds=callback")
    visit.sees("try 12")
    assert "/6" in page.locator(".happenings").inner_text() and "12/6" not in page.locator(".happenings").inner_text()
    page.go_back()
    page.locator(".attempts > li").first.wait_for()
    # Edited, to the sink.
    visit.press("Edit and send")
    window = page.locator("dialog")
    visit.press("to the built-in sink", window)
    assert window.get_by_label("URL").input_value() == sink
    window.locator("textarea").fill('{"edited": true}')
    visit.press("Send", window)
    page.wait_for_url(re.compile(r"#/callbacks/\d+$"))
    visit.sees("Sent.", page)
    page.locator(".detail h2 .badge", has_text="delivered").wait_for()
    visit.press("Built-in sink") if visit.button("Built-in sink").count() else page.get_by_role("link", name="Built-in sink").click()
    visit.sees('"edited": true')
    # What it answers from now on.
    page.get_by_label("Answers with status").fill("503")
    visit.press("Set")
    visit.sees("Saved.", page)
    assert control(fresh, "GET", "sinks/console")[1]["answer"]["status"] == 503
    visit.press("Empty it")
    visit.sees("Nothing came yet.")


def test_an_edited_callback_keeps_the_secret_of_its_address(visit, fresh):
    page = visit.page
    recorded(fresh, notify=f"{fresh.api}/_localyun/sink/console?token=s3cret")
    visit.go("callbacks")
    page.locator(".rows a", has_text="file recorded").first.click()
    page.locator(".attempts > li").first.wait_for()
    visit.press("Edit and send")
    window = page.locator("dialog")
    assert "***" in window.get_by_label("URL").input_value()
    window.locator("textarea").fill('{"edited": 1}')
    visit.press("Send", window)
    page.locator("#status .note", has_text="Sent.").wait_for()
    newest = control(fresh, "GET", "sinks/console?limit=1000")[1]["requests"][-1]
    assert (newest["body"], newest["query"]) == ('{"edited": 1}', "token=s3cret")
    page.locator(".detail pre", has_text='"edited": 1').wait_for()
    # One that was changed is sent as it stands.
    visit.press("Edit and send")
    window.get_by_label("URL").fill(f"{fresh.api}/_localyun/sink/other?token=another")
    window.locator("textarea").fill('{"edited": 2}')
    visit.press("Send", window)
    window.wait_for(state="detached")
    for _ in range(200):
        if others := control(fresh, "GET", "sinks/other")[1]["requests"]:
            break
        page.wait_for_timeout(100)
    assert [(it["body"], it["query"]) for it in others] == [('{"edited": 2}', "token=another")]


def test_the_sink_is_there_before_any_callback_and_its_form_keeps_what_is_typed(visit, fresh):
    page = visit.page
    xml = "<answer>\n  <code>0</code>\n</answer>\n"
    visit.go("callbacks")
    visit.sees("No callback has been made yet.")
    page.get_by_role("link", name="Built-in sink").click()
    status, delay = page.get_by_label("Answers with status"), page.get_by_label("After (ms)")
    status.wait_for(state="visible")
    visit.sees("Nothing came yet.")
    assert control(fresh, "PUT", "sinks/console", {"body": xml, "content_type": "application/xml", "status": 201})[0] == 200
    delay.fill("7")
    recorded(fresh, notify=f"{fresh.api}/_localyun/sink/console")
    page.locator(".detail tbody tr").first.wait_for()
    assert page.locator(".detail").get_by_text("Nothing came yet.").is_hidden()
    assert delay.input_value() == "7" and delay.evaluate("(node) => node === document.activeElement")
    # What a script has set since stands in the fields that nobody has touched.
    until(page, "[...document.querySelectorAll('.detail input')].some((it) => it.value === '201')")
    visit.press("Set")
    visit.sees("Saved.", page)
    assert control(fresh, "GET", "sinks/console")[1]["answer"] == {"status": 201, "content_type": "application/xml", "body": xml, "delay_ms": 7}
    # And so do several lines that are typed.
    page.get_by_label("Answer's body").fill("one\ntwo\n")
    visit.press("Set")
    for _ in range(200):
        told = control(fresh, "GET", "sinks/console")[1]["answer"]
        if told["body"] != xml:
            break
        page.wait_for_timeout(100)
    assert told == {"status": 201, "content_type": "application/xml", "body": "one\ntwo\n", "delay_ms": 7}


def test_deliveries_pause_and_go_on(visit, fresh):
    visit.go("callbacks")
    visit.press("Pause deliveries")
    visit.sees("Deliveries are paused", visit.page)
    recorded(fresh, notify=f"{fresh.api}/_localyun/sink/console")
    assert control(fresh, "GET", "sinks/console")[1]["total"] == 0
    visit.page.locator(".rows a", has_text="pending").first.wait_for()
    visit.press("Deliver again")
    visit.page.locator(".rows a", has_text="delivered").first.wait_for()
    assert control(fresh, "GET", "sinks/console")[1]["total"] > 0


def test_a_refused_call_shows_both_strings_and_where_they_part(visit, fresh):
    page = visit.page
    refused_signature(fresh)
    visit.go("calls", query="?problems=1")
    page.locator(".rows a", has_text="DescribeLiveRecordConfig").first.click()
    visit.sees("What the client signed")
    strings = page.locator(".difference pre").all_inner_texts()
    assert len(strings) == 2 and strings[0].startswith("GET&/&") and strings[1].startswith("GET&%2F&")
    marks = page.locator(".difference mark").all_inner_texts()
    assert marks == ["/", "%"]
    for language in ("curl", "Python", "Node.js", "Go", "Java"):
        visit.press(language)
        assert "DescribeLiveRecordConfig" in page.locator(".snippets pre").last.inner_text()


def test_parameters_stand_against_the_spec(visit, fresh):
    control(fresh, "POST", "call", {"action": "DescribeLiveRecordConfig", "params": {"DomainName": DOMAIN, "Colour": "blue"}})
    visit.go("calls")
    visit.page.locator(".rows a").first.click()
    rows = visit.page.locator(".detail tbody tr")
    rows.filter(has_text="Colour").get_by_text("unknown").wait_for()
    rows.filter(has_text="DomainName").get_by_text("taken").wait_for()
    rows.filter(has_text="PageSize").get_by_text("defaulted").wait_for()


def test_a_call_of_any_action(visit, fresh):
    page = visit.page
    visit.go("calls")
    page.get_by_role("link", name="Make a call").first.click()
    page.locator("#main").get_by_label("Action", exact=True).last.fill("DescribeLiveRecordConfig")
    page.get_by_label("DomainName *").fill(DOMAIN)
    assert f"DomainName={DOMAIN}" in page.locator(".thecall pre").first.inner_text()
    visit.press("Call")
    visit.sees('"LiveAppRecordList"')


def test_rules_in_order_and_who_wins(visit, fresh):
    page = visit.page
    for app, stream in (("*", "*"), ("live", "*"), ("live", "s1"), ("other", "*")):
        call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName=app, StreamName=stream, OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")
    visit.go("rules")
    page.get_by_label("Domain", exact=True).first.fill(DOMAIN)
    page.get_by_label("App", exact=True).first.fill("live")
    page.get_by_label("Stream", exact=True).first.fill("s1")
    visit.press("Explain")
    considered = page.locator("section.card tbody tr")
    considered.filter(has_text="live/s1").get_by_text("wins").wait_for()
    considered.filter(has_text="*/*").get_by_text("less specific").wait_for()
    considered.filter(has_text="other/*").get_by_text("another app or stream").wait_for()
    order = [text.split()[-1] for text in page.locator("h3 ~ .scroll tbody tr").locator("td:nth-child(2)").all_inner_texts()]
    assert order == ["live/s1", "live/*", "other/*", "*/*"]
    # A mapping and a callback setting by their forms.
    visit.press("Map an ingest domain")
    window = page.locator("dialog")
    visit.press("Add", window)
    window.get_by_text("200", exact=True).wait_for()
    page.keyboard.press("Escape")
    visit.sees("Pushed at: push.example.com")
    visit.press("New callback setting")
    window.get_by_label("NotifyUrl").fill("http://127.0.0.1:1/x")
    visit.press("Add", window)
    window.get_by_text("200", exact=True).wait_for()
    page.keyboard.press("Escape")
    visit.sees("http://127.0.0.1:1/x")
    # And a rule goes.
    visit.press("Delete", page.locator("tbody tr", has_text="other/*").last)
    visit.press("Delete", window)
    until(page, "![...document.querySelectorAll('h3 ~ .scroll td')].some((it) => it.textContent === 'other/*')")


def asked_for(visit, path: str) -> list[str]:
    """What the page has asked a route for."""
    return [url for url in visit.asked if urllib.parse.urlsplit(url).path == f"/_localyun/{path}"]


def until_asked(visit, path: str, times: int) -> None:
    for _ in range(200):
        if len(asked_for(visit, path)) >= times:
            return
        visit.page.wait_for_timeout(100)
    raise AssertionError(f"{path} was asked for {len(asked_for(visit, path))} times, and not {times}")


def test_rules_stay_under_the_hand_and_what_was_asked_is_explained(visit, fresh):
    page = visit.page

    def add(app: str) -> None:
        call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName=app, StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")

    for app in ("live", "other"):
        add(app)
    visit.go("rules", query=f"?domain={DOMAIN}&app=live&stream=s1")
    rows = page.locator("h3 ~ .scroll tbody tr")
    page.locator("section.card tbody tr", has_text="other/*").wait_for()
    visit.button("Delete", rows.filter(has_text="other/*")).focus()
    page.evaluate("window.kept = [document.activeElement, document.querySelector('section.card tbody tr'), document.querySelector('.verdict')]")
    add("third")
    rows.filter(has_text="third/*").wait_for()
    page.locator("section.card tbody tr", has_text="third/*").wait_for()
    assert page.evaluate("document.activeElement === window.kept[0] && window.kept.every((it) => it?.isConnected)")
    # Half a name is nobody's question yet.
    page.get_by_label("Stream", exact=True).first.fill("half")
    before = len(asked_for(visit, "explain"))
    add("fourth")
    until_asked(visit, "explain", before + 1)
    page.locator("section.card tbody tr", has_text="fourth/*").wait_for()
    assert all("stream=s1" in url for url in asked_for(visit, "explain"))
    assert "stream=s1" in page.evaluate("location.hash")
    assert page.get_by_label("Stream", exact=True).first.input_value() == "half"
    with page.expect_request(lambda request: "/_localyun/explain" in request.url and "stream=half" in request.url):
        visit.press("Explain")
    until(page, "location.hash.includes('stream=half')")


def test_a_screen_that_was_left_while_it_loaded_does_not_write_the_address(visit, fresh):
    page, held = visit.page, []
    page.route(re.compile(r"/_localyun/rules$"), lambda route: held.append(route))
    visit.go("rules")
    until_asked(visit, "rules", 1)
    page.evaluate("location.hash = '#/faults'")
    page.locator("h1", has_text="Faults").wait_for()
    visit.settle()
    assert page.evaluate("location.hash") == "#/faults"


def test_an_object_is_played_once_and_not_behind_another_screen(visit, fresh):
    page, held = visit.page, []
    page.add_init_script("""(() => {
      window.videos = 0;
      const make = document.createElement.bind(document);
      document.createElement = (name, ...more) => {
        if (name === 'video') window.videos += 1;
        return make(name, ...more);
      };
    })()""")
    recorded(fresh)
    visit.go("objects", "recordings", "record", "live", "s1")
    page.locator("tbody a", has_text=".mp4").first.click()
    page.locator("main video").wait_for()
    visit.settle()
    assert len(asked_for(visit, "object")) == 1 and page.evaluate("window.videos") == 1
    # One whose text comes after the screen was left.
    page.route(re.compile(r"/_localyun/ui/object\?.*m3u8"), lambda route: held.append(route))
    page.locator("tbody a", has_text=".m3u8").first.click()
    for _ in range(200):
        if held:
            break
        page.wait_for_timeout(100)
    page.evaluate("location.hash = '#/faults'")
    page.locator("h1", has_text="Faults").wait_for()
    with page.expect_response(lambda response: "/ui/object" in response.url and "m3u8" in response.url) as answered:
        held[0].continue_()
    answered.value.finished()
    visit.settle()
    assert page.evaluate("window.videos") == 1 and page.locator("video").count() == 0


def test_more_of_a_folder_stays_when_an_object_is_stored(visit, fresh):
    page, rows = visit.page, "document.querySelectorAll('main tbody tr').length"
    store = boto3.client("s3", endpoint_url=fresh.oss, aws_access_key_id="testid", aws_secret_access_key="testsecret", region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
    store.create_bucket(Bucket="many")
    for number in range(205):
        store.put_object(Bucket="many", Key=f"{number:03}.txt", Body=b"x")
    visit.go("objects", "many")
    until(page, f"{rows} === 200")
    visit.press("Show more")
    until(page, f"{rows} === 205")
    store.put_object(Bucket="many", Key="000-new.txt", Body=b"x")
    page.locator("tbody a", has_text="000-new").wait_for()
    until(page, f"{rows} === 206")
    assert not visit.button("Show more").is_visible()


def test_objects_folders_access_preview_and_signed_address(visit, fresh):
    page = visit.page
    recorded(fresh)
    visit.go("objects")
    page.locator("tbody tr", has_text="recordings").get_by_text("private").wait_for()
    page.get_by_role("link", name="recordings", exact=True).click()
    page.get_by_label("Access (ACL)").select_option("public-read")
    visit.sees("Saved.", page)
    assert control(fresh, "GET", "buckets")[1]["buckets"][0]["acl"] == "public-read"
    for folder in ("record/", "live/", "s1/"):
        page.locator("tbody a", has_text=folder).first.click()
    page.locator("tbody a", has_text=".mp4").first.click()
    visit.sees("video/mp4")
    signed = page.locator(".card pre", has_text="http").first.inner_text()
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(signed, timeout=20) as answer:
        assert answer.status == 200 and answer.read(12)[4:8] == b"ftyp"
    report = visit.play_to_the_end()
    assert report["ended"] and report["width"] == 320, report
    with page.expect_download() as saved:
        visit.press("Download")
    assert saved.value.path().stat().st_size > 100_000
    page.locator("tbody a", has_text=".m3u8").first.click()
    visit.sees("#EXTM3U")


def test_a_bucket_that_is_not_there_says_so_and_no_more(visit, fresh):
    visit.allow("404")
    visit.go("objects", "nobucket")
    visit.page.locator("main .problem").wait_for()
    assert "null" not in visit.page.locator("main").inner_text()
    assert not visit.button("Show more").is_visible()


def test_a_preset_is_armed_strikes_and_is_disarmed(visit, fresh):
    page = visit.page
    visit.go("faults")
    visit.button("Arm: Throttled").click()
    page.locator(".badges", has_text="fault").wait_for()
    status, answer = control(fresh, "POST", "call", {"action": "DescribeLiveStreamsOnlineList", "params": {"DomainName": DOMAIN}})
    assert answer["status"] >= 400 and answer["answer"]["Code"] == "Throttling.User", answer
    page.locator("tbody tr", has_text="DescribeLiveStreamsOnlineList").get_by_text("1", exact=True).wait_for()
    visit.press("Disarm", page.locator("tbody tr").first)
    visit.press("Disarm all")
    visit.sees("No fault is armed.")
    form = page.locator("form.card")
    form.get_by_label("At").fill("object-put")
    form.get_by_label("Code").fill("NoSuchBucket")
    form.get_by_label("First N times").fill("2")
    assert '"first":2' in form.locator("pre").inner_text()
    visit.press("Arm", form)
    page.locator("tbody tr", has_text="object-put").wait_for()
    for preset in ("Receiver down", "Bucket gone", "Slow store", "Publisher flaps"):
        visit.button(f"Arm: {preset}").click()
    # Each has its own place: the slow store takes that of the bucket that is gone.
    until(page, "document.querySelectorAll('tbody tr').length === 4")
    assert sorted(it["at"] for it in control(fresh, "GET", "faults")[1]["faults"]) == ["callback", "ingest", "object-put", "store"]
    control(fresh, "DELETE", "faults")


def test_presets_and_disarming_leave_what_else_is_armed(visit, fresh):
    page = visit.page
    spent, partly = "api:DescribeLiveRecordConfig", "api:DescribeLiveStreamsOnlineList"
    for at, first in ((spent, 1), (partly, 3)):
        assert control(fresh, "PUT", "faults", {"at": at, "first": first, "code": "Throttling.User"})[0] == 200
        assert control(fresh, "POST", "call", {"action": at.removeprefix("api:"), "params": {"DomainName": DOMAIN}})[1]["status"] >= 400
    visit.go("faults")
    visit.button("Arm: Bucket gone").click()
    row = page.locator("tbody tr", has_text="object-put")
    row.wait_for()
    armed = {it["at"]: (it.get("first"), it["struck"]) for it in control(fresh, "GET", "faults")[1]["faults"]}
    assert armed == {spent: (1, 1), partly: (3, 1), "object-put": (None, 0)}
    # What is spent stays spent, and of the other what is left.
    visit.press("Disarm", row)
    row.wait_for(state="detached")
    assert [(it["at"], it["first"], it["struck"]) for it in control(fresh, "GET", "faults")[1]["faults"]] == [(partly, 2, 0)]
    call(fresh, "DescribeLiveRecordConfig", DomainName=DOMAIN)
    control(fresh, "DELETE", "faults")


@pytest.mark.parametrize(("language", "wanted"), [("en", "the recording ends there"), ("zh", "录制就此结束")])
def test_what_a_bucket_that_is_gone_does_is_as_the_preset_says(browser, fresh, language, wanted):
    visit = browser.visit(fresh, language)
    visit.go("faults")
    card = visit.page.locator(".cards li", has_text="Bucket").first
    assert wanted in card.inner_text()
    call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")
    card.get_by_role("button").click()
    until(visit.page, "document.querySelectorAll('tbody tr').length === 1")
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "lost", "seconds": 5, "speed": 0, "wait": True})
    control(fresh, "POST", "clock/advance", {"seconds": 200})
    events = control(fresh, "GET", "wait?kind=record&count=3&timeout_s=20")[1]["events"]
    assert [it["what"] for it in events] == ["started", "paused", "error"] and events[-1]["code"] == "BucketNotFound"
    assert control(fresh, "GET", "recordings")[1]["recordings"][0]["files"] == []
    control(fresh, "DELETE", "faults")
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "lost", "seconds": 5, "speed": 0, "wait": True})
    control(fresh, "POST", "clock/advance", {"seconds": 200})
    assert [len(it["files"]) for it in control(fresh, "GET", "recordings")[1]["recordings"]] == [1, 0]
    visit.check()
    visit.page.context.close()


def test_snapshots_are_saved_compared_loaded_and_everything_reset(visit, fresh):
    page = visit.page
    recorded(fresh)
    visit.go("state")
    page.get_by_label("Name", exact=True).fill("before")
    for _ in range(2):
        with page.expect_response(re.compile("/_localyun/snapshot$")):
            visit.press("Save")
        page.locator("#status .note", has_text="before is saved.").wait_for()
        visit.settle()
    assert page.locator("#status .note").count() == 1
    row = page.locator("tbody tr", has_text="before")
    row.wait_for()
    call(fresh, "DeleteLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*")
    visit.press("Differences", row)
    visit.sees("Differences between before and now: 1")
    page.locator("tr", has_text="went").locator("code", has_text=f"{DOMAIN}/live/*").wait_for()
    with page.expect_download() as saved:
        visit.press("Download", row)
    document = json.loads(saved.value.path().read_text())
    assert document["rules"][0]["domain"] == DOMAIN
    visit.press("Reset everything")
    visit.press("Reset everything", page.locator("dialog"))
    visit.sees("Everything is as after a fresh start.", page)
    assert control(fresh, "GET", "recordings")[1]["recordings"] == []
    visit.press("Load", row)
    visit.sees("before is loaded; rules: 1.", page)
    assert control(fresh, "GET", "rules")[1]["domains"][0]["rules"][0]["app"] == "live"
    with page.expect_file_chooser() as chooser:
        visit.press("Load a file")
    chooser.value.set_files({"name": "again.json", "mimeType": "application/json", "buffer": json.dumps(document).encode()})
    visit.sees("again.json is loaded", page)
    visit.press("Forget", row)
    row.wait_for(state="detached")


def test_settings_and_coverage(visit, fresh):
    page = visit.page
    control(fresh, "POST", "call", {"action": "DescribeLiveDomainOnlineUserNum", "params": {"DomainName": DOMAIN}})
    visit.go("state")
    page.locator("tr", has_text="data-dir").get_by_text("--data-dir").wait_for()
    visit.sees("of 437 documented")
    page.get_by_label("Standing").select_option("implemented")
    page.locator("tr", has_text="AddLiveAppRecordConfig").first.wait_for()
    page.get_by_label("Search").fill("Snapshot")
    page.get_by_label("Standing").select_option("")
    page.locator("tr", has_text="Snapshot").first.wait_for()


def test_names_with_markup_are_text(visit, fresh):
    stream = "<img src=x onerror=alert(1)>"
    status, answer = control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "b-i-b", "query": "x=%3Cscript%3E"})
    assert status == 200, answer
    control(fresh, "POST", "call", {"action": "DescribeLiveRecordConfig", "params": {"DomainName": DOMAIN, "AppName": stream}})
    visit.go("calls")
    visit.page.locator(".rows a").first.click()
    visit.sees(stream)
    visit.go("now")
    assert visit.page.locator("main img, main script").count() == 0
    visit.go("streams", DOMAIN, "live", urllib.parse.quote(stream, safe=""))
    visit.allow("400")
    assert visit.page.locator("h1").inner_text().endswith(stream)
    assert visit.page.locator("main img").count() == 0


# Texts of cells that stand on more than one line although there is no room in them to break at.
BROKEN = """() => [...document.querySelectorAll('main td')].filter((cell) => {
  const lines = document.createRange();
  lines.selectNodeContents(cell);
  const tops = new Set([...lines.getClientRects()].map((box) => Math.round(box.top)));
  return tops.size > 1 && /^[\\w:.]{1,20}$/.test(cell.textContent);
}).map((cell) => cell.textContent)"""


def test_a_long_name_leaves_times_and_states_whole(browser, fresh):
    long = "long-" + "x" * 180
    recorded(fresh, long)
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": long})
    control(fresh, "POST", "clock/advance", {"seconds": 700})
    for width in (1440, 1000, 700):
        visit = browser.visit(fresh, width=width)
        visit.go("streams")
        visit.page.locator("main section tbody tr, main tbody tr").first.wait_for()
        assert visit.page.evaluate(BROKEN) == [], width
        assert visit.page.evaluate("document.querySelector('td.short').textContent.includes(':')")
        visit.check()
        visit.page.context.close()
    control(fresh, "DELETE", f"streams/{DOMAIN}/live/{long}")
    control(fresh, "POST", "clock/advance", {"seconds": 200})
    visit = browser.visit(fresh)
    visit.go("streams")
    visit.page.locator("main section tbody tr", has_text="ended").first.wait_for()
    assert visit.page.evaluate(BROKEN) == []
    visit.page.context.close()


def test_by_keyboard_alone(visit, fresh):
    page = visit.page
    visit.go("now")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("link", name="Faults", exact=True).first.focus()
    page.keyboard.press("Enter")
    page.locator("h1", has_text="Faults").wait_for()
    visit.button("Arm: Bucket gone").focus()
    page.keyboard.press("Enter")
    page.locator("tbody tr", has_text="object-put").wait_for()
    visit.button("Disarm").first.focus()
    page.keyboard.press("Space")
    visit.sees("No fault is armed.")


def recorder(server, stream: str) -> str | None:
    """What the recorder of a live stream does."""
    streams = control(server, "GET", f"streams?domain={DOMAIN}&stream={stream}")[1]["streams"]
    return streams[0]["recorder"]["state"] if streams else None


def until_recorder(visit, server, stream: str, wanted) -> None:
    for _ in range(100):
        if recorder(server, stream) == wanted:
            return
        visit.page.wait_for_timeout(100)
    raise AssertionError(f"the recorder is {recorder(server, stream)!r} and not {wanted!r}")


def test_streams_that_come_later_say_why_too(visit, fresh):
    page = visit.page
    visit.go("streams")
    for batch, many in enumerate((15, 15, 1)):
        names = [f"b{batch}-{number}" for number in range(many)]
        for name in names:
            assert control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": name, "clip": "one_per_second"})[0] == 200
        until(page, f"document.querySelectorAll('tbody .verdict').length === {many}")
        for name in names:
            assert control(fresh, "DELETE", f"streams/{DOMAIN}/live/{name}")[0] == 200
        until(page, "document.querySelectorAll('tbody .verdict').length === 0")
    # Of those that were explained nothing is kept.
    visit.press("as curl")
    assert "/_localyun/streams" in page.locator("dialog").inner_text() and "explain" not in page.locator("dialog").inner_text()


def test_what_can_be_pressed_beside_a_live_stream_stays(visit, fresh):
    """The recorder's rule and the timeline as a list, while the numbers beside them go on."""
    page = visit.page
    call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "goes-on"})
    visit.go("streams", DOMAIN, "live", "goes-on")
    page.locator(".recorder .badge", has_text=re.compile("^recording$")).wait_for()
    page.locator("svg.lanes rect.record").first.wait_for()
    page.locator(".aslist summary").click()
    until_asked(visit, "callbacks", len(asked_for(visit, "callbacks")) + 2)
    page.locator(".aslist li button").first.focus()
    page.evaluate("window.kept = [document.activeElement, document.querySelector('.recorder a'), document.querySelector('.verdict')]")
    numbers = page.locator(".facts").first.inner_text()
    until_asked(visit, "callbacks", len(asked_for(visit, "callbacks")) + 3)
    assert page.locator(".facts").first.inner_text() != numbers
    assert page.evaluate("document.activeElement === window.kept[0] && window.kept.every((it) => it?.isConnected)")
    page.locator(".aslist li button").first.click()
    page.locator("main pre", has_text="goes-on").first.wait_for()


@pytest.mark.parametrize("place", ["streams", "stream"])
def test_a_recording_is_begun_and_ended_by_hand(visit, fresh, place):
    page = visit.page
    # Recorded on command alone.
    call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", OnDemand="7", RecordFormat__1__Format="mp4")
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "by-hand"})
    if place == "stream":
        visit.go("streams", DOMAIN, "live", "by-hand")
        where = page.locator("main")
    else:
        visit.go("streams")
        where = page.locator("tbody tr", has_text="by-hand").first
    visit.press("Start recording", where)
    until_recorder(visit, fresh, "by-hand", "recording")
    page.locator(".recorder .badge", has_text="recording").first.wait_for()
    visit.press("Restart recording", where)
    visit.sees("RealTimeRecordCommand: Restart recording", page)
    visit.press("Close", page.locator("#status"))
    until_recorder(visit, fresh, "by-hand", "recording")
    visit.press("Stop recording", where)
    until(page, "![...document.querySelectorAll('.recorder .badge')].some((it) => it.textContent === 'recording')")
    assert recorder(fresh, "by-hand") != "recording"
    if place == "stream":
        visit.press("End stream", where)
        visit.button("Publish a clip").wait_for()
        assert control(fresh, "GET", "streams")[1]["total"] == 0
        visit.press("Publish a clip")
        assert page.locator("dialog").get_by_label("Stream", exact=True).input_value() == "by-hand"
        visit.press("Close", page.locator("dialog"))


@pytest.mark.parametrize("way", ["back", "address"])
@pytest.mark.parametrize("name", ["Watch", "Publish a clip"])
def test_another_address_closes_what_is_open_over_the_page(visit, fresh, name, way):
    page = visit.page
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "over"})
    visit.go("rules")
    page.get_by_role("link", name="Streams", exact=True).first.click()
    visit.press(name)
    if name == "Watch":
        until(page, "document.querySelector('dialog video').currentTime > 0")
        page.evaluate("window.video = document.querySelector('dialog video')")
    if way == "back":
        page.go_back()
    else:
        page.evaluate("location.hash = '#/faults'")
    page.locator("h1", has_text="Rules" if way == "back" else "Faults").wait_for()
    assert page.locator("dialog").count() == 0
    if name == "Watch":
        assert page.evaluate("!window.video.currentSrc || window.video.paused || window.video.readyState === 0")


@pytest.mark.parametrize(("clip", "wanted"), [("hevc_enhanced", "cannot decode the picture (H265)"), ("audio_only", "sound and no picture"), ("h264_aac", None)])
@pytest.mark.parametrize("place", ["streams", "stream"])
def test_a_player_says_why_there_is_no_picture_and_that_the_stream_has_ended(visit, fresh, place, clip, wanted):
    """A browser that has H.265 shows it; then nothing is said."""
    page = visit.page
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "seen", "clip": clip})
    visit.go("streams", *([DOMAIN, "live", "seen"] if place == "stream" else []))
    page.locator("main", has_text="AAC").wait_for()
    visit.press("Watch")
    until(page, "document.querySelector('video')?.currentTime > 1")
    picture = page.evaluate("document.querySelector('video').videoWidth > 0")
    if wanted and not picture:
        page.locator(".player", has_text=wanted).wait_for()
    else:
        assert picture and page.locator(".player").inner_text() == ""
    control(fresh, "DELETE", f"streams/{DOMAIN}/live/seen")
    page.locator(".player", has_text="The stream has ended.").wait_for()


def test_a_recording_without_a_picture_says_so(visit, fresh):
    page = visit.page
    call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "heard", "clip": "audio_only", "seconds": 10, "speed": 0, "wait": True})
    control(fresh, "POST", "clock/advance", {"seconds": 200})
    visit.go("recordings")
    page.locator(".rows a").first.click()
    visit.press("Play")
    page.locator(".player", has_text="There is sound alone").wait_for()


def test_the_timeline_is_zoomed_moved_and_read_as_a_list(visit, fresh):
    page = visit.page
    recorded(fresh, "axis", 40)
    visit.go("streams", DOMAIN, "live", "axis")
    page.locator("svg.lanes rect.file").first.wait_for()

    def ticks() -> list[str]:
        return page.locator("svg.lanes text.tick").all_text_contents()

    # Until what is read beside the page is drawn too.
    page.wait_for_timeout(1500)
    visit.press("All")
    whole = ticks()
    visit.press("Zoom in")
    near = ticks()
    assert near != whole
    visit.press("Later")
    assert ticks() != near
    visit.press("Earlier")
    visit.press("Zoom out")
    visit.press("All")
    assert ticks() == whole
    page.locator(".aslist summary").click()
    page.locator(".aslist li button").first.click()
    page.locator("main pre", has_text="{").first.wait_for()
    for how in ("as curl", "as JSON"):
        visit.press(how)
        assert "axis" in page.locator("dialog").inner_text()
        page.keyboard.press("Escape")


@pytest.mark.parametrize("screen", ["streams", "recordings", "callbacks", "objects"])
def test_an_empty_screen_publishes_a_first_stream(visit, fresh, screen):
    visit.go(screen)
    form = visit.page.locator("main form.publish").first
    form.get_by_label("Stream", exact=True).fill("first")
    visit.press("Publish", form)
    visit.page.wait_for_url(re.compile(r"#/streams/.*/live/first$"))
    assert [it["stream"] for it in control(fresh, "GET", "streams")[1]["streams"]] == ["first"]


def test_a_clip_for_an_ingest_domain_is_recorded_by_the_play_domain(visit, fresh):
    call(fresh, "AddLiveDomainMapping", PullDomain=DOMAIN, PushDomain="push.example.com")
    visit.go("streams")
    form = visit.page.locator("main form.publish").first
    form.get_by_label("Domain", exact=True).fill("push.example.com")
    form.get_by_label("Stream", exact=True).fill("first")
    visit.press("Publish", form)
    visit.page.wait_for_url(re.compile(rf"#/streams/{re.escape(DOMAIN)}/live/first$"))
    explained = control(fresh, "GET", "explain?domain=push.example.com&app=live&stream=first")[1]
    assert explained["records"] is True and explained["streaming_domain"] == DOMAIN


@pytest.mark.parametrize("screen", ["streams", "stream", "rules"])
@pytest.mark.parametrize("mapped", [True, False])
def test_what_is_not_recorded_is_cured_by_a_button(visit, fresh, screen, mapped):
    """A push to an ingest domain whose play domain has the rule; and one of an app that has none."""
    page = visit.page
    pushed = ("push.example.com", "other") if mapped else (DOMAIN, "other")
    call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="other" if mapped else "live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")
    control(fresh, "POST", "streams", {"domain": pushed[0], "app": pushed[1], "stream": "lost"})
    if screen == "rules":
        visit.go("rules", query=f"?domain={pushed[0]}&app={pushed[1]}&stream=lost")
    else:
        visit.go("streams", *([pushed[0], pushed[1], "lost"] if screen == "stream" else []))
    visit.press(f"Map {pushed[0]} to {DOMAIN}" if mapped else "Add a rule for this app")
    visit.sees("Done; it counts from the next push on.", page)
    told = control(fresh, "GET", f"explain?domain={pushed[0]}&app={pushed[1]}&stream=lost")[1]
    assert told["records"] is True, told


@pytest.mark.parametrize("screen", ["streams", "stream", "rules"])
@pytest.mark.parametrize("how", ["rule", "mapping"])
def test_a_rule_that_came_after_the_push_counts_from_the_next_push(visit, fresh, screen, how):
    page, pushed = visit.page, "push.example.com" if how == "mapping" else DOMAIN
    if how == "mapping":
        call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")
    control(fresh, "POST", "streams", {"domain": pushed, "stream": "early"})
    if how == "mapping":
        call(fresh, "AddLiveDomainMapping", PullDomain=DOMAIN, PushDomain=pushed)
    else:
        call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")
    if screen == "rules":
        visit.go("rules", query=f"?domain={pushed}&app=live&stream=early")
    else:
        visit.go("streams", *([pushed, "live", "early"] if screen == "stream" else []))
    # Who asks for the rules alone is told of the stream that is live where it is the one that the rules are asked for.
    wanted = "It is recorded:" if (screen, how) == ("rules", "mapping") else "It is recorded from the next push on:"
    page.locator(".verdict strong", has_text=wanted).first.wait_for()
    control(fresh, "DELETE", f"streams/{pushed}/live/early")
    control(fresh, "POST", "streams", {"domain": pushed, "stream": "early"})
    until_recorder(visit, fresh, "early", "recording")
    visit.go("streams", DOMAIN, "live", "early")
    page.locator(".verdict strong", has_text="It is recorded:").first.wait_for()


@pytest.mark.parametrize(("language", "plays", "wrongly", "rightly"), [
    ("en", "Plays at:", "nothing of this domain is recorded", f"recorded by the rules of {DOMAIN}"),
    ("zh", "播流域名：", "该域名的流都不会录制", f"按 {DOMAIN} 的规则录制"),
])
def test_what_is_pushed_to_an_ingest_domain_is_recorded_by_the_play_domains_rules(browser, fresh, language, plays, wrongly, rightly):
    call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4")
    call(fresh, "AddLiveDomainMapping", PullDomain=DOMAIN, PushDomain="push.example.com")
    visit = browser.visit(fresh, language)
    visit.go("rules")
    section = visit.page.locator("section", has_text=plays).last
    section.get_by_text(rightly).wait_for()
    assert wrongly not in section.inner_text()
    visit.check()
    visit.page.context.close()


# Every label that a button of the page had since, for a moment even.
LABELS = """() => {
  window.labels = new Set();
  const note = () => document.querySelectorAll('main button').forEach((it) => !it.hidden && window.labels.add(it.textContent));
  new MutationObserver(note).observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true, attributes: true });
}"""


def test_lists_that_go_on_show_more_by_a_button(visit, fresh):
    page = visit.page
    call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4", DelayTime="15")
    call(fresh, "AddLiveRecordNotifyConfig", DomainName=DOMAIN, NotifyUrl=f"{fresh.api}/_localyun/sink/console")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda n: control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": f"s{n}", "seconds": 1, "speed": 0, "wait": True})[0], range(104)))
    assert done == [200] * 104
    control(fresh, "POST", "clock/advance", {"seconds": 20})
    for _ in range(104):
        call(fresh, "DescribeLiveRecordConfig", DomainName=DOMAIN)
    store = boto3.client("s3", endpoint_url=fresh.oss, aws_access_key_id="testid", aws_secret_access_key="testsecret", region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
    store.create_bucket(Bucket="many")
    for number in range(205):
        store.put_object(Bucket="many", Key=f"{number:03}.txt", Body=b"x")
    for parts, rows in ((["recordings"], "main .rows li"), (["callbacks"], "main .rows li"), (["calls"], "main .rows li"), (["objects", "many"], "main tbody tr")):
        visit.go(*parts)
        page.locator(rows).first.wait_for()
        first = page.locator(rows).count()
        assert first in (100, 200), (parts, first)
        page.evaluate(LABELS)
        visit.press("Show more")
        until(page, f"document.querySelectorAll('{rows}').length > {first}")
        until(page, "![...document.querySelectorAll('main button')].some((it) => it.textContent === 'Show more' && !it.hidden)")
        # A list that is on its way to its next page has not looked in vain.
        assert "Look further" not in page.evaluate("[...window.labels]"), parts
    # What lies further back than the first page has its address too.
    oldest = control(fresh, "GET", f"recordings?domain={DOMAIN}&stream=s0")[1]["recordings"][0]["session"]
    visit.go("recordings", oldest)
    page.locator(".detail h2", has_text="s0").wait_for()
    oldest = control(fresh, "GET", f"callbacks?domain={DOMAIN}&stream=s0")[1]["callbacks"][0]["id"]
    visit.go("callbacks", str(oldest))
    page.locator(".attempts > li").first.wait_for()


@pytest.fixture(scope="module")
def many(server):
    """130 recordings of as many streams, s0 the oldest, each told to the sink; one live stream that nothing records."""
    control(server, "POST", "reset")
    call(server, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com", RecordFormat__1__Format="mp4", DelayTime="15")
    call(server, "AddLiveRecordNotifyConfig", DomainName=DOMAIN, NotifyUrl=f"{server.api}/_localyun/sink/console")
    assert control(server, "POST", "streams", {"domain": DOMAIN, "stream": "s0", "seconds": 1, "speed": 0, "wait": True})[0] == 200
    control(server, "POST", "clock/advance", {"seconds": 20})
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda n: control(server, "POST", "streams", {"domain": DOMAIN, "stream": f"s{n}", "seconds": 1, "speed": 0, "wait": True})[0], range(1, 130)))
    assert done == [200] * 129
    control(server, "POST", "clock/advance", {"seconds": 20})
    for _ in range(130):
        call(server, "DescribeLiveRecordConfig", DomainName=DOMAIN)
    yield server
    control(server, "POST", "reset")


def rows_of(page, rows: str) -> int:
    return page.locator(rows).count()


@pytest.mark.parametrize("screen", ["recordings", "callbacks"])
def test_a_filter_finds_what_lies_behind_the_first_page(browser, many, screen):
    """By its address and by typing; and where nothing fits there is nothing more to show."""
    visit = browser.visit(many)
    page, rows = visit.page, "main .rows li"
    field, name = ("Stream", "stream") if screen == "recordings" else ("Search", "text")
    visit.go(screen, query=f"?{name}={DOMAIN}/live/s0" if screen == "recordings" else f"?{name}=%22s0%22")
    page.locator(rows, has_text="live/s0").first.wait_for()
    assert rows_of(page, rows) == 1
    assert not visit.button("Show more").is_visible()
    page.get_by_label(field, exact=True).fill("")
    until(page, f"document.querySelectorAll('{rows}').length === 100")
    assert visit.button("Show more").is_visible()
    page.get_by_label(field, exact=True).fill("live/s0" if screen == "recordings" else "s0")
    page.locator(rows, has_text="live/s0").first.wait_for()
    page.get_by_label(field, exact=True).fill("there-is-no-such-name")
    visit.sees("Nothing fits the filter.")
    assert not visit.button("Show more").is_visible()
    visit.check()
    page.context.close()


def test_a_filter_of_calls_that_nothing_fits_offers_no_more(browser, many):
    visit = browser.visit(many)
    visit.go("calls", query="?text=there-is-no-such-name")
    visit.sees("Nothing fits the filter.")
    assert not visit.button("Show more").is_visible()
    visit.page.get_by_label("Search").fill("AddLiveRecordNotifyConfig")
    visit.page.locator("main .rows li", has_text="AddLiveRecordNotifyConfig").first.wait_for()
    visit.check()
    visit.page.context.close()


def test_streams_that_were_are_counted_found_and_shown_to_the_last(browser, many):
    visit = browser.visit(many)
    page, rows = visit.page, "main section tbody tr"
    visit.go("streams")
    visit.sees("130 that were, 100 shown")
    assert rows_of(page, rows) == 100
    visit.press("Show more")
    until(page, f"document.querySelectorAll('{rows}').length === 130")
    assert not visit.button("Show more").is_visible()
    page.get_by_label("Stream", exact=True).fill("s0")
    visit.sees("1 that were, 1 shown")
    page.locator(rows, has_text="live/s0").wait_for()
    page.get_by_label("Stream", exact=True).fill("there-is-no-such-name")
    visit.sees("Nothing fits the filter.")
    visit.check()
    page.context.close()


@pytest.mark.parametrize(("screen", "query", "field"), [("recordings", "stream=s7", "Stream"), ("callbacks", "text=s7", "Search"), ("calls", "text=Notify", "Search")])
def test_a_filter_is_a_part_of_the_address(browser, many, screen, query, field):
    """It stays when a row is chosen, and is followed when the address changes on the same screen."""
    visit = browser.visit(many)
    page, rows = visit.page, "main .rows li"
    visit.go(screen, query=f"?{query}")
    until(page, f"document.querySelectorAll('{rows}').length > 0 && document.querySelectorAll('{rows}').length < 100")
    few = rows_of(page, rows)
    page.locator(f"{rows} a").last.click()
    page.locator(".split.chosen .detail h2").wait_for()
    assert query in page.url and re.search(rf"#/{screen}/[^?]+\?", page.url)
    assert rows_of(page, rows) == few
    page.evaluate(f"location.hash = '#/{screen}'")
    until(page, f"document.querySelectorAll('{rows}').length === 100")
    assert page.get_by_label(field, exact=True).input_value() == ""
    page.go_back()
    until(page, f"document.querySelectorAll('{rows}').length === {few}")
    assert page.get_by_label(field, exact=True).input_value() == query.split("=")[1]
    visit.check()
    page.context.close()


def test_a_search_stops_at_a_bound_says_so_and_goes_on_by_a_button(visit, fresh):
    """More callbacks than a search looks through: the page says how far it came, and a name that is whole is found by the route."""
    page, asked = visit.page, []

    def row(number: int) -> dict:
        return {"id": number, "kind": "file_created", "domain": DOMAIN, "app": "live", "stream": f"n{number}", "method": "POST", "url": "http://127.0.0.1:1/", "body": "{}", "state": "success", "attempts": [], "created_at": "2026-03-01T02:00:00Z", "next_try": None}

    def answer(route) -> None:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(route.request.url).query))
        asked.append(query)
        if "stream" in query:
            found = [row(int(query["stream"][1:]))] if re.fullmatch(r"n\d+", query["stream"]) else []
            return route.fulfill(json={"callbacks": found, "total": len(found), "next": None, "paused": False})
        top, limit = int(query.get("cursor", 12_001)), int(query["limit"])
        numbers = range(top - 1, max(0, top - 1 - limit), -1)
        return route.fulfill(json={"callbacks": [row(number) for number in numbers], "total": 12_000, "next": str(numbers[-1]) if numbers[-1] > 1 else None, "paused": False})

    page.route(re.compile(r"/_localyun/callbacks\?"), answer)
    visit.go("callbacks", query="?text=n7")
    page.locator("main .rows li", has_text="live/n7").last.wait_for()
    page.get_by_label("Search").fill("n77")
    page.locator("main .rows li", has_text="live/n7799").wait_for()
    # What lies behind the bound is found by its whole name.
    page.get_by_label("Search").fill("live/n1777")
    visit.sees("The newest 10,100 of 12,000 were looked through.")
    page.locator("main .rows li", has_text="live/n1777").wait_for()
    page.get_by_label("Search").fill("there-is-no-such-name")
    visit.sees("Nothing that was looked through fits the filter.")
    visit.press("Look further")
    visit.sees("Nothing fits the filter.")
    assert not visit.button("Look further").is_visible() and not visit.button("Show more").is_visible()
    assert len(asked) < 40, len(asked)


def test_every_kind_is_filtered_by_its_button(visit, fresh):
    page = visit.page
    recorded(fresh, notify=f"{fresh.api}/_localyun/sink/console")
    visit.go("now")
    names = page.locator(".toggles .toggle").all_inner_texts()
    assert len(names) == 12
    for name in names:
        visit.press(name, page.locator(".toggles"))
        page.wait_for_timeout(350)
        assert set(page.locator(".happenings .badge").all_inner_texts()) <= {name}
        visit.press(name, page.locator(".toggles"))


def test_the_call_of_a_form_in_each_notation(visit, fresh):
    page = visit.page
    visit.go("rules")
    visit.press("New rule")
    window = page.locator("dialog")
    for name, wanted in (("curl", "curl -X POST"), ("JSON", '"action": "AddLiveAppRecordConfig"'), ("localyun", "localyun call AddLiveAppRecordConfig")):
        visit.press(name, window)
        assert wanted in window.locator("pre").first.inner_text()
    # As the API has it: the documented cycle where none is given, and three formats.
    for name, value in (("Format", "mp4"), ("Second format", "m3u8"), ("Third format", "flv")):
        window.get_by_label(name, exact=True).select_option(value)
    visit.press("Add", window)
    window.get_by_text("200", exact=True).wait_for()
    [domain] = control(fresh, "GET", "rules")[1]["domains"]
    assert [(it["format"], it["cycle_s"]) for it in domain["rules"][0]["formats"]] == [("mp4", 3600), ("m3u8", 21600), ("flv", 3600)]
    visit.press("Close", window)
    visit.go("state")
    visit.press("Reset everything")
    visit.press("Cancel", page.locator("dialog"))
    visit.go("calls", "new", query="?action=DescribeLiveRecordConfig")
    page.get_by_label("DomainName *").fill(DOMAIN)
    for name, wanted in (("curl", "curl -X POST"), ("JSON", '"action"'), ("localyun", "localyun call")):
        visit.press(name)
        assert wanted in page.locator(".thecall pre").first.inner_text()


def test_a_recordings_file_is_saved_and_its_address_copied(visit, fresh):
    page = visit.page
    recorded(fresh)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.go("recordings")
    page.locator(".rows a").first.click()
    file = page.locator("li.file", has=page.locator(".badge", has_text="mp4"))
    with page.expect_download() as saved:
        visit.press("Download", file)
    assert saved.value.path().read_bytes()[4:8] == b"ftyp"
    assert file.locator("button.copy").inner_text() == "Copy signed address"
    assert ".mp4" in (file.locator("button.copy").get_attribute("aria-label") or "")
    file.locator("button.copy").click()
    visit.sees("Copied.", page)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(page.evaluate("navigator.clipboard.readText()"), timeout=20) as answer:
        assert answer.status == 200 and answer.read(12)[4:8] == b"ftyp"


def test_the_row_of_a_late_file_is_found(visit, fresh):
    """A session has more files than a page of the API's answer."""
    page = visit.page
    call(fresh, "AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", OssBucket="recordings", OssEndpoint="oss-cn-shanghai.aliyuncs.com",
         RecordFormat__1__Format="mp4", RecordFormat__1__CycleDuration="900", RecordFormat__2__Format="m3u8", RecordFormat__2__CycleDuration="900", RecordFormat__3__Format="flv", RecordFormat__3__CycleDuration="900")
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "long", "clip": "one_per_second", "seconds": 4000, "speed": 0, "wait": True})
    control(fresh, "POST", "clock/advance", {"seconds": 200})
    [session] = control(fresh, "GET", f"recordings?domain={DOMAIN}&stream=long")[1]["recordings"]
    files = session["files"]
    assert len(files) > 10
    visit.go("recordings", session["session"])
    shown = page.locator("li.file")
    shown.last.wait_for()
    assert shown.count() == len(files)
    for at in (len(files) - 1, 0):
        visit.press("As the API answers it", shown.nth(at))
        page.locator(".detail pre", has_text=f'"RecordId": "{files[at]["id"]}"').wait_for()
    assert page.locator(".detail").get_by_text("The API does not tell of this file").count() == 0


def test_the_row_of_a_file_is_looked_for_page_by_page(visit, fresh):
    page, asked = visit.page, []
    recorded(fresh)
    [session] = control(fresh, "GET", "recordings")[1]["recordings"]
    files = session["files"]

    def answer(route) -> None:
        params = route.request.post_data_json["params"]
        asked.append(params)
        rows = [{"RecordId": files[0]["id"], "OssObject": files[0]["object"]}] if params["PageNum"] == 2 else []
        route.fulfill(json={"status": 200, "answer": {"RecordIndexInfoList": {"RecordIndexInfo": rows}, "TotalPage": 3}})

    page.route(re.compile(r"/_localyun/call$"), answer)
    visit.go("recordings", session["session"])
    visit.press("As the API answers it", page.locator("li.file", has=page.locator(".badge", has_text=files[0]["format"])))
    page.locator(".detail pre", has_text=files[0]["id"]).wait_for()
    assert [(it["PageNum"], it["PageSize"]) for it in asked] == [(1, 30), (2, 30)]
    # One that no page has.
    visit.press("As the API answers it", page.locator("li.file", has=page.locator(".badge", has_text=files[1]["format"])))
    visit.sees("The API does not tell of this file")
    assert [it["PageNum"] for it in asked[2:]] == [1, 2, 3]


# The page as one that nobody sees, or somebody again: a browser without a window says that all of its pages are seen.
HIDDEN = """(hidden) => {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_a_page_that_nobody_sees_lets_go_of_its_connection_and_goes_on_behind_what_it_had(visit, fresh):
    """A browser has six connections to a server: six pages that follow would leave none for anything else."""
    page = visit.page
    visit.go("now")
    call(fresh, "DescribeLiveRecordConfig", DomainName=DOMAIN)
    before = page.locator(".happenings li", has_text="DescribeLiveRecordConfig")
    before.first.wait_for()
    # A quick look elsewhere breaks nothing.
    page.evaluate(HIDDEN, True)
    page.evaluate(HIDDEN, False)
    with page.expect_event("requestfailed", lambda request: "/_localyun/events" in request.url):
        page.evaluate(HIDDEN, True)
    assert len(asked_for(visit, "events")) == 1
    call(fresh, "AddLiveDomainMapping", PullDomain=DOMAIN, PushDomain="push.example.com")
    looked = len(asked_for(visit, "streams"))
    assert "no connection" not in page.locator(".badges").inner_text()
    page.evaluate(HIDDEN, False)
    page.locator(".happenings li", has_text="AddLiveDomainMapping").first.wait_for()
    until_asked(visit, "streams", looked + 1)
    first, second = asked_for(visit, "events")
    assert "since=0&" in first and "since=0" not in second, (first, second)
    assert before.count() == 1


def test_a_drag_that_ends_beside_a_window_does_not_close_it(visit, fresh):
    """Who selects a text with the mouse may go too far, and what was typed would be gone."""
    page = visit.page
    visit.go("streams")
    visit.press("Publish a clip")
    window = page.locator("dialog")
    field = window.get_by_label("Stream", exact=True)
    field.fill("typed")
    box = field.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(5, 5)
    page.mouse.up()
    assert page.evaluate("document.querySelector('dialog')?.open") is True
    assert field.input_value() == "typed"
    page.mouse.click(5, 5)
    window.wait_for(state="detached")


def test_what_is_said_in_a_window_stands_in_it_and_outlives_it(visit, fresh):
    """Behind a modal window a note can neither be seen nor pressed, and no screen reader tells of it."""
    page, publish = visit.page, re.compile(r"/_localyun/streams$")
    visit.allow("409")
    visit.go("streams")
    visit.press("Publish a clip")
    window = page.locator("dialog")
    page.route(publish, refuses)
    visit.press("Publish", window)
    note = window.locator("[role=alert] .note", has_text="not in this test")
    note.wait_for()
    assert page.locator("#alerts .note").count() == 0
    visit.press("Close", note)
    note.wait_for(state="detached")
    page.unroute(publish)
    visit.press("Publish", window)
    window.wait_for(state="detached")
    page.locator("#status .note", has_text="is being published").wait_for()


@pytest.mark.parametrize("screen", ["recordings", "callbacks", "calls"])
def test_the_keyboard_stays_in_the_list_of_which_a_row_is_opened(visit, fresh, screen):
    page = visit.page
    recorded(fresh, notify=f"{fresh.api}/_localyun/sink/console")
    visit.go(screen)
    page.locator("main .rows a").first.focus()
    page.keyboard.press("Enter")
    page.locator(".split.chosen .detail h2").wait_for()
    until(page, "document.activeElement.matches('.rows a[aria-current]')")
    # Another screen begins at its top.
    page.get_by_role("link", name="Faults", exact=True).first.focus()
    page.keyboard.press("Enter")
    page.locator("h1", has_text="Faults").wait_for()
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_command_that_is_shown_reaches_this_server(visit, fresh):
    """One that listens elsewhere than where the tools go by themselves."""
    page = visit.page
    visit.go("streams")
    assert page.locator(".guide pre").first.inner_text() == f"localyun publish --domain {DOMAIN} --app live --stream demo --seconds 60 --endpoint {fresh.api}"
    visit.go("calls", "new", query="?action=DescribeLiveRecordConfig")
    page.get_by_label("DomainName *").fill(DOMAIN)
    line = page.locator(".thecall pre").first.inner_text()
    assert line == f"localyun call DescribeLiveRecordConfig DomainName={DOMAIN} --endpoint {fresh.api}"
    ran = subprocess.run([str(binary()), *shlex.split(line)[1:]], env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0 and "LiveAppRecordList" in ran.stdout, ran


def test_the_list_of_a_timeline_has_the_newest_and_what_went_wrong_and_says_what_it_leaves_out(visit, fresh):
    page = visit.page

    def told(number: int) -> dict:
        at = f"2026-03-01T02:{number // 60:02}:{number % 60:02}Z"
        return {"id": number, "kind": "file_created", "domain": DOMAIN, "app": "live", "stream": "long", "method": "POST", "url": "http://127.0.0.1:1/", "body": "{}", "state": "success", "attempts": [{"at": at, "status": 200 if number else 500}], "created_at": at, "next_try": None}

    page.route(re.compile(r"/_localyun/callbacks\?"), lambda route: route.fulfill(json={"callbacks": [told(number) for number in range(700)], "total": 700, "next": None, "paused": False}))
    visit.go("streams", DOMAIN, "live", "long")
    page.locator(".aslist summary", has_text="As a list (501)").click()
    visit.sees("Older ones that are left out here: 199.")
    rows = page.locator(".aslist li")
    assert rows.count() == 501
    # The oldest of them all is the one that failed; behind it come the newest.
    assert "02:00:00" in rows.first.inner_text() and rows.first.locator(".wrong").count() == 1
    assert "02:03:20" in rows.nth(1).inner_text() and "02:11:39" in rows.last.inner_text()
    # Of a part of it there is all.
    visit.press("Zoom in")
    until(page, "!document.querySelector('.aslist p')")
    assert 300 < rows.count() < 500 and page.locator(".aslist li .wrong").count() == 0
    visit.press("All")
    visit.sees("Older ones that are left out here: 199.")


def test_a_key_that_was_typed_stays_when_the_callback_is_tried_again(visit, fresh):
    page = visit.page
    recorded(fresh, notify=f"{fresh.api}/_localyun/sink/console")
    visit.go("callbacks")
    page.locator(".rows a", has_text="file recorded").first.click()
    box = page.get_by_label("Check the signature with this key").first
    box.fill("aKeyOfCallbacks16")
    visit.sees("The signature is made with this key.")
    number = re.search(r"#/callbacks/(\d+)", page.url)[1]
    assert control(fresh, "POST", f"callbacks/{number}/replay")[0] == 200
    until(page, "document.querySelectorAll('.attempts > li').length === 2")
    assert box.input_value() == "aKeyOfCallbacks16" and box.evaluate("(node) => node === document.activeElement")
    visit.sees("The signature is made with this key.")
    page.locator(".detail h3", has_text="Tries (2)").wait_for()


@pytest.mark.parametrize(("screen", "pressed"), [("recording", "main li.file button"), ("stream", "main .links a")])
def test_what_belongs_to_a_recording_stays_under_the_hand_while_its_slices_are_counted(visit, fresh, screen, pressed):
    page, slices = visit.page, iter(range(1000, 2000))
    recorded(fresh)
    [session] = control(fresh, "GET", "recordings")[1]["recordings"]

    def counted(route) -> None:
        told = control(fresh, "GET", route.request.url.split("/_localyun/")[1])[1]
        for it in told["recordings"]:
            it["slices"] = next(slices)
        route.fulfill(json=told)

    page.route(re.compile(r"/_localyun/recordings\?"), counted)
    visit.go(*(["recordings", session["session"]] if screen == "recording" else ["streams", DOMAIN, "live", "s1"]))
    page.locator(pressed).first.focus()
    page.evaluate("window.kept = document.activeElement")
    # When a list is asked for anew, what came before is drawn.
    for number in range(2):
        asked = len(asked_for(visit, "recordings"))
        control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": f"beside-{number}"})
        until_asked(visit, "recordings", asked + 1)
    assert page.evaluate("window.kept.isConnected && document.activeElement === window.kept && window.kept !== document.body")


def test_an_acl_that_is_refused_says_so_and_stands_as_it_was(visit, fresh):
    page = visit.page
    store_of(fresh).create_bucket(Bucket="kept")
    page.route(re.compile(r"/_localyun/buckets/kept$"), refuses)
    visit.allow("409")
    visit.go("objects", "kept")
    access = page.get_by_label("Access (ACL)")
    access.select_option("public-read")
    page.locator("#alerts .note", has_text="not in this test").wait_for()
    assert access.input_value() == "private"


def test_a_part_that_is_away_is_marked_until_it_is_back(visit, fresh):
    """Also one that goes while the page is open."""
    page, health = visit.page, re.compile(r"/_localyun/health$")
    visit.allow("503")
    visit.go("now")
    page.route(health, lambda route: route.fulfill(status=503, json={"error": "a part is away", "status": "degraded"}))
    page.locator(".badges", has_text="degraded").wait_for()
    assert fresh.api in (page.locator(".addresses").text_content() or "")
    page.unroute(health)
    page.locator(".badges", has_text="degraded").wait_for(state="detached")


def test_without_a_clipboard_a_line_in_a_window_is_copied_or_the_reader_is_told(visit, fresh):
    """A page from another machine over plain HTTP has no clipboard, and behind a modal window nothing can be selected."""
    page = visit.page
    page.add_init_script("""(() => {
      Object.defineProperty(navigator, 'clipboard', { value: undefined });
      document.addEventListener('copy', (event) => {
        window.copied = event.target.value;
      });
    })()""")
    visit.go("faults")
    visit.press("as curl")
    window = page.locator("dialog")
    window.locator("button.copy").first.click()
    window.locator("[role=status] .note", has_text="Copied.").wait_for()
    assert page.evaluate("window.copied") == window.locator("pre").first.inner_text()
    assert page.evaluate("document.activeElement.matches('dialog button.copy')")
    page.evaluate("void (document.execCommand = () => false)")
    window.locator("button.copy").first.click()
    window.locator("[role=alert] .note", has_text="could not be copied").wait_for()


def test_now_is_searched_by_the_names_that_its_rows_show(visit, fresh):
    page = visit.page
    recorded(fresh)
    store = store_of(fresh)
    store.create_bucket(Bucket="searched")
    store.put_object(Bucket="searched", Key="a/b.txt", Body=b"x")
    visit.go("now")
    for name in (f"{DOMAIN}/live/s1", "searched/a/b.txt"):
        page.get_by_label("Search").fill(name)
        page.locator(".happenings li a", has_text=name).first.wait_for()
        assert page.locator(".happenings li").count() == page.locator(".happenings li", has_text=name).count()


def test_a_text_is_shown_as_it_is_stored_and_no_more_of_it_is_loaded(visit, fresh):
    page, store = visit.page, store_of(fresh)
    store.create_bucket(Bucket="texts")
    number = '{"id":12345678901234567890}'
    for key, body, kind in (("long.txt", "x" + "é" * 100_000, "text/plain"), ("number.json", number, "application/json"), ("empty.txt", "", "text/plain")):
        store.put_object(Bucket="texts", Key=key, Body=body.encode(), ContentType=kind)

    def shown(key: str) -> str | None:
        return page.get_by_role("region", name=key, exact=True).text_content()

    # The part ends within a character, which is left out.
    with page.expect_response(lambda answer: "/_localyun/ui/object?" in answer.url) as answered:
        visit.go("objects", "texts", query="?key=long.txt")
    assert answered.value.status == 206 and answered.value.headers["content-range"] == "bytes 0-65535/200001"
    assert shown("long.txt") == "x" + "é" * 32_767 + "…"
    visit.go("objects", "texts", query="?key=number.json")
    assert shown("number.json") == number
    visit.go("objects", "texts", query="?key=empty.txt")
    assert shown("empty.txt") == ""
