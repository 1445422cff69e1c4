"""What README and the documents have a reader type, in both languages: every command comes back with 0.

`tests/kits/run documents` does the same with the packages; here a change of the program meets the documents before it lands."""

import shutil
import sys

import pytest

from harness.server import PROJECT, binary

sys.path.insert(0, str(PROJECT / "tests/kits"))

import documents  # noqa: E402

SESSIONS = {str(path.relative_to(PROJECT)): script for path in documents.documents() if (script := documents.session(path))}


def test_the_documents_have_sessions():
    assert {"README.md", "README.zh-CN.md", "docs/getting-started.md", "docs/control.md", "docs/zh/control.md"} <= set(SESSIONS)


@pytest.mark.parametrize("document", SESSIONS)
def test_every_command_of_a_document_comes_back_with_0(document, tmp_path):
    if not shutil.which("unshare") or not documents.can_be_alone():
        pytest.skip("no network of its own can be made here (unshare)")
    if "ffplay" in SESSIONS[document] and not shutil.which("ffplay"):
        pytest.skip("ffplay is not installed")
    done = documents.typed(SESSIONS[document], tmp_path / "session", str(binary()))
    assert done.returncode == 0, done.stdout[-4000:]


def test_a_command_that_fails_is_told(tmp_path):
    if not shutil.which("unshare") or not documents.can_be_alone():
        pytest.skip("no network of its own can be made here (unshare)")
    script = SESSIONS["docs/testing.md"] + "localyun explain\n"
    assert documents.typed(script, tmp_path / "session", str(binary())).returncode == 2
