"""BINARYMIME: messages of any octets whatever, in chunks (RFC 3030 section 3).

    MAIL FROM:<ned@ymir.claremont.edu> BODY=BINARYMIME

Such a message is kept as it is to the octet, in a Maildir too. It goes on only to hosts that offer BINARYMIME; for
others it is converted before (`mail/conversion.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from purport.mail.envelope import Parameter, Parameters
from purport.mail.reply import reply
from purport.smtp.extension import CannotForward, Extension, Outgoing

BINARYMIME: Final = "BINARYMIME"
BODIES: Final = ("7BIT", "8BITMIME", BINARYMIME)
# RFC 3463 section 3.7: conversion is required and not supported.
NEEDS_BINARYMIME: Final = reply(554, "5.6.3", "Message is BODY=BINARYMIME and the next hop does not offer BINARYMIME")


def decode(value: bytes | None) -> str:
    """One of BODIES (RFC 3030 section 3 (5)). Raises ValueError."""
    if value is None:
        raise ValueError("BODY needs a value")
    body = value.decode("ascii").upper()
    if body not in BODIES:
        raise ValueError("unknown kind of body")
    return body


def encode(body: str) -> bytes:
    """The kind of body as it stands in MAIL."""
    return body.encode("ascii")


BODY: Final = Parameter("BODY", decode, encode)  # in force in place of that of 8BITMIME


def is_binary(parameters: Parameters) -> bool:
    """Whether MAIL announced a message of any octets."""
    return bool(parameters.items) and parameters.get(BODY) == BINARYMIME


def without_body(parameters: Parameters) -> Parameters:
    """The parameters of a message that was converted: what it was announced as is no longer true."""
    return Parameters(tuple(item for item in parameters.items if item[0] != BODY.keyword))


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes]:
    """Binary data "MUST NOT, under any circumstances" go to a host without the extension (RFC 3030 section 3)."""
    if not is_binary(message.parameters):
        return {}
    if offer is None:
        raise CannotForward(NEEDS_BINARYMIME)
    return {BODY.keyword: encode(BINARYMIME)}


EXTENSION: Final = Extension(
    keyword=BINARYMIME,
    rfc=3030,
    mail=(BODY,),
    mail_octets=16,  # RFC 3030 section 3 (8)
    outbound=outbound,
)
