"""The story that every client tells: a domain's recording rules, callbacks, files and commands, then ten refusals.

It only sees what the SDK hands to its user. Two SDKs differ from the wire in the form of lists: `rows` reads both.
"""

import base64
import hashlib
import hmac
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, build_opener

from harness.api import Api, ApiError
from harness.receiver import Inbox
from harness.server import Server, binary
from harness.wait import wait_for
from speaker import Lacks, Refused, Speaker

ENDPOINT = "oss-cn-shanghai.aliyuncs.com"
PUSH_SECONDS = 60


def rows(body: dict, outer: str, inner: str) -> list[dict]:
    """A list of the answer: {"XList": {"X": [...]}} on the wire and in most SDKs, {"XList": [...]} in the older Java one."""
    found = body.get(outer) or []
    return found if isinstance(found, list) else found.get(inner) or []


def wire(instant: datetime) -> str:
    """An instant as the API has it."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def fetch(file: dict) -> bytes:
    """The object of a recorded file, by a signed URL of the object store (OSS signature V1)."""
    # Far off: the service clock has been moved on by every row before this one.
    expires = str(int(time.time()) + 86_400)
    signed = f"GET\n\n\n{expires}\n/{file['bucket']}/{file['object']}"
    signature = base64.b64encode(hmac.new(b"testsecret", signed.encode(), hashlib.sha1).digest()).decode()
    query = urlencode({"OSSAccessKeyId": "testid", "Expires": expires, "Signature": signature})
    return build_opener(ProxyHandler({})).open(f"{quote(file['url'], safe=':/%')}?{query}", timeout=10).read()


@dataclass
class Story:
    """One client's story on a server, with a domain of its own."""

    server: Server
    inbox: Inbox
    speaker: Speaker
    domain: str

    def __post_init__(self) -> None:
        self.api = Api(self.server.api)
        self.lacked: set[str] = set()
        self.calls = 0
        self.bucket = self.domain.split(".")[0]

    def call(self, action: str, key: str = "testid", secret: str = "testsecret", **params: object) -> dict:
        """One action by the SDK; by a plain signed request where the SDK is older than the action."""
        self.calls += 1
        try:
            return self.speaker.call(action, params, key, secret)
        except Lacks:
            self.lacked.add(action)
        try:
            return self.api.call(action, **params)
        except ApiError as error:
            raise Refused(action, error.code, error.status, error.message) from error

    def tell(self) -> None:
        """All of it. An AssertionError or a Refused names the step that went wrong."""
        self.since = self.now()
        for step in (self.rules, self.notify, self.recording, self.index_files, self.by_hand, self.notify_records, self.refusals, self.the_end):
            try:
                step()
            except Refused as error:
                raise AssertionError(f"{step.__name__}: {error}") from error
            except AssertionError as error:
                raise AssertionError(f"{step.__name__}: {error}") from error

    def now(self) -> datetime:
        """The service clock."""
        clock = self.server.get("/_localyun/clock")
        assert isinstance(clock, dict)
        return datetime.fromisoformat(clock["now"].replace("Z", "+00:00")).astimezone(UTC)

    def window(self) -> dict:
        """A query window around everything so far."""
        return {"StartTime": wire(self.since - timedelta(minutes=5)), "EndTime": wire(self.now() + timedelta(minutes=5))}

    def stream(self, name: str = "s1", app: str = "live") -> dict:
        """The parameters that name a stream."""
        return {"DomainName": self.domain, "AppName": app, "StreamName": name}

    def equal(self, got: object, wanted: object) -> None:
        """A comparison that shows both sides."""
        assert got == wanted, f"{got!r} instead of {wanted!r}"

    def store(self) -> dict:
        """The bucket of the domain."""
        return {"OssEndpoint": ENDPOINT, "OssBucket": self.bucket}

    def listed(self) -> list[dict]:
        """The domain's rules."""
        return rows(self.call("DescribeLiveRecordConfig", DomainName=self.domain), "LiveAppRecordList", "LiveAppRecord")

    def rules(self) -> None:
        formats = [
            {"Format": "m3u8", "SliceDuration": 5, "CycleDuration": 3600},
            {"Format": "mp4", "CycleDuration": 1800, "OssObjectPrefix": "mp4 a+b/{StreamName}/{EscapedStartTime}_{EscapedEndTime}"},
        ]
        made = self.call("AddLiveAppRecordConfig", DomainName=self.domain, AppName="live", DelayTime=15, RecordFormat=formats, **self.store())
        assert made["RequestId"]
        (rule,) = self.listed()
        self.equal([rule[name] for name in ("DomainName", "AppName", "OssBucket", "OssEndpoint")], [self.domain, "live", self.bucket, ENDPOINT])
        groups = rows(rule, "RecordFormatList", "RecordFormat")
        self.equal([(group["Format"], group["CycleDuration"]) for group in groups], [("m3u8", 3600), ("mp4", 1800)])
        self.equal(groups[1]["OssObjectPrefix"], formats[1]["OssObjectPrefix"])
        self.call(
            "UpdateLiveAppRecordConfig", DomainName=self.domain, AppName="live", OssEndpoint=ENDPOINT, DelayTime=30,
            RecordFormat=[{"Format": "m3u8", "SliceDuration": 6, "CycleDuration": 7200}, {"Format": "mp4", "CycleDuration": 7200}],
        )
        (rule,) = self.listed()
        groups = rows(rule, "RecordFormatList", "RecordFormat")
        self.equal([(group["Format"], group["CycleDuration"]) for group in groups], [("m3u8", 7200), ("mp4", 7200)])
        # The models of older releases have neither of the two.
        self.equal((groups[0].get("SliceDuration", 6), rule.get("DelayTime", 30)), (6, 30))

    def notify(self) -> None:
        self.call("AddLiveRecordNotifyConfig", DomainName=self.domain, NotifyUrl="http://127.0.0.1:9/nobody?a=1&b=%20", NeedStatusNotify=False)
        made = self.call("DescribeLiveRecordNotifyConfig", DomainName=self.domain)["LiveRecordNotifyConfig"]
        self.equal(made["NotifyUrl"], "http://127.0.0.1:9/nobody?a=1&b=%20")
        self.equal(made["NeedStatusNotify"], False)
        self.call("UpdateLiveRecordNotifyConfig", DomainName=self.domain, NotifyUrl=self.inbox.url, NeedStatusNotify=True)
        made = self.call("DescribeLiveRecordNotifyConfig", DomainName=self.domain)["LiveRecordNotifyConfig"]
        self.equal((made["NotifyUrl"], made["NeedStatusNotify"]), (self.inbox.url, True))

    def publish(self, stream: str, app: str, seconds: float, speed: float) -> subprocess.Popen:
        """The built-in publisher in a process of its own."""
        command = [str(binary()), "publish", "--domain", self.domain, "--app", app, "--stream", stream]
        command += ["--seconds", str(seconds), "--speed", str(speed), "--rtmp-addr", f"{self.server.rtmp_host}:{self.server.rtmp_port}"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def files(self, count: int) -> list[dict]:
        """Waits for the file events of the domain and fetches each file by its URL."""
        wait_for(lambda: len(self.inbox.files()) >= count, 15, f"{count} file events")
        sessions = [row for row in self.server.rows("/_localyun/recordings", "recordings") if row["domain"] == self.domain]
        files = [file for session in sessions for file in session["files"]]
        self.equal(len(files), count)
        for file in files:
            body = fetch(file)
            self.equal(len(body), file["size"])
            assert body.startswith(b"#EXTM3U") if file["format"] == "m3u8" else body[4:8] == b"ftyp", file
        return files

    def recording(self) -> None:
        push = self.publish("s1", "live", 12, 0)
        self.equal(push.wait(20), 0)
        wait_for(lambda: not self.server.is_live(self.domain, "live", "s1"), what="the end of the push")
        self.server.advance(31)
        self.equal(sorted(file["format"] for file in self.files(2)), ["m3u8", "mp4"])
        (span,) = rows(self.call("DescribeLiveStreamRecordContent", **self.stream(), **self.window()), "RecordContentInfoList", "RecordContentInfo")
        self.equal(span["OssBucket"], self.bucket)
        # The span's ends are whole seconds.
        assert abs(span["Duration"] - 12) <= 1, span

    def index_rows(self) -> list[dict]:
        """The index files of the domain's stream."""
        body = self.call("DescribeLiveStreamRecordIndexFiles", **self.stream(), **self.window(), PageNum=1, PageSize=10, Order="asc")
        found = rows(body, "RecordIndexInfoList", "RecordIndexInfo")
        self.equal(body["TotalNum"], len(found))
        return found

    def index_files(self) -> None:
        before = self.index_rows()
        name = "索引/made by ~hand*.m3u8"
        made = self.call("CreateLiveStreamRecordIndexFiles", **self.stream(), **self.window(), **self.store(), OssObject=name)["RecordInfo"]
        self.equal(made["OssObject"], name)
        assert abs(made["Duration"] - 12) < 0.5, made
        after = self.index_rows()
        self.equal({row["RecordId"] for row in after} - {row["RecordId"] for row in before}, {made["RecordId"]})
        one = self.call("DescribeLiveStreamRecordIndexFile", **self.stream(), RecordId=made["RecordId"])["RecordIndexInfo"]
        self.equal((one["RecordId"], one["OssObject"]), (made["RecordId"], name))
        gone = self.call("DeleteLiveStreamRecordIndexFiles", **self.stream(), RecordId=[made["RecordId"]], RemoveFile="true")
        self.equal([row["RecordId"] for row in rows(gone, "RecordDeleteInfoList", "RecordDeleteInfo")], [made["RecordId"]])
        self.equal(self.index_rows(), before)

    def by_hand(self) -> None:
        self.call(
            "AddLiveAppRecordConfig", DomainName=self.domain, AppName="hand", StreamName="s2", OnDemand=7, DelayTime=15,
            RecordFormat=[{"Format": "mp4"}], **self.store(),
        )
        push = self.publish("s2", "hand", PUSH_SECONDS, 1)
        try:
            wait_for(lambda: self.server.is_live(self.domain, "hand", "s2"), what="the second push")
            self.call("RealTimeRecordCommand", **self.stream("s2", "hand"), Command="start")
            wait_for(lambda: "record_started" in self.inbox.events()[1:], what="the start by command")
            began = time.monotonic()
            wait_for(lambda: time.monotonic() - began > 1.5, what="some media")
            self.call("RealTimeRecordCommand", **self.stream("s2", "hand"), Command="stop")
            self.call("RealTimeRecordCommand", **self.stream("s2", "hand"), Command="cancel_delay")
        finally:
            push.terminate()
            push.wait(10)
        wait_for(lambda: not self.server.is_live(self.domain, "hand", "s2"), what="the end of the second push")
        self.server.advance(31)
        self.files(3)

    def notify_records(self) -> None:
        found = self.call("DescribeLiveRecordNotifyRecords", DomainName=self.domain, PageNumber=1, PageSize=50, **self.window())
        kinds = [row["NotifyType"] for row in rows(found, "CallbackList", "CallbackList")]
        self.equal(kinds.count("file_created"), 3)
        self.equal(found["TotalNum"], len(self.inbox.requests))

    def refused(self, codes: str, status: int, action: str, **params: object) -> None:
        """The action has to be refused with one of the codes (most have only one) and the status, where the SDK tells it."""
        try:
            body = self.call(action, **params)
        except Refused as error:
            assert error.code in codes.split("|"), f"{error} instead of {codes}"
            assert error.status in (status, 0), f"{error} instead of status {status}"
            return
        raise AssertionError(f"{action} was not refused with {codes}: {body}")

    def refusals(self) -> None:
        domain = {"DomainName": self.domain}
        new = {"AppName": "other", "RecordFormat": [{"Format": "mp4"}], **domain, **self.store()}
        later = {"StartTime": self.window()["EndTime"], "EndTime": self.window()["StartTime"]}
        # Older SDKs of two languages compare the server's string to sign with their own, and rename the code when both are equal.
        self.refused("SignatureDoesNotMatch|InvalidAccessKeySecret", 400, "DescribeLiveRecordConfig", secret="wrong", **domain)
        self.refused("InvalidAccessKeyId.NotFound", 404, "DescribeLiveRecordConfig", key="nobody", **domain)
        self.refused("MissingDomainName", 400, "DescribeLiveRecordConfig", AppName="live")
        self.refused("ConfigAlreadyExists", 400, "AddLiveAppRecordConfig", **new | {"AppName": "live"})
        self.refused("InvalidFormat.Malformed", 400, "AddLiveAppRecordConfig", **new | {"RecordFormat": [{"Format": "avi"}]})
        self.refused("InvalidConfig.NotFound", 404, "DeleteLiveAppRecordConfig", **domain, AppName="none")
        self.refused("InvalidNotifyUrl.Malformed", 400, "UpdateLiveRecordNotifyConfig", **domain, NotifyUrl="ftp://example.com/x")
        self.refused("InvalidStream.NotFound", 404, "RealTimeRecordCommand", **self.stream("none"), Command="start")
        self.refused("InvalidEndTime.Mismatch", 400, "CreateLiveStreamRecordIndexFiles", **self.stream(), **later, **self.store(), OssObject="x.m3u8")
        self.refused("ActionNotImplemented", 400, "DescribeLiveSnapshotConfig", **domain)

    def the_end(self) -> None:
        self.call("DeleteLiveRecordNotifyConfig", DomainName=self.domain)
        self.refused("InvalidConfig.NotFound", 404, "DescribeLiveRecordNotifyConfig", DomainName=self.domain)
        self.call("DeleteLiveAppRecordConfig", DomainName=self.domain, AppName="live")
        self.call("DeleteLiveAppRecordConfig", DomainName=self.domain, AppName="hand", StreamName="s2")
        self.equal(self.listed(), [])
