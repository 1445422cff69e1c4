"""The outage tests stand on the harness of the scenarios."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenarios"))

pytest_plugins = ["harness.fixtures"]
