"""One test's corner of a server: its own domain, bucket and inbox, and the verbs of the scenarios."""

import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from .api import Api
from .bucket import Bucket, client
from .playlist import Playlist, parse
from .publisher import Publisher
from .receiver import Inbox, Receiver
from .server import Server
from .wait import wait_for

ENDPOINT = "oss-cn-shanghai.aliyuncs.com"


def wire(instant: datetime) -> str:
    """An instant as the API has it: UTC, whole seconds, a literal Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Stage:
    """A domain with a bucket on a running server."""

    def __init__(self, server: Server, receiver: Receiver, folder: Path):
        tag = uuid.uuid4().hex[:8]
        self.server = server
        self.receiver = receiver
        self.folder = folder
        self.api = Api(server.api)
        self.domain = f"play-{tag}.example.com"
        self.s3 = client(server.oss)
        self.bucket = Bucket(self.s3, f"liverec-{tag}")
        self.bucket.create()
        self.inbox: Inbox = receiver.inbox()
        self.questions: Inbox = receiver.inbox()
        self.publishers: list[Publisher] = []

    def close(self) -> None:
        """Ends what the test left open and checks that nothing of anybody else's was touched."""
        for publisher in self.publishers:
            if not publisher.closed.is_set():
                publisher.drop()
        self.bucket.check_foreign()

    def rule(self, *formats: str | dict, app: str = "live", stream: str | None = None, **more: object) -> dict:
        """AddLiveAppRecordConfig for this domain and bucket. A format is its name or its full parameter group."""
        groups = [{"Format": item} if isinstance(item, str) else item for item in formats]
        return self.api.call("AddLiveAppRecordConfig", **self.rule_parameters(groups, app, stream) | more)

    def rule_parameters(self, groups: list[dict], app: str = "live", stream: str | None = None) -> dict:
        """The parameters of a rule, for tests that want to see it refused."""
        return {
            "DomainName": self.domain,
            "AppName": app,
            "StreamName": stream,
            "OssBucket": self.bucket.name,
            "OssEndpoint": ENDPOINT,
            "RecordFormat": groups,
        }

    def notify(self, **more: object) -> None:
        """AddLiveRecordNotifyConfig with this stage's inbox."""
        self.api.call("AddLiveRecordNotifyConfig", **{"DomainName": self.domain, "NotifyUrl": self.inbox.url} | more)

    def publisher(
        self, stream: str = "s1", app: str = "live", clip: str = "h264_aac", query: str = "", vhost: str | None = None, **more: object
    ) -> Publisher:
        """Begins to publish on this domain, or at `vhost`, an ingest domain of it; `query` is added to the stream name as it is."""
        name = f"{stream}?vhost={quote(vhost or self.domain)}" + (f"&{query}" if query else "")
        publisher = Publisher(self.server.rtmp_host, self.server.rtmp_port, app, name, clip=clip, **more)
        publisher.key = (self.domain, app, stream)
        self.publishers.append(publisher)
        return publisher

    def push(self, seconds: float, stream: str = "s1", **more: object) -> Publisher:
        """Publishes `seconds` of media as fast as it goes, leaves, and waits until the server knows."""
        publisher = self.publisher(stream, **more)
        publisher.push(seconds)
        self.end(publisher)
        return publisher

    def end(self, publisher: Publisher, how: str = "leave") -> None:
        """Ends a publisher (`leave`, `drop` or `reset`) and waits until the server has noticed."""
        getattr(publisher, how)()
        self.wait_gone(publisher)

    def wait_gone(self, publisher: Publisher) -> None:
        """Waits until the server no longer lists the publisher's stream."""
        wait_for(lambda: not self.server.is_live(*publisher.key), 10, f"the end of {publisher.key}")

    def live(self, publisher: Publisher, seconds: float, step: float = 2) -> None:
        """Lets media and the service clock run together for `seconds`, as a live stream does."""
        left = seconds
        while left > 0:
            part = min(step, left)
            publisher.push(part)
            self.server.advance(part)
            left -= part

    def advance(self, seconds: float) -> None:
        """Moves the service clock."""
        self.server.advance(seconds)

    def now(self) -> datetime:
        """The service clock, in UTC."""
        clock = self.server.get("/_localyun/clock")
        assert isinstance(clock, dict)
        return datetime.fromisoformat(clock["now"].replace("Z", "+00:00")).astimezone(UTC)

    def command(self, command: str, stream: str = "s1", app: str = "live") -> dict:
        """RealTimeRecordCommand for a stream of this domain."""
        return self.api.call("RealTimeRecordCommand", DomainName=self.domain, AppName=app, StreamName=stream, Command=command)

    def wait_files(self, count: int, suffix: str = "") -> list[dict]:
        """Waits for `count` file events and gives them in order of arrival; more than `count` fails."""
        wait_for(lambda: len(self.inbox.files(suffix)) >= count, 15, f"{count} file events; got {self.inbox.bodies()}")
        files = self.inbox.files(suffix)
        assert len(files) == count, files
        return files

    def wait_keys(self, count: int, suffix: str) -> list[str]:
        """Waits until the bucket holds `count` recorded objects with the ending; more than `count` fails."""
        wait_for(lambda: len(self.bucket.keys(suffix)) >= count, 15, f"{count} objects *{suffix}")
        keys = self.bucket.keys(suffix)
        assert len(keys) == count, keys
        return keys

    def playlist(self, key: str) -> Playlist:
        """A playlist of the bucket."""
        return parse(key, self.bucket.get(key))

    def fetch(self, key: str) -> Path:
        """An object of the bucket as a file, under its own file name."""
        path = self.folder / re.sub(r"[^A-Za-z0-9._-]", "_", key)
        path.write_bytes(self.bucket.get(key))
        return path

    def explain(self, stream: str = "s1", app: str = "live") -> object:
        """What the control plane says about the rule for a stream."""
        return self.server.get(f"/_localyun/explain?domain={self.domain}&app={app}&stream={stream}")

