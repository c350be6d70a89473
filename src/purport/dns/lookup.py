"""Questions, answers, and evaluations: generators that ask the DNS without knowing how it is reached.

An evaluation yields a tuple of independent questions and is sent the tuple of their answers; whoever
drives it may answer from a cache, from the network, from a zone in a test, or from a ledger record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar, overload

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")


class Status(Enum):
    """What became of a question."""

    FOUND = "found"
    EMPTY = "empty"  # the name exists, but holds no record of that type (NODATA)
    MISSING = "missing"  # the name does not exist (NXDOMAIN)
    FAILED = "failed"  # no usable answer: timeout, SERVFAIL, garbage


@dataclass(frozen=True, slots=True)
class Question:
    """A name (lower case, A-labels, no trailing dot) and a record type (`TXT`, `A`, `AAAA`, `MX`, `PTR`, `TLSA`,
    `CNAME`)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The records of one type, as text, with the seconds they may be kept.

    TXT: the strings joined, one character per octet (latin-1). A, AAAA: the address. MX: `10 mx.example.com`
    (`0 .` for the null MX, RFC 7505). PTR, CNAME: the name. TLSA: `3 1 1 0D6F...`, hexadecimal in lower case and in one
    piece. Names are lower case without a trailing dot.

    `secure`: signatures were validated for all of it, for each alias on the way and for what is said not to exist too
    (RFC 4033 section 5). `alias` is the name at the end of the aliases, where there were any.
    """

    status: Status
    records: tuple[str, ...] = ()
    ttl: int = 0
    secure: bool = False
    alias: str = ""


Evaluation = Generator[tuple[Question, ...], tuple[Answer, ...], T]


class Resolver(Protocol):
    """What answers questions: the network resolver, a static zone, a recording."""

    def cached(self, question: Question) -> Answer | None:
        """The answer if it is known at once, without waiting; None otherwise."""

    async def resolve(self, question: Question) -> Answer:
        """The answer; failure is an answer too (Status.FAILED). Never raises for what the network did."""


class Gather(Protocol):
    """Awaits several answers at once and gives them in order; `asyncio.gather` is one."""

    def __call__(self, *answers: Awaitable[Answer]) -> Awaitable[Sequence[Answer]]: ...


UNANSWERED: Final = Answer(Status.FAILED)


class Suspended(Generic[T]):
    """An evaluation that has to wait for the network; `finish` goes on where it stopped."""

    __slots__ = ("_evaluation", "_questions", "_resolver")

    def __init__(self, evaluation: Evaluation[T], questions: tuple[Question, ...], resolver: Resolver) -> None:
        self._evaluation = evaluation
        self._questions = questions
        self._resolver = resolver

    @property
    def questions(self) -> tuple[Question, ...]:
        """What is to be asked next."""
        return self._questions

    async def finish(self, resolver: Resolver | None = None, gather: Gather | None = None) -> T:
        """The result. Questions asked together are asked concurrently by `gather`, else one after another.

        May be called once. `resolver` replaces the one of `start`, for instance by one whose time runs out
        (RFC 7208 section 4.6.4: 20 seconds).
        """
        resolver = resolver or self._resolver
        questions = self._questions
        try:
            while True:
                questions = self._evaluation.send(await _ask(questions, resolver, gather))
        except StopIteration as stop:
            result: T = stop.value
            return result


def start(evaluation: Evaluation[T], resolver: Resolver) -> T | Suspended[T]:
    """Go as far as the answers known at once lead: to the result, or to the first question that must wait."""
    cached = resolver.cached
    try:
        questions = next(evaluation)
        while True:
            answers = []
            for question in questions:
                answer = cached(question)
                if answer is None:
                    return Suspended(evaluation, questions, resolver)
                answers.append(answer)
            questions = evaluation.send(tuple(answers))
    except StopIteration as stop:
        result: T = stop.value
        return result


@overload
def together(first: Evaluation[T1], second: Evaluation[T2], /) -> Evaluation[tuple[T1, T2]]: ...
@overload
def together(
    first: Evaluation[T1], second: Evaluation[T2], third: Evaluation[T3], /
) -> Evaluation[tuple[T1, T2, T3]]: ...
def together(*evaluations: Evaluation[Any]) -> Evaluation[tuple[Any, ...]]:
    """The results of several evaluations, in order. What they want to know at the same time is asked at once, so that
    all of them take no longer than the slowest."""
    results: list[Any] = [None] * len(evaluations)
    waiting: dict[int, tuple[Question, ...]] = {}
    for number, evaluation in enumerate(evaluations):
        try:
            waiting[number] = next(evaluation)
        except StopIteration as stop:
            results[number] = stop.value
    while waiting:
        answers = yield tuple([question for questions in waiting.values() for question in questions])
        at = 0
        for number, questions in tuple(waiting.items()):
            share = answers[at : at + len(questions)]
            at += len(questions)
            try:
                waiting[number] = evaluations[number].send(share)
            except StopIteration as stop:
                results[number] = stop.value
                del waiting[number]
    return tuple(results)


async def run(evaluation: Evaluation[T], resolver: Resolver, gather: Gather | None = None) -> T:
    """The result of `evaluation`, its questions answered by `resolver`."""
    begun = start(evaluation, resolver)
    return await begun.finish(gather=gather) if isinstance(begun, Suspended) else begun


def replay(evaluation: Evaluation[T], answers: Mapping[Question, Answer]) -> T:
    """The result of `evaluation` under recorded answers; what was not recorded counts as failed."""
    try:
        questions = next(evaluation)
        while True:
            questions = evaluation.send(tuple([answers.get(question, UNANSWERED) for question in questions]))
    except StopIteration as stop:
        result: T = stop.value
        return result


async def _ask(questions: tuple[Question, ...], resolver: Resolver, gather: Gather | None) -> tuple[Answer, ...]:
    known = {question: answer for question in questions if (answer := resolver.cached(question)) is not None}
    waiting = [question for question in dict.fromkeys(questions) if question not in known]
    if gather is None or len(waiting) < 2:
        for question in waiting:
            known[question] = await resolver.resolve(question)
    else:
        known.update(zip(waiting, await gather(*map(resolver.resolve, waiting)), strict=True))
    return tuple([known[question] for question in questions])
