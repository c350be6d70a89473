"""Another mail program that a test starts: its folder, its process, its end."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from support.peers import greets, wait_for


class Program:
    """Put what it needs into `folder`, `start` it, `stop()`."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Many run under users of their own, who may not see into the project's folder.
        self.folder = Path(tempfile.mkdtemp(prefix=f"purport-{name.lower()}-", dir="/var/tmp"))
        self.folder.chmod(0o755)

    def start(self, command: Sequence[str | Path], port: int = 0, ready: Callable[[], object] | None = None) -> None:
        """Start it in the foreground, and wait until it greets on its port, or is ready in another way."""
        with (self.folder / "printed").open("wb") as printed:
            self._process = subprocess.Popen(command, stdout=printed, stderr=printed)
        started = ready or (lambda: greets(port))
        wait_for(lambda: self._process.poll() is not None or started(), 20, self.name)
        assert self._process.poll() is None, f"{self.name} stopped: {self.printed()}{self.log()}"

    def printed(self) -> str:
        """What it printed."""
        return self._text("printed")

    def log(self) -> str:
        """What it wrote down."""
        return ""

    def _text(self, name: str) -> str:
        place = self.folder / name
        return place.read_text(errors="replace") if place.exists() else ""

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def in_view(script: str, *namespaces: str) -> list[str]:
    """A command that runs a shell script with mounts of its own, and with other `namespaces` such as `--uts`."""
    return ["unshare", "--mount", *namespaces, "--propagation", "private", "sh", "-c", script]
