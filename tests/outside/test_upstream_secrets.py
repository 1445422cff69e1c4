"""What the gateway knows of the upstream, and what users keep there, is found nowhere else."""

import json
from urllib.parse import quote

import pytest
from harness.api import Api
from harness.server import Server
from upstreams import KEY, PLANTED, SECRET, Told, answer, forwarding, pair, saying

DOMAIN = "play.example.com"
TOKEN = "planted/security+token/03=="
ENCODED = quote(TOKEN, safe="")
# Secrets of users that travel through, as parameters and in answers.
USERS = ("hush-user", "hush-pass", "hush-token", "hushkey0123456789", "hush-private")


def looked_at(server: Server) -> dict[str, str]:
    """Everything that somebody can look at."""
    routes = ("requests?limit=1000", "callbacks?limit=1000", "recordings", "snapshot", "config", "streams", "health", "faults", "coverage", "rules")
    seen = {route: json.dumps(server.control("GET", f"/_localyun/{route}")[1], ensure_ascii=False) for route in routes}
    seen["metrics"] = str(server.control("GET", "/metrics")[1])
    seen["events"] = json.dumps(server.control("GET", "/_localyun/wait?kind=call&count=1000&timeout_s=1")[1])
    seen["log"] = server.log_tail(10_000_000)
    seen["files"] = "".join(
        path.read_bytes().decode("latin-1") for path in server.data_dir.rglob("*") if path.is_file()
    )
    return seen


def found(texts: dict[str, str], words: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(where, word) for where, text in texts.items() for word in words if word in text]


def cassette(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("mode", ["all", "unimplemented"])
def test_the_upstreams_key_is_found_nowhere(mode, tmp_path):
    folder = tmp_path / "cassette"
    with pair(mode, "--log", "trace", "--cassette", str(folder)) as (gateway, behind):
        api = Api(gateway.api)
        told = [api.ask("DescribeLiveSnapshotConfig", DomainName=DOMAIN), api.ask("NoSuchAction"), api.ask("StartCaster")]
        told += [Api(gateway.api, secret="wrong").ask("NoSuchAction")]
        behind.process.terminate()
        behind.process.wait(20)
        told += [api.ask("DescribeLiveSnapshotConfig", DomainName=DOMAIN)]
        assert told[-1][0] == 503
        seen = looked_at(gateway) | cassette(folder) | {"answers": json.dumps(told), "ready": json.dumps(gateway.ready)}
        assert len(list(folder.iterdir())) == 3
        assert found(seen, PLANTED) == []


def test_nor_where_the_upstream_does_not_take_it_or_says_it_aloud(tmp_path):
    key = f"{KEY}:{SECRET}:{TOKEN}"
    words = (*PLANTED, TOKEN, ENCODED, ENCODED.replace("%2F", "%2f"), TOKEN.replace("/", "\\/"))

    def echo(peer, request: bytes) -> None:
        peer.sendall(answer(json.dumps({"RequestId": "R", "Message": request.decode()}).encode(), status="400 Bad Request"))

    with Server() as stranger, Told(echo) as loud:
        for url in (stranger.api, loud.url, "http://127.0.0.1:1", "https://127.0.0.1:1"):
            folder = tmp_path / url.rsplit(":", 1)[1] / url.split(":")[0]
            flags = forwarding(url, "all", "--log", "trace", "--cassette", str(folder), key=key)
            with Server(*flags) as gateway:
                told = [Api(gateway.api).ask("DescribeLiveRecordConfig", DomainName=DOMAIN)]
                assert told[0][0] == 503
                assert found(looked_at(gateway) | cassette(folder) | {"answers": json.dumps(told)}, words) == []
        # It did arrive.
        assert ENCODED.encode() in loud.requests[0]


@pytest.mark.parametrize("form", ["JSON", "XML"])
def test_secrets_of_users_pass_through_and_are_not_kept(form, tmp_path):
    folder = tmp_path / "cassette"
    body = {
        "RequestId": "R",
        "Config": {"NotifyAuthKey": "hushkey0123456789", "NotifyUrl": "http://hush-user:hush-pass@h/x?token=hush-token&b=c"},
        "Args": {"Arg": [{"ArgName": "auth_key1", "ArgValue": "hushkey0123456789"}, {"ArgName": "auth_type", "ArgValue": "type_a"}]},
        "Inner": json.dumps({"AuthKey": "hushkey0123456789"}),
        "Pem": "-----BEGIN PRIVATE KEY-----\nhush-private\n-----END PRIVATE KEY-----",
    }
    if form == "JSON":
        whole, kind = json.dumps(body, separators=(",", ":")).encode(), "application/json"
    else:
        whole = (
            "<R><RequestId>R</RequestId><Config><NotifyAuthKey>hushkey0123456789</NotifyAuthKey><NotifyUrl>http://hush-user:hush-pass@h/x?token=hush-token&amp;b=c</NotifyUrl></Config>"
            "<Args><Arg><ArgName>auth_key1</ArgName><ArgValue>hushkey0123456789</ArgValue></Arg><Arg><ArgName>auth_type</ArgName><ArgValue>type_a</ArgValue></Arg></Args>"
            "<Pem>-----BEGIN PRIVATE KEY-----\nhush-private\n-----END PRIVATE KEY-----</Pem></R>"
        ).encode()
        kind = "text/xml"
    params = {
        "DomainName": DOMAIN, "NotifyUrl": "http://hush-user:hush-pass@h/x?token=hush-token&b=c", "NotifyAuthKey": "hushkey0123456789",
        "SSLPri": "-----BEGIN PRIVATE KEY-----\nhush-private", "SSLPub": "-----BEGIN RSA PRIVATE KEY-----\nhush-private", "Config.1.AuthKey": "hushkey0123456789",
        "Functions": json.dumps([{"functionName": "aliauth", "functionArgs": [{"argName": "auth_key1", "argValue": "hushkey0123456789"}]}]),
        "Plain": json.dumps([{"argName": "auth_key1", "argValue": "hushkey0123456789"}]), "Format": form,
    }

    def ask(server: Server) -> tuple[int, bytes]:
        from urllib.parse import urlencode

        flat = Api(server.api).signed("AddLiveRecordNotifyConfig", "POST", **params)
        flat["Format"] = form
        status, _, got = Api(server.api).send("POST", "/", urlencode(flat).encode(), {"Content-Type": "application/x-www-form-urlencoded"})
        return status, got

    with Told(saying(answer(whole, kind=kind))) as told, Server(*forwarding(told.url, "all", "--log", "debug", "--cassette", str(folder))) as gateway:
        assert ask(gateway) == (200, whole)
        assert all(word.encode() in told.requests[0] for word in ("hush-pass", "hush-private"))
        assert found(looked_at(gateway) | cassette(folder), USERS) == []
    (text,) = cassette(folder).values()
    assert "type_a" in text and "b=c" in text and "auth_key1" in text, text
    # The same call is found again by what was kept, whatever its secrets are.
    params["NotifyAuthKey"] = "another0123456789"
    with Server("--upstream-mode", "replay", "--cassette", str(folder)) as server:
        status, got = ask(server)
        assert status == 200 and b"***" in got and b"type_a" in got, got
        assert found(looked_at(server), USERS) == []
