"""The OSS dialect as oss2 speaks it, with signature versions 1 and 4."""

import base64
import hashlib
import io
import os
import time

import oss2
import pytest
import requests
from conftest import ENDPOINT, KEY_ID, KEY_SECRET, oss_auth, oss_bucket
from harness.wait import wait_for

KEY = "rec/a b~中文+%2F/.../s1.ts"
AWKWARD = [
    "plain.ts",
    "with space/and+plus&amp=1.m3u8",
    "中文/直播 录制.mp4",
    "../../escape",
    "a/../b",
    "./x",
    "a//b",
    "folder/",
    "100%25.ts",
    "p",
    "p/q",
    "x" * 1000,
    "控" * 300,
    " leading and trailing ",
]


@pytest.mark.parametrize("key", AWKWARD)
def test_any_key_comes_back(bucket, key):
    data = key.encode() * 3
    put = bucket.put_object(key, data)
    assert put.etag == hashlib.md5(data).hexdigest().upper()
    assert bucket.get_object(key).read() == data
    assert [item.key for item in oss2.ObjectIterator(bucket)] == [key]
    bucket.delete_object(key)
    assert not bucket.object_exists(key)


def test_put_get_head(bucket):
    headers = {"x-oss-meta-author": "me", "Content-Type": "video/mp2t", "Cache-Control": "no-cache"}
    put = bucket.put_object(KEY, b"hello", headers=headers)
    assert put.request_id
    got = bucket.get_object(KEY)
    assert got.read() == b"hello"
    assert got.headers["x-oss-meta-author"] == "me"
    assert got.headers["Cache-Control"] == "no-cache"
    assert got.client_crc == got.server_crc
    head = bucket.head_object(KEY)
    assert (head.content_length, head.content_type, head.object_type) == (5, "video/mp2t", "Normal")
    assert abs(head.last_modified - time.time()) < 120
    meta = bucket.get_object_meta(KEY)
    assert (meta.content_length, meta.etag) == (5, "5D41402ABC4B2A76B9719D911017C592")


def test_empty_and_chunked_bodies(bucket):
    bucket.put_object("empty", b"")
    assert bucket.get_object("empty").read() == b""
    bucket.put_object("chunked", io.BytesIO(b"z" * 300_000))
    assert len(bucket.get_object("chunked").read()) == 300_000

    def pieces():
        for _ in range(10):
            yield b"0123456789"

    oss2_put = bucket.put_object("generated", oss2.utils.SizedFileAdapter(io.BytesIO(b"y" * 10), 10))
    assert oss2_put.status == 200
    url = bucket.sign_url("PUT", "streamed", 60, slash_safe=True)
    assert requests.put(url, data=pieces()).status_code == 200
    assert bucket.get_object("streamed").read() == b"0123456789" * 10


def test_ranges(bucket):
    bucket.put_object("r", bytes(range(256)) * 4)
    assert bucket.get_object("r", byte_range=(10, 19)).read() == bytes(range(10, 20))
    assert bucket.get_object("r", byte_range=(1000, None)).read() == (bytes(range(256)) * 4)[1000:]
    assert bucket.get_object("r", byte_range=(None, 24)).read() == (bytes(range(256)) * 4)[-24:]
    part = bucket.get_object("r", byte_range=(0, 0))
    assert part.status == 206 and part.headers["Content-Range"] == "bytes 0-0/1024"
    assert bucket.get_object("r", byte_range=(5000, None)).status == 200
    with pytest.raises(oss2.exceptions.OssError) as refused:
        bucket.get_object("r", byte_range=(5000, None), headers={"x-oss-range-behavior": "standard"})
    assert refused.value.status == 416


def test_conditions(bucket):
    etag = bucket.put_object("c", b"1").etag
    assert bucket.get_object("c", headers={"If-Match": f'"{etag}"'}).read() == b"1"
    with pytest.raises(oss2.exceptions.NotModified):
        bucket.get_object("c", headers={"If-None-Match": f'"{etag}"'})
    with pytest.raises(oss2.exceptions.PreconditionFailed):
        bucket.get_object("c", headers={"If-Match": '"other"'})
    later = oss2.utils.http_date(time.time() + 600)
    with pytest.raises(oss2.exceptions.NotModified):
        bucket.get_object("c", headers={"If-Modified-Since": later})
    assert bucket.get_object("c", headers={"If-Unmodified-Since": later}).read() == b"1"


def test_digest_of_the_sender_is_checked(bucket):
    good = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    bucket.put_object("d", b"x", headers={"Content-MD5": good})
    with pytest.raises(oss2.exceptions.InvalidDigest):
        bucket.put_object("d", b"y", headers={"Content-MD5": good})
    assert bucket.get_object("d").read() == b"x"


def test_response_overrides(bucket):
    bucket.put_object("o", b"x")
    params = {"response-content-type": "text/x", "response-content-disposition": 'attachment; filename="a.ts"'}
    got = bucket.get_object("o", params=params)
    assert got.headers["Content-Type"] == "text/x"
    assert got.headers["Content-Disposition"] == 'attachment; filename="a.ts"'


def test_listing(bucket):
    keys = ["a", "a-b", "a.b", "a/b", "a/c/d", "a0", "b/x", "中/1 +&"]
    for key in keys:
        bucket.put_object(key, b"")
    assert [item.key for item in oss2.ObjectIterator(bucket, max_keys=3)] == sorted(keys, key=str.encode)
    assert [item.key for item in oss2.ObjectIteratorV2(bucket, max_keys=2)] == sorted(keys, key=str.encode)
    rolled = [item.key for item in oss2.ObjectIterator(bucket, delimiter="/", max_keys=1)]
    assert rolled == ["a", "a-b", "a.b", "a/", "a0", "b/", "中/"]
    below = bucket.list_objects(prefix="a/", delimiter="/")
    assert [item.key for item in below.object_list] == ["a/b"] and below.prefix_list == ["a/c/"]
    after = bucket.list_objects(marker="a/b")
    assert [item.key for item in after.object_list] == ["a/c/d", "a0", "b/x", "中/1 +&"]
    owned = bucket.list_objects_v2(fetch_owner=True, start_after="b")
    assert owned.object_list[0].key == "b/x" and owned.object_list[0].owner.id


def test_copy_and_delete_many(bucket):
    bucket.put_object("from 中+", b"data", headers={"x-oss-meta-a": "1"})
    bucket.copy_object(bucket.bucket_name, "from 中+", "to")
    assert bucket.get_object("to").headers["x-oss-meta-a"] == "1"
    replaced = {"x-oss-metadata-directive": "REPLACE", "x-oss-meta-b": "2"}
    bucket.copy_object(bucket.bucket_name, "to", "to", headers=replaced)
    headers = bucket.get_object("to").headers
    assert headers["x-oss-meta-b"] == "2" and "x-oss-meta-a" not in headers
    # Onto itself, the metadata of the request counts whatever the directive says; a word that is none is refused all the same.
    for directive in ({}, {"x-oss-metadata-directive": "COPY"}):
        bucket.put_object("to", b"data", headers={"x-oss-meta-a": "1", "Content-Type": "video/mp2t"})
        bucket.copy_object(bucket.bucket_name, "to", "to", headers={"x-oss-meta-c": "3", **directive})
        headers = bucket.get_object("to").headers
        assert (headers["x-oss-meta-c"], headers["Content-Type"]) == ("3", "video/mp2t") and "x-oss-meta-a" not in headers
    with pytest.raises(oss2.exceptions.InvalidArgument):
        bucket.copy_object(bucket.bucket_name, "to", "to", headers={"x-oss-metadata-directive": "TAKE"})
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.copy_object(bucket.bucket_name, "absent", "to")
    deleted = bucket.batch_delete_objects(["from 中+", "to", "absent & gone"])
    assert sorted(deleted.deleted_keys) == ["absent & gone", "from 中+", "to"]
    assert list(oss2.ObjectIterator(bucket)) == []


def test_append(bucket):
    first = bucket.append_object("log", 0, b"12345")
    second = bucket.append_object("log", first.next_position, b"6789", init_crc=first.crc)
    assert second.next_position == 9
    assert bucket.get_object("log").read() == b"123456789"
    assert bucket.head_object("log").object_type == "Appendable"
    with pytest.raises(oss2.exceptions.PositionNotEqualToLength) as refused:
        bucket.append_object("log", 3, b"x")
    assert refused.value.next_position == 9
    bucket.copy_object(bucket.bucket_name, "log", "copy")
    copy, md5 = bucket.head_object("copy"), hashlib.md5(b"123456789")
    assert (copy.object_type, copy.etag) == ("Normal", md5.hexdigest().upper())
    assert copy.headers["Content-MD5"] == base64.b64encode(md5.digest()).decode()
    bucket.put_object("plain", b"x")
    with pytest.raises(oss2.exceptions.ObjectNotAppendable):
        bucket.append_object("plain", 1, b"x")


def test_multipart(bucket):
    upload = bucket.init_multipart_upload(KEY, headers={"Content-Type": "video/mp2t"}).upload_id
    parts, whole = [], b""
    for number in range(1, 4):
        data = os.urandom(150_000)
        whole += data
        put = bucket.upload_part(KEY, upload, number, data)
        parts.append(oss2.models.PartInfo(number, put.etag, size=len(data), part_crc=put.crc))
    listed = list(oss2.PartIterator(bucket, KEY, upload, max_parts=2))
    assert [(part.part_number, part.size) for part in listed] == [(1, 150_000), (2, 150_000), (3, 150_000)]
    open_uploads = [(item.key, item.upload_id) for item in oss2.MultipartUploadIterator(bucket)]
    assert open_uploads == [(KEY, upload)]
    done = bucket.complete_multipart_upload(KEY, upload, parts)
    assert done.etag.endswith("-3")
    got = bucket.get_object(KEY)
    assert got.read() == whole and got.client_crc == got.server_crc
    assert bucket.head_object(KEY).object_type == "Multipart"
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.abort_multipart_upload(KEY, upload)


def test_multipart_refusals(bucket):
    upload = bucket.init_multipart_upload("m").upload_id
    with pytest.raises(oss2.exceptions.InvalidArgument):
        bucket.upload_part("m", upload, 10_001, b"x")
    one = bucket.upload_part("m", upload, 1, b"small")
    two = bucket.upload_part("m", upload, 2, b"small")
    with pytest.raises(oss2.exceptions.OssError) as small:
        bucket.complete_multipart_upload("m", upload, [oss2.models.PartInfo(1, one.etag), oss2.models.PartInfo(2, two.etag)])
    assert small.value.code == "EntityTooSmall"
    with pytest.raises(oss2.exceptions.OssError) as wrong:
        bucket.complete_multipart_upload("m", upload, [oss2.models.PartInfo(1, "0" * 32)])
    assert wrong.value.code == "InvalidPart"
    bucket.abort_multipart_upload("m", upload)


def test_part_copy(bucket):
    data = os.urandom(250_000)
    bucket.put_object("source", data)
    upload = bucket.init_multipart_upload("joined").upload_id
    one = bucket.upload_part_copy(bucket.bucket_name, "source", (0, 149_999), "joined", upload, 1)
    two = bucket.upload_part_copy(bucket.bucket_name, "source", (150_000, 249_999), "joined", upload, 2)
    bucket.complete_multipart_upload("joined", upload, [oss2.models.PartInfo(1, one.etag), oss2.models.PartInfo(2, two.etag)])
    assert bucket.get_object("joined").read() == data


def test_resumable_upload_and_download(bucket, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1_200_000))
    oss2.resumable_upload(bucket, "big", str(source), multipart_threshold=500_000, part_size=300_000, num_threads=3)
    oss2.resumable_download(bucket, "big", str(tmp_path / "back"), multiget_threshold=500_000, part_size=300_000)
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_bucket_operations(bucket):
    service = oss2.Service(bucket.auth, ENDPOINT, region=bucket.region)
    assert bucket.bucket_name in [item.name for item in oss2.BucketIterator(service)]
    info = bucket.get_bucket_info()
    assert (info.name, info.acl.grant, info.storage_class) == (bucket.bucket_name, "private", "Standard")
    assert bucket.get_bucket_location().location.startswith("oss-")
    bucket.put_bucket_acl(oss2.BUCKET_ACL_PUBLIC_READ)
    assert bucket.get_bucket_acl().acl == "public-read"
    bucket.put_object("k", b"x")
    with pytest.raises(oss2.exceptions.BucketNotEmpty):
        bucket.delete_bucket()
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        oss_bucket(bucket.bucket_name + "-absent").get_object("k")


def test_access_control(bucket):
    url = f"{ENDPOINT}/{bucket.bucket_name}/k"
    bucket.put_object("k", b"x")
    denied = requests.get(url)
    assert denied.status_code == 403
    assert "<Code>AccessDenied</Code>" in denied.text and "<EC>" in denied.text and denied.headers["x-oss-request-id"]
    assert requests.get(f"{ENDPOINT}/{bucket.bucket_name}/absent").status_code == 403
    bucket.put_object_acl("k", oss2.OBJECT_ACL_PUBLIC_READ)
    assert bucket.get_object_acl("k").acl == "public-read"
    assert requests.get(url).content == b"x"
    bucket.put_object_acl("k", oss2.OBJECT_ACL_DEFAULT)
    assert requests.get(url).status_code == 403
    bucket.put_bucket_acl("public-read")
    assert requests.get(url).content == b"x"
    assert requests.get(f"{ENDPOINT}/{bucket.bucket_name}/absent").status_code == 404
    assert requests.put(url, data=b"y").status_code == 403
    bucket.put_object_acl("k", oss2.OBJECT_ACL_PRIVATE)
    assert requests.get(url).status_code == 403
    bucket.put_bucket_acl("public-read-write")
    assert requests.put(f"{ENDPOINT}/{bucket.bucket_name}/anyone", data=b"y").status_code == 200
    assert bucket.get_object("anyone").read() == b"y"


def test_tagging(bucket):
    bucket.put_object("t", b"x", headers={"x-oss-tagging": "a=1&b=2"})
    assert bucket.get_object_tagging("t").tag_set.tagging_rule == {"a": "1", "b": "2"}
    rule = oss2.models.TaggingRule()
    rule.add("k 中", "v")
    bucket.put_object_tagging("t", oss2.models.Tagging(rule))
    assert bucket.get_object_tagging("t").tag_set.tagging_rule == {"k 中": "v"}
    bucket.delete_object_tagging("t")
    assert bucket.get_object_tagging("t").tag_set.tagging_rule == {}


def test_forbid_overwrite(bucket):
    bucket.put_object("once", b"1", headers={"x-oss-forbid-overwrite": "true"})
    with pytest.raises(oss2.exceptions.OssError) as refused:
        bucket.put_object("once", b"2", headers={"x-oss-forbid-overwrite": "true"})
    assert (refused.value.status, refused.value.code) == (409, "FileAlreadyExists")
    assert bucket.get_object("once").read() == b"1"


@pytest.mark.parametrize("slash_safe", [True, False])
def test_signed_urls(bucket, slash_safe):
    bucket.put_object(KEY, b"signed")
    url = bucket.sign_url("GET", KEY, 60, slash_safe=slash_safe)
    assert requests.get(url).content == b"signed"
    assert requests.get(url.replace("s1.ts", "s2.ts")).status_code == 403
    assert requests.put(url, data=b"x").status_code == 403
    upload = bucket.sign_url("PUT", "up/loaded", 60, slash_safe=slash_safe)
    assert requests.put(upload, data=b"by url").status_code == 200
    assert bucket.get_object("up/loaded").read() == b"by url"


def test_a_signed_url_ends(bucket):
    bucket.put_object("k", b"x")
    url = bucket.sign_url("GET", "k", 1)
    # In a list: an answer that refuses counts as false by itself.
    (ended,) = wait_for(lambda: [got for got in [requests.get(url)] if got.status_code != 200], 15, "the end of the address")
    assert ended.status_code == 403
    assert "Request has expired." in ended.text and "<Code>AccessDenied</Code>" in ended.text


def test_wrong_keys_and_times(bucket):
    version = "v4" if isinstance(bucket.auth, oss2.AuthV4) else "v1"
    kind = oss2.AuthV4 if version == "v4" else oss2.Auth
    for auth, code in [
        (kind(KEY_ID, KEY_SECRET + "x"), "SignatureDoesNotMatch"),
        (kind("nobody", KEY_SECRET), "InvalidAccessKeyId"),
    ]:
        stranger = oss2.Bucket(auth, ENDPOINT, bucket.bucket_name, region="cn-shanghai")
        with pytest.raises(oss2.exceptions.OssError) as refused:
            stranger.put_object("k", b"x" * 1_000_000)
        assert (refused.value.status, refused.value.code) == (403, code)
        assert refused.value.request_id


def test_host_and_cname_addressing(bucket, host):
    """The bucket in the Host header, or nowhere but in the signature, by requests that oss2 signs."""
    bucket.put_object(KEY, b"x")
    version = "v4" if isinstance(bucket.auth, oss2.AuthV4) else "v1"
    for more, sent_host in [
        ({"endpoint": "http://oss-local.example"}, f"{bucket.bucket_name}.oss-local.example"),
        ({"endpoint": "http://rec.cdn.example", "is_cname": True}, "rec.cdn.example"),
        ({"endpoint": "http://oss-cn-shanghai.aliyuncs.com"}, f"{bucket.bucket_name}.oss-cn-shanghai.aliyuncs.com"),
    ]:
        far = oss_bucket(bucket.bucket_name, version, **more)
        url = far.sign_url("GET", KEY, 60, slash_safe=True)
        target = url.split(sent_host, 1)[1]
        answer = requests.get(f"http://{host}{target}", headers={"Host": sent_host})
        assert answer.content == b"x", (more, answer.text)


def test_what_is_missing_says_so(bucket):
    for call, name in [
        (bucket.get_bucket_lifecycle, "GetBucketLifecycle"),
        (bucket.get_bucket_website, "GetBucketWebsite"),
        (bucket.get_bucket_policy, "GetBucketPolicy"),
        (lambda: bucket.get_bucket_tagging(), "GetBucketTags"),
    ]:
        with pytest.raises(oss2.exceptions.OssError) as refused:
            call()
        assert (refused.value.status, refused.value.code) == (501, "NotImplemented")
        assert name in refused.value.message


def test_cors(bucket):
    rule = oss2.models.CorsRule(
        allowed_origins=["http://page.example"], allowed_methods=["GET", "PUT"], allowed_headers=["*"],
        expose_headers=["ETag"], max_age_seconds=60,
    )
    url = f"{ENDPOINT}/{bucket.bucket_name}/k"
    ask = {"Origin": "http://page.example", "Access-Control-Request-Method": "PUT"}
    assert requests.options(url, headers=ask).status_code == 403
    bucket.put_bucket_cors(oss2.models.BucketCors([rule]))
    assert bucket.get_bucket_cors().rules[0].max_age_seconds == 60
    allowed = requests.options(url, headers=ask)
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == "http://page.example"
    assert requests.options(url, headers={**ask, "Origin": "http://other.example"}).status_code == 403
    bucket.put_object("k", b"x")
    signed = bucket.sign_url("GET", "k", 60)
    assert requests.get(signed, headers={"Origin": "http://page.example"}).headers["Access-Control-Expose-Headers"] == "ETag"
    bucket.delete_bucket_cors()
    with pytest.raises(oss2.exceptions.NoSuchCors):
        bucket.get_bucket_cors()


def test_service_needs_a_signature():
    assert requests.get(ENDPOINT + "/").status_code == 403
    assert oss2.Service(oss_auth("v1"), ENDPOINT).list_buckets().status == 200
