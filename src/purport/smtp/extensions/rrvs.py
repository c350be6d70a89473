"""RRVS: a recipient must have had the mailbox since a moment at which the sender knew whose it was (RFC 7293).

    C: RCPT TO:<receiver@example.com> RRVS=2014-04-03T23:01:00Z
    S: 550 5.7.17 Mailbox owner has changed

Who has the mailbox decides (`policy/ownership.py`); who relays passes the parameter on. To a next hop without the
extension the recipient goes with `;C` alone; otherwise it fails (section 5.1.1).

A message whose header holds the field of section 3.2 is marked in the queue by this keyword among the parameters of
MAIL, where no client can say it: what has no mark is not searched for the field when it is delivered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from purport.mail.envelope import Parameter, Parameters
from purport.mail.moment import date_time
from purport.mail.reply import reply
from purport.mail.valid_since import minutes, moment
from purport.smtp.extension import CannotForward, Extension
from purport.smtp.extensions.dsn import carried

KEYWORD: Final = "RRVS"
MARK: Final = (KEYWORD, None)  # of a message with a Require-Recipient-Valid-Since field
# date-time of RFC 3339 section 5.6 without fractions of a second, and the no-support action (RFC 7293 section 3.1).
VALUE: Final = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:Z|([+-])(\d\d):(\d\d))(?:;([CR]))?", re.IGNORECASE
)

OWNER_CHANGED: Final = reply(550, "5.7.17", "Mailbox owner has changed")  # RFC 7293 section 15.3
DOMAIN_OWNER_CHANGED: Final = reply(550, "5.7.18", "Domain owner has changed")
UNKNOWN_OWNER: Final = reply(550, "5.7.19", "RRVS test cannot be completed")
NEEDS_RRVS: Final = reply(550, "5.7.19", "RRVS test cannot be completed: the next hop does not offer RRVS")


@dataclass(frozen=True, slots=True)
class ValidSince:
    """The moment, in seconds since 1970, and whether the recipient may go to a server that does not look at it."""

    since: float
    continues: bool = False


def decode(value: bytes | None) -> ValidSince:
    """`2014-04-03T23:01:00Z`, `2014-04-03T16:01:00-07:00;C`. Raises ValueError."""
    found = VALUE.fullmatch(value or b"")
    if found is None:
        raise ValueError("RRVS is a date and time, and perhaps ;C or ;R")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    sign, hours, rest, action = ((part or b"").decode("ascii") for part in found.groups()[6:])
    offset = minutes(sign, hours, rest) if sign else 0
    return ValidSince(moment((year, month, day), (hour, minute, second), offset), action.upper() == "C")


def encode(wanted: ValidSince) -> bytes:
    """The value of RRVS."""
    return f"{date_time(wanted.since)}{';C' if wanted.continues else ''}".encode("ascii")


RRVS: Final = Parameter(KEYWORD, decode, encode)


def outbound_rcpt(parameters: Parameters, offer: str | None) -> Mapping[str, bytes | None]:
    """The requirement as it came, its no-support action too (RFC 7293 section 5.1.1)."""
    wanted = parameters.get(RRVS)
    if wanted is None:
        return {}
    if offer is not None:
        return carried(parameters, KEYWORD)
    if not wanted.continues:
        raise CannotForward(NEEDS_RRVS)
    return {}


EXTENSION: Final = Extension(
    keyword=KEYWORD,
    rfc=7293,
    rcpt=(RRVS,),
    rcpt_octets=33,  # RFC 7293 section 3.1
    outbound_rcpt=outbound_rcpt,
)
