"""ATRN: a host that is seldom on line logs in and has its mail sent over its own connection (RFC 2645).

    C: ATRN company.com.example,sub.company.com.example
    S: 250 2.0.0 OK, now reversing the connection
    C: 220 mail.company.com.example ESMTP           <- from here on the client is the server
    S: EHLO mx.provider.example

It is the one thing that a listener for on-demand mail relay is for: no mail is taken there. What a client sent behind
ATRN before it knew the answer would be read by nobody knows whom, so such an ATRN is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from purport.mail.domain import is_domain_name
from purport.mail.reply import Rejected, Reply, reply
from purport.smtp.event import Atrn
from purport.smtp.extension import Extension, Terms
from purport.smtp.extensions.auth import REQUIRED
from purport.smtp.state import State

PORT: Final = 366  # RFC 2645 section 4
# The other extensions of such a listener: all that are not about mail.
BESIDE: Final = frozenset(("ENHANCEDSTATUSCODES", "AUTH", "STARTTLS", "XCLIENT"))
# RFC 2645 section 5.4: whatever leads to mail is not implemented there.
ELSEWHERE: Final = (b"MAIL", b"RCPT", b"DATA", b"BDAT", b"VRFY", b"EXPN", b"HELP", b"ETRN")

REVERSING: Final = reply(250, "2.0.0", "OK, now reversing the connection")
NOT_YOURS: Final = reply(450, "4.7.1", "ATRN request refused: not all of these domains are yours")
ASKED_BEFORE: Final = reply(450, "4.7.0", "ATRN request refused: asked a moment ago")
NOT_NOW: Final = reply(451, "4.3.0", "Unable to process ATRN request now")
NO_MAIL: Final = reply(453, "4.2.0", "You have no mail")
NOT_HERE: Final = reply(502, "5.5.1", "Command not implemented: this is for on-demand mail relay")
SENT_AHEAD: Final = reply(450, "4.5.0", "ATRN request refused: nothing may follow ATRN before its reply")
BAD_DOMAIN: Final = reply(501, "5.5.4", "Syntax: ATRN [domain[,domain...]]; a domain is a full name")


def offer(terms: Terms) -> str | None:
    """Before the login too, as the EHLO reply is asked to have it (RFC 2645 section 5.1.1)."""
    return "" if terms.service == "odmr" else None


def refusals(terms: Terms) -> Mapping[bytes, Reply]:
    """What may not be said there, and ATRN before the login (RFC 2645 section 5.2.1)."""
    if terms.service != "odmr":
        return {}
    refused = dict.fromkeys(ELSEWHERE, NOT_HERE)
    if not terms.authenticated and not (terms.tls_required and not terms.secure):
        refused[b"ATRN"] = REQUIRED
    return refused


def read(argument: bytes) -> Atrn:
    """The argument of ATRN. Raises Rejected."""
    if not argument:
        return Atrn()
    domains = argument.decode("latin-1").split(",")
    if not all(is_domain_name(domain) and "." in domain.strip(".") for domain in domains):
        raise Rejected(BAD_DOMAIN)
    return Atrn(tuple(domains))


def command(domains: Sequence[str]) -> bytes:
    """ATRN as a client says it; without domains it means all that the login may have."""
    return " ".join(("ATRN", ",".join(domains))).rstrip().encode("ascii") + b"\r\n"


EXTENSION: Final = Extension(
    keyword="ATRN",
    rfc=2645,
    offer=offer,
    refusals=refusals,
    verbs={State.READY: {b"ATRN": State.REVERSED}},
    commands={b"ATRN": read},
)
