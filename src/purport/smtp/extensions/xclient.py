"""XCLIENT: a trusted peer tells for which client it speaks (Postfix XCLIENT_README).

    S: 250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT
    C: XCLIENT ADDR=192.0.2.10 NAME=[UNAVAILABLE]
    S: 220 mx.company.com.example ESMTP

Offered and understood only where the peer is trusted with it; it may come before EHLO. What it says is for policy.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from purport.mail import xtext
from purport.mail.reply import Rejected, reply
from purport.smtp.event import Xclient
from purport.smtp.extension import Extension, Terms
from purport.smtp.state import State

ATTRIBUTES: Final = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")
ADDRESSES: Final = ("ADDR", "DESTADDR")
IPV6: Final = "IPV6:"  # stands before an IPv6 address, as in an address literal
UNKNOWN: Final = (b"[UNAVAILABLE]", b"[TEMPUNAVAIL]")
BAD_ATTRIBUTE: Final = reply(501, "5.5.4", "Bad XCLIENT attribute")


def offer(terms: Terms) -> str | None:
    """The attributes we take, to peers that are believed."""
    return " ".join(ATTRIBUTES) if terms.xclient_allowed else None


def read(argument: bytes) -> Xclient:
    """The attributes of an XCLIENT command. Raises Rejected."""
    attributes: dict[str, str | None] = {}
    for word in argument.split(b" "):
        name, equals, value = word.partition(b"=")
        attribute = name.decode("latin-1").upper()
        if not equals or attribute not in ATTRIBUTES or attribute in attributes:
            raise Rejected(BAD_ATTRIBUTE)
        if value.upper() in UNKNOWN:
            attributes[attribute] = None
        else:
            text = decode(value)
            attributes[attribute] = address(text) if attribute in ADDRESSES else text
    return Xclient(attributes)


def address(text: str) -> str:
    """An address as the rest of the house writes it: IPv6 compressed and without prefix, IPv4-mapped as IPv4. Raises
    Rejected."""
    prefixed = text[: len(IPV6)].upper() == IPV6
    try:
        found = ipaddress.ip_address(text[len(IPV6) :] if prefixed else text)
    except ValueError:
        raise Rejected(BAD_ATTRIBUTE) from None
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None:
            raise Rejected(BAD_ATTRIBUTE)
        return str(found.ipv4_mapped or found)
    return str(found)


def decode(value: bytes) -> str:
    """An attribute's value as text that may stand in a log or a header. Raises Rejected."""
    try:
        text = xtext.decode(value).decode("utf-8")
    except ValueError:
        raise Rejected(BAD_ATTRIBUTE) from None
    if not text or not text.isprintable():
        raise Rejected(BAD_ATTRIBUTE)
    return text


def encode(text: str) -> bytes:
    """A value as it stands in the command."""
    return xtext.encode(text.encode("utf-8"))


EXTENSION: Final = Extension(
    keyword="XCLIENT",
    rfc=None,
    offer=offer,
    verbs={State.START: {b"XCLIENT": State.START}, State.READY: {b"XCLIENT": State.START}},
    commands={b"XCLIENT": read},
)
