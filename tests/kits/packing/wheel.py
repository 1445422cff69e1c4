"""The wheel: the Python package, and the program as a script of it."""

from __future__ import annotations

import base64
import hashlib
import tomllib
import zipfile
from pathlib import Path

from .program import Program


def make(folder: Path, kit: Path, program: Program, papers: dict[str, bytes]) -> None:
    project = tomllib.loads((kit / "pyproject.toml").read_text())["project"]
    version = project["version"]
    if version != program.version:
        raise SystemExit(f"pack: {kit}/pyproject.toml says {version}, the program is {program.version}")
    about, tags = f"localyun-{version}.dist-info", program.platform_tags
    files = {f"localyun/{file.name}": (file.read_bytes(), 0o644) for file in sorted((kit / "localyun").glob("*.py*")) if file.suffix != ".pyc"}
    files[f"localyun-{version}.data/scripts/localyun"] = (program.content, 0o755)
    for name, content in papers.items():
        files[f"{about}/licenses/{name}"] = (content, 0o644)
    metadata = [
        "Metadata-Version: 2.4",
        "Name: localyun",
        f"Version: {version}",
        f"Summary: {project['description']}",
        "License-Expression: MIT OR Apache-2.0",
        *(f"License-File: {name}" for name in papers),
        f"Requires-Python: {project['requires-python']}",
        *(f"Classifier: {name}" for name in project["classifiers"]),
    ]
    files[f"{about}/METADATA"] = ("\n".join(metadata).encode() + b"\n", 0o644)
    # The program is no Python, so there is one wheel for every version of it.
    lines = ["Wheel-Version: 1.0", "Generator: localyun", "Root-Is-Purelib: false", *(f"Tag: py3-none-{tag}" for tag in tags)]
    files[f"{about}/WHEEL"] = ("\n".join(lines).encode() + b"\n", 0o644)
    entries = "".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in project["entry-points"].items()
    )
    files[f"{about}/entry_points.txt"] = (entries.encode(), 0o644)
    with zipfile.ZipFile(folder / f"localyun-{version}-py3-none-{'.'.join(tags)}.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        record = []
        for name, (content, mode) in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
            add(wheel, name, content, mode)
        record.append(f"{about}/RECORD,,")
        add(wheel, f"{about}/RECORD", ("\n".join(record) + "\n").encode(), 0o644)


def add(wheel: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100000 | mode) << 16
    wheel.writestr(entry, content)
