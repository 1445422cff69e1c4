"""Keys of our own STS end, in the object store as in the API, and what was signed by them ends with them."""

import hashlib
import hmac
import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import boto3
import pytest
import requests
from botocore.client import Config
from botocore.exceptions import ClientError

from harness.api import Api, escape


@pytest.fixture
def world(own_stage):
    """A server of its own, whose clock is moved, with an object to fetch."""
    stage = own_stage()
    stage.s3.put_object(Bucket=stage.bucket.name, Key="x", Body=b"content")
    return stage


def assume(stage, seconds: int = 900) -> dict:
    api = stage.api
    flat = api.signed("AssumeRole", Version="2015-04-01", RoleArn="acs:ram::1:role/r", RoleSessionName="session", DurationSeconds=seconds)
    status, _, body = api.send("GET", "/?" + "&".join(f"{escape(k)}={escape(v)}" for k, v in flat.items()))
    assert status == 200, body
    return json.loads(body)["Credentials"]


def s3(stage, credentials: dict):
    return boto3.client(
        "s3",
        endpoint_url=stage.server.oss,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["AccessKeySecret"],
        aws_session_token=credentials["SecurityToken"],
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


def oss_url(stage, credentials: dict, lifetime: int) -> str:
    """A URL signed by OSS's version 1."""
    expires = int(stage.now().timestamp()) + lifetime
    resource = f"/{stage.bucket.name}/x?security-token={credentials['SecurityToken']}"
    text = f"GET\n\n\n{expires}\n{resource}"
    signature = base64.b64encode(hmac.new(credentials["AccessKeySecret"].encode(), text.encode(), hashlib.sha1).digest()).decode()
    return (
        f"{stage.server.oss}/{stage.bucket.name}/x?OSSAccessKeyId={credentials['AccessKeyId']}&Expires={expires}"
        f"&Signature={quote(signature, safe='')}&security-token={credentials['SecurityToken']}"
    )


def form(stage, credentials: dict) -> requests.Response:
    """A form upload whose policy is good for a day."""
    until = (stage.now() + timedelta(days=1)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = base64.b64encode(json.dumps({"expiration": until, "conditions": [["starts-with", "$key", ""], ["starts-with", "$x-oss-security-token", ""]]}).encode()).decode()
    signature = base64.b64encode(hmac.new(credentials["AccessKeySecret"].encode(), policy.encode(), hashlib.sha1).digest()).decode()
    fields = {
        "key": "form.txt",
        "OSSAccessKeyId": credentials["AccessKeyId"],
        "policy": policy,
        "Signature": signature,
        "x-oss-security-token": credentials["SecurityToken"],
    }
    return requests.post(f"{stage.server.oss}/{stage.bucket.name}", data=fields, files={"file": b"form"}, timeout=20)


def test_temporary_keys_end_in_the_store_as_in_the_api(world):
    credentials = assume(world)
    client = s3(world, credentials)
    long_s3 = client.generate_presigned_url("get_object", Params={"Bucket": world.bucket.name, "Key": "x"}, ExpiresIn=86_400)
    long_oss = oss_url(world, credentials, 86_400)
    assert client.get_object(Bucket=world.bucket.name, Key="x")["Body"].read() == b"content"
    assert requests.get(long_s3, timeout=20).content == requests.get(long_oss, timeout=20).content == b"content"
    assert form(world, credentials).status_code in (200, 204)

    world.advance(890)
    assert requests.get(long_s3, timeout=20).status_code == requests.get(long_oss, timeout=20).status_code == 200

    world.advance(20)
    for call in (lambda: client.get_object(Bucket=world.bucket.name, Key="x"), lambda: client.put_object(Bucket=world.bucket.name, Key="y", Body=b"y")):
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["Error"]["Code"] == "ExpiredToken"
    for url, status, code in ((long_s3, 400, "ExpiredToken"), (long_oss, 403, "SecurityTokenExpired")):
        answer = requests.get(url, timeout=20)
        assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True), answer.text
    assert form(world, credentials).status_code in (400, 403)
    api = Api(world.server.api, credentials["AccessKeyId"], credentials["AccessKeySecret"])
    status, body = api.ask("DescribeLiveRecordConfig", DomainName=world.domain, SecurityToken=credentials["SecurityToken"])
    assert (status, body["Code"]) == (400, "InvalidSecurityToken.Expired")
    assert world.s3.get_object(Bucket=world.bucket.name, Key="x")["Body"].read() == b"content", "the account's own key goes on"


def test_a_token_that_is_missing_or_wrong_is_refused_in_both(world):
    credentials = assume(world)
    for token in ("", "wrong"):
        with pytest.raises(ClientError) as error:
            s3(world, credentials | {"SecurityToken": token}).get_object(Bucket=world.bucket.name, Key="x")
        assert error.value.response["Error"]["Code"] == "InvalidSecurityToken"
        api = Api(world.server.api, credentials["AccessKeyId"], credentials["AccessKeySecret"])
        status, body = api.ask("DescribeLiveRecordConfig", DomainName=world.domain, SecurityToken=token or None)
        assert (status, body["Code"]) == (400, "MissingSecurityToken" if not token else "InvalidSecurityToken.Malformed")


def test_a_disabled_key_is_refused_in_both(own_stage):
    stage = own_stage("--access-keys", "testid:testsecret,off:secret:disabled")
    with pytest.raises(ClientError) as error:
        s3(stage, {"AccessKeyId": "off", "AccessKeySecret": "secret", "SecurityToken": None}).list_buckets()
    assert error.value.response["Error"]["Code"] == "InvalidAccessKeyId"
    status, body = Api(stage.server.api, "off", "secret").ask("DescribeLiveRecordConfig", DomainName="d.example.com")
    assert (status, body["Code"]) == (400, "InvalidAccessKeyId.Inactive")
