#!/usr/bin/env python3
"""The code blocks of the documents, as something that runs.

A block whose first line is ```LANGUAGE file=PATH is a file of an example; ```sh run (or ```python run) is a part of a shell session, in
which localyun is on PATH; ```yaml ci=NAME is a recipe whose commands are taken out. The other blocks show something and are not run.

    documents.py examples FOLDER      writes the files
    documents.py sessions FOLDER      writes a shell script for each document
    documents.py recipe NAME          prints the commands of a recipe
    documents.py twins                compares the blocks of the two languages
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: The documents that have a twin in Chinese.
TWINS = {
    "README.md": "README.zh-CN.md",
    "docs/getting-started.md": "docs/zh/getting-started.md",
    "docs/testing.md": "docs/zh/testing.md",
    "docs/control.md": "docs/zh/control.md",
    "docs/limits.md": "docs/zh/limits.md",
}


@dataclass(frozen=True)
class Block:
    language: str
    mark: str
    text: str


def blocks(path: Path) -> list[Block]:
    found = re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", path.read_text(), re.M | re.S)
    return [Block(language, mark.strip(), text) for language, mark, text in found]


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(folder: Path) -> None:
    """The English documents' files; those of their twins are the same (`twins`)."""
    for document in documents():
        if "zh" in document.name or "zh" in document.parts:
            continue
        for block in blocks(document):
            if block.mark.startswith("file="):
                path = folder / block.mark.removeprefix("file=")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
                print(path)


def sessions(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for document in documents():
        parts = [shell(block) for block in blocks(document) if block.mark == "run"]
        if not parts:
            continue
        name = str(document.relative_to(ROOT)).replace("/", "-").removesuffix(".md")
        lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT", "set -v"]
        for line in "".join(parts).splitlines():
            lines.append(line)
            if re.match(r"localyun serve\b.*&\s*(#.*)?$", line):
                # A reader sees that it is ready; a script asks.
                lines.append("until localyun health >/dev/null 2>&1; do sleep 0.05; done")
        (folder / f"{name}.sh").write_text("\n".join(lines) + "\n")
        print(folder / f"{name}.sh")


def shell(block: Block) -> str:
    """A block as lines of a shell."""
    return block.text if block.language == "sh" else f"python3 - <<'PYTHON'\n{block.text}PYTHON\n"


def recipe(name: str) -> None:
    """The commands of a recipe, as the service would run them one after the other."""
    (block,) = [b for document in documents() for b in blocks(document) if b.mark == f"ci={name}" and "zh" not in document.parts]
    if block.language == "yaml":
        import yaml

        said = yaml.safe_load(block.text)["jobs" if name == "github" else "test"]
        commands = [step["run"] for step in said["test"]["steps"] if "run" in step] if name == "github" else said["script"]
    else:
        commands = re.findall(r"^\s*sh '(.*)'$", block.text, re.M)
    assert commands, f"the recipe {name} has no commands"
    print("\n".join(commands))


def twins() -> None:
    """Both languages show the same code: remarks may differ."""
    different = []
    for one, other in TWINS.items():
        if not (ROOT / one).exists() or not (ROOT / other).exists():
            different.append(f"{one} and {other}: one of them is missing")
            continue
        marked = [[bare(b) for b in blocks(ROOT / name) if b.mark] for name in (one, other)]
        if one == "docs/control.md" or one == "docs/limits.md":
            # The Chinese page is shorter: what it has, it has from there.
            marked = [[block for block in marked[1] if block in marked[0]], marked[1]]
        if marked[0] != marked[1]:
            different.append(f"{one} and {other} differ in their code:")
            missing = [block for block in marked[0] + marked[1] if (block in marked[0]) != (block in marked[1])]
            different += [f"    {block.language} {block.mark}\n{block.text}" for block in missing] or ["    in its order"]
    if different:
        sys.exit("\n".join(different))
    print(f"{len(TWINS)} documents have the same code in both languages")


def bare(block: Block) -> Block:
    text = re.sub(r"(^|\s+)(#|//)\s[^\n]*", r"\1", block.text)
    return Block(block.language, block.mark, re.sub(r"[ \t]+$", "", text, flags=re.M).strip())


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    {"examples": examples, "sessions": sessions}.get(command, lambda *_: None)(*map(Path, rest))
    {"recipe": recipe, "twins": twins}.get(command, lambda *_: None)(*rest)
