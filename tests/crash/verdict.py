"""What has to hold of a data folder: every owed packet once a format, valid files, rows and objects that agree, all announced."""

import json
import shutil
import sqlite3
import subprocess
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from harness.playlist import parse
from harness.receiver import Inbox
from marked import Source, numbers

FORMATS = ("m3u8", "mp4", "flv")


@dataclass
class Verdict:
    """The table and what is wrong."""

    rows: list[tuple[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def database_problem(folder: Path) -> str | None:
    """What SQLite says about a copy of the database as a kill left it; the original is not touched."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("localyun.db", "localyun.db-wal"):
            if (folder / name).exists():
                shutil.copy(folder / name, place)
        if not (Path(place) / "localyun.db").exists():
            return None
        connection = sqlite3.connect(Path(place) / "localyun.db")
        try:
            answer = connection.execute("PRAGMA integrity_check").fetchall()
        finally:
            connection.close()
    return None if answer == [("ok",)] else str(answer)


def table(folder: Path, statement: str) -> list[sqlite3.Row]:
    """Rows of the ended server's database."""
    connection = sqlite3.connect(folder / "localyun.db")
    try:
        connection.row_factory = sqlite3.Row
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def probe(path: Path) -> tuple[str, int]:
    """ffprobe's complaints about a file and the number of packets it counts."""
    command = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, timeout=120, text=True)
    streams = json.loads(done.stdout or "{}").get("streams", [])
    trouble = done.stderr.strip() or (f"status {done.returncode}" if done.returncode else "")
    return trouble, sum(int(stream.get("nb_read_packets", 0)) for stream in streams)


@dataclass
class Look:
    """One file as it is: the numbers in it, ffprobe's word, and the objects it is made of."""

    format: str
    object: str
    found: Counter
    trouble: str
    packets: int
    parts: list[str]


def look(row: sqlite3.Row, root: Path, scratch: Path) -> Look:
    """Reads one recording; a playlist is its slices, one after the other."""
    path, parts = root / row["object"], []
    if row["format"] == "m3u8":
        parts = parse(row["object"], path.read_bytes()).keys()
        path = scratch / f"{row['id']}.ts"
        path.write_bytes(b"".join((root / part).read_bytes() for part in parts))
    found = numbers(path.read_bytes())
    trouble, packets = probe(path)
    if parts:
        path.unlink()
    return Look(row["format"], row["object"], found, trouble, packets, parts)


def judge(folder: Path, bucket: str, keys: set[str], sources: list[Source], owed: list[list[int]], inbox: Inbox) -> Verdict:
    """Looks at everything."""
    verdict = Verdict()
    wrong = verdict.problems.append
    files = table(folder, "select * from record_file")
    slices = {row["object"] for row in table(folder, "select object from record_slice")}
    if problem := database_problem(folder):
        wrong(f"the database: {problem}")
    rows = {row["object"] for row in files} | slices
    verdict.problems += [f"a row without its object: {name}" for name in sorted(rows - keys)]
    verdict.problems += [f"an object without a row: {name}" for name in sorted(keys - rows)]
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(2) as pool:
        there = [row for row in files if row["object"] in keys]
        looks = list(pool.map(lambda row: look(row, folder / "oss" / bucket, Path(scratch)), there))
    for seen in looks:
        if seen.trouble:
            wrong(f"{seen.object}: ffprobe: {seen.trouble[:200]}")
        if seen.packets != sum(seen.found.values()):
            wrong(f"{seen.object}: {seen.packets} packets, {sum(seen.found.values())} numbers")
    referenced = Counter(part for seen in looks for part in seen.parts)
    verdict.problems += [f"a slice in {referenced[name]} playlists: {name}" for name in sorted(slices) if referenced[name] != 1]
    checked, lost, twice = packets(looks, sources, owed, wrong)
    announced = {body["uri"] for body in inbox.files()}
    verdict.problems += [f"never announced: {row['object']}" for row in files if row["object"] not in announced]
    verdict.problems += [f"announced and not there: {uri}" for uri in sorted(announced - rows)]
    left = [path.name for path in (folder / "spool").iterdir()]
    damaged = folder / "spool-damaged"
    left += [f"damaged {path.name}" for path in damaged.iterdir()] if damaged.exists() else []
    verdict.problems += [f"a spool is left: {name}" for name in left]
    verdict.rows = [
        ("packets sent", sum(source.next for source in sources)),
        ("packets checked, each format", checked),
        ("lost", lost),
        ("recorded twice", twice),
        ("files", len(files)),
        ("slices", len(slices)),
        ("file events", len(inbox.files())),
        ("status events", len(inbox.events())),
    ]
    return verdict


def packets(looks: list[Look], sources: list[Source], owed: list[list[int]], wrong) -> tuple[int, int, int]:
    """Every owed packet is in one file of each format, and no packet in two."""
    lost = twice = 0
    for kind in FORMATS:
        found = sum((seen.found for seen in looks if seen.format == kind), Counter())
        for source in sources:
            missing = [n for n in owed[source.index] if (source.index, n) not in found]
            doubled = [n for n in range(source.next) if found[source.index, n] > 1]
            lost += len(missing)
            twice += len(doubled)
            if missing:
                wrong(f"{kind} {source.name}: {len(missing)} of {len(owed[source.index])} packets lost: {spans(missing)}")
            if doubled:
                wrong(f"{kind} {source.name}: {len(doubled)} packets recorded twice: {spans(doubled)}")
    return sum(map(len, owed)), lost, twice


def spans(sorted_numbers: list[int]) -> str:
    """`3-7, 12` and so on, the first few."""
    out: list[list[int]] = []
    for n in sorted_numbers:
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ", ".join(f"{a}-{b}" if a != b else str(a) for a, b in out[:8]) + (" ..." if len(out) > 8 else "")
