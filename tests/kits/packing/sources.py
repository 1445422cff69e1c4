"""The kits that are sources: a module of Go, and a project that Maven makes a JAR of."""

from __future__ import annotations

import re
from pathlib import Path

from .archive import tar
from .program import Program


def make(folder: Path, kits: Path, program: Program, papers: dict[str, bytes]) -> None:
    project = re.search(r"<artifactId>localyun-junit</artifactId>\s*<version>([^<]*)</version>", (kits / "java/pom.xml").read_text())
    version = project[1] if project else "no version"
    if version != program.version:
        raise SystemExit(f"pack: {kits}/java/pom.xml says {version}, the program is {program.version}")
    name = f"localyun-kits-{version}"
    wanted = [kits / "java/pom.xml", *(kits / "java/src").rglob("*.java"), kits / "go/go.mod", *(kits / "go").glob("*.go")]
    files = {f"{name}/{file.relative_to(kits)}": (file.read_bytes(), 0o644) for file in wanted if not file.name.endswith("_test.go")}
    files |= {f"{name}/{paper}": (content, 0o644) for paper, content in papers.items() if paper.startswith("LICENSE")}
    tar(folder / f"{name}.tar.gz", files)
