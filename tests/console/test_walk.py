"""From the empty page to a played recording by buttons alone."""

import re

import pytest
from browser import control

DOMAIN = "play.example.com"


def fill(form, label: str, value: str) -> None:
    form.get_by_label(label, exact=True).fill(value)


def publish(visit, stream: str, seconds: int, speed: str) -> None:
    """Publishes a clip from the form of the empty page."""
    form = visit.page.locator("main form.publish").first
    fill(form, "Stream", stream)
    form.get_by_label("Seconds of media").fill(str(seconds))
    form.get_by_label("Speed").fill(speed)
    visit.button("Publish", form).click()
    visit.page.wait_for_url(re.compile(rf"#/streams/{re.escape(DOMAIN)}/live/{stream}$"))


def playing(visit) -> float:
    """How far the video of the screen gets within some seconds."""
    video = visit.page.locator("video").first
    video.wait_for(state="visible")
    return video.evaluate(
        """async (video) => {
          const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
          const until = performance.now() + 15000;
          let first = null;
          while (performance.now() < until) {
            if (video.readyState >= 2 && first === null) first = video.currentTime;
            if (first !== null && video.currentTime > first + 1) return video.currentTime - first;
            await rest(50);
          }
          return 0;
        }"""
    )


def test_from_the_empty_page_to_a_played_recording(visit, fresh):
    page = visit.page
    visit.go("now")
    visit.sees("Send a first stream")
    publish(visit, "walk", 60, "1")
    # Live, with its facts, and recorded by the rule that the form made.
    visit.sees("H264 320×180")
    visit.sees("the rule records automatically")
    page.locator("svg.lanes rect.push").first.wait_for()
    page.locator("svg.lanes rect.record").first.wait_for()
    visit.press("Watch")
    assert playing(visit) > 1
    visit.press("Stop watching")
    # The list has it too, and ends it.
    visit.go("streams")
    row = page.locator("tbody tr", has_text="walk")
    row.get_by_text("live/*").wait_for()
    page.locator("svg.spark").first.wait_for()
    visit.press("Watch", row)
    assert playing(visit) > 1
    page.keyboard.press("Escape")
    visit.press("End stream", row)
    page.locator("section table a", has_text="walk").wait_for()
    # DelayTime is hatched, and the clock goes there.
    visit.go("streams", DOMAIN, "live", "walk")
    page.locator("svg.lanes rect.delay").first.wait_for()
    visit.press("Advance there")
    page.locator("svg.lanes rect.file").first.wait_for()
    assert page.locator("svg.lanes rect.slice").count() > 0
    page.locator("svg.lanes circle.told").first.wait_for()
    page.locator("svg.lanes rect.file").first.click()
    visit.sees('"object"')
    # The recording, in each format.
    visit.go("recordings")
    page.locator(".rows a", has_text="walk").first.click()
    visit.sees("ended")
    files = page.locator("li.file")
    files.first.wait_for()
    assert files.count() == 3
    for form in ("mp4", "m3u8", "flv"):
        file = page.locator("li.file", has=page.locator(".badge", has_text=form))
        visit.press("Play", file)
        report = visit.play_to_the_end()
        assert report["ended"] and report["error"] is None, (form, report)
        assert report["time"] > 3 and report["width"] == 320 and report["frames"] > 30, (form, report)
    playlist = page.locator("li.file", has=page.locator(".badge", has_text="m3u8"))
    visit.press("Slices", playlist)
    page.locator(".strip button").first.click()
    assert visit.play_to_the_end()["ended"]
    visit.press("As the API answers it", playlist)
    visit.sees('"RecordId"')


def test_a_cmaf_recording_by_a_rule_of_the_form(visit, fresh):
    page = visit.page
    visit.go("rules")
    visit.press("New rule")
    window = page.locator("dialog")
    window.get_by_label("Format", exact=True).select_option("cmaf")
    assert "RecordFormat.1.Format=cmaf" in window.locator("pre").first.inner_text()
    visit.press("Add", window)
    window.get_by_text("200", exact=True).wait_for()
    page.keyboard.press("Escape")
    page.locator("tbody tr", has_text="cmaf").first.wait_for()
    visit.go("streams")
    visit.press("Publish a clip")
    window = page.locator("dialog")
    fill(window, "Stream", "fragments")
    window.get_by_label("Seconds of media").fill("20")
    window.get_by_label("Speed").fill("0")
    window.get_by_label("Record it").uncheck()
    visit.press("Publish", window)
    visit.press("Advance there")
    visit.go("recordings")
    page.locator(".rows a", has_text="fragments").first.click()
    visit.press("Play", page.locator("li.file").first)
    report = visit.play_to_the_end()
    assert report["ended"] and 18 < report["time"] < 22 and report["width"] == 320, report


@pytest.mark.parametrize("clip, width", [("audio_only", 0), ("video_only", 320)])
def test_recordings_of_one_track_play(visit, fresh, clip, width):
    page = visit.page
    visit.go("now")
    form = page.locator("main form.publish").first
    form.get_by_label("Clip").select_option(clip)
    publish(visit, clip, 10, "0")
    visit.press("Advance there")
    visit.go("recordings")
    page.locator(".rows a").first.click()
    page.locator("li.file").first.wait_for()
    for form in ("mp4", "m3u8", "flv"):
        visit.press("Play", page.locator("li.file", has=page.locator(".badge", has_text=form)))
        report = visit.play_to_the_end()
        assert report["ended"] and 9 < report["time"] < 11 and report["width"] == width, (form, report)


def test_a_stream_that_nothing_records_says_why_and_what_cures_it(visit, fresh):
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "bare"})
    visit.go("streams")
    row = visit.page.locator("tbody tr", has_text="bare")
    row.get_by_text("there is no recording rule at all").wait_for()
    visit.press("Add a rule for this app", row)
    visit.go("rules", query=f"?domain={DOMAIN}&app=live&stream=bare")
    visit.sees("the rule records automatically")
    visit.sees("wins")


def test_what_the_server_says_is_chinese_on_a_chinese_page(browser, fresh):
    """Why a push is not recorded and what cures it, as the event and as the answer; a refusal of a button."""
    control(fresh, "POST", "streams", {"domain": DOMAIN, "stream": "bare"})
    visit = browser.visit(fresh, "zh")
    for parts in (["now"], ["streams"], ["streams", DOMAIN, "live", "bare"], ["rules"]):
        visit.go(*parts, query=f"?domain={DOMAIN}&app=live&stream=bare" if parts == ["rules"] else "")
        visit.sees("没有任何录制规则")
        assert "there is no" not in visit.page.locator("main").inner_text(), parts
    visit.go("faults")
    visit.page.get_by_label("位置").fill("api:AddLiveAppRecordConfg")
    visit.page.get_by_label("错误码").fill("X")
    visit.allow("400 (Bad Request)")
    visit.press("启用", visit.page.locator("main form"))
    visit.page.locator("#alerts").get_by_text("没有接口 AddLiveAppRecordConfg；是否想用 api:AddLiveAppRecordConfig？").wait_for()
    visit.check()
    visit.page.context.close()
