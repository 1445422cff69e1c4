"""HTTPS: SDKs with their default protocol work when they are told to trust the certificate of the data folder."""

import subprocess
import sys
from pathlib import Path

import pytest
from harness.server import Server, binary, clean_environment

TYPED = """
import sys
from alibabacloud_live20161101 import models
from alibabacloud_live20161101.client import Client
from alibabacloud_tea_openapi.models import Config

client = Client(Config(access_key_id="testid", access_key_secret="testsecret", endpoint=sys.argv[1]))
request = models.DescribeLiveRecordConfigRequest(domain_name="play.example.com")
print(client.describe_live_record_config(request).body.total_num)
"""

OLDER = """
import json, sys
from aliyunsdkcore.client import AcsClient
from aliyunsdklive.request.v20161101.DescribeLiveRecordConfigRequest import DescribeLiveRecordConfigRequest

client = AcsClient("testid", "testsecret", "cn-shanghai", verify=sys.argv[2])
request = DescribeLiveRecordConfigRequest()
request.set_endpoint(sys.argv[1])
request.set_protocol_type("https")
request.set_DomainName("play.example.com")
print(json.loads(client.do_action_with_exception(request))["TotalNum"])
"""


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    with Server("--tls-addr", "127.0.0.1:0", data_dir=tmp_path_factory.mktemp("tls") / "data") as server:
        yield server


def run(code: str, server: Server, trust: bool) -> subprocess.CompletedProcess:
    certificate = str(Path(server.data_dir) / "tls" / "cert.pem")
    environment = {"PATH": "/usr/bin:/bin", "NO_PROXY": "127.0.0.1"}
    if trust:
        environment |= {"SSL_CERT_FILE": certificate, "REQUESTS_CA_BUNDLE": certificate}
    address = server.ready["tls"].removeprefix("https://")
    command = [sys.executable, "-c", code, address, certificate if trust else "/etc/ssl/certs/ca-certificates.crt"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("code", [TYPED, OLDER], ids=["acs3", "v1"])
def test_sdk_trusts_the_certificate(secure, code):
    done = run(code, secure, trust=True)
    assert done.stdout.strip() == "0", done.stderr[-2000:]


def test_our_own_tools_trust_it_when_told(secure):
    certificate = str(Path(secure.data_dir) / "tls" / "cert.pem")

    def tool(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        command = [str(binary()), *arguments, "--endpoint", secure.ready["tls"]]
        return subprocess.run(command, env=clean_environment() | environment, capture_output=True, text=True, timeout=60)

    call = ("call", "DescribeLiveRecordConfig", "DomainName=play.example.com")
    assert tool("health", "--ca-file", certificate).stdout.strip() == "ready"
    assert '"TotalNum": 0' in tool(*call, LOCALYUN_CA_FILE=certificate).stdout
    assert tool(*call).returncode == 1
    wrong = tool("health", "--ca-file", "/nowhere")
    assert wrong.returncode == 2 and "--ca-file" in wrong.stderr


def test_sdk_refuses_a_certificate_it_does_not_trust(secure):
    done = run(TYPED, secure, trust=False)
    assert done.returncode != 0 and "certificate" in done.stderr.lower(), done.stderr[-2000:]


def test_the_certificate_is_kept(tmp_path):
    data = tmp_path / "data"
    seen = []
    for _ in range(2):
        with Server("--tls-addr", "127.0.0.1:0", data_dir=data) as server:
            assert server.ready["tls"].startswith("https://127.0.0.1:")
            seen.append((data / "tls" / "cert.pem").read_bytes())
    assert seen[0] == seen[1]
    assert (data / "tls" / "key.pem").stat().st_mode & 0o077 == 0
