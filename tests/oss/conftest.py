"""Clients of the object store's port, by the SDKs that people use.

LOCALYUN_OSS names the endpoint of a running server (http://127.0.0.1:9000), LOCALYUN_KEY_ID and LOCALYUN_KEY_SECRET the
access key; without LOCALYUN_OSS each test process starts a server of its own. Tests that move the clock or look at
recordings have the harness's `server`, which is one a file. Every test gets a bucket of its own, which is emptied and
deleted behind it.
"""

import os
import uuid
from urllib.parse import urlsplit

import boto3
import oss2
import pytest
from botocore.config import Config
from harness.server import Server

pytest_plugins = ["harness.fixtures", "table"]

# A fixture would come too late: test modules read the endpoint when they are imported.
OWN = None if "LOCALYUN_OSS" in os.environ else Server()
ENDPOINT = OWN.oss if OWN else os.environ["LOCALYUN_OSS"]
KEY_ID = os.environ.get("LOCALYUN_KEY_ID", "testid")
KEY_SECRET = os.environ.get("LOCALYUN_KEY_SECRET", "testsecret")
REGION = "cn-shanghai"


def pytest_unconfigure():
    if OWN:
        OWN.stop()


def oss_auth(version):
    return oss2.Auth(KEY_ID, KEY_SECRET) if version == "v1" else oss2.AuthV4(KEY_ID, KEY_SECRET)


def oss_bucket(name, version="v1", **more):
    region = REGION if version == "v4" else None
    return oss2.Bucket(oss_auth(version), more.pop("endpoint", ENDPOINT), name, region=region, **more)


def s3_client(style="path", secret=KEY_SECRET, **more):
    return boto3.client(
        "s3",
        endpoint_url=more.pop("endpoint", ENDPOINT),
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=secret,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}, retries={"max_attempts": 1}, **more),
    )


@pytest.fixture(scope="session")
def endpoint():
    return ENDPOINT


@pytest.fixture(scope="session")
def host():
    return urlsplit(ENDPOINT).netloc


@pytest.fixture
def name():
    bucket = "t-" + uuid.uuid4().hex[:16]
    owner = oss_bucket(bucket)
    owner.create_bucket()
    yield bucket
    try:
        for upload in oss2.MultipartUploadIterator(owner):
            owner.abort_multipart_upload(upload.key, upload.upload_id)
        for item in list(oss2.ObjectIterator(owner, max_keys=1000)):
            owner.delete_object(item.key)
        owner.delete_bucket()
    except oss2.exceptions.NoSuchBucket:
        pass


@pytest.fixture(params=["v1", "v4"])
def bucket(request, name):
    return oss_bucket(name, request.param)


@pytest.fixture
def s3():
    return s3_client()
