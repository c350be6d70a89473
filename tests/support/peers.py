"""Other mail programs on this machine: found, or the test is skipped with its reason (a failure in CI)."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

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
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(condition: Callable[[], object], seconds: float = 20.0, what: str = "it") -> None:
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
