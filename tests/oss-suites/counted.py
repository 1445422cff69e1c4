#!/usr/bin/env python3
"""Reads what a test runner left behind, prints `NAME: P of N pass, S skipped`, and keeps the names with what came of them.

counted.py NAME KIND FILE...    KIND: junit (XML of pytest, surefire and others), go (`go test -v`), mocha (its JSON)
"""

import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def junit(path):
    for case in ET.parse(path).iter("testcase"):
        name = f"{case.get('classname', '').rsplit('.', 1)[-1]}.{case.get('name')}"
        # What fails is the test, not the tidying up behind it, which some suites do over HTTPS.
        bad = [child for child in case if child.tag == "failure" or child.tag == "error" and "on teardown" not in (child.get("message") or "")]
        skipped = case.find("skipped") is not None
        reason = " ".join(((bad[0].get("message") or bad[0].text or "") if bad else "").split())
        yield name, "failed" if bad else "skipped" if skipped else "passed", reason


def go(path):
    text = Path(path).read_text(errors="replace")
    # gocheck tells its own tests: `PASS: file.go:12: Suite.TestName  0.1s`, with what failed in the lines above.
    checks = re.findall(r"^(PASS|FAIL|PANIC|SKIP|MISS): \S+ (\S+)", text, re.M)
    words = {"PASS": "passed", "SKIP": "skipped", "MISS": "skipped"}
    for word, name in checks:
        yield name, words.get(word, "failed"), ""
    if checks:
        return
    lines = []
    for line in text.splitlines():
        told = re.match(r"\s*--- (PASS|FAIL|SKIP): (\S+)", line)
        if not told:
            lines.append(line)
        elif "/" not in told[2]:
            reason = " ".join(" ".join(line for line in lines[-40:] if "rror" in line).split())
            yield told[2], words.get(told[1], "failed"), reason
            lines = []


def mocha(path):
    text = Path(path).read_text(errors="replace")
    report = json.loads(text[text.index("{\n  \"stats\"") :])
    for word, outcome in (("passes", "passed"), ("failures", "failed"), ("pending", "skipped")):
        for test in report[word]:
            yield test["fullTitle"], outcome, " ".join(str(test.get("err", {}).get("message", "")).split())


def main(name, kind, *paths):
    read = {"junit": junit, "go": go, "mocha": mocha}[kind]
    rows = {row[:2]: row for path in paths for row in read(path)}
    # A test and the tidying up behind it are two entries of one name.
    rows = [row for row in rows.values() if row[1] != "passed" or (row[0], "failed") not in rows]
    kept = Path(__file__).resolve().parents[2] / "target" / "oss-suites" / f"{name}.tests"
    kept.write_text("".join(f"{outcome}\t{test}\t{reason[:300]}\n" for test, outcome, reason in rows))
    count = {word: sum(row[1] == word for row in rows) for word in ("passed", "failed", "skipped")}
    print(f"{name}: {count['passed']} of {count['passed'] + count['failed']} pass, {count['skipped']} skipped")
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
