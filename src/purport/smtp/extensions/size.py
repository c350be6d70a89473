"""SIZE: how large a message is, and may be (RFC 1870).

    S: 250-SIZE 10485760
    C: MAIL FROM:<alice@example.com> SIZE=500000

The declared size is checked at MAIL, the real one while the mail data arrives (section 6.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from purport.mail.envelope import Parameter, Parameters
from purport.mail.reply import MESSAGE_TOO_BIG, Reply
from purport.smtp.extension import CannotForward, Extension, Outgoing, Terms

DIGITS: Final = 20  # RFC 1870 section 4: size-value is 1*20DIGIT


def decode(value: bytes | None) -> int:
    """The number of octets. Raises ValueError."""
    if value is None or not value.isdigit() or len(value) > DIGITS:
        raise ValueError("not a number of octets")
    return int(value)


def encode(octets: int) -> bytes:
    """A number of octets as it stands in MAIL and in an EHLO reply."""
    return b"%d" % octets


SIZE: Final = Parameter("SIZE", decode, encode)


def check(parameters: Parameters, terms: Terms) -> Reply | None:
    """RFC 1870 section 6.1: a message that is declared too large is refused before it is sent."""
    declared = parameters.get(SIZE)
    return MESSAGE_TOO_BIG if declared is not None and declared > terms.message_octets else None


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes]:
    """The size of what is sent; a message over the server's limit is not worth a try (RFC 1870 section 5)."""
    if offer is None:
        return {}
    if offer.isascii() and offer.isdigit() and len(offer) <= DIGITS and 0 < int(offer) < message.octets:
        raise CannotForward(MESSAGE_TOO_BIG)
    return {SIZE.keyword: encode(message.octets)}


EXTENSION: Final = Extension(
    keyword="SIZE",
    rfc=1870,
    offer=lambda terms: str(terms.message_octets),
    mail=(SIZE,),
    mail_octets=26,  # RFC 1870 section 3 (5)
    check=check,
    outbound=outbound,
)
