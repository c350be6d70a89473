"""What an SPF or Sender ID check found, and from what (RFC 7208 section 2.6, RFC 8601 section 2.7.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, final

import msgspec

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


@final
class Answers:
    """Evidence in memory; its JSON is made when first asked for and kept."""

    __slots__ = ("_json", "answers")

    def __init__(self, answers: Sequence[tuple[Question, Answer]]) -> None:
        self.answers: Sequence[tuple[Question, Answer]] = tuple(answers)
        self._json: bytes | None = None

    @property
    def json(self) -> bytes:
        """The answers as a JSON array of `[name, type, status, ttl, [records]]`."""
        if self._json is None:
            self._json = msgspec.json.encode(
                [
                    (question.name, question.type, answer.status.value, answer.ttl, answer.records)
                    for question, answer in self.answers
                ]
            )
        return self._json


class SpfResult(msgspec.Struct, frozen=True, eq=False):
    """The outcome of one check.

    `mechanism` is the directive that decided as it stands in the record (`ip4:192.0.2.0/24`, `default` where
    none matched), `mechanism_domain` the domain whose record holds it. `explanation` is the domain owner's text
    for a fail, already made safe (printable ASCII, bounded). `problem` says why a result is none, temperror or
    permerror (or a fail without a record, RFC 4406 section 4.3).

    A msgspec struct, since one is made for every check of a warm cache and a frozen dataclass of this size costs
    ten times as much as all the rest of such a check.
    """

    result: ResultWord
    scope: Scope
    identity: str  # the address or domain that was checked, as text
    domain: str  # the domain whose policy was asked
    mechanism: str | None = None
    mechanism_domain: str | None = None
    explanation: str | None = None
    problem: str | None = None
    evidence: Evidence | None = None
    client_address: str = ""
    hello_domain: str = ""
    retrace: Callable[[SpfResult], tuple[Step, ...]] | None = None

    @property
    def trace(self) -> tuple[Step, ...]:
        """Every step of the evaluation, from the evidence; computed at each call, so that no check pays for it."""
        return () if self.retrace is None else self.retrace(self)

    def _compared(self) -> tuple[str | None, ...]:
        # What was decided, not from which copy of the answers.
        return (
            self.result,
            self.scope,
            self.identity,
            self.domain,
            self.mechanism,
            self.mechanism_domain,
            self.explanation,
            self.problem,
        )

    def __eq__(self, other: object) -> bool:
        return self._compared() == other._compared() if isinstance(other, SpfResult) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._compared())
