"""ali-oss for Node.js, the Java SDK and both Go SDKs, each as a program that ends with 0 when all its checks held.

`tests/oss/run` builds the programs; a language that is not installed is skipped. Each has a server of its own, because
it moves the clock past the end of a signed URL.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from harness.server import PROJECT, Server, clean_environment

HERE = Path(__file__).parent
JAVA, GO, NODE = (PROJECT / "target" / f"oss-{language}" for language in ("java", "go", "node"))

PROGRAMS = {
    "node-v1": ("node", NODE / "node_modules", [str(HERE / "ali-oss.mjs"), "v1"]),
    "node-v4": ("node", NODE / "node_modules", [str(HERE / "ali-oss.mjs"), "v4"]),
    "java-v1": ("java", JAVA / "classes", ["-cp", f"{JAVA}/classes:{JAVA}/lib/*", "OssClientCheck", "v1"]),
    "java-v4": ("java", JAVA / "classes", ["-cp", f"{JAVA}/classes:{JAVA}/lib/*", "OssClientCheck", "v4"]),
    "go-sdk-v1": (str(GO / "client"), GO / "client", ["v1"]),
    "go-sdk-v2": (str(GO / "client"), GO / "client", ["v2"]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_sdk(name):
    program, built, arguments = PROGRAMS[name]
    if not shutil.which(program) or not built.exists():
        pytest.skip(f"{program} is not installed, or tests/oss/run has not built {built.relative_to(PROJECT)}")
    with Server() as server:
        environment = clean_environment() | {"LOCALYUN_OSS": server.oss, "LOCALYUN_API": server.api}
        done = subprocess.run(
            [program, *arguments],
            cwd=built.parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok: ") >= 5, done.stdout
