"""The current Python SDK (alibabacloud_live20161101) as a speaker: one typed model and one method an action."""

import importlib
import re

from alibabacloud_live20161101.client import Client
from alibabacloud_tea_openapi.models import Config
from lines import Refused, serve

MODELS = importlib.import_module("alibabacloud_live20161101.models")


def call(endpoint: str, key: str, secret: str, action: str, params: dict) -> dict | None:
    """One action; None where this version of the SDK has none of that name."""
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()
    kind = getattr(MODELS, f"{action}Request", None)
    if kind is None:
        return None
    client = Client(Config(access_key_id=key, access_key_secret=secret, endpoint=endpoint, protocol="http", region_id="cn-shanghai"))
    try:
        return getattr(client, method)(kind().from_map(params)).body.to_map()
    except Exception as error:
        code = getattr(error, "code", None)
        if code is None:
            raise
        data = getattr(error, "data", None) or {}
        status = getattr(error, "status_code", None) or getattr(error, "statusCode", None) or data.get("statusCode") or 0
        raise Refused(code, int(status), str(error)) from error


serve(call)
