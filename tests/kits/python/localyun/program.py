"""The program: where it is, how it starts, how it ends."""

from __future__ import annotations

import json
import os
import select
import shutil
import site
import subprocess
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Mapping

from .cloud import Cloud, Refused

#: Every listener takes a free port, so that any number of servers stand side by side.
LISTENERS = {name: "127.0.0.1:0" for name in ("api_addr", "rtmp_addr", "oss_addr", "play_addr")}


class CannotStart(RuntimeError):
    """The program is not there, or ended before it was ready; the text has its last words."""


def program() -> str:
    """The path of the program: `LOCALYUN_BIN`, else the one that was installed with this package, else that of PATH."""
    named = os.environ.get("LOCALYUN_BIN")
    if named:
        return named
    places = [sysconfig.get_path("scripts")]
    if site.ENABLE_USER_SITE:
        # `pip install --user`, or pip by itself where the system's folder may not be written; that folder is often not on PATH.
        places.append(sysconfig.get_path("scripts", f"{os.name}_user"))
    for installed in (Path(place) / "localyun" for place in places):
        if installed.is_file():
            return str(installed)
    found = shutil.which("localyun")
    if found is None:
        raise CannotStart("localyun is not installed: no LOCALYUN_BIN, none beside this Python, none on PATH")
    return found


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The environment of a server with these settings and no others: one of the shell's would be a stranger's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCALYUN_")}
    for name, value in settings.items():
        text = ("on" if value else "off") if isinstance(value, bool) else str(value)
        kept["LOCALYUN_" + name.upper().replace("-", "_")] = text
    return kept


def first_line(process: subprocess.Popen[bytes], timeout: float) -> bytes:
    """The line that says where everything listens; empty where the program ended or the time was over."""
    end, line = time.monotonic() + timeout, b""
    assert process.stdout is not None
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 65536) if ready else b""
        if not piece:
            return b""
        line += piece
    return line


@contextmanager
def start(folder: str | os.PathLike[str] | None = None, *, timeout: float = 30.0, **settings: object) -> Iterator[Cloud]:
    """Starts a server on free ports and ends it behind the block.

    `folder` holds its data and its log; without one, a temporary folder that goes away. `settings` are those of
    `localyun serve`, with underscores: `start(auth="off", clock_start="2026-03-01T02:00:00Z")`. One that is None is left out."""
    with tempfile.TemporaryDirectory(prefix="localyun-") as own:
        place = Path(folder) if folder is not None else Path(own)
        place.mkdir(parents=True, exist_ok=True)
        log = place / "localyun.log"
        given = {name: value for name, value in settings.items() if value is not None}
        variables = environment({**LISTENERS, "data_dir": place / "data", **given})
        with open(log, "ab") as told:
            process = subprocess.Popen(
                [program(), "serve"], env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=told
            )
        try:
            line = first_line(process, timeout)
            if not line:
                raise CannotStart(f"localyun did not start:\n{log.read_text(errors='replace')[-4000:]}")
            key_id, key_secret, security_token = first_key(variables.get("LOCALYUN_ACCESS_KEYS", ""))
            cloud = Cloud(
                json.loads(line),
                key=(key_id, key_secret),
                security_token=security_token,
                token=variables.get("LOCALYUN_CONTROL_TOKEN"),
                log=log,
            )
            if "LOCALYUN_OSS_ENDPOINT" in variables or "LOCALYUN_OSS_PUBLIC_URL" in variables:
                cloud.oss = store(cloud)
            yield cloud
        finally:
            end(process)


def store(cloud: Cloud) -> str:
    """Where recordings go to: the line that tells that everything listens knows the server's own store alone."""
    try:
        told = cloud.get("health")
    except Refused as refused:
        # A store that is away is told with a refusal.
        told = refused.told
    return told.get("oss", cloud.oss) if isinstance(told, dict) else cloud.oss


def first_key(keys: str) -> tuple[str, str, str | None]:
    """The id, the secret and the token (if any) to sign with: of the first key that is not disabled. Where all of them are, the first one:
    the server's refusal says why it does not work."""
    pairs = [pair.strip().split(":", 2) for pair in keys.split(",") if pair.strip()] or [["testid", "testsecret"]]
    usable = [pair for pair in pairs if pair[2:] != ["disabled"]]
    key_id, key_secret, *rest = (usable or pairs)[0]
    return key_id, key_secret, rest[0] if usable and rest else None


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()
