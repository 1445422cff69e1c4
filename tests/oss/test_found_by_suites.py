"""What other people's suites of OSS and S3 found wrong (tests/oss-suites), each with the value that is right."""

import base64
import hashlib
import hmac
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import boto3
import oss2
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import ENDPOINT, KEY_ID, KEY_SECRET, REGION, oss_bucket, s3_client
from oss2.models import PartInfo, Tagging, TaggingRule
from test_field_oss import allow, code, signed

KIB = 1024


def tagging(key, value):
    rule = TaggingRule()
    rule.add(key, value)
    return Tagging(rule)


def test_answers_vary_by_the_origin_where_the_bucket_says_so(name):
    bucket = oss_bucket(name)
    allow(bucket)
    assert bucket.get_bucket_cors().response_vary is False
    bucket.put_object("a", b"x")
    assert "Vary" not in requests.get(bucket.sign_url("GET", "a", 60)).headers
    rules = bucket.get_bucket_cors().rules
    bucket.put_bucket_cors(oss2.models.BucketCors(rules, response_vary=True))
    assert bucket.get_bucket_cors().response_vary is True
    for headers in ({}, {"Origin": "https://other.example"}):
        assert requests.get(bucket.sign_url("GET", "a", 60), headers=headers).headers["Vary"] == "Origin"
    bucket.put_bucket_cors(oss2.models.BucketCors(rules))
    assert bucket.get_bucket_cors().response_vary is False


def test_the_list_of_a_bucket(name):
    bucket = oss_bucket(name)
    assert signed(bucket, "PUT", "?acl", {"x-oss-acl": "public-read"}).headers["Location"] == f"/{name}"
    # A word that is not there changes nothing.
    assert signed(bucket, "PUT", "?acl").status_code == 200
    assert bucket.get_bucket_acl().acl == "public-read"
    assert signed(bucket, "PUT", "?acl", {"x-oss-acl": "open"}).status_code == 400
    assert signed(bucket, "PUT", "a", {"x-oss-object-acl": ""}).status_code == 200
    assert bucket.get_object_acl("a").acl == "default"


def test_what_a_bucket_holds(name):
    bucket = oss_bucket(name)
    bucket.put_object("live/a.ts", b"1234567")
    bucket.put_object("live/b.ts", b"12", headers={"x-oss-storage-class": "IA"})
    upload = bucket.init_multipart_upload("c").upload_id
    bucket.upload_part("c", upload, 1, b"123")
    stat = bucket.get_bucket_stat()
    assert (stat.object_count, stat.multi_part_upload_count, stat.live_channel_count) == (2, 1, 0)
    assert (stat.standard_storage, stat.standard_object_count, stat.storage_size_in_bytes) == (7, 1, 12)
    assert (stat.infrequent_access_storage, stat.infrequent_access_object_count) == (2, 1)
    # Uploads that somebody began are ended before their bucket goes.
    for key in ("live/a.ts", "live/b.ts"):
        bucket.delete_object(key)
    with pytest.raises(oss2.exceptions.BucketNotEmpty, match="Multipart Uploads"):
        bucket.delete_bucket()
    bucket.abort_multipart_upload("c", upload)
    assert bucket.get_bucket_stat().storage_size_in_bytes == 0


def test_objects_have_the_class_of_their_bucket(name):
    bucket = oss_bucket(f"{name}-cold")
    how = oss2.models.BucketCreateConfig(oss2.BUCKET_STORAGE_CLASS_IA, oss2.BUCKET_DATA_REDUNDANCY_TYPE_ZRS)
    bucket.create_bucket(input=how)
    try:
        info = bucket.get_bucket_info()
        assert (info.storage_class, info.data_redundancy_type, info.versioning_status) == ("IA", "ZRS", None)
        bucket.put_object("a", b"x")
        bucket.put_object("b", b"x", headers={"x-oss-storage-class": "Standard"})
        bucket.copy_object(bucket.bucket_name, "b", "c")
        bucket.append_object("d", 0, b"x")
        classes = {key: bucket.head_object(key).headers["x-oss-storage-class"] for key in "abcd"}
        assert classes == {"a": "IA", "b": "Standard", "c": "IA", "d": "IA"}
    finally:
        for key in "abcd":
            bucket.delete_object(key)
        bucket.delete_bucket()
    # Of a class that is to be restored first, the word is kept, and what lies in it is there at once.
    bucket.create_bucket(input=oss2.models.BucketCreateConfig(oss2.BUCKET_STORAGE_CLASS_ARCHIVE))
    bucket.put_object("a", b"x")
    assert bucket.get_bucket_info().storage_class == "Archive"
    assert bucket.get_object("a").headers["x-oss-storage-class"] == "Standard"
    bucket.delete_object("a")
    bucket.delete_bucket()
    with pytest.raises(oss2.exceptions.InvalidArgument):
        bucket.create_bucket(input=oss2.models.BucketCreateConfig("Glass"))


@pytest.mark.parametrize("key,value", [("%@abc", "1"), ("a", "%abc"), ("a\t", "1")])
def test_what_a_tag_may_not_hold(name, key, value):
    bucket = oss_bucket(name)
    bucket.put_object("a", b"x")
    with pytest.raises(oss2.exceptions.ServerError) as refused:
        bucket.put_object_tagging("a", tagging(key, value))
    assert (refused.value.status, refused.value.code) == (400, "InvalidTag")


def test_tags_are_replaced_or_kept_apart_from_the_rest(name):
    bucket = oss_bucket(name)
    bucket.put_object("a", b"x", headers={"x-oss-tagging": "k=v", "x-oss-meta-m": "1"})
    replaced = {"x-oss-metadata-directive": "REPLACE", "x-oss-meta-m": "2"}
    for headers, tags in ((replaced, {"k": "v"}), (replaced | {"x-oss-tagging": "n=w", "x-oss-tagging-directive": "Replace"}, {"n": "w"})):
        bucket.copy_object(name, "a", "b", headers=headers)
        assert bucket.head_object("b").headers["x-oss-meta-m"] == "2"
        assert bucket.get_object_tagging("b").tag_set.tagging_rule == tags


def test_each_operation_tells_by_its_ec_that_there_is_no_upload(name):
    bucket = oss_bucket(name)
    bucket.put_object("source", b"x")
    upload = bucket.init_multipart_upload("a").upload_id
    bucket.abort_multipart_upload("a", upload)
    tries = {
        "0042-00000104": lambda: bucket.upload_part("a", upload, 1, b"x"),
        "0042-00000311": lambda: bucket.upload_part_copy(name, "source", None, "a", upload, 1),
        "0042-00000002": lambda: bucket.abort_multipart_upload("a", upload),
    }
    for ec, attempt in tries.items():
        with pytest.raises(oss2.exceptions.NoSuchUpload) as refused:
            attempt()
        assert refused.value.ec == ec


def test_a_range_that_is_not_inside_means_all_of_a_source(name):
    bucket = oss_bucket(name)
    data = bytes(range(256)) * KIB
    bucket.put_object("source", data)
    for number, reach in enumerate([(100, len(data) * 2), (len(data) + 5, len(data) + 9), (0, 999)], 1):
        upload = bucket.init_multipart_upload("a").upload_id
        part = bucket.upload_part_copy(name, "source", reach, "a", upload, 1)
        bucket.complete_multipart_upload("a", upload, [PartInfo(1, part.etag)])
        assert bucket.get_object("a").read() == (data[:1000] if number == 3 else data)
    s3 = s3_client()
    upload = s3.create_multipart_upload(Bucket=name, Key="b")["UploadId"]
    with pytest.raises(ClientError) as refused:
        copied = {"Bucket": name, "Key": "b", "UploadId": upload, "PartNumber": 1, "CopySource": f"{name}/source"}
        s3.upload_part_copy(**copied, CopySourceRange=f"bytes=100-{len(data)}")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416
    s3.abort_multipart_upload(Bucket=name, Key="b", UploadId=upload)
    # The last nothing of an object is no range at all.
    assert signed(bucket, "GET", "source", {"Range": "bytes=-0"}).status_code == 416


def test_no_part_is_named_where_there_is_none(name):
    bucket = oss_bucket(name)
    upload = bucket.init_multipart_upload("a").upload_id
    page = signed(bucket, "GET", f"a?uploadId={upload}").text
    assert "<NextPartNumberMarker></NextPartNumberMarker>" in page and "<IsTruncated>false" in page
    bucket.abort_multipart_upload("a", upload)


def test_who_lost_the_answer_completes_again(name):
    """In S3; OSS knows the upload no longer."""
    s3, bucket = s3_client(), oss_bucket(name)
    upload = s3.create_multipart_upload(Bucket=name, Key="a")["UploadId"]
    etag = s3.upload_part(Bucket=name, Key="a", UploadId=upload, PartNumber=1, Body=b"x" * 9)["ETag"]

    def complete(part):
        return s3.complete_multipart_upload(Bucket=name, Key="a", UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]})

    first = complete(etag)
    assert complete(etag)["ETag"] == first["ETag"]
    for wrong in (f'"{"0" * 32}"', "no-digest"):
        with pytest.raises(s3.exceptions.NoSuchUpload):
            complete(wrong)
    s3.put_object(Bucket=name, Key="a", Body=b"y")
    with pytest.raises(s3.exceptions.NoSuchUpload):
        complete(etag)
    upload = bucket.init_multipart_upload("b").upload_id
    part = bucket.upload_part("b", upload, 1, b"x")
    bucket.complete_multipart_upload("b", upload, [PartInfo(1, part.etag)])
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.complete_multipart_upload("b", upload, [PartInfo(1, part.etag)])


def test_an_upload_goes_whole_while_parts_come(name):
    """Parts that are put while their upload is given up find it or do not; nothing fails inside."""
    bucket = oss_bucket(name)
    answers = []
    for _ in range(10):
        upload = bucket.init_multipart_upload("a").upload_id
        urls = [bucket.sign_url("PUT", "a", 60, params={"uploadId": upload, "partNumber": str(number)}) for number in range(1, 13)]
        threads = [threading.Thread(target=lambda url=url: answers.append(requests.put(url, data=b"x" * KIB).status_code)) for url in urls]
        for thread in threads:
            thread.start()
        bucket.abort_multipart_upload("a", upload)
        for thread in threads:
            thread.join()
    assert set(answers) <= {200, 404}, answers
    assert bucket.get_bucket_stat().multi_part_upload_count == 0


def test_a_type_that_nobody_named(name):
    """Neither product looks at the name."""
    bucket = oss_bucket(name)
    requests.put(bucket.sign_url("PUT", "a.jpg", 60), data=b"x")
    assert bucket.head_object("a.jpg").headers["Content-Type"] == "application/octet-stream"
    s3 = s3_client()
    s3.put_object(Bucket=name, Key="b.jpg", Body=b"x")
    assert s3.head_object(Bucket=name, Key="b.jpg")["ContentType"] == "binary/octet-stream"


def test_the_date_of_an_upload_is_that_of_its_object(name):
    bucket = oss_bucket(name)
    # All over a second.
    began = time.monotonic()
    while time.monotonic() - began < 1:
        put = bucket.put_object("a", b"x")
        dated = parsedate_to_datetime(put.headers["Date"])
        assert dated >= parsedate_to_datetime(bucket.head_object("a").headers["Last-Modified"])


def test_no_faster_than_asked(name):
    """100 KiB a second, in either direction, by header and in a signed address."""
    bucket, data = oss_bucket(name), b"x" * 250 * KIB
    limit = {"x-oss-traffic-limit": str(100 * KIB * 8)}

    def took(work):
        began = time.monotonic()
        work()
        return time.monotonic() - began

    assert 2.2 < took(lambda: bucket.put_object("a", data, headers=limit)) < 10
    assert 2.2 < took(lambda: bucket.get_object("a", headers=limit).read()) < 10
    url = bucket.sign_url("GET", "a", 60, params=limit)
    began = time.monotonic()
    body = b"".join(requests.get(url, stream=True).iter_content(KIB))
    assert body == data and 2.2 < time.monotonic() - began < 10
    for wrong in ("819199", "838860801", "much"):
        with pytest.raises(oss2.exceptions.InvalidArgument):
            bucket.put_object("b", b"x", headers={"x-oss-traffic-limit": wrong})


def test_a_link_is_followed_once(name):
    for version in ("v1", "v4"):
        bucket = oss_bucket(name, version)
        target, link = f"{version}/live/中 a.ts", f"{version}/link"
        bucket.put_symlink(target, link)
        with pytest.raises(oss2.exceptions.ServerError) as gone:
            bucket.get_object(link)
        assert (gone.value.status, gone.value.code) == (404, "SymlinkTargetNotExist")
        bucket.put_object(target, b"0123456789", headers={"Content-Type": "video/mp2t"})
        assert bucket.get_symlink(link).target_key == target
        read = bucket.get_object(link)
        assert read.read() == b"0123456789" and read.headers["x-oss-object-type"] == "Symlink"
        assert bucket.get_object(link, byte_range=(2, 4)).read() == b"234"
        head = bucket.head_object(link)
        assert (head.content_length, head.etag) == (10, bucket.head_object(target).etag)
        assert {entry.key: entry.type for entry in bucket.list_objects(prefix=f"{version}/").object_list} == {link: "Symlink", target: "Normal"}
        bucket.put_symlink(link, f"{version}/again")
        with pytest.raises(oss2.exceptions.ServerError) as chain:
            bucket.get_object(f"{version}/again")
        assert (chain.value.status, chain.value.code) == (400, "InvalidTargetType")
        with pytest.raises(oss2.exceptions.ServerError) as plain:
            bucket.get_symlink(target)
        assert (plain.value.status, plain.value.code) == (400, "NotSymlink")
        # Whoever may read a link and not its target reads nothing.
        bucket.put_object_acl(link, "public-read")
        address = f"{ENDPOINT}/{name}/{link}"
        assert requests.get(address).status_code == requests.head(address).status_code == 403
        bucket.put_object_acl(target, "public-read")
        assert requests.get(address).content == b"0123456789"


def form(name, policy, **more):
    """A form that is signed as S3's version 2."""
    policy = base64.b64encode(policy.encode()).decode()
    signature = base64.b64encode(hmac.new(KEY_SECRET.encode(), policy.encode(), hashlib.sha1).digest()).decode()
    fields = {"key": "foo.txt", "AWSAccessKeyId": KEY_ID, "policy": policy, "signature": signature, **more}
    parts = [(field, (None, value)) for field, value in fields.items() if value is not None]
    return requests.post(f"{ENDPOINT}/{name}", files=[*parts, ("file", ("a", b"bar", "text/plain"))], allow_redirects=False)


def test_forms_that_are_none(name):
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [{"bucket": name}, ["starts-with", "$key", "foo"], ["starts-with", "$Content-Type", "text/"]]
    good = {"expiration": ends, "conditions": conditions}
    assert form(name, json.dumps(good)).status_code == 204
    broken = {
        "no conditions": {"expiration": ends},
        "conditions by another name": {"expiration": ends, "CONDITIONS": conditions},
        "a condition of nothing": {"expiration": ends, "conditions": [{}]},
        "a date with a space": {**good, "expiration": ends.replace("T", " ")},
        "no date": {"conditions": conditions},
    }
    for what, policy in broken.items():
        refused = form(name, json.dumps(policy))
        assert (refused.status_code, code(refused)) == (400, "InvalidPolicyDocument"), what
    unsigned = form(name, json.dumps(good), signature=None)
    assert (unsigned.status_code, code(unsigned)) == (400, "InvalidArgument")
    assert form(name, json.dumps(good), signature="AAAA").status_code == 403
    target = "http://there.example/done"
    redirected = form(name, json.dumps({**good, "conditions": [*conditions, {"success_action_redirect": target}]}), success_action_redirect=target)
    etag = s3_client().head_object(Bucket=name, Key="foo.txt")["ETag"].strip('"')
    assert redirected.status_code == 303
    assert redirected.headers["Location"] == f"{target}?bucket={name}&key=foo.txt&etag=%22{etag}%22"


def test_s3_of_version_2_makes_buckets(name):
    old = boto3.client(
        "s3", endpoint_url=ENDPOINT, region_name=REGION, aws_access_key_id=KEY_ID, aws_secret_access_key=KEY_SECRET, config=Config(signature_version="s3", s3={"addressing_style": "path"})
    )
    bucket = f"{name}-old"
    old.create_bucket(Bucket=bucket)
    old.put_object(Bucket=bucket, Key="a b", Body=b"x")
    assert [entry["Key"] for entry in old.list_objects_v2(Bucket=bucket)["Contents"]] == ["a b"]
    old.delete_object(Bucket=bucket, Key="a b")
    old.delete_bucket(Bucket=bucket)


def test_buckets_of_s3(name):
    s3 = s3_client()
    for bad in ("192.168.5.123", "foo-.bar", "foo.-bar"):
        with pytest.raises(ClientError) as refused:
            s3.create_bucket(Bucket=bad)
        assert refused.value.response["Error"]["Code"] == "InvalidBucketName"
    own = [f"{name}-p{number}" for number in range(3)]
    for bucket in own:
        s3.create_bucket(Bucket=bucket)
    try:
        first = s3.list_buckets(MaxBuckets=2, Prefix=f"{name}-p")
        assert [bucket["Name"] for bucket in first["Buckets"]] == own[:2]
        rest = s3.list_buckets(MaxBuckets=2, Prefix=f"{name}-p", ContinuationToken=first["ContinuationToken"])
        assert [bucket["Name"] for bucket in rest["Buckets"]] == own[2:] and "ContinuationToken" not in rest
    finally:
        for bucket in own:
            s3.delete_bucket(Bucket=bucket)
    s3.put_object(Bucket=name, Key="a", Body=b"x", Tagging="foo=bar&bar")
    assert s3.get_object_tagging(Bucket=name, Key="a")["TagSet"] == [{"Key": "bar", "Value": ""}, {"Key": "foo", "Value": "bar"}]
    upload = s3.create_multipart_upload(Bucket=name, Key="b")["UploadId"]
    began = s3.list_multipart_uploads(Bucket=name)["Uploads"][0]
    assert began["Initiator"]["ID"] == began["Owner"]["ID"]
    s3.abort_multipart_upload(Bucket=name, Key="b", UploadId=upload)


def test_a_list_goes_on_while_buckets_go(name):
    s3, stop, failures = s3_client(), threading.Event(), []

    def churn():
        own = s3_client()
        while not stop.is_set():
            own.create_bucket(Bucket=f"{name}-gone")
            own.delete_bucket(Bucket=f"{name}-gone")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(150):
            try:
                s3.list_buckets()
            except ClientError as error:
                failures.append(str(error))
    finally:
        stop.set()
        thread.join()
    assert failures == []


def test_a_refused_condition_is_named(name):
    bucket = oss_bucket(name)
    bucket.put_object("a", b"x")
    with pytest.raises(oss2.exceptions.PreconditionFailed) as refused:
        bucket.get_object("a", headers={"If-Match": '"other"'})
    assert refused.value.details["Message"] == "At least one of the pre-conditions you specified did not hold."
    assert refused.value.details["Condition"] == "If-Match"


def test_control_characters_in_a_list(name):
    """As they are in OSS, where the list is not asked for in percent-encoding; as references in S3."""
    bucket = oss_bucket(name)
    bucket.put_object("a\x01b", b"x")
    assert b"<Key>a\x01b</Key>" in signed(bucket, "GET", "").content
    assert [entry.key for entry in bucket.list_objects().object_list] == ["a\x01b"]
