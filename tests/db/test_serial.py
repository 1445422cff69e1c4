"""Calls at once against a model, on whatever database: some order of the calls gives the same answers and leaves the same settings behind."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.api import Api
from harness.server import Server
from harness.stage import ENDPOINT

DOMAIN = "serial.example.com"
FUNCTIONS = ["aliauth", "referer_white_list_set", "ip_black_list_set", "forward_scheme", "https_force"]
APPS = ["live", "show"]
URL = "http://127.0.0.1:9/{}"


def function(name: str, value: int) -> dict:
    """One function of BatchSetLiveDomainConfigs."""
    args = {"auth_type": "type_a", "auth_key1": f"key{value}"} if name == "aliauth" else {"value": str(value)}
    return {"functionName": name, "functionArgs": [{"argName": k, "argValue": v} for k, v in args.items()]}


class Model:
    """The settings of one domain, as plainly as can be said. Each method answers the code of its refusal, or nothing."""

    def __init__(self, other: "Model | None" = None):
        self.functions = dict(other.functions) if other else {}
        self.rules = dict(other.rules) if other else {}
        self.notify = dict(other.notify) if other and other.notify else None

    def set(self, names: list[str], value: int) -> None:
        self.functions |= dict.fromkeys(names, value)

    def unset(self, names: list[str]) -> None:
        for name in names:
            self.functions.pop(name, None)

    def add_rule(self, app: str, delay: int) -> str | None:
        if app in self.rules:
            return "ConfigAlreadyExists"
        self.rules[app] = (delay, 0)
        return None

    def update_rule(self, app: str, delay: int | None, mode: int | None) -> str | None:
        if app not in self.rules:
            return "InvalidConfig.NotFound"
        old = self.rules[app]
        self.rules[app] = (old[0] if delay is None else delay, old[1] if mode is None else mode)
        return None

    def delete_rule(self, app: str) -> str | None:
        return None if self.rules.pop(app, None) else "InvalidConfig.NotFound"

    def add_notify(self, url: int) -> str | None:
        if self.notify is not None:
            return "ConfigAlreadyExists"
        self.notify = {"NotifyUrl": URL.format(url), "NeedStatusNotify": False}
        return None

    def update_notify(self, url: int, status: bool | None) -> str | None:
        if self.notify is None:
            return "InvalidConfig.NotFound"
        self.notify = {"NotifyUrl": URL.format(url), "NeedStatusNotify": self.notify["NeedStatusNotify"] if status is None else status}
        return None

    def delete_notify(self) -> str | None:
        gone, self.notify = self.notify, None
        return "InvalidConfig.NotFound" if gone is None else None

    def state(self) -> tuple:
        return self.functions, self.rules, self.notify


def call(api: Api, name: str, args: tuple) -> str | None:
    """The same by the API: the code of the refusal, or nothing."""
    rule = {"DomainName": DOMAIN, "AppName": args[0] if args else None, "OssEndpoint": ENDPOINT}
    match name:
        case "set":
            asked = "BatchSetLiveDomainConfigs", {"DomainNames": DOMAIN, "Functions": json.dumps([function(n, args[1]) for n in args[0]])}
        case "unset":
            asked = "BatchDeleteLiveDomainConfigs", {"DomainNames": DOMAIN, "FunctionNames": ",".join(args[0])}
        case "add_rule":
            asked = "AddLiveAppRecordConfig", rule | {"OssBucket": "serial", "RecordFormat": [{"Format": "flv"}], "DelayTime": args[1]}
        case "update_rule":
            asked = "UpdateLiveAppRecordConfig", rule | {"DelayTime": args[1], "OnDemand": args[2]}
        case "delete_rule":
            asked = "DeleteLiveAppRecordConfig", {"DomainName": DOMAIN, "AppName": args[0]}
        case "add_notify":
            asked = "AddLiveRecordNotifyConfig", {"DomainName": DOMAIN, "NotifyUrl": URL.format(args[0])}
        case "update_notify":
            status = None if args[1] is None else str(args[1]).lower()
            asked = "UpdateLiveRecordNotifyConfig", {"DomainName": DOMAIN, "NotifyUrl": URL.format(args[0]), "NeedStatusNotify": status}
        case "delete_notify":
            asked = "DeleteLiveRecordNotifyConfig", {"DomainName": DOMAIN}
        case _:
            raise AssertionError(name)
    status, body = api.ask(asked[0], **{k: v for k, v in asked[1].items() if v is not None})
    assert status < 500, body
    return None if status == 200 else body["Code"]


def state(server: Server) -> tuple:
    """What the server has."""
    api = Api(server.api)
    functions = {}
    answer = api.call("DescribeLiveDomainConfigs", DomainName=DOMAIN, FunctionNames=",".join(FUNCTIONS))
    for row in answer["DomainConfigs"].get("DomainConfig", []):
        args = {arg["ArgName"]: arg["ArgValue"] for arg in row["FunctionArgs"]["FunctionArg"]}
        functions[row["FunctionName"]] = int(args["auth_key1"][3:] if row["FunctionName"] == "aliauth" else args["value"])
    answer = api.call("DescribeLiveRecordConfig", DomainName=DOMAIN)
    rules = {row["AppName"]: (row["DelayTime"], row["OnDemond"]) for row in answer["LiveAppRecordList"].get("LiveAppRecord", [])}
    status, body = api.ask("DescribeLiveRecordNotifyConfig", DomainName=DOMAIN)
    notify = {k: body["LiveRecordNotifyConfig"][k] for k in ("NotifyUrl", "NeedStatusNotify")} if status == 200 else None
    return functions, rules, notify


def some_call(draw: random.Random) -> tuple[str, tuple]:
    """A call of a random writing action."""
    names, value, app = draw.sample(FUNCTIONS, draw.randint(1, 2)), draw.randint(0, 999), draw.choice(APPS)
    return draw.choice(
        [
            ("set", (names, value)),
            ("set", (names, value)),
            ("unset", (names,)),
            ("add_rule", (app, draw.randint(15, 600))),
            ("update_rule", (app, draw.choice([None, draw.randint(15, 600)]), draw.choice([None, 0, 1, 2]))),
            ("update_rule", (app, draw.choice([None, draw.randint(15, 600)]), draw.choice([None, 0, 1, 2]))),
            ("delete_rule", (app,)),
            ("add_notify", (value,)),
            ("update_notify", (value, draw.choice([None, True, False]))),
            ("update_notify", (value, draw.choice([None, True, False]))),
            ("delete_notify", ()),
        ]
    )


def at_once(server: Server, calls: list[tuple[str, tuple]]) -> list[str | None]:
    """The answers to calls that start together."""
    barrier = threading.Barrier(len(calls))

    def run(asked: tuple[str, tuple]) -> str | None:
        barrier.wait(30)
        return call(Api(server.api), *asked)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def explained(model: Model, calls: list, left: tuple) -> Model | None:
    """The model after an order of the answered calls that leaves `left` behind."""
    if not calls:
        return model if model.state() == left else None
    for n, ((name, args), told) in enumerate(calls):
        after = Model(model)
        if getattr(after, name)(*args) == told and (found := explained(after, calls[:n] + calls[n + 1 :], left)):
            return found
    return None


@pytest.mark.parametrize("seed", range(4))
def test_calls_at_once_have_an_order(tmp_path, seed):
    draw = random.Random(seed)
    folder = tmp_path / "data"
    model = Model()
    with Server(data_dir=folder) as server:
        for _ in range(20):
            calls = [some_call(draw) for _ in range(draw.randint(2, 6))]
            told = list(zip(calls, at_once(server, calls), strict=True))
            left = state(server)
            after = explained(model, told, left)
            assert after, f"no order of {told} after {model.state()} gives {left}"
            model = after
    with Server(data_dir=folder) as server:
        assert state(server) == model.state()


def test_five_settings_of_one_domain_at_once_twenty_times(tmp_path):
    """What `terraform apply` and `destroy` of five settings do."""
    with Server(data_dir=tmp_path / "data") as server:
        for n in range(20):
            at_once(server, [("set", ([name], n)) for name in FUNCTIONS])
            assert state(server)[0] == dict.fromkeys(FUNCTIONS, n)
            at_once(server, [("unset", ([name],)) for name in FUNCTIONS])
            assert state(server)[0] == {}
