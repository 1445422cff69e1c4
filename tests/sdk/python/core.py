"""The older Python SDK (aliyun-python-sdk-core with -live) as a speaker: one request class an action, answers as JSON text."""

import importlib
import json

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from lines import Refused, serve


def call(endpoint: str, key: str, secret: str, action: str, params: dict) -> dict | None:
    """One action; None where this version of the SDK has none of that name."""
    try:
        module = importlib.import_module(f"aliyunsdklive.request.v20161101.{action}Request")
    except ModuleNotFoundError:
        return None
    request = getattr(module, f"{action}Request")()
    request.set_accept_format("json")
    request.set_endpoint(endpoint)
    for name, value in params.items():
        # The generated setters of lists carry a plural s.
        setter = getattr(request, f"set_{name}", None) or getattr(request, f"set_{name}s")
        setter(value)
    try:
        return json.loads(AcsClient(key, secret, "cn-shanghai").do_action_with_exception(request))
    except ServerException as error:
        raise Refused(error.error_code, error.http_status, error.message) from error


serve(call)
