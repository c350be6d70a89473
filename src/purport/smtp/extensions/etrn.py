"""ETRN: a client asks us to start the delivery of what waits for its domains (RFC 1985).

    C: ETRN company.com.example          one domain
    C: ETRN @company.com.example         it and all below it
    C: ETRN #branches                    what the settings call so
    S: 253 2.0.0 OK, 14 pending messages for node company.com.example started

The mail goes the way it always goes, over connections of our own: who asks gets nothing that it would not get anyway,
only sooner. Offered to the clients that the settings name, outside of transactions.
"""

from __future__ import annotations

import re
from typing import Final

from purport.mail.domain import is_domain_name
from purport.mail.reply import Rejected, Reply, reply
from purport.smtp.event import Etrn
from purport.smtp.extension import Extension, Terms
from purport.smtp.state import State

QUEUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # what stands behind "#"; the RFC leaves it to us

NO_NODE: Final = reply(500, "5.5.2", "Syntax: ETRN domain, @domain or #queue")  # RFC 1985 section 7
BAD_NODE: Final = reply(501, "5.5.4", "Syntax: ETRN domain, @domain or #queue; a domain is a full name")


def offer(terms: Terms) -> str | None:
    """To clients that may ask for something; LMTP has no queue to be started (RFC 2033 section 2)."""
    return "" if terms.etrn_allowed and terms.service != "lmtp" else None


def read(argument: bytes) -> Etrn:
    """The argument of ETRN. Raises Rejected."""
    if not argument:
        raise Rejected(NO_NODE)
    text = argument.decode("latin-1")
    option = text[:1] if text[:1] in ("@", "#") else ""
    node = text[len(option) :].removesuffix("." if option != "#" else "")
    if QUEUE.fullmatch(node) is None if option == "#" else not (is_domain_name(node) and "." in node):
        raise Rejected(BAD_NODE)
    return Etrn(option, node)


def started(node: str, messages: int) -> Reply:
    """What is said where the queue was started (RFC 1985 section 5.1)."""
    if not messages:
        return reply(251, "2.0.0", f"OK, no messages waiting for node {node}")
    return reply(253, "2.0.0", f"OK, {messages} pending messages for node {node} started")


def not_started(node: str) -> Reply:
    """What is said where the queue cannot be started now."""
    return reply(458, "4.3.0", f"Unable to queue messages for node {node}")


def asked_before(node: str) -> Reply:
    """What a client is told that asks again and again."""
    return reply(458, "4.7.0", f"Unable to queue messages for node {node}: asked a moment ago")


def not_allowed(node: str) -> Reply:
    """What is said to a client that may not ask for it."""
    return reply(459, "4.7.1", f"Node {node} not allowed: not yours to ask for")


EXTENSION: Final = Extension(
    keyword="ETRN",
    rfc=1985,
    offer=offer,
    verbs={State.READY: {b"ETRN": State.READY}},
    commands={b"ETRN": read},
)
