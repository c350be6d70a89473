"""Clients and servers that live in other languages, each driven by a small script beside this file."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.peers import NODE_MODULES, free_port, greets, missing, require_peer, wait_for

HERE = Path(__file__).parent
NODE = {**os.environ, "NODE_PATH": str(NODE_MODULES)}


def net_smtp(port: int, *steps: Sequence[object]) -> list[dict[str, Any]]:
    """Run Perl's Net::SMTP through these steps (net_smtp.pl): what became of each."""
    perl = require_peer("perl")
    for module in ("IO::Socket::SSL", "Authen::SASL"):
        if subprocess.run([perl, f"-M{module}", "-e1"], capture_output=True).returncode != 0:
            missing(f"Perl's {module} is not installed")
    task = {"host": "localhost", "port": port, "hello": "client.example", "steps": steps}
    return _lines([perl, str(HERE / "net_smtp.pl")], task)


def nodemailer(transport: Mapping[str, object], *messages: Mapping[str, object]) -> list[dict[str, Any]]:
    """Send messages with Nodemailer (nodemailer.js): what became of each."""
    require_peer("nodemailer")
    task = {"transport": transport, "messages": messages}
    return _lines([require_peer("node"), str(HERE / "nodemailer.js")], task)


def _lines(command: list[str], task: object) -> list[dict[str, Any]]:
    ran = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, timeout=60, env=NODE)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


class SmtpServer:
    """The npm package smtp-server, running: talk to `port`, read `taken()`."""

    def __init__(self, port: int, output: Path) -> None:
        self.port = port
        self._output = output

    def taken(self) -> list[dict[str, Any]]:
        """What it took, in order (smtp_server.js); `octets` are the message."""
        found = [json.loads(line) for line in self._output.read_text().splitlines(keepends=True) if line[-1:] == "\n"]
        for message in found:
            message["octets"] = base64.b64decode(message["octets"])
        return found


@contextmanager
def smtp_server(
    chain: Path | None = None, users: Mapping[str, str] | None = None, **options: object
) -> Iterator[SmtpServer]:
    """It, for the length of a `with` block, with a certificate, users, and further options of its own."""
    require_peer("smtp-server")
    port = free_port()
    task = {"port": port, "users": users, "options": options, "chain": chain and str(chain)}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "taken")
        with (
            output.open("wb") as out,
            Path(folder, "log").open("wb") as log,
            subprocess.Popen(
                [require_peer("node"), str(HERE / "smtp_server.js"), json.dumps(task)], stdout=out, stderr=log, env=NODE
            ) as process,
        ):
            try:
                wait_for(lambda: process.poll() is not None or greets(port), what="smtp-server's greeting")
                assert process.poll() is None, Path(folder, "log").read_text()
                yield SmtpServer(port, output)
            finally:
                process.kill()
