"""Terraform itself with the provider `alicloudextend`, unchanged: apply, plan without a difference, update, destroy, twenty times over.

The provider knows one endpoint, `live.aliyuncs.com` by HTTPS. A proxy leads it to the server's TLS port, whose certificate it is told to trust.
`TERRAFORM_ALICLOUDEXTEND` names the provider's program (`go build` in its repository, github.com/go4adamhuang/terraform-provider-alicloudextend);
without it, or without `terraform` on PATH, there is nothing to run. The same calls in the same order by the SDK: test_domain_tools.py.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from harness.server import Server, clean_environment
from sdks import Acs3, SdkError

PROVIDER = os.environ.get("TERRAFORM_ALICLOUDEXTEND")
pytestmark = pytest.mark.skipif(not (PROVIDER and shutil.which("terraform")), reason="needs terraform and TERRAFORM_ALICLOUDEXTEND")
ROUNDS = 20
NAME, SUB, PUSH = "play.example.com", "sub.example.com", "push.example.com"


class Proxy:
    """Answers CONNECT and leads every name to one port."""

    def __init__(self, port: int):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.names: Counter[str] = Counter()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """For HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece:
                return
            head += piece
        self.names[head.split(b" ")[1].decode()] += 1
        server = socket.create_connection(("127.0.0.1", self.port))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
        back.start()
        self._copy(client, server)
        back.join()

    @staticmethod
    def _copy(source: socket.socket, to: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                to.sendall(piece)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        """No more connections."""
        self.listener.close()


class Terraform:
    """The program in a folder of its own, with the provider put into the place of the registry's."""

    def __init__(self, folder: Path, server: Server, proxy: Proxy):
        self.folder = folder
        programs = folder / "programs"
        programs.mkdir(parents=True)
        (programs / "terraform-provider-alicloudextend").symlink_to(Path(PROVIDER or "").resolve())
        config = folder / "cli.tfrc"
        config.write_text(f'provider_installation {{\n  dev_overrides {{ "go4adamhuang/alicloudextend" = "{programs}" }}\n  direct {{}}\n}}\n')
        self.environment = clean_environment() | {
            "TF_CLI_CONFIG_FILE": str(config),
            "CHECKPOINT_DISABLE": "1",
            "HTTPS_PROXY": proxy.url,
            "SSL_CERT_FILE": str(Path(server.data_dir) / "tls" / "cert.pem"),
        }

    def write(self, resources: dict, data: dict | None = None) -> None:
        """The whole configuration."""
        whole = {
            "terraform": {"required_providers": {"alicloudextend": {"source": "go4adamhuang/alicloudextend"}}},
            "provider": {"alicloudextend": {"access_key_id": "testid", "access_key_secret": "testsecret", "region": "cn-shanghai"}},
            "resource": resources,
        }
        if data:
            whole["data"] = data
        (self.folder / "main.tf.json").write_text(json.dumps(whole, indent=1))

    def run(self, *words: str, status: int = 0) -> str:
        """One command, which has to end with that status."""
        done = subprocess.run(
            ["terraform", *words, "-no-color", "-input=false"], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == status, (words, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout


def domain(name: str, kind: str) -> dict:
    """A domain as the provider's own example has it. Without a resource group the provider itself cannot change a domain: it gives back an unknown one."""
    return {"domain_name": name, "domain_type": kind, "region": "cn-shanghai", "scope": "domestic", "resource_group_id": "rg-1", "tags": {"env": "dev"}}


def settings(header: str, switch: str) -> dict:
    """Settings of one domain: Terraform makes them all at once as soon as the domain is there."""
    of = {"domain_name": "${alicloudextend_live_domain.play.domain_name}"}
    return {
        "alicloudextend_live_domain_url_signing": {"one": of | {"enabled": False}},
        "alicloudextend_live_domain_access_control": {"one": of | {"rtmp_block": switch, "hls_block": "off"}},
        "alicloudextend_live_domain_https_option": {"one": of | {"http2": switch}},
        "alicloudextend_live_domain_ipv6": {"one": of | {"switch": switch}},
        "alicloudextend_live_domain_http_header": {"one": of | {"key": "X-Round", "value": header}},
    }


FUNCTIONS = ["aliauth", "alilive", "https_option", "ipv6", "set_resp_header"]


@pytest.fixture
def place(tmp_path):
    """A server, the SDK that looks at it, and Terraform."""
    with Server("--tls-addr", "127.0.0.1:0", data_dir=tmp_path / "data") as server:
        proxy = Proxy(urlsplit(server.ready["tls"]).port or 0)
        yield Acs3(server.api), Terraform(tmp_path / "terraform", server, proxy), server, proxy
        proxy.close()


def set_functions(sdk: Acs3) -> dict[str, dict[str, str]]:
    """The functions of the domain and their arguments."""
    rows = sdk.call("DescribeLiveDomainConfigs", DomainName=NAME, FunctionNames=",".join(FUNCTIONS))["DomainConfigs"].get("DomainConfig", [])
    found = [(row["FunctionName"], {arg["ArgName"]: arg["ArgValue"] for arg in row["FunctionArgs"]["FunctionArg"]}) for row in rows]
    assert len(found) == len(dict(found)), found
    return dict(found)


def is_gone(sdk: Acs3, name: str) -> bool:
    """Whether nobody knows the domain."""
    try:
        sdk.call("DescribeLiveDomainDetail", DomainName=name)
    except SdkError as error:
        return (error.status, error.code) == (404, "InvalidDomain.NotFound")
    return False


def test_everything_that_the_provider_has(place, tmp_path):
    """Owner's proof, both domains, mapping, certificate, five settings; read back without a difference, changed, taken away."""
    sdk, terraform, server, proxy = place
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", f"/CN={NAME}/O=Example", "-addext", f"subjectAltName=DNS:{NAME}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", *subject, "-keyout", key, "-out", pem]
    subprocess.run(command, check=True, capture_output=True, timeout=60)

    def whole(round_: str, switch: str, status: str) -> dict:
        resources = settings(round_, switch)
        resources["alicloudextend_live_domain"] = {"play": domain(NAME, "liveVideo") | {"status": status}, "push": domain(PUSH, "liveEdge")}
        resources["alicloudextend_live_domain_play_mapping"] = {"one": {"sub_domain": SUB, "root_domain": "${alicloudextend_live_domain.play.domain_name}"}}
        certificate = {"domain_name": NAME, "ssl_protocol": "on", "cert_type": "upload", "cert_name": "mine", "ssl_pub": pem.read_text(), "ssl_pri": key.read_text()}
        resources["alicloudextend_live_domain_certificate"] = {"one": certificate | {"depends_on": ["alicloudextend_live_domain.play"]}}
        return resources

    data = {"alicloudextend_live_domain_verify_content": {"play": {"domain_name": NAME}}}
    terraform.write(whole("1", "on", "online"), data)
    terraform.run("apply", "-auto-approve")
    found = set_functions(sdk)
    assert found["alilive"] == {"enable": "on", "live_forbid_rtmp": "on", "live_forbid_hls": "off"}
    assert found["set_resp_header"] == {"key": "X-Round", "value": "1"} and sorted(found) == FUNCTIONS
    terraform.run("plan", "-detailed-exitcode")
    terraform.write(whole("2", "off", "offline"), data)
    terraform.run("apply", "-auto-approve")
    assert set_functions(sdk)["set_resp_header"] == {"key": "X-Round", "value": "2"}
    assert sdk.call("DescribeLiveDomainDetail", DomainName=NAME)["DomainDetail"]["DomainStatus"] == "offline"
    terraform.run("plan", "-detailed-exitcode")
    terraform.run("destroy", "-auto-approve")
    assert is_gone(sdk, NAME) and is_gone(sdk, PUSH)
    assert set(proxy.names) == {"live.aliyuncs.com:443"}
    # Nothing that it called was refused.
    calls = server.rows("/_localyun/requests?limit=1000", "requests")
    refused = [(row["action"], row["error"]) for row in calls if row.get("error") and row["action"] != "DescribeLiveDomainDetail"]
    assert not refused, refused


def test_five_settings_at_once_twenty_times(place):
    """`apply` and `destroy` of five settings of one domain, which Terraform calls for at once: none is lost and none stays."""
    sdk, terraform, _, _ = place
    sdk.call("AddLiveDomain", DomainName=NAME, LiveDomainType="liveVideo", Region="cn-shanghai")
    for number in range(ROUNDS):
        resources = {kind: {"one": one["one"] | {"domain_name": NAME}} for kind, one in settings(str(number), "on").items()}
        terraform.write(resources)
        terraform.run("apply", "-auto-approve", "-refresh=false")
        found = set_functions(sdk)
        assert sorted(found) == FUNCTIONS and found["set_resp_header"]["value"] == str(number), (number, found)
        terraform.run("destroy", "-auto-approve")
        assert set_functions(sdk) == {}, number
