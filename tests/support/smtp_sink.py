"""Postfix's smtp-sink: a next hop that takes everything, forgets it, and counts."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from support.peers import free_port, greets, require_peer, wait_for

COUNT = re.compile(rb"mesg=\s*(\d+)")


class SmtpSink:
    """`taken` is how many messages it has answered 250, as of the last `wait_until`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self.taken = 0
        self._process = process
        self._told = b""

    def wait_until(self, count: int, seconds: float = 60.0) -> None:
        """Return as soon as it has taken this many in all; AssertionError when it has not in time."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        end = time.monotonic() + seconds
        while self.taken < count:
            left = end - time.monotonic()
            ready, _, _ = select.select([pipe], [], [], max(left, 0))
            assert ready, f"smtp-sink has {self.taken} of {count} messages after {seconds:g} s"
            piece = os.read(pipe, 65536)
            assert piece, "smtp-sink stopped"
            told = COUNT.findall(self._told + piece)
            self._told = (self._told + piece)[-64:]
            self.taken = max([self.taken, *map(int, told)])


@contextmanager
def smtp_sink() -> Iterator[SmtpSink]:
    """A sink that runs for the length of a `with` block."""
    port = free_port()
    # -c: it tells its counts as they grow. It refuses to run as root.
    user = ["-u", "postfix"] if os.geteuid() == 0 else []
    command = [require_peer("smtp-sink"), "-c", *user, f"127.0.0.1:{port}", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            wait_for(lambda: greets(port), what="smtp-sink's greeting")
            yield SmtpSink(process, port)
        finally:
            process.kill()
