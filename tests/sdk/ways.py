"""Ways from a client to the server that answers: straight, through a gateway (`--upstream-mode all`), or from a cassette alone.

Through a gateway the story's pushes, files and clock are those of the server behind it. What a story sees beside its calls when it is
recorded (the callback's address, how many callbacks came, what was stored) is put beside the cassette, so that it can be told again where
no server is.
"""

import json
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from harness.api import Api
from harness.receiver import Inbox, Receiver
from harness.server import Server
from speaker import Speaker
from story import Story

KEY = "upstream-id:upstream-secret"


class Straight:
    """One server."""

    def __init__(self, ends: ExitStack, receiver: Receiver):
        self.receiver = receiver
        self.behind = self.front = ends.enter_context(Server())

    def prepare(self, action: str, **params: object) -> None:
        """A call that is made before all stories."""
        Api(self.front.api).call(action, **params)

    def story(self, name: str, speaker: Speaker) -> Story:
        """The story of a client, to be told by its speaker."""
        story = Story(self.behind, self.receiver.inbox(), speaker, f"{name}.example.com")
        story.api = Api(self.front.api)
        return story

    def told(self, name: str, story: Story) -> None:
        """The story has been told without a fault."""


class Through(Straight):
    """A gateway before a server, which knows another key than the clients do; with a folder the calls are recorded."""

    def __init__(self, ends: ExitStack, receiver: Receiver, folder: Path | None = None):
        self.receiver, self.folder = receiver, folder
        self.behind = ends.enter_context(Server("--access-keys", f"{KEY},testid:testsecret"))
        flags = ["--upstream", self.behind.api, "--upstream-access-key", KEY, "--upstream-mode", "all", "--upstream-refuse", "none"]
        if folder:
            flags += ["--cassette", str(folder / "cassette")]
        self.front = ends.enter_context(Server(*flags))

    def told(self, name: str, story: Story) -> None:
        answered = self.behind.rows("/_localyun/requests?limit=1000", "requests")
        assert any(row["caller"] == "upstream-id" for row in answered), "no call came through the gateway"
        assert self.front.get("/_localyun/snapshot")["rules"] == [], "the gateway did something itself"
        if self.folder:
            beside = {"url": story.inbox.url, "requests": len(story.inbox.requests)}
            (self.folder / f"{name}.json").write_text(json.dumps(beside) + "\n")


class Replayed(Story):
    """The story with its calls alone: what they answer is asserted, nothing is pushed, fetched or waited for."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def publish(self, stream: str, app: str, seconds: float, speed: float) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", ""])

    def files(self, count: int) -> list[dict]:
        return [{"format": kind} for kind in ("m3u8", "mp4", "mp4")[:count]]


class Nobody:
    """Stands where the server was when the story was recorded."""

    def __init__(self, front: Server):
        self.api = front.api
        self.live = False

    def is_live(self, *_: str) -> bool:
        """The story waits for the beginning of a push and for its end, in turn."""
        self.live = not self.live
        return self.live

    def advance(self, _: float) -> None:
        """No clock runs."""


class FromCassette(Straight):
    """A gateway without anything behind it."""

    def __init__(self, ends: ExitStack, folder: Path):
        self.folder = folder
        self.front = ends.enter_context(Server("--upstream-mode", "replay", "--cassette", str(folder / "cassette")))

    def prepare(self, action: str, **params: object) -> None:
        """It was made when the cassette was recorded."""

    def story(self, name: str, speaker: Speaker) -> Story:
        beside = json.loads((self.folder / f"{name}.json").read_text())
        inbox = Inbox(beside["url"], [None] * beside["requests"])
        # What the story waits to be told while it records by hand.
        inbox.events = lambda: ["record_started", "record_started"]
        return Replayed(Nobody(self.front), inbox, speaker, f"{name}.example.com")

    def told(self, name: str, story: Story) -> None:
        rows = self.front.rows("/_localyun/requests?limit=1000", "requests")
        assert all(row.get("upstream", {"to": "cassette"})["to"] == "cassette" for row in rows), "an answer came from elsewhere"
