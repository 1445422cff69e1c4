"""The two generations of the official Python SDK behind one call, so that one set of tests drives both."""

import importlib
import json
import os
import re
from urllib.parse import urlsplit

# Both SDKs take proxies from the environment, and the older one passes them on explicitly.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


class SdkError(Exception):
    """What an SDK raised, reduced to what its users look at."""

    def __init__(self, code: str, status: int, message: str):
        super().__init__(f"{status} {code}: {message}")
        self.code = code
        self.status = status
        self.message = message


class Acs3:
    """The current SDK (alibabacloud_live20161101): ACS3-HMAC-SHA256, one model class per action."""

    name = "acs3"

    def __init__(self, api: str, key: str = "testid", secret: str = "testsecret"):
        from alibabacloud_live20161101.client import Client
        from alibabacloud_tea_openapi.models import Config

        self.client = Client(
            Config(access_key_id=key, access_key_secret=secret, endpoint=urlsplit(api).netloc, protocol="http", region_id="cn-shanghai")
        )
        self.models = importlib.import_module("alibabacloud_live20161101.models")

    def call(self, action: str, **params: object) -> dict:
        """One action; the answer as the SDK parsed it into its model."""
        request = getattr(self.models, f"{action}Request")().from_map(params)
        method = getattr(self.client, re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower())
        try:
            return method(request).body.to_map()
        except Exception as error:
            status = getattr(error, "status_code", None) or getattr(error, "statusCode", None)
            if status is None:
                raise
            raise SdkError(error.code, int(status), str(error)) from error


class Core:
    """The older SDK (aliyun-python-sdk-core with -live): RPC signature V1, one request class per action."""

    name = "v1"

    def __init__(self, api: str, key: str = "testid", secret: str = "testsecret"):
        from aliyunsdkcore.client import AcsClient

        self.endpoint = urlsplit(api).netloc
        self.client = AcsClient(key, secret, "cn-shanghai", timeout=30)

    def call(self, action: str, **params: object) -> dict:
        """One action; the answer as JSON."""
        from aliyunsdkcore.acs_exception.exceptions import ServerException

        module = importlib.import_module(f"aliyunsdklive.request.v20161101.{action}Request")
        request = getattr(module, f"{action}Request")()
        request.set_accept_format("json")
        request.set_endpoint(self.endpoint)
        # The classes of newer actions ask for TLS, whatever the client says.
        request.set_protocol_type("http")
        for name, value in params.items():
            setter = getattr(request, f"set_{name}", None) or getattr(request, f"set_{name}s", None)
            # Some generated classes lack parameters that the action has: users then add them by name.
            setter(value) if setter else request.add_query_param(name, value)
        try:
            return json.loads(self.client.do_action_with_exception(request))
        except ServerException as error:
            raise SdkError(error.error_code, error.http_status, error.message) from error
