"""The matrix uses the scenarios' server, receiver and stages as they are."""

pytest_plugins = ["harness.fixtures"]
