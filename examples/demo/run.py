"""The demonstration behind `make run`: a server, a next hop, and lines to paste. Ctrl-C ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
STATE = PROJECT / "state"
SECONDS = 20.0  # until a server must greet
FRONT, NEXT_HOP = 2525, 2526
LOGS = "state/purport.log, state/next-hop.log"

PURPORT = ".venv/bin/purport"
CONFIG = "--config examples/demo/purport.toml"
TO = "--server 127.0.0.1:2525 --to bob@company.com.example"

# What it shows, and the line that shows it; tests/cli/test_demo.py runs every one of them.
STEPS = (
    (
        "A message whose client may speak for its submitter: accepted, and in Bob's Maildir.",
        f"{PURPORT} send {TO} --from alice@example.com",
    ),
    (
        "A forged one: refused at MAIL, before an octet of it was sent.",
        f"{PURPORT} send {TO} --from alice@example.com --submitter ceo@bank.example",
    ),
    (
        "One whose header names somebody else: refused at the end of data.",
        f"{PURPORT} send {TO} --from alice@example.com --submitter alice@almamater.edu.example",
    ),
    (
        "One for elsewhere: relayed to the next hop, SUBMITTER computed anew.",
        f"{PURPORT} send --server 127.0.0.1:2525 --to carol@elsewhere.example --from alice@example.com",
    ),
    ("Why was the last one decided so, and what became of it?", f"{PURPORT} explain --last {CONFIG}"),
    ("Where the mail is:", "find state -path '*/new/*'"),
)
SMTPLIB = (
    "python3 -c \"import smtplib; print(smtplib.SMTP('127.0.0.1', 2525).sendmail('alice@example.com', "
    "['bob@company.com.example'], 'From: alice@example.com\\n\\nHi', {options}))\""
)
# The same with other clients.
OTHERS = (
    ("swaks passes, as its message names the sender:", f"swaks {TO} --from alice@example.com"),
    ("smtplib passes:", SMTPLIB.format(options="['SUBMITTER=alice@example.com']")),
    ("smtplib is refused at MAIL:", SMTPLIB.format(options="['SUBMITTER=ceo@bank.example']")),
)


def main() -> int:
    """Start both servers, print the lines, wait until one of them or the user stops."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    servers: list[subprocess.Popen[bytes]] = []
    code = 0
    try:
        for settings, port in (("next-hop.toml", NEXT_HOP), ("purport.toml", FRONT)):
            check_free(port)
            servers.append(start(settings))
            wait_until_it_greets(servers[-1], settings, port)
        print_lines()
        while all(server.poll() is None for server in servers):
            time.sleep(0.2)
        raise Failed(f"a server stopped; its log is in {os.path.relpath(STATE)}")
    except KeyboardInterrupt:
        print("\nStopping.", flush=True)
    except Failed as error:
        print(f"The demonstration failed: {error}", file=sys.stderr)
        code = 69
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        for server in reversed(servers):
            server.terminate()
            server.wait(40)
    return code


class Failed(Exception):
    """Why the demonstration cannot run."""


def check_free(port: int) -> None:
    """Raises Failed where another program has the port: its greeting must not be taken for our server's."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise Failed(f"port {port} of 127.0.0.1 is taken by another program")


def start(settings: str) -> subprocess.Popen[bytes]:
    """A server of its own."""
    STATE.mkdir(exist_ok=True)
    with log_of(settings).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "purport", "serve", "--config", str(HERE / settings)],
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )


def log_of(settings: str) -> Path:
    """Where a server writes what it does."""
    return STATE / f"{Path(settings).stem}.log"


def wait_until_it_greets(server: subprocess.Popen[bytes], settings: str, port: int) -> None:
    """Raises Failed, with the server's words, where it does not."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.settimeout(5)
                if connection.recv(3) == b"220":
                    return
        except OSError:
            time.sleep(0.05)
    raise Failed(f"the server of {settings} does not answer on port {port}:\n{log_of(settings).read_text()}")


def print_lines() -> None:
    """What to paste into another terminal."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    print(f"{bold}Purport listens on 127.0.0.1:{FRONT}{plain}, a next hop on 127.0.0.1:{NEXT_HOP}.")
    print(
        f"Paste these into another terminal, in {os.path.relpath(PROJECT) if Path.cwd() != PROJECT else 'this folder'}:"
    )
    for what, line in STEPS:
        print(f"\n{bold}{what}{plain}\n  {line}")
    print(f"\n{bold}Other clients, when they are installed:{plain}")
    for what, line in OTHERS:
        print(f"\n{what}\n  {line}")
    print(f"\nLogs: {LOGS}. Ctrl-C stops both servers.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
