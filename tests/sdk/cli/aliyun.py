"""The aliyun command line as a speaker: one run of the program an action, its output parsed as a script would."""

import json
import os
import re
import subprocess
import sys

RUN_SECONDS = 50


def flags(name: str, value: object) -> list[str]:
    """A parameter as options; lists and groups as the API flattens them."""
    if isinstance(value, dict):
        return [part for key, inner in value.items() for part in flags(f"{name}.{key}", inner)]
    if isinstance(value, list):
        return [part for at, inner in enumerate(value, 1) for part in flags(f"{name}.{at}", inner)]
    return [f"--{name}", str(value).lower() if isinstance(value, bool) else str(value)]


def call(program: str, asked: dict, force: bool = False) -> dict:
    """One action; with `force` the program sends what its own description of the API would not let pass."""
    command = [program, "live", asked["action"], *(part for name, value in asked["params"].items() for part in flags(name, value))]
    command += ["--endpoint", os.environ["ALIBABA_CLOUD_ENDPOINT"], "--insecure", "--region", "cn-shanghai", "--mode", "AK"]
    command += ["--access-key-id", asked["key"], "--access-key-secret", asked["secret"]]
    command += ["--force", "--version", "2016-11-01"] if force else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return {"body": json.loads(done.stdout)}
    words = done.stderr + done.stdout
    code, message = re.search(r"^ErrorCode: (\S+)", words, re.M), re.search(r"^Message: (.*)", words, re.M)
    if code:
        return {"code": code[1], "status": 0, "message": message[1] if message else ""}
    if not force:
        return call(program, asked, force=True)
    return {"broken": words[-500:]}


for line in sys.stdin:
    try:
        said = call(sys.argv[1], json.loads(line))
    except (subprocess.TimeoutExpired, ValueError) as error:
        said = {"broken": f"{type(error).__name__}: {error}"}
    print(json.dumps(said), flush=True)
