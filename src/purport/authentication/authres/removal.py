"""Which Authentication-Results fields of a message that comes in have to go (RFC 8601 section 5).

A field that bears our own authserv-id was forged, since ours is not written yet. It goes in every spelling that some
reader behind us could take for our name: another case, comments and folds around it, quotes, U-labels for A-labels, a
dot at its end, characters that are compatible with ours. A field that does not follow the grammar goes where our name
stands before its first result; and so does each of a version that nobody here knows, whoever is named in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from unicodedata import normalize

from purport.authentication.authres.reader import UnknownVersion, read
from purport.mail.address import BEYOND
from purport.mail.domain import normal_domain
from purport.mail.header import Field, Header

NAME: Final = "authentication-results"
# What no honest message has goes unread: to make the domains of a header of 256 KiB even would take seconds.
FIELDS: Final = 50  # of a message; one that passed some lists has ten
WORDS: Final = 10  # before the first `=` of a field that cannot be parsed
BEGINNING: Final = 1024  # characters before it
# As for From (`dmarc/author.py`).
LIKE: Final = re.compile(rb"[\x00-\x20\x7f-\xff]*authentication-results[\x00-\x20\x7f-\xff]*:", re.IGNORECASE)
# Readers that decode encoded-words before they parse find any name at all in one.
ENCODED_WORD: Final = "=?"
CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\\]")
WORD: Final = re.compile(rf"[A-Za-z0-9._{BEYOND}-]+")
# What stands for a full stop between labels to some readers (RFC 3490 section 3.1).
DOTS: Final = str.maketrans("\u3002\uff0e\uff61", "...")


def removed(header: Header, authserv_ids: str | Collection[str]) -> list[Field]:
    """The fields to take out of a message that does not come from a host of ours, from top to bottom, and behind them
    the lines that are no field but that a lenient reader takes for one, whoever is named in them. `authserv_ids`: our
    own, or it and those of our other hosts.

    It sees what the header holds: of one that is not `complete` nobody can say that it is clean.
    """
    fields = header.by_name.get(NAME, ())
    lines = [field for field in header.by_name.get("", ()) if LIKE.match(field.raw) is not None]
    if not fields:
        return lines
    ids = (authserv_ids,) if isinstance(authserv_ids, str) else authserv_ids
    ours = frozenset(_spelling(authserv_id) for authserv_id in ids)
    gone = [field for number, field in enumerate(fields) if number >= FIELDS or _goes(field.text, ours)]
    return gone + lines


def _goes(value: str, ours: frozenset[str]) -> bool:
    try:
        return _spelling(read(value).authserv_id) in ours
    except UnknownVersion:
        return True
    except ValueError:
        return _begins_with_one(value, ours)


def _begins_with_one(value: str, ours: frozenset[str]) -> bool:
    """Whether one of our names stands before the first `=` of a field that cannot be parsed."""
    beginning = CONTROL.sub("", value)
    start, encoded, _ = beginning.partition(ENCODED_WORD)
    if encoded and ";" not in start:
        return True
    beginning, _, _ = beginning.partition("=")
    words = WORD.findall(beginning[: BEGINNING + 1].translate(DOTS))
    if len(beginning) > BEGINNING or len(words) > WORDS:
        return True
    return any(_spelling(word) in ours for word in words)


def _spelling(authserv_id: str) -> str:
    """The form in which names are compared: all that some reader could take for one name is one."""
    return normal_domain(normalize("NFKC", authserv_id.strip().translate(DOTS)).rstrip("."))
