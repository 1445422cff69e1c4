"""Other recorders, each on a free port with one folder for its files."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.wait import wait_for

NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
# Names SRS's program where that is not on PATH.
SRS_VARIABLE = "BENCH_SRS"
# What it says where a peer is not installed.
ABSENT = "not found on PATH, left out"


@dataclass(frozen=True)
class Peer:
    """A recorder: its name in the tables, how it is started, the suffix of its files (none: they hold no container), and whether ours is compared with it everywhere."""

    name: str
    start: Callable[[Path], AbstractContextManager[tuple[int, int]]]
    suffix: str | None
    compared: bool = False


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(command: list[str | Path], name: str, port: int, folder: Path) -> Iterator[tuple[int, int]]:
    """A server until the end of the block: its process and port."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _accepts(port), 10, name)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(20)


def _nginx(media: Path) -> AbstractContextManager[tuple[int, int]]:
    """nginx with the RTMP module of Debian, recording FLV: one worker, no log. Its `chunk_size` is of what it sends; what it reads is the publishers' affair."""
    port, folder = free_port(), media.parent
    config = folder / "nginx.conf"
    config.write_text(
        f"load_module {NGINX_MODULE};\nuser root;\nworker_processes 1;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/error.log warn;\n"
        "events { worker_connections 1024; }\n"
        f"rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; chunk_size 60000;\n"
        f"application live {{ live on; record all; record_path {media}; }} }} }}\n"
    )
    return running(["nginx", "-c", config, "-p", folder, "-e", folder / "error.log"], "nginx", port, folder)


def srs_program() -> str | None:
    """SRS's program, where there is one."""
    return os.environ.get(SRS_VARIABLE) or shutil.which("srs")


def _srs(media: Path) -> AbstractContextManager[tuple[int, int]]:
    """SRS, recording FLV: a file a session."""
    port, folder = free_port(), media.parent
    config = folder / "srs.conf"
    config.write_text(
        f"listen {port};\nmax_connections 1000;\ndaemon off;\npid {folder}/pid;\nsrs_log_tank file;\nsrs_log_level error;\nsrs_log_file {folder}/srs.log;\n"
        f"vhost __defaultVhost__ {{ dvr {{ enabled on; dvr_apply all; dvr_plan session; dvr_path {media}/[stream].flv; }} }}\n"
    )
    return running([srs_program() or "srs", "-c", config], "srs", port, folder)


def _mediamtx(media: Path) -> AbstractContextManager[tuple[int, int]]:
    """MediaMTX, recording fragmented MP4: a file a session."""
    port, folder = free_port(), media.parent
    config = folder / "mediamtx.yml"
    config.write_text(
        "logLevel: error\napi: no\nmetrics: no\npprof: no\nplayback: no\nrtsp: no\nhls: no\nwebrtc: no\nsrt: no\n"
        f"rtmp: yes\nrtmpAddress: 127.0.0.1:{port}\n"
        f"paths:\n  all_others:\n    record: yes\n    recordFormat: fmp4\n    recordPath: {media}/%path/%Y-%m-%d_%H-%M-%S-%f\n    recordSegmentDuration: 24h\n"
    )
    return running(["mediamtx", config], "mediamtx", port, folder)


def sink(program: Path, kind: str) -> Peer:
    """The C program that only copies from sockets to files."""

    @contextmanager
    def start(media: Path) -> Iterator[tuple[int, int]]:
        process = subprocess.Popen([program, kind, media], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(20)

    return Peer(f"sink {kind}", start, None)


def found(sink_program: Path, say: Callable[[str], None]) -> list[Peer]:
    """The peers of this machine; those that are not there are told."""
    peers = [sink(sink_program, "through"), sink(sink_program, "buffer")]
    if shutil.which("nginx") and NGINX_MODULE.exists():
        peers.insert(0, Peer("nginx-rtmp flv", _nginx, "flv", compared=True))
    for command, program, peer in (
        ("srs", srs_program(), Peer("SRS flv", _srs, "flv")),
        ("mediamtx", shutil.which("mediamtx"), Peer("MediaMTX fmp4", _mediamtx, "mp4")),
    ):
        if program:
            peers.append(peer)
        else:
            say(f"{command}: {ABSENT}")
    return peers
