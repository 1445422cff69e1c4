"""What both Python speakers share: a request a line in, an answer a line out (see ../speaker.py)."""

import json
import os
import sys
from collections.abc import Callable


class Refused(Exception):
    """The error that the SDK raised for an answer of the server."""

    def __init__(self, code: str, status: int, message: str):
        super().__init__(message)
        self.code, self.status, self.message = code, status, message


def serve(call: Callable[[str, str, str, str, dict], dict | None]) -> None:
    """Answers every line of standard input by `call` until it ends."""
    endpoint = os.environ["ALIBABA_CLOUD_ENDPOINT"]
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            body = call(endpoint, asked["key"], asked["secret"], asked["action"], asked["params"])
            said = {"lacks": True} if body is None else {"body": body}
        except Refused as error:
            said = {"code": error.code, "status": error.status, "message": error.message}
        except Exception as error:
            said = {"broken": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), flush=True)
