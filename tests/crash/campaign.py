"""Kills the server again and again under eight publishers and looks whether anything got lost: `tests/crash/run`.

All lives of the server share one data folder. Each goes on while an object store that fails now and then and a callback
receiver that does are at work. What a publisher sent, and the server had read more than a second before a kill, must
be in exactly one recording of each format when all is over.

CRASH_KILLS (200), CRASH_SEED and CRASH_SPEED (2) change the run. CRASH_KEEP=1 keeps the data folder.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "scenarios")]

import verdict
from harness.api import Api
from harness.bucket import Bucket, client
from harness.receiver import Receiver
from harness.server import Server, binary, clean_environment, database
from harness.wait import wait_for
from marked import Source

KILLS = int(os.environ.get("CRASH_KILLS", "200"))
SEED = int(os.environ.get("CRASH_SEED") or random.randrange(1 << 30))
SPEED = float(os.environ.get("CRASH_SPEED", "2"))
STREAMS = 8
DOMAIN = "crash.example.com"
BUCKET = "crash-recordings"
# What the server had this long before a kill has to survive it.
SAFE_SECONDS = 1.0
FORMATS = [
    {"Format": "m3u8", "SliceDuration": 5, "CycleDuration": 40},
    {"Format": "mp4", "CycleDuration": 20},
    {"Format": "flv", "CycleDuration": 30},
]


def say(text: str) -> None:
    """One line on standard error, with the time."""
    print(time.strftime("%H:%M:%S"), "", text, file=sys.stderr, flush=True)


class Campaign:
    """The publishers, the folder that all lives share, and what every packet is owed."""

    def __init__(self, folder: Path):
        self.chance = random.Random(SEED)
        self.folder = folder
        self.sources = [Source(index) for index in range(STREAMS)]
        self.owed: list[list[int]] = [[] for _ in range(STREAMS)]
        self.receiver = Receiver()
        self.inbox = self.receiver.inbox()
        self.flaky = random.Random(SEED + 1)
        self.inbox.answer = lambda number: (200, b"") if self.flaky.random() < 0.7 else (503, b"not now")
        self.absent_until = [0.0] * STREAMS

    def configure(self, server: Server) -> None:
        """The rule, the callbacks and the bucket, with objects of somebody else in it."""
        self.bucket = Bucket(client(server.oss), BUCKET)
        self.bucket.create()
        self.bucket.plant()
        api = Api(server.api)
        api.call("AddLiveRecordNotifyConfig", DomainName=DOMAIN, NotifyUrl=self.inbox.url, NeedStatusNotify=True)
        api.call(
            "AddLiveAppRecordConfig",
            DomainName=DOMAIN,
            AppName="live",
            OssBucket=BUCKET,
            OssEndpoint="oss-cn-shanghai.aliyuncs.com",
            DelayTime=15,
            RecordFormat=FORMATS,
        )

    def arm(self, server: Server) -> None:
        """Faults of the object store for this life: some puts fail, sometimes all are slow."""
        faults = [{"at": "store", "first": self.chance.randrange(1, 8), "code": "InternalError"}]
        if self.chance.random() < 0.3:
            faults.append({"at": "object-put", "first": 20, "delay_ms": self.chance.randrange(10, 400)})
        status, body = server.control("PUT", "/_localyun/faults", faults)
        assert status == 200, body

    def plans(self) -> list[tuple[Source, float, str]]:
        """Who publishes in this life, for how long and how it leaves; some stay away for longer than DelayTime."""
        plans, now = [], time.monotonic()
        for source in self.sources:
            if now < self.absent_until[source.index]:
                continue
            if self.chance.random() < 0.03:
                self.absent_until[source.index] = now + 18
                continue
            early = self.chance.random() < 0.25
            plans.append((source, self.chance.uniform(0.2, 2.0) if early else 3600, self.chance.choice(["leave", "drop", "reset"])))
        return plans

    def life(self, number: int) -> None:
        """One life of the server, to a kill at a random moment; one in eight ends while it starts."""
        if number % 8 == 7:
            self.short_life()
        server = Server(data_dir=self.folder)
        ended = threading.Event()
        try:
            if number == 0:
                self.configure(server)
            self.arm(server)
            threads, first = [], [source.next for source in self.sources]
            for source, seconds, how in self.plans():
                arguments = (server.rtmp_host, server.rtmp_port, DOMAIN, SPEED, seconds, how, ended)
                threads.append(threading.Thread(target=source.run, args=arguments, daemon=True))
                threads[-1].start()
            # Never the same moment of the half second in which frames reach the disk.
            ended.wait(self.chance.uniform(0.05, 2.6))
            killed = time.monotonic()
            server.process.send_signal(signal.SIGKILL)
            for source in self.sources:
                self.owed[source.index] += range(first[source.index], source.safe_before(killed - SAFE_SECONDS))
            server.process.wait(10)
            ended.set()
            for thread in threads:
                thread.join(30)
                assert not thread.is_alive(), "a publisher did not notice the kill"
        finally:
            server.stop(force=True)
        problem = verdict.database_problem(self.folder)
        assert problem is None, f"kill {number}: {problem}"

    def short_life(self) -> None:
        """A start that is killed before or just after it is done."""
        free = [f for name in ("api", "rtmp", "oss") for f in (f"--{name}-addr", "127.0.0.1:0")]
        command = [str(binary()), "serve", "--data-dir", str(self.folder), *free]
        environment = clean_environment() | database(self.folder)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        try:
            process.wait(self.chance.uniform(0.02, 0.4))
            raise AssertionError(f"the server ended by itself with {process.returncode}")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def last_life(self) -> verdict.Verdict:
        """Nobody publishes any more: everything is finished, told, and looked at."""
        self.inbox.answer = lambda number: (200, b"")
        with Server(data_dir=self.folder) as server:
            self.bucket.s3 = client(server.oss)
            for _ in range(6):
                server.advance(30)

            def done() -> bool:
                recordings = server.rows("/_localyun/recordings?limit=1000", "recordings")
                callbacks = server.rows("/_localyun/callbacks?limit=1000", "callbacks")
                ended = all(row["state"] == "ended" for row in recordings)
                return ended and not any(row["state"] == "pending" for row in callbacks)

            wait_for(done, 60, "the end of all recordings and callbacks")
            self.bucket.check_foreign()
            keys = set(self.bucket.keys())
        return verdict.judge(self.folder, BUCKET, keys, self.sources, self.owed, self.inbox)


def main() -> int:
    """Runs the campaign and prints its table; 0 when nothing is wrong."""
    # Ended from outside, it ends its server and removes its folder too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="localyun-crash-"))
    campaign = Campaign(folder / "data")
    say(f"{KILLS} kills, seed {SEED}, {STREAMS} publishers at {SPEED:g} times real time, in {folder}")
    good = ended = False
    try:
        told = time.monotonic()
        for number in range(KILLS):
            campaign.life(number)
            if time.monotonic() - told > 30:
                told = time.monotonic()
                say(f"{number + 1} kills after {told - began:.0f} s; {sum(map(len, campaign.owed))} packets to be found")
        say(f"{KILLS} kills after {time.monotonic() - began:.0f} s; looking at what is there")
        result = campaign.last_life()
        kills = KILLS + KILLS // 8
        rows = [("kills", kills), ("of these while starting", KILLS // 8), *result.rows, ("seconds", round(time.monotonic() - began))]
        print("\n".join(f"{name:<28}{value:>10}" for name, value in rows))
        for problem in result.problems[:40]:
            print("WRONG:", problem)
        good = not result.problems
        return 0 if good else 1
    except (SystemExit, KeyboardInterrupt):
        ended = True
        raise
    finally:
        campaign.receiver.close()
        if (good or ended) and not os.environ.get("CRASH_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            say(f"kept: {folder} (seed {SEED})")


if __name__ == "__main__":
    sys.exit(main())
