"""What the system says about a server process: its memory, descriptors and processor time."""

import os
from pathlib import Path


class Process:
    """One process, by its id."""

    def __init__(self, pid: int):
        self.folder = Path(f"/proc/{pid}")

    def _status(self, name: str) -> int:
        for line in (self.folder / "status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} in /proc/PID/status")

    def memory(self) -> int:
        """Resident bytes now."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """The most resident bytes since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begins a new measurement of the peak."""
        (self.folder / "clear_refs").write_text("5")

    def descriptors(self) -> int:
        """Open descriptors."""
        return len(os.listdir(self.folder / "fd"))

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = (self.folder / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
