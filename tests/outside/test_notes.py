"""What a call does otherwise than asked, or takes beyond the reference: the answer's header, the journal and `explain` say so."""

import json
import uuid

import pytest

from harness.api import Api
from harness.notes import explained, noted

FUNCTIONS = [
    {"functionName": "aliauth", "functionArgs": [{"argName": "auth_type", "argValue": "type_a"}, {"argName": "auth_key1", "argValue": 'it\'s "x" \\ 中'}]}
]


def test_functions_as_python_prints_them(server):
    domain = f"py-{uuid.uuid4().hex[:8]}.example.com"
    status, body, note = noted(server, "BatchSetLiveDomainConfigs", DomainNames=domain, Functions=str(FUNCTIONS))
    assert status == 200, body
    assert note and "Functions" in note and "Python" in note
    stored = Api(server.api).call("DescribeLiveDomainConfigs", DomainName=domain, FunctionNames="aliauth")
    (function,) = stored["DomainConfigs"]["DomainConfig"]
    args = {arg["ArgName"]: arg["ArgValue"] for arg in function["FunctionArgs"]["FunctionArg"]}
    assert args == {"auth_type": "type_a", "auth_key1": 'it\'s "x" \\ 中'}
    assert explained(server, domain) == [note]
    # Of another domain nothing is said.
    assert explained(server, "other.example.com") == []


def test_functions_as_json_need_no_note(server):
    status, body, note = noted(server, "BatchSetLiveDomainConfigs", DomainNames="json.example.com", Functions=json.dumps(FUNCTIONS))
    assert (status, note) == (200, None), body


def test_a_json_parameter_of_another_action_as_python_prints_it(server):
    """The rule is that of every parameter whose spec says JSON, also where the action is not implemented."""
    status, body, note = noted(server, "PutRecordStorageLifeCycle", StreamIds=str(["it's", "b"]), Tag="t", UnixTimestamp=1)
    assert (status, body["Code"]) == (400, "ActionNotImplemented"), body
    assert note and "StreamIds" in note


@pytest.mark.parametrize("text", ["[{'functionName': 'aliauth'", "[{functionName: 'aliauth'}]", "[{'functionName': 'aliauth'},]", "'", "[b'x']", "__import__('os')"])
def test_what_is_neither_is_refused(server, text):
    status, body, note = noted(server, "BatchSetLiveDomainConfigs", DomainNames="bad-json.example.com", Functions=text)
    assert (status, body["Code"], note) == (400, "InvalidFunctions.Malformed", None), body
