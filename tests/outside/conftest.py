"""The outside tests stand on the harness of the scenarios."""

pytest_plugins = ["harness.fixtures"]
