"""What a DMARC evaluation found, and from what (RFC 9989 section 9.2, RFC 8601 section 2.7.7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from purport.authentication.dmarc.author import Author
from purport.authentication.dmarc.record import DmarcRecord, Request, Tag
from purport.authentication.spf.result import Evidence, SpfResult

DmarcWord = Literal["pass", "fail", "none", "temperror", "permerror"]


@dataclass(frozen=True, slots=True)
class Authenticated:
    """An identifier that was checked: for DKIM the domain of a signature (with its selector), for SPF the one of the
    reverse-path. It counts if `result` is pass."""

    domain: str
    result: str
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which identifiers that passed are aligned with the author domain."""

    spf: str | None = None
    dkim: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.spf is not None or bool(self.dkim)


UNALIGNED: Final = Alignment()


class DmarcResult(msgspec.Struct, frozen=True, eq=False):
    """The outcome for a message.

    `author` is who the header names, `author_domain` the one of its domains that decided. `record` is the record that
    applies, found at `policy_domain`. For a message that fails, `tag` is the tag of it that applies, `requested` what
    that asks for, and `disposition` the same or, under t=y, one level less. `organizational_domain` is None where it
    was not found out. `problem` says why a result is none, temperror or permerror, and which of several authors
    decided.

    A msgspec struct like `SpfResult`, and for the same reason: one is made for every message.
    """

    result: DmarcWord
    author: Author
    author_domain: str | None = None
    policy_domain: str | None = None
    organizational_domain: str | None = None
    record: DmarcRecord | None = None
    tag: Tag | None = None
    requested: Request = "none"
    disposition: Request = "none"
    aligned: Alignment = UNALIGNED
    problem: str | None = None
    evidence: Evidence | None = None

    @property
    def testing(self) -> bool:
        """Whether the owner only tests the policy (t=y)."""
        return self.record is not None and self.record.testing

    def _compared(self) -> tuple[object, ...]:
        # What was decided, not from which copy of the answers.
        return tuple([getattr(self, name) for name in self.__struct_fields__ if name != "evidence"])

    def __eq__(self, other: object) -> bool:
        return self._compared() == other._compared() if isinstance(other, DmarcResult) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._compared())


def spf_identity(result: SpfResult | None) -> Authenticated | None:
    """The identifier that SPF gives: that of the reverse-path, which for a null one is postmaster at the hello domain
    (RFC 9989 section 3.2.4, RFC 7208 section 2.4). A check of the hello domain or of a responsible address gives none:
    the client has chosen what passes there."""
    if result is None or result.scope != "mfrom":
        return None
    return Authenticated(result.domain, result.result)
