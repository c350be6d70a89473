"""What an SPF or Sender ID check found, and from what (RFC 7208 section 2.6, RFC 8601 section 2.7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from purport.dns.lookup import Answer, Question

ResultWord = Literal["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"]
Scope = Literal["mfrom", "helo", "pra"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an evaluation, for `--trace` and `explain`: which domain's record, which term, what came of it."""

    domain: str
    term: str
    outcome: str


class Evidence(Protocol):
    """The DNS answers that a result rests on. Shared by all checks that used the same answers."""

    @property
    def answers(self) -> Sequence[tuple[Question, Answer]]:
        """Every question that was asked, in order, with its answer."""

    @property
    def json(self) -> bytes:
        """The answers as a JSON array of `[name, type, status, ttl, [records]]`, made once."""


@dataclass(frozen=True, slots=True)
class SpfResult:
    """The outcome of one check.

    `mechanism` is the directive that decided as it stands in the record (`ip4:192.0.2.0/24`, `default` where
    none matched), `mechanism_domain` the domain whose record holds it. `explanation` is the domain owner's text
    for a fail, already made safe (printable ASCII, bounded). `problem` says why a result is none, temperror or
    permerror.
    """

    result: ResultWord
    scope: Scope
    identity: str  # the address or domain that was checked, as text
    domain: str  # the domain whose policy was asked
    mechanism: str | None = None
    mechanism_domain: str | None = None
    explanation: str | None = None
    problem: str | None = None
    evidence: Evidence | None = field(default=None, compare=False)
