"""Notes: what a call did otherwise than asked, where it is told."""

import json

from .api import Api, escape
from .server import Server


def noted(server: Server, action: str, **params: object) -> tuple[int, dict, str | None]:
    """One call: its status, its body and its note; the journal has to say the same."""
    api = Api(server.api)
    flat = api.signed(action, **params)
    status, headers, body = api.send("GET", "/?" + "&".join(f"{escape(name)}={escape(value)}" for name, value in flat.items()))
    (entry,) = server.rows("/_localyun/requests?limit=1", "requests")
    note = headers.get("x-localyun-note")
    assert "; ".join(entry["notes"]) == (note or ""), entry
    return status, json.loads(body), note


def explained(server: Server, domain: str, app: str = "live", stream: str = "s1") -> list[str]:
    """The notes of `explain`, the newest first."""
    body = server.get(f"/_localyun/explain?domain={domain}&app={app}&stream={stream}")
    assert isinstance(body, dict)
    return [note for row in body["notes"] for note in row["notes"]]
