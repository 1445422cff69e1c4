"""What a signed address lets its holder do: what was signed, and nothing that is added to it."""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import oss2
import pytest
import requests
from test_temporary_keys import assume

SECRET = b"secret recording"


@pytest.fixture
def private(stage):
    """A bucket with an object that only its owner may read."""
    stage.s3.put_object(Bucket=stage.bucket.name, Key="private", Body=SECRET)
    return stage


def signed_put(stage, kind: str, key: str) -> str:
    """An address for one upload."""
    if kind == "s3-v4":
        return stage.s3.generate_presigned_url("put_object", Params={"Bucket": stage.bucket.name, "Key": key}, ExpiresIn=600)
    auth = oss2.Auth("testid", "testsecret") if kind == "oss-v1" else oss2.AuthV4("testid", "testsecret")
    bucket = oss2.Bucket(auth, stage.server.oss, stage.bucket.name, region="cn-shanghai" if kind == "oss-v4" else None)
    return bucket.sign_url("PUT", key, 600, slash_safe=True)


def public(stage, key: str) -> bool:
    """Whether anybody may read an object."""
    return requests.get(f"{stage.server.oss}/{stage.bucket.name}/{key}", timeout=10).status_code == 200


@pytest.mark.parametrize("prefix", ["x-amz-", "x-oss-"])
@pytest.mark.parametrize("kind", ["s3-v4", "oss-v1", "oss-v4"])
def test_a_header_that_was_not_signed_does_nothing(private, kind, prefix):
    """A copy of a private object, made public, by somebody who may upload one."""
    source = f"/{private.bucket.name}/private"
    for headers in [
        {f"{prefix}copy-source": source},
        {f"{prefix}copy-source": source, f"{prefix}acl": "public-read", f"{prefix}object-acl": "public-read"},
        {f"{prefix}acl": "public-read"},
        {f"{prefix}object-acl": "public-read"},
        {f"{prefix}meta-owner": "somebody"},
        {f"{prefix}tagging": "a=b"},
        {f"{prefix}storage-class": "IA"},
        {f"{prefix}metadata-directive": "REPLACE", f"{prefix}copy-source": source},
    ]:
        answer = requests.put(signed_put(private, kind, "upload"), data=b"", headers=headers, timeout=10)
        assert answer.status_code == 403, (headers, answer.text)
        assert not public(private, "upload")
    keys = [item["Key"] for item in private.s3.list_objects_v2(Bucket=private.bucket.name)["Contents"]]
    assert "upload" not in keys


@pytest.mark.parametrize("kind", ["s3-v4", "oss-v1", "oss-v4"])
def test_an_address_works_as_it_was_signed(private, kind):
    """The other side of it; a parameter that names the other product does not change who speaks."""
    answer = requests.put(signed_put(private, kind, "upload"), data=b"mine", timeout=10)
    assert answer.status_code == 200, answer.text
    assert private.s3.get_object(Bucket=private.bucket.name, Key="upload")["Body"].read() == b"mine"
    assert not public(private, "upload")


def test_the_signature_says_who_speaks(private):
    """An answer to an OSS signature is OSS's, whatever else the request carries."""
    for kind in ("oss-v1", "oss-v4"):
        url = signed_put(private, kind, "absent").replace("PUT", "GET")
        answer = requests.delete(url, headers={"x-amz-date": "20260101T000000Z"}, timeout=10)
        assert "x-oss-request-id" in answer.headers
    headers = {"x-oss-date": "x"}
    answer = requests.delete(signed_put(private, "s3-v4", "absent"), headers=headers, timeout=10)
    assert "x-amz-request-id" in answer.headers
    # A version 1 signature does not cover this parameter.
    answer = requests.delete(signed_put(private, "oss-v1", "absent") + "&AWSAccessKeyId=testid", timeout=10)
    assert "x-oss-request-id" in answer.headers


def test_words_that_an_sdk_moved_into_a_signed_address_count(private):
    """Newer SDKs sign the headers of an upload as parameters of its address."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = f"{private.server.oss}/{private.bucket.name}/moved?x-amz-acl=public-read&x-amz-meta-who=me"
    request = AWSRequest("PUT", url)
    S3SigV4QueryAuth(Credentials("testid", "testsecret"), "s3", "cn-shanghai", expires=600).add_auth(request)
    answer = requests.put(request.url, data=b"moved", timeout=10)
    assert answer.status_code == 200, answer.text
    assert public(private, "moved")
    assert private.s3.head_object(Bucket=private.bucket.name, Key="moved")["Metadata"] == {"who": "me"}


def client_of_version_2(stage, token: str | None = None, keys: tuple[str, str] = ("testid", "testsecret"), **told: str):
    """A client whose addresses are of version 2; where `told` does not say so, by its region."""
    import boto3
    from botocore.client import Config

    config = Config(s3={"addressing_style": "path"}, **told)
    words = {"aws_access_key_id": keys[0], "aws_secret_access_key": keys[1], "aws_session_token": token, "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=stage.server.oss, config=config, **words)


@pytest.mark.parametrize("told", [{"signature_version": "s3"}, {}], ids=["told", "by-region"])
def test_words_that_boto3_moved_into_an_address_of_version_2_count(private, told):
    """They were signed as headers: a changed one, one more and a header that says otherwise are refused."""
    s3, name = client_of_version_2(private, **told), private.bucket.name
    words = {"Bucket": name, "Key": "moved", "ACL": "public-read", "Metadata": {"who": "me"}, "ContentType": "video/mp2t"}
    url = s3.generate_presigned_url("put_object", Params=words, ExpiresIn=600)
    for old, new in [
        ("x-amz-meta-who=me", "x-amz-meta-who=you"),
        ("x-amz-meta-who=me", "x-amz-meta-other=me"),
        ("x-amz-acl=public-read", "x-amz-acl=private"),
        ("content-type=video%2Fmp2t", "content-type=text%2Fhtml"),
        ("AWSAccessKeyId=", "x-amz-tagging=a%3Db&AWSAccessKeyId="),
        ("AWSAccessKeyId=", "x-amz-copy-source=%2Fother%2Fkey&AWSAccessKeyId="),
    ]:
        assert old in url
        answer = requests.put(url.replace(old, new), data=b"changed", timeout=10)
        assert answer.status_code == 403, (new, answer.text)
    assert requests.put(url, data=b"other", headers={"x-amz-acl": "private"}, timeout=10).status_code == 403
    for body, headers in ((b"moved", {}), (b"again", {"x-amz-meta-who": "me", "Content-Type": "video/mp2t"})):
        answer = requests.put(url, data=body, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        head = private.s3.head_object(Bucket=name, Key="moved")
        assert (head["Metadata"], head["ContentType"]) == ({"who": "me"}, "video/mp2t")
        assert public(private, "moved")
        read = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "moved"}, ExpiresIn=600)
        assert requests.get(read, timeout=10).content == body


def test_a_digest_in_an_address_of_version_2_is_that_of_the_body(private):
    digest = base64.b64encode(hashlib.md5(b"moved").digest()).decode()
    words = {"Bucket": private.bucket.name, "Key": "moved", "ContentMD5": digest}
    url = client_of_version_2(private).generate_presigned_url("put_object", Params=words, ExpiresIn=600)
    answer = requests.put(url, data=b"other", timeout=10)
    assert (answer.status_code, "<Code>BadDigest</Code>" in answer.text) == (400, True), answer.text
    assert requests.put(url, data=b"moved", timeout=10).status_code == 200


def test_a_temporary_key_signs_addresses_of_version_2(private):
    """Its token is among the words that are moved and signed."""
    credentials = assume(private)
    keys = (credentials["AccessKeyId"], credentials["AccessKeySecret"])
    s3 = client_of_version_2(private, credentials["SecurityToken"], keys)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": private.bucket.name, "Key": "private"}, ExpiresIn=600)
    assert "AWSAccessKeyId=" in url and "x-amz-security-token=" in url
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.content) == (200, SECRET), answer.text
    for other in ("x-amz-security-token=other", ""):
        changed = re.sub("x-amz-security-token=[^&]*", other, url)
        assert requests.get(changed, timeout=10).status_code in (400, 403)


def test_what_no_header_can_hold_is_refused(private):
    """A line break in a form's field or in a signed address: no answer could tell what was kept of it."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    conditions = [{"bucket": private.bucket.name}]
    for fields in ({"x-oss-meta-a": "one\r\ntwo"}, {"x-oss-meta-a b": "1"}, {"Cache-Control": "no\nstore"}, {"Content-Type": "text/plain\nx: y"}):
        answer = form(private, conditions, {"key": "broken", **fields}, ("a.txt", b"x"))
        assert (answer.status_code, "<Code>InvalidArgument</Code>" in answer.text) == (400, True), (fields, answer.text)
    url = f"{private.server.oss}/{private.bucket.name}/broken"
    for query in ("x-amz-meta-a=%0A", "x-amz-meta-a=one%0Atwo", "x-amz-meta-a%20b=1"):
        request = AWSRequest("PUT", f"{url}?{query}")
        S3SigV4QueryAuth(Credentials("testid", "testsecret"), "s3", "cn-shanghai", expires=600).add_auth(request)
        answer = requests.put(request.url, data=b"x", timeout=10)
        assert (answer.status_code, "<Code>InvalidArgument</Code>" in answer.text) == (400, True), (query, answer.text)
    keys = [item["Key"] for item in private.s3.list_objects_v2(Bucket=private.bucket.name)["Contents"]]
    assert "broken" not in keys
    answer = form(private, conditions, {"key": "whole", "x-oss-meta-a": "中\tx"}, ("a.txt", b"x"))
    assert answer.status_code == 204, answer.text


def dated(stage, kind: str, at: datetime) -> str:
    """An address of version 4 for reading `private`, signed at a moment."""
    oss = kind == "oss"
    prefix, key, service = ("x-oss-", b"aliyun_v4testsecret", "oss") if oss else ("X-Amz-", b"AWS4testsecret", "s3")
    name = (lambda word: prefix + word.lower()) if oss else (lambda word: prefix + word)
    terminator = "aliyun_v4_request" if oss else "aws4_request"
    algorithm = "OSS4-HMAC-SHA256" if oss else "AWS4-HMAC-SHA256"
    moment, host = at.strftime("%Y%m%dT%H%M%SZ"), urlsplit(stage.server.oss).netloc
    scope = f"{moment[:8]}/cn-shanghai/{service}/{terminator}"
    words = {name("Credential"): f"testid/{scope}", name("Date"): moment, name("Expires"): "60"}
    words |= {"x-oss-signature-version": algorithm} if oss else {"X-Amz-Algorithm": algorithm, "X-Amz-SignedHeaders": "host"}
    path = f"/{stage.bucket.name}/private"
    query = "&".join(f"{quote(word, safe='')}={quote(words[word], safe='')}" for word in sorted(words))
    signed = ["", "", "UNSIGNED-PAYLOAD"] if oss else [f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"]
    canonical = "\n".join(["GET", path, query, *signed])
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = "\n".join([algorithm, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return f"http://{host}{path}?{query}&{name('Signature')}={hmac.digest(key, text.encode(), 'sha256').hex()}"


@pytest.mark.parametrize("kind", ["oss", "s3"])
def test_an_address_is_good_from_its_date_on(private, kind):
    """One that is dated later than both clocks show, and more than clocks differ, is kept for later by whoever holds it."""
    now = datetime.now(UTC)
    for minutes, status in ((0, 200), (14, 200), (16, 403), (24 * 60, 403)):
        answer = requests.get(dated(private, kind, now + timedelta(minutes=minutes)), timeout=10)
        assert answer.status_code == status, (minutes, answer.text)
        assert status == 200 or "<Message>Request is not valid yet.</Message>" in answer.text


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_addresses_of_version_2_are_taken(private, style):
    """As s3cmd signs them, and boto3 unless it is told otherwise."""
    import boto3
    from botocore.client import Config

    config = Config(signature_version="s3", s3={"addressing_style": style})
    endpoint = private.server.oss.replace("127.0.0.1", "localhost") if style == "virtual" else private.server.oss
    keys = {"aws_access_key_id": "testid", "aws_secret_access_key": "testsecret", "region_name": "us-east-1"}
    s3 = boto3.client("s3", endpoint_url=endpoint, config=config, **keys)
    key = "a b+c%/ü.ts"
    private.s3.put_object(Bucket=private.bucket.name, Key=key, Body=SECRET)
    words = {"ResponseContentDisposition": "attachment; filename=a.ts"}
    url = s3.generate_presigned_url("get_object", Params={"Bucket": private.bucket.name, "Key": key} | words, ExpiresIn=600)
    assert "AWSAccessKeyId=testid" in url
    host = urlsplit(url).netloc
    local = url.replace(host, urlsplit(private.server.oss).netloc)

    def get(address: str, **headers: str) -> requests.Response:
        return requests.get(address, headers={"Host": host} | headers, timeout=10)

    answer = get(local)
    assert (answer.status_code, answer.content) == (200, SECRET), answer.text
    assert answer.headers["content-disposition"] == "attachment; filename=a.ts"
    assert get(local.replace("Expires=", "Expires=9")).status_code == 403
    assert get(local.replace("a%20b", "a%20c")).status_code == 403
    assert get(local, **{"x-oss-object-acl": "public-read"}).status_code == 403
    assert get(local, **{"x-amz-acl": "public-read"}).status_code == 403
    # What this version does not sign of OSS's words makes no other operation of an address.
    for word in ("objectMeta", "symlink", "x-oss-process=hls/sign"):
        answer = get(f"{local}&{word}")
        assert answer.status_code == 403 and word.split("=")[0] in answer.text, (word, answer.text)
    if style == "path":
        assert s3.get_object(Bucket=private.bucket.name, Key=key)["Body"].read() == SECRET


def form(stage, conditions: list, fields: dict, file: tuple, dialect: str = "oss", path: str | None = None, **headers: str) -> requests.Response:
    """An upload by a browser's form."""
    end = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = base64.b64encode(json.dumps({"expiration": end, "conditions": conditions}).encode())
    signature = base64.b64encode(hmac.new(b"testsecret", policy, hashlib.sha1).digest()).decode()
    own = {"OSSAccessKeyId": "testid", "Signature": signature} if dialect == "oss" else {"AWSAccessKeyId": "testid", "signature": signature}
    every = {**own, "policy": policy.decode(), **fields}
    path = stage.bucket.name if path is None else path
    return requests.post(f"{stage.server.oss}/{path}", data=every, files={"file": file}, headers=headers, timeout=10)


@pytest.mark.parametrize("header", ["Bearer x", "OSS testid:wrong", "AWS testid:wrong"])
def test_a_form_is_signed_in_its_fields_alone(stage, header):
    """Pages send a token of their own with every request."""
    conditions = [{"bucket": stage.bucket.name}, ["starts-with", "$key", "user/"]]
    answer = form(stage, conditions, {"key": "user/token"}, ("a.txt", b"x"), Authorization=header)
    assert answer.status_code == 204, answer.text
    unsigned = requests.post(f"{stage.server.oss}/{stage.bucket.name}", data={"key": "a"}, files={"file": b"x"}, headers={"Authorization": header}, timeout=10)
    assert unsigned.status_code == 403
    other = requests.post(f"{stage.server.oss}/{stage.bucket.name}/a?append&position=0", files={"file": b"x"}, headers={"Authorization": header}, timeout=10)
    assert other.status_code in (400, 403)


def test_a_form_tells_the_address_of_its_object(stage):
    """Whether the bucket stood in the path or in the host."""
    name, port = stage.bucket.name, urlsplit(stage.server.oss).port
    conditions = [{"bucket": name}, {"key": "user/a b"}, {"success_action_status": "201"}]
    fields = {"key": "user/a b", "success_action_status": "201"}
    by_path = form(stage, conditions, fields, ("a.txt", b"x"))
    assert by_path.headers["Location"] == f"{stage.server.oss}/{name}/user/a%20b"
    by_host = form(stage, conditions, fields, ("a.txt", b"x"), path="", Host=f"{name}.localhost:{port}")
    assert by_host.headers["Location"] == f"http://{name}.localhost:{port}/user/a%20b"
    assert f"<Location>{by_host.headers['Location']}</Location>" in by_host.text


@pytest.mark.parametrize("name", ["acl", "x-oss-object-acl", "x-amz-acl", "x-amz-grant-read"])
@pytest.mark.parametrize("dialect", ["oss", "s3"])
def test_no_field_of_a_form_opens_more_than_its_policy(stage, dialect, name):
    """The policy speaks of bucket and key; whoever fills in the form adds an access list."""
    conditions = [{"bucket": stage.bucket.name}, ["starts-with", "$key", "user/"]]
    value = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"' if "grant" in name else "public-read"
    answer = form(stage, conditions, {"key": "user/a", name: value}, ("a.txt", b"x"), dialect)
    assert answer.status_code == 403, answer.text
    assert not public(stage, "user/a")


def test_a_list_that_the_policy_allows_counts(stage):
    """In the words of the form's own product."""
    for dialect, name in [("oss", "x-oss-object-acl"), ("s3", "acl")]:
        conditions = [{"bucket": stage.bucket.name}, ["starts-with", "$key", "user/"], {name: "public-read"}]
        answer = form(stage, conditions, {"key": f"user/{dialect}", name: "public-read"}, ("a.txt", b"x"), dialect)
        assert answer.status_code == 204, answer.text
        assert public(stage, f"user/{dialect}")


def test_a_policy_of_s3_stays_s3s_under_the_name_of_an_oss_key(stage):
    """The two older signatures of a policy are the same bytes; a field that it does not name is refused as S3 refuses it."""
    conditions = [{"bucket": stage.bucket.name}, ["starts-with", "$key", "user/"], {"acl": "private"}]
    fields = {"key": "user/a", "acl": "private"}
    for more in ({"x-oss-meta-a": "1"}, {"Content-Type": "text/html"}, {"success_action_redirect": "http://evil.example/"}):
        answer = form(stage, conditions, fields | more, ("a.txt", b"x"))
        assert answer.status_code == 403 and "Extra input fields" in answer.text, (more, answer.text)


def test_a_form_is_held_to_what_other_writers_are(stage):
    """OSS's rule for names, the bound of metadata, the class of the bucket."""
    conditions = [{"bucket": stage.bucket.name}]
    for key, code in (("/a", "InvalidObjectName"), ("\\a", "InvalidObjectName"), ("x" * 1024, "InvalidObjectName"), ("a", None)):
        answer = form(stage, conditions, {"key": key}, ("a.txt", b"x"))
        assert (answer.status_code, code is None or code in answer.text) == (400 if code else 204, True), (key[:9], answer.text)
    answer = form(stage, conditions, {"key": "a", "x-oss-meta-a": "m" * 8192}, ("a.txt", b"x"))
    assert answer.status_code == 400 and "MetadataTooLarge" in answer.text, answer.text
    rare = oss2.Bucket(oss2.Auth("testid", "testsecret"), stage.server.oss, f"{stage.bucket.name}-rare")
    rare.create_bucket(oss2.BUCKET_ACL_PRIVATE, oss2.models.BucketCreateConfig(oss2.BUCKET_STORAGE_CLASS_IA))
    other = SimpleNamespace(server=stage.server, bucket=SimpleNamespace(name=rare.bucket_name))
    for fields, storage_class in (({}, "IA"), ({"x-oss-storage-class": "Standard"}, "Standard")):
        answer = form(other, [{"bucket": rare.bucket_name}], {"key": "a", **fields}, ("a.txt", b"x"))
        assert answer.status_code == 204, answer.text
        assert rare.head_object("a").headers["x-oss-storage-class"] == storage_class
    rare.delete_object("a")
    rare.delete_bucket()


def test_all_bounds_of_the_length_hold(stage):
    """Of two ranges the narrower counts, wherever it stands."""
    narrow, wide = ["content-length-range", 2, 4], ["content-length-range", 0, 100]
    for conditions in ([narrow, wide], [wide, narrow]):
        for size, status in [(1, 400), (2, 204), (4, 204), (5, 400)]:
            answer = form(stage, conditions, {"key": "sized"}, ("a.txt", b"x" * size))
            assert answer.status_code == status, (conditions, size, answer.text)


def test_names_of_files_come_through(stage):
    """A name may hold what ends a parameter, and a condition on the key is held against the key that is stored."""
    for name in ["a;b.txt", "a=b; name=file.txt", "空 格.txt", "plain.txt"]:
        conditions = [["eq", "$key", f"up/{name}"], ["starts-with", "$content-type", "text/"]]
        answer = form(stage, conditions, {"key": "up/${filename}"}, (name, b"x", "text/plain"))
        assert answer.status_code == 204, (name, answer.text)
        head = stage.s3.head_object(Bucket=stage.bucket.name, Key=f"up/{name}")
        assert head["ContentType"] == "text/plain"
    outside = form(stage, [["starts-with", "$key", "up/a"]], {"key": "up/${filename}"}, ("b.txt", b"x"))
    assert outside.status_code == 403
    other = form(stage, [["starts-with", "$content-type", "image/"]], {"key": "up/x"}, ("b.txt", b"x", "text/html"))
    assert other.status_code == 403
