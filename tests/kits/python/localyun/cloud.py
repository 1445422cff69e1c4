"""A running server, as a test talks to it: the control plane in the words of a test. Nothing here polls: what has not happened yet is
waited for by `GET /_localyun/wait`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, build_opener

#: The store that rules name; every name leads to the one store there is.
OSS_ENDPOINT = "oss-cn-shanghai.aliyuncs.com"
#: Seconds that a test waits for what should happen at once.
PATIENCE = 10.0
#: Seconds that one question to the server waits; a longer patience asks again.
ONE_WAIT = 30.0

#: A proxy of the environment is not for the machine itself.
DIRECT = build_opener(ProxyHandler({}))


def sign(parameters: dict[str, Any], key_id: str, key_secret: str, security_token: str | None = None) -> str:
    """The form of a call, with signature version 1.0."""
    form = {name: str(value) for name, value in parameters.items() if value is not None}
    if security_token:
        # A test may send another one, to see it refused.
        form.setdefault("SecurityToken", security_token)
    form.update(
        Format="JSON",
        Version="2016-11-01",
        AccessKeyId=key_id,
        SignatureMethod="HMAC-SHA1",
        SignatureVersion="1.0",
        SignatureNonce=uuid.uuid4().hex,
        Timestamp=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    words = urlencode(sorted(form.items()), quote_via=quote, safe="-_.~")
    text = f"POST&%2F&{quote(words, safe='-_.~')}"
    digest = hmac.new(f"{key_secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return f"{words}&Signature={quote(base64.b64encode(digest), safe='')}"


class Refused(RuntimeError):
    """The control plane or the API refused: `status` and what it said."""

    def __init__(self, status: int, told: Any) -> None:
        self.status, self.told = status, told
        words = told
        if isinstance(told, dict):
            words = told.get("error") or f"{told.get('Code')}: {told.get('Message')}"
        super().__init__(f"{status}: {words}")


class TimedOut(AssertionError):
    """What was waited for did not happen; the text says what did."""


@dataclass(frozen=True)
class File:
    """A recorded file that is in the store."""

    cloud: Cloud
    told: dict[str, Any]

    @property
    def format(self) -> str:
        return self.told["format"]

    @property
    def bucket(self) -> str:
        return self.told["bucket"]

    @property
    def object(self) -> str:
        return self.told["object"]

    @property
    def size(self) -> int:
        return self.told["size"]

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.told["duration_ms"] / 1000

    @property
    def url(self) -> str:
        """An address that plays without a key."""
        return self.cloud.get("signed", bucket=self.bucket, key=self.object)["url"]

    def read(self) -> bytes:
        with DIRECT.open(self.url, timeout=PATIENCE) as answer:
            return answer.read()


@dataclass(frozen=True)
class Sink:
    """A receiver of callbacks, in the server itself."""

    cloud: Cloud
    name: str

    @property
    def url(self) -> str:
        """What a notify URL is set to."""
        return f"{self.cloud.url}/_localyun/sink/{self.name}"

    def requests(self) -> list[dict[str, Any]]:
        """What came, in order: `method`, `headers`, `body`, `json`, …"""
        return self.cloud.get(f"sinks/{self.name}", limit=1000)["requests"]

    def bodies(self) -> list[Any]:
        """The JSON bodies of what came."""
        return [request["json"] for request in self.requests()]

    def answer(self, status: int = 200, body: Any = "", delay_ms: int = 0) -> None:
        """What it answers from now on."""
        self.cloud.send("PUT", f"sinks/{self.name}", {"status": status, "body": body, "delay_ms": delay_ms})

    def clear(self) -> None:
        self.cloud.send("DELETE", f"sinks/{self.name}")

    def wait(self, count: int = 1, *, timeout: float = PATIENCE, **fields: Any) -> list[dict[str, Any]]:
        """The JSON bodies of what came, as soon as `count` of those that have these fields are there: `sink.wait(event="record_started")`."""

        def those() -> list[dict[str, Any]] | None:
            fit = [body for body in self.bodies() if isinstance(body, dict) and fields.items() <= body.items()]
            return fit if len(fit) >= count else None

        return self.cloud.until(those, f"{count} callback(s) {fields or ''} at {self.name}", self.bodies, "callback", timeout)


class Cloud:
    """A running server."""

    def __init__(
        self,
        ready: dict[str, Any],
        *,
        key: tuple[str, str],
        security_token: str | None = None,
        token: Any = None,
        log: Path | None = None,
    ) -> None:
        self.ready = ready
        #: The address of the API with its scheme, and as SDKs want it.
        self.url: str = ready["api"]
        self.endpoint: str = urlsplit(self.url).netloc
        self.rtmp: str = ready["rtmp"]
        self.play: str | None = ready.get("play")
        self.oss: str = ready["oss"]
        self.key_id, self.key_secret = key
        #: That of the key, where it has one.
        self.security_token = security_token
        self.log = log
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    # --- for the code under test

    @property
    def env(self) -> dict[str, str]:
        """Variables that lead SDKs and tools here, as `localyun env` prints them."""
        tokens = ("ALIBABA_CLOUD_SECURITY_TOKEN", "OSS_SESSION_TOKEN", "AWS_SESSION_TOKEN")
        return {
            "ALIBABA_CLOUD_ENDPOINT": self.endpoint,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self.key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.key_secret,
            "LOCALYUN_ENDPOINT": self.url,
            "LOCALYUN_PUSH_URL": f"{self.rtmp}/live/STREAM?vhost=DOMAIN",
            "LOCALYUN_PLAY_URL": f"{self.play}/live/STREAM.flv?vhost=DOMAIN",
            "OSS_ENDPOINT": self.oss,
            "OSS_ACCESS_KEY_ID": self.key_id,
            "OSS_ACCESS_KEY_SECRET": self.key_secret,
            "AWS_ENDPOINT_URL_S3": self.oss,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.key_secret,
            "AWS_REGION": "us-east-1",
            **(dict.fromkeys(tokens, self.security_token) if self.security_token else {}),
        }

    def client(self) -> Any:
        """A client of the official SDK (`pip install alibabacloud-live20161101`) for this server. The SDK does not read NO_PROXY:
        unset HTTP_PROXY and http_proxy, or take the fixture `localyun_client`, which does so for its test."""
        from alibabacloud_live20161101.client import Client
        from alibabacloud_tea_openapi.models import Config

        return Client(
            Config(
                access_key_id=self.key_id,
                access_key_secret=self.key_secret,
                security_token=self.security_token,
                endpoint=self.endpoint,
                protocol="http",
            )
        )

    def push_url(self, stream: str, *, domain: str = "play.example.com", app: str = "live") -> str:
        return f"{self.rtmp}/{app}/{stream}?vhost={domain}"

    # --- what a test sets up

    def record(
        self,
        *formats: str,
        domain: str = "play.example.com",
        app: str = "live",
        stream: str = "*",
        bucket: str = "recordings",
        notify_url: str | None = None,
    ) -> None:
        """A rule that records (`mp4` where no format is named), and the domain's callback address."""
        wanted = {"DomainName": domain, "AppName": app, "StreamName": stream, "OssBucket": bucket, "OssEndpoint": OSS_ENDPOINT}
        for number, name in enumerate(formats or ("mp4",), 1):
            wanted[f"RecordFormat.{number}.Format"] = name
        self.call("AddLiveAppRecordConfig", wanted)
        if notify_url is not None:
            self.call("AddLiveRecordNotifyConfig", DomainName=domain, NotifyUrl=notify_url, NeedStatusNotify="true")

    def call(self, action: str, parameters: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """One signed call of the cloud's API, without an SDK: `call("DescribeLiveRecordConfig", DomainName="play.example.com")`."""
        signed = sign({**(parameters or {}), **more, "Action": action}, self.key_id, self.key_secret, self.security_token)
        return self._exchange("POST", "/", signed.encode(), "application/x-www-form-urlencoded", {})

    def seed(self, seed: dict[str, Any]) -> None:
        """Puts a seed beside what is there."""
        self.send("POST", "seed", seed)

    def publish(
        self,
        stream: str,
        *,
        domain: str = "play.example.com",
        app: str = "live",
        clip: str = "h264_aac",
        seconds: float | None = 10,
        speed: float = 0,
        query: str | None = None,
        wait: bool = True,
    ) -> dict[str, Any]:
        """Pushes a clip over RTMP, without a client: as fast as it goes, and to its end."""
        wanted = {"domain": domain, "app": app, "stream": stream, "clip": clip, "seconds": seconds, "speed": speed, "query": query}
        present = {name: value for name, value in wanted.items() if value is not None}
        return self.send("POST", "streams", {**present, "wait": wait})

    def unpublish(self, stream: str, *, domain: str = "play.example.com", app: str = "live") -> None:
        self.send("DELETE", f"streams/{quote(domain)}/{quote(app)}/{quote(stream)}")

    def fault(self, at: str, *, first: int | None = None, code: str | None = None, delay_ms: int | None = None) -> None:
        """Arms a fault at `api:ACTION`, `store`, `object-put`, `callback` or `ingest`: a failure (`InternalError` where no code is named), or
        with `delay_ms` alone a delay."""
        if code is None and delay_ms is None:
            code = "InternalError"
        wanted = {"at": at, "first": first, "code": code, "delay_ms": delay_ms}
        self.send("PUT", "faults", {name: value for name, value in wanted.items() if value is not None})

    def clear_faults(self) -> None:
        self.send("DELETE", "faults")

    def reset(self) -> None:
        """Forgets everything: a clean cloud, in milliseconds."""
        self.send("POST", "reset")

    def sink(self, name: str = "callbacks") -> Sink:
        return Sink(self, name)

    # --- the clock

    def clock(self) -> dict[str, Any]:
        return self.get("clock")

    def advance(self, seconds: float | None = None, *, until: str | None = None) -> dict[str, Any]:
        """Moves the service clock by seconds, to an instant, or (with neither) to what falls due next. What falls due on the way is
        done when this returns."""
        if seconds is not None:
            return self.send("POST", "clock/advance", {"seconds": seconds})
        return self.send("POST", "clock/advance", {"until": until} if until else {"next": True})

    def freeze(self, frozen: bool = True) -> None:
        """Stops the clock, so that only `advance` moves it."""
        self.send("POST", "clock", {"frozen": frozen})

    # --- what a test looks at

    def streams(self, **filters: Any) -> list[dict[str, Any]]:
        return list(self._pages("streams", filters))

    def recordings(self, **filters: Any) -> list[dict[str, Any]]:
        """Recording sessions with their files, the newest first."""
        return list(self._pages("recordings", filters))

    def callbacks(self, **filters: Any) -> list[dict[str, Any]]:
        """Callbacks with every attempt, the newest first."""
        return list(self._pages("callbacks", filters))

    def requests(self, **filters: Any) -> list[dict[str, Any]]:
        """The journal of API calls, the newest first."""
        return list(self._pages("requests", filters))

    def explain(self, stream: str, *, domain: str = "play.example.com", app: str = "live") -> dict[str, Any]:
        """Which rule records a stream and why, or why none does."""
        return self.get("explain", domain=domain, app=app, stream=stream)

    def snapshot(self) -> dict[str, Any]:
        return self.get("snapshot")

    # --- what a test waits for

    def wait_for(self, kind: str, *, count: int = 1, timeout: float = PATIENCE, since: int | None = None, **names: str) -> list[dict[str, Any]]:
        """Events of a kind (`call`, `publish`, `unpublish`, `record`, `slice`, `file`, `callback`, `play`, `snapshot`, `fault`, `clock`,
        `object`), as soon as `count` of them have happened since the last reset; `domain`, `app`, `stream` choose."""
        end = time.monotonic() + timeout
        while True:
            left = max(0.0, min(ONE_WAIT, end - time.monotonic()))
            try:
                return self.get("wait", kind=kind, count=count, since=since, timeout_s=round(left, 3), **names)["events"]
            except Refused as refused:
                if refused.status != 408:
                    raise
                if time.monotonic() >= end:
                    raise TimedOut(f"waited {timeout} s for {count} {kind} {names or ''}: {refused.told}") from None

    def wait_for_file(self, stream: str | None = None, *, format: str | None = None, timeout: float = PATIENCE, **names: str) -> File:
        """The first file of a stream and a format that is in the store."""
        return self.wait_for_files(1, stream, format=format, timeout=timeout, **names)[0]

    def wait_for_files(
        self, count: int, stream: str | None = None, *, format: str | None = None, timeout: float = PATIENCE, **names: str
    ) -> list[File]:
        """The first `count` files of a stream and a format that are in the store."""
        found: list[File] = []
        since, end = None, time.monotonic() + timeout
        if stream is not None:
            names["stream"] = stream
        while len(found) < count:
            try:
                event = self.wait_for("file", since=since, timeout=max(0.0, end - time.monotonic()), **names)[0]
            except TimedOut:
                raise TimedOut(self._no_file(f"{count} file(s) {names or ''}{' as ' + format if format else ''}", timeout, names)) from None
            since = event["id"]
            if format in (None, event["format"]):
                found.append(File(self, event))
        return found

    def _no_file(self, wanted: str, timeout: float, names: dict[str, str]) -> str:
        """Why a file did not come, in the server's own words."""
        words = [f"waited {timeout} s for {wanted}"]
        due = self.clock().get("next_due")
        if due:
            words.append(f"the clock has work at {due}: advance() goes there")
        if "stream" in names:
            told = self.explain(**names)
            words.append(f"explain: {told['why']}{' -> ' + told['cure'] if told.get('cure') else ''}")
        return "; ".join(words)

    def until(self, look: Any, what: str, instead: Any, kind: str, timeout: float) -> Any:
        """What `look` gives as soon as it gives something; it looks again whenever an event of the kind has happened."""
        since, end = None, time.monotonic() + timeout
        while True:
            seen = look()
            if seen is not None:
                return seen
            left = end - time.monotonic()
            if left <= 0:
                raise TimedOut(f"waited {timeout} s for {what}; there is {instead()}")
            try:
                # A sink is also reached by what tells no event; so it looks once a second at least.
                answer = self.get("wait", kind=kind, since=since, timeout_s=round(min(1.0, left), 3))
                since = answer["next"]
            except Refused as refused:
                if refused.status != 408:
                    raise

    # --- the control plane itself

    def get(self, path: str, **query: Any) -> Any:
        words = urlencode({name: value for name, value in query.items() if value is not None})
        return self.send("GET", f"{path}?{words}" if words else path)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """One request to `/_localyun/{path}`; the JSON of its answer."""
        sent = None if body is None else json.dumps(body).encode()
        return self._exchange(method, f"/_localyun/{path}", sent, "application/json", self._headers)

    def _exchange(self, method: str, path: str, body: bytes | None, content_type: str, headers: dict[str, str]) -> Any:
        # No proxy of the environment: it is not for the machine itself.
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "127.0.0.1", place.port, timeout=ONE_WAIT + 60)
        try:
            connection.request(method, path, body, {"content-type": content_type, **headers})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        told = json.loads(text) if text.startswith(("{", "[")) else text
        if answer.status >= 400:
            raise Refused(answer.status, told)
        return told

    def _pages(self, name: str, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            answer = self.get(name, cursor=cursor, **{"limit": 1000, **filters})
            yield from answer[name]
            cursor = answer.get("next")
            if cursor is None or "limit" in filters:
                return
