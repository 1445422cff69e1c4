"""A day of operation, with the clock advanced six seconds at a time: `tests/soak/run`.

Fifty streams are published, break off (within and beyond DelayTime) and come back; some come once under a name of their own. Rules,
callback settings and recordings are changed by calls, index files are made and deleted, every describing action is asked. A moody receiver
takes the callbacks. Once an hour of the service clock a row of gauges is printed; memory must be flat after the first. At the end
verdict.py looks whether every count agrees with every other, and whether what is old is forgotten.

SOAK_HOURS (24), SOAK_SEED and SOAK_KEEP=1 (keeps the folder) change the run.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "scenarios")]

import gauges
import verdict
from harness.api import Api
from harness.bucket import Bucket, client
from harness.publisher import Refused
from harness.server import Server
from harness.stage import ENDPOINT, wire
from moody import Moody
from tap import Tap, make_clips

HOURS = float(os.environ.get("SOAK_HOURS", "24"))
SEED = int(os.environ.get("SOAK_SEED") or random.randrange(1 << 30))
# Silence of ten seconds ends a push; what is left is room for a machine that is slow.
STEP = 6
ROOM = 2.0
DELAY = 60
DOMAIN, CHURN = "soak.example.com", "churn.example.com"
BUCKET = "soak-recordings"
# Application: streams at a time, formats, and the rule's mode.
HOUR, FILES = 3600, ({"Format": "flv", "CycleDuration": 3600}, {"Format": "mp4", "CycleDuration": 21600})
SLICED = {"SliceDuration": 30, "CycleDuration": 7200}
APPS = {
    "file": (28, FILES, 0),
    "hls": (5, ({"Format": "m3u8"} | SLICED,), 0),
    "cmaf": (3, ({"Format": "cmaf"} | SLICED,), 0),
    "manual": (3, ({"Format": "mp4", "CycleDuration": 900}, {"Format": "m3u8"} | SLICED), 7),
    "asked": (3, ({"Format": "flv", "CycleDuration": 1800},), 1),
    "guest": (4, ({"Format": "mp4", "CycleDuration": HOUR}, {"Format": "m3u8"} | SLICED), 0),
}
CHURNING = 4
# What has a bound is filled before the first hour, so that what grows after it has none: journal entries, recorders of idle streams.
CALLS_KEPT, RECORDERS_KEPT = 1000, 64
ENVIRONMENT = {"LOCALYUN_LOG": os.environ.get("SOAK_LOG", "warn")}
# Codes that a call of the mix may meet, because of what the rest of the mix does.
EXPECTED = {
    "TaskAlreadyStarted", "InvalidStream.NotFound", "InvalidConfig.NotFound", "ConfigAlreadyExists", "InvalidResource.NotFound", "InvalidDomain.NotFound",
    "InvalidConfig.AlreadyExist", "ConfigAlreadyExist", "NoRecordContent",
}  # fmt: skip


def say(text: str) -> None:
    """One line on standard error, with the time."""
    print(time.strftime("%H:%M:%S"), "", text, file=sys.stderr, flush=True)


@dataclass
class Stream:
    """A stream that may be there or not. `pictures` counts the frames of pushes that ended, `pushes` all of them."""

    domain: str
    app: str
    name: str
    clip: Path
    tap: Tap | None = None
    back_at: int = 0
    leaves_at: int = 1 << 60
    pictures: int = 0
    pushes: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """The name it goes by everywhere."""
        return (self.domain, self.app, self.name)


@dataclass
class Operation:
    """Everything that happens in the run."""

    server: Server
    receiver: Moody
    clips: dict[str, Path]
    chance: random.Random
    streams: list[Stream] = field(default_factory=list)
    gone: list[Stream] = field(default_factory=list)
    now: int = 0
    guests: int = 0
    codes: Counter = field(default_factory=Counter)
    indexes: deque = field(default_factory=deque)
    index_objects: set[str] = field(default_factory=set)
    turn: int = 0
    cut_off: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    slowest: float = 0
    last: float = 0

    def __post_init__(self) -> None:
        self.api = Api(self.server.api)
        self.bucket = Bucket(client(self.server.oss), BUCKET)
        self.bucket.create()

    # ---- calls ----

    def call(self, action: str, **more: object) -> dict | None:
        """One call; an answer that the mix cannot explain ends the run."""
        status, body = self.api.ask(action, **more)
        if status < 300:
            self.codes["ok"] += 1
            return body
        self.codes[str(body.get("Code"))] += 1
        assert body.get("Code") in EXPECTED, (action, more, status, body)
        return None

    def rule(self, action: str, domain: str, app: str, formats: tuple, mode: int = 0, delay: int = DELAY) -> dict | None:
        """Adds or updates a rule for all streams of an application."""
        place = {"DomainName": domain, "AppName": app, "StreamName": "*", "OssBucket": BUCKET, "OssEndpoint": ENDPOINT}
        return self.call(action, **place, RecordFormat=list(formats), OnDemand=mode, DelayTime=delay)

    def configure(self) -> None:
        """The rules and callback settings that last for the whole run, and the streams."""
        url = self.receiver.url
        self.call("AddLiveRecordNotifyConfig", DomainName=DOMAIN, NotifyUrl=f"{url}/record", OnDemandUrl=f"{url}/ask", NeedStatusNotify=True)
        self.call("SetLiveStreamsNotifyUrlConfig", DomainName=DOMAIN, NotifyUrl=f"{url}/push")
        for app, (count, formats, mode) in APPS.items():
            self.rule("AddLiveAppRecordConfig", DOMAIN, app, formats, mode)
            for number in range(count):
                clip = self.clips["loud" if app in ("hls", "cmaf") and number < 2 else "silent"]
                self.streams.append(self.guest() if app == "guest" else Stream(DOMAIN, app, f"{app}{number}", clip))
        for number in range(CHURNING):
            self.streams.append(Stream(CHURN, "live", f"churn{number}", self.clips["silent"]))

    def fill(self) -> None:
        """Brings everything that has a bound to it."""
        for number in range(CALLS_KEPT):
            self.call("DescribeLiveStreamState", DomainName=CHURN, AppName="visit", StreamName=f"visit{number}")
        host, port = self.server.rtmp_host, self.server.rtmp_port
        for number in range(RECORDERS_KEPT):
            visitor = Tap(host, port, "visit", f"visit{number}?vhost={CHURN}", self.clips["silent"])
            visitor.feed(STEP)
            visitor.leave()
        self.server.advance(DELAY)
        # Reading all of the journal, as each row of gauges does, takes more memory than anything else here: once before the first row.
        gauges.measure(self.server, 0, 0)

    def guest(self) -> Stream:
        """A stream that comes once, for some minutes."""
        self.guests += 1
        leaves = self.now + self.chance.randrange(300, 1500)
        return Stream(DOMAIN, "guest", f"guest-{self.guests:05}", self.clips["silent"], leaves_at=leaves)

    # ---- streams ----

    def leave(self, stream: Stream) -> None:
        """Ends a push in one of three ways."""
        tap, stream.tap = stream.tap, None
        assert tap is not None
        getattr(tap, self.chance.choice(("leave", "drop", "reset")))()
        stream.pictures += tap.pictures

    def come(self, stream: Stream) -> None:
        """Begins a push."""
        host, port = self.server.rtmp_host, self.server.rtmp_port
        name = f"{stream.name}?vhost={stream.domain}"
        for left in (2, 1, 0):
            try:
                stream.tap = Tap(host, port, stream.app, name, stream.clip)
                break
            except Refused as refused:
                # A reset that the server has not looked at yet.
                assert left and "already" in str(refused), refused
                self.server.advance(0)
        stream.pushes += 1

    def traffic(self) -> None:
        """Who goes and who comes in this step; then everybody who is there sends its media."""
        for at, stream in enumerate(self.streams):
            if stream.tap is not None and stream.tap.closed.is_set():
                # A machine that stood still for seconds makes a publisher silent for as long.
                (self.excused if self.slowest > ROOM else self.cut_off).append(stream.name)
                self.leave(stream)
            if stream.tap is None:
                if self.now >= stream.back_at:
                    self.come(stream)
            elif self.now >= stream.leaves_at:
                self.leave(stream)
                self.gone.append(stream)
                self.streams[at] = self.guest()
                self.streams[at].back_at = self.now + STEP
            elif self.chance.random() < STEP / HOUR:
                self.leave(stream)
                away = self.chance.randrange(STEP, DELAY - STEP) if self.chance.random() < 0.6 else self.chance.randrange(DELAY + STEP, 500)
                stream.back_at = self.now + away
        for stream in self.streams:
            if stream.tap is not None:
                stream.tap.feed(STEP)

    # ---- calls of the mix, one a step ----

    def command(self) -> None:
        """RealTimeRecordCommand on a manual stream."""
        name = f"manual{self.chance.randrange(APPS['manual'][0])}"
        verb = self.chance.choice(("start", "start", "stop", "restart", "cancel_delay"))
        self.call("RealTimeRecordCommand", DomainName=DOMAIN, AppName="manual", StreamName=name, Command=verb)

    def churn(self) -> None:
        """The rules and the callback settings of the second domain change under its streams."""
        url = self.receiver.url
        dice = self.chance.randrange(6)
        if dice == 0:
            self.rule("AddLiveAppRecordConfig", CHURN, "live", self.chance.choice((FILES, APPS["hls"][1])), delay=15)
        elif dice == 1:
            self.rule("UpdateLiveAppRecordConfig", CHURN, "live", self.chance.choice((FILES, APPS["cmaf"][1])), delay=30)
        elif dice == 2 and self.chance.random() < 0.3:
            self.call("DeleteLiveAppRecordConfig", DomainName=CHURN, AppName="live", StreamName="*")
        elif dice == 3:
            self.call("AddLiveRecordNotifyConfig", DomainName=CHURN, NotifyUrl=f"{url}/record", NeedStatusNotify=True)
        elif dice == 4:
            self.call("UpdateLiveRecordNotifyConfig", DomainName=CHURN, NotifyUrl=f"{url}/record", NeedStatusNotify=self.chance.random() < 0.5)
        elif self.chance.random() < 0.3:
            self.call("DeleteLiveRecordNotifyConfig", DomainName=CHURN)

    def clock(self) -> datetime:
        """The service clock."""
        return datetime.fromtimestamp(self.server.get("/_localyun/clock")["now_ms"] / 1000, UTC)

    def index(self) -> None:
        """Makes an index file of a stream's last minutes; deletes the oldest when there are many."""
        stream, now = f"hls{self.chance.randrange(APPS['hls'][0])}", self.clock()
        names = {"DomainName": DOMAIN, "AppName": "hls", "StreamName": stream}
        span = {"StartTime": wire(now - timedelta(seconds=900)), "EndTime": wire(now - timedelta(seconds=60))}
        made = self.call("CreateLiveStreamRecordIndexFiles", **names, **span, OssEndpoint=ENDPOINT, OssBucket=BUCKET, OssObject=f"index/{stream}-{self.now}.m3u8")
        if made:
            info = made["RecordInfo"]
            self.index_objects.add(info["OssObject"])
            self.indexes.append((names, info["RecordId"], info["OssObject"]))
            found = self.call("DescribeLiveStreamRecordIndexFile", **names, RecordId=info["RecordId"])
            assert found and found["RecordIndexInfo"]["OssObject"] == info["OssObject"], found
        if len(self.indexes) > 20:
            names, record, key = self.indexes.popleft()
            remove = self.chance.random() < 0.5
            self.call("DeleteLiveStreamRecordIndexFiles", **names, RecordId=[record], RemoveFile=str(remove).lower())
            if remove:
                self.index_objects.discard(key)

    def ask(self) -> None:
        """The next of the describing actions, on some stream."""
        stream, now = self.chance.choice(self.streams), self.clock()
        domain = {"DomainName": stream.domain}
        names = domain | {"AppName": stream.app, "StreamName": stream.name}
        span = {"StartTime": wire(now - timedelta(hours=20)), "EndTime": wire(now + timedelta(minutes=1))}
        asked = (
            ("DescribeLiveRecordConfig", domain),
            ("DescribeLiveRecordNotifyConfig", domain),
            ("DescribeLiveRecordNotifyRecords", domain | span),
            ("DescribeLiveStreamRecordContent", names | span),
            ("DescribeLiveStreamRecordIndexFiles", names | span),
            ("DescribeLiveStreamsOnlineList", domain),
            ("DescribeLiveStreamState", names),
            ("DescribeLiveStreamsNotifyUrlConfig", domain),
            ("DescribeLiveUserDomains", {}),
            ("DescribeLiveDomainDetail", domain),
            ("DescribeLiveDomainConfigs", domain | {"FunctionNames": "aliauth"}),
            ("DescribeLiveDomainMapping", domain),
        )
        self.turn += 1
        action, params = asked[self.turn % len(asked)]
        answer = self.call(action, **params)
        if action == "DescribeLiveStreamState" and answer:
            assert (answer["StreamState"] == "online") == (stream.tap is not None), (stream.key, answer)

    def step(self) -> None:
        """Six seconds."""
        began = time.monotonic()
        dice = self.chance.random()
        if dice < 0.1:
            self.command()
        elif dice < 0.2:
            self.churn()
        elif dice < 0.23:
            self.index()
        elif dice < 0.5:
            self.ask()
        self.traffic()
        self.server.advance(STEP)
        self.now += STEP
        # Of this step and the one before.
        self.slowest, self.last = max(self.last, took := time.monotonic() - began), took

    def finish(self) -> None:
        """Everybody leaves, and everything that is still to come comes."""
        for stream in self.streams:
            if stream.tap is not None:
                self.leave(stream)
        self.gone += self.streams
        for _ in range(5):
            self.server.advance(DELAY)


def run(folder: Path) -> None:
    """The whole run."""
    receiver = Moody(SEED)
    with Server(data_dir=folder / "data", environment=ENVIRONMENT) as server:
        operation = Operation(server, receiver, make_clips(folder), random.Random(SEED))
        operation.configure()
        operation.fill()
        began = since = time.monotonic()
        steps, table = round(HOURS * HOUR / STEP), []
        each = max(1, HOUR // STEP)
        print(gauges.head(), flush=True)
        for number in range(1, steps + 1):
            operation.step()
            if number % each == 0 or number == steps:
                table.append(gauges.measure(server, round(number * STEP / HOUR, 2), (time.monotonic() - since) * 1000 / (((number - 1) % each) + 1)))
                print(gauges.line(table[-1]), flush=True)
                since = time.monotonic()
        say(f"{HOURS:g} hours took {time.monotonic() - began:.0f} s; answers: {dict(operation.codes)}")
        operation.finish()
        problems = verdict.counts(operation) + verdict.memory(table)
        problems += verdict.retention(operation)
        receiver.close()
    for problem in problems:
        say(f"WRONG: {problem}")
    if problems:
        raise SystemExit(1)


def main() -> None:
    """Runs in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="localyun-soak-"))
    say(f"SOAK_SEED={SEED}, {HOURS:g} hours, in {folder}")
    try:
        run(folder)
    finally:
        if not os.environ.get("SOAK_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
