"""Domains as tools use them: the calls of both Terraform providers and of the vendor's recording diagnosis, in their order, by the official SDK."""

import json
import socket
import ssl
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from harness.stage import ENDPOINT, wire
from sdks import Acs3, SdkError


@pytest.fixture
def sdk(server):
    """The current SDK, pointed at the server."""
    return Acs3(server.api)


@pytest.fixture
def name():
    """A domain that nobody knows yet."""
    return f"play-{uuid.uuid4().hex[:8]}.example.com"


def certificate(folder, domain: str) -> tuple[str, str]:
    """A self-signed certificate of a domain and its key, by OpenSSL."""
    cert, key = folder / f"{domain}.pem", folder / f"{domain}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-subj", f"/CN={domain}/O=Example", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return cert.read_text(), key.read_text()


def tags(sdk, domain: str) -> dict[str, str]:
    """The tags of a domain, as the official provider reads them."""
    rows = sdk.call("ListLiveTagResources", ResourceType="DOMAIN", ResourceId=[domain])["TagResources"].get("TagResource", [])
    assert all((row["ResourceId"], row["ResourceType"]) == (domain, "DOMAIN") for row in rows)
    return {row["TagKey"]: row["TagValue"] for row in rows}


def detail(sdk, domain: str) -> dict:
    """The domain, as both providers read it."""
    return sdk.call("DescribeLiveDomainDetail", DomainName=domain)["DomainDetail"]


def test_the_official_terraform_provider(sdk, name):
    """`alicloud_live_domain`: create, read (detail and tags each time), update of each property, delete until it is gone."""
    sdk.call("AddLiveDomain", DomainName=name, LiveDomainType="liveVideo", Region="cn-shanghai", Scope="domestic", ResourceGroupId="rg-1", Tag=[{"Key": "env", "Value": "dev"}])
    read = detail(sdk, name)
    assert (read["DomainStatus"], read["Scope"], read["Region"], read["ResourceGroupId"]) == ("online", "domestic", "cn-shanghai", "rg-1")
    assert tags(sdk, name) == {"env": "dev"}
    sdk.call("StopLiveDomain", DomainName=name)
    assert detail(sdk, name)["DomainStatus"] == "offline"
    sdk.call("StartLiveDomain", DomainName=name)
    assert detail(sdk, name)["DomainStatus"] == "online"
    sdk.call("ChangeLiveDomainResourceGroup", DomainName=name, NewResourceGroupId="rg-2")
    sdk.call("ModifyLiveDomainSchdmByProperty", DomainName=name, Property=json.dumps({"coverage": "overseas"}))
    read = detail(sdk, name)
    assert (read["ResourceGroupId"], read["Scope"]) == ("rg-2", "overseas")
    sdk.call("UnTagLiveResources", ResourceType="DOMAIN", ResourceId=[name], TagKey=["env"])
    sdk.call("TagLiveResources", ResourceType="DOMAIN", ResourceId=[name], Tag=[{"Key": "team", "Value": "a"}, {"Key": "env", "Value": "prod"}])
    assert tags(sdk, name) == {"team": "a", "env": "prod"}
    sdk.call("DeleteLiveDomain", DomainName=name)
    with pytest.raises(SdkError) as error:
        detail(sdk, name)
    assert (error.value.status, error.value.code) == (404, "InvalidDomain.NotFound")
    assert tags(sdk, name) == {}


def test_the_extending_terraform_provider(sdk, name, tmp_path, server):
    """`alicloudextend`: owner, domain, detail until it is online with a Cname, functions in parallel, certificate, play mapping, proof."""
    content = sdk.call("DescribeLiveVerifyContent", DomainName=name)["Content"]
    assert content.startswith("verify_")
    for way in ("dnsCheck", "fileCheck"):
        assert sdk.call("VerifyLiveDomainOwner", DomainName=name, VerifyType=way)["Content"] == content
    sdk.call("AddLiveDomain", DomainName=name, LiveDomainType="liveVideo", Region="ap-southeast-1", Scope="global")
    read = detail(sdk, name)
    assert read["DomainStatus"] == "online" and read["Cname"]
    functions = ["referer_white_list_set", "ip_black_list_set", "set_resp_header", "https_force", "green_manager", "http_force"]

    def put(function: str) -> None:
        arguments = [{"argName": "enable", "argValue": "on"}, {"argName": "key", "argValue": function}]
        sdk.call("BatchSetLiveDomainConfigs", DomainNames=name, Functions=json.dumps([{"functionName": function, "functionArgs": arguments}]))

    with ThreadPoolExecutor(len(functions)) as pool:
        list(pool.map(put, functions))
    found = sdk.call("DescribeLiveDomainConfigs", DomainName=name, FunctionNames=",".join(functions))["DomainConfigs"]["DomainConfig"]
    assert sorted(row["FunctionName"] for row in found) == sorted(functions)
    chain, key = certificate(tmp_path, name)
    sdk.call("SetLiveDomainCertificate", DomainName=name, CertType="upload", CertName=f"cert-{name}", SSLProtocol="on", SSLPub=chain, SSLPri=key, ForceSet="1")
    (info,) = sdk.call("DescribeLiveDomainCertificateInfo", DomainName=name)["CertInfos"]["CertInfo"]
    assert (info["CertName"], info["CertType"], info["SSLProtocol"], info["CertDomainName"], info["CertLife"]) == (f"cert-{name}", "upload", "on", name, "3 months")
    assert ssl.PEM_cert_to_DER_cert(info["SSLPub"]) == ssl.PEM_cert_to_DER_cert(chain)
    read = detail(sdk, name)
    assert (read["SSLProtocol"], read["CertName"]) == ("on", f"cert-{name}")
    # The key comes back nowhere.
    line = key.splitlines()[3]
    for route in ("/_localyun/requests?limit=100", "/_localyun/snapshot"):
        assert line not in json.dumps(server.get(route)), route
    sub = name.replace("play", "sub")
    sdk.call("AddLiveDomainPlayMapping", PullDomain=name, PlayDomain=sub)
    models = sdk.call("DescribeLiveDomainMapping", DomainName=sub)["LiveDomainModels"]["LiveDomainModel"]
    assert {row["DomainName"]: row["Type"] for row in models} == {name: "vhost", sub: "play"}
    sdk.call("DeleteLiveDomainPlayMapping", PullDomain=name, PlayDomain=sub)
    sdk.call("SetLiveDomainCertificate", DomainName=name, SSLProtocol="off")
    assert detail(sdk, name)["SSLProtocol"] == "off"
    listed = sdk.call("DescribeLiveUserDomains", DomainName=name, DomainStatus="online", RegionName="ap-southeast-1")
    assert [row["DomainName"] for row in listed["Domains"]["PageData"]] == [name]


def test_certificates_are_read_for_real(sdk, name, tmp_path):
    chain, key = certificate(tmp_path, name)
    _, other = certificate(tmp_path, f"other-{name}")

    def refused(**more: object) -> str:
        with pytest.raises(SdkError) as error:
            sdk.call("SetLiveDomainCertificate", **{"DomainName": name, "SSLProtocol": "on", "SSLPub": chain, "SSLPri": key} | more)
        assert error.value.status == 400
        return error.value.code

    assert refused(SSLPri=other) == "Certificate.MissMatch"
    assert refused(SSLPub="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") == "InvalidSSLPub"
    assert refused(SSLPri="no key") == "InvalidSSLPri"
    assert refused(SSLProtocol="perhaps") == "InvalidSSLProtocol.ValueNotSupported"
    assert refused(CertName="n" * 129) == "InvalidCertName.TooLong"
    assert sdk.call("DescribeLiveDomainCertificateInfo", DomainName=name)["CertInfos"].get("CertInfo", []) == []


def test_a_snapshot_brings_back_what_tools_set(own_stage, tmp_path):
    """Everything but the keys of certificates, which only who holds them has."""
    stage = own_stage()
    sdk, server = Acs3(stage.server.api), stage.server
    chain, key = certificate(tmp_path, stage.domain)
    sdk.call("AddLiveDomain", DomainName=stage.domain, LiveDomainType="liveVideo", Region="cn-shanghai", Tag=[{"Key": "env", "Value": "dev"}])
    sdk.call("SetLiveDomainCertificate", DomainName=stage.domain, CertName="mine", SSLProtocol="on", SSLPub=chain, SSLPri=key)
    sdk.call("ForbidLiveStream", DomainName=stage.domain, AppName="live", StreamName="s1", LiveStreamType="publisher")
    sdk.call("StopLiveDomain", DomainName=stage.domain)
    kept = server.get("/_localyun/snapshot")
    # Who still holds the key needs it in no snapshot.
    status, answer = server.control("PUT", "/_localyun/snapshot", kept)
    assert (status, answer["missing_secrets"]) == (200, [])
    assert server.get("/_localyun/snapshot") == kept
    server.control("POST", "/_localyun/reset")
    empty = server.get("/_localyun/snapshot")
    assert not any(empty[part] for part in ("forbidden", "tags", "certificates", "domain_certificates", "pushes", "controls"))
    status, answer = server.control("PUT", "/_localyun/snapshot", kept)
    assert status == 200 and [(m["kind"], m["name"], m["field"]) for m in answer["missing_secrets"]] == [("certificates", "mine", "key")]
    assert detail(sdk, stage.domain)["DomainStatus"] == "offline"
    assert tags(sdk, stage.domain) == {"env": "dev"}
    assert sdk.call("DescribeLiveStreamsBlockList", DomainName=stage.domain)["TotalNum"] == 1
    bad = kept | {"certificates": [kept["certificates"][0] | {"chain": "x"}]}
    status, answer = server.control("PUT", "/_localyun/snapshot", bad)
    assert status == 400 and "certificates[0]" in json.dumps(answer)


def test_the_vendors_recording_diagnosis(sdk, stage):
    """Its ten calls, one after the other; none of them is answered with `ActionNotImplemented`."""
    sdk.call("AddLiveAppRecordConfig", DomainName=stage.domain, AppName="live", OssBucket=stage.bucket.name, OssEndpoint=ENDPOINT, DelayTime=15, RecordFormat=[{"Format": "mp4"}])
    sdk.call("AddLiveRecordNotifyConfig", DomainName=stage.domain, NotifyUrl=stage.inbox.url)
    stage.push(4)
    stage.advance(30)
    stage.wait_files(1)
    stream = {"DomainName": stage.domain, "AppName": "live", "StreamName": "s1"}
    period = {"StartTime": wire(stage.now() - timedelta(hours=1)), "EndTime": wire(stage.now() + timedelta(minutes=1))}
    pushed = sdk.call("DescribeLiveStreamsPublishList", **stream, **period)["PublishInfo"]["LiveStreamPublishInfo"]
    assert len(pushed) == 1 and pushed[0]["StopTime"]
    rates = sdk.call("DescribeLiveCenterStreamRateData", **stream, **period)["RateDatas"]
    assert rates and float(rates[0]["VideoFps"]) > 0 and float(rates[0]["AudioRate"]) > 0
    assert sdk.call("DescribeLiveDomainMapping", DomainName=stage.domain)["LiveDomainModels"]
    assert sdk.call("DescribeLiveStreamsOnlineList", **stream)["TotalNum"] == 0
    assert sdk.call("DescribeLiveRecordConfig", DomainName=stage.domain)["TotalNum"] == 1
    vod = sdk.call("DescribeLiveRecordVodConfigs", **stream)
    assert (vod["Total"], vod["LiveRecordVodConfigs"].get("LiveRecordVodConfig", [])) == ("0", [])
    assert sdk.call("DescribeLiveRecordNotifyConfig", DomainName=stage.domain)["LiveRecordNotifyConfig"]["NotifyUrl"] == stage.inbox.url
    assert sdk.call("DescribeLiveRecordNotifyRecords", **stream, **period)["TotalNum"] == 1
    assert sdk.call("DescribeLiveStreamRecordIndexFiles", **stream, **period)
    assert sdk.call("DescribeLiveStreamRecordContent", **stream, **period)["RecordContentInfoList"]


def served(port: int, name: str) -> bytes:
    """The certificate that a TLS port shows to who names a domain."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, context.wrap_socket(plain, server_hostname=name) as secure:
        return secure.getpeercert(binary_form=True)


def test_viewers_get_the_certificate_of_the_domain_that_they_name(own_stage, tmp_path):
    """At once, after a restart too, and the self-signed one where a domain has none or it is out of use."""
    stage = own_stage("--play-tls-addr", "127.0.0.1:0", data_dir=tmp_path / "data")
    sdk = Acs3(stage.server.api)
    chain, key = certificate(tmp_path, stage.domain)
    port = urlsplit(stage.server.ready["play_tls"]).port
    own = served(port, stage.domain)
    sdk.call("SetLiveDomainCertificate", DomainName=stage.domain, SSLProtocol="on", SSLPub=chain, SSLPri=key)
    mine = ssl.PEM_cert_to_DER_cert(chain)
    assert (served(port, stage.domain), served(port, stage.domain.upper())) == (mine, mine)
    assert served(port, "other.example.com") == own
    stage.server.process.kill()
    stage.server.process.wait()
    again = own_stage("--play-tls-addr", "127.0.0.1:0", data_dir=tmp_path / "data")
    port = urlsplit(again.server.ready["play_tls"]).port
    assert served(port, stage.domain) == mine
    Acs3(again.server.api).call("SetLiveDomainCertificate", DomainName=stage.domain, SSLProtocol="off")
    assert served(port, stage.domain) == own
