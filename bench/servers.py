"""The two servers of the comparison, as an administrator would run them, but for addresses."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paths  # noqa: F401  # makes support importable
from support.dns_server import dns_server
from support.peers import free_port, greets, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer, purport_server

# What the checks of each message find: SPF of the reverse-path, Sender ID of the PRA.
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}, {"MX": [10, "mx.example.com"]}],
    "mx.example.com": [{"A": "127.0.0.1"}],
    "bank.example": [{"TXT": "v=spf1 -all"}],
}
TTL = 86400  # seconds: the first message asks, the others find the answer in the cache

# Every check on: SPF, PRA and Sender ID for each message, whether it names a submitter or not.
SETTINGS = """
[dns]
servers = ["{name_server}"]

[submitter]
check_pra = "always"

[spf]
on_fail = "reject"

[limits]
message_size = 200000000
connections = 20000
connections_per_client = 1000

[queue]
hold = {hold}

[[domain]]
name = "company.com.example"
deliver = "{deliver}"
"""


@contextmanager
def purport(sink_port: int = 0, more: str = "") -> Iterator[PurportServer]:
    """Purport, running: what it accepts is sent on to the sink, or without one held in the queue. `more` are tables of
    the settings."""
    folder = Path(tempfile.mkdtemp(prefix="purport-bench-", dir="/var/tmp"))
    deliver = f"smtp:127.0.0.1:{sink_port}" if sink_port else "maildir"
    try:
        with dns_server(ZONE, ttl=TTL) as names:
            settings = SETTINGS.format(
                name_server=names.address, hold="false" if sink_port else "true", deliver=deliver
            )
            with purport_server(folder, settings + more) as server:
                yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postfix(**settings: str) -> Iterator[Postfix]:
    """Postfix with Debian's defaults and these settings, running."""
    server = Postfix({"mydestination": "", "relay_domains": "company.com.example", **settings})
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def aiosmtpd() -> Iterator[int]:
    """aiosmtpd's own controller with its handler that forgets everything, in a process of its own: its port."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", AIOSMTPD, str(port)]) as process:
        try:
            wait_for(lambda: greets(port), what="aiosmtpd's greeting")
            yield port
        finally:
            process.kill()


def relaying_postfix(sink_port: int) -> dict[str, str]:
    """Sends everything on to the sink."""
    return {"relay_transport": f"smtp:[127.0.0.1]:{sink_port}"}


AIOSMTPD = """
import signal, sys
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
Controller(Sink(), hostname="127.0.0.1", port=int(sys.argv[1]), data_size_limit=200_000_000).start()
signal.pause()
"""

# Its queue manager runs as always, and hands every message to the service that forgets it.
DISCARDING: dict[str, str] = {"relay_transport": "discard"}

# Messages go into the hold queue, as Purport's do: nothing else costs Postfix less, and nobody runs it so.
HOLDING: dict[str, str] = {"smtpd_data_restrictions": "check_client_access static:HOLD"}
