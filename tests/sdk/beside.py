"""Two programs side by side: both get the same requests in the same order, and every answer must be the same but for what no two runs
share: ids, times, the machine's own ports, and of a certificate that was made for the occasion its keys and its number.

    beside.py OLD NEW [--requests 20000] [--seed 1] [--without ACTION,…] [--through]

For whoever changes the inside and means to change nothing outside. The requests are made of the documented actions and their parameters:
good values, values at and beyond the bounds, wrong types, names twice, unknown names, other methods and forms, and signatures by both
schemes, some of them broken. In between come the control routes, since they show the state that the calls have made.
Each difference is shown once per action and kind; the exit status is 1 when there is one.

With --through the new program is asked through a gateway (`--upstream-mode all`) before a second process of it, and the control routes are those
of the process behind; the answers have to be the same but for the header that says where they came from. What a gateway cannot but answer
otherwise is counted by itself (`EXPLAINED`).
"""

import argparse
import hashlib
import hmac
import http.client
import json
import random
import re
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path.insert(0, str(PROJECT / "tests" / "scenarios"))
sys.dont_write_bytecode = True

from harness.server import Server  # noqa: E402

START = "2026-11-22T15:00:00Z"
BEGAN = time.monotonic()
DOMAINS = ["play.example.com", "push.example.com", "sub.example.com", "other.example.org", "a.b"]
APPS = ["live", "game", "*", "l-1"]
STREAMS = ["s1", "s2", "*", "room_7"]
ODD = ["", " ", "0", "-1", "999999999999", "x" * 300, "ä中", "a/b", "a b", "<x>&\"'", "{x}", "null", "true", "1.5", "*", "%", "\x01"]
CONTROL = ["streams", "recordings", "callbacks", "faults", "coverage", "snapshot", "explain?domain=play.example.com&app=live&stream=s1", "", "nowhere"]

# What two runs of one program do not share.
UNLIKE = [
    (re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"), "ID"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "id"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "id"),
    (re.compile(r"STS\.[0-9A-Za-z]+"), "STS"),
    (re.compile(r'("(?:AccessKeySecret|SecurityToken)": ?)"[^"]*"'), r"\1SECRET"),
    (re.compile(r"(<(?:AccessKeySecret|SecurityToken)>)[^<]*"), r"\1SECRET"),
    # Of a certificate that was made for the occasion.
    (re.compile(r'("Fingerprint": ?)"[0-9A-F]{40}"'), r'\1"SHA-1"'),
    (re.compile(r"(<Fingerprint>)[0-9A-F]{40}(?=</)"), r"\1SHA-1"),
    (re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+08:00)?"), "TIME"),
    (re.compile(r"\b1[678]\d{8,11}\b"), "UNIX"),
    (re.compile(r"127\.0\.0\.1:\d+"), "HOST"),
    (re.compile(r'"(took_us|now_ms|offset_ms|startup_ms)": ?\d+'), r'"\1": N'),
]


# A certificate or a key in PEM; inside of JSON its lines end with the two characters of an escape.
PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----((?:\\n|\\r|[A-Za-z0-9+/=\s])+)-----END \1-----")
# Tags of DER: what holds others, and what is read as a text (names, times).
HOLDS, TEXTS = {0x30, 0x31, 0xA0, 0xA3}, {0x0C, 0x13, 0x16, 0x17, 0x18, 0x82}
OCTETS = 0x04


def texts(der: bytes) -> list[str]:
    """The names and times of a certificate in their order. What is drawn at random (the number, keys, the signature) is none of them."""
    found, at = [], 0
    while at + 2 <= len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length >= 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(der[at : at + count], "big"), at + count
        value, at = der[at : at + length], at + length
        if len(value) < length:
            raise ValueError("it breaks off")
        if tag in HOLDS:
            found += texts(value)
        elif tag in TEXTS:
            found.append(value.decode("ascii", "replace"))
        elif tag == OCTETS and value[:1] == b"\x30":
            # The value of an extension, such as the other names.
            found += texts(value)
    return found


def of_pem(match: re.Match) -> str:
    """What a certificate says, in the place of its bytes; of a key, that it is one."""
    kind, inside = match[1], re.sub(r"\\[nr]|\s", "", match[2])
    if kind != "CERTIFICATE":
        return f"<{kind}>"
    try:
        return f"<CERTIFICATE {', '.join(texts(b64decode(inside)))}>"
    except ValueError:
        return match[0]


def alike(text: str) -> str:
    if "-----BEGIN" in text:
        text = PEM.sub(of_pem, text)
    for pattern, instead in UNLIKE:
        text = pattern.sub(instead, text)
    return text


class Maker:
    """Requests by the documented actions, always the same for one seed."""

    def __init__(self, seed: int, without: set[str]):
        self.random = random.Random(seed)
        folder = PROJECT / "api-spec" / "2016-11-01" / "actions"
        self.actions = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
        self.actions = [action for action in self.actions if action["action"] not in without]
        self.likely = self.actions
        self.careful = True

    def prefer(self, names: set[str]) -> None:
        """Asks mostly for actions of these names."""
        self.likely = [action for action in self.actions if action["action"] in names]

    def value(self, field: dict) -> str:
        """A value for a field, mostly one that fits."""
        dice, name, documented = self.random.random(), field["name"], field.get("documented", {})
        if dice < 0.08 and not self.careful:
            return self.random.choice(ODD)
        if "values" in documented and (dice < 0.9 or self.careful):
            return str(self.random.choice(documented["values"]))
        if "range" in documented:
            low, high = (int(bound) for bound in documented["range"])
            if self.careful:
                return str(self.random.randint(low, high))
            return str(self.random.choice([low, high, low - 1, high + 1, self.random.randint(low, high)]))
        if "Domain" in name:
            return self.random.choice(DOMAINS)
        if name in ("AppName", "App"):
            return self.random.choice(APPS)
        if name in ("StreamName", "Stream"):
            return self.random.choice(STREAMS)
        if "Url" in name:
            return self.random.choice(["http://127.0.0.1:9/x", "https://hook.example.com/a?b=c", "ftp://x", "nothing"])
        if "Time" in name:
            shift = self.random.choice([-86400, -3600, 0, 3600, 86400, 90 * 86400])
            return (datetime(2026, 11, 22, 15, tzinfo=timezone.utc) + timedelta(seconds=shift)).strftime("%Y-%m-%dT%H:%M:%SZ")
        if name == "OssBucket":
            return self.random.choice(["recordings", "other-bucket", "recordings" if self.careful else "Bad_Bucket"])
        if name == "OssEndpoint":
            return "oss-cn-shanghai.aliyuncs.com"
        if "Prefix" in name:
            return self.random.choice(["record/{AppName}/{StreamName}/{StartTime}_{EndTime}", "r/{AppName}/{StreamName}/{UnixTimestamp}_{Sequence}", "x/{AppName}/{StreamName}/{StartTime}_{EndTime}" if self.careful else "{Unknown}"])
        kind = field.get("type", "string")
        if kind.startswith("int"):
            return str(self.random.choice([0, 1, 2, 7, 10, 30, 60, 180, 3600]))
        if kind == "boolean":
            return self.random.choice(["true", "false"])
        return self.random.choice(["cn-shanghai", "abc", "1", "on", "off", "live"])

    def fields(self, fields: list[dict], before: str = "") -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        for field in fields:
            if field.get("internal") or not (field.get("required") or self.random.random() < 0.4) or not self.careful and self.random.random() < 0.05:
                continue
            name = before + field["name"]
            if field.get("type") == "array":
                item = field.get("item", {})
                for number in range(1, self.random.randint(1, 3) + 1):
                    if item.get("type") == "object":
                        pairs += self.fields(item.get("fields", []), f"{name}.{number}.")
                    else:
                        pairs.append((f"{name}.{number}", self.value({**item, "name": field["name"]})))
            elif field.get("type") == "object" and field.get("fields"):
                pairs += self.fields(field["fields"], f"{name}.")
            else:
                pairs.append((name, self.value(field)))
        return pairs

    def request(self, number: int) -> tuple[str, str, str, dict[str, str], bytes]:
        """What it is called, method, target, headers, body."""
        dice = self.random.random()
        if dice < 0.02:
            route = self.random.choice(CONTROL)
            return "control " + route.split("?")[0], "GET", f"/_localyun/{route}".rstrip("/"), {}, b""
        action = self.random.choice(self.likely if dice < 0.9 else self.actions)
        self.careful = self.random.random() < 0.6
        pairs = self.fields(action["request"])
        name = action["action"]
        if self.random.random() < 0.02:
            name = self.random.choice([name + "s", name.lower(), "", "AddLiveAppRecordConfg"])
        if self.random.random() < 0.03:
            pairs.append((self.random.choice(["Unknown", "appname", "AppName"]), "x"))
        pairs += [("Format", self.random.choice(["JSON", "JSON", "JSON", "XML", "xml", "yaml"]))] if self.random.random() < 0.9 else []
        method = self.random.choice(["GET", "GET", "POST", "POST", "PUT"]) if self.random.random() < 0.1 else self.random.choice(["GET", "POST"])
        broken = self.random.random() < 0.04
        if self.random.random() < 0.5:
            return action["action"], *self.signed_in_parameters(method, name, pairs, number, broken)
        return action["action"], *self.signed_in_headers(method, name, pairs, number, broken)

    def signed_in_parameters(self, method, name, pairs, number, broken):
        pairs = pairs + [
            ("Action", name), ("Version", "2016-11-01"), ("AccessKeyId", "testid" if not broken or self.random.random() < 0.7 else "nobody"),
            ("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0"), ("SignatureNonce", f"n{number}"),
            ("Timestamp", stamp()),
        ]
        text = "&".join(f"{escaped(k)}={escaped(v)}" for k, v in sorted(pairs))
        to_sign = f"{method}&%2F&{escaped(text)}"
        secret = b"testsecret&" if not broken else b"wrong&"
        signature = b64encode(hmac.new(secret, to_sign.encode(), hashlib.sha1).digest()).decode()
        query = urlencode([*pairs, ("Signature", signature)], quote_via=quote, safe="-_.~")
        if method == "POST" and self.random.random() < 0.5:
            return method, "/", {"Content-Type": "application/x-www-form-urlencoded"}, query.encode()
        return method, "/?" + query, {}, b""

    def signed_in_headers(self, method, name, pairs, number, broken):
        query = "&".join(f"{escaped(k)}={escaped(v)}" for k, v in sorted(pairs))
        body_hash = hashlib.sha256(b"").hexdigest()
        headers = {
            "host": "live.example.com", "x-acs-action": name, "x-acs-version": "2016-11-01", "x-acs-date": stamp(),
            "x-acs-signature-nonce": f"n{number}", "x-acs-content-sha256": body_hash,
        }
        names = ";".join(sorted(headers))
        lines = "".join(f"{key}:{headers[key]}\n" for key in sorted(headers))
        canonical = "\n".join([method, "/", query, lines, names, body_hash])
        to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        signature = hmac.new(b"testsecret" if not broken else b"wrong", to_sign.encode(), hashlib.sha256).hexdigest()
        headers["Authorization"] = f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={names},Signature={signature}"
        return method, "/?" + query if query else "/", headers, b""


# What a clock does: it stands still, so that no minute passes on one side alone; programs from before that was possible let it run.
FROZEN: list[str] = []


def freeze(programs: set[str]) -> None:
    """Stops the clocks of all programs, where each knows how."""
    said = (subprocess.run([program, "serve", "--help"], capture_output=True, text=True, timeout=60).stdout for program in programs)
    if all("--clock <" in text for text in said):
        FROZEN.extend(["--clock", "frozen"])


def stamp() -> str:
    """The time of the service clocks: a request is good for 15 minutes."""
    if FROZEN:
        return START
    return (datetime.fromisoformat(START) + timedelta(seconds=time.monotonic() - BEGAN)).strftime("%Y-%m-%dT%H:%M:%SZ")


def escaped(text: str) -> str:
    return quote(text, safe="-_.~")


class Peer:
    """One program and a connection to it that is kept."""

    def __init__(self, program: str):
        self.server = Server("--clock-start", START, *FROZEN, "--log", "warn", program=program, environment={"LOCALYUN_CHECK_ANSWERS": None})
        self.connection = connection(self.server)

    def ask(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], str]:
        return exchanged(self.connection, method, target, headers, body)

    def stop(self) -> None:
        self.server.stop()


class Gateway(Peer):
    """A gateway and the program behind it, whose state the control routes show."""

    def __init__(self, program: str):
        super().__init__(program)
        flags = ["--upstream", self.server.api, "--upstream-access-key", "testid:testsecret", "--upstream-mode", "all", "--upstream-refuse", "none"]
        self.front = Server(*flags, "--clock-start", START, *FROZEN, "--log", "error", program=program)
        self.entrance = connection(self.front)
        self.outside = 0

    def ask(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], str]:
        if target.startswith("/_localyun"):
            return super().ask(method, target, headers, body)
        status, told, text = exchanged(self.entrance, method, target, headers, body)
        kept = [(name, value) for name, value in told if name != "x-localyun-upstream"]
        self.outside += len(kept) < len(told)
        return status, kept, text

    def stop(self) -> None:
        self.front.stop()
        super().stop()
        print(f"{self.outside} answers came through the gateway")


def connection(server: Server) -> http.client.HTTPConnection:
    at = urlsplit(server.api)
    return http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)


def exchanged(kept: http.client.HTTPConnection, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], str]:
    """A request and its answer, without what two runs do not share."""
    for again in (False, True):
        try:
            kept.request(method, target, body=body or None, headers=headers)
            answer = kept.getresponse()
            told = sorted((k.lower(), alike(v)) for k, v in answer.getheaders() if k.lower() not in ("date", "content-length"))
            return answer.status, told, alike(answer.read().decode("utf-8", "replace"))
        except (http.client.HTTPException, OSError):
            kept.close()
            if again:
                raise
    raise AssertionError("not reached")


# By the code of the direct answer, codes that a gateway may give instead, and why.
OF_SIGNATURES = {"SignatureDoesNotMatch", "InvalidAccessKeyId.NotFound", "SignatureNonceUsed", "InvalidTimeStamp.Expired"}
EXPLAINED = {
    # Here the name is looked at before the signature. A gateway knows no names but its own, and asks nobody else before it knows the caller.
    "InvalidAction.NotFound": (OF_SIGNATURES, "an unknown action by a caller whose signature is not good"),
}


def code(text: str) -> str:
    """The code of an error."""
    found = re.search(r'"Code": ?"([^"]*)"|<Code>([^<]*)</Code>', text)
    return (found[1] or found[2] or "") if found else ""


def without_notes(text: str) -> object:
    """What `explain` says but for the notes of the newest calls."""
    try:
        return {**json.loads(text), "notes": None}
    except ValueError:
        return text


def explained(name: str, direct: str, through: str) -> str | None:
    """Why an answer through the gateway is another one, where that is as it has to be."""
    if name == "control explain" and without_notes(direct) == without_notes(through):
        return "the notes of the newest 1,000 calls, of which those are no part that the gateway refuses"
    codes, why = EXPLAINED.get(code(direct), (set(), None))
    return why if code(through) in codes else None


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("old")
    arguments.add_argument("new")
    arguments.add_argument("--requests", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--without", default="", help="actions that are not asked, with commas between them")
    arguments.add_argument("--through", action="store_true", help="the new program through a gateway")
    given = arguments.parse_args()
    maker = Maker(given.seed, set(filter(None, given.without.split(","))))
    if given.through:
        # The host that a request names is the caller's on one way and the upstream's on the other.
        UNLIKE.append((re.compile(r"live\.example\.com"), "HOST"))
    freeze({given.old, given.new})
    peers = [Peer(given.old), (Gateway if given.through else Peer)(given.new)]
    covered = json.loads(peers[0].ask("GET", "/_localyun/coverage", {}, b"")[2])
    maker.prefer({row["action"] for row in covered["actions"] if row["standing"] == "implemented"})
    counts: dict[str, int] = {}
    shown: set[tuple] = set()
    different = 0
    reasons: dict[str, int] = {}
    try:
        for number in range(given.requests):
            name, method, target, headers, body = maker.request(number)
            old, new = (peer.ask(method, target, headers, body) for peer in peers)
            counts[f"{old[0]}"] = counts.get(f"{old[0]}", 0) + 1
            if old == new:
                continue
            why = explained(name, old[2], new[2]) if given.through else None
            if why:
                reasons[why] = reasons.get(why, 0) + 1
                continue
            different += 1
            kind = (name, old[0], new[0], old[1] == new[1])
            if kind not in shown and len(shown) < 40:
                shown.add(kind)
                print(f"--- request {number}: {name}: {method} {target[:600]} {body[:600]!r}")
                print(f"  old {old[0]} {[h for h in old[1] if h not in new[1]]} {old[2][:1500]}")
                print(f"  new {new[0]} {[h for h in new[1] if h not in old[1]]} {new[2][:1500]}", flush=True)
    finally:
        for peer in peers:
            peer.stop()
    told = ", ".join(f"{count} with status {status}" for status, count in sorted(counts.items()))
    for why, count in sorted(reasons.items()):
        print(f"{count} differ as they have to: {why}")
    print(f"{given.requests} requests: {told}; {different} answers differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
