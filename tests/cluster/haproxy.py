"""Debian's HAProxy before the nodes: RTMP, the API and playback, each node taken out while it is not ready."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from nodes import Nodes, host_of

CONFIG = """global
    maxconn 4000
    stats socket {folder}/haproxy.sock mode 600 level admin
defaults
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    option redispatch
    retries 3
    default-server inter 300 fall 1 rise 1 on-marked-down shutdown-sessions
"""
LISTEN = """listen {name}
    mode {mode}
    bind 127.0.0.1:{port}
    balance {balance}
    option httpchk GET /_localyun/ready
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Haproxy:
    """One HAProxy; `nodes` are those that it knows from its start on, by name. A node that comes back keeps its ports."""

    def __init__(self, cluster: Nodes):
        found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/sbin")
        if not found:
            pytest.skip("HAProxy is missing: apt-get install haproxy")
        self.ports = {name: free_port() for name in ("rtmp", "api", "play")}
        text = CONFIG.format(folder=cluster.folder)
        for name, mode in [("rtmp", "tcp"), ("api", "http"), ("play", "http")]:
            # A player of HLS stays at one node, as docs/cluster.md says.
            balance = "source" if name == "play" else "roundrobin"
            text += LISTEN.format(name=name, mode=mode, balance=balance, port=self.ports[name])
            text += "    retry-on conn-failure empty-response\n" if mode == "http" else ""
            for node, server in cluster.servers.items():
                host, port = (server.rtmp_host, server.rtmp_port) if name == "rtmp" else host_of(getattr(server, name))
                text += f"    server {node} {host}:{port} check port {host_of(server.api)[1]}\n"
        path: Path = cluster.folder / "haproxy.cfg"
        path.write_text(text)
        self.log = open(cluster.folder / "haproxy.log", "wb")
        self.process = subprocess.Popen([found, "-db", "-f", str(path)], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.ports["rtmp"]), 1).close()
                break
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None, (cluster.folder / "haproxy.log").read_text()
                time.sleep(0.05)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def play(self) -> str:
        return f"http://127.0.0.1:{self.ports['play']}"

    def rtmp(self, path: str) -> str:
        return f"rtmp://127.0.0.1:{self.ports['rtmp']}/{path}"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
