"""Three nodes behind HAProxy as users have them: the official SDKs, ffmpeg as encoder and as players, none of which knows that there are three."""

import subprocess
import threading
import time

import pytest

from harness import probe
from harness.clip import MEDIA
from harness.server import clean_environment
from harness.stage import ENDPOINT
from harness.wait import wait_for
from haproxy import Haproxy, free_port
from sdks import Acs3, Core


class Encoder:
    """ffmpeg that pushes a clip in real time, and again whenever its push breaks."""

    def __init__(self, url: str):
        self.url, self.runs, self.stopping = url, 0, threading.Event()
        self.process: subprocess.Popen | None = None
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        command = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(MEDIA / "h264_aac.flv"), "-c", "copy", "-f", "flv", self.url]
        while not self.stopping.is_set():
            self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=clean_environment())
            self.runs += 1
            self.process.wait()
            self.stopping.wait(0.3)

    def end(self) -> None:
        self.stopping.set()
        if self.process:
            self.process.terminate()
        self.thread.join(10)


@pytest.fixture
def three(nodes):
    """Three nodes whose ports outlive them, and the balancer before them."""
    cluster = nodes(0)
    ports = {name: [f for door in ("api", "rtmp", "play") for f in (f"--{door}-addr", f"127.0.0.1:{free_port()}")] for name in "abc"}
    for name in "abc":
        cluster.start(name, *ports[name])
    balancer = Haproxy(cluster)
    ended = []
    yield cluster, ports, balancer, ended
    for encoder in ended:
        encoder.end()
    balancer.close()


def test_sdks_encoders_and_players_do_not_know_that_there_are_three(three):
    cluster, ports, balancer, encoders = three
    sdks = [Acs3(balancer.api), Core(balancer.api)]
    rule = {"DomainName": cluster.domain, "AppName": "live", "OssBucket": cluster.bucket.name, "OssEndpoint": ENDPOINT}
    # Each call of a kept connection or a new one lands wherever the balancer likes.
    sdks[0].call("AddLiveAppRecordConfig", **rule, DelayTime=60, RecordFormat=[{"Format": "flv"}])
    for _ in range(4):
        for sdk in sdks:
            assert sdk.call("DescribeLiveRecordConfig", DomainName=cluster.domain)["TotalNum"] == 1, sdk.name
    encoders += [Encoder(balancer.rtmp(f"live/s{n}?vhost={cluster.domain}")) for n in range(4)]

    def online(sdk) -> list[str]:
        try:
            return listed(sdk)
        except Exception as error:  # noqa: BLE001
            return [repr(error)]

    def listed(sdk) -> list[str]:
        answer = sdk.call("DescribeLiveStreamsOnlineList", DomainName=cluster.domain, PageNum=1, PageSize=100)
        return sorted(row["StreamName"] for row in answer["OnlineInfo"]["LiveStreamOnlineInfo"])

    wait_for(lambda: online(sdks[0]) == ["s0", "s1", "s2", "s3"], 15, "all streams through the balancer")
    owners = lambda: {n: cluster.owner(f"s{n}") for n in range(4)}  # noqa: E731
    assert len(set(owners().values())) >= 2, owners()
    # Players of every stream, two of each form: whichever node they land on, they get it.
    players = []
    for n in range(4):
        for form in ("flv", "m3u8"):
            path = cluster.folder / f"player-{n}-{form}.ts"
            url = f"{balancer.play}/live/s{n}.{form}?vhost={cluster.domain}"
            command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", url, "-t", "4", "-c", "copy", "-f", "mpegts", str(path)]
            players.append((path, subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean_environment())))
        path = cluster.folder / f"player-{n}-rtmp.ts"
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", balancer.rtmp(f"live/s{n}?vhost={cluster.domain}"), "-t", "4", "-c", "copy", "-f", "mpegts", str(path)]
        players.append((path, subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean_environment())))
    for path, player in players:
        _, said = player.communicate(timeout=60)
        assert player.returncode == 0, (path.name, said)
        assert probe.duration(path) >= 2.5, path.name
    # Each node in turn goes for an update, and calls go on all the while.
    refused: list[str] = []
    calling = threading.Event()

    def call() -> None:
        while not calling.is_set():
            for sdk in sdks:
                try:
                    assert sdk.call("DescribeLiveRecordConfig", DomainName=cluster.domain)["TotalNum"] == 1
                except Exception as error:  # noqa: BLE001
                    refused.append(f"{sdk.name}: {error!r}"[:300])
            time.sleep(0.05)

    caller = threading.Thread(target=call)
    caller.start()
    for name in "abc":
        assert cluster.servers[name].stop() == 0
        wait_for(lambda: online(sdks[0]) == ["s0", "s1", "s2", "s3"], 30, f"all streams without {name}")
        cluster.start(name, *ports[name])
        wait_for(lambda: len(cluster.names(name)) == 3, 10, "all nodes")
        time.sleep(1.5)
    calling.set()
    caller.join()
    assert len(refused) <= 3, refused
    assert sum(encoder.runs for encoder in encoders) > 4
    for encoder in encoders:
        encoder.end()
    wait_for(lambda: cluster.sql("SELECT COUNT(*) FROM live_stream WHERE state = 'live'") == ["0"], 15, "the end of the pushes")
    status, told = cluster.servers["a"].control("POST", "/_localyun/clock/advance", {"seconds": 90}, timeout=120)
    assert status == 200, told
    cluster.wait_files(4)
    assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["4"]
    cluster.check_rows_and_objects()
