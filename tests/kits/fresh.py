#!/usr/bin/env python3
"""Somebody who has the packages and nothing else: for each way of README's table an empty folder, README's own command, the demo, and an
example test of the documents until it is green, timed. Nothing is taken from a cache of pip's or npm's.

    tests/kits/fresh.py [wheel npm archive]       all of them; the packages are those of target/packages

`archive` takes the plain program into Debian 11's userland (by debootstrap, as root, once into target/kits/bullseye), and the wheel to that
Debian's own Python 3.9. The time that debootstrap takes is not counted: it stands for the machine that somebody has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/kits"))

from documents import blocks  # noqa: E402

PACKAGES = ROOT / "target/packages"
PLACE = ROOT / "target/kits/fresh"
OLD = ROOT / "target/kits/bullseye"
#: Seconds of the whole way at most.
MOST_S = 60


def typed(begin: str) -> str:
    """The command of README's table that begins so."""
    (found,) = re.findall(rf"^\|[^\n]*`({re.escape(begin)}[^`\n]*)`", (ROOT / "README.md").read_text(), re.M)
    return found


def example(name: str) -> str:
    """An example file of the documents."""
    (found,) = [block.text for page in ("README.md", "docs/testing.md") for block in blocks(ROOT / page) if block.mark == f"file={name}"]
    return found


def first_recording() -> str:
    """README's first session, behind the line that starts the server."""
    (session,) = [block.text for block in blocks(ROOT / "README.md") if block.mark == "run" and block.language == "sh"]
    begin, *rest = session.splitlines(keepends=True)
    assert begin.startswith("localyun serve"), begin
    return "".join(rest)


def environment(folder: Path, *front: str) -> dict[str, str]:
    """A shell that knows neither this checkout nor a compiler of Rust."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOCALYUN_", "CARGO", "RUST", "VIRTUAL_ENV"))}
    path = ":".join([*front, "/usr/local/bin", "/usr/bin", "/bin"])
    return {**kept, "PATH": path, "TMPDIR": "/tmp", "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "npm_config_cache": str(folder / "cache")}


class Way:
    """One way to get it, step by step, with the time of each."""

    def __init__(self, name: str) -> None:
        self.name, self.steps = name, []
        self.folder = PLACE / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def step(self, what: str, words: list[str] | str, env: dict[str, str], expected: str = "") -> None:
        began = time.monotonic()
        command = words if isinstance(words, list) else ["bash", "-euc", words]
        done = subprocess.run(command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        if done.returncode != 0 or expected not in done.stdout:
            sys.exit(f"fresh: {self.name}: {what} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        self.steps.append((what, time.monotonic() - began))

    def over(self) -> None:
        whole = sum(seconds for _, seconds in self.steps)
        print(f"fresh: {self.name}: {whole:.1f} s ({', '.join(f'{what} {seconds:.1f}' for what, seconds in self.steps)})", flush=True)
        if whole > MOST_S:
            sys.exit(f"fresh: {self.name}: longer than {MOST_S} s")


def wheel() -> None:
    way = Way("wheel")
    for file in PACKAGES.glob("*.whl"):
        shutil.copy(file, way.folder)
    (way.folder / "test_readme.py").write_text(example("python/test_readme.py"))
    env = environment(way.folder, str(way.folder / "venv/bin"))
    way.step("empty environment", [sys.executable, "-m", "venv", "venv"], env)
    way.step(f"{typed('pip install')} pytest", f"{typed('pip install')} pytest", env)
    way.step("localyun demo --exit", "localyun demo --exit", env, "All of it took")
    way.step("pytest", "pytest -q", env, "1 passed")
    way.over()


def npm() -> None:
    way = Way("npm")
    for file in PACKAGES.glob("*.tgz"):
        shutil.copy(file, way.folder)
    (way.folder / "recording.test.js").write_text(example("node/recording.test.js"))
    env = environment(way.folder)
    way.step(typed("npm install"), typed("npm install"), env)
    way.step("npm install -D vitest", "npm install -D vitest", env)
    way.step("npx localyun demo --exit", "npx localyun demo --exit", env, "All of it took")
    way.step("npx vitest run", "npx vitest run", {**env, "NO_COLOR": "1"}, "1 passed")
    way.over()


def archive() -> None:
    if os.geteuid() != 0:
        sys.exit("fresh: archive: another Debian's userland wants root")
    if not (OLD / "usr/bin/python3.9").exists():
        shutil.rmtree(OLD, ignore_errors=True)
        subprocess.run(["debootstrap", "--variant=minbase", "--include=python3-venv", "bullseye", str(OLD)], check=True, stdout=subprocess.DEVNULL)
    inside = OLD / "root/fresh"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    release = (OLD / "etc/debian_version").read_text().strip()
    glibc = subprocess.run(["chroot", str(OLD), "ldd", "--version"], check=True, capture_output=True, text=True).stdout.split("\n")[0].split()[-1]
    print(f"fresh: archive: Debian {release}, glibc {glibc}", flush=True)
    for file in (*PACKAGES.glob("localyun-*.tar.gz"), *PACKAGES.glob("*.whl")):
        shutil.copy(file, inside)
    (inside / "test_readme.py").write_text(example("python/test_readme.py"))
    (inside / "first.sh").write_text(first_recording())
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}

    def chroot(script: str) -> list[str]:
        return ["chroot", str(OLD), "bash", "-euc", f"cd /root/fresh; {script}"]

    way = Way("archive")
    way.step(typed("tar xf"), chroot(typed("tar xf")), env)
    way.step("localyun demo --exit", chroot("cd localyun-*-linux && ./localyun demo --exit"), env, "All of it took")
    way.step("the first recording", chroot("PATH=$(echo $PWD/localyun-*-linux):$PATH; localyun exec -- bash -euo pipefail first.sh; test -s s1.mp4"), env, "recorded: ")
    way.over()

    # What the wheel says of itself is true too: Python 3.9, and the pip of its day. It reaches no registry in there;
    # what pytest wants of an older Python is named, since pip asks the Python that runs it.
    fetch = ["pip", "download", "--quiet", "--dest", str(inside / "house"), "--only-binary", ":all:", "--python-version", "3.9", "pytest", "exceptiongroup", "tomli"]
    subprocess.run([sys.executable, "-m", *fetch], check=True, env=environment(way.folder))
    way = Way("wheel-on-python-3.9")
    way.step("empty environment", chroot("python3 -m venv venv"), env)
    way.step("pip install", chroot(f". venv/bin/activate; {typed('pip install')} --no-index --find-links house pytest"), env)
    way.step("localyun demo --exit", chroot(". venv/bin/activate; localyun demo --exit"), env, "All of it took")
    way.step("pytest", chroot(". venv/bin/activate; pytest -q test_readme.py"), env, "1 passed")
    way.over()


if __name__ == "__main__":
    ways = {"wheel": wheel, "npm": npm, "archive": archive}
    for name in sys.argv[1:] or ways:
        ways[name]()
