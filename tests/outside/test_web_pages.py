"""What the page of a stranger can do through the browser of whoever looks at it: nothing, at the control plane and at the API."""

import json
import socket

import pytest
import requests

from harness.api import Api, escape
from harness.server import Server


def ask(server: Server, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> tuple[int, str]:
    """One request whose header lines are sent as they are: status and body."""
    at = server.api.removeprefix("http://").split(":")
    lines = [f"{method} {target} HTTP/1.1", *headers, "Connection: close"]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    with socket.create_connection((at[0], int(at[1])), timeout=20) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def port(server) -> str:
    return server.api.rsplit(":", 1)[1]


OWN = ["localhost", "LocalHost", "localhost.", "127.0.0.1", "127.0.0.2", "127.255.255.254", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"]
STRANGE = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.localhost",
    "localhost..",
    "0.0.0.0",
    "[::]",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "192.0.2.1",
    "evil.example@127.0.0.1",
    "127.0.0.1, evil.example",
    "[::ffff:192.0.2.1]",
]


@pytest.mark.parametrize("host", OWN)
def test_each_name_of_this_machine_reaches_the_control_plane(server, port, host):
    for named in (host, f"{host}:{port}", f"{host}:1"):
        assert ask(server, "/_localyun/config", f"Host: {named}")[0] == 200, named


@pytest.mark.parametrize("host", STRANGE)
def test_a_strangers_name_that_leads_here_reaches_nothing(server, port, host):
    """DNS rebinding: the page's origin and the Host are the same, and neither is this machine's."""
    for named in (host, f"{host}:{port}"):
        for more in ([], [f"Origin: http://{named}"], [f"Origin: http://{named}", "Sec-Fetch-Site: same-origin"]):
            for method, target in (("GET", "/_localyun/config"), ("POST", "/_localyun/reset"), ("GET", "/_localyun"), ("GET", "/metrics")):
                assert ask(server, target, f"Host: {named}", *more, method=method)[0] in (400, 403), (named, more, target)
        assert ask(server, "/_localyun/health", f"Host: {named}")[0] in (200, 400), "a probe answers anybody"


def test_the_refusal_names_the_host_and_the_cure(server):
    status, body = ask(server, "/_localyun/config", "Host: devbox.example:8080")
    assert status == 403
    assert "devbox.example:8080" in body and "public-host" in body


def test_a_second_host_or_a_request_line_with_another_one_is_refused(server, port):
    own, evil = f"127.0.0.1:{port}", f"evil.example:{port}"
    assert ask(server, "/_localyun/config", f"Host: {own}", f"Host: {evil}")[0] in (400, 403)
    assert ask(server, "/_localyun/config", f"Host: {evil}", f"Host: {own}")[0] in (400, 403)
    assert ask(server, f"http://{evil}/_localyun/config", f"Host: {own}")[0] == 403
    assert ask(server, f"http://{own}/_localyun/config", f"Host: {evil}")[0] in (400, 403)
    assert ask(server, f"http://{own}/_localyun/config", f"Host: {own}")[0] == 200


def test_a_request_without_a_host_is_refused(server):
    assert ask(server, "/_localyun/config")[0] in (400, 403)
    at = server.api.removeprefix("http://").split(":")
    with socket.create_connection((at[0], int(at[1])), timeout=20) as connection:
        connection.sendall(b"GET /_localyun/config HTTP/1.0\r\n\r\n")
        assert connection.recv(65536).split()[1] in (b"400", b"403")


def test_the_names_that_settings_give_reach_it(own_stage):
    server = own_stage("--public-host", "Live.Example.com").server
    for host in ("live.example.com", "LIVE.example.com.:80", "localhost"):
        assert ask(server, "/_localyun/config", f"Host: {host}")[0] == 200, host
    assert ask(server, "/_localyun/config", "Host: other.example.com")[0] == 403


def test_with_a_token_the_token_decides(own_stage):
    server = own_stage("--control-token", "word").server
    assert ask(server, "/_localyun/config", "Host: any.example", "Authorization: Bearer word")[0] == 200
    assert ask(server, "/_localyun/config", "Host: localhost")[0] == 401
    assert ask(server, "/_localyun/health", "Host: any.example")[0] == 200


def signed(server: Server, action: str = "DescribeLiveRecordConfig", method: str = "GET", **more: str) -> str:
    flat = Api(server.api).signed(action, method, DomainName="page.example.com", **more)
    return "&".join(f"{escape(name)}={escape(value)}" for name, value in flat.items())


FOREIGN = [
    ["Origin: http://evil.example"],
    ["Origin: null"],
    ["Origin: http://127.0.0.1:1"],
    ["Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: same-site"],
    ["Origin: http://evil.example", "Sec-Fetch-Site: same-origin"],
]


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: headers[0])
def test_a_page_of_another_site_calls_no_action(server, port, headers):
    """A form by POST, and a picture by GET, both signed with the key that stands in every document."""
    host = f"Host: 127.0.0.1:{port}"
    form = "Content-Type: application/x-www-form-urlencoded"
    for status, body in (
        ask(server, "/", host, form, *headers, method="POST", body=signed(server, method="POST").encode()),
        ask(server, "/?" + signed(server), host, *headers),
        ask(server, "/?" + signed(server, "AssumeRole", Version="2015-04-01", RoleArn="acs:ram::1:role/r", RoleSessionName="se"), host, *headers),
    ):
        assert (status, json.loads(body)["Code"]) == (403, "Forbidden"), body
    newest = server.rows("/_localyun/requests?limit=1", "requests")[0]
    assert (newest["verdict"], newest["code"]) == ("refused", "Forbidden")


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: headers[0])
def test_a_page_of_another_site_calls_no_action_where_nobody_signs(own_stage, headers):
    server = own_stage("--auth", "off").server
    host = "Host: " + server.api.removeprefix("http://")
    call = "Action=AddLiveDomain&Version=2016-11-01&Format=JSON&DomainName=page.example.com&LiveDomainType=liveVideo&Region=cn-shanghai"
    form = "Content-Type: application/x-www-form-urlencoded"
    assert ask(server, "/", host, form, *headers, method="POST", body=call.encode())[0] == 403
    assert ask(server, "/?" + call, host, *headers)[0] == 403
    assert ask(server, "/?" + call.replace("AddLiveDomain", "DescribeLiveUserDomains"), host)[0] == 200


def test_a_page_of_the_same_origin_and_a_client_without_one_call_actions(server, port):
    host = f"Host: 127.0.0.1:{port}"
    for headers in (
        [],
        [f"Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"],
        ["Sec-Fetch-Site: none"],
        ["Sec-Fetch-Mode: cors"],
    ):
        assert ask(server, "/?" + signed(server), host, *headers)[0] == 200, headers
    # By its names the API may be called under any; the hosts file leads the product's own here.
    assert ask(server, "/?" + signed(server), "Host: live.aliyuncs.com")[0] == 200


def test_a_strangers_name_that_leads_here_calls_no_action_as_everybody(own_stage):
    """Rebinding: what the key of the documents or no key at all may do is no proof; a key of one's own is."""
    evil = ["Host: evil.example", "Origin: http://evil.example"]
    server = own_stage().server
    assert ask(server, "/?" + signed(server), *evil)[0] == 403
    open_to_all = own_stage("--auth", "off").server
    assert ask(open_to_all, "/?Action=DescribeLiveUserDomains&Version=2016-11-01&Format=JSON", *evil)[0] == 403
    own = own_stage("--access-keys", "testid:testsecret,mine:secret").server
    flat = Api(own.api, "mine", "secret").signed("DescribeLiveRecordConfig", DomainName="page.example.com")
    query = "&".join(f"{escape(name)}={escape(value)}" for name, value in flat.items())
    assert ask(own, "/?" + query, *evil)[0] == 200


# What a browser adds by itself where it tells no Origin and no Sec-Fetch-Site: a GET of a page's own site, to a name without TLS.
BROWSER = [
    {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
    {"Referer": "http://evil.example/"},
    {"Accept-Language": "en-US,en;q=0.5"},
    # As far as a page can take it back.
    {"User-Agent": "node", "Accept-Language": "*"},
]
NODE = {"User-Agent": "node", "Accept": "*/*", "Accept-Language": "*", "Sec-Fetch-Mode": "cors"}


def lines(headers: dict[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]


@pytest.mark.parametrize("headers", BROWSER, ids=lambda headers: next(iter(headers)))
def test_a_strangers_name_that_leads_here_calls_no_action_by_a_plain_get(server, port, own_stage, headers):
    """Rebinding, as browsers speak of it: nothing says so but that a browser speaks, and under whose name."""
    told = lines(headers)
    for host in ("evil.example", f"evil.example:{port}", "live.aliyuncs.com"):
        status, body = ask(server, "/?" + signed(server), f"Host: {host}", *told)
        assert (status, "public-host" in body) == (403, True), (host, body)
        assert ask(server, "/?" + signed(server), f"Host: {host}", *lines(NODE))[0] == 200, "no page can send a Sec-Fetch-Mode alone"
    assert ask(server, "/?" + signed(server), f"Host: localhost:{port}", *told)[0] == 200
    named = own_stage("--auth", "off", "--public-host", "live.example.com").server
    call = "/?Action=DescribeLiveUserDomains&Version=2016-11-01&Format=JSON"
    assert ask(named, call, "Host: evil.example", *told)[0] == 403
    assert ask(named, call, "Host: live.example.com:8080", *told)[0] == 200
    assert ask(named, call, "Host: evil.example")[0] == 200, "no page at all"


def test_a_path_that_only_begins_like_the_control_plane_is_not_it(server, port):
    host = f"Host: 127.0.0.1:{port}"
    for path in ("/_localyunclock", "/_localyunrequests", "/_localyun.", "/_localyun%2Fclock"):
        status, body = ask(server, path, host)
        assert status == 400 and "MissingAction" in body, (path, status, body)
    for path in ("/_localyun/stream", "/_localyun/clockadvance", "/_localyun//clock", "/_localyun/clock//", "/_localyun/clock/advance/now"):
        for method in ("GET", "POST", "DELETE"):
            assert ask(server, path, host, method=method)[0] == 404, (method, path)
    assert ask(server, "/_localyun/clock/", host)[0] == 200
    assert ask(server, "/_localyun/streams", host, method="PATCH")[0] == 405


def test_where_nobody_signs_a_page_changes_a_bucket_only_by_its_rules(own_stage):
    """`POST ?delete` and its like go out from any page without a preflight."""
    stage = own_stage("--auth", "off")
    stage.s3.put_object(Bucket=stage.bucket.name, Key="x", Body=b"whole")
    base = f"{stage.server.oss}/{stage.bucket.name}"
    document = "<Delete><Object><Key>x</Key></Object></Delete>"
    plain = {"Content-Type": "text/plain"}
    for origin in ("http://evil.example", "null"):
        for method, target in (("POST", "?delete"), ("POST", "y?append&position=0"), ("POST", "y?uploads"), ("PUT", "y"), ("DELETE", "x")):
            answer = requests.request(method, f"{base}/{target}", data=document, headers=plain | {"Origin": origin}, timeout=20)
            assert answer.status_code == 403, (method, target, answer.text)
    assert requests.get(base + "/x", headers={"Origin": "http://evil.example"}, timeout=20).content == b"whole"
    form = requests.post(base, data={"key": "form.txt"}, files={"file": b"form"}, headers={"Origin": "http://evil.example"}, timeout=20)
    assert form.status_code != 403, form.text
    stage.s3.put_bucket_cors(
        Bucket=stage.bucket.name,
        CORSConfiguration={"CORSRules": [{"AllowedOrigins": ["http://app.example"], "AllowedMethods": ["POST", "PUT"], "AllowedHeaders": ["*"]}]},
    )
    ours = {"Origin": "http://app.example"}
    assert requests.put(base + "/y", data=b"y", headers=ours, timeout=20).status_code == 200
    assert requests.put(base + "/y", data=b"y", headers={"Origin": stage.server.oss}, timeout=20).status_code == 200
    assert requests.delete(base + "/x", headers=ours, timeout=20).status_code == 403
    assert requests.post(base + "/?delete", data=document, headers=plain | ours, timeout=20).status_code in (200, 400)


def test_where_nobody_signs_a_strangers_name_that_leads_to_the_store_opens_no_bucket(own_stage):
    """Its pages and the store are one site to the browser (DNS rebinding); and not every page that changes something tells its Origin."""
    stage = own_stage("--auth", "off")
    stage.s3.put_object(Bucket=stage.bucket.name, Key="x", Body=b"whole")
    base = f"{stage.server.oss}/{stage.bucket.name}"
    port = stage.server.oss.rsplit(":", 1)[1]

    def status(method: str, target: str, host: str, **headers: str) -> int:
        headers = {word.replace("_", "-"): value for word, value in headers.items()} | {"Host": host}
        return requests.request(method, f"{base}/{target}", data=b"", headers=headers, timeout=20).status_code

    calls = (("GET", "x"), ("PUT", "y"), ("POST", "z?append&position=0"), ("DELETE", "x"))
    name = stage.bucket.name
    for host in ("evil.example:1", f"evil.example:{port}", "evil.example", f"{name}.oss-x.evil.example:{port}", f"{name}.localhost.evil.example"):
        origin = {"Origin": f"http://{host}"}
        for method, target in calls:
            assert status(method, target, host, **origin, Sec_Fetch_Site="same-origin") == 403, (host, method)
            assert status(method, target, host, **origin) == 403, (host, method)
            assert status(method, target, host, Sec_Fetch_Site="same-origin") == 403, (host, method)
        for headers in BROWSER:
            assert status("GET", "x", host, **headers) == 403, (host, headers)
        assert status("GET", "?list-type=2", host, **BROWSER[0]) == 403, host
        assert status("GET", "x", host, **NODE) in (200, 404), "no page can send a Sec-Fetch-Mode alone"
    for method, target in calls[1:]:
        for site in ("cross-site", "same-site"):
            assert status(method, target, f"127.0.0.1:{port}", Sec_Fetch_Site=site) == 403, (method, site)
    assert status("GET", "x", f"127.0.0.1:{port}", Sec_Fetch_Site="cross-site") == 200
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"{stage.bucket.name}.localhost:{port}"):
        own = {"Origin": f"http://{host}", "Sec_Fetch_Site": "same-origin"}
        assert status("PUT", "y", host, **own) == 200, host
        assert status("PUT", "y", host, Sec_Fetch_Site="none") == 200, host
    # A name before a base that is this machine's, and an address, which no name server leads here. The bucket in the host stands before the path.
    for host, target in ((f"127.0.0.1:{port}", "x"), ("192.0.2.7:9000", "x"), (f"s3.localhost:{port}", "x"), ("oss-cn-shanghai.aliyuncs.com", "x")):
        for headers in BROWSER:
            assert status("GET", target, host, **headers) == 200, (host, headers)
    assert status("PUT", "y", "files.example:9000") == 200, "no page at all"
    stage.s3.put_bucket_cors(
        Bucket=stage.bucket.name,
        CORSConfiguration={"CORSRules": [{"AllowedOrigins": ["http://files.example:9000"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"]}]},
    )
    own = {"Origin": "http://files.example:9000", "Sec_Fetch_Site": "same-origin"}
    assert (status("PUT", "y", "files.example:9000", **own), status("DELETE", "y", "files.example:9000", **own)) == (200, 403)
    assert status("GET", "y", "files.example:9000", **BROWSER[0]) == 200, "its name is in the rules"


def test_a_browser_shows_objects_under_the_name_that_was_chosen(own_stage):
    """A link, a player and a signed address, opened by whoever looks at them, where nobody has to sign and where one has to."""
    browser = BROWSER[0] | BROWSER[2]
    for words in (("--auth", "off"), ()):
        stage = own_stage("--public-host", "live.example.com", *words)
        bucket = stage.bucket.name
        stage.s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
        stage.s3.put_object(Bucket=bucket, Key="x", Body=b"whole")
        signed_address = stage.s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "x"}).removeprefix(stage.server.oss)
        own = stage.server.oss.removeprefix("http://")
        for host, target in (
            ("live.example.com:9000", f"/{bucket}/x"),
            (f"{bucket}.live.example.com", "/x"),
            (own, f"/{bucket}/x"),
            (own, signed_address),
        ):
            answer = requests.get(stage.server.oss + target, headers=browser | {"Host": host}, timeout=20)
            assert (answer.status_code, answer.content) == (200, b"whole"), (words, host, answer.text)
