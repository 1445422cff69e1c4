"""Replays every request of fixtures/wire over HTTP, byte for byte as a real SDK once sent it, against a server whose clock
stands at the time of the captures: the verdict on each signature is the one that its client had a right to.

Three rounds: as captured (accepted, or refused for a documented reason), once more (the nonce is used), and with one
parameter added (the signature does not match).
"""

import http.client
import json
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path.insert(0, str(PROJECT / "tests" / "scenarios"))
sys.dont_write_bytecode = True

from harness.server import Server  # noqa: E402

CAPTURED_AT = "2026-11-22T15:00:00Z"
WINDOW = timedelta(minutes=15)
# What a signature's check can answer. Anything else says that the request got past it.
OF_SIGNATURES = {
    "SignatureDoesNotMatch", "IncompleteSignature", "InvalidSignatureMethod", "InvalidSignatureVersion", "SignatureNonceUsed",
    "InvalidTimeStamp.Expired", "InvalidTimeStamp.Format", "InvalidAccessKeyId.NotFound", "MissingSecurityToken",
    "InvalidSecurityToken.Malformed", "InvalidSecurityToken.MismatchWithAccessKey", "MissingAccessKeyId",
}
# Schemes that the service does not offer.
NOT_OFFERED = {"bearer": {"InvalidSecurityToken.Malformed", "IncompleteSignature", "MissingAccessKeyId"}, "ACS3-HMAC-SM3": {"InvalidSignatureMethod"}}


def send(server: Server, row: dict, target: str) -> str:
    """One request with its headers in their order; gives the code of the answer, or "" for a success."""
    at = urlsplit(server.api)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=20)
    try:
        connection.putrequest(row["method"], target, skip_host=True, skip_accept_encoding=True)
        body, chunked = row["body"].encode(), False
        for name, value in row["headers"]:
            chunked |= name.lower() == "transfer-encoding"
            connection.putheader(name, value)
        connection.endheaders()
        if chunked and body:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif chunked:
            body = b"0\r\n\r\n"
        if body:
            connection.send(body)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status < 300:
            return ""
        try:
            return json.loads(text)["Code"]
        except ValueError:
            # A request without a format is answered in XML.
            return text.split("<Code>", 1)[1].split("</Code>", 1)[0] if "<Code>" in text else f"{answer.status} {text[:80]}"
    finally:
        connection.close()


def fields(row: dict) -> dict[str, str]:
    """The parameters of query and form and the headers (in lower case) of a captured request."""
    pairs = parse_qsl(urlsplit(row["target"]).query) + parse_qsl(row["body"])
    return dict(pairs) | {name.lower(): value for name, value in row["headers"]}


def due(row: dict) -> set[str] | None:
    """The refusals that a captured request has a right to; None where its signature has to be accepted."""
    if row["scheme"] in NOT_OFFERED:
        return NOT_OFFERED[row["scheme"]]
    said = fields(row)
    at = datetime.fromisoformat(said.get("Timestamp") or said["x-acs-date"])
    if abs(at - datetime.fromisoformat(CAPTURED_AT)) > WINDOW:
        return {"InvalidTimeStamp.Expired"}
    # A token that this service did not issue, with a permanent key.
    token = said.get("SecurityToken") or said.get("x-acs-security-token")
    return {"InvalidSecurityToken.MismatchWithAccessKey"} if token else None


def main() -> int:
    """All requests; 1 when one of them is answered otherwise than it should be."""
    rows = [row for path in sorted((PROJECT / "fixtures" / "wire").glob("*.json")) for row in json.loads(path.read_text())["rows"]]
    wrong, seen = [], Counter()
    with Server("--clock-start", CAPTURED_AT) as server:
        for turn in ("as captured", "again", "changed"):
            for row in rows:
                target = row["target"] + ("&Added=1" if "?" in row["target"] else "?Added=1") if turn == "changed" else row["target"]
                code, right = send(server, row, target), due(row)
                seen[turn, row["scheme"], code] += 1
                if right is not None:
                    fits = code in right
                elif turn == "as captured":
                    fits = code not in OF_SIGNATURES and not code.startswith("5")
                else:
                    fits = code == {"again": "SignatureNonceUsed", "changed": "SignatureDoesNotMatch"}[turn]
                if not fits:
                    wrong.append(f"{turn}: {row['scheme']} {row['variant']} {row['action']}: {code or 'accepted'}")
    for line in wrong[:20]:
        print(line)
    if "-v" in sys.argv:
        for what, count in sorted(seen.items()):
            print(count, *what)
    print(f"replay: {len(rows)} captured requests in 3 rounds")
    print(f"{3 * len(rows) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
