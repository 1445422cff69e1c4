"""The hosts entry and the certificate: SDKs whose endpoint nobody sets reach localyun (docs/intercept.md).

Server and clients run in a network namespace of their own, where the names of the cloud lead to the loopback address and the ports are the
default ones. Nothing of the machine's is changed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.server import Server

HOSTS = "127.0.0.1 localhost live.aliyuncs.com live.ap-southeast-5.aliyuncs.com location.aliyuncs.com location-readonly.aliyuncs.com sts.aliyuncs.com\n"

TYPED = """
from alibabacloud_live20161101 import models
from alibabacloud_live20161101.client import Client
from alibabacloud_tea_openapi.models import Config

client = Client(Config(access_key_id="testid", access_key_secret="testsecret", region_id="cn-shanghai"))
request = models.DescribeLiveRecordConfigRequest(domain_name="play.example.com")
print(client.describe_live_record_config(request).body.total_num)
"""

OLDER = """
import json
from aliyunsdkcore.client import AcsClient
from aliyunsdklive.request.v20161101.DescribeLiveRecordConfigRequest import DescribeLiveRecordConfigRequest

client = AcsClient("testid", "testsecret", "cn-shanghai")
request = DescribeLiveRecordConfigRequest()
request.set_DomainName("play.example.com")
{protocol}
print(json.loads(client.do_action_with_exception(request))["TotalNum"])
"""

HANDSHAKE = """
import socket, ssl, sys
for name in sys.argv[2:]:
    context = ssl.create_default_context(cafile=sys.argv[1])
    with socket.create_connection((name, 443), 10) as plain, context.wrap_socket(plain, server_hostname=name):
        print(name)
"""


def isolated() -> tuple[str, ...]:
    """What gives a process a network and a view of files of its own."""
    root = ("unshare", "--net", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--net", "--mount")
    return (*root, "--propagation", "private")


def may_isolate() -> bool:
    try:
        return subprocess.run([*isolated(), "true"], capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not may_isolate(), reason="no right to make a network namespace here")


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A server on the default ports of a namespace of its own."""
    folder = tmp_path_factory.mktemp("apart")
    hosts = folder / "hosts"
    hosts.write_text(HOSTS)
    enter = f'ip link set lo up && mount --bind {hosts} /etc/hosts && exec "$@"'
    under = (*isolated(), "sh", "-c", enter, "sh")
    ports = ("--api-addr", "127.0.0.1:80", "--tls-addr", "127.0.0.1:443")
    with Server(*ports, data_dir=folder / "data", under=under) as server:
        yield server


def inside(server: Server, *command: str, **environment: str) -> str:
    """Runs a command where the server is and gives what it printed."""
    process = server.process.pid
    enter = ["nsenter", "--target", str(process), "--net", "--mount"]
    if os.geteuid() != 0:
        enter += ["--user", "--preserve-credentials"]
    whole = {"PATH": os.environ["PATH"]} | environment
    done = subprocess.run([*enter, *command], env=whole, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def certificate(server: Server) -> str:
    return str(Path(server.data_dir) / "tls" / "cert.pem")


@pytest.mark.parametrize(
    "code",
    [TYPED, OLDER.format(protocol=""), OLDER.format(protocol='request.set_protocol_type("https")')],
    ids=["acs3-https", "v1-http", "v1-https"],
)
def test_an_sdk_with_its_own_endpoint(apart, code):
    trusted = certificate(apart)
    assert inside(apart, sys.executable, "-c", code, REQUESTS_CA_BUNDLE=trusted, SSL_CERT_FILE=trusted, ALIBABA_CLOUD_CA_BUNDLE=trusted) == "0"


def test_the_certificate_is_for_the_regions_too(apart):
    names = ["live.aliyuncs.com", "location.aliyuncs.com", "sts.aliyuncs.com", "live.ap-southeast-5.aliyuncs.com"]
    assert inside(apart, sys.executable, "-c", HANDSHAKE, certificate(apart), *names).split() == names
