"""A signed caller of the OpenAPI: RPC signature V1 (HMAC-SHA1) written from its definition, with no SDK in between."""

import base64
import hashlib
import hmac
import http.client
import json
import uuid
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

VERSION = "2016-11-01"


class ApiError(AssertionError):
    """An answer that is not 2xx."""

    def __init__(self, action: str, status: int, body: dict):
        super().__init__(f"{action}: {status} {body}")
        self.status = status
        self.body = body
        self.code = body.get("Code")
        self.message = body.get("Message", "")


def escape(text: str) -> str:
    """Percent-encoding as the signature wants it: RFC 3986 with only the unreserved characters kept."""
    return quote(text, safe="-_.~")


def sign(params: dict[str, str], secret: str, method: str) -> str:
    """The V1 signature over all parameters but itself."""
    canonical = "&".join(f"{escape(k)}={escape(v)}" for k, v in sorted(params.items()))
    text = f"{method}&{escape('/')}&{escape(canonical)}"
    return base64.b64encode(hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()).decode()


def flatten(name: str, value: object) -> dict[str, str]:
    """One parameter as the wire has it: lists count from 1, nested names are joined by dots, booleans are lower case."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flatten(f"{name}.{key}", inner).items()}
    if isinstance(value, (list, tuple)):
        return {k: v for at, inner in enumerate(value, 1) for k, v in flatten(f"{name}.{at}", inner).items()}
    if isinstance(value, bool):
        return {name: "true" if value else "false"}
    return {name: str(value)}


class Api:
    """Calls actions of one server with one key."""

    def __init__(self, base: str, key: str = "testid", secret: str = "testsecret"):
        at = urlsplit(base)
        self.host, self.port = at.hostname or "127.0.0.1", at.port or 80
        self.key, self.secret = key, secret

    def signed(self, action: str, method: str = "GET", **params: object) -> dict[str, str]:
        """The full, signed parameter set of one call. A parameter that is None is left out."""
        flat = {
            "Action": action,
            "Version": VERSION,
            "Format": "JSON",
            "AccessKeyId": self.key,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": uuid.uuid4().hex,
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for name, value in params.items():
            if value is not None:
                flat |= flatten(name, value)
        flat["Signature"] = sign(flat, self.secret, method)
        return flat

    def send(self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """One raw HTTP request to the API port: status, headers (lower-case names) and body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def ask(self, action: str, **params: object) -> tuple[int, dict]:
        """One signed GET: status and JSON body, whatever the status."""
        flat = self.signed(action, **params)
        query = "&".join(f"{escape(k)}={escape(v)}" for k, v in flat.items())
        status, _, body = self.send("GET", f"/?{query}")
        return status, json.loads(body)

    def call(self, action: str, **params: object) -> dict:
        """As `ask`, where anything but 2xx raises ApiError."""
        status, body = self.ask(action, **params)
        if not 200 <= status < 300:
            raise ApiError(action, status, body)
        return body
