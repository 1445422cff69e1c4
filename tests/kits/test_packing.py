"""What the packer reads out of a program that cannot run here, and that nothing in the notices is made up."""

from __future__ import annotations

import json
import struct
import sys
import tarfile
import tempfile
import tomllib
import unittest
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/kits"))

from packing import crates, node, wheel  # noqa: E402
from packing.program import Program, oldest_macos  # noqa: E402

VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def leaves(way: object) -> Iterator[str]:
    """The files that an entry of `exports` leads to, whatever its conditions."""
    if isinstance(way, dict):
        for inner in way.values():
            yield from leaves(inner)
    else:
        yield str(way)


def mach_o(command: int, body: bytes) -> bytes:
    """A head with two load commands, of which the second tells the system."""
    other = struct.pack("<II", 0x19, 16) + bytes(8)
    own = struct.pack("<II", command, 8 + len(body)) + body
    return struct.pack("<IIIIIIII", 0xFEEDFACF, 0x0100000C, 0, 2, 2, len(other) + len(own), 0, 0) + other + own


class Packing(unittest.TestCase):
    def test_the_oldest_macos(self) -> None:
        of_today = mach_o(0x32, struct.pack("<IIII", 1, 11 << 16, 15 << 16, 0))
        of_before = mach_o(0x24, struct.pack("<II", 10 << 16 | 12 << 8, 0))
        self.assertEqual((oldest_macos(of_today), oldest_macos(of_before)), ((11, 0), (10, 12)))

    def test_names_of_platforms(self) -> None:
        linux = Program(b"", "0.0.0", "linux", "linux", "aarch64", "arm64", "aarch64-unknown-linux-gnu", (2, 17))
        newer = Program(b"", "0.0.0", "linux", "linux", "x86_64", "x64", "x86_64-unknown-linux-gnu", (2, 36))
        macos = Program(b"", "0.0.0", "macos", "darwin", "arm64", "arm64", "aarch64-apple-darwin", (11, 0))
        self.assertEqual(linux.platform_tags, ["manylinux_2_17_aarch64", "manylinux2014_aarch64"])
        self.assertEqual((newer.platform_tags, macos.platform_tags), (["manylinux_2_36_x86_64"], ["macosx_11_0_arm64"]))
        self.assertEqual((linux.platform, macos.platform), ("aarch64-linux", "arm64-macos"))

    def test_a_wheel_has_a_line_for_each_tag_of_its_name(self) -> None:
        program = Program(b"\x7fELF", VERSION, "linux", "linux", "x86_64", "x64", "x86_64-unknown-linux-gnu", (2, 17))
        with tempfile.TemporaryDirectory() as folder:
            wheel.make(Path(folder), ROOT / "tests/kits/python", program, {})
            (file,) = Path(folder).iterdir()
            said = zipfile.ZipFile(file).read(f"localyun-{VERSION}.dist-info/WHEEL").decode().splitlines()
        self.assertEqual(file.name, f"localyun-{VERSION}-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
        tags = [line.removeprefix("Tag: ") for line in said if line.startswith("Tag: ")]
        self.assertEqual(tags, ["py3-none-manylinux_2_17_x86_64", "py3-none-manylinux2014_x86_64"])

    def test_what_is_handed_out_as_files_asks_no_registry(self) -> None:
        program = Program(b"\x7fELF", VERSION, "linux", "linux", "x86_64", "x64", "x86_64-unknown-linux-gnu", (2, 17))
        for published in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                node.make(Path(folder), ROOT / "tests/kits/node", program, {}, published=published)
                with tarfile.open(Path(folder) / f"localyun-{VERSION}.tgz") as archive:
                    manifest = json.load(archive.extractfile("package/package.json"))
                    names = set(archive.getnames())
            self.assertEqual("optionalDependencies" in manifest, published)
            # Whatever the manifest leads to is in it.
            led = {path for way in manifest["exports"].values() for path in leaves(way)}
            self.assertEqual({path for path in led if f"package/{path.removeprefix('./')}" not in names}, set())

    def test_bill_and_notices_hold_what_the_lock_file_has(self) -> None:
        locked = {(p["name"], p["version"]) for p in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
        target = "x86_64-unknown-linux-gnu"
        packages = crates.of_the_program(ROOT, target)
        named = {(package["name"], package["version"]) for package in packages}
        self.assertLessEqual(named, locked)
        # Direct dependencies are in it; what only tests use, and what only the compiler runs, is not.
        manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
        names = {name for name, _ in named}
        macros = {package["name"] for package in crates.metadata(ROOT, target)["packages"] if crates.is_macro(package)}
        direct = {name for name, how in manifest["dependencies"].items() if "path" not in how}
        self.assertLessEqual((direct - macros) | {"mp4-atom", "aws-sdk-s3", "strsim"}, names)
        self.assertFalse(macros & names)
        self.assertFalse([name for name in names if name.startswith("localyun")])
        self.assertFalse({"proptest", "serde_derive", "cc"} & names)
        bill = json.loads(crates.bill_of_materials(packages, "0.0.0"))
        self.assertEqual({(c["name"], c["version"]) for c in bill["components"]}, named)
        self.assertTrue(all(c.get("licenses") for c in bill["components"]))
        notices = crates.notices(packages)
        for name, version in named:
            self.assertIn(f"\n{name} {version}: ", notices)
        self.assertGreater(notices.count("Permission is hereby granted"), 20)


unittest.main()
