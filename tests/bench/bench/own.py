"""localyun as it is measured: quiet, and without the checks of its own answers that tests switch on."""

from pathlib import Path

from harness.api import Api
from harness.server import Server

DOMAIN, BUCKET = "play.example.com", "recordings"
PLACE = {"OssBucket": BUCKET, "OssEndpoint": "oss-cn-shanghai.aliyuncs.com"}
SLICED = ("m3u8", "cmaf")
# A stream that ended may come back for this long (DelayTime); afterwards its files are made.
AFTER_DELAY = 181


def server(data: Path, program: str | None = None, *flags: str) -> Server:
    """A server on a data folder; `program` instead of the one under test, `flags` beside the usual ones."""
    environment: dict[str, str | None] = {"LOCALYUN_CHECK_ANSWERS": None}
    return Server("--log", "warn", *flags, data_dir=data, environment=environment, program=program)


def record(server: Server, formats: tuple[str, ...], slice_seconds: int | None = None) -> None:
    """Has every stream of the application recorded; slices have the product's default length unless one is named."""
    formats_asked: list[dict[str, object]] = [{"Format": name} for name in formats]
    for asked in formats_asked:
        if slice_seconds and asked["Format"] in SLICED:
            asked["SliceDuration"] = slice_seconds
    Api(server.api).call("AddLiveAppRecordConfig", DomainName=DOMAIN, AppName="live", StreamName="*", **PLACE, RecordFormat=formats_asked)
