"""A speaker: a small program in a client's language that performs actions through the official SDK.

A line of JSON in: {"action", "params", "key", "secret"}. A line of JSON out, one of
  {"body": {...}}                         the answer as the SDK parsed it
  {"code", "status", "message"}           the error the SDK raised for an answer; status 0 where the SDK does not tell it
  {"lacks": true}                         this version of the SDK has no such action
  {"broken": "..."}                       anything else, which fails the story
"""

import json
import queue
import subprocess
import threading
from pathlib import Path

ANSWER_SECONDS = 60
END_SECONDS = 5


class Refused(Exception):
    """An error of the server, as the SDK raised it."""

    def __init__(self, action: str, code: str, status: int, message: str):
        super().__init__(f"{action}: {status} {code}: {message}")
        self.code, self.status, self.message = code, status, message


class Lacks(Exception):
    """The SDK has no such action."""


class Speaker:
    """A running speaker. Use as a context manager; its standard error goes to a file beside it."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path):
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
            )
        self.said: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            # SDKs print remarks of their own; an answer is a JSON object on a line.
            if line.startswith("{"):
                self.said.put(line)
        self.said.put(None)

    def __enter__(self) -> "Speaker":
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(END_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()

    def call(self, action: str, params: dict, key: str = "testid", secret: str = "testsecret") -> dict:
        """One action through the SDK."""
        assert self.process.stdin is not None
        asked = json.dumps({"action": action, "params": params, "key": key, "secret": secret}, ensure_ascii=False)
        try:
            self.process.stdin.write(asked + "\n")
            self.process.stdin.flush()
            line = self.said.get(timeout=ANSWER_SECONDS)
        except (OSError, queue.Empty):
            line = None
        if line is None:
            raise AssertionError(f"{action}: the speaker ended or said nothing: {self.log.read_text(errors='replace')[-500:]}")
        answer = json.loads(line)
        if answer.get("lacks"):
            raise Lacks(action)
        if "code" in answer:
            raise Refused(action, answer["code"], answer["status"], answer["message"])
        if "broken" in answer:
            raise AssertionError(f"{action}: {answer['broken']}")
        return answer["body"]
