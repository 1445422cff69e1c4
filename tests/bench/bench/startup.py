"""What a start costs: time to the ready line, memory and CPU at rest, size of the program."""

import shutil
import statistics
import threading
import time
from pathlib import Path

from harness.server import binary

from . import own, procs

STARTS = 7
REST_SECONDS = 5


def measure(folder: Path) -> dict[str, float]:
    """Starts on an empty folder several times, then watches the last one at rest."""
    times = []
    for n in range(STARTS):
        data = folder / "start"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        began = time.monotonic()
        server = own.server(data)
        times.append((time.monotonic() - began) * 1000)
        try:
            if n == STARTS - 1:
                before = procs.use(server.process.pid)
                # Rest is what is measured, so this is a time and not a condition.
                threading.Event().wait(REST_SECONDS)
                after = procs.use(server.process.pid)
        finally:
            server.stop()
    size = binary().stat().st_size / 1e6
    return {"ready_ms": statistics.median(times), "idle_rss_mb": after.rss, "idle_cpu_ms_per_s": (after.cpu - before.cpu) / REST_SECONDS * 1000, "binary_mb": size}
