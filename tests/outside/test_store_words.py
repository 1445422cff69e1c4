"""Words of S3 and OSS that the object store either means or refuses: none is taken and forgotten."""

import base64
import hashlib
import os
import socket
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import oss2
import pytest
import requests
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

PART = 5 * 1024 * 1024


@pytest.fixture
def s3(stage):
    return stage.s3


@pytest.fixture
def name(stage) -> str:
    return stage.bucket.name


def refused(call, *more, **words) -> tuple[int, str]:
    """Status and code of a refusal."""
    with pytest.raises(ClientError) as error:
        call(*more, **words)
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def uploaded(s3, name: str, key: str, body: bytes = b"part") -> dict:
    """An upload of one part, to be completed."""
    upload = s3.create_multipart_upload(Bucket=name, Key=key)["UploadId"]
    etag = s3.upload_part(Bucket=name, Key=key, UploadId=upload, PartNumber=1, Body=body)["ETag"]
    return {"Bucket": name, "Key": key, "UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}


class Writers:
    """The three ways to write an object, each with conditions."""

    def __init__(self, s3, name: str):
        self.s3, self.name = s3, name
        s3.put_object(Bucket=name, Key="source", Body=b"from the source")

    def put(self, key: str, **conditions) -> dict:
        return self.s3.put_object(Bucket=self.name, Key=key, Body=b"put", **conditions)

    def complete(self, key: str, **conditions) -> dict:
        return self.s3.complete_multipart_upload(**uploaded(self.s3, self.name, key), **conditions)

    def copy(self, key: str, **conditions) -> dict:
        result = self.s3.copy_object(Bucket=self.name, Key=key, CopySource=f"{self.name}/source", **conditions)
        return result["CopyObjectResult"]


@pytest.mark.parametrize("writer", ["put", "complete", "copy"])
def test_a_write_holds_to_its_conditions(s3, name, writer):
    """If-Match and If-None-Match of every writer; an absent object matches nothing."""
    write = getattr(Writers(s3, name), writer)
    assert refused(write, "k", IfMatch="*") == (404, "NoSuchKey")
    assert refused(write, "k", IfMatch='"00"') == (404, "NoSuchKey")
    etag = write("k", IfNoneMatch="*")["ETag"]
    assert refused(write, "k", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refused(write, "k", IfNoneMatch=etag) == (412, "PreconditionFailed")
    assert refused(write, "k", IfMatch='"00"') == (412, "PreconditionFailed")
    etag = write("k", IfMatch=etag)["ETag"]
    etag = write("k", IfMatch="*")["ETag"]
    assert write("k", IfNoneMatch='"00"')["ETag"] == etag
    assert s3.head_object(Bucket=name, Key="k")["ETag"] == etag


def test_of_writers_with_one_condition_one_wins(s3, name):
    """A counter that sixteen raise, each by what it read, ends at what they say they did."""
    s3.put_object(Bucket=name, Key="counter", Body=b"0")

    def raise_it(_: int) -> int:
        done = 0
        for _ in range(8):
            read = s3.get_object(Bucket=name, Key="counter")
            value = int(read["Body"].read())
            try:
                s3.put_object(Bucket=name, Key="counter", Body=str(value + 1).encode(), IfMatch=read["ETag"])
                done += 1
            except ClientError as error:
                assert error.response["Error"]["Code"] == "PreconditionFailed"
        return done

    with ThreadPoolExecutor(16) as pool:
        done = sum(pool.map(raise_it, range(16)))
    assert int(s3.get_object(Bucket=name, Key="counter")["Body"].read()) == done > 0


def test_a_delete_holds_to_its_conditions(s3, name):
    """Where there is no object, there is nothing to refuse."""
    etag = s3.put_object(Bucket=name, Key="k", Body=b"12345")["ETag"]
    modified = s3.head_object(Bucket=name, Key="k")["LastModified"]
    other = datetime(2015, 1, 1, tzinfo=UTC)
    for words in [{"IfMatch": '"00"'}, {"IfMatchSize": 4}, {"IfMatchLastModifiedTime": other}]:
        assert refused(s3.delete_object, Bucket=name, Key="k", **words) == (412, "PreconditionFailed")
    s3.delete_object(Bucket=name, Key="k", IfMatch=etag, IfMatchSize=5, IfMatchLastModifiedTime=modified)
    s3.delete_object(Bucket=name, Key="k", IfMatch=etag)
    keys = [s3.put_object(Bucket=name, Key=f"k{number}", Body=b"x")["ETag"] for number in range(4)]
    listed = [
        {"Key": "k0", "ETag": keys[0]},
        {"Key": "k1", "ETag": "00"},
        {"Key": "k2", "Size": 9},
        {"Key": "k3", "LastModifiedTime": other},
    ]
    answer = s3.delete_objects(Bucket=name, Delete={"Objects": listed})
    assert [item["Key"] for item in answer["Deleted"]] == ["k0"]
    assert [(item["Key"], item["Code"]) for item in answer["Errors"]] == [(f"k{number}", "PreconditionFailed") for number in (1, 2, 3)]


def test_a_copy_holds_to_the_conditions_on_its_source(s3, name):
    """A source that is what it should not be refuses the copy; it is no answer of `not modified`."""
    etag = s3.put_object(Bucket=name, Key="source", Body=b"0123456789")["ETag"]
    copy = {"Bucket": name, "Key": "copy", "CopySource": f"{name}/source"}
    assert refused(s3.copy_object, **copy, CopySourceIfNoneMatch=etag) == (412, "PreconditionFailed")
    assert refused(s3.copy_object, **copy, CopySourceIfMatch='"00"') == (412, "PreconditionFailed")
    s3.copy_object(**copy, CopySourceIfMatch=etag)
    itself = copy | {"Key": "source"}
    assert refused(s3.copy_object, **itself) == (400, "InvalidRequest")
    s3.copy_object(**itself, MetadataDirective="REPLACE", Metadata={"a": "b"})
    assert s3.head_object(Bucket=name, Key="source")["Metadata"] == {"a": "b"}


def test_the_source_of_a_copy_is_read_as_its_clients_write_it(s3, name):
    """s5cmd writes a space as `+`, boto3 as `%20`; a `+` of the key is `%2B` with both."""
    source = ""

    def as_written(params: dict, **_: object) -> None:
        # boto3 would encode once more what is encoded already.
        params["headers"]["x-amz-copy-source"] = source

    s3.meta.events.register("before-call.s3.CopyObject", as_written)
    for key, written in [("a b+c", "a+b%2Bc"), ("a b+c", "a%20b%2Bc"), ("100%.ts", "100%25.ts")]:
        source = f"{name}/{written}"
        s3.put_object(Bucket=name, Key=key, Body=b"x")
        s3.copy_object(Bucket=name, Key="copy", CopySource="replaced/by")
        assert s3.get_object(Bucket=name, Key="copy")["Body"].read() == b"x"
    s3.meta.events.unregister("before-call.s3.CopyObject", as_written)


def test_the_range_of_a_copied_part_is_exact(s3, name):
    """A malformed one copies nothing, and one beyond the end is not cut."""
    s3.put_object(Bucket=name, Key="source", Body=b"0123456789")
    upload = s3.create_multipart_upload(Bucket=name, Key="k")["UploadId"]
    part = {"Bucket": name, "Key": "k", "UploadId": upload, "PartNumber": 1, "CopySource": f"{name}/source"}
    for text in ["bytes=0", "0-2", "bytes=hello-2", "bytes=5-2", "bytes=-2", "bytes=2-"]:
        assert refused(s3.upload_part_copy, **part, CopySourceRange=text) == (400, "InvalidArgument"), text
    for text in ["bytes=0-10", "bytes=99-100"]:
        assert refused(s3.upload_part_copy, **part, CopySourceRange=text) == (416, "InvalidRange"), text
    etag = s3.upload_part_copy(**part, CopySourceRange="bytes=2-5")["CopyPartResult"]["ETag"]
    done = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket=name, Key="k", UploadId=upload, MultipartUpload=done)
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"2345"


def test_ranges_of_a_read(s3, name):
    """A range beyond what a number holds ends where the object does; a HEAD has the status of its GET."""
    s3.put_object(Bucket=name, Key="k", Body=b"0123456789")
    read = s3.get_object(Bucket=name, Key="k", Range="bytes=0-99999999999999999999")
    assert (read["ResponseMetadata"]["HTTPStatusCode"], read["ContentRange"]) == (206, "bytes 0-9/10")
    for call in (s3.get_object, s3.head_object):
        assert refused(call, Bucket=name, Key="k", Range="bytes=10-20")[0] == 416
        assert refused(call, Bucket=name, Key="k", Range="bytes=99999999999999999999-")[0] == 416


EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"


def grants(s3, name: str, key: str | None = None) -> set[tuple[str, str]]:
    """Who may do what."""
    acl = s3.get_object_acl(Bucket=name, Key=key) if key else s3.get_bucket_acl(Bucket=name)
    return {(grant["Grantee"].get("URI", "owner"), grant["Permission"]) for grant in acl["Grants"]}


def test_lists_of_grants_that_come_to_a_canned_one(s3, name):
    """As `s3cmd setacl` and `cp` send them, in the body and in headers."""
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    policy = s3.get_object_acl(Bucket=name, Key="k")
    policy = {"Owner": policy["Owner"], "Grants": policy["Grants"]}
    everybody = {"Grantee": {"Type": "Group", "URI": EVERYBODY}, "Permission": "READ"}
    owner = ("owner", "FULL_CONTROL")
    s3.put_object_acl(Bucket=name, Key="k", AccessControlPolicy=policy | {"Grants": [*policy["Grants"], everybody]})
    assert grants(s3, name, "k") == {owner, (EVERYBODY, "READ")}
    s3.put_object_acl(Bucket=name, Key="k", AccessControlPolicy=policy)
    assert grants(s3, name, "k") == {owner}
    s3.put_object(Bucket=name, Key="k", Body=b"x", GrantRead=f'uri="{EVERYBODY}"')
    assert grants(s3, name, "k") == {owner, (EVERYBODY, "READ")}
    s3.put_bucket_acl(Bucket=name, GrantRead=f'uri="{EVERYBODY}"', GrantWrite=f'uri="{EVERYBODY}"')
    assert grants(s3, name) == {owner, (EVERYBODY, "READ"), (EVERYBODY, "WRITE")}
    s3.put_bucket_acl(Bucket=name, ACL="private")
    stranger = {"Grantee": {"Type": "CanonicalUser", "ID": "stranger"}, "Permission": "READ"}
    other = policy | {"Grants": [*policy["Grants"], stranger]}
    assert refused(s3.put_object_acl, Bucket=name, Key="k", AccessControlPolicy=other) == (501, "NotImplemented")
    assert refused(s3.put_object, Bucket=name, Key="new", Body=b"", GrantRead='id="stranger"') == (501, "NotImplemented")
    assert refused(s3.put_object, Bucket=name, Key="new", Body=b"", ACL="authenticated-read") == (501, "NotImplemented")
    s3.put_object(Bucket=name, Key="k", Body=b"x", ACL="bucket-owner-full-control")


def test_what_s3_asks_for_and_is_not_done_is_refused(s3, name):
    """Encryption, locks and the like, by name; nothing is stored."""
    key = "0" * 32
    put = {"Bucket": name, "Key": "asked", "Body": b"x"}
    for words in [
        {"ServerSideEncryption": "AES256"},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"},
        {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key},
        {"StorageClass": "GLACIER"},
        {"StorageClass": "DEEP_ARCHIVE"},
        {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime(2030, 1, 1, tzinfo=UTC)},
        {"WebsiteRedirectLocation": "/other"},
    ]:
        if "SSECustomerKey" in words:
            # The SDK does not send a key over plain HTTP by itself.
            continue
        assert refused(s3.put_object, **put, **words) == (501, "NotImplemented"), words
        if "ObjectLockMode" not in words:
            upload = {"Bucket": name, "Key": "asked"}
            assert refused(s3.create_multipart_upload, **upload, **words) == (501, "NotImplemented"), words
    assert refused(s3.put_object, **put, ExpectedBucketOwner="000000000000") == (403, "AccessDenied")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=name)["Contents"]]
    assert "asked" not in keys


def test_what_oss_asks_for_and_is_not_done_is_refused(stage, name):
    """Callbacks, encryption, archives, by name."""
    bucket = oss2.Bucket(oss2.Auth("testid", "testsecret"), stage.server.oss, name)
    for words in [
        {"x-oss-callback": "e30="},
        {"x-oss-server-side-encryption": "KMS"},
        {"x-oss-server-side-encryption": "AES256"},
        {"x-oss-storage-class": "Archive"},
    ]:
        with pytest.raises(oss2.exceptions.ServerError) as error:
            bucket.put_object("asked", b"x", headers=words)
        assert (error.value.status, error.value.code) == (501, "NotImplemented"), words
    with pytest.raises(oss2.exceptions.NotFound):
        bucket.head_object("asked")


def test_a_storage_class_is_kept_and_told(stage, s3, name):
    """In both products' words."""
    bucket = oss2.Bucket(oss2.Auth("testid", "testsecret"), stage.server.oss, name)
    s3.put_object(Bucket=name, Key="a", Body=b"x", StorageClass="STANDARD_IA")
    bucket.put_object("b", b"x", headers={"x-oss-storage-class": "IA"})
    upload = s3.create_multipart_upload(Bucket=name, Key="c", StorageClass="STANDARD_IA")["UploadId"]
    etag = s3.upload_part(Bucket=name, Key="c", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    done = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket=name, Key="c", UploadId=upload, MultipartUpload=done)
    for key in "abc":
        assert s3.head_object(Bucket=name, Key=key)["StorageClass"] == "STANDARD_IA"
        assert bucket.head_object(key).headers["x-oss-storage-class"] == "IA"
    classes = {item["Key"]: item["StorageClass"] for item in s3.list_objects_v2(Bucket=name)["Contents"]}
    assert {classes[key] for key in "abc"} == {"STANDARD_IA"}
    s3.copy_object(Bucket=name, Key="a", CopySource=f"{name}/a", StorageClass="STANDARD")
    assert "StorageClass" not in s3.head_object(Bucket=name, Key="a")
    assert bucket.head_object("a").headers["x-oss-storage-class"] == "Standard"


def test_small_words(stage, s3, name):
    """Digests that are none, delimiters that nobody asked for, a position that is missing."""
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=name, Key="k", Body=b"x", ContentMD5="nonsense")
    assert error.value.response["Error"]["Code"] == "InvalidDigest"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=name, Key="k", Body=b"x", ContentMD5="rL0Y20zC+Fzt72VPzMSk2A==")
    assert error.value.response["Error"]["Code"] == "BadDigest"
    for call in ("list_objects", "list_objects_v2"):
        url = s3.generate_presigned_url(call, Params={"Bucket": name})
        assert "<Delimiter" not in requests.get(url, timeout=10).text
    bucket = oss2.Bucket(oss2.Auth("testid", "testsecret"), stage.server.oss, name)
    url = bucket.sign_url("POST", "appended", 60, params={"append": ""}, slash_safe=True)
    answer = requests.post(url, data=b"x", timeout=10)
    assert (answer.status_code, "<Code>MissingArgument</Code>" in answer.text) == (400, True), answer.text
    fresh = oss2.Bucket(oss2.Auth("testid", "testsecret"), stage.server.oss, f"{name}-made")
    fresh.put_bucket_acl("public-read")
    assert fresh.get_bucket_acl().acl == "public-read"
    fresh.delete_bucket()


def plain(method: str, stage, name: str, target: str, body: bytes = b"", **headers: str) -> int:
    """The status of a request that nobody signed."""
    headers = {word.replace("_", "-"): value for word, value in headers.items()}
    return requests.request(method, f"{stage.server.oss}/{name}/{target}", data=body, headers=headers, timeout=20).status_code


@pytest.mark.parametrize("bucket", ["private", "public-read", "public-read-write"])
@pytest.mark.parametrize("own", ["private", "public-read", "public-read-write", "default"])
def test_an_objects_own_list_holds_for_writes_too(stage, s3, name, bucket, own):
    """Whoever may write to the bucket may not therefore replace, extend or delete an object that its owner keeps, nor the reverse."""
    s3.put_bucket_acl(Bucket=name, ACL=bucket)
    held = own if own != "default" else bucket
    for key in ("put", "form", "part", "gone"):
        s3.put_object(Bucket=name, Key=key, Body=b"owner's", **({} if own == "default" else {"ACL": own}))
    forms = {"key": (None, "form"), "file": b"stranger's"}
    wanted = (200, 200, 200, 204) if held == "public-read-write" else (403,) * 4
    got = (
        plain("PUT", stage, name, "put", b"stranger's"),
        plain("POST", stage, name, "part?uploads"),
        requests.post(f"{stage.server.oss}/{name}", files=forms, timeout=20).status_code,
        plain("DELETE", stage, name, "gone"),
    )
    assert tuple(200 if status == 204 and at == 2 else status for at, status in enumerate(got)) == wanted
    kept = [s3.get_object(Bucket=name, Key=key)["Body"].read() == b"owner's" for key in ("put", "form")]
    assert kept == [held != "public-read-write"] * 2
    if held == "private":
        assert plain("GET", stage, name, "put") == 403
    # Where there is no object, the bucket's list holds.
    assert plain("PUT", stage, name, "new", b"x") == (200 if bucket == "public-read-write" else 403)
    assert plain("POST", stage, name, "log?append&position=0", b"a", x_oss_object_acl="private") == (200 if bucket == "public-read-write" else 403)
    if bucket == "public-read-write":
        assert plain("POST", stage, name, "log?append&position=1", b"b") == 403


def test_who_deletes_without_a_key_deletes_what_everybody_may_write(stage, s3, name):
    """Many objects in one request as each by itself."""
    keys = ("free", "kept", "plain", "absent")
    document = "".join(["<Delete>", *(f"<Object><Key>{key}</Key></Object>" for key in keys), "</Delete>"])
    for key, own in (("free", {"ACL": "public-read-write"}), ("kept", {"ACL": "private"}), ("plain", {})):
        s3.put_object(Bucket=name, Key=key, Body=b"x", **own)

    def ask():
        return requests.post(f"{stage.server.oss}/{name}?delete", data=document, timeout=20)

    assert ask().status_code == 403, "a private bucket lets nobody in"
    s3.put_bucket_acl(Bucket=name, ACL="public-read-write")
    answer = ask()
    assert answer.status_code == 200, answer.text
    for key in keys:
        told = f"<Error><Key>{key}</Key><Code>AccessDenied</Code>" if key == "kept" else f"<Deleted><Key>{key}</Key></Deleted>"
        assert told in answer.text, (key, answer.text)
    assert {item["Key"] for item in s3.list_objects_v2(Bucket=name)["Contents"]} & set(keys) == {"kept"}
    assert requests.post(f"{stage.server.oss}/{name}-absent?delete", data=document, timeout=20).status_code == 404


def test_the_copy_of_an_object_of_parts(stage, s3, name):
    """In S3 it is an object like one that was put, with the digest of its bytes; in OSS it stays what its source is."""
    body = b"one part"
    made = s3.complete_multipart_upload(**uploaded(s3, name, "parts", body))["ETag"]
    copied = s3.copy_object(Bucket=name, Key="copy", CopySource=f"{name}/parts")["CopyObjectResult"]["ETag"]
    assert copied == s3.head_object(Bucket=name, Key="copy")["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    bucket = oss2.Bucket(oss2.Auth("testid", "testsecret"), stage.server.oss, name)
    bucket.copy_object(name, "parts", "same")
    assert s3.head_object(Bucket=name, Key="same")["ETag"] == made
    assert [bucket.head_object(key).object_type for key in ("parts", "copy", "same")] == ["Multipart", "Normal", "Multipart"]


def test_a_delayed_refusal_is_marked_like_a_delayed_answer(stage, s3, name):
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    signed = [s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": key}) for key in ("k", "absent")]
    assert stage.server.control("PUT", "/_localyun/faults", {"at": "store", "delay_ms": 1})[0] == 200
    try:
        for url, status in ((signed[0], 200), (signed[1], 404), (f"{stage.server.oss}/{name}/k", 403)):
            answer = requests.get(url, timeout=20)
            assert (answer.status_code, answer.headers.get("x-localyun-fault")) == (status, "GetObject"), answer.text
    finally:
        stage.server.control("DELETE", "/_localyun/faults")
    assert "x-localyun-fault" not in requests.get(signed[1], timeout=20).headers


def test_conditions_in_every_form_of_http(stage, s3, name):
    """Fields of one name are one list; dates come in three forms; a weak tag is no strong one (RFC 9110)."""
    s3.put_bucket_acl(Bucket=name, ACL="public-read")
    etag = s3.put_object(Bucket=name, Key="k", Body=b"x")["ETag"]
    at = urlsplit(stage.server.oss)

    def status(*fields: str) -> int:
        request = "\r\n".join([f"GET /{name}/k HTTP/1.1", f"Host: {at.netloc}", *fields, "Connection: close", "", ""])
        with socket.create_connection((at.hostname, at.port), timeout=10) as connection:
            connection.sendall(request.encode())
            return int(connection.makefile("rb").readline().split()[1])

    other = '"00000000000000000000000000000000"'
    assert status(f"If-Match: {other}", f"If-Match: {etag}") == 200
    assert status(f"If-Match: {other}", f"If-Match: {other}") == 412
    assert status(f"If-None-Match: {other}", f"If-None-Match: {etag}") == 304
    assert status(f"If-Match: W/{etag}") == 412
    assert status(f"If-None-Match: W/{etag}") == 304
    for late in ("Thu, 31 Dec 2037 10:00:00 GMT", "Thursday, 31-Dec-37 10:00:00 GMT", "Thu Dec 31 10:00:00 2037"):
        assert status(f"If-Modified-Since: {late}") == 304, late
        assert status(f"If-Unmodified-Since: {late}") == 200, late
    for early in ("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
        assert status(f"If-Modified-Since: {early}") == 200, early
        assert status(f"If-Unmodified-Since: {early}") == 412, early


def test_a_form_as_rfc_2046_lets_it_be_written(stage, s3, name):
    """Words of a media type have no case, parameters stand in any order, and text may stand before the first part."""
    s3.put_bucket_acl(Bucket=name, ACL="public-read-write")
    part = '--BB\r\nContent-Disposition: form-data; name="key"\r\n\r\nform\r\n--BB\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbody\r\n--BB--\r\n'
    for kind in ("multipart/form-data; boundary=BB", "MULTIPART/FORM-DATA; charset=utf8; BOUNDARY=BB", 'Multipart/Form-Data;boundary="BB"'):
        for before in ("", "This is a preamble.\r\n", "x" * 5000 + "\r\n"):
            assert plain("POST", stage, name, "", (before + part).encode(), Content_Type=kind) == 204, (kind, before[:20])
            assert s3.get_object(Bucket=name, Key="form")["Body"].read() == b"body"
    assert plain("POST", stage, name, "", part.encode(), Content_Type="multipart/form-data-x; boundary=BB") == 400


@pytest.mark.parametrize(("origin", "header"), [("https://a*b*c", "x"), ("*", "**"), ("https://a", "x-*-y-*")])
def test_a_cross_origin_pattern_has_one_wildcard(s3, name, origin, header):
    rule = {"AllowedOrigins": [origin], "AllowedMethods": ["GET"], "AllowedHeaders": [header]}
    assert refused(s3.put_bucket_cors, Bucket=name, CORSConfiguration={"CORSRules": [rule]}) == (400, "InvalidArgument")


def crc32(body: bytes) -> str:
    """As the headers tell it."""
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def test_checksums_of_a_completion_are_those_of_the_object(s3, name):
    """The digest that a client announces of the whole is none of the document that completes it; the bytes together are counted."""
    whole = PART * b"a" + b"b"
    upload = s3.create_multipart_upload(Bucket=name, Key="k", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")["UploadId"]
    part = {"Bucket": name, "Key": "k", "UploadId": upload}
    bodies = (whole[:PART], whole[PART:])
    etags = [s3.upload_part(**part, PartNumber=number, Body=body)["ETag"] for number, body in enumerate(bodies, 1)]
    parts = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]}
    done = part | {"MultipartUpload": parts, "ChecksumCRC32": crc32(whole), "ChecksumType": "FULL_OBJECT"}
    assert refused(s3.complete_multipart_upload, **done, MpuObjectSize=len(whole) + 1) == (400, "InvalidRequest")
    s3.complete_multipart_upload(**done, MpuObjectSize=len(whole))
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == whole


def test_a_file_in_parts_is_sent_with_its_own_digest(s3, name, tmp_path):
    """As `upload_file` sends it."""
    file = tmp_path / "f"
    file.write_bytes(os.urandom(2 * PART))
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    s3.upload_file(str(file), name, "f", ExtraArgs={"ChecksumCRC32": crc32(file.read_bytes())}, Config=config)
    assert s3.get_object(Bucket=name, Key="f")["Body"].read() == file.read_bytes()


def test_pages_of_parts_and_uploads_in_the_words_of_s3(s3, name):
    """More than a page gives is cut; the class is the upload's own."""
    for key, words in (("cold", {"StorageClass": "STANDARD_IA"}), ("plain", {})):
        upload = s3.create_multipart_upload(Bucket=name, Key=key, **words)["UploadId"]
        s3.upload_part(Bucket=name, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
        listed = s3.list_parts(Bucket=name, Key=key, UploadId=upload, MaxParts=5000)
        assert (listed["MaxParts"], [part["Size"] for part in listed["Parts"]]) == (1000, [1])
        assert listed["StorageClass"] == words.get("StorageClass", "STANDARD")
        assert listed["Owner"]["ID"] == listed["Initiator"]["ID"] == s3.list_buckets()["Owner"]["ID"]
    listed = s3.list_multipart_uploads(Bucket=name, MaxUploads=5000)
    assert listed["MaxUploads"] == 1000
    assert {upload["Key"]: upload["StorageClass"] for upload in listed["Uploads"]} == {"cold": "STANDARD_IA", "plain": "STANDARD"}


def test_an_upload_over_an_object_that_must_stay_is_not_begun(stage, name):
    bucket = oss2.Bucket(oss2.Auth("testid", "testsecret"), stage.server.oss, name)
    keep = {"x-oss-forbid-overwrite": "true"}
    bucket.put_object("k", b"kept")
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.init_multipart_upload("k", headers=keep)
    assert (error.value.status, error.value.code) == (409, "FileAlreadyExists")
    bucket.abort_multipart_upload("new", bucket.init_multipart_upload("new", headers=keep).upload_id)
    bucket.abort_multipart_upload("k", bucket.init_multipart_upload("k").upload_id)


def test_a_link_is_followed_by_whoever_reads_its_bytes(stage, name):
    """A signed playlist, and the source of a copied part."""
    bucket = oss2.Bucket(oss2.Auth("testid", "testsecret"), stage.server.oss, name)
    bucket.put_object("live/a.m3u8", b"#EXTM3U\n0.ts\n")
    bucket.put_symlink("live/a.m3u8", "live/now.m3u8")
    url = bucket.sign_url("GET", "live/now.m3u8", 60, params={"x-oss-process": "hls/sign"}, slash_safe=True)
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, "0.ts?OSSAccessKeyId=" in answer.text) == (200, True), answer.text
    upload = bucket.init_multipart_upload("copy").upload_id
    copied = bucket.upload_part_copy(name, "live/now.m3u8", (0, 6), "copy", upload, 1)
    bucket.complete_multipart_upload("copy", upload, [oss2.models.PartInfo(1, copied.etag)])
    assert bucket.get_object("copy").read() == b"#EXTM3U"
    bucket.put_symlink("gone", "dangling")
    url = bucket.sign_url("GET", "dangling", 60, params={"x-oss-process": "hls/sign"}, slash_safe=True)
    assert requests.get(url, timeout=10).status_code == 404
    bucket.put_symlink("live/now.m3u8", "twice")
    url = bucket.sign_url("GET", "twice", 60, params={"x-oss-process": "hls/sign"}, slash_safe=True)
    assert "<Code>InvalidTargetType</Code>" in requests.get(url, timeout=10).text


def test_a_header_that_nobody_reads_may_hold_what_it_likes(stage, s3, name):
    """Proxies and browsers add bytes that are no UTF-8; where a header counts, they are refused."""
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    target = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "k"})
    at = urlsplit(target)

    def status(field: bytes) -> int:
        head = f"GET {at.path}?{at.query} HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: close\r\n".encode()
        with socket.create_connection((at.hostname, at.port), timeout=10) as connection:
            connection.sendall(head + field + b"\r\n\r\n")
            return int(connection.makefile("rb").readline().split()[1])

    for name_of_field in (b"User-Agent", b"Referer", b"Cookie", b"X-Forwarded-For"):
        assert status(name_of_field + b": caf\xe9") == 200, name_of_field
    for name_of_field in (b"Range", b"If-Match", b"x-amz-meta-a"):
        assert status(name_of_field + b": caf\xe9") == 400, name_of_field


def test_what_is_wrong_in_a_signed_address_has_a_code_of_its_own(s3, name):
    good = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "k"}, ExpiresIn=600)
    for old, new in [
        ("X-Amz-Expires=600", "X-Amz-Expires=604801"),
        ("X-Amz-Date=", "X-Not-Date="),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders="),
        ("aws4_request", "aws5_request"),
    ]:
        assert old in good
        answer = requests.get(good.replace(old, new), timeout=10)
        assert (answer.status_code, "<Code>AuthorizationQueryParametersError</Code>" in answer.text) == (400, True), answer.text


def test_a_file_that_is_no_object_keeps_its_bucket(stage, s3, name):
    """Whoever put it there by hand may have nothing else of it; the log names it."""
    bucket = f"{name}-hand"
    s3.create_bucket(Bucket=bucket)
    file = Path(stage.server.data_dir) / "oss" / bucket / "a" / "100%.mp4"
    file.parent.mkdir()
    file.write_bytes(b"only here")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    assert file.read_bytes() == b"only here"
    assert "100%.mp4" in stage.server.log_tail()
    file.rename(file.with_name("100%25.mp4"))
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/100%.mp4"]
    s3.delete_object(Bucket=bucket, Key="a/100%.mp4")
    s3.delete_bucket(Bucket=bucket)
    assert not file.parent.parent.exists()


def test_the_bucket_after_the_last(own_stage):
    """A store has room for 1,000 buckets; what is there goes on, and one may come when another has gone."""
    s3 = own_stage().s3

    def make(number: int) -> None:
        s3.create_bucket(Bucket=f"many-{number}")

    there = len(s3.list_buckets()["Buckets"])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(1000 - there)))
    assert refused(s3.create_bucket, Bucket="one-more") == (400, "TooManyBuckets")
    s3.put_object(Bucket="many-0", Key="k", Body=b"still taken")
    s3.delete_bucket(Bucket="many-1")
    s3.create_bucket(Bucket="one-more")
