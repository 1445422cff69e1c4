"""Each database keeps texts and names as they are: as long as they are, with the blanks at their ends, in the order of their bytes."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path

from harness.api import Api
from harness.server import Server
from harness.stage import Stage, wire
from harness.wait import wait_for

DOMAIN = "texts.example.com"


def functions(names: list[str]) -> list[dict]:
    """What BatchSetLiveDomainConfigs takes, with a value as long as one may be."""
    return [{"functionName": name, "functionArgs": [{"argName": "value", "argValue": "v" * 8_000}]} for name in names]


def test_the_functions_of_a_domain_may_be_longer_than_65535_bytes(tmp_path):
    names = [f"function_{n}" for n in range(10)]
    with Server(data_dir=tmp_path / "data") as server:
        api = Api(server.api)
        for name in names:
            api.call("BatchSetLiveDomainConfigs", DomainNames=DOMAIN, Functions=json.dumps(functions([name])))
    with Server(data_dir=tmp_path / "data") as server:
        kept = Api(server.api).call("DescribeLiveDomainConfigs", DomainName=DOMAIN, FunctionNames=",".join(names))["DomainConfigs"]["DomainConfig"]
        assert sorted(row["FunctionName"] for row in kept) == sorted(names)
        assert all(len(row["FunctionArgs"]["FunctionArg"][0]["ArgValue"]) == 8_000 for row in kept)


def test_a_callback_and_its_answers_may_be_longer_than_65535_bytes(server, receiver, tmp_path):
    stage = Stage(server, receiver, tmp_path)
    of_domain = f"/_localyun/callbacks?domain={stage.domain}"
    # Each of these is six bytes long where it is kept.
    stage.inbox.say(b"\x01" * 1_024, 503)
    stage.rule("mp4", DelayTime=15)
    stage.notify()
    stage.push(6)
    stage.advance(16)
    stage.advance(60)
    (row,) = server.rows(of_domain, "callbacks")
    assert (row["state"], len(row["attempts"])) == ("failed", 6)
    assert server.control("POST", f"/_localyun/callbacks/{row['id']}/replay", {})[0] == 200
    stage.advance(60)
    (again,) = server.rows(of_domain, "callbacks")
    assert (again["state"], len(again["attempts"])) == ("failed", 12)
    stage.inbox.say(b"")
    body = json.dumps({"text": "t" * 100_000})
    assert server.control("POST", f"/_localyun/callbacks/{row['id']}/replay", {"body": body})[0] == 200
    wait_for(lambda: stage.inbox.bodies()[-1] == json.loads(body), what="the changed copy")


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """A certificate of its own and its key, by OpenSSL."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subject = ["-subj", f"/CN={name}"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90", *subject, "-keyout", key, "-out", cert]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    return cert.read_text(), key.read_text()


def test_a_blank_at_its_end_is_part_of_a_certificates_name(tmp_path):
    with Server(data_dir=tmp_path / "data") as server:
        api = Api(server.api)
        for domain, name in (("one.example.com", "name"), ("two.example.com", "name ")):
            chain, key = certificate(tmp_path, domain)
            parameters = {"CertType": "upload", "CertName": name, "SSLProtocol": "on", "SSLPub": chain, "SSLPri": key, "ForceSet": "1"}
            api.call("SetLiveDomainCertificate", DomainName=domain, **parameters)
        rows = api.call("DescribeLiveCertificateList")["CertificateListModel"]["CertList"]["Cert"]
        assert [(row["CertName"], row["Common"]) for row in rows] == [("name", "one.example.com"), ("name ", "two.example.com")]


def test_a_blank_at_its_end_is_part_of_a_streams_name(server, receiver, tmp_path):
    stage = Stage(server, receiver, tmp_path)
    stage.rule("mp4", DelayTime=15)
    for name, seconds in (("s", 6), ("s ", 8)):
        stage.push(seconds, stream=name)
    stage.advance(16)
    for name in ("s", "s%20"):
        query = f"/_localyun/recordings?domain={stage.domain}&stream={name}"
        (row,) = wait_for(lambda query=query: server.rows(query, "recordings"), what=f"the recording of {name}")
        assert row["stream"] == name.replace("%20", " ")


def test_names_are_listed_in_the_order_of_their_bytes(server, receiver, tmp_path):
    stage = Stage(server, receiver, tmp_path)
    for name in ("b", "a", "_", "B"):
        stage.push(1, stream=name)
    now = stage.now()
    period = {"StartTime": wire(now - timedelta(hours=1)), "EndTime": wire(now + timedelta(hours=1))}
    for order, names in (("asc", ["B", "_", "a", "b"]), ("desc", ["b", "a", "_", "B"])):
        answer = stage.api.call("DescribeLiveStreamsPublishList", DomainName=stage.domain, OrderBy=f"stream_name_{order}", **period)
        assert [row["StreamName"] for row in answer["PublishInfo"]["LiveStreamPublishInfo"]] == names
