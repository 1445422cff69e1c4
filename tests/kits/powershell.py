#!/usr/bin/env python3
"""What localyun says to PowerShell, read by a grammar of it: the completions, the lines of `env`, the documents' own line. Where `pwsh` is
installed, tests/outside/test_habits.py runs them; here they are only read, so it is the words that are checked and not what comes of them.

    LOCALYUN_BIN=… tests/kits/powershell.py"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import tree_sitter_pwsh
from tree_sitter import Language, Node, Parser

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ["LOCALYUN_BIN"]
PARSER = Parser(Language(tree_sitter_pwsh.language()))
#: Everything that a shell could take for its own.
ODD = r"""it's "so" \ $HOME `id` %PATH% $(whoami) '' ;"""


def tree(text: str) -> Node:
    root = PARSER.parse(text.encode()).root_node
    if root.has_error:
        wrong = [f"{node.start_point.row + 1}: {node.text.decode()[:100]}" for node in every(root) if node.type == "ERROR" or node.is_missing]
        raise SystemExit(f"powershell: this is none: {wrong[:3]}")
    return root


def every(node: Node):
    yield node
    for child in node.children:
        yield from every(child)


def said(*words: str, **variables: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCALYUN_")}
    return subprocess.run([PROGRAM, *words], check=True, capture_output=True, text=True, env={**kept, **variables}).stdout


def main() -> None:
    completions = tree(said("completions", "powershell"))
    literals = {node.text.decode().strip("'\"") for node in every(completions) if "string" in node.type}
    assert {"serve", "publish", "--ephemeral"} <= {word for literal in literals for word in re.split(r"[;\s]", literal)}, sorted(literals)[:20]

    # Nobody listens there: the lines are the defaults, with the key of the environment.
    told = said("env", "--shell", "powershell", "--endpoint", "http://127.0.0.1:1", LOCALYUN_ACCESS_KEYS=f"testid:{ODD}")
    lines = [line for line in told.splitlines() if not line.startswith("#")]
    for line in lines:
        (statement,) = [node for node in every(tree(line)) if node.type == "assignment_expression"]
        literals = [node for node in every(statement) if node.type == "verbatim_string_characters"]
        assert len(literals) == 1 and line.endswith(literals[0].text.decode()), line
    (secret,) = [line for line in lines if line.startswith("$Env:ALIBABA_CLOUD_ACCESS_KEY_SECRET = ")]
    value = secret.partition(" = ")[2][1:-1]
    assert value.replace("''", "'") == ODD, value

    documented = re.search(r"\| PowerShell \| `([^`]*)` \|", (ROOT / "docs/cli.md").read_text())[1].replace("\\|", "|")
    pipeline = [node.text.decode() for node in every(tree(documented)) if node.type == "command_name"]
    assert pipeline == ["localyun", "Out-String", "Invoke-Expression"], pipeline
    assert documented in told, told
    print(f"powershell: {len(lines)} lines of env, the completions and the documents' line are PowerShell")


if __name__ == "__main__":
    main()
