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
    ("Why was it decided so, and what became of it?", f"{PURPORT} explain --last 4 {CONFIG}"),
    ("Where the mail is:", "find state -path '*/new/*'"),
)
SWAKS = (
    "swaks --server 127.0.0.1:2525 --from alice@example.com --to bob@company.com.example",
    "python3 -c \"import smtplib; smtplib.SMTP('127.0.0.1', 2525).sendmail('alice@example.com', "
    "['bob@company.com.example'], 'From: alice@example.com\\n\\nHi', ['SUBMITTER=ceo@bank.example'])\"",
)


def main() -> int:
    """Start both servers, print the lines, wait."""
    STATE.mkdir(exist_ok=True)
    servers = [start("next-hop.toml", NEXT_HOP), start("purport.toml", FRONT)]
    stop = [signal.SIGTERM, signal.SIGINT]
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    try:
        if not all(servers):
            return 69
        print_lines()
        signal.sigwait(stop)
        print("\nStopping.", flush=True)
    finally:
        for server in servers:
            if server is not None:
                server.terminate()
        for server in servers:
            if server is not None:
                server.wait(40)
    return 0


def start(settings: str, port: int) -> subprocess.Popen[bytes] | None:
    """A server that greets; None, with its words, where it does not."""
    log_name = STATE / f"{Path(settings).stem}.log"
    with log_name.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "purport", "serve", "--config", str(HERE / settings)],
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.settimeout(5)
                if connection.recv(3) == b"220" and server.poll() is None:
                    return server
        except OSError:
            time.sleep(0.05)
    print(f"The server of {settings} does not answer on port {port}:\n{log_name.read_text()}", file=sys.stderr)
    if server.poll() is None:
        server.terminate()
    return None


def print_lines() -> None:
    """What to paste into another terminal."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    print(f"{bold}Purport listens on 127.0.0.1:{FRONT}{plain}, a next hop on 127.0.0.1:{NEXT_HOP}.")
    print(
        f"Paste these into another terminal, in {os.path.relpath(PROJECT) if Path.cwd() != PROJECT else 'this folder'}:"
    )
    for what, line in STEPS:
        print(f"\n{bold}{what}{plain}\n  {line}")
    print("\nOther clients do as well, when they are installed (the second one is refused):")
    for line in SWAKS:
        print(f"  {line}")
    print("\nLogs: state/purport.log, state/next-hop.log. Ctrl-C stops both servers.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
