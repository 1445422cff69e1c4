"""The bodies that docs/callbacks.md and docs/control.md show, beside those that come: the same names, and values of the same kind."""

import json
import re
from urllib.parse import parse_qs

from harness.server import PROJECT
from harness.wait import wait_for

DOCUMENT = "".join((PROJECT / page).read_text() for page in ("docs/callbacks.md", "docs/control.md"))


def shown(language: str, wanted: str) -> str:
    """The one block of the document that holds a text."""
    blocks = re.findall(rf"^```{language} by=tests/outside/test_documented_bodies.py\n(.*?)^```$", DOCUMENT, re.M | re.S)
    (found,) = [block for block in blocks if wanted in block]
    return found


def shape(value: object) -> object:
    """Names and kinds of a body; a number with a fraction is a number."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_files_and_states(own_stage):
    stage = own_stage()
    stage.rule("mp4")
    stage.notify(NeedStatusNotify=True)
    stage.push(10)
    stage.advance(181)
    wait_for(lambda: stage.inbox.files(".mp4"), what="the file's callback")
    (file,) = stage.inbox.files(".mp4")
    documented = json.loads(shown("json", '"uri"'))
    assert shape(file) == shape(documented) and list(file) == list(documented)
    told = [body for body in stage.inbox.bodies() if body.get("event")]
    documented = json.loads(shown("json", "record_started"))
    assert {body["event"] for body in told} >= {"record_started", "record_paused"}
    for body in told:
        assert list(body) == list(documented), body


def test_an_error(own_stage):
    stage = own_stage("--buckets", "existing")
    stage.rule("mp4")
    stage.notify(NeedStatusNotify=True)
    stage.bucket.s3.delete_bucket(Bucket=stage.bucket.name)
    stage.push(10)
    stage.advance(181)
    wait_for(lambda: "record_error" in stage.inbox.events(), what="record_error")
    (error,) = [body for body in stage.inbox.bodies() if body.get("event") == "record_error"]
    documented = json.loads(shown("json", "record_error"))
    assert shape(error) == shape(documented) and list(error) == list(documented)
    assert error["error_info"]["code"] == documented["error_info"]["code"] == "BucketNotFound"


def test_a_publish(own_stage):
    stage = own_stage()
    stage.api.call("SetLiveStreamsNotifyUrlConfig", DomainName=stage.domain, NotifyUrl=stage.inbox.url)
    publisher = stage.publisher()
    stage.live(publisher, 5, step=1)
    stage.end(publisher)
    wait_for(lambda: len(stage.inbox.requests) >= 2, what="both calls")
    documented = list(parse_qs(shown("text", "action=publish").strip(), keep_blank_values=True))
    first, last = (parse_qs(request.query, keep_blank_values=True) for request in stage.inbox.requests[:2])
    assert (first["action"], last["action"]) == (["publish"], ["publish_done"])
    assert list(first) == documented


def test_an_answer_on_demand(own_stage):
    stage = own_stage()
    stage.rule("mp4", "m3u8", "flv", OnDemand=1)
    stage.notify(OnDemandUrl=stage.questions.url)
    documented = json.loads(shown("json", "NeedRecord"))
    stage.questions.say(documented)
    stage.push(10)
    stage.advance(181)
    wait_for(lambda: len(stage.inbox.files()) >= 2, what="two files")
    endings = {file["uri"].rsplit(".", 1)[1] for file in stage.inbox.files()}
    assert endings == set(documented["Format"])


def test_a_refusal_of_the_control_plane(server):
    status, refused = server.control("POST", "/_localyun/callbacks/7/replay")
    assert status == 404 and refused == json.loads(shown("json", "there is no callback 7"))
