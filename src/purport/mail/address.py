"""Mailbox, reverse-path and forward-path (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

<alice@example.com>    <>    <Postmaster>    "a b"@[192.0.2.1]
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A local-part (unquoted: `a b`, not `"a b"`) and a domain as it was written.

    `domain` is a domain name or an address literal with its brackets; it is empty for the bare
    `<Postmaster>` of RFC 5321 section 4.1.1.3 alone.
    """

    local_part: str
    domain: str


class Null(Enum):
    """The null reverse-path, `<>`: reports and other mail that must not be answered (RFC 5321 section 4.5.5)."""

    NULL = "<>"

    def __str__(self) -> str:
        return ""


NULL: Final = Null.NULL
ReversePath = Mailbox | Null
