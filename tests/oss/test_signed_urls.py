"""Signed URLs of oss2 in path style at an IP address and at a host name, by version and by clock."""

import oss2
import pytest
import requests
from harness.server import Server

KEY = "rec/a b~中文+/s1.ts"


@pytest.fixture
def server():
    """The clock is moved: a server of its own for each test."""
    with Server() as server:
        yield server


def signer(server, version, endpoint=None):
    auth = oss2.Auth("testid", "testsecret") if version == "v1" else oss2.AuthV4("testid", "testsecret")
    return oss2.Bucket(auth, endpoint or server.oss, "liverec", region="cn-shanghai")


def urls(server, version, seconds=60):
    """The URL at 127.0.0.1, whose path has %2F, and at a host name, with what to send for it."""
    (at_ip,) = [signer(server, version).sign_url("GET", KEY, seconds)]
    assert "/liverec/rec%2Fa" in at_ip
    host = "liverec.oss-cn-shanghai.aliyuncs.com"
    at_host = signer(server, version, "http://oss-cn-shanghai.aliyuncs.com").sign_url("GET", KEY, seconds)
    assert at_host.startswith(f"http://{host}/")
    return [(at_ip, {}), (at_host.replace(f"http://{host}", server.oss), {"Host": host})]


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_a_url_ends_with_the_service_clock(server, version):
    bucket = signer(server, version)
    bucket.create_bucket()
    bucket.put_object(KEY, b"recorded")
    made = urls(server, version)
    for url, headers in made:
        assert requests.get(url, headers=headers).content == b"recorded"
        assert requests.get(url.replace("s1.ts", "s2.ts"), headers=headers).status_code == 403
    server.advance(61)
    for url, headers in made:
        late = requests.get(url, headers=headers)
        assert late.status_code == 403 and "Request has expired." in late.text, late.text


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize("advanced", [16, 181, 100_000])
def test_a_url_made_after_an_advance_is_good(server, version, advanced):
    bucket = signer(server, version)
    bucket.create_bucket()
    bucket.put_object(KEY, b"recorded")
    server.advance(advanced)
    for url, headers in urls(server, version):
        assert requests.get(url, headers=headers).content == b"recorded"


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_a_url_is_good_under_a_clock_of_another_year(version):
    with Server("--clock-start", "2026-03-01T02:00:00Z") as server:
        bucket = signer(server, version)
        bucket.create_bucket()
        bucket.put_object(KEY, b"recorded")
        made = urls(server, version)
        for url, headers in made:
            assert requests.get(url, headers=headers).content == b"recorded"
        if version == "v4":
            server.advance(61)
            assert {requests.get(url, headers=headers).status_code for url, headers in made} == {403}
