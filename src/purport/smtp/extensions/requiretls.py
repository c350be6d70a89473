"""REQUIRETLS: a message goes over protected connections alone, all the way (RFC 8689).

    MAIL FROM:<alice@example.com> REQUIRETLS

A host gets such a message where its certificate was verified, somebody vouches that it is the right host, and it offers
REQUIRETLS under TLS; where no host of a domain is like that the message goes back. Reports about it carry the parameter
where they can, and go without it where they cannot (section 5).

The field `TLS-Required: No` is the opposite: what the recipient's domain publishes about TLS is not insisted on for
that message. It is marked in the queue by MARK among the parameters of MAIL, where no client can say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from purport.mail.envelope import NO_PARAMETERS, Parameter, Parameters
from purport.mail.header import Header
from purport.mail.reply import reply
from purport.smtp.extension import CannotForward, Extension, Outgoing, Terms

KEYWORD: Final = "REQUIRETLS"
FIELD: Final = "tls-required"
NO: Final = b"no"  # the one value that there is (RFC 8689 section 3)
MARK: Final = ("TLS-REQUIRED", b"NO")  # of a message with that field
NEEDS_REQUIRETLS: Final = reply(550, "5.7.30", "REQUIRETLS support required")  # RFC 8689 section 4.2.1


class Demand(Enum):
    """What the sender of a message asks of the connections that it takes; the value is how a log says it."""

    NOTHING = ""
    REQUIRE_TLS = "requiretls"
    IGNORE_POLICIES = "tls-required: no"


def decode(value: bytes | None) -> bool:
    """The parameter stands alone (RFC 8689 section 2). Raises ValueError."""
    if value is not None:
        raise ValueError("REQUIRETLS has no value")
    return True


def encode(_given: bool) -> None:
    """Nothing stands behind the keyword."""


REQUIRETLS: Final = Parameter(KEYWORD, decode, encode)
REQUIRED: Final = Parameters(((KEYWORD, None),))  # of a MAIL command of ours


def requires_tls(parameters: Parameters) -> bool:
    """Whether the MAIL command asked for it."""
    return bool(parameters.items) and KEYWORD in parameters


def demand_of(parameters: Parameters) -> Demand:
    """What the parameters of a queued message say; the parameter goes before the field (RFC 8689 section 4.1)."""
    if not parameters.items:
        return Demand.NOTHING
    if KEYWORD in parameters:
        return Demand.REQUIRE_TLS
    return Demand.IGNORE_POLICIES if MARK[0] in parameters else Demand.NOTHING


def tagged(parameters: Parameters, header: Header) -> Parameters:
    """The parameters of MAIL with the mark of the field, where the header has it: once, and with the one value that it
    can have. Beside REQUIRETLS it means nothing."""
    fields = header.all(FIELD)
    if len(fields) != 1 or fields[0].value.lower() != NO or requires_tls(parameters):
        return parameters
    return Parameters((*parameters.items, MARK))


def carried(parameters: Parameters) -> Parameters:
    """Of the parameters of a message those that each copy of it has to have (RFC 8689 section 4.1 and 6)."""
    items = tuple([item for item in parameters.items if item[0] in (KEYWORD, MARK[0])])
    return Parameters(items) if items else NO_PARAMETERS


def offer(terms: Terms) -> str | None:
    """Under TLS alone: the parameter means that the session is protected (RFC 8689 section 2)."""
    return "" if terms.secure else None


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes | None]:
    """The parameter as it came, to a host that is known to be the right one. A report goes without it where it must
    (RFC 8689 section 5), and so does what is delivered by LMTP. Anything else does not go."""
    if not requires_tls(message.parameters):
        return {}
    if offer is not None and message.protected:
        return {KEYWORD: None}
    if message.requires_tls:
        raise CannotForward(NEEDS_REQUIRETLS)
    return {}


EXTENSION: Final = Extension(
    keyword=KEYWORD,
    rfc=8689,
    offer=offer,
    mail=(REQUIRETLS,),
    mail_octets=11,  # RFC 8689 section 2 (5)
    outbound=outbound,
)
