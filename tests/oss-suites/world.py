#!/usr/bin/env python3
"""Inside a network of its own: a name server that answers every question with 127.0.0.1, localyun on port 80, and a command.

Ends with the command's status, and with it everything that it started (`unshare --pid --kill-child`).
"""

import json
import os
import socket
import struct
import subprocess
import sys
import threading

TYPE_A = 1


def answer(question: bytes) -> bytes:
    """An answer to one question (RFC 1035): 127.0.0.1 for an address, nothing for the rest."""
    end = 12
    while question[end]:
        end += question[end] + 1
    (kind,) = struct.unpack_from(">H", question, end + 1)
    asked = question[12 : end + 5]
    found = b"\xc0\x0c" + struct.pack(">HHIH", TYPE_A, 1, 60, 4) + bytes([127, 0, 0, 1]) if kind == TYPE_A else b""
    return question[:2] + struct.pack(">HHHHH", 0x8180, 1, bool(found), 0, 0) + asked + found


def serve_names() -> None:
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", 53))
    while True:
        question, sender = names.recvfrom(4096)
        if len(question) > 16:
            names.sendto(answer(question), sender)


def shadow(path: str, text: str) -> None:
    own = os.path.join(os.environ["WORLD_DATA"], os.path.basename(path))
    with open(own, "w") as file:
        file.write(text)
    subprocess.run(["mount", "--bind", own, os.path.realpath(path)], check=True)


def main(command: list[str]) -> int:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    shadow("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    shadow("/etc/hosts", "127.0.0.1 localhost\n")
    threading.Thread(target=serve_names, daemon=True).start()
    data = os.environ["WORLD_DATA"]
    local = "127.0.0.1:"
    serve = [os.environ["LOCALYUN_BIN"], "serve", "--data-dir", data + "/data", "--oss-addr", local + "80"]
    serve += ["--api-addr", local + "0", "--rtmp-addr", local + "0", "--play-addr", local + "0"]
    with open(data + "/log", "w") as log:
        store = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        ready = json.loads(store.stdout.readline() or "{}")
        if ready.get("event") != "ready":
            print("localyun did not start: see", log.name, file=sys.stderr)
            return 2
        return subprocess.run(command).returncode
    finally:
        store.terminate()
        store.wait(20)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
