"""The lines of docs/oss.md that point a client at the store, run as they stand but for the port."""

import re
import shutil
import subprocess
import uuid

import pytest
from conftest import ENDPOINT, KEY_ID, KEY_SECRET
from harness.server import PROJECT
from test_other_languages import NODE

DOCUMENT = (PROJECT / "docs/oss.md").read_text()
DEFAULT = "http://127.0.0.1:9000"


def lines(language: str, wanted: str) -> str:
    blocks = re.findall(rf"^```{language} by=tests/oss/test_documented_lines.py\n(.*?)^```$", DOCUMENT, re.M | re.S)
    (found,) = [block for block in blocks if wanted in block]
    assert DEFAULT in found
    found = found.replace(DEFAULT, ENDPOINT).replace("'testid'", repr(KEY_ID)).replace("'testsecret'", repr(KEY_SECRET))
    return found.replace("'liverec'", f"'liverec-{uuid.uuid4().hex[:8]}'")


def test_oss2():
    names: dict = {}
    exec(compile(lines("python", "oss2"), "docs/oss.md", "exec"), names)
    import requests

    answer = requests.get(names["url"])
    assert (answer.status_code, answer.content) == (200, b"...")
    names["bucket"].delete_object("live/s1/a.ts")
    names["bucket"].delete_bucket()


def test_boto3():
    names: dict = {}
    exec(compile(lines("python", "boto3"), "docs/oss.md", "exec"), names)
    assert names["s3"].list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_ali_oss():
    if not shutil.which("node") or not (NODE / "node_modules").exists():
        pytest.skip(f"node is not installed, or tests/oss/run has not filled {NODE.relative_to(PROJECT)}")
    more = """
        (async () => {
          await store.putBucket(store.options.bucket);
          await store.put('a/b.txt', Buffer.from('...'));
          const got = await store.get('a/b.txt');
          await store.delete('a/b.txt');
          await store.deleteBucket(store.options.bucket);
          console.log(got.content.toString());
        })();
    """
    program = lines("js", "new OSS") + more
    done = subprocess.run(["node", "-e", program], cwd=NODE, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "..."), done.stderr
