"""Other mail programs on this machine: found, or the test is skipped with its reason (a failure in CI)."""

from __future__ import annotations

import os
import random
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

LEAST_PORT, MOST_PORT = 10_000, 32_768  # Linux hands out those from 32768 on (ip_local_port_range)
chance = random.SystemRandom()  # not seeded by anybody: processes of one run must not choose alike
_given: set[int] = set()  # by this process

PROJECT = Path(__file__).resolve().parents[2]
UNPACKED = PROJECT / ".peers"  # what cannot stand beside Postfix as a package, or would start a service of its own
EXIM = UNPACKED / "exim/usr/sbin/exim4"
OPENSMTPD = UNPACKED / "opensmtpd/usr/sbin/smtpd"
SENDMAIL = UNPACKED / "sendmail/usr/libexec/sendmail/sendmail"
CYRUS = UNPACKED / "cyrus/usr/sbin/cyrmaster"
POSTSRSD = UNPACKED / "postsrsd/usr/sbin/postsrsd"
HAPROXY = UNPACKED / "haproxy/usr/sbin/haproxy"
NGINX = UNPACKED / "nginx/usr/sbin/nginx"
NODE_MODULES = UNPACKED / "npm/node_modules"
PLACES: dict[str, Path] = {
    "postfix": Path("/usr/sbin/postfix"),
    "smtp-sink": Path("/usr/sbin/smtp-sink"),
    "smtp-source": Path("/usr/sbin/smtp-source"),
    "unbound": Path("/usr/sbin/unbound"),
    "dovecot-lmtp": Path("/usr/lib/dovecot/lmtp"),
    "dovecot-submission": Path("/usr/lib/dovecot/submission"),
    "exim": EXIM,
    "opensmtpd": OPENSMTPD,
    "sendmail": SENDMAIL,
    "cyrus": CYRUS,
    "postsrsd": POSTSRSD,
    "haproxy": HAPROXY,
    "nginx": NGINX,
    "opendkim": UNPACKED / "opendkim/usr/sbin/opendkim",
    "opendmarc": UNPACKED / "opendmarc/usr/sbin/opendmarc",
    "policyd-spf": UNPACKED / "policyd-spf/usr/bin/policyd-spf",
    "nodemailer": NODE_MODULES / "nodemailer",
    "smtp-server": NODE_MODULES / "smtp-server",
}
AS_ROOT = ("postfix", "exim", "opensmtpd", "sendmail", "dovecot-lmtp", "dovecot-submission", "cyrus")


def find_peer(name: str) -> str | None:
    """Where the program is, if it is."""
    place = PLACES.get(name)
    return str(place) if place is not None and place.exists() else shutil.which(name)


def require_peer(name: str) -> str:
    """Where the program is. Without it the test is skipped; under PURPORT_REQUIRE_PEERS=1 it fails."""
    place = find_peer(name)
    if place is None:
        missing(f"{name} is not installed")
    if name in AS_ROOT and os.geteuid() != 0:
        missing(f"{name} starts as root only")
    assert place is not None
    return place


def missing(reason: str) -> None:
    """Skip for `reason`, or fail where everything must be there."""
    if os.environ.get("PURPORT_REQUIRE_PEERS") == "1":
        pytest.fail(f"PURPORT_REQUIRE_PEERS=1, but {reason}")
    pytest.skip(reason)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, below those that the system hands out by itself: until the server
    that it is for has bound it, no connection of another test takes it."""
    while True:
        port = LEAST_PORT + chance.randrange(MOST_PORT - LEAST_PORT)
        if port in _given:
            continue
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def wait_for(condition: Callable[[], object], seconds: float = 40.0, what: str = "it") -> None:
    """Return as soon as `condition()` is true; AssertionError when it does not become so in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come about within {seconds:g} s"
        time.sleep(0.02)


def greets(port: int) -> bool:
    """Whether an SMTP server on this port says 220."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False
