"""Counts a suite's report and gives every failure its reason.

    reasons.py SUITE REASONS REPORT.xml

REASONS has a line for each reason: a regular expression for the test's name, a tab, the reason. The first that fits counts. Prints the
figure and a line for each reason; a failure without one is named, and the status is 1.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def rules(path: str) -> list[tuple[re.Pattern, str]]:
    """The expressions and their reasons."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines if line.strip() and not line.startswith("#"))
    return [(re.compile(pattern), reason.strip()) for pattern, reason in pairs]


def main(suite: str, reasons: str, report: str) -> int:
    known = rules(reasons)
    passed, skipped, failed, unknown = 0, 0, Counter(), []
    # A test that fails and whose cleaning up fails too stands there twice.
    seen: dict[str, ElementTree.Element] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "")
        if name not in seen or any(child.tag in ("failure", "error") for child in case):
            seen[name] = case
    for name, case in seen.items():
        bad = next((child for child in case if child.tag in ("failure", "error")), None)
        if bad is None:
            skipped += any(child.tag == "skipped" for child in case)
            passed += not any(child.tag == "skipped" for child in case)
            continue
        reason = next((reason for pattern, reason in known if pattern.search(name)), None)
        if reason is None:
            unknown.append((name, (bad.get("message") or bad.text or "").strip().splitlines()[:1]))
        else:
            failed[reason] += 1
    total = passed + sum(failed.values()) + len(unknown)
    print(f"{suite}: {passed} of {total} pass" + (f", {skipped} are skipped by the suite" if skipped else ""))
    for reason, count in failed.most_common():
        print(f"  {count:4}  {reason}")
    for name, message in sorted(unknown):
        print(f"  without a reason: {name}: {' '.join(message)[:200]}")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
