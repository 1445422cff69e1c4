"""The client matrix: which packages, at which versions, how each is installed, and how its speaker is started."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parents[1] / "target" / "sdk"
INSTALL_SECONDS = 540


class CannotInstall(Exception):
    """The client is not to be had on this machine."""


@dataclass(frozen=True)
class Client:
    """One row of the matrix. `section` is the part of a heading of docs/sdk/`page` under which the client's lines stand."""

    name: str
    language: str
    packages: tuple[str, ...]
    source: str
    page: str
    section: str
    signature: str
    lacks: tuple[str, ...] = ()
    # A program that no ordinary client installs: its row may say "not run" without failing the matrix.
    optional: bool = False

    @property
    def place(self) -> Path:
        """Where it is installed."""
        return PLACE / self.name

    def install(self) -> None:
        """Installs it with its language's ordinary client, unless exactly this was installed before."""
        wanted = self._made_of()
        stamp = self.place / ".made-of"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        KINDS[self.language].install(self)
        stamp.write_text(wanted)

    def _made_of(self) -> str:
        digest = hashlib.sha256(repr(self).encode())
        folder = (HERE / self.source).parent
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def speaker(self) -> list[str]:
        """The command of its speaker."""
        return KINDS[self.language].speaker(self)

    def snippet(self, code: str) -> list[str]:
        """Makes the code of the documentation ready to run and gives the command."""
        return KINDS[self.language].snippet(self, code)

    def run(self, *command: str | Path, folder: Path | None = None) -> None:
        """One step of an installation; its words are kept in install.log."""
        if shutil.which(str(command[0])) is None:
            raise CannotInstall(f"{command[0]} is missing")
        log = self.place / "install.log"
        with log.open("ab") as words:
            try:
                status = subprocess.run(
                    [str(part) for part in command], cwd=folder or self.place, stdout=words, stderr=words, timeout=INSTALL_SECONDS
                ).returncode
            except subprocess.TimeoutExpired:
                raise CannotInstall(f"{command[0]} took longer than {INSTALL_SECONDS} s") from None
        if status != 0:
            lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
            telling = [line for line in lines if re.search(r"error|mismatch|not found|no such|forbidden", line, re.I)] or lines[-1:]
            raise CannotInstall(f"{Path(command[0]).name}: {telling[0][:200] if telling else status}")


@dataclass(frozen=True)
class Kind:
    """What a language does alike for all its clients."""

    fence: str
    install: Callable[[Client], None]
    speaker: Callable[[Client], list[str]]
    snippet: Callable[[Client, str], list[str]]


def _python_install(client: Client) -> None:
    client.run(sys.executable, "-m", "venv", client.place / "venv")
    client.run(client.place / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *client.packages)


def _python(client: Client) -> list[str]:
    return [str(client.place / "venv/bin/python"), str(HERE / client.source)]


def _python_snippet(client: Client, code: str) -> list[str]:
    (client.place / "snippet.py").write_text(code)
    return [str(client.place / "venv/bin/python"), str(client.place / "snippet.py")]


def _node_install(client: Client) -> None:
    for path in (HERE / "node").glob("*.js"):
        shutil.copy(path, client.place)
    (client.place / "package.json").write_text('{"private": true}\n')
    client.run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", *client.packages)


def _node(client: Client) -> list[str]:
    return ["node", str(client.place / Path(client.source).name)]


def _node_snippet(client: Client, code: str) -> list[str]:
    (client.place / "snippet.js").write_text(code)
    return ["node", str(client.place / "snippet.js")]


def _go_install(client: Client) -> None:
    # go.mod and go.sum pin the packages; -mod=readonly refuses anything else.
    shutil.copytree((HERE / client.source).parent, client.place / "source")
    client.run("go", "build", "-mod=readonly", "-o", client.place / "speaker", ".", folder=client.place / "source")


def _go(client: Client) -> list[str]:
    return [str(client.place / "speaker")]


def _go_snippet(client: Client, code: str) -> list[str]:
    folder = client.place / "source" / "snippet"
    folder.mkdir(exist_ok=True)
    (folder / "main.go").write_text(code)
    client.run("go", "build", "-mod=readonly", "-o", client.place / "snippet", "./snippet", folder=client.place / "source")
    return [str(client.place / "snippet")]


def _java_install(client: Client) -> None:
    folder = (HERE / client.source).parent
    shutil.copy(folder / "pom.xml", client.place)
    client.run("mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={client.place / 'lib'}")
    client.run("javac", "-cp", "lib/*", "-d", "classes", folder / "Speaker.java")


def _java(client: Client) -> list[str]:
    return ["java", "-cp", f"{client.place}/lib/*:{client.place}/classes", "Speaker"]


def _java_snippet(client: Client, code: str) -> list[str]:
    (client.place / "ListConfigs.java").write_text(code)
    return ["java", "-cp", f"{client.place}/lib/*", str(client.place / "ListConfigs.java")]


def _cli_install(client: Client) -> None:
    # The module proxy has no version of its Go module, so it has to be there already, and in the version that the row names.
    found = shutil.which("aliyun")
    if found is None:
        raise CannotInstall("no aliyun program on PATH")
    version = subprocess.run([found, "version"], capture_output=True, text=True, timeout=60).stdout.strip()
    if f"aliyun {version}" not in client.packages:
        raise CannotInstall(f"the aliyun program on PATH is version {version!r}")
    (client.place / "bin").mkdir()
    (client.place / "bin" / "aliyun").symlink_to(found)


def _cli(client: Client) -> list[str]:
    return [sys.executable, str(HERE / client.source), str(client.place / "bin" / "aliyun")]


def _cli_snippet(client: Client, code: str) -> list[str]:
    (client.place / "snippet.sh").write_text(f'set -eu\nPATH="{client.place / "bin"}:$PATH"\n{code}')
    return ["bash", str(client.place / "snippet.sh")]


KINDS = {
    "Python": Kind("python", _python_install, _python, _python_snippet),
    "Node.js": Kind("js", _node_install, _node, _node_snippet),
    "Go": Kind("go", _go_install, _go, _go_snippet),
    "Java": Kind("java", _java_install, _java, _java_snippet),
    "command line": Kind("sh", _cli_install, _cli, _cli_snippet),
}

# Releases of 2022 know neither of these actions, the first ones not the deletion of index files either.
OF_2025 = ("DescribeLiveRecordNotifyRecords", "UpdateLiveAppRecordConfig")
LATER_THAN_1_0 = ("DeleteLiveStreamRecordIndexFiles", *OF_2025)

CLIENTS = [
    Client("python-3", "Python", ("alibabacloud-live20161101==3.0.2", "alibabacloud-tea-openapi==0.4.6"),
           "python/tea.py", "python.md", "alibabacloud-live20161101", "ACS3"),
    Client("python-1", "Python", ("alibabacloud-live20161101==1.1.1", "alibabacloud-tea-openapi==0.3.8"),
           "python/tea.py", "python.md", "alibabacloud-live20161101", "ACS3", OF_2025),
    Client("python-1-v1", "Python", ("alibabacloud-live20161101==1.0.0", "alibabacloud-tea-openapi==0.2.10"),
           "python/tea.py", "python.md", "alibabacloud-live20161101", "V1", LATER_THAN_1_0),
    Client("python-core", "Python", ("aliyun-python-sdk-core==2.16.1", "aliyun-python-sdk-live==3.9.75"),
           "python/core.py", "python.md", "aliyun-python-sdk-live", "V1"),
    Client("node-pop-core", "Node.js", ("@alicloud/pop-core@1.8.0",), "node/pop-core.js", "node.md", "@alicloud/pop-core", "V1"),
    Client("node-openapi-client", "Node.js", ("@alicloud/openapi-client@0.4.15",),
           "node/openapi-client.js", "node.md", "@alicloud/openapi-client", "ACS3"),
    Client("node-openapi-core", "Node.js", ("@alicloud/openapi-core@1.0.8",),
           "node/openapi-core.js", "node.md", "@alicloud/openapi-core", "ACS3"),
    Client("go-openapi", "Go", ("github.com/alibabacloud-go/darabonba-openapi/v2@v2.1.13",),
           "go/tea/main.go", "go.md", "darabonba-openapi", "ACS3"),
    Client("go-live", "Go", ("github.com/alibabacloud-go/live-20161101/v2@v2.7.4",),
           "go/typed/main.go", "go.md", "live-20161101", "ACS3"),
    Client("go-v1", "Go", ("github.com/aliyun/alibaba-cloud-sdk-go@v1.63.107",), "go/v1/main.go", "go.md", "alibaba-cloud-sdk-go", "V1"),
    Client("java-tea", "Java", ("com.aliyun:live20161101:1.0.1",), "java/tea/Speaker.java", "java.md", "com.aliyun:live20161101", "V1", LATER_THAN_1_0),
    Client("java-v1", "Java", ("com.aliyun:aliyun-java-sdk-core:4.7.10", "com.aliyun:aliyun-java-sdk-live:3.9.76"),
           "java/v1/Speaker.java", "java.md", "aliyun-java-sdk-live", "V1"),
    Client("aliyun-cli", "command line", ("aliyun 3.4.11",), "cli/aliyun.py", "command-line.md", "aliyun", "V1", optional=True),
]
