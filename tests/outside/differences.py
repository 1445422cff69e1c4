"""The ways in which an upstream differs on purpose, each with what has to be found; and what must not be found."""

import re

from altering import Answer

RULES = "/LiveAppRecordList/LiveAppRecord"
LIST = {"call": "DescribeLiveRecordConfig", "with": {"DomainName": "${domain}", "AppName": "${app}"}}
NOTIFY = {"call": "DescribeLiveRecordNotifyConfig", "with": {"DomainName": "${domain}"}}
NONE = {"call": "DeleteLiveAppRecordConfig", "with": {"DomainName": "${domain}", "AppName": "none-${run}"}}
TAGS = {"call": "ListLiveTagResources", "with": {"ResourceType": "DOMAIN", "ResourceId": ["${domain}"]}}


def rules(body: dict) -> list[dict]:
    return body["LiveAppRecordList"]["LiveAppRecord"]


def first(body: dict) -> dict:
    return rules(body)[0]


def renamed(where: dict, old: str, new: str) -> None:
    where[new] = where.pop(old)


def body(change):
    """An alteration of the body alone."""

    def alter(answer: Answer) -> Answer:
        status, headers, parsed = answer
        result = change(parsed)
        return status, headers, parsed if result is None else result

    return alter


def put(where, name: str, value):
    """Sets a member; `value` may be made from what was there."""

    def change(parsed: dict) -> None:
        place = where(parsed)
        place[name] = value(place.get(name)) if callable(value) else value

    return body(change)


def top(parsed: dict) -> dict:
    return parsed


def notify(parsed: dict) -> dict:
    return parsed["LiveRecordNotifyConfig"]


REFUSED = {"Code": "Forbidden", "Message": "no", "RequestId": "5056369B-D337-499E-B8B7-B761BD37B08A", "HostId": "h"}

# name: (step, alteration, what is found)
WAYS = {
    "missing-member": (LIST, body(lambda b: first(b).pop("OssEndpoint") and None), [("only here", f"{RULES}/0/OssEndpoint")]),
    "missing-above": (LIST, body(lambda b: b.pop("Order") and None), [("only here", "/Order")]),
    "missing-item": (LIST, body(lambda b: rules(b).pop(1) and None), [("only here", f"{RULES}/1")]),
    "missing-list": (LIST, body(lambda b: b.pop("LiveAppRecordList") and None), [("only here", "/LiveAppRecordList")]),
    "extra-member": (LIST, put(first, "Extra", "x"), [("only there", f"{RULES}/0/Extra")]),
    "extra-above": (LIST, put(top, "Extra", {"a": 1}), [("only there", "/Extra")]),
    "extra-item": (LIST, body(lambda b: rules(b).append({**first(b), "StreamName": "z"})), [("only there", f"{RULES}/3")]),
    "extra-item-between": (LIST, body(lambda b: rules(b).insert(1, {**first(b), "StreamName": "z"})), [("only there", f"{RULES}/1")]),
    "number-as-text": (LIST, put(first, "DelayTime", str), [("other type", f"{RULES}/0/DelayTime")]),
    "number-as-fraction": (LIST, put(first, "DelayTime", float), [("other type", f"{RULES}/0/DelayTime")]),
    "text-as-number": (LIST, put(first, "OssBucket", 7), [("other type", f"{RULES}/0/OssBucket")]),
    "truth-as-text": (NOTIFY, put(notify, "NeedStatusNotify", "true"), [("other type", "/LiveRecordNotifyConfig/NeedStatusNotify")]),
    "truth-as-number": (NOTIFY, put(notify, "NeedStatusNotify", 1), [("other type", "/LiveRecordNotifyConfig/NeedStatusNotify")]),
    "null-for-text": (LIST, put(first, "StreamName", None), [("other type", f"{RULES}/0/StreamName")]),
    "null-for-list": (LIST, put(lambda b: b["LiveAppRecordList"], "LiveAppRecord", None), [("other type", RULES)]),
    "object-for-list": (LIST, put(lambda b: b["LiveAppRecordList"], "LiveAppRecord", lambda rows: rows[0]), [("other type", RULES)]),
    "list-for-object": (NOTIFY, put(top, "LiveRecordNotifyConfig", lambda row: [row]), [("other type", "/LiveRecordNotifyConfig")]),
    "other-text": (LIST, put(first, "OssBucket", "another"), [("different", f"{RULES}/0/OssBucket")]),
    "other-number": (LIST, put(first, "DelayTime", lambda n: n + 1), [("different", f"{RULES}/0/DelayTime")]),
    "other-truth": (NOTIFY, put(notify, "NeedStatusNotify", lambda t: not t), [("different", "/LiveRecordNotifyConfig/NeedStatusNotify")]),
    "other-case-of-a-value": (
        LIST,
        put(lambda b: first(b)["RecordFormatList"]["RecordFormat"][0], "Format", str.upper),
        [("different", f"{RULES}/0/RecordFormatList/RecordFormat/0/Format")],
    ),
    "a-blank-more": (LIST, put(first, "OssEndpoint", lambda text: text + " "), [("different", f"{RULES}/0/OssEndpoint")]),
    "other-case-of-a-name": (LIST, body(lambda b: renamed(first(b), "OssBucket", "ossBucket")), [("other name", f"{RULES}/0/OssBucket")]),
    "other-form-of-a-time": (LIST, put(first, "CreateTime", lambda t: t.replace("Z", ".000Z")), [("different", f"{RULES}/0/CreateTime")]),
    "time-as-number": (LIST, put(first, "CreateTime", 1764187200), [("other type", f"{RULES}/0/CreateTime")]),
    "empty-id": (LIST, put(top, "RequestId", ""), [("different", "/RequestId")]),
    "other-order": (LIST, body(lambda b: rules(b).reverse()), [("other order", RULES)]),
    "other-page": (LIST, put(top, "PageNum", lambda n: n + 1), [("other paging", "/PageNum")]),
    "other-total": (LIST, put(top, "TotalNum", lambda n: n + 1), [("other paging", "/TotalNum")]),
    "other-code": (NONE, put(top, "Code", "InvalidDomain.NotFound"), [("other code", "/Code")]),
    "other-status": (NONE, lambda answer: (403, *answer[1:]), [("other status", "")]),
    "other-message": (NONE, put(top, "Message", "another sentence"), [("different", "/Message")]),
    "refused-there": (LIST, lambda answer: (403, answer[1], REFUSED), [("other status", ""), ("other code", "/Code")]),
    "taken-there": (NONE, lambda answer: (200, answer[1], {"RequestId": "x"}), [("other status", ""), ("other code", "/Code")]),
    "a-page": (LIST, lambda answer: (answer[0], {"content-type": "text/html"}, b"<html>"), [("other type", "")]),
    "other-media-type": (LIST, lambda answer: (answer[0], {"content-type": "text/plain"}, answer[2]), [("other type", "")]),
}


def other_digits(text: str) -> str:
    return re.sub(r"\d", lambda found: str((int(found[0]) + 1) % 10), text)


# What differs by nature: nothing is found.
NATURAL = {
    "as-it-is": (LIST, lambda answer: answer),
    "other-request": (LIST, put(top, "RequestId", other_digits)),
    "later": (LIST, put(first, "CreateTime", "2031-05-06T07:08:09Z")),
    "other-host": (NONE, put(top, "HostId", "live.example.net")),
    "without-a-hint": (NONE, put(top, "Message", lambda text: re.sub(r" \(.*\)$", "", text) + " (a hint of another kind)")),
    "other-order-of-tags": (TAGS, body(lambda b: b["TagResources"]["TagResource"].reverse())),
    "members-in-another-order": (LIST, body(lambda b: dict(reversed(b.items())))),
}


def script() -> str:
    """One step for each way; the proxy is told by a parameter that means nothing to the API."""
    rule = {"DomainName": "${domain}", "AppName": "${app}", "OssBucket": "${bucket}", "OssEndpoint": "${oss_endpoint}", "RecordFormat": [{"Format": "mp4"}]}
    setup = [{"call": "AddLiveAppRecordConfig", "with": {**rule, "StreamName": name}} for name in ("a", "b", "c")]
    setup.append({"call": "AddLiveRecordNotifyConfig", "with": {"DomainName": "${domain}", "NotifyUrl": "http://callback.example.com/", "NeedStatusNotify": "true"}})
    tags = [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]
    setup.append({"call": "AddLiveDomain", "with": {"DomainName": "${domain}", "LiveDomainType": "liveVideo", "Region": "cn-shanghai", "Tag": tags}})
    steps = []
    for name, (step, *_) in {**WAYS, **NATURAL}.items():
        steps.append({"name": name, "call": step["call"], "with": {**step["with"], "OwnerAccount": name}})
    import json

    # JSON is YAML too.
    return json.dumps({"script": "differences", "vars": {"app": "a-${run}"}, "setup": setup, "steps": steps}, indent=1)


def alter(action: str, query: dict[str, str], answer: Answer) -> Answer:
    """The alteration that a step asks for."""
    known = {name: way[1] for name, way in {**WAYS, **NATURAL}.items()}
    change = known.get(query.get("OwnerAccount", ""))
    return change(answer) if change else answer
