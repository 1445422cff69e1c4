"""Playback stands on the scenarios' server and publisher."""

pytest_plugins = ["harness.fixtures"]
