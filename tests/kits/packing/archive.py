"""Tar archives that are the same bytes for the same content."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from .program import Program


def tar(path: Path, files: dict[str, tuple[bytes, int]]) -> None:
    """Files by name: content and mode."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    with open(path, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
        packed.write(inner.getvalue())


def make(folder: Path, program: Program, papers: dict[str, bytes]) -> None:
    name = f"localyun-{program.version}-{program.platform}"
    files = {f"{name}/{paper}": (content, 0o644) for paper, content in papers.items()}
    files[f"{name}/localyun"] = (program.content, 0o755)
    tar(folder / f"{name}.tar.gz", files)
