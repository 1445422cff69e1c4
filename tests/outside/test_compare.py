"""`compare` and `coverage --against`: every script against a second localyun, differences on purpose, reports, refusals."""

import json
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path

import pytest

import differences
from altering import Altering, planted
from harness.server import PROJECT, Server, binary, clean_environment

PARITY = PROJECT / "tests" / "parity"
KEY = "testid:testsecret"


def frozen() -> tuple[str, ...]:
    """Two servers with one clock that only `compare` moves, so that no minute passes on one side alone."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "--clock", "frozen", "--clock-start", now


@pytest.fixture(scope="module")
def pair():
    """A localyun and the one that it is compared with."""
    flags = frozen()
    with Server(*flags) as here, Server(*flags) as there:
        yield here, there


def compare(here: str, there: str | None, *words: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    command = [binary(), "compare", *map(str, words), "--server", here]
    if there:
        command += ["--upstream", there, "--upstream-access-key", KEY]
    return subprocess.run(command, capture_output=True, text=True, timeout=540, env=clean_environment() | (environment or {}))


def told(done: subprocess.CompletedProcess) -> dict:
    assert done.stdout.startswith("{"), (done.returncode, done.stdout[:500], done.stderr[-3000:])
    return json.loads(done.stdout)


def wrong(run: dict) -> list[str]:
    """What is not the same, in a line each."""
    lines = []
    for step in run["steps"]:
        if step["verdict"] != "same":
            why = step.get("why") or json.dumps(step.get("differences"))
            lines.append(f"{step['script']} line {step['line']} {step['step']}: {step['verdict']}: {why}")
    return lines


def test_every_script_is_the_same_against_a_second_localyun(pair):
    here, there = pair
    done = compare(here.api, there.api, PARITY, "--upstream-localyun", "--allow", "all", "--json")
    run = told(done)
    assert wrong(run) == [] and done.returncode == 0, done.stderr[-2000:]
    scripts = {step["script"] for step in run["steps"]}
    assert scripts == {path.stem for path in PARITY.glob("*.yaml")}
    assert run["same"] > 400


def test_every_call_of_every_script_finds_a_planted_difference(pair):
    here, there = pair
    with Altering(there.api, planted) as proxy:
        done = compare(here.api, proxy.url, PARITY, "--upstream-localyun", "--allow", "all", "--json")
    run = told(done)
    assert done.returncode == 1, wrong(run)[:20]
    deep = 0
    for step in run["steps"]:
        if step["action"] is None or step["step"].startswith("wait for"):
            continue
        # What a setup asks for is only asked whether it came about.
        if not step["parameters"] or not is_compared(step):
            continue
        assert step["verdict"] == "different", step
        places = {found["at"] for found in step["differences"]}
        assert places & {"/PlantedAbove", "/Code"}, step
        deep += any(place.count("/") > 1 and place.endswith("/Planted") for place in places)
    assert deep > 60


def is_compared(step: dict) -> bool:
    """Whether a step stands in `steps`, by its line."""
    text = Path(step["file"]).read_text().splitlines()
    begin = text.index("steps:") + 1
    end = text.index("cleanup:") + 1 if "cleanup:" in text else len(text) + 1
    return begin < step["line"] < end


def test_an_upstream_that_differs_in_known_ways(pair, tmp_path):
    """Each way is found, at its place, and nothing else."""
    here, there = pair
    assert len(differences.WAYS) >= 30
    script = tmp_path / "differences.yaml"
    script.write_text(differences.script())
    with Altering(there.api, differences.alter) as proxy:
        done = compare(here.api, proxy.url, script, "--allow", "write,delete", "--json", "--upstream-push", "127.0.0.1:9")
    run = told(done)
    found = {
        step["step"]: [(one["way"], one["at"]) for one in step.get("differences", [])] for step in run["steps"] if step["step"] in differences.WAYS
    }
    assert found == {name: expected for name, (_, _, expected) in differences.WAYS.items()}
    natural = {step["step"]: step["verdict"] for step in run["steps"] if step["step"] in differences.NATURAL}
    assert natural == dict.fromkeys(differences.NATURAL, "same")
    assert (done.returncode, run["different"], run["failed"]) == (1, len(differences.WAYS), 0)


def test_only_what_is_allowed_is_done(pair):
    here, there = pair
    before = here.get("/_localyun/requests?limit=1")["total"], there.get("/_localyun/requests?limit=1")["total"]
    done = compare(here.api, there.api, PARITY / "ForbidLiveStream.yaml", "--allow", "write", "--json")
    run = told(done)
    assert done.returncode == 2
    assert [(step["verdict"], step["why"]) for step in run["steps"]] == [("not run", "needs --allow push")]
    assert before == (here.get("/_localyun/requests?limit=1")["total"], there.get("/_localyun/requests?limit=1")["total"])
    done = compare(here.api, there.api, PARITY / "DescribeLiveDomainLimit.yaml", "--all")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 same, 0 different, 0 not run, 0 failed"


def test_reports(pair, tmp_path):
    """JUnit for continuous integration; a report to be sent, without anything that is nobody else's business."""
    here, there = pair
    junit, report = tmp_path / "junit.xml", tmp_path / "report.json"

    def alter(action, query, answer):
        status, headers, parsed = answer
        parsed["Owner"] = {"Bill": 1234567890123456, "Domain": "secret-customer.example.org", "NotifyAuthKey": "swordfish", "Text": "by LTAI5tABCDEFGHIJKLMN from 203.0.113.9"}
        return status, headers, parsed

    with Altering(there.api, alter) as proxy:
        done = compare(
            here.api, proxy.url, PARITY / "DescribeLiveDomainLimit.yaml", "--junit", junit, "--report", report, "--var", "domain=live.big-customer.com"
        )
    assert done.returncode == 1
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[0][0] == "DescribeLiveDomainLimit" and rows[0][3:5] == ["only there", "/Owner"]
    suites = ElementTree.parse(junit).getroot()
    assert suites.attrib["failures"] == "2" and len(suites.findall("./testsuite/testcase/failure")) == 2
    text = report.read_text()
    for private in ("customer", "swordfish", "1234567890123456", "LTAI", "203.0.113.9", "testsecret", "testid"):
        assert private not in text, private
    told = json.loads(text)
    assert told["steps"][0]["parameters"] == {"DomainName": "<domain 1>"}
    owner = told["steps"][0]["differences"][0]["there"]
    assert (owner["Bill"], owner["Domain"], owner["NotifyAuthKey"]) == ("<account 1>", "<domain 2>", "***")


BAD = {
    "script: x\nstep: []\n": "line 2: unknown key of a script `step`; did you mean `steps`?",
    "script: x\nsteps:\n  - cal: X\n": "line 3: unknown key of a step `cal`; did you mean `call`?",
    "script: x\nsteps:\n  - call: DescribeLiveDomainLimt\n": "line 3: unknown action `DescribeLiveDomainLimt`; did you mean `DescribeLiveDomainLimit`?",
    "script: x\nsteps: &a\n  - sleep: 1\n": "line 2: anchors (&name) are not taken",
    "a: [" * 40: "line 1: ",
    "": "line 1: there is nothing in it",
    "x" * (1024 * 1024 + 1): "line 1: a script has at most 1048576 bytes",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_script_that_is_none_is_told_with_its_line(pair, tmp_path, text):
    here, there = pair
    script = tmp_path / "bad.yaml"
    script.write_text(text)
    done = compare(here.api, there.api, script)
    assert done.returncode == 2 and done.stdout == ""
    assert BAD[text] in done.stderr and "bad.yaml: " in done.stderr and done.stderr.count("\n") == 1


def test_what_cannot_run_says_why(pair, tmp_path):
    here, there = pair
    script = PARITY / "DescribeLiveDomainLimit.yaml"
    nobody = compare(here.api, "http://127.0.0.1:9", script)
    assert nobody.returncode == 2 and "the upstream: no connection to http://127.0.0.1:9" in nobody.stdout
    nobody = compare("http://127.0.0.1:9", there.api, script)
    assert nobody.returncode == 2 and "no connection to http://127.0.0.1:9" in nobody.stderr
    itself = compare(here.api, here.api, script)
    assert itself.returncode == 2 and "is the server that is to be compared" in itself.stderr
    keyless = compare(here.api, None, script)
    assert keyless.returncode == 2 and "LOCALYUN_UPSTREAM" in keyless.stderr
    by_environment = compare(here.api, None, script, environment={"LOCALYUN_UPSTREAM": there.api, "LOCALYUN_UPSTREAM_ACCESS_KEY": KEY})
    assert by_environment.returncode == 0, by_environment.stderr
    unknown = compare(here.api, there.api, script, "--allow", "delte")
    assert unknown.returncode == 2 and "did you mean delete?" in unknown.stderr
    missing = compare(here.api, there.api, tmp_path / "none.yaml")
    assert missing.returncode == 2 and "none.yaml" in missing.stderr
    empty = compare(here.api, there.api, tmp_path)
    assert empty.returncode == 2 and "there is no script" in empty.stderr
    strange = compare(here.api, there.api, script, environment={"LOCALYUN_ACCESS_KEYS": "nobody:nothing"})
    assert strange.returncode == 2 and "localyun answers 404 InvalidAccessKeyId.NotFound" in strange.stdout


def test_a_localyun_that_only_hands_on_is_not_compared(pair):
    here, there = pair

    def forwarded(action, query, answer):
        status, headers, parsed = answer
        return status, headers | {"x-localyun-upstream": "https://live.aliyuncs.com"}, parsed

    with Altering(here.api, forwarded) as proxy:
        done = compare(proxy.url, there.api, PARITY / "DescribeLiveDomainLimit.yaml")
    assert done.returncode == 2 and "nothing of its own to compare" in done.stdout


def test_a_cleanup_is_made_after_a_failure(pair, tmp_path):
    here, there = pair
    script = tmp_path / "cleanup.yaml"
    rule = "with: {DomainName: d.example.com, AppName: cleaned, OssBucket: b-ucket, OssEndpoint: oss-cn-shanghai.aliyuncs.com, RecordFormat: [{Format: mp4}]}"
    script.write_text(
        f"""script: cleanup
setup:
  - call: AddLiveAppRecordConfig
    {rule}
  - call: AddLiveAppRecordConfig
    {rule}
steps:
  - call: DescribeLiveRecordConfig
    with: {{DomainName: d.example.com}}
cleanup:
  - call: DeleteLiveAppRecordConfig
    with: {{DomainName: d.example.com, AppName: cleaned}}
"""
    )
    done = compare(here.api, there.api, script, "--allow", "write,delete", "--json")
    run = told(done)
    assert done.returncode == 2
    assert [step["verdict"] for step in run["steps"]] == ["same", "failed", "not run"]
    assert "ConfigAlreadyExists" in run["steps"][1]["why"]
    for server in pair:
        # Others use the pair too.
        assert [rule for rule in server.get("/_localyun/snapshot")["rules"] if rule["app"] == "cleaned"] == []


def test_a_second_interrupt_ends_the_cleanup_too(pair, tmp_path):
    here, there = pair
    script = tmp_path / "stuck.yaml"
    script.write_text(
        """script: stuck
steps:
  - call: DescribeLiveRecordConfig
    with: {DomainName: d.example.com}
cleanup:
  - call: DeleteLiveAppRecordConfig
    with: {DomainName: d.example.com, AppName: stuck}
"""
    )
    arrived, release = threading.Event(), threading.Event()

    def alter(action, query, answer):
        if action == "DeleteLiveAppRecordConfig":
            arrived.set()
            release.wait(50)
        return answer

    with Altering(there.api, alter) as proxy:
        words = [binary(), "compare", str(script), "--allow", "delete", "--json", "--server", here.api, "--upstream", proxy.url, "--upstream-access-key", KEY]
        running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
        try:
            assert arrived.wait(30)
            running.send_signal(signal.SIGINT)
            time.sleep(1)
            # What was set up is taken away, however long that takes.
            assert running.poll() is None
            running.send_signal(signal.SIGINT)
            out, complaints = running.communicate(timeout=10)
        finally:
            release.set()
            running.kill()
            running.wait()
    assert running.returncode == 2 and "interrupted again" in complaints, complaints
    left = json.loads(out)["steps"][-1]
    assert (left["action"], left["verdict"]) == ("DeleteLiveAppRecordConfig", "failed") and "not cleaned up" in left["why"]


# ---- coverage --against

SPEC = PROJECT / "api-spec" / "2016-11-01"
ENCODINGS = {"repeat": "repeat-list", "json": "json-string", "comma": "comma-separated", "dotted": "dotted"}
WIDE = {"int32": "integer", "int64": "integer", "float": "number", "bool": "boolean"}


def surveyed_type(word: str) -> dict:
    out = {"type": WIDE.get(word, word)}
    if word in ("int32", "int64"):
        out["format_int"] = word
    return out


def surveyed_parameter(param: dict) -> dict:
    """A parameter as the survey has it that api-spec was imported from."""
    out = {"name": param.get("name"), "required": bool(param.get("required")), "example": "x", **surveyed_type(param["type"])}
    if "encoding" in param:
        out["encoding"] = ENCODINGS[param["encoding"]]
    if "fields" in param:
        out["fields"] = [surveyed_parameter(field) for field in param["fields"]]
    if "item" in param:
        out["item"] = surveyed_parameter(param["item"])
    limits = {"enum": "enum", "min": "minimum", "max": "maximum", "minLength": "minLength", "maxLength": "maxLength", "minItems": "minItems", "maxItems": "maxItems"}
    constraints = {theirs: param[ours] for ours, theirs in limits.items() if ours in param}
    if "chars" in param:
        constraints["pattern"] = f"^[{param['chars']}]+$"
    if constraints:
        out["constraints"] = constraints
    facts = {("doc_" + name if name not in ("multi", "format") else name): value for name, value in param.get("documented", {}).items()}
    if facts:
        out["documented"] = facts
    out["in"] = param.get("in", "query")
    if param.get("internal"):
        out["internal"] = True
    return out


def surveyed_answer(shape: object) -> dict:
    if isinstance(shape, dict):
        return {"type": "object", "fields": {name: surveyed_answer(member) for name, member in shape.items()}}
    if isinstance(shape, list):
        return {"type": "array", "item": surveyed_answer(shape[0])}
    kind = surveyed_type(shape)
    if "format_int" in kind:
        kind["format"] = kind.pop("format_int")
    return kind


def survey() -> dict:
    """The whole embedded API as a survey."""
    actions = []
    for path in sorted((SPEC / "actions").glob("*.json")):
        action = json.loads(path.read_text())
        actions.append(
            {
                "name": action["action"],
                "family": action["family"],
                "rw": action["access"],
                "meta_http_methods": [method.lower() for method in action["methods"]],
                "qps_limit": action.get("rate"),
                "request": [surveyed_parameter(param) for param in action["request"]],
                "response": {name: surveyed_answer(shape) for name, shape in action["response"].items()},
                "errors": [{"code": error["code"], "http": error["status"], "source": "s"} for error in action["errors"]],
            }
        )
    return {"product": "live", "version": "2016-11-01", "actions": actions}


def against(path: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([binary(), "coverage", "--against", str(path), *words], capture_output=True, text=True, timeout=60, env=clean_environment())


def test_the_embedded_api_has_not_drifted_from_itself(tmp_path):
    path = tmp_path / "survey.json"
    path.write_text(json.dumps(survey()))
    done = against(path)
    assert (done.returncode, done.stdout) == (0, "437 actions compared: nothing has changed\n"), done.stdout[:2000]


def test_each_change_of_a_newer_api_is_listed(tmp_path):
    newer = survey()
    by_name = {action["name"]: action for action in newer["actions"]}
    add = by_name["AddLiveAppRecordConfig"]
    add["request"].append({"name": "Colour", "type": "string", "required": False})
    add["request"] = [param for param in add["request"] if param["name"] != "OnDemand"]
    next(param for param in add["request"] if param["name"] == "DelayTime")["required"] = True
    add["errors"] = [error for error in add["errors"] if error["code"] != "MissingOssObjectPrefix"] + [{"code": "Brand.New", "http": 409, "source": "s"}]
    by_name["DescribeLiveDomainLimit"]["response"]["More"] = {"type": "string"}
    newer["actions"] = [action for action in newer["actions"] if action["name"] != "VerifyLiveDomainOwner"] + [by_name["StartCaster"] | {"name": "StartEverything"}]
    path = tmp_path / "survey.json"
    path.write_text(json.dumps(newer))
    done = against(path, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    rows = [(row["action"], row["became"], row["part"], row["name"], row.get("fact")) for row in told["changes"]]
    assert rows == [
        ("AddLiveAppRecordConfig", "new", "parameter", "Colour", None),
        ("AddLiveAppRecordConfig", "changed", "parameter", "DelayTime", "required"),
        ("AddLiveAppRecordConfig", "gone", "parameter", "OnDemand", None),
        ("AddLiveAppRecordConfig", "new", "error", "Brand.New", None),
        ("AddLiveAppRecordConfig", "gone", "error", "MissingOssObjectPrefix", None),
        ("DescribeLiveDomainLimit", "new", "answer", "More", None),
        ("StartEverything", "new", "action", "", None),
        ("VerifyLiveDomainOwner", "gone", "action", "", None),
    ]
    assert told["compared"] == 436 and all(row["implemented"] == (row["action"] != "StartEverything") for row in told["changes"])
    lines = against(path).stdout.splitlines()
    assert lines[1].split("\t")[:5] == ["AddLiveAppRecordConfig", "implemented", "changed", "parameter", "DelayTime (required)"]
    assert lines[-1].startswith("436 actions compared: 1 actions new, 1 actions gone, ")


def doubling() -> str:
    """A description whose references lead to two, each of which leads to two, and so on."""
    schemas = {f"S{at}": {"type": "object", "properties": {name: {"$ref": f"#/components/schemas/S{at + 1}"} for name in "AB"}} for at in range(30)}
    schemas["S30"] = {"type": "string"}
    answer = {"200": {"schema": {"$ref": "#/components/schemas/S0"}}}
    return json.dumps({"apis": {"A": {"responses": answer}}, "components": {"schemas": schemas}})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"actions": []}', '{"product": "vod", "actions": [{"name": "A"}]}', '{"apis": {}}', "[" * 200, doubling()])
def test_what_is_no_description_is_refused(tmp_path, text):
    path = tmp_path / "newer.json"
    path.write_text(text)
    done = against(path)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1 and "newer.json: " in done.stderr
