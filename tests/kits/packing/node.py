"""The npm packages: the helpers, and the program of one platform."""

from __future__ import annotations

import json
from pathlib import Path

from .archive import tar
from .program import Program


def make(folder: Path, kit: Path, program: Program, papers: dict[str, bytes], *, published: bool) -> None:
    manifest = json.loads((kit / "package.json").read_text())
    versions = {manifest["version"], *manifest["optionalDependencies"].values()}
    if versions != {program.version}:
        raise SystemExit(f"pack: {kit}/package.json says {versions}, the program is {program.version}")
    if not published:
        # npm would ask its registry for these names, under which nothing of ours is there; the platform's file is installed beside this one.
        del manifest["optionalDependencies"]
    kinds = ("*.js", "*.cjs", "*.d.ts", "bin/*.js")
    files = {str(file.relative_to(kit)): file for kind in kinds for file in kit.glob(kind)}
    helpers = {f"package/{name}": (file.read_bytes(), 0o755 if name.startswith("bin/") else 0o644) for name, file in files.items()}
    # The same types as those of a CommonJS module, which may not come from an ES module's.
    for file in kit.glob("*.d.ts"):
        twin = file.read_text().replace("from './index.js'", "from './index.cjs'")
        helpers[f"package/{file.name.removesuffix('.ts')}.cts"] = (twin.encode(), 0o644)
    helpers["package/package.json"] = (json.dumps(manifest, indent=2).encode() + b"\n", 0o644)
    licences = {f"package/{name}": (papers[name], 0o644) for name in papers if name.startswith("LICENSE")}
    tar(folder / f"localyun-{program.version}.tgz", {**helpers, **licences})

    platform_name = f"{program.node_system}-{program.node_machine}"
    platform = {
        "name": f"@localyun/{platform_name}",
        "version": program.version,
        "description": f"The program of localyun ({program.needs})",
        "license": manifest["license"],
        "repository": manifest["repository"],
        "os": [program.node_system],
        "cpu": [program.node_machine],
        **({"libc": ["glibc"]} if program.system == "linux" else {}),
        "files": ["bin", "LICENSE*", "THIRD-PARTY-NOTICES.txt"],
    }
    own = {f"package/{name}": (content, 0o644) for name, content in papers.items()}
    own["package/package.json"] = (json.dumps(platform, indent=2).encode() + b"\n", 0o644)
    own["package/bin/localyun"] = (program.content, 0o755)
    tar(folder / f"localyun-{platform_name}-{program.version}.tgz", own)
