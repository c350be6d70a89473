"""A `purport serve` of its own for a test: settings file, state folder, port, log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.peers import free_port, greets, wait_for

SETTINGS = """\
hostname = "{hostname}"
state_dir = "state"

[[listener]]
{listener}
bind = ["127.0.0.1:{port}"]
xclient = ["127.0.0.0/8"]
"""


class PurportServer:
    """A running server; `stop` is SIGTERM, `kill` is SIGKILL, `start` starts it again on the same state."""

    def __init__(
        self,
        folder: Path,
        settings: str,
        hostname: str = "mx.company.com.example",
        listener: str = 'service = "mx"',
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.state_dir = folder / "state"
        self.settings = folder / "purport.toml"
        folder.mkdir(parents=True, exist_ok=True)
        head = SETTINGS.format(hostname=hostname, port=self.port, listener=listener)
        tables, plain = split_tables(settings)
        first, listener = head.split("\n\n", 1)
        self.settings.write_text(f"{first}\n{plain}\n{tables}\n{listener}")
        self._log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "purport", "serve", "--config", str(self.settings)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        process = self.process
        assert process is not None
        wait_for(lambda: process.poll() is not None or greets(self.port), 60, "the server's greeting")
        assert process.poll() is None, f"the server stopped:\n{self.log()}"

    @property
    def pid(self) -> int:
        """The process whose tree the server is."""
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    def reload(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def _end(self, how: signal.Signals) -> int:
        process = self.process
        assert process is not None
        process.send_signal(how)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def command(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a `purport` command with this server's settings."""
        return subprocess.run(
            [sys.executable, "-m", "purport", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env={**os.environ, "PURPORT_CONFIG": str(self.settings)},
        )


def split_tables(settings: str) -> tuple[str, str]:
    """The tables of a settings text, and the plain keys that stand before them."""
    plain, bracket, tables = settings.partition("[")
    return bracket + tables, plain


@contextmanager
def purport_server(
    folder: Path, settings: str, hostname: str = "mx.company.com.example", listener: str = 'service = "mx"'
) -> Iterator[PurportServer]:
    """A server that runs for the length of a `with` block; `listener` is what its listener's table says besides."""
    server = PurportServer(folder, settings, hostname, listener)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
