#!/usr/bin/env python3
"""Writes 2016-11-01/actions/*.json and 2016-11-01/manifest.json from a survey of the product's 437 actions.

Usage: import.py ACTIONS_JSON

Only facts are taken over: names, types, required flags, limits, enumerations, encodings, answer trees, error codes,
request rates and methods. Sample values and sentences are left behind. The output is never edited by hand;
corrections belong into patches.json. The format is described in README.md.
"""
import hashlib
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "2016-11-01"
PAGING = {"PageNum", "PageNumber", "PageNo", "PageSize", "Order"}
ENCODINGS = {"repeat-list": "repeat", "json-string": "json", "comma-separated": "comma", "dotted": "dotted"}
LENGTHS = ("minLength", "maxLength", "minItems", "maxItems")


def scalar(node):
    """The type word of a leaf: integers by width, everything else as it is."""
    kind = node["type"]
    if kind == "integer":
        return node.get("format_int") or node.get("format") or "int64"
    return {"number": "float", "boolean": "bool"}.get(kind, kind)


def number(text):
    value = float(text)
    return int(value) if value.is_integer() else value


def char_class(pattern):
    """The one kind of pattern the source knows, `^[class]+$`, as the text of the class."""
    found = re.fullmatch(r"\^\[([^\]]+)\]\+\$", pattern)
    if not found:
        sys.exit(f"pattern not understood: {pattern}")
    return found.group(1)


def limits(source):
    out = {}
    if source.get("enum"):
        out["enum"] = [str(v) for v in source["enum"]]
    for ours, theirs in (("min", "minimum"), ("max", "maximum")):
        if theirs in source:
            out[ours] = number(source[theirs])
    out.update({k: source[k] for k in LENGTHS if k in source})
    if "pattern" in source:
        out["chars"] = char_class(source["pattern"])
    return out


def documented(source):
    """What a page says and the gateway is not known to enforce."""
    out = {}
    for ours, theirs in (("values", "doc_values"), ("default", "doc_default"), ("range", "doc_range"), ("max", "doc_max"),
                         ("limit", "doc_limit"), ("multi", "multi")):
        if theirs in source and "<props" not in str(source[theirs]):
            out[ours] = source[theirs]
    if source.get("format", "").startswith("date-time"):
        out["format"] = "date-time"
    return out


def paging_default(param, read):
    """A documented default is filled in only where it cannot change a meaning: the paging of a reading action."""
    text = param.get("documented", {}).get("doc_default")
    if not read or text is None or param["name"] not in PAGING:
        return None
    if param["type"] == "integer":
        return int(text) if re.fullmatch(r"\d+", text) else None
    return text if text in param.get("constraints", {}).get("enum", []) else None


def shape(param, read, flat):
    """Type, encoding and members. Below a parameter that holds JSON text nothing travels as flat pairs any more."""
    out = {"type": scalar(param)}
    encoding = ENCODINGS.get(param.get("encoding"))
    if flat and encoding:
        out["encoding"] = encoding
    inside = flat and encoding in (None, "repeat", "dotted")
    if "fields" in param:
        out["fields"] = [parameter(f, read, inside) for f in param["fields"]]
    if "item" in param:
        out["item"] = shape(param["item"], read, inside)
    return out


def parameter(param, read, flat=True):
    out = {"name": param["name"]}
    out.update(shape(param, read, flat))
    if param["required"]:
        out["required"] = True
    default = paging_default(param, read)
    if default is not None:
        out["default"] = default
    out.update(limits(param.get("constraints", {})))
    facts = documented(param.get("documented", {}))
    if facts:
        out["documented"] = facts
    if param.get("in") == "body":
        out["in"] = "body"
    if param.get("internal"):
        out["internal"] = True
    for key in ("since", "required_sources"):
        if key in param:
            out[{"required_sources": "requiredSources"}.get(key, key)] = param[key]
    return out


def answer(node):
    """A leaf is its type word, an object the map of its fields, a list an array with its one item."""
    if node["type"] == "object":
        return {name: answer(child) for name, child in node["fields"].items()}
    if node["type"] == "array":
        return [answer(node["item"])]
    return scalar(node)


def action(source):
    read = source["rw"] == "read"
    out = {"action": source["name"], "family": source["family"], "access": source["rw"]}
    out["methods"] = sorted({m.upper() for m in source["meta_http_methods"] or []} or {"GET", "POST"})
    if source["qps_limit"]:
        out["rate"] = source["qps_limit"]
    if not source["in_meta_2025_12"]:
        out["inGatewayMetadata"] = False
    out["request"] = [parameter(p, read) for p in source["request"]]
    out["response"] = {name: answer(node) for name, node in source["response"].items()}
    out["errors"] = [{"code": e["code"], "status": int(e["http"]), "source": e["source"]} for e in source["errors"]]
    return out


def line(value):
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def render(spec):
    """One line for each parameter, each answer field and each error: short, and readable in a diff."""
    rows = []
    for key, value in spec.items():
        if key in ("request", "errors") and value:
            body = ",\n".join("    " + line(v) for v in value)
            rows.append(f'  "{key}": [\n{body}\n  ]')
        elif key == "response" and value:
            body = ",\n".join(f"    {line(k)}: {line(v)}" for k, v in value.items())
            rows.append(f'  "{key}": {{\n{body}\n  }}')
        else:
            rows.append(f"  {line(key)}: {line(value)}")
    return "{\n" + ",\n".join(rows) + "\n}\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    survey = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = HERE / VERSION / "actions"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    hashes = {}
    for source in sorted(survey["actions"], key=lambda a: a["name"]):
        text = render(action(source))
        json.loads(text)
        (folder / f"{source['name']}.json").write_text(text, encoding="utf-8")
        hashes[source["name"]] = hashlib.sha256(text.encode()).hexdigest()
    manifest = {
        "product": "live",
        "version": VERSION,
        "style": "RPC",
        "count": len(hashes),
        "source": "facts read from the official Python SDK 3.0.2 and Go SDK 2.7.4 models, the gateway metadata of 2025-12 "
                  "and the product's error tables; imported by import.py",
        "imported": "2026-11-22",
        "sha256": hashes,
    }
    (HERE / VERSION / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
