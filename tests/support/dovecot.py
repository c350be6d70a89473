"""A stand-in for Dovecot's auth socket, from the description of its protocol (version 1, client side)."""

from __future__ import annotations

import base64
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GREETING = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t4711\nCUID\t1\nCOOKIE\t0123\nDONE\n"


class FakeDovecot(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Knows `passwords`; a user of the name `broken` has a temporary failure. `asked` are the AUTH lines it got."""

    daemon_threads = True

    def __init__(self, path: Path, passwords: dict[str, str], greeting: str = GREETING) -> None:
        self.passwords = passwords
        self.greeting = greeting
        self.asked: list[list[str]] = []
        super().__init__(str(path), _Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: FakeDovecot

    def handle(self) -> None:
        self.wfile.write(self.server.greeting.encode("utf-8", "surrogateescape"))
        if not self.rfile.readline().startswith(b"VERSION\t1\t"):
            return
        assert self.rfile.readline().startswith(b"CPID\t")
        words = self.rfile.readline().decode().rstrip("\n").split("\t")
        self.server.asked.append(words)
        verb, number, mechanism = words[:3]
        assert (verb, mechanism) == ("AUTH", "PLAIN")
        assert words[-1].startswith("resp=")
        _, name, password = base64.b64decode(words[-1].removeprefix("resp=")).decode().split("\0")
        if name == "broken":
            answer = f"FAIL\t{number}\tuser={name}\ttemp"
        elif self.server.passwords.get(name) == password:
            answer = f"OK\t{number}\tuser={name.lower()}"
        else:
            answer = f"FAIL\t{number}\tuser={name}"
        self.wfile.write(f"FAIL\t77\tuser=somebody\n{answer}\n".encode())


@contextmanager
def fake_dovecot(path: Path, passwords: dict[str, str], greeting: str = GREETING) -> Iterator[FakeDovecot]:
    """The stand-in, for the length of a `with` block."""
    with FakeDovecot(path, passwords, greeting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
