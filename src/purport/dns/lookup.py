"""Questions, answers, and evaluations: generators that ask the DNS without knowing how it is reached.

An evaluation yields a tuple of independent questions and is sent the tuple of their answers; whoever
drives it may answer from a cache, from the network, from a zone in a test, or from a ledger record.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

T = TypeVar("T")


class Status(Enum):
    """What became of a question."""

    FOUND = "found"
    EMPTY = "empty"  # the name exists, but holds no record of that type (NODATA)
    MISSING = "missing"  # the name does not exist (NXDOMAIN)
    FAILED = "failed"  # no usable answer: timeout, SERVFAIL, garbage


@dataclass(frozen=True, slots=True)
class Question:
    """A name (lower case, A-labels, no trailing dot) and a record type (`TXT`, `A`, `AAAA`, `MX`, `PTR`)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The records of one type, as text, with the seconds they may be kept.

    TXT: the strings joined, one character per octet (latin-1). A, AAAA: the address. MX: `10 mx.example.com`
    (`0 .` for the null MX, RFC 7505). PTR: the name. Names are lower case without a trailing dot.
    """

    status: Status
    records: tuple[str, ...] = ()
    ttl: int = 0


Evaluation = Generator[tuple[Question, ...], tuple[Answer, ...], T]


class Resolver(Protocol):
    """What answers questions: the network resolver, a static zone, a recording."""

    def cached(self, question: Question) -> Answer | None:
        """The answer if it is known at once, without waiting; None otherwise."""

    async def resolve(self, question: Question) -> Answer:
        """The answer; failure is an answer too (Status.FAILED). Never raises for what the network did."""
