"""What the server holds: memory, descriptors, threads, spool, rows, journal."""

import os
import sqlite3
from pathlib import Path

TABLES = ("record_rule", "document", "record_session", "record_slice", "record_file", "callback")
COLUMNS = ("hour", "rss_kb", "own_kb", "fds", "threads", "timers", "spool_kb", "spools", "journal", "session", "slice", "file", "callback", "db_kb", "step_ms")


def rows(database: Path, query: str, *values: object) -> list[tuple]:
    """The rows of a query, by a connection that only reads."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def resident_kb(pid: int, what: str = "VmRSS") -> int:
    """Resident memory of a process; RssAnon is what it allocated itself, without the pages of its program and of mapped files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1])
    raise AssertionError("the server is gone")


def folder_kb(folder: Path) -> int:
    """Kilobytes of the files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total // 1024


def measure(server, hour: float, step_ms: float) -> dict[str, float]:
    """One row of the table."""
    pid, data = server.process.pid, server.data_dir
    database = data / "localyun.db"
    count = {name: rows(database, f"SELECT count(*) FROM {name}")[0][0] for name in TABLES}
    clock = server.get("/_localyun/clock")
    return {
        "hour": hour,
        "rss_kb": resident_kb(pid),
        "own_kb": resident_kb(pid, "RssAnon"),
        "fds": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "timers": clock["waiting"],
        "spool_kb": folder_kb(data / "spool"),
        "spools": len(os.listdir(data / "spool")),
        "journal": len(server.rows("/_localyun/requests?limit=1000", "requests")),
        "session": count["record_session"],
        "slice": count["record_slice"],
        "file": count["record_file"],
        "callback": count["callback"],
        "db_kb": sum(path.stat().st_size for path in data.glob("localyun.db*")) // 1024,
        "step_ms": round(step_ms, 1),
    }


def head() -> str:
    """The table's head."""
    return " ".join(f"{name:>8}" for name in COLUMNS)


def line(row: dict[str, float]) -> str:
    """A row of the table."""
    return " ".join(f"{row[name]:>8}" for name in COLUMNS)
