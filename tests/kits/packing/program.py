"""The program as it lies there: for which machine it is, and which C library it needs."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: ELF's numbers of machines, by the names of Python, Node and Rust.
MACHINES = {62: ("x86_64", "x64"), 183: ("aarch64", "arm64")}


@dataclass(frozen=True)
class Program:
    content: bytes
    version: str
    machine: str
    node_machine: str
    #: The newest version of glibc that a symbol asks for: its number behind `2.`
    glibc: int

    @classmethod
    def read(cls, path: Path) -> Program:
        content = path.read_bytes()
        if content[:4] != b"\x7fELF":
            raise SystemExit(f"pack: {path} is no Linux program")
        machine, node_machine = MACHINES[int.from_bytes(content[18:20], "little")]
        said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
        asked = [int(number) for number in re.findall(rb"GLIBC_2\.(\d+)", content)]
        return cls(content, said.split()[1], machine, node_machine, max(asked, default=17))

    @property
    def target(self) -> str:
        return f"{self.machine}-unknown-linux-gnu"

    @property
    def platform_tag(self) -> str:
        """As wheels name it; 2.17 is the oldest that has a name."""
        return f"manylinux_2_{max(self.glibc, 17)}_{self.machine}"

    @property
    def needs(self) -> str:
        return f"glibc 2.{self.glibc} or newer on {self.machine}"
