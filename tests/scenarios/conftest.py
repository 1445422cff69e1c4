"""The scenarios use the harness's fixtures as they are."""

pytest_plugins = ["harness.fixtures"]
