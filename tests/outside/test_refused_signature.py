"""A refused signature is explained in the journal and by `sign --explain`: what the client did, and where its string parts from ours."""

import base64
import hashlib
import hmac
import json
import shlex
import subprocess
from urllib.parse import quote_plus

import pytest
from harness.api import Api, ApiError, escape
from harness.server import binary, clean_environment
from sdks import Acs3, Core, SdkError


def newest(server) -> dict:
    """The journal's last entry."""
    (entry,) = server.rows("/_localyun/requests?limit=1", "requests")
    return entry


def wrongly_signed(api: Api) -> dict[str, str]:
    """A call by a client that takes `+` for a space when it signs."""
    flat = api.signed("DescribeLiveRecordConfig", DomainName="sign.example.com", StreamName="a b", SecurityToken="t0ken")
    del flat["Signature"]
    canonical = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sorted(flat.items()))
    text = f"GET&%2F&{escape(canonical)}"
    flat["Signature"] = base64.b64encode(hmac.new(b"s3cret-thing&", text.encode(), hashlib.sha1).digest()).decode()
    return flat


@pytest.fixture(scope="module")
def keyed():
    """A server with a key of two parts and a token, none of which may be shown."""
    from harness.server import Server

    with Server("--access-keys", "sts:s3cret-thing:t0ken") as server:
        yield server


def test_the_mistake_is_recovered(keyed):
    api = Api(keyed.api, key="sts", secret="s3cret-thing")
    flat = wrongly_signed(api)
    query = "&".join(f"{escape(name)}={escape(value)}" for name, value in flat.items())
    status, _, body = api.send("GET", f"/?{query}")
    assert (status, json.loads(body)["Code"]) == (400, "SignatureDoesNotMatch")
    entry = newest(keyed)
    told = entry["signature"]
    assert "`+` for a space" in told["finding"] and len(told["mistakes"]) == 1
    assert "StreamName%3Da%2Bb" in told["client_string"] and "StreamName%3Da%2520b" in told["server_string"]
    at = told["first_difference"]["at"]
    assert told["client_string"][:at] == told["server_string"][:at] and told["client_string"][at] != told["server_string"][at]
    assert "%2Bb" in told["first_difference"]["client"] and "%2520b" in told["first_difference"]["server"]
    for secret in ("s3cret-thing", "t0ken"):
        assert secret not in json.dumps(entry)
    # The same on the command line, from the URL alone.
    command = [str(binary()), "sign", "--explain", f"{keyed.api}/?{query}", "--access-key", "sts:s3cret-thing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
    assert done.returncode == 1 and told["finding"] in done.stdout, done
    assert told["client_string"] in done.stdout and told["server_string"] in done.stdout
    assert "s3cret-thing" not in done.stdout and "t0ken" not in done.stdout


@pytest.mark.parametrize("kind", [Acs3, Core], ids=lambda kind: kind.name)
def test_an_sdk_with_a_wrong_secret_is_told_ours(server, kind):
    with pytest.raises(SdkError):
        kind(server.api, secret="another").call("DescribeLiveRecordConfig", DomainName="sign.example.com")
    told = newest(server)["signature"]
    assert told["mistakes"] == [] and told["client_string"] is None and told["first_difference"] is None
    assert "another secret" in told["finding"]
    assert "sign.example.com" in told["server_string"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_journals_curl_line_asks_again(server, method):
    api = Api(server.api)
    flat = api.signed("DescribeLiveRecordConfig", method, DomainName="sign.example.com")
    query = "&".join(f"{escape(name)}={escape(value)}" for name, value in flat.items())
    assert api.send(method, f"/?{query}")[0] == 200
    line = newest(server)["again"]["curl"]
    begin, end = f'curl -X {method} "$(localyun sign ', ')"'
    assert line.startswith(begin) and line.endswith(end), line
    command = [str(binary()), "sign", *shlex.split(line.removeprefix(begin).removesuffix(end))]
    signed = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment(), check=True).stdout.strip()
    assert signed.startswith(server.api)
    assert api.send(method, signed.removeprefix(server.api))[0] == 200


def test_a_good_signature_has_nothing_to_tell(server):
    api = Api(server.api)
    api.call("DescribeLiveRecordConfig", DomainName="sign.example.com")
    assert "signature" not in newest(server)


def test_a_flood_of_bad_signatures_is_answered_and_read(server):
    api = Api(server.api, secret="another")
    for _ in range(100):
        with pytest.raises(ApiError):
            api.call("DescribeLiveRecordConfig", DomainName="sign.example.com")
    rows = server.rows("/_localyun/requests?limit=200", "requests")
    # The newest ones are looked into, and no more than the journal keeps the requests of.
    assert 0 < sum("signature" in row for row in rows) < 100
    assert "signature" in rows[0]
