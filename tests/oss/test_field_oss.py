"""What clients of the OSS dialect stumbled over in the field, each with the value that is right."""

import base64
import hashlib
import hmac
import os
import subprocess
import time
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate
from urllib.parse import quote, urlsplit

import oss2
import pytest
import requests
from conftest import ENDPOINT, KEY_ID, KEY_SECRET, oss_bucket, s3_client
from harness.wait import wait_for

ORIGIN = "https://page.example"
KEY = "live/s 1/中+a.ts"


def md5_base64(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def allow(bucket):
    rule = oss2.models.CorsRule(
        allowed_origins=[ORIGIN], allowed_methods=["PUT", "GET", "HEAD"], allowed_headers=["*"], expose_headers=["ETag"], max_age_seconds=60
    )
    bucket.put_bucket_cors(oss2.models.BucketCors([rule]))


def signed(bucket, method, target, headers=None):
    """A request of the OSS dialect, as its text says: oss2 would change what is tested here."""
    resource, _, query = target.partition("?")
    path = f"/{bucket.bucket_name}/{quote(resource)}"
    request = oss2.http.Request(method, ENDPOINT + path, headers=headers or {}, params={}, region="cn-shanghai", product="oss")
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        request.params[name] = value
    bucket.auth._sign_request(request, bucket.bucket_name, resource)
    url = ENDPOINT + path + (f"?{query}" if query else "")
    return requests.request(method, url, headers=request.headers, data=request.data or b"")


def code(answer):
    return ET.fromstring(answer.content).findtext("Code")


# O1: cross-origin requests to signed addresses


def addresses(name):
    """Signed addresses for an upload: OSS versions 1 and 4 in path and host, S3 version 4."""
    for version in ("v1", "v4"):
        yield oss_bucket(name, version).sign_url("PUT", KEY, 60, slash_safe=True)
        yield oss_bucket(name, version).sign_url("PUT", KEY, 60)
    yield s3_client().generate_presigned_url("put_object", Params={"Bucket": name, "Key": KEY}, ExpiresIn=60)


def test_a_browser_uploads_by_a_signed_address(name):
    allow(oss_bucket(name))
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    for url in addresses(name):
        preflight = requests.options(url, headers=asked)
        assert preflight.status_code == 200, (url, preflight.text)
        assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
        assert preflight.headers["Access-Control-Allow-Headers"] == "content-type"
        put = requests.put(url, data=b"from a page", headers={"Origin": ORIGIN})
        assert (put.status_code, put.headers.get("Access-Control-Allow-Origin")) == (200, ORIGIN), put.text
        late = requests.options(url.replace("Signature", "Signatory"), headers=asked)
        assert late.status_code == 200, "nothing of a preflight is signed"
        for wrong in ({"Origin": "https://other.example"}, {"Access-Control-Request-Method": "DELETE"}):
            refused = requests.options(url, headers={**asked, **wrong})
            assert (refused.status_code, code(refused)) == (403, "AccessForbidden")


def test_a_page_uploads_at_a_cname(name, host):
    allow(oss_bucket(name))
    for version in ("v1", "v4"):
        at_cname = oss_bucket(name, version, endpoint="http://rec.cdn.example", is_cname=True)
        url = at_cname.sign_url("PUT", KEY, 60, slash_safe=True).replace("http://rec.cdn.example", f"http://{host}")
        asked = {"Host": "rec.cdn.example", "Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
        assert requests.options(url, headers=asked).headers.get("Access-Control-Allow-Origin") == ORIGIN
        put = requests.put(url, data=b"x", headers={"Host": "rec.cdn.example", "Origin": ORIGIN})
        assert (put.status_code, put.headers.get("Access-Control-Allow-Origin")) == (200, ORIGIN), put.text


def test_a_preflight_without_rules_or_bucket_is_refused(name):
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    refused = requests.options(oss_bucket(name).sign_url("PUT", KEY, 60), headers=asked)
    assert (refused.status_code, code(refused)) == (403, "AccessForbidden")
    absent = requests.options(ENDPOINT + "/", headers={**asked, "Host": f"{name}-absent.oss-cn-shanghai.aliyuncs.com"})
    assert (absent.status_code, code(absent)) == (404, "NoSuchBucket")


# O2: errors of HEAD


def test_errors_of_head_can_be_told_apart(bucket):
    with pytest.raises(oss2.exceptions.NoSuchKey) as refused:
        bucket.head_object("absent")
    assert refused.value.code == "NoSuchKey" and refused.value.request_id and refused.value.ec
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.get_object_meta("absent")
    absent = oss_bucket(bucket.bucket_name + "-absent", "v4")
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        absent.head_object("k")
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        absent.object_exists("k")
    for url in (f"{ENDPOINT}/{bucket.bucket_name}/k", bucket.sign_url("HEAD", "k", 60) + "x"):
        denied = requests.head(url)
        document = ET.fromstring(base64.b64decode(denied.headers["x-oss-err"]))
        assert denied.status_code == 403 and denied.content == b""
        assert document.findtext("Code") in ("AccessDenied", "SignatureDoesNotMatch")
        assert document.findtext("RequestId") == denied.headers["x-oss-request-id"]


# O4: what is not known never means something else


def test_an_unknown_sub_resource_never_means_the_plain_operation(bucket):
    bucket.put_object("k", b"kept")
    unknown = ["inventory", "accelerate", "httpsConfig", "worm", "frobnicate", "inventory&inventoryId=a", "analytics&id=a"]
    for target in ("", "k"):
        for query in unknown:
            for method in ("GET", "PUT", "DELETE", "POST", "HEAD"):
                answer = signed(bucket, method, f"{target}?{query}")
                assert answer.status_code == 501, (method, target, query, answer.text)
                if method != "HEAD":
                    assert code(answer) == "NotImplemented"
                    name = query.split("&")[0]
                    assert name[1:] in answer.text, answer.text
    assert bucket.get_object("k").read() == b"kept"
    empty = oss_bucket(bucket.bucket_name + "-2")
    empty.create_bucket()
    assert signed(empty, "DELETE", "?inventory").status_code == 501
    assert signed(empty, "DELETE", "?acl").status_code == 405
    assert empty.get_bucket_info().name.endswith("-2")
    empty.delete_bucket()
    assert signed(empty, "PUT", "?accelerate").status_code == 501
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        empty.get_bucket_info()


def test_an_unknown_sub_resource_of_s3_is_refused(name):
    s3 = s3_client()
    for call, more in [
        (s3.get_bucket_accelerate_configuration, {}),
        (s3.delete_bucket_analytics_configuration, {"Id": "a"}),
        (s3.delete_bucket_metrics_configuration, {"Id": "a"}),
        (s3.delete_bucket_intelligent_tiering_configuration, {"Id": "a"}),
        (s3.delete_bucket_inventory_configuration, {"Id": "a"}),
        (s3.put_bucket_accelerate_configuration, {"AccelerateConfiguration": {"Status": "Enabled"}}),
    ]:
        with pytest.raises(s3.exceptions.ClientError) as refused:
            call(Bucket=name, **more)
        assert refused.value.response["Error"]["Code"] == "NotImplemented"
    s3.head_bucket(Bucket=name)


def test_names_of_clients_own_do_not_disturb(bucket):
    bucket.put_object("k", b"x")
    bucket.put_object_acl("k", "public-read")
    for query in ("v=17", "17953602", "_=1", "utm_source=a"):
        assert requests.get(f"{ENDPOINT}/{bucket.bucket_name}/k?{query}").content == b"x"
    assert bucket.get_object("k", params={"para1": "val1"}).read() == b"x"


# O8, O10: digests


def test_the_etag_of_parts_is_made_of_their_etags(bucket):
    upload = bucket.init_multipart_upload(KEY).upload_id
    parts = []
    for number in (1, 2, 3):
        data = os.urandom(110_000)
        put = bucket.upload_part(KEY, upload, number, data)
        assert put.headers["Content-MD5"] == md5_base64(data)
        parts.append(oss2.models.PartInfo(number, put.etag, size=len(data), part_crc=put.crc))
    done = bucket.complete_multipart_upload(KEY, upload, parts)
    whole = hashlib.md5("".join(part.etag for part in parts).encode()).hexdigest().upper()
    assert all(part.etag == part.etag.upper() for part in parts)
    assert done.etag == f"{whole}-3" == bucket.head_object(KEY).etag
    assert "Content-MD5" not in bucket.head_object(KEY).headers


def test_content_md5_is_told(bucket):
    data = os.urandom(5000)
    for answer in (bucket.put_object(KEY, data), bucket.get_object(KEY), bucket.head_object(KEY)):
        assert answer.headers["Content-MD5"] == md5_base64(data)
    bucket.append_object("log", 0, b"12345")
    assert "Content-MD5" not in bucket.head_object("log").headers


# O9: the location


def test_the_location_is_told_by_the_endpoint(host):
    name = "oss-" + os.urandom(6).hex()
    for version in ("v1", "v4"):
        far = oss_bucket(name, version, endpoint="http://oss-cn-beijing-internal.aliyuncs.com")
        session = oss2.Session()
        session.session.mount("http://", Redirected(host))
        far.session = session
        far.create_bucket()
        info = far.get_bucket_info()
        assert (info.location, far.get_bucket_location().location) == ("oss-cn-beijing", "oss-cn-beijing")
        assert info.extranet_endpoint == "oss-cn-beijing.aliyuncs.com"
        far.delete_bucket()


class Redirected(requests.adapters.HTTPAdapter):
    """Sends what is meant for any host to one address, the Host header kept."""

    def __init__(self, netloc):
        super().__init__()
        self.netloc = netloc

    def send(self, request, **more):
        parts = urlsplit(request.url)
        request.headers["Host"] = parts.netloc
        request.url = parts._replace(netloc=self.netloc).geturl()
        return super().send(request, **more)


# O11: names


@pytest.mark.parametrize("key", ["/a", "//a", "\\a", "x" * 1024])
def test_names_that_oss_refuses(bucket, key):
    for call in (
        lambda: bucket.put_object(key, b"x"),
        lambda: bucket.get_object(key),
        lambda: bucket.append_object(key, 0, b"x"),
        lambda: bucket.init_multipart_upload(key),
        lambda: bucket.delete_object(key),
    ):
        with pytest.raises(oss2.exceptions.OssError) as refused:
            call()
        assert (refused.value.status, refused.value.code) == (400, "InvalidObjectName"), refused.value
    s3_client().put_object(Bucket=bucket.bucket_name, Key=key, Body=b"s3 takes it")
    s3_client().delete_object(Bucket=bucket.bucket_name, Key=key)
    bucket.put_object("x" * 1023, b"x")
    bucket.put_object("a/\\b//c", b"x")


# O13: encoding-type


def test_names_are_encoded_where_it_was_asked_for(bucket):
    key = "中 +/&<>.ts"
    upload = bucket.init_multipart_upload(key).upload_id
    part = bucket.upload_part(key, upload, 1, b"x")
    body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.etag}</ETag></Part></CompleteMultipartUpload>"
    done = post(bucket, f"{key}?uploadId={upload}&encoding-type=url", body)
    document = ET.fromstring(done.content)
    assert (document.findtext("EncodingType"), document.findtext("Key")) == ("url", quote(key, safe=""))
    escaped = key.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = f"<Delete><Object><Key>{escaped}</Key></Object></Delete>"
    deleted = post(bucket, "?delete", body, {"Encoding-Type": "url"})
    assert ET.fromstring(deleted.content).findtext("Deleted/Key") == quote(key, safe="")
    assert not bucket.object_exists(key)


def post(bucket, target, body, headers=None):
    resource, _, query = target.partition("?")
    params = dict(pair.partition("=")[::2] for pair in query.split("&"))
    body = body.encode()
    headers = {"Content-MD5": md5_base64(body), "Content-Type": "application/xml", **(headers or {})}
    url = f"{ENDPOINT}/{bucket.bucket_name}/{quote(resource)}"
    request = oss2.http.Request("POST", url, headers=headers, params=params, region="cn-shanghai", product="oss")
    bucket.auth._sign_request(request, bucket.bucket_name, resource)
    answer = requests.post(f"{url}?{query}", data=body, headers=request.headers)
    assert answer.status_code == 200, answer.text
    return answer


# O15: who is told that there is no bucket


def test_the_bucket_is_looked_for_first(name):
    for kind in (oss2.Auth, oss2.AuthV4):
        stranger = oss2.Bucket(kind("nobody", KEY_SECRET), ENDPOINT, name + "-absent", region="cn-shanghai")
        with pytest.raises(oss2.exceptions.NoSuchBucket):
            stranger.get_object("k")
        with pytest.raises(oss2.exceptions.NoSuchBucket):
            stranger.list_objects()
        with pytest.raises(oss2.exceptions.OssError) as refused:
            stranger.create_bucket()
        assert refused.value.code == "InvalidAccessKeyId"
        stranger = oss2.Bucket(kind("nobody", KEY_SECRET), ENDPOINT, name, region="cn-shanghai")
        with pytest.raises(oss2.exceptions.OssError) as refused:
            stranger.get_object("k")
        assert refused.value.code == "InvalidAccessKeyId"
    # By its host name a bucket is meant for sure: then a wrong signature comes second too.
    date = formatdate(usegmt=True)
    headers = {"Host": f"{name}-absent.oss-cn-shanghai.aliyuncs.com", "Date": date, "Authorization": f"OSS {KEY_ID}:wrong"}
    absent = requests.get(f"{ENDPOINT}/k", headers=headers)
    assert (absent.status_code, code(absent)) == (404, "NoSuchBucket")


# O17: versions, live channels, signed playlists


def test_a_cleaner_finds_one_version_of_each_object(bucket):
    keys = ["a/1", "a/2", "b c+中", "d"]
    for key in keys:
        bucket.put_object(key, key.encode())
    found, key_marker, id_marker = [], "", ""
    while True:
        page = bucket.list_object_versions(max_keys=2, key_marker=key_marker, versionid_marker=id_marker)
        assert len(page.versions) <= 2 and not page.delete_marker
        found += [(version.key, version.versionid, version.is_latest) for version in page.versions]
        if not page.is_truncated:
            break
        key_marker, id_marker = page.next_key_marker, page.next_versionid_marker
    assert found == [(key, "null", True) for key in keys]
    rolled = bucket.list_object_versions(prefix="", delimiter="/")
    assert rolled.common_prefix == ["a/"] and [version.key for version in rolled.versions] == ["b c+中", "d"]
    one = {"versionId": "null"}
    assert bucket.get_object("d", params=dict(one)).read() == b"d"
    assert bucket.head_object("d", params=dict(one)).content_length == 1
    bucket.put_object_acl("d", "public-read", params=dict(one))
    assert bucket.get_object_acl("d", params=dict(one)).acl == "public-read"
    other = {"versionId": "CAEQNhiBgIDJgPWuKxgiIGYx"}
    for call in (bucket.get_object, bucket.head_object, bucket.get_object_acl):
        with pytest.raises(oss2.exceptions.OssError) as refused:
            call("d", params=dict(other))
        assert (refused.value.status, refused.value.code) == (404, "NoSuchVersion")
    bucket.delete_object("d", params=dict(other))
    assert bucket.object_exists("d")
    listed = [oss2.models.BatchDeleteObjectVersion(key, "null") for key in keys[:2]]
    bucket.delete_object_versions(oss2.models.BatchDeleteObjectVersionList(listed))
    for key in keys[2:]:
        bucket.delete_object(key, params=dict(one))
    assert bucket.list_object_versions().versions == []
    assert bucket.get_bucket_versioning().status is None


def test_a_cleaner_of_s3_finds_them_too(name):
    s3 = s3_client()
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=name, Key=key, Body=b"x")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=name, PaginationConfig={"PageSize": 2})
    versions = [version for page in pages for version in page["Versions"]]
    assert [(version["Key"], version["VersionId"], version["IsLatest"]) for version in versions] == [(key, "null", True) for key in "abc"]
    named = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
    deleted = s3.delete_objects(Bucket=name, Delete={"Objects": named})
    assert len(deleted["Deleted"]) == 3 and "Errors" not in deleted
    assert "Versions" not in s3.list_object_versions(Bucket=name)


def test_there_are_no_live_channels(bucket):
    listed = bucket.list_live_channel(prefix="a", max_keys=10)
    assert (listed.channels, listed.is_truncated, listed.max_keys) == ([], False, 10)
    assert list(oss2.LiveChannelIterator(bucket)) == []
    with pytest.raises(oss2.exceptions.OssError) as refused:
        bucket.create_live_channel("c", oss2.models.LiveChannelInfo(target=oss2.models.LiveChannelInfoTarget()))
    assert refused.value.status == 501 and "PutLiveChannel" in refused.value.message


def entries(text):
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    maps = [line.split('URI="')[1].split('"')[0] for line in text.splitlines() if 'URI="' in line]
    return lines + maps


@pytest.mark.parametrize("slash_safe", [True, False])
def test_a_private_playlist_is_read_by_one_signed_address(bucket, slash_safe):
    playlist = '#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:2.0,\n0.ts\n#EXTINF:2.0,\n../s2/中%201.ts\n#EXT-X-ENDLIST\n'
    bucket.put_object("live/s1/a.m3u8", playlist)
    bucket.put_object("live/s1/main.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n")
    objects = {"live/s1/init.mp4": b"init", "live/s1/0.ts": b"zero", "live/s2/中 1.ts": b"one"}
    for key, data in objects.items():
        bucket.put_object(key, data)

    def follow(url):
        answer = requests.get(url)
        assert answer.status_code == 200, answer.text
        return answer.text, [requests.compat.urljoin(url, entry) for entry in entries(answer.text)]

    signed_url = bucket.sign_url("GET", "live/s1/main.m3u8", 60, params={"x-oss-process": "hls/sign"}, slash_safe=slash_safe)
    _, [inner] = follow(signed_url)
    text, found = follow(inner)
    assert sorted(requests.get(url).content for url in found) == sorted(objects.values())
    assert text.count("ignature=") == 3 and text.endswith("#EXT-X-ENDLIST\n")
    # The address of one slice opens no other, and nothing is open without the signature.
    assert requests.get(found[0].replace("0.ts", "1.ts")).status_code == 403
    assert requests.get(found[0].split("?")[0]).status_code == 403
    plain = bucket.sign_url("GET", "live/s1/a.m3u8", 60, slash_safe=True)
    assert requests.get(plain).text == playlist
    with pytest.raises(oss2.exceptions.OssError) as refused:
        bucket.get_object("live/s1/a.m3u8", process="hls/sign")
    assert refused.value.status == 403 and "signature in the URL" in refused.value.message
    no_playlist = bucket.sign_url("GET", "live/s1/0.ts", 60, params={"x-oss-process": "hls/sign"})
    assert code(requests.get(no_playlist)) == "InvalidArgument"
    image = bucket.sign_url("GET", "live/s1/0.ts", 60, params={"x-oss-process": "image/resize,w_1"})
    refused = requests.get(image)
    assert (refused.status_code, code(refused)) == (501, "NotImplemented") and "image/resize" in refused.text


def test_a_signed_playlist_plays_and_ends_as_its_address(server, tmp_path):
    """With ffmpeg as the player, and with the clock past the end."""
    for version in ("v1", "v4"):
        auth = oss2.Auth(KEY_ID, KEY_SECRET) if version == "v1" else oss2.AuthV4(KEY_ID, KEY_SECRET)
        bucket = oss2.Bucket(auth, server.oss, f"plays-{version}", region="cn-shanghai")
        bucket.create_bucket()
        folder = tmp_path / version
        folder.mkdir()
        make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=3:r=10:s=64x64", "-c:v", "libx264", "-g", "10", "-hls_time", "1"]
        subprocess.run([*make, "-hls_list_size", "0", str(folder / "a.m3u8")], check=True)
        for file in folder.iterdir():
            bucket.put_object_from_file(f"rec/{file.name}", str(file))
        url = bucket.sign_url("GET", "rec/a.m3u8", 600, params={"x-oss-process": "hls/sign"}, slash_safe=True)
        probe = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "-allowed_extensions", "ALL"]
        played = subprocess.run([*probe, "-extension_picky", "0", url], capture_output=True, text=True)
        if "extension_picky" in played.stderr:
            played = subprocess.run([*probe, url], capture_output=True, text=True)
        assert set(played.stdout.split()) == {"30"}, (played.stdout, played.stderr)
        entry = requests.compat.urljoin(url, entries(requests.get(url).text)[0])
        assert requests.get(entry).status_code == 200
        server.advance(700)
        late = requests.get(entry)
        assert late.status_code == 403 and "Request has expired." in late.text
        # Dates of signatures are whole seconds: one of the second of an advance counts as signed before it.
        second = int(time.time())
        wait_for(lambda: int(time.time()) > second, 2, "the next second")


# O19: small things


def test_head_of_a_range_that_is_not_there(bucket):
    bucket.put_object("r", b"0123456789")
    beyond = signed(bucket, "HEAD", "r", {"Range": "bytes=10-", "x-oss-range-behavior": "standard"})
    assert beyond.status_code == 416
    s3 = s3_client()
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.head_object(Bucket=bucket.bucket_name, Key="r", Range="bytes=10-")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416


def test_a_later_append_sets_the_list_that_it_names(bucket):
    first = bucket.append_object("log", 0, b"1", headers={"x-oss-object-acl": "private"})
    second = bucket.append_object("log", first.next_position, b"2", headers={"x-oss-object-acl": "public-read"})
    assert bucket.get_object_acl("log").acl == "public-read"
    bucket.append_object("log", second.next_position, b"3")
    assert bucket.get_object_acl("log").acl == "public-read"


# What other people's suites brought up


def test_version_4_may_be_dated_by_the_date_header(name):
    """The Go SDK of version 1 sends no x-oss-date and signs the text of Date."""
    oss_bucket(name).put_object("k", b"x")

    def get(date, day, listed=""):
        scope = f"{day}/cn-shanghai/oss/aliyun_v4_request"
        canonical = f"GET\n/{name}/k\n\nx-oss-content-sha256:UNSIGNED-PAYLOAD\n\n{listed}\nUNSIGNED-PAYLOAD"
        text = f"OSS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = ("aliyun_v4" + KEY_SECRET).encode()
        for part in [*scope.split("/"), text]:
            key = hmac.digest(key, part.encode(), "sha256")
        more = f",AdditionalHeaders={listed}" if listed else ""
        authorization = f"OSS4-HMAC-SHA256 Credential={KEY_ID}/{scope}{more},Signature={key.hex()}"
        headers = {"Date": date, "x-oss-content-sha256": "UNSIGNED-PAYLOAD", "Authorization": authorization}
        return requests.get(f"{ENDPOINT}/{name}/k", headers=headers)

    now = datetime.now(UTC)
    assert get(format_datetime(now, usegmt=True), f"{now:%Y%m%d}").content == b"x"
    wrong_day = get(format_datetime(now, usegmt=True), "20200101")
    assert (wrong_day.status_code, code(wrong_day)) == (400, "AuthorizationHeaderMalformed")
    late = get(format_datetime(now - timedelta(hours=1), usegmt=True), f"{now - timedelta(hours=1):%Y%m%d}")
    assert (late.status_code, code(late)) == (403, "RequestTimeTooSkewed")
    absent = get(format_datetime(now, usegmt=True), f"{now:%Y%m%d}", "x-own")
    assert absent.status_code == 400 and "x-own" in absent.text


def test_all_parts_are_taken_or_named_and_not_both(bucket):
    upload = bucket.init_multipart_upload("k").upload_id
    part = bucket.upload_part("k", upload, 1, b"x")
    with pytest.raises(oss2.exceptions.OssError) as refused:
        headers = {"x-oss-complete-all": "yes"}
        bucket.complete_multipart_upload("k", upload, [oss2.models.PartInfo(1, part.etag)], headers=headers)
    assert (refused.value.code, refused.value.ec) == ("InvalidArgument", "0042-00000216")


def test_small_words_of_oss(bucket):
    bucket.put_object("source", b"x", headers={"Content-Type": "text/plain", "Cache-Control": "no-cache"})
    bucket.copy_object(bucket.bucket_name, "source", "copy", headers={"x-oss-metadata-directive": "REPLACE"})
    headers = bucket.head_object("copy").headers
    assert headers["Content-Type"] == "text/plain" and "Cache-Control" not in headers
    upload = bucket.init_multipart_upload("k").upload_id
    listed = bucket.list_multipart_uploads()
    assert (listed.is_truncated, listed.next_key_marker, listed.next_upload_id_marker) == (False, "k", upload)
    bucket.abort_multipart_upload("k", upload)
    rule = oss2.models.CorsRule(allowed_origins=["*"], allowed_methods=["GET"], allowed_headers=["X-Oss-Test"])
    bucket.put_bucket_cors(oss2.models.BucketCors([rule]))
    assert bucket.get_bucket_cors().rules[0].allowed_headers == ["x-oss-test"]
    stranger = oss2.Bucket(oss2.Auth("nobody", KEY_SECRET), ENDPOINT, bucket.bucket_name + "-absent", region="cn-shanghai")
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        stranger.put_bucket_versioning(oss2.models.BucketVersioningConfig(oss2.BUCKET_VERSIONING_ENABLE))


def test_completing_sets_the_list_and_takes_no_part_at_all(bucket):
    upload = bucket.init_multipart_upload("k").upload_id
    part = bucket.upload_part("k", upload, 1, b"x")
    headers = {"x-oss-object-acl": "public-read"}
    bucket.complete_multipart_upload("k", upload, [oss2.models.PartInfo(1, part.etag)], headers=headers)
    assert bucket.get_object_acl("k").acl == "public-read"
    upload = bucket.init_multipart_upload("empty").upload_id
    bucket.complete_multipart_upload("empty", upload, [])
    assert bucket.get_object("empty").read() == b""
