"""What is said of recipients that no host was asked about."""

from __future__ import annotations

import math
from typing import Final

from purport.delivery.deadline import Deadline
from purport.delivery.job import Answer
from purport.delivery.maildir import Failure
from purport.mail.reply import Reply, reply

DELIVERED: Final = reply(250, "2.0.0", "delivered to maildir")
FULL: Final = "4.2.2"  # RFC 3463 section 3.3: mailbox full
EXPIRED: Final = "4.4.7"  # RFC 3463 section 3.5: delivery time expired
RETURNED: Final = "5.4.7"  # the same, by the time that the sender set (RFC 2852 section 4.1.3)
NO_ANSWER: Final = "4.4.1"  # RFC 3463 section 3.5: the host does not answer
WAITING: Final = "Waits for its host to come for it"


def waiting(last: str) -> Answer:
    """What is said of a recipient whose host has not come for its mail; `last` is what it met last."""
    given = reply(450, NO_ANSWER, WAITING)
    if last and not last.startswith(str(given)):
        given = reply(450, NO_ANSWER, f"{WAITING}; at last: {last}")
    elif last:
        given = reply(450, NO_ANSWER, last.removeprefix(f"450 {NO_ANSWER} "))
    return Answer(given, local=True)


def expired(last: str) -> Answer:
    """What a message gets that has to return, as its time is over; `last` is what it met last."""
    said = f"Delivery time expired; at last: {last}" if last else "Delivery time expired"
    return Answer(reply(554, RETURNED, said), local=True)


def returns_at(deadline: Deadline | None) -> float:
    """When a message is not delivered any more."""
    return deadline.at if deadline is not None and deadline.returns else math.inf


def failure_reply(failure: Failure) -> Reply:
    """What a Maildir that could not be written says; the disk may have room again later."""
    if failure.full:
        return reply(452, FULL, f"Mailbox cannot be written: {failure.reason}")
    return reply(451, "4.3.0", f"Mailbox cannot be written: {failure.reason}")
