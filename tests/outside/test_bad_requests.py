"""Malformed and hostile requests: the product's error form at once, nothing stored, and the server goes on."""

import http.client
import json
import re
import socket
import time
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from harness.api import Api, escape, sign
from harness.stage import ENDPOINT

AT_ONCE = 3.0


@pytest.fixture
def api(server) -> Api:
    """A caller of the file's server."""
    return Api(server.api)


@pytest.fixture(autouse=True)
def unharmed(server):
    """After each test the server still answers, with no rule stored."""
    began = time.monotonic()
    yield
    assert server.control("GET", "/_localyun/health")[0] == 200
    snapshot = json.dumps(server.get("/_localyun/snapshot"))
    assert "bad.example.com" not in snapshot
    assert time.monotonic() - began < AT_ONCE * 4


def refused(answer: tuple[int, dict[str, str], bytes], *codes: str, statuses: tuple[int, ...] = (400,)) -> dict:
    """Checks the error form in JSON and gives the body."""
    status, headers, text = answer
    assert status in statuses, (status, text[:300])
    assert headers["content-type"].replace(" ", "").lower() == "application/json;charset=utf-8"
    body = json.loads(text)
    assert {"RequestId", "HostId", "Code", "Message"} <= set(body)
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", body["RequestId"])
    assert headers.get("x-acs-request-id") == body["RequestId"]
    assert not codes or body["Code"] in codes, body
    return body


def get(api: Api, flat: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Sends a parameter set as a GET."""
    return api.send("GET", "/?" + "&".join(f"{escape(k)}={escape(v)}" for k, v in flat.items()))


def resigned(api: Api, flat: dict[str, str], method: str = "GET") -> dict[str, str]:
    """The parameter set with its signature made anew."""
    bare = {name: value for name, value in flat.items() if name != "Signature"}
    return bare | {"Signature": sign(bare, api.secret, method)}


def rule(**more: object) -> dict:
    """A rule that would be stored if it were accepted."""
    whole = {"DomainName": "bad.example.com", "AppName": "live", "OssBucket": "bad-bucket", "OssEndpoint": ENDPOINT}
    return whole | {"RecordFormat.1.Format": "mp4"} | more


@pytest.mark.parametrize("query", ["Action=%", "Action=%G1", "Action=%zz&b", "%%%=%%%", "Action=Describe%2", "&&&=&=&"])
def test_bad_percent_encoding(api, query):
    refused(api.send("GET", "/?Format=JSON&" + query), statuses=(400, 404))


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"caf\xe9", b"\xc0\x80", b"\xed\xa0\x80"])
def test_invalid_utf8_escaped(api, raw):
    flat = api.signed("DescribeLiveRecordConfig", DomainName="x")
    query = "&".join(f"{escape(k)}={escape(v)}" for k, v in flat.items() if k != "DomainName")
    value = "".join(f"%{byte:02X}" for byte in raw)
    refused(api.send("GET", f"/?{query}&DomainName={value}"))


def test_no_parameters_at_all(api):
    status, headers, text = api.send("GET", "/")
    assert status == 400 and b"MissingAction" in text or status == 404
    assert headers["content-type"].split(";")[0] in ("text/xml", "application/xml", "application/json")


def test_body_of_ten_megabytes(api):
    refused(api.send("POST", "/?Format=JSON", b"A=" + b"x" * (10 * 1024 * 1024), {"Content-Type": "application/x-www-form-urlencoded"}), statuses=(400, 413))


def test_ten_thousand_parameters(api):
    flat = api.signed("AddLiveAppRecordConfig", **rule(), **{f"Extra{n}": n for n in range(10_000)})
    form = urlencode(flat).encode()
    refused(api.send("POST", "/?Format=JSON", form, {"Content-Type": "application/x-www-form-urlencoded"}), statuses=(400, 413, 414))


@pytest.mark.parametrize("name", ["RecordFormat.999999.Format", "RecordFormat.0.Format", "RecordFormat.-1.Format", "RecordFormat.18446744073709551616.Format"])
def test_list_positions_out_of_range(api, name):
    flat = api.signed("AddLiveAppRecordConfig", **{k: v for k, v in rule().items() if not k.startswith("RecordFormat")}, **{name: "mp4"})
    refused(get(api, flat))


def test_deeply_nested_name(api):
    flat = api.signed("AddLiveAppRecordConfig", **rule(), **{"RecordFormat" + ".1" * 500: "mp4"})
    refused(get(api, flat))


def test_names_that_are_value_and_group(api):
    flat = api.signed("AddLiveAppRecordConfig", **rule(), RecordFormat="mp4")
    refused(get(api, flat))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_wrong_method(api, method):
    flat = api.signed("DescribeLiveRecordConfig", method, DomainName="bad.example.com")
    query = "&".join(f"{escape(k)}={escape(v)}" for k, v in flat.items())
    refused(api.send(method, f"/?{query}"), "UnsupportedHTTPMethod", statuses=(400, 403, 405))


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "multipart/form-data", "application/json", "x", ";;;"])
def test_bad_content_type(api, kind):
    form = urlencode(api.signed("AddLiveAppRecordConfig", "POST", **rule())).encode()
    refused(api.send("POST", "/?Format=JSON", form, {"Content-Type": kind}))


def test_chunked_form_is_read(api):
    """Node's SDKs send their form in chunks: the same action, answered like any other."""
    form = urlencode(api.signed("DescribeLiveRecordConfig", "POST", DomainName="chunked.example.com")).encode()
    connection = http.client.HTTPConnection(api.host, api.port, timeout=20)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/", iter([form[:7], form[7:40], form[40:]]), headers, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["TotalNum"] == 0
    finally:
        connection.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n\x00\x00",
        b"GARBAGE\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"GET /?" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["nul", "garbage", "negative-length", "bad-chunk", "long-line"],
)
def test_not_http(api, raw):
    with socket.create_connection((api.host, api.port), timeout=10) as peer:
        try:
            peer.sendall(raw)
            answer = peer.recv(4096)
        except ConnectionError:
            answer = b""
    assert answer == b"" or re.match(rb"HTTP/1\.[01] (4\d\d|505)", answer), answer[:100]


@pytest.mark.parametrize("offer", ["h2c", "websocket"])
def test_an_offered_upgrade_is_not_taken(api, offer):
    """As curl --http2 and Java's client send it: the plain answer at once, and the end of the connection announced."""
    flat = api.signed("DescribeLiveRecordConfig", DomainName="bad.example.com")
    target = "/?" + "&".join(f"{escape(k)}={escape(v)}" for k, v in flat.items())
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": offer, "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA"}
    began = time.monotonic()
    status, told, body = api.send("GET", target, headers=headers)
    assert status == 200 and json.loads(body)["TotalNum"] == 0
    assert told["connection"].lower() == "close"
    assert time.monotonic() - began < AT_ONCE


def test_a_tunnel_is_refused_at_once(api):
    with socket.create_connection((api.host, api.port), timeout=10) as peer:
        began = time.monotonic()
        peer.sendall(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")
        answer = peer.recv(4096)
        assert answer.startswith(b"HTTP/1.1 400 ") and b"UnsupportedHTTPMethod" in answer
        assert time.monotonic() - began < AT_ONCE


def test_format_of_a_form_that_cannot_be_read(api):
    """Clients that send everything in the body get the form of error that they asked for there."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(api.send("POST", "/", b"Format=JSON&Action=DescribeLiveRecordConfig&X=%zz", headers))


@pytest.mark.parametrize("missing", ["Action", "Version", "AccessKeyId", "Signature", "Timestamp", "SignatureNonce"])
def test_missing_system_parameter(api, missing):
    flat = api.signed("DescribeLiveRecordConfig", DomainName="bad.example.com")
    del flat[missing]
    flat = flat if missing == "Signature" else resigned(api, flat)
    allowed = {f"Missing{missing}"} | ({"InvalidVersion"} if missing == "Version" else set())
    refused(get(api, flat), *allowed, statuses=(400, 404))


def test_unknown_action(api):
    body = refused(get(api, api.signed("MakeLiveCoffee")), "InvalidAction.NotFound", statuses=(404,))
    assert body["Message"] == "Specified api is not found, please check your url and method."


def test_unimplemented_action(api, server):
    """Actions that the product documents and localyun does not implement say so, after the usual checks."""
    assert "DescribeLiveShiftConfigs" in json.dumps(server.get("/_localyun/coverage"))
    refused(get(api, api.signed("DescribeLiveShiftConfigs")), "MissingDomainName")
    body = refused(get(api, api.signed("DescribeLiveShiftConfigs", DomainName="bad.example.com")), "ActionNotImplemented")
    assert "DescribeLiveShiftConfigs" in body["Message"]
    # And what to do: the list of what is there, by command and by address.
    assert "localyun coverage" in body["Message"]
    assert body["Recommend"] == f"{server.api}/_localyun/coverage"
    (entry,) = server.rows("/_localyun/requests?limit=1", "requests")
    assert (entry["verdict"], entry["status"]) == ("refused", 400)


def test_declined_action(api, server):
    """An action of a family that will not be built says why."""
    rows = {row["action"]: row for row in server.get("/_localyun/coverage")["actions"]}
    for name in ("DescribeCasters", "ListMessageApp", "ListEventSub", "DescribeLiveUserBillPrediction"):
        reason = rows[name]["reason"]
        assert rows[name]["standing"] == "declined" and len(reason) > 20
        status, body = api.ask(name, StartTime="2026-03-01T00:00:00Z", EndTime="2026-03-01T01:00:00Z", AppId="a", PageNumber=1)
        assert status == 400 and body["Code"] == "ActionNotImplemented", (name, body)
        assert reason in body["Message"]


@pytest.mark.parametrize(
    ("action", "successor"),
    [
        ("DescribeLiveDomainTranscodeData", "DescribeLiveDomainStreamTranscodeData"),
        ("StartMixStreamsService", "CreateMixStream"),
        ("CreateBoard", "nothing has taken its place"),
    ],
)
def test_retired_action(api, action, successor):
    """Released SDKs still have what the product retired; the answer names the successor."""
    body = refused(get(api, api.signed(action, DomainName="bad.example.com")), "InvalidAction.NotFound", statuses=(404,))
    assert body["Message"].startswith("Specified api is not found, please check your url and method. (")
    assert f"{action} was retired" in body["Message"] and successor in body["Message"]


def test_missing_business_parameter(api):
    body = refused(get(api, api.signed("DescribeLiveRecordConfig")), "MissingDomainName")
    assert body["Message"] == "DomainName is mandatory for this action."


def test_xml_error(api):
    flat = resigned(api, api.signed("DescribeLiveRecordConfig") | {"Format": "XML"})
    status, headers, text = get(api, flat)
    assert status == 400 and headers["content-type"].split(";")[0] in ("text/xml", "application/xml")
    assert text.startswith(b"<?xml version='1.0' encoding='UTF-8'?><Error>")
    assert b"<Code>MissingDomainName</Code>" in text and b"<RequestId>" in text and b"<HostId>" in text


def test_xml_success(api):
    flat = resigned(api, api.signed("DescribeLiveRecordConfig", DomainName="xml.example.com") | {"Format": "xml"})
    status, _, text = get(api, flat)
    assert status == 200
    assert text.startswith(b"<?xml version='1.0' encoding='UTF-8'?><DescribeLiveRecordConfigResponse>")
    assert b"<TotalNum>0</TotalNum>" in text


def test_unsupported_format(api):
    flat = resigned(api, api.signed("DescribeLiveRecordConfig", DomainName="bad.example.com") | {"Format": "YAML"})
    status, _, text = get(api, flat)
    assert status == 400 and b"InvalidParameter.Format" in text


def at(**shift: float) -> str:
    """A timestamp away from now."""
    return (datetime.now(UTC) + timedelta(**shift)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        (at(minutes=-16), "InvalidTimeStamp.Expired"),
        (at(minutes=16), "InvalidTimeStamp.Expired"),
        ("now", "InvalidTimeStamp.Format"),
        ("2026-02-30T00:00:00Z", "InvalidTimeStamp.Format"),
    ],
    ids=["old", "early", "word", "no-such-day"],
)
def test_timestamp(api, timestamp, code):
    flat = resigned(api, api.signed("DescribeLiveRecordConfig", DomainName="bad.example.com") | {"Timestamp": timestamp})
    refused(get(api, flat), code)


def test_nonce_counts_once(api):
    flat = api.signed("DescribeLiveRecordConfig", DomainName="nonce.example.com")
    assert get(api, flat)[0] == 200
    refused(get(api, flat), "SignatureNonceUsed")
    empty = api.signed("DescribeLiveRecordConfig", DomainName="play.example.com", SignatureNonce="")
    refused(get(api, empty), "SignatureNonceUsed")


def test_bad_signature_does_not_burn_the_nonce(api):
    flat = api.signed("DescribeLiveRecordConfig", DomainName="nonce.example.com", Marker=uuid.uuid4().hex)
    body = refused(get(api, flat | {"Signature": "AAAA"}), "SignatureDoesNotMatch")
    assert "server string to sign is:GET&%2F&" in body["Message"]
    assert get(api, flat)[0] == 200


@pytest.mark.parametrize(("name", "value"), [("SignatureMethod", "HMAC-MD5"), ("SignatureVersion", "9.0")])
def test_unsupported_signature(api, name, value):
    flat = resigned(api, api.signed("DescribeLiveRecordConfig", DomainName="bad.example.com") | {name: value})
    refused(get(api, flat), f"Invalid{name}")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"OssBucket": "Bad_Bucket"}, "InvalidOssBucket.Malformed"),
        ({"RecordFormat.1.Format": "avi"}, "InvalidFormat.Malformed"),
        ({"RecordFormat.1.CycleDuration": "0"}, "InvalidCycleDuration.Malformed"),
        ({"RecordFormat.1.CycleDuration": "21601"}, "InvalidCycleDuration.Malformed"),
        ({"StreamName": "s1", "StartTime": "soon", "EndTime": "2030-01-01T00:00:00Z"}, "InvalidStartTime.Malformed"),
        ({"StreamName": "s1", "StartTime": "2030-01-01T00:00:00Z", "EndTime": "later"}, "InvalidEndTime.Malformed"),
    ],
)
def test_bad_rule(api, change, code):
    refused(get(api, api.signed("AddLiveAppRecordConfig", **rule() | change)), code)


@pytest.mark.parametrize("change", [{"OnDemand": "3"}, {"OnDemand": "x"}, {"DelayTime": "99999999999999999999"}, {"RecordFormat.1.SliceDuration": "5.5"}])
def test_bad_number(api, change):
    refused(get(api, api.signed("AddLiveAppRecordConfig", **rule() | change)))


def test_too_many_formats(api):
    many = {f"RecordFormat.{n}.Format": "mp4" for n in range(1, 6)}
    refused(get(api, api.signed("AddLiveAppRecordConfig", **rule() | many)))


def test_bad_notify_url(api):
    flat = api.signed("AddLiveRecordNotifyConfig", DomainName="bad.example.com", NotifyUrl="ftp://127.0.0.1/x")
    refused(get(api, flat), "InvalidNotifyUrl.Malformed")
