"""FUTURERELEASE: a message that is to be sent later (RFC 4865).

    S: 250-FUTURERELEASE 2592000 2026-12-24T00:00:00Z
    C: MAIL FROM:<alice@example.com> HOLDFOR=3600
    C: MAIL FROM:<alice@example.com> HOLDUNTIL=2026-12-01T08:00:00Z

The submission service alone offers it (section 4.2). When its time has come the message goes on without the parameter,
so nobody is asked to hold it a second time; only what we submit ourselves (`purport send`) is sent with one. The date
of the offer is that of the day on which the session began, so that the EHLO reply need not be made anew for each: a
message may be held until a little less long than for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from purport.mail.address import NULL, ReversePath
from purport.mail.envelope import Parameter, Parameters
from purport.mail.moment import date_time
from purport.mail.reply import Reply, reply
from purport.smtp.extension import CannotForward, Extension, Outgoing, Terms

DAY: Final = 86400  # seconds
INTERVAL: Final = re.compile(rb"[1-9][0-9]{0,8}")  # RFC 4865 section 3: future-release-integer
# RFC 3339 section 5.6, in UTC; its "T" and "Z" may be small.
MOMENT: Final = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?[Zz]")
LEAP_SECOND: Final = 60
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# RFC 4865 section 4.2 (10), (11) and 5.2.2.
TWO_TIMES: Final = reply(501, "5.5.4", "A message is held once: HOLDFOR or HOLDUNTIL, not both")
TOO_LONG: Final = reply(501, "5.5.4", "That is longer than messages are held here")
NOT_IN_THE_FUTURE: Final = reply(501, "5.5.4", "HOLDUNTIL is not in the future")
NOT_FOR_REPORTS: Final = reply(501, "5.5.4", "A message with the null reverse-path is not held")
# The codes of RFC 4865 section 6. The registry has given both to others since (RFC 6710, RFC 7293), so the text has to
# say what they mean.
SENDER_QUOTA: Final = reply(552, "5.7.16", "Future release: too many messages of this sender are held")
SYSTEM_QUOTA: Final = reply(552, "5.7.17", "Future release: too many messages are held")
# RFC 3463 section 3.4: a system that is not capable of selected features.
NOT_OFFERED: Final = reply(554, "5.3.3", "Message is to be held and the server lacks FUTURERELEASE")
LATE_BEFORE_RELEASED: Final = reply(501, "5.5.4", "The message is to be delivered before it is to be released")


def decode_interval(value: bytes | None) -> int:
    """Seconds, at least one. Raises ValueError."""
    if value is None or INTERVAL.fullmatch(value) is None:
        raise ValueError("HOLDFOR has 1 to 9 digits, and does not begin with 0")
    return int(value)


def encode_interval(seconds: int) -> bytes:
    """The value of HOLDFOR."""
    return b"%d" % seconds


def decode_moment(value: bytes | None) -> float:
    """Seconds since 1970 of a date and time in UTC. Raises ValueError."""
    found = MOMENT.fullmatch(value or b"")
    if found is None:
        raise ValueError("HOLDUNTIL is a date and time like 2026-12-01T08:00:00Z")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    leap = second == LEAP_SECOND  # the second after it stands for it: not earlier than was asked for
    at = datetime(year, month, day, hour, minute, second - leap, tzinfo=UTC)
    return (at - EPOCH) // timedelta(seconds=1) + leap + float(found[7] or 0)


def encode_moment(seconds: float) -> bytes:
    """The value of HOLDUNTIL, to the second."""
    return date_time(seconds).encode("ascii")


HOLDFOR: Final = Parameter("HOLDFOR", decode_interval, encode_interval)
HOLDUNTIL: Final = Parameter("HOLDUNTIL", decode_moment, encode_moment)


def latest(terms: Terms) -> int:
    """The most remote moment of the offer: seconds since 1970."""
    return terms.today * DAY + terms.hold_seconds


def offer(terms: Terms) -> str | None:
    """How long, and until when, messages are held; only by the submission service (RFC 4865 section 4.2 (2))."""
    if terms.service != "submission" or not terms.hold_seconds:
        return None
    return f"{terms.hold_seconds} {date_time(latest(terms))}"


def check(parameters: Parameters, terms: Terms) -> Reply | None:
    """RFC 4865 section 4.2 (7) to (9): one time, and not beyond the offer."""
    seconds, moment = parameters.get(HOLDFOR), parameters.get(HOLDUNTIL)
    if seconds is not None and moment is not None:
        return TWO_TIMES
    if (seconds or 0) > terms.hold_seconds or (moment is not None and moment > latest(terms)):
        return TOO_LONG
    return None


def release_at(parameters: Parameters, now: float) -> float | None:
    """When a message is released whose MAIL came `now`, in seconds since 1970; None: it was not to be held."""
    seconds = parameters.get(HOLDFOR)
    return parameters.get(HOLDUNTIL) if seconds is None else now + seconds


def refusal(parameters: Parameters, reverse_path: ReversePath, now: float) -> Reply | None:
    """What is wrong with holding this message, of what depends on the clock and on whose message it is.

    What has the null reverse-path is a DSN or an MDN, and no client may ask to have one held (RFC 4865 section 5.1.1
    and 5.3.1).
    """
    moment = release_at(parameters, now)
    if moment is None:
        return None
    if reverse_path is NULL:
        return NOT_FOR_REPORTS
    if moment <= now:
        return NOT_IN_THE_FUTURE
    by = deliver_by(parameters)
    return LATE_BEFORE_RELEASED if by is not None and moment > now + by else None


def deliver_by(parameters: Parameters) -> int | None:
    """The seconds of BY, where DELIVERBY is in force (RFC 2852 section 4: `BY=120;R`, `BY=-3;N`)."""
    for keyword, value in parameters:
        if keyword == "BY" and value is not None:
            return int(value.partition(b";")[0])
    return None


def request(parameters: Parameters) -> str:
    """What a report quotes (RFC 4865 section 5.1.2): `for;3600`, `until;2026-12-01T08:00:00Z`; empty: it was not to be
    held."""
    for keyword, value in parameters:
        if keyword in (HOLDFOR.keyword, HOLDUNTIL.keyword) and value is not None:
            return f"{keyword[len('HOLD') :].lower()};{value.decode('ascii')}"
    return ""


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes]:
    """The time of a message that is submitted to be held; not sent where nobody would hold it, or not so long (RFC 4865
    section 4.1)."""
    if message.hold is None:
        return {}
    if offer is None:
        raise CannotForward(NOT_OFFERED)
    if not fits(*message.hold, offer):
        raise CannotForward(TOO_LONG)
    return dict([message.hold])


def fits(keyword: str, value: bytes, offer: str) -> bool:
    """Whether an offer covers HOLDFOR or HOLDUNTIL; one that cannot be read covers nothing."""
    interval, _, moment = offer.encode("ascii", "replace").partition(b" ")
    try:
        longest, last = decode_interval(interval), decode_moment(moment)
    except ValueError:
        return False
    return decode_interval(value) <= longest if keyword == HOLDFOR.keyword else decode_moment(value) <= last


EXTENSION: Final = Extension(
    keyword="FUTURERELEASE",
    rfc=4865,
    offer=offer,
    mail=(HOLDFOR, HOLDUNTIL),
    mail_octets=34,  # RFC 4865 section 3 (5)
    check=check,
    outbound=outbound,
)
