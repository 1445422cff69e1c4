"""Listings: a page costs what the page holds, and is right while the folder changes."""

import os
import time
from pathlib import Path

import pytest

MANY, FEW, PAGES = 50_000, 50, 40
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def folder(stage, name: str, count: int) -> Path:
    """A folder of files that somebody put there, at rest for a minute."""
    place = Path(stage.server.data_dir) / "oss" / stage.bucket.name / name
    place.mkdir()
    for number in range(count):
        (place / f"{number:06}.ts").touch()
    rest(place)
    return place


def rest(place: Path) -> None:
    """As if the last change had been a minute ago."""
    os.utime(place, (time.time() - 60, time.time() - 60))


def test_a_page_costs_what_it_holds(stage):
    """A page of one key, anywhere among 50,000, costs about what it costs among 50."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("no processor times here")
    costs = {}
    for name, count in (("few", FEW), ("many", MANY)):
        folder(stage, name, count)

        def page(number: int, name: str = name, count: int = count) -> None:
            at = number * count // (PAGES + 1)
            answer = stage.s3.list_objects_v2(Bucket=stage.bucket.name, Prefix=f"{name}/", MaxKeys=1, StartAfter=f"{name}/{at:06}.ts")
            assert [item["Key"] for item in answer["Contents"]] == [f"{name}/{at + 1:06}.ts"]

        # The first look at the folder, and at the bytes of each object, is not a page's.
        for number in range(PAGES):
            page(number)
        before = cpu_seconds(stage.server.ready["pid"])
        for number in range(PAGES):
            page(number)
        costs[name] = (cpu_seconds(stage.server.ready["pid"]) - before) / PAGES
    assert costs["many"] < costs["few"] * 3 + 0.010, costs


def test_common_prefixes_do_not_look_into_their_folders(stage):
    """Whether a folder holds anything is told by its first file, not by all of them."""
    for number in range(20):
        folder(stage, f"{number:02}", 1000 if number % 2 else 1)
    before = cpu_seconds(stage.server.ready["pid"])
    for _ in range(20):
        answer = stage.s3.list_objects_v2(Bucket=stage.bucket.name, Delimiter="/")
        assert {f"{number:02}/" for number in range(20)} <= {item["Prefix"] for item in answer["CommonPrefixes"]}
    assert cpu_seconds(stage.server.ready["pid"]) - before < 20 * 0.050


def test_what_changes_between_two_pages_is_seen(stage):
    """A long folder that rests is read once for many pages; whoever writes to it in between is not overlooked."""
    place = folder(stage, "live", 3000)
    name = stage.bucket.name
    first = stage.s3.list_objects_v2(Bucket=name, Prefix="live/", MaxKeys=1000)
    # The folder rests, so its names are kept from here on.
    second = {"Bucket": name, "Prefix": "live/", "MaxKeys": 10, "ContinuationToken": first["NextContinuationToken"]}
    keys = [item["Key"] for item in stage.s3.list_objects_v2(**second)["Contents"]]
    assert keys[0] == "live/001000.ts"
    stage.s3.put_object(Bucket=name, Key="live/001000.a", Body=b"new")
    stage.s3.delete_object(Bucket=name, Key="live/001001.ts")
    keys = [item["Key"] for item in stage.s3.list_objects_v2(**second)["Contents"]]
    assert keys[:3] == ["live/001000.a", "live/001000.ts", "live/001002.ts"]
    (place / "001002.b").touch()
    keys = [item["Key"] for item in stage.s3.list_objects_v2(**second)["Contents"]]
    assert keys[:4] == ["live/001000.a", "live/001000.ts", "live/001002.b", "live/001002.ts"]
    pages = stage.s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix="live/", PaginationConfig={"PageSize": 333})
    every = [item["Key"] for page in pages for item in page["Contents"]]
    assert every == sorted(every) and len(every) == 3001
