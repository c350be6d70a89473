"""8BITMIME: mail data with octets above 127 (RFC 6152).

    MAIL FROM:<ned@ymir.claremont.edu> BODY=8BITMIME

Octets are kept as they are whatever BODY says, so the value matters to the next hop alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from purport.mail.envelope import Parameter
from purport.mail.reply import reply
from purport.smtp.extension import CannotForward, Extension, Outgoing
from purport.smtp.extensions.binarymime import is_binary

# RFC 3463 section 3.7: conversion is required and not supported.
NEEDS_8BITMIME: Final = reply(554, "5.6.3", "Message holds octets above 127 and the next hop does not offer 8BITMIME")


def decode(value: bytes | None) -> str:
    """`7BIT` or `8BITMIME` (RFC 6152 section 2). Raises ValueError."""
    if value is None:
        raise ValueError("BODY needs a value")
    body = value.decode("ascii").upper()
    if body not in ("7BIT", "8BITMIME"):
        raise ValueError("unknown kind of body")
    return body


def encode(body: str) -> bytes:
    """The kind of body as it stands in MAIL."""
    return body.encode("ascii")


BODY: Final = Parameter("BODY", decode, encode)


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes]:
    """What the message holds, not what it was announced as: a header field of ours or a forwarder's may have added
    octets above 127. To a host without the extension it "must not, under any circumstances" go (RFC 6152 section 3).
    A binary message is another extension's."""
    if not message.eightbit or is_binary(message.parameters):
        return {}
    if offer is None:
        raise CannotForward(NEEDS_8BITMIME)
    return {BODY.keyword: b"8BITMIME"}


EXTENSION: Final = Extension(keyword="8BITMIME", rfc=6152, mail=(BODY,), outbound=outbound)
