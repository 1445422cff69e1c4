"""Nodes of one cluster: their database, their store, a balancer before them, and the verbs of the tests."""

import os
import random
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

from harness import probe
from harness.api import Api
from harness.bucket import Bucket, client
from harness.publisher import Publisher
from harness.receiver import Receiver
from harness.server import PROJECT, Server
from harness.stage import ENDPOINT
from harness.wait import wait_for

LEASE_S = 3


def options_of_the_page(name: str, database: str, store: str) -> list[str]:
    """The options of the line in docs/cluster.md, with the values of this cluster."""
    text = (PROJECT / "docs/cluster.md").read_text()
    line = re.search(r"^```sh by=tests/cluster/nodes.py\n(.*?)^```$", text, re.M | re.S)[1]
    words = shlex.split(line.replace("\\\n", " "))[2:]
    own = {"--node-id": name, "--database-url": database, "--oss-endpoint": store, "--oss-access-key": "testid:testsecret"}
    return [own.get(before, word) for before, word in zip(["", *words], words, strict=False)]


class Balancer:
    """A TCP load balancer: each connection goes to the next node that takes it."""

    def __init__(self) -> None:
        self.targets: list[tuple[str, int]] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = None
            for target in random.sample(self.targets, len(self.targets)):
                with suppress(OSError):
                    far = socket.create_connection(target, 1)
                    break
            if far is None:
                near.close()
                continue
            far.settimeout(None)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.listener.close()


class Live:
    """A stream that is pushed in real time, by whatever connections; what was sent when is on record."""

    def __init__(self, nodes: "Nodes", stream: str):
        self.nodes, self.stream = nodes, stream
        self.publishers: list[Publisher] = []
        # Per connection: when how many tags had been sent.
        self.marks: list[list[tuple[float, int]]] = []

    def connect(self, node: str) -> Publisher:
        """Begins to publish at a node."""
        server = self.nodes.servers[node]
        name = f"{self.stream}?vhost={quote(self.nodes.domain)}"
        publisher = Publisher(server.rtmp_host, server.rtmp_port, "live", name)
        self.publishers.append(publisher)
        self.marks.append([])
        return publisher

    def push(self, seconds: float) -> None:
        """Pushes in real time on the newest connection, until it breaks."""
        publisher, marks = self.publishers[-1], self.marks[-1]
        end = time.monotonic() + seconds
        while time.monotonic() < end and not publisher.closed.is_set():
            with suppress(OSError, AssertionError, TimeoutError):
                publisher.push(0.2, speed=1)
                marks.append((time.monotonic(), len(publisher.sent)))
                continue
            return

    def sent(self, connection: int, folder: Path) -> list[str]:
        """The hashes of the pictures that a connection has sent."""
        path = folder / f"sent-{self.stream}-{connection}.flv"
        path.write_bytes(self.publishers[connection].sent_flv())
        return probe.payloads(path, "v")

    def sent_by(self, connection: int, instant: float, folder: Path) -> int:
        """How many pictures a connection had sent by then."""
        tags = max((count for at, count in self.marks[connection] if at <= instant), default=0)
        publisher = self.publishers[connection]
        whole = publisher.sent
        publisher.sent = whole[:tags]
        try:
            return len(self.sent(connection, folder)) if tags else 0
        finally:
            publisher.sent = whole


class Nodes:
    """A database, a store and the nodes on them."""

    def __init__(self, receiver: Receiver, folder: Path, mirror: str = "1s", lease: str = f"{LEASE_S}s"):
        self.folder, self.mirror, self.lease = folder / uuid.uuid4().hex[:8], mirror, lease
        self.folder.mkdir()
        name = f"t{uuid.uuid4().hex[:12]}"
        subprocess.run([os.environ["LOCALYUN_TEST_DATABASE_CREATE"], name], check=True, timeout=60)
        self.database = os.environ["LOCALYUN_TEST_DATABASE"].replace("{name}", name)
        self.store = Server(data_dir=self.folder / "store", environment={"LOCALYUN_DATABASE_URL": None})
        self.s3 = client(self.store.oss)
        self.bucket = Bucket(self.s3, f"rec-{uuid.uuid4().hex[:8]}")
        self.bucket.create()
        self.inbox = receiver.inbox()
        self.domain = f"play-{uuid.uuid4().hex[:8]}.example.com"
        self.servers: dict[str, Server] = {}
        self.gone: list[Server] = []
        self.balancer = Balancer()
        self.lives: list[Live] = []
        # Events that end what pushes by itself.
        self.ends: list[threading.Event] = []

    def start(self, name: str, *flags: str, database: str | None = None, store: str | None = None, under: tuple[str, ...] = ()) -> Server:
        """Starts a node, or starts it again on its data folder."""
        if name in self.servers:
            self.gone.append(self.servers.pop(name))
        server = Server(
            *options_of_the_page(name, database or self.database, store or self.store.oss),
            *("--node-lease", self.lease, "--spool-mirror", self.mirror, "--cluster-addr", "127.0.0.1:0"),
            *flags,
            data_dir=self.folder / name,
            under=under,
        )
        self.servers[name] = server
        self._balance()
        return server

    def _balance(self) -> None:
        self.balancer.targets = [(s.rtmp_host, s.rtmp_port) for s in self.servers.values()]

    def close(self) -> None:
        for end in self.ends:
            end.set()
        for live in self.lives:
            for publisher in live.publishers:
                if not publisher.closed.is_set():
                    publisher.drop()
        self.balancer.close()
        for server in self.servers.values():
            # One that said something wrong when a test stopped it is at its end, too.
            if server.log.closed:
                continue
            with suppress(ProcessLookupError):
                server.process.send_signal(signal.SIGCONT)
            server.stop(force=True)
        self.store.stop()

    def kill(self, name: str) -> float:
        """Ends a node without a word; when."""
        server = self.servers.pop(name)
        server.process.kill()
        at = time.monotonic()
        server.process.wait(10)
        self.gone.append(server)
        self._balance()
        return at

    def api(self, node: str) -> Api:
        return Api(self.servers[node].api)

    def rule(self, node: str, *formats: str | dict, **more: object) -> None:
        """Adds a rule for the whole application through a node; files end 15 s after a loss."""
        groups = [{"Format": item} if isinstance(item, str) else item for item in formats or ("flv",)]
        self.api(node).call(
            "AddLiveAppRecordConfig",
            **{"DomainName": self.domain, "AppName": "live", "OssBucket": self.bucket.name, "OssEndpoint": ENDPOINT, "DelayTime": 15, "RecordFormat": groups} | more,
        )

    def notify(self, node: str) -> None:
        self.api(node).call("AddLiveRecordNotifyConfig", DomainName=self.domain, NotifyUrl=self.inbox.url, NeedStatusNotify=True)

    def live(self, stream: str, node: str) -> Live:
        """Begins a stream at a node."""
        live = Live(self, stream)
        self.lives.append(live)
        live.connect(node)
        return live

    def sql(self, statement: str) -> list[str]:
        """Rows of the database, columns separated by bars."""
        done = subprocess.run(["psql", "-XqtA", self.database, "-c", statement], check=True, capture_output=True, timeout=30, text=True)
        return done.stdout.split("\n")[:-1]

    def names(self, node: str) -> list[str]:
        """The nodes that a node sees."""
        status, body = self.servers[node].control("GET", "/_localyun/nodes")
        assert status == 200, body
        return [row["id"] for row in body["nodes"]]

    def online(self, node: str) -> list[str]:
        """The streams that a node lists as live."""
        answer = self.api(node).call("DescribeLiveStreamsOnlineList", DomainName=self.domain, PageNum=1, PageSize=1000)
        return [row["StreamName"] for row in answer["OnlineInfo"]["LiveStreamOnlineInfo"]]

    def owner(self, stream: str) -> str:
        rows = self.sql(f"SELECT node FROM live_stream WHERE stream = '{stream}' AND incarnation <> ''")
        return rows[0] if rows else ""

    def recorded(self, suffix: str = ".flv", stream: str = "") -> list[str]:
        """Names of recorded files."""
        return [key for key in self.bucket.keys(suffix) if f"/{stream}" in key]

    def wait_files(self, count: int, deadline: float = 60, suffix: str = ".flv", stream: str = "") -> list[str]:
        """Waits for so many files, of which there are rows; more of them fail."""
        files = lambda: self.sql(f"SELECT object FROM record_file WHERE object LIKE '%{suffix}' AND stream LIKE '{stream}%'")  # noqa: E731
        wait_for(lambda: len(files()) >= count, deadline, f"{count} files {suffix}; there are {files()}")
        assert len(files()) == count, files()
        return files()

    def check_rows_and_objects(self) -> None:
        """Each file's row has its object and each object its row; each file was told, and no name of an event twice."""
        rows = sorted(self.sql("SELECT object FROM record_file"))
        objects = sorted(key for key in self.bucket.keys() if not key.endswith((".ts", ".m4s")))
        assert rows == objects, (rows, objects)
        slices = sorted(self.sql("SELECT object FROM record_slice"))
        pieces = sorted(key for key in self.bucket.keys() if key.endswith((".ts", ".m4s")))
        assert slices == pieces, (slices, pieces)
        doubles = self.sql("SELECT dedupe FROM callback GROUP BY dedupe HAVING COUNT(*) > 1")
        assert not doubles, doubles

    def pictures(self, key: str) -> list[str]:
        """The hashes of a recorded file's pictures."""
        path = self.folder / re.sub(r"[^A-Za-z0-9._-]", "_", key)
        path.write_bytes(self.bucket.get(key))
        return probe.payloads(path, "v")


def host_of(url: str) -> tuple[str, int]:
    at = urlsplit(url)
    return at.hostname or "127.0.0.1", at.port or 80
