"""What is in the program that others have written: from the lock file's crates, with their licences."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

#: Beginnings of the names of files that a licence asks to be handed on.
PAPERS = ("licen", "copying", "notice", "copyright", "unlicense")


def metadata(root: Path, target: str) -> dict[str, Any]:
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)


def is_macro(package: dict[str, Any]) -> bool:
    """A macro runs in the compiler; what it is made of does not come along."""
    return any("proc-macro" in target["kind"] for target in package["targets"])


def of_the_program(root: Path, target: str) -> list[dict[str, Any]]:
    """The crates that are linked into the program for a target: no helpers of the build, no tests."""
    told = metadata(root, target)
    packages = {package["id"]: package for package in told["packages"]}
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    own = told["resolve"]["root"]
    seen, open_ones = {own}, [own]
    while open_ones:
        for dependency in nodes[open_ones.pop()]["deps"]:
            linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if linked and not is_macro(packages[dependency["pkg"]]) and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                open_ones.append(dependency["pkg"])
    # Without a source: ours.
    others = (packages[name] for name in seen if packages[name]["source"])
    return sorted(others, key=lambda package: (package["name"], package["version"]))


def papers(package: dict[str, Any]) -> list[str]:
    folder = Path(package["manifest_path"]).parent
    found = sorted(file for file in folder.iterdir() if file.is_file() and file.name.lower().startswith(PAPERS))
    return [file.read_text(errors="replace").strip() for file in found]


def notices(packages: list[dict[str, Any]]) -> str:
    """Every crate with its licence; each text once, with the crates that come under it."""
    texts: dict[str, tuple[str, list[str]]] = {}
    lines = ["localyun is made with the work of others. These crates are in the program:", ""]
    for package in packages:
        name = f"{package['name']} {package['version']}"
        own = papers(package)
        lines.append(f"{name}: {package['license'] or 'see its text'}{'' if own else ' (the crate has no text of it)'}")
        for text in own:
            digest = hashlib.sha256(text.encode()).hexdigest()
            texts.setdefault(digest, (text, []))[1].append(name)
    for text, names in texts.values():
        lines += ["", "=" * 80, *wrapped(names), "-" * 80, text]
    return "\n".join(lines) + "\n"


def wrapped(names: list[str]) -> list[str]:
    lines = [""]
    for name in sorted(set(names)):
        if len(lines[-1]) + len(name) > 76:
            lines.append("")
        lines[-1] += f"{', ' if lines[-1] else ''}{name}"
    return lines


def bill_of_materials(packages: list[dict[str, Any]], version: str) -> str:
    """CycloneDX 1.5, without a date: the same for the same lock file."""
    components = [
        {
            "type": "library",
            "name": package["name"],
            "version": package["version"],
            "purl": f"pkg:cargo/{package['name']}@{package['version']}",
            **({"licenses": [{"expression": package["license"].replace("/", " OR ")}]} if package["license"] else {}),
        }
        for package in packages
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "localyun", "version": version, "purl": f"pkg:cargo/localyun@{version}"}},
        "components": components,
    }
    return json.dumps(document, indent=1) + "\n"
