"""What must hold when a run is over: every count agrees with every other, memory is flat, and what is old is forgotten."""

import random
import subprocess
from collections import Counter
from pathlib import Path

import gauges
from harness import clip as clips
from harness.playlist import parse

SAMPLE = 40
DAY = 24 * 3600
FILE = "file_created"
# Memory may be this much more at the end than after the first hour.
FLAT = 0.10
# What may come beside that until so many hours have passed: the last 16,384 events are kept, at most 8 MiB of their texts, and so many have
# happened by then only.
EVENTS_KB = 12_000
EVENTS_HOURS = 9


class Books:
    """What the database says at the end."""

    def __init__(self, operation):
        self.path = operation.server.data_dir / "localyun.db"
        self.files = gauges.rows(self.path, "SELECT domain, app, stream, format, object, size, origin, duration_ms, session_id FROM record_file")
        self.slices = gauges.rows(self.path, "SELECT object, session_id, duration_ms FROM record_slice")
        self.sessions = gauges.rows(self.path, "SELECT id, domain, app, stream, state FROM record_session")
        self.callbacks = gauges.rows(self.path, "SELECT kind, state, domain, app, stream FROM callback")


def counts(operation) -> list[str]:
    """The problems with what was recorded, stored and told."""
    books = Books(operation)
    problems = told(operation, books) + stored(operation, books) + pictures(operation, books) + paired(books)
    open_sessions = [row for row in books.sessions if row[4] != "ended"]
    if open_sessions:
        problems.append(f"{len(open_sessions)} sessions are not ended: {open_sessions[:3]}")
    left = list((operation.server.data_dir / "spool").iterdir())
    if left:
        problems.append(f"the spool holds {len(left)} folders: {left[:3]}")
    if operation.cut_off:
        problems.append(f"{len(operation.cut_off)} pushes were cut off by the server: {operation.cut_off[:3]}")
    if operation.server.streams():
        problems.append(f"streams are still published: {operation.server.streams()[:2]}")
    print(
        f"{len(books.sessions)} sessions, {len(books.files)} files, {len(books.slices)} slices, {len(books.callbacks)} callbacks in "
        f"{operation.receiver.requests} requests, {operation.receiver.questions} questions, {operation.guests} guests, "
        f"{len(operation.excused)} pushes cut off while the machine stood still",
        flush=True,
    )
    return problems


def told(operation, books: Books) -> list[str]:
    """The receiver's counts against the outbox, and its file events against the rows."""
    receiver, problems = operation.receiver, list(operation.receiver.wrong)
    for state, seen in (("success", receiver.taken), ("failed", receiver.given_up)):
        rows = Counter(row[0] for row in books.callbacks if row[1] == state)
        if rows != seen:
            problems.append(f"callbacks {state}: the outbox has {dict(rows)}, the receiver {dict(seen)}")
    pending = [row for row in books.callbacks if row[1] == "pending"]
    if pending or receiver.open:
        problems.append(f"{len(pending)} callbacks are pending, {len(receiver.open)} events were not repeated")
    announced = Counter((f["domain"], f["app"], f["stream"], f["uri"]) for f in receiver.files)
    rows = Counter((row[0], row[1], row[2], row[4]) for row in books.files if row[6] == "auto")
    if announced - rows or max(announced.values(), default=0) > 1:
        problems.append(f"announced and not in the books, or twice: {list((announced - rows).items())[:3]}")
    # Where the settings never changed, every file was told; some to a receiver that never took it.
    steady = Counter({key: n for key, n in rows.items() if key[0] == operation.streams[0].domain})
    steady_taken = sum(n for key, n in announced.items() if key[0] == operation.streams[0].domain)
    refused = sum(1 for row in books.callbacks if row[0] == FILE and row[1] == "failed" and row[2] == operation.streams[0].domain)
    if steady_taken + refused != steady.total():
        problems.append(f"{steady.total()} files in the books, {steady_taken} told and {refused} refused")
    return problems


def stored(operation, books: Books) -> list[str]:
    """The store against the rows, both ways, and a sample of it by ffprobe."""
    problems, sizes, token = [], {}, {}
    while True:
        page = operation.bucket.s3.list_objects_v2(Bucket=operation.bucket.name, **token)
        sizes |= {item["Key"]: item["Size"] for item in page.get("Contents", [])}
        if not page.get("IsTruncated"):
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    wrong = [row[4] for row in books.files if row[6] == "auto" and sizes.get(row[4]) != row[5]]
    missing = [row[0] for row in books.slices if row[0] not in sizes] + [key for key in operation.index_objects if key not in sizes]
    known = {row[4] for row in books.files} | {row[0] for row in books.slices} | operation.index_objects
    strange = [key for key in sizes if key not in known and not key.endswith("_init.mp4")]
    for what, keys in (("files of another size, or absent", wrong), ("slices or index files that are absent", missing), ("objects in no book", strange)):
        if keys:
            problems.append(f"{len(keys)} {what}: {keys[:3]}")
    chosen = [row for row in books.files if row[4] in sizes]
    for row in random.Random(len(chosen)).sample(chosen, min(SAMPLE, len(chosen))):
        problems += readable(operation, row[3], row[4], row[7], sizes)
    return problems


def readable(operation, kind: str, key: str, duration_ms: int, sizes: dict[str, int]) -> list[str]:
    """Whether a file has the length that its row tells; a playlist is followed to its slices."""
    body = operation.bucket.get(key)
    if kind in ("m3u8", "cmaf"):
        playlist = parse(key, body)
        absent = [name for name in playlist.keys() if name not in sizes]
        if absent or not playlist.ended or abs(playlist.duration * 1000 - duration_ms) > 2000:
            return [f"{key}: {len(absent)} slices absent, ended {playlist.ended}, {playlist.duration:.0f} s of {duration_ms} ms"]
        return []
    path = operation.server.data_dir.parent / f"sample.{kind}"
    path.write_bytes(body)
    probe = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path], capture_output=True, text=True, timeout=60)
    if probe.returncode or probe.stderr.strip() or abs(float(probe.stdout) * 1000 - duration_ms) > 2000:
        return [f"{key}: ffprobe says {probe.stdout.strip()} {probe.stderr.strip()[:200]}, the row {duration_ms} ms"]
    return []


def pictures(operation, books: Books) -> list[str]:
    """Every frame that a stream of the application `file` sent is in exactly one of its FLV files."""
    sent = Counter({stream.key: stream.pictures for stream in operation.gone if stream.app == "file"})
    found: Counter = Counter()
    for domain, app, stream, kind, key, *_ in books.files:
        if app == "file" and kind == "flv":
            found[domain, app, stream] += flv_pictures(operation.server.data_dir, operation.bucket, key)
    wrong = {key[2]: (sent[key], found[key]) for key in sent if sent[key] != found[key]}
    return [f"frames sent and found differ: {wrong}"] if wrong else []


def flv_pictures(data: Path, bucket, key: str) -> int:
    """The video frames of an FLV object, configurations not counted."""
    body, at, frames = bucket.get(key), 13, 0
    while at + 13 <= len(body):
        frames += body[at] == clips.VIDEO and body[at + 12] == 1
        at += int.from_bytes(body[at + 1 : at + 4], "big") + 15
    return frames


def paired(books: Books) -> list[str]:
    """A recording that nobody touched begins or resumes as often as it pauses, and begins once."""
    events, sessions = {}, Counter(row[1:4] for row in books.sessions)
    for kind, _, *key in books.callbacks:
        events.setdefault(tuple(key), Counter())[kind] += 1
    problems = []
    for key, seen in events.items():
        if key[1] not in ("file", "hls", "cmaf", "guest", "asked"):
            continue
        began, resumed, paused = (seen[f"record_{word}"] for word in ("started", "resumed", "paused"))
        if began + resumed != paused or began != sessions[key] or seen["record_error"]:
            problems.append(f"{key}: {dict(seen)} in {sessions[key]} sessions")
    return problems[:5]


def memory(table: list[dict]) -> list[str]:
    """Resident memory at the end against that after the first hour and at half time; descriptors, threads and timers against the
    first hour."""
    if len(table) < 2:
        return []
    first, half, last, problems = table[0], table[(len(table) - 1) // 2], table[-1], []
    for when, row in (("the first hour", first), ("half time", half)):
        more = EVENTS_KB if row["hour"] < EVENTS_HOURS else 0
        grown = last["rss_kb"] / row["rss_kb"] - 1
        print(f"memory: {row['rss_kb']} kB after {when}, {last['rss_kb']} kB at the end; {grown:+.1%}", flush=True)
        if last["rss_kb"] > row["rss_kb"] * (1 + FLAT) + more and len(table) > 2:
            problems.append(f"memory grew by {grown:.1%} since {when}")
    for name, room in (("fds", 60), ("threads", 8), ("timers", 60)):
        if last[name] > first[name] + room:
            problems.append(f"{name}: {first[name]} after the first hour, {last[name]} at the end")
    return problems


def retention(operation) -> list[str]:
    """Callbacks go after a week, slices after three months, files and sessions after six, and none before."""
    problems, path, day = [], operation.server.data_dir / "localyun.db", 0
    stages = ((6, "callback", True), (8, "callback", False), (88, "record_slice", True), (94, "record_slice", False))
    stages += ((178, "record_file", True), (178, "record_session", True), (185, "record_file", False), (185, "record_session", False))
    for until, table, kept in stages:
        operation.server.advance((until - day) * DAY)
        day = until
        count = gauges.rows(path, f"SELECT count(*) FROM {table}")[0][0]
        print(f"{table}: {count} rows {day} days later", flush=True)
        if (count > 0) != kept:
            problems.append(f"{count} rows of {table} after {day} days")
    return problems
