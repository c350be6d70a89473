"""STARTTLS: the rest of the session is protected by TLS (RFC 3207).

    C: STARTTLS
    S: 220 2.0.0 Ready to start TLS
    (TLS handshake)
    C: EHLO almamater.edu.example

Nothing of the clear session survives it: neither what the client said nor what the server offered (section 4.2), and
octets that came behind the command are thrown away unread: they may be somebody else's.
"""

from __future__ import annotations

from typing import Final

from purport.mail.reply import Rejected, reply
from purport.smtp.event import StartTls
from purport.smtp.extension import Extension, Terms
from purport.smtp.state import State

READY_TO_START: Final = reply(220, "2.0.0", "Ready to start TLS")
NEEDS_NO_ARGUMENT: Final = reply(501, "5.5.4", "STARTTLS has no argument")  # RFC 3207 section 4
NOT_NOW: Final = reply(454, "4.7.0", "TLS is not available at the moment")


def offer(terms: Terms) -> str | None:
    """Nothing stands behind the keyword, which is never offered inside of TLS (RFC 3207 section 4.2)."""
    return "" if terms.starttls and not terms.secure else None


def read(argument: bytes) -> StartTls:
    """The command. Raises Rejected."""
    if argument:
        raise Rejected(NEEDS_NO_ARGUMENT)
    return StartTls()


EXTENSION: Final = Extension(
    keyword="STARTTLS",
    rfc=3207,
    offer=offer,
    verbs={State.READY: {b"STARTTLS": State.HANDSHAKE}},
    commands={b"STARTTLS": read},
)
