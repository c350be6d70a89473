"""DELIVERBY: by when a message is to be delivered, and what is done where it is not (RFC 2852).

    S: 250-DELIVERBY 30
    C: MAIL FROM:<eljefe@bigbiz.example> BY=98;R

The time is in seconds from MAIL on, so that no two clocks have to agree. Mode R: a message that is late goes back
(5.4.7), and only a host that keeps the time too gets it. Mode N: a message that is late goes on, and the sender is told
(4.4.7). T asks every server to tell when it has passed the message on. What is left of the time is worked out anew for
each attempt (section 4.1.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from typing import Final

from purport.mail.envelope import Parameter, Parameters
from purport.mail.reply import Reply, reply
from purport.smtp.extension import CannotForward, Extension, Outgoing, Terms
from purport.smtp.extensions.dsn import NOTIFY, Notify

MOST: Final = 999_999_999  # seconds, forwards and backwards (RFC 2852 section 4)
VALUE: Final = re.compile(rb"([+-]?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)
LEAST: Final = re.compile(r"[0-9]{1,9}")  # min-by-time

TOO_SOON: Final = reply(555, "5.5.4", "BY time is below the minimum")  # RFC 2852 section 3 and 4
EXPIRED: Final = reply(554, "5.4.7", "Delivery time expired")
NEXT_HOP_TOO_SLOW: Final = reply(554, "5.4.7", "Less time is left than the next hop takes messages with")
# RFC 3463 section 3.4: a system that is not capable of selected features.
NEEDS_DELIVERBY: Final = reply(554, "5.3.3", "Message is to be delivered in time and the next hop lacks DELIVERBY")


@dataclass(frozen=True, slots=True)
class DeliverBy:
    """What BY asks for: `seconds` from MAIL on; whether the message `returns` when they are over, or goes on and the
    sender is told; whether every hop is to be told of (`trace`)."""

    seconds: int
    returns: bool
    trace: bool = False

    def left(self, age: float) -> int:
        """The whole seconds that are left of a message of this age, which become no more by rounding; below 0 for one
        that is late."""
        return max(-MOST, floor(self.seconds - age))


def decode(value: bytes | None) -> DeliverBy:
    """`-3;N`, `120;R`, `120;RT`. Raises ValueError, also for mode R with no time at all (RFC 2852 section 4)."""
    found = VALUE.fullmatch(value or b"")
    if found is None:
        raise ValueError("BY is a number of seconds, a semicolon, N or R, and perhaps T")
    wanted = DeliverBy(int(found[1]), found[2].upper() == b"R", bool(found[3]))
    if wanted.returns and wanted.seconds <= 0:
        raise ValueError("nothing can be delivered in no time")
    return wanted


def encode(wanted: DeliverBy) -> bytes:
    """The value of BY."""
    return f"{wanted.seconds};{'R' if wanted.returns else 'N'}{'T' if wanted.trace else ''}".encode("ascii")


BY: Final = Parameter("BY", decode, encode)


def offer(terms: Terms) -> str:
    """The least time that a message may come with that is to be returned when it is over."""
    return str(terms.least_by_time) if terms.least_by_time else ""


def check(parameters: Parameters, terms: Terms) -> Reply | None:
    """RFC 2852 section 3: mode R with less time than the offer says is refused for good."""
    wanted = parameters.get(BY)
    return TOO_SOON if wanted is not None and wanted.returns and wanted.seconds < terms.least_by_time else None


def least_by_time(offer: str) -> int:
    """The least time of another server's offer, before its options; 0 where it names none."""
    least = offer.partition(",")[0].strip()
    return int(least) if LEAST.fullmatch(least) else 0


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes]:
    """The time that is left (RFC 2852 section 4.1.4). In mode R a message goes to no host that does not keep it, or
    that wants more of it, and no other host is looked for (section 7)."""
    wanted = message.parameters.get(BY) if message.parameters.items else None
    if wanted is None:
        return {}
    left = wanted.left(message.age)
    if wanted.returns:
        if left <= 0:
            raise CannotForward(EXPIRED)
        if offer is None:
            raise CannotForward(NEEDS_DELIVERBY)
        if left < least_by_time(offer):
            raise CannotForward(NEXT_HOP_TOO_SLOW)
    return {} if offer is None else {BY.keyword: encode(DeliverBy(left, wanted.returns, wanted.trace))}


def adjust_rcpt(message: Outgoing, offer: str | None, parameters: Parameters) -> Parameters:
    """In mode N a host that does not keep the time is asked to tell of delays in its stead (RFC 2852 section
    4.1.4.2), which "explicitly overrides" RFC 3461 section 5.2.1 (c)."""
    wanted = message.parameters.get(BY)
    if wanted is None or offer is not None or wanted.returns or wanted.left(message.age) <= 0:
        return parameters
    told = parameters.get(NOTIFY)
    if told is None:
        return Parameters((*parameters.items, (NOTIFY.keyword, NOTIFY.encode(Notify.FAILURE | Notify.DELAY))))
    if told == Notify.NEVER or Notify.DELAY in told:
        return parameters
    added = NOTIFY.encode(told | Notify.DELAY)
    return Parameters(tuple((name, added if name == NOTIFY.keyword else value) for name, value in parameters))


EXTENSION: Final = Extension(
    keyword="DELIVERBY",
    rfc=2852,
    offer=offer,
    mail=(BY,),
    mail_octets=17,  # RFC 2852 section 2 (5)
    check=check,
    outbound=outbound,
    adjust_rcpt=adjust_rcpt,
)
