"""The S3 dialect as boto3 speaks it: signature version 4, streaming bodies with trailers."""

import hashlib
import io
import os
import socket
import uuid
from urllib.parse import urlsplit

import pytest
import requests
from botocore.exceptions import ClientError
from conftest import ENDPOINT, KEY_ID, s3_client

KEY = "rec/a b~中文+%2F/s1.ts"


def code(refused):
    return refused.value.response["Error"]["Code"]


@pytest.mark.parametrize("algorithm", [None, "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_put_get(s3, name, algorithm):
    more = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    try:
        put = s3.put_object(Bucket=name, Key=KEY, Body=b"hello", Metadata={"author": "me"}, ContentType="a/b", **more)
    except Exception as error:
        if "CRT" in str(error) or "crt" in str(error):
            pytest.skip("this checksum needs awscrt")
        raise
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    got = s3.get_object(Bucket=name, Key=KEY)
    assert got["Body"].read() == b"hello"
    assert (got["Metadata"], got["ContentType"]) == ({"author": "me"}, "a/b")


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_001])
def test_unseekable_bodies_are_streamed(s3, name, size):
    data = os.urandom(size)
    s3.upload_fileobj(io.BytesIO(data), name, "streamed")
    assert s3.get_object(Bucket=name, Key="streamed")["Body"].read() == data
    s3.put_object(Bucket=name, Key="framed", Body=io.BytesIO(data), ChecksumAlgorithm="SHA256")
    assert s3.get_object(Bucket=name, Key="framed")["Body"].read() == data


def test_a_wrong_checksum_is_refused(s3, name):
    for more in [{"ChecksumCRC32": "AAAAAA=="}, {"ContentMD5": "XUFAKrxLKna5cZ2REBfFkg=="}]:
        with pytest.raises(ClientError) as refused:
            s3.put_object(Bucket=name, Key="k", Body=b"not hello", **more)
        assert code(refused) == "BadDigest"
    with pytest.raises(ClientError) as absent:
        s3.head_object(Bucket=name, Key="k")
    assert code(absent) == "404"


def test_ranges_and_conditions(s3, name):
    etag = s3.put_object(Bucket=name, Key="r", Body=b"0123456789")["ETag"]
    assert s3.get_object(Bucket=name, Key="r", Range="bytes=2-4")["Body"].read() == b"234"
    assert s3.get_object(Bucket=name, Key="r", Range="bytes=8-100")["Body"].read() == b"89"
    with pytest.raises(ClientError) as outside:
        s3.get_object(Bucket=name, Key="r", Range="bytes=10-")
    assert code(outside) == "InvalidRange"
    with pytest.raises(ClientError) as unchanged:
        s3.get_object(Bucket=name, Key="r", IfNoneMatch=etag)
    assert code(unchanged) == "304"
    with pytest.raises(ClientError) as exists:
        s3.put_object(Bucket=name, Key="r", Body=b"x", IfNoneMatch="*")
    assert code(exists) == "PreconditionFailed"


def test_multipart(s3, name):
    upload = s3.create_multipart_upload(Bucket=name, Key=KEY)["UploadId"]
    parts, whole = [], b""
    for number in (1, 2):
        data = os.urandom(5 * 1024 * 1024)
        whole += data
        etag = s3.upload_part(Bucket=name, Key=KEY, UploadId=upload, PartNumber=number, Body=data)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    assert len(s3.list_parts(Bucket=name, Key=KEY, UploadId=upload)["Parts"]) == 2
    done = s3.complete_multipart_upload(Bucket=name, Key=KEY, UploadId=upload, MultipartUpload={"Parts": parts})
    digests = b"".join(hashlib.md5(whole[at : at + 5242880]).digest() for at in (0, 5242880))
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    assert s3.get_object(Bucket=name, Key=KEY)["Body"].read() == whole


def test_listing(s3, name):
    keys = ["a", "a-b", "a/b", "a/c d+", "b/x", "中/1"]
    for key in keys:
        s3.put_object(Bucket=name, Key=key, Body=b"")
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(Bucket=name, PaginationConfig={"PageSize": 2})
        assert [item["Key"] for page in pages for item in page.get("Contents", [])] == sorted(keys, key=str.encode)
    rolled = s3.list_objects_v2(Bucket=name, Delimiter="/")
    assert [item["Prefix"] for item in rolled["CommonPrefixes"]] == ["a/", "b/", "中/"]
    assert rolled["KeyCount"] == 5


def test_copy_delete_and_tags(s3, name):
    s3.put_object(Bucket=name, Key="from 中+", Body=b"x", Metadata={"a": "1"}, Tagging="t=1")
    s3.copy_object(Bucket=name, Key="to", CopySource={"Bucket": name, "Key": "from 中+"})
    assert s3.head_object(Bucket=name, Key="to")["Metadata"] == {"a": "1"}
    assert s3.get_object_tagging(Bucket=name, Key="to")["TagSet"] == [{"Key": "t", "Value": "1"}]
    gone = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "from 中+"}, {"Key": "to"}]})
    assert len(gone["Deleted"]) == 2
    assert "Contents" not in s3.list_objects_v2(Bucket=name)


def test_buckets(s3):
    name = "t-" + uuid.uuid4().hex[:16]
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "cn-shanghai"})
    assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    s3.head_bucket(Bucket=name)
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"].startswith("oss-")
    assert "Status" not in s3.get_bucket_versioning(Bucket=name)
    s3.put_bucket_acl(Bucket=name, ACL="public-read")
    assert len(s3.get_bucket_acl(Bucket=name)["Grants"]) == 2
    s3.delete_bucket(Bucket=name)
    with pytest.raises(ClientError) as gone:
        s3.head_bucket(Bucket=name)
    assert code(gone) == "404"


def test_presigned_urls(s3, name):
    up = s3.generate_presigned_url("put_object", Params={"Bucket": name, "Key": KEY}, ExpiresIn=60)
    assert requests.put(up, data=b"by url").status_code == 200
    down = s3.generate_presigned_url(
        "get_object", Params={"Bucket": name, "Key": KEY, "ResponseContentType": "text/x"}, ExpiresIn=60
    )
    got = requests.get(down)
    assert (got.content, got.headers["Content-Type"]) == (b"by url", "text/x")
    assert requests.get(down.replace("s1.ts", "s2.ts")).status_code == 403
    assert requests.delete(down).status_code == 403


def test_presigned_form(s3, name):
    form = s3.generate_presigned_post(name, "form/${filename}", Conditions=[["content-length-range", 1, 100]], ExpiresIn=60)
    sent = requests.post(form["url"], data=form["fields"], files={"file": ("a b.txt", b"formed")})
    assert sent.status_code == 204, sent.text
    assert s3.get_object(Bucket=name, Key="form/a b.txt")["Body"].read() == b"formed"
    large = requests.post(form["url"], data=form["fields"], files={"file": ("b.txt", b"x" * 101)})
    assert large.status_code == 400 and "EntityTooLarge" in large.text
    forged = {**form["fields"], "x-amz-signature": "0" * 64}
    assert requests.post(form["url"], data=forged, files={"file": ("c.txt", b"x")}).status_code == 403


def test_wrong_secret(name):
    with pytest.raises(ClientError) as refused:
        s3_client(secret="wrong").put_object(Bucket=name, Key="k", Body=b"x" * 1_000_000)
    assert code(refused) == "SignatureDoesNotMatch"


def test_missing_things_are_named(s3, name):
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=name, Key="absent")
    assert code(refused) == "NoSuchKey"
    with pytest.raises(ClientError) as refused:
        s3.get_bucket_policy(Bucket=name)
    assert code(refused) == "NotImplemented"
    assert "GetBucketPolicy" in str(refused.value)


def test_a_presigned_form_of_an_unknown_key_is_refused(name, endpoint):
    fields = {"key": "k", "OSSAccessKeyId": KEY_ID + "x", "policy": "e30=", "Signature": "AAAA"}
    sent = requests.post(f"{endpoint}/{name}", data=fields, files={"file": ("a", b"x")})
    assert sent.status_code == 403 and "InvalidAccessKeyId" in sent.text


@pytest.fixture
def by_host(monkeypatch):
    """A client that puts the bucket before `localhost`, on a machine whose resolver may not know such names."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *more, **named: resolve("127.0.0.1" if str(name).endswith(".localhost") else name, *more, **named))
    return s3_client("virtual", endpoint=f"http://localhost:{urlsplit(ENDPOINT).port}")


def test_a_bucket_in_the_host_is_that_bucket(s3, name, by_host):
    absent = f"{name}-absent"
    for attempt in (
        lambda: by_host.put_object(Bucket=absent, Key=f"{name}/x.ts", Body=b"x"),
        lambda: by_host.get_object(Bucket=absent, Key=f"{name}/x.ts"),
        lambda: by_host.list_objects_v2(Bucket=absent),
    ):
        with pytest.raises(ClientError) as refused:
            attempt()
        assert code(refused) == "NoSuchBucket"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert "Contents" not in s3.list_objects_v2(Bucket=name)
    by_host.create_bucket(Bucket=absent)
    by_host.put_object(Bucket=absent, Key=f"{name}/x.ts", Body=b"x")
    assert s3.get_object(Bucket=absent, Key=f"{name}/x.ts")["Body"].read() == b"x"
    by_host.delete_object(Bucket=absent, Key=f"{name}/x.ts")
    by_host.delete_bucket(Bucket=absent)


def test_a_range_of_another_state_is_all_of_it(s3, name):
    etag = s3.put_object(Bucket=name, Key="x", Body=b"0123456789")["ETag"]
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "x"})
    modified = s3.head_object(Bucket=name, Key="x")["ResponseMetadata"]["HTTPHeaders"]["last-modified"]
    for condition, body in [
        (etag, b"0123"),
        (modified, b"0123"),
        ('"other"', b"0123456789"),
        (f"W/{etag}", b"0123456789"),
        ("Wed, 01 Jan 2020 00:00:00 GMT", b"0123456789"),
    ]:
        answer = requests.get(url, headers={"Range": "bytes=0-3", "If-Range": condition})
        assert (answer.status_code, answer.content) == (206 if len(body) == 4 else 200, body), condition
