"""Since when a mailbox must have belonged to its owner, as header fields say it (RFC 7293 section 3.2).

    Require-Recipient-Valid-Since: receiver@example.com;
     Sat, 1 Jun 2013 09:23:01 -0700

The field tunnels what the RRVS extension says through servers without it. It is about delivery and no part of the
message, so whoever obeys it takes it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from purport.mail.address import Mailbox
from purport.mail.domain import normal_domain
from purport.mail.fields import addr_spec
from purport.mail.header import Header
from purport.mail.trace import MONTHS, date

FIELD: Final = "require-recipient-valid-since"
# RFC 5322 section 3.3, with the zones of section 4.3; a comment may follow. A second of 60 is a leap second.
DATE: Final = re.compile(
    r"(?:[A-Za-z]{3}[ \t]*,[ \t]*)?(\d{1,2})[ \t]+([A-Za-z]{3})[ \t]+(\d{4})[ \t]+"
    r"(\d\d):(\d\d)(?::(\d\d))?[ \t]+([+-]\d{4}|[A-Za-z]{1,5})(?:[ \t]*\([^()]*\))?",
    re.ASCII,
)
HOURS: Final = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}  # the others: 0

Cut = tuple[int, int]  # octets of a message that are left out: from, and up to


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a field says; `since` is in seconds since 1970."""

    mailbox: Mailbox
    since: float


def requirement(value: str) -> Requirement:
    """The value of a field, unfolded. Raises ValueError."""
    mailbox, _, moment = value.rpartition(";")
    return Requirement(addr_spec(mailbox), read_date(moment))


def requirements(header: Header) -> list[Requirement]:
    """What the fields of a header say; one that is syntactically invalid says nothing (RFC 7293 section 5.2)."""
    found: list[Requirement] = []
    for field in header.all(FIELD):
        try:
            found.append(requirement(field.text))
        except ValueError:
            continue
    return found


def read_date(text: str) -> float:
    """A date of RFC 5322 section 3.3, in seconds since 1970. Raises ValueError."""
    found = DATE.fullmatch(text.strip())
    if found is None:
        raise ValueError("not a date")
    day, month, year, hour, minute, second, zone = found.groups()
    if month.capitalize() not in MONTHS:
        raise ValueError("not a month")
    return moment(
        (int(year), MONTHS.index(month.capitalize()) + 1, int(day)),
        (int(hour), int(minute), int(second or 0)),
        HOURS.get(zone.upper(), 0) * 60 if zone.isalpha() else minutes(zone[0], zone[1:3], zone[3:]),
    )


def moment(day: tuple[int, int, int], time: tuple[int, int, int], offset: int) -> float:
    """Seconds since 1970 at a day and time of a zone that is `offset` minutes east of UTC. Raises ValueError."""
    hour, minute, second = time
    leap = second == 60
    zone = timezone(timedelta(minutes=offset))
    return datetime(*day, hour, minute, second - leap, tzinfo=zone).timestamp() + leap


def minutes(sign: str, hours: str, rest: str) -> int:
    """The minutes of a zone's offset. Raises ValueError."""
    if int(rest) > 59 or int(hours) > 23:
        raise ValueError("not a zone")
    return int(f"{sign}{int(hours) * 60 + int(rest)}")


def field_for(mailbox: Mailbox, since: float) -> bytes:
    """The field for a mailbox."""
    return f"Require-Recipient-Valid-Since: {mailbox};\r\n\t{date(since)}\r\n".encode()


def same_mailbox(one: Mailbox, other: Mailbox) -> bool:
    """Whether two mailboxes are one here, where local parts are compared without their case."""
    return one.local_part.lower() == other.local_part.lower() and (
        normal_domain(one.domain) == normal_domain(other.domain)
    )


def cuts(header: Header, mailboxes: Iterable[Mailbox] | None = None) -> tuple[Cut, ...]:
    """Where the fields stand in a message, line ends included: all of them, or those for some mailboxes."""
    found: list[Cut] = []
    wanted = None if mailboxes is None else tuple(mailboxes)
    position = 0
    for field in header:
        end = position + len(field.raw)
        if field.name == FIELD and (wanted is None or _names(field.text, wanted)):
            found.append((position, end))
        position = end
    return tuple(found)


def _names(value: str, mailboxes: tuple[Mailbox, ...]) -> bool:
    try:
        named = requirement(value).mailbox
    except ValueError:
        return False
    return any(same_mailbox(named, mailbox) for mailbox in mailboxes)


def without(pieces: Iterable[bytes], left_out: tuple[Cut, ...]) -> Iterator[bytes]:
    """The pieces of a message, less some octets."""
    position = 0
    for piece in pieces:
        end = position + len(piece)
        kept: list[bytes] = []
        at = position
        for start, stop in left_out:
            if stop > at and start < end:
                kept.append(piece[at - position : max(start, at) - position])
                at = min(stop, end)
        if at != position or kept:
            piece = b"".join((*kept, piece[at - position :]))
        if piece:
            yield piece
        position = end
