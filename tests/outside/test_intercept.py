"""The hosts entry and the certificate: SDKs whose endpoint nobody sets reach localyun (docs/intercept.md).

Server and clients run in a network namespace of their own, where the names of the cloud lead to the loopback address and the ports are the
default ones. Nothing of the machine's is changed.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.server import PROJECT, Server, binary, clean_environment

DOCUMENT = (PROJECT / "docs/intercept.md").read_text()


def lines(wanted: str) -> str:
    """The one block of the document that begins so."""
    blocks = re.findall(r"^```\w+ by=tests/outside/test_intercept.py\n(.*?)^```$", DOCUMENT, re.M | re.S)
    (found,) = [block for block in blocks if block.startswith(wanted)]
    return found


HOSTS = lines("127.0.0.1 ") + "127.0.0.1 localhost live.ap-southeast-5.aliyuncs.com\n"
PORTS = shlex.split(lines("localyun serve"))[2:]

JAVA = """
import java.net.HttpURLConnection;
import java.net.URI;

class Asks {
    public static void main(String[] names) throws Exception {
        for (String name : names) {
            var asked = (HttpURLConnection) URI.create("https://" + name + "/?Action=DescribeLiveRecordConfig").toURL().openConnection();
            System.out.println(name + " " + asked.getResponseCode() + " " + (asked.getHeaderField("x-acs-request-id") != null));
        }
    }
}
"""

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
    with Server(*PORTS, data_dir=folder / "data", under=under) as server:
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
    ("code", "variable"),
    [
        (TYPED, "SSL_CERT_FILE"),
        (OLDER.format(protocol=""), "ALIBABA_CLOUD_CA_BUNDLE"),
        (OLDER.format(protocol='request.set_protocol_type("https")'), "ALIBABA_CLOUD_CA_BUNDLE"),
    ],
    ids=["acs3-https", "v1-http", "v1-https"],
)
def test_an_sdk_with_its_own_endpoint(apart, code, variable):
    """Each with the variable that the document has for it, and with no other."""
    (row,) = re.findall(r"^\| Python \| (.*) \|$", DOCUMENT, re.M)
    assert variable in row
    assert inside(apart, sys.executable, "-c", code, **{variable: certificate(apart)}) == "0"


def test_the_certificate_is_for_the_regions_too(apart):
    names = ["live.aliyuncs.com", "location.aliyuncs.com", "sts.aliyuncs.com", "live.ap-southeast-5.aliyuncs.com"]
    assert inside(apart, sys.executable, "-c", HANDSHAKE, certificate(apart), *names).split() == names


@pytest.mark.skipif(not shutil.which("keytool"), reason="no Java here")
def test_java_with_a_store_of_its_own(apart, tmp_path):
    (tmp_path / "Asks.java").write_text(JAVA)
    trust = lines("keytool").replace("DATA", str(apart.data_dir))
    told = inside(apart, "sh", "-euc", f"cd {tmp_path}\n{trust}\njava Asks.java live.aliyuncs.com live.cn-shanghai.aliyuncs.com")
    assert [line.split() for line in told.splitlines()] == [[name, "400", "true"] for name in ("live.aliyuncs.com", "live.cn-shanghai.aliyuncs.com")], told


@pytest.mark.skipif(not shutil.which("keytool"), reason="no Java here")
def test_one_command_for_a_project_of_java(tmp_path):
    (tmp_path / "Asks.java").write_text(JAVA)
    (tmp_path / "hosts").write_text(HOSTS)
    # The project's tests are one program here; everything else is the document's line.
    line, replaced = re.subn(r'mvn test -DargLine="([^"]*)"', r"java \1 Asks.java live.aliyuncs.com", lines("localyun exec"))
    assert replaced == 1
    (tmp_path / "localyun").symlink_to(Path(binary()).resolve())
    script = f"ip link set lo up; mount --bind {tmp_path}/hosts /etc/hosts; cd {tmp_path}; {line}"
    environment = clean_environment() | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([*isolated(), "sh", "-euc", script], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0 and "live.aliyuncs.com 400 true" in done.stdout, done.stdout + done.stderr
