"""The program as it lies there: for which system and machine it is, and what it needs of them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: Numbers of machines in ELF and in Mach-O, by the names of Python's wheels, Node and Rust.
LINUX = {62: ("x86_64", "x64", "x86_64"), 183: ("aarch64", "arm64", "aarch64")}
MACOS = {0x01000007: ("x86_64", "x64", "x86_64"), 0x0100000C: ("arm64", "arm64", "aarch64")}
#: Load commands of Mach-O that tell the oldest system: LC_BUILD_VERSION, LC_VERSION_MIN_MACOSX; each with the place of the version in it.
OLDEST_SYSTEM = {0x32: 12, 0x24: 8}


@dataclass(frozen=True)
class Program:
    content: bytes
    version: str
    #: `linux` or `macos`, as file names have it; `linux` or `darwin`, as Node has it.
    system: str
    node_system: str
    machine: str
    node_machine: str
    target: str
    #: The newest glibc that a symbol asks for, or the oldest macOS: both numbers.
    oldest: tuple[int, int]

    @classmethod
    def read(cls, path: Path) -> Program:
        content = path.read_bytes()
        said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
        version = said.split()[1]
        if content[:4] == b"\x7fELF":
            machine, node, rust = LINUX[int.from_bytes(content[18:20], "little")]
            asked = [int(number) for number in re.findall(rb"GLIBC_2\.(\d+)", content)]
            return cls(content, version, "linux", "linux", machine, node, f"{rust}-unknown-linux-gnu", (2, max(asked, default=17)))
        if content[:4] == b"\xcf\xfa\xed\xfe":
            machine, node, rust = MACOS[int.from_bytes(content[4:8], "little")]
            return cls(content, version, "macos", "darwin", machine, node, f"{rust}-apple-darwin", oldest_macos(content))
        raise SystemExit(f"pack: {path} is a program of neither Linux nor macOS")

    @property
    def platform(self) -> str:
        """As file names have it."""
        return f"{self.machine}-{self.system}"

    @property
    def platform_tags(self) -> list[str]:
        """As wheels name it; of glibc, 2.17 is the oldest that has a name, and an older one for pip before 20.3."""
        if self.system == "macos":
            return [f"macosx_{self.oldest[0]}_{self.oldest[1]}_{self.machine}"]
        minor = max(self.oldest[1], 17)
        return [f"manylinux_2_{minor}_{self.machine}", *([f"manylinux2014_{self.machine}"] if minor == 17 else [])]

    @property
    def needs(self) -> str:
        what = "macOS" if self.system == "macos" else "glibc"
        return f"{what} {self.oldest[0]}.{self.oldest[1]} or newer on {self.machine}"


def oldest_macos(content: bytes) -> tuple[int, int]:
    """The oldest system that a Mach-O program says it runs on."""
    number = lambda at: int.from_bytes(content[at : at + 4], "little")  # noqa: E731
    at = 32
    for _ in range(number(16)):
        command, size = number(at), number(at + 4)
        if command in OLDEST_SYSTEM:
            version = number(at + OLDEST_SYSTEM[command])
            return version >> 16, version >> 8 & 0xFF
        at += size
    raise SystemExit("pack: the program does not say on which macOS it runs")
