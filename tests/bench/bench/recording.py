"""Recorders under N publishers: CPU-seconds per stream-minute, memory, bytes and lost frames."""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.api import Api
from harness.server import Server
from harness.wait import wait_for

from . import procs

DOMAIN, BUCKET = "play.example.com", "recordings"
NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
# Streams whose frames are counted; the bytes of all are compared.
COUNTED = 4
# The suffixes of a format's file and of its media, where they are not the format's name.
FILE_SUFFIX = {"cmaf": "m3u8"}
MEDIA_SUFFIX = {"m3u8": "ts", "cmaf": "m4s"}
# A stream that ended may come back for this long (DelayTime); afterwards its files are made.
AFTER_DELAY = 181


@dataclass
class Row:
    """One run. CPU-seconds per stream-minute: `cpu` up to the finished files, `live` up to the end of the push."""

    recorder: str
    streams: int
    cpu: float
    live: float
    idle_rss: float
    peak_rss: float
    bytes_ratio: float
    lost: int
    late_ms: float
    load: float


def push(program: Path, host: str, port: int, query: str, streams: int, seconds: int, clip: Path) -> dict:
    """Runs the load maker to its end."""
    command = [program, host, str(port), "live", "s", query, str(streams), str(seconds), clip]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    if done.returncode != 0:
        raise RuntimeError(f"push: {done.stderr.strip()}")
    return json.loads(done.stdout)


def count(path: Path) -> dict[str, int]:
    """Pictures and sound frames of a file."""
    command = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_type,nb_read_packets", "-of", "json", path]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    return {stream["codec_type"]: int(stream["nb_read_packets"]) for stream in shown["streams"]}


def lost(files: list[Path], sent: dict) -> int:
    """Frames that are in the push and not in the file, over some files."""
    missing = 0
    for path in files:
        found = count(path)
        missing += abs(sent["video"] - found.get("video", 0)) + abs(sent["audio"] - found.get("audio", 0))
    return missing


def _row(name: str, streams: int, sent: dict, start: procs.Use, live: procs.Use, end: procs.Use, size: int, missing: int, load: float) -> Row:
    minutes = sent["media_s"] / 60
    cpu, part = (end.cpu - start.cpu) / minutes, (live.cpu - start.cpu) / minutes
    return Row(name, streams, cpu, part, start.rss, end.peak, size / sent["bytes"], missing, sent["late_ms"], load)


def localyun(formats: tuple[str, ...], streams: int, seconds: int, program: Path, clip: Path, folder: Path) -> Row:
    """One run of localyun on an empty folder, its own object store and callbacks included."""
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    data.mkdir(parents=True)
    with Server("--log", "warn", data_dir=data) as server:
        rule = {"DomainName": DOMAIN, "AppName": "live", "StreamName": "*", "OssBucket": BUCKET, "OssEndpoint": "oss-cn-shanghai.aliyuncs.com"}
        Api(server.api).call("AddLiveAppRecordConfig", **rule, RecordFormat=[{"Format": name} for name in formats])
        start = procs.use(server.process.pid)
        sent = push(program, server.rtmp_host, server.rtmp_port, f"?vhost={DOMAIN}", streams, seconds, clip)
        live = procs.use(server.process.pid)
        load = procs.load()
        wait_for(lambda: not server.is_live(DOMAIN, "live", f"s{streams - 1}"), 30, "the end of the last stream")
        server.advance(AFTER_DELAY)
        store = data / "oss" / BUCKET
        suffixes = {FILE_SUFFIX.get(name, name) for name in formats}
        wait_for(lambda: all(len(list(store.rglob(f"*.{suffix}"))) == streams for suffix in suffixes), 120, f"{streams} files each of {suffixes}")
        end = procs.use(server.process.pid)
        size, missing = 0, 0
        for name in formats:
            media = sorted(store.rglob(f"*.{MEDIA_SUFFIX.get(name, name)}"))
            size += sum(path.stat().st_size for path in media)
            for n in range(min(COUNTED, streams)):
                own = [path for path in media if f"s{n}" in path.relative_to(store).parts]
                if name in MEDIA_SUFFIX:
                    headers = [path for path in store.rglob("*_init.mp4") if f"s{n}" in path.relative_to(store).parts]
                    whole = folder / f"whole.{MEDIA_SUFFIX[name]}"
                    whole.write_bytes(b"".join(path.read_bytes() for path in headers + own))
                    own = [whole]
                missing += lost(own, sent) if own else sent["video"] + sent["audio"]
        return _row("localyun " + "+".join(formats), streams, sent, start, live, end, size, missing, load)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def _nginx(folder: Path):
    """nginx with the RTMP module of Debian, recording FLV: one worker, no log."""
    port, media = _free_port(), folder / "media"
    media.mkdir()
    config = folder / "nginx.conf"
    config.write_text(
        f"load_module {NGINX_MODULE};\nuser root;\nworker_processes 1;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/error.log warn;\n"
        "events { worker_connections 1024; }\n"
        f"rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; chunk_size 60000;\n"
        f"application live {{ live on; record all; record_path {media}; }} }} }}\n"
    )
    process = subprocess.Popen(["nginx", "-c", config, "-p", folder, "-e", folder / "error.log"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _accepts(port), 10, "nginx")
        yield process.pid, port, media
    finally:
        process.terminate()
        process.wait(20)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def nginx(streams: int, seconds: int, program: Path, clip: Path, folder: Path) -> Row:
    """One run of nginx-rtmp recording FLV."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with _nginx(folder.resolve()) as (pid, port, media):
        start = procs.use(pid)
        sent = push(program, "127.0.0.1", port, "", streams, seconds, clip)
        live = procs.use(pid)
        load = procs.load()
        sizes: list[int] = []

        def still() -> bool:
            sizes.append(sum(path.stat().st_size for path in media.iterdir()))
            return len(sizes) > 10 and len(set(sizes[-10:])) == 1

        wait_for(still, 30, "files that no longer grow")
        end = procs.use(pid)
        missing = lost([media / f"s{n}.flv" for n in range(min(COUNTED, streams))], sent)
        return _row("nginx-rtmp flv", streams, sent, start, live, end, sizes[-1], missing, load)


def runs(formats: list[tuple[str, ...]], counts: list[int], seconds: int, program: Path, clip: Path, folder: Path, say: Callable[[str], None]) -> list[Row]:
    """Every recorder and format at every number of streams; nginx and localyun take turns, so that both meet the same machine."""
    rows = []
    for streams in counts:
        made = [lambda n=streams: nginx(n, seconds, program, clip, folder)] if NGINX_MODULE.exists() else []
        made += [lambda n=streams, f=names: localyun(f, n, seconds, program, clip, folder) for names in formats]
        for run in made:
            row = run()
            say(f"{row.recorder}, {row.streams} streams: {row.cpu:.3f} CPU-s per stream-minute, peak {row.peak_rss:.0f} MB, {row.lost} frames lost, load {row.load:.1f}")
            rows.append(row)
            shutil.rmtree(folder, ignore_errors=True)
    return rows
