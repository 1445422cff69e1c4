"""tests/sdk/beside.py, by which two programs are compared: what it takes for alike, and that it finds what is not."""

import subprocess
import sys
from pathlib import Path

import pytest
from harness.server import PROJECT, binary

sys.path.insert(0, str(PROJECT / "tests" / "sdk"))

from beside import alike  # noqa: E402
from upstreams import certificate  # noqa: E402

BESIDE = PROJECT / "tests" / "sdk" / "beside.py"


def ran(old: object, new: object, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-B", str(BESIDE), str(old), str(new), *words], capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("16A96B9A-F203-4EC5-8E43-CB92E68F4CD8", "00000000-0000-4000-8000-000000000000"),
        ("2026-11-22T15:00:00Z", "2026-11-22T15:00:01Z"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:40123/"),
        ('"took_us": 17', '"took_us": 4'),
        ("<AccessKeySecret>a</AccessKeySecret>", "<AccessKeySecret>b</AccessKeySecret>"),
    ],
)
def test_what_no_two_runs_share_is_alike(one, other):
    assert alike(one) == alike(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("16A96B9A-F203-4EC5-8E43-CB92E68F4CD8", "16a96b9a-f203-4ec5-8e43-cb92e68f4cd8"),
        ("2026-11-22T15:00:00Z", "2026-11-22T15:00Z15"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/b"),
        ('"TotalNum": 1', '"TotalNum": 2'),
        ('"TotalNum": 1', '"TotalNum":1'),
        ("live", "Live"),
    ],
)
def test_anything_else_is_not(one, other):
    assert alike(one) != alike(other)


def test_of_certificates_the_names_and_times_count(tmp_path):
    mine, again, other = (certificate(tmp_path / folder, "made", host=host)[0].read_text() for folder, host in folders(tmp_path))
    assert mine != again and alike(mine) != alike(other)
    # Whoever made it a second later has other times in it.
    said = alike(mine)
    assert said.startswith("<CERTIFICATE made, ") and "a.example.com" in said and "MII" not in said
    inside = alike('{"SSLPub":"' + mine.replace("\n", "\\n") + '"}')
    assert inside.startswith('{"SSLPub":"<CERTIFICATE made, ')
    broken = mine.replace("MII", "MMM", 1)
    assert alike(broken) == broken


def folders(tmp_path: Path):
    for folder, host in (("one", "a.example.com"), ("two", "a.example.com"), ("three", "b.example.com")):
        (tmp_path / folder).mkdir()
        yield folder, host


@pytest.mark.parametrize("way", [[], ["--through"]], ids=["straight", "through"])
def test_a_program_is_like_itself(way):
    done = ran(binary(), binary(), "--requests", "600", "--seed", "7", *way)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "600 requests: " in done.stdout and "0 answers differ" in done.stdout, done.stdout


@pytest.mark.parametrize("way", [[], ["--through"]], ids=["straight", "through"])
def test_one_that_differs_is_found(way, tmp_path):
    other = tmp_path / "other"
    other.write_text(f'#!/bin/sh\nexec {binary()} "$@" --domains declared\n')
    other.chmod(0o755)
    done = ran(binary(), other, "--requests", "300", *way)
    assert done.returncode == 1 and "InvalidDomain.NotFound" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
