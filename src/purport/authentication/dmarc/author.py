"""The author domain: the one domain that the From field names (RFC 9989 sections 3.2.2, 5.3.1 and 11.5).

    From: Alice <alice@example.com>                     -> example.com
    From: alice@example.com, bob@example.net            -> two of them
    From : alice@example.com                            -> none, and that is no accident

Never the domain of Sender or of a Resent field: a responsible address (RFC 4407) says nothing about the author. What
two readers could understand in two ways is no author, whatever one of them would make of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from purport.mail.domain import normal_domain
from purport.mail.fields import mailboxes
from purport.mail.header import Header

# How many domains of one From field are evaluated, each at the price of up to eight questions (RFC 9989 section 11.5).
MOST_AUTHORS: Final = 4
MOST_KEPT: Final = 1024  # values of From fields kept read, each of a field of the length below at most
KEPT_LENGTH: Final = 256
# A line that a lenient reader takes for a From field: with octets around the name that have no place there. Those
# beyond ASCII are a byte order mark or spaces to some.
LIKE_FROM: Final = re.compile(rb"[\x00-\x20\x7f-\xff]*from[\x00-\x20\x7f-\xff]*:", re.IGNORECASE)
# What mail programs show in the place of a From field that is not there.
SHOWN_INSTEAD: Final = ("sender", "resent-from", "resent-sender")

Kind = Literal["named", "absent", "broken"]


@dataclass(frozen=True, slots=True)
class Author:
    """Who a header says has written the message.

    `named`: `domains` are those of the authors, each once (A-labels, lower case), in most cases one. `absent`: there is
    no From field, and nothing that would be shown in its place. `broken`: there is something that a reader could take
    for an author, but it is not one From field with addresses in it. `problem` says why there is no domain.
    """

    kind: Kind
    domains: tuple[str, ...] = ()
    problem: str | None = None


def author_of(header: Header) -> Author:
    """The author that a header names. Never raises."""
    if not header.complete:
        return Author("broken", problem="the header is too long to be read")
    by_name = header.by_name
    fields = list(by_name.get("from", ()))
    if "" in by_name:
        fields += [field for field in by_name[""] if LIKE_FROM.match(field.raw) is not None]
    if not fields:
        return _nobody(header)
    if len(fields) > 1:
        return Author("broken", problem="there are several From fields")
    field = fields[0]
    if not field.strict:
        return Author("broken", problem="From: white space stands around its name")
    return _named_before(field.value) if len(field.raw) <= KEPT_LENGTH else _named(field.value)


def _named(value: bytes) -> Author:
    """The author that the value of a From field names."""
    try:
        text = value.decode("utf-8", "surrogateescape")
        domains = tuple(dict.fromkeys([normal_domain(mailbox.domain) for mailbox in mailboxes(text)]))
    except ValueError as error:
        return Author("broken", problem=f"From: {error}")
    if len(domains) > MOST_AUTHORS:
        return Author("broken", problem=f"From: there are authors of {len(domains)} domains")
    return Author("named", domains)


_named_before: Final = lru_cache(MOST_KEPT)(_named)


def _nobody(header: Header) -> Author:
    for field in header:
        if field.name in SHOWN_INSTEAD and not field.empty:
            return Author("broken", problem=f"there is no From field, and {field.name} would be shown in its place")
    return Author("absent", problem="there is no From field")
