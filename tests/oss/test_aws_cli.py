"""The S3 dialect as the AWS CLI speaks it: multipart with its own part sizes, sync, presigned URLs, listing by pages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from harness.server import Server, clean_environment

AWS = Path(sys.executable).parent / "aws"
BUCKET = "aws-cli-bucket"
KEY = "rec/a b~中文+/s1.ts"
MANY = 2500
BIG = 100 << 20


class Cli:
    """`aws` with nothing of the user's configuration."""

    def __init__(self, server: Server, folder: Path):
        self.server = server
        config = folder / "config"
        config.write_text("[default]\nregion = cn-shanghai\ns3 =\n    addressing_style = path\n    signature_version = s3v4\n")
        self.environment = clean_environment() | {
            "AWS_ACCESS_KEY_ID": "testid",
            "AWS_SECRET_ACCESS_KEY": "testsecret",
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    def __call__(self, *arguments: str | Path, fails: bool = False) -> str:
        command = [str(AWS), "--endpoint-url", self.server.oss, "--output", "json", *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=180)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout


@pytest.fixture(scope="module")
def aws(server, tmp_path_factory):
    if not AWS.exists():
        pytest.skip("awscli is not in this Python environment")
    cli = Cli(server, tmp_path_factory.mktemp("aws"))
    cli("s3", "mb", f"s3://{BUCKET}")
    yield cli
    cli("s3", "rb", f"s3://{BUCKET}", "--force")


def test_put_get_range_delete(aws, tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(b"0123456789")
    aws("s3", "cp", source, f"s3://{BUCKET}/{KEY}")
    aws("s3", "cp", f"s3://{BUCKET}/{KEY}", copy)
    assert copy.read_bytes() == b"0123456789"
    aws("s3api", "get-object", "--bucket", BUCKET, "--key", KEY, "--range", "bytes=2-5", copy)
    assert copy.read_bytes() == b"2345"
    head = json.loads(aws("s3api", "head-object", "--bucket", BUCKET, "--key", KEY))
    assert (head["ContentLength"], head["ETag"]) == (10, '"781e5e245d69b566979b86e28d23f2c7"')
    aws("s3", "rm", f"s3://{BUCKET}/{KEY}")
    assert "404" in aws("s3api", "head-object", "--bucket", BUCKET, "--key", KEY, fails=True)


def test_sync_and_list_many_keys(aws, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"{number:05}").write_bytes(b"x")
    aws("s3", "sync", folder, f"s3://{BUCKET}/many", "--quiet")
    found = json.loads(aws("s3api", "list-objects-v2", "--bucket", BUCKET, "--prefix", "many/", "--page-size", "1000"))
    assert [item["Key"] for item in found["Contents"]] == [f"many/{number:05}" for number in range(MANY)]
    assert aws("s3", "sync", folder, f"s3://{BUCKET}/many") == ""
    aws("s3", "rm", f"s3://{BUCKET}/many", "--recursive", "--quiet")
    assert aws("s3", "ls", f"s3://{BUCKET}") == ""


def test_multipart(aws, tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(BIG))
    aws("s3", "cp", source, f"s3://{BUCKET}/big", "--quiet")
    head = json.loads(aws("s3api", "head-object", "--bucket", BUCKET, "--key", "big"))
    assert head["ETag"].endswith('-13"'), "100 MB in parts of 8 MB"
    aws("s3", "cp", f"s3://{BUCKET}/big", copy, "--quiet")
    assert copy.read_bytes() == source.read_bytes()
    aws("s3", "rm", f"s3://{BUCKET}/big", "--quiet")


def test_presigned_url(aws, server, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x")
    aws("s3", "cp", source, f"s3://{BUCKET}/{KEY}")
    url = aws("s3", "presign", f"s3://{BUCKET}/{KEY}", "--expires-in", "60").strip()
    assert requests.get(url).content == b"x"
    tampered = requests.get(url.replace("s1.ts", "s2.ts"))
    assert (tampered.status_code, "SignatureDoesNotMatch" in tampered.text) == (403, True)
    server.advance(61)
    late = requests.get(url)
    assert (late.status_code, "Request has expired" in late.text) == (403, True)
