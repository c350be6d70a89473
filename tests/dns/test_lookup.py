"""Drivers of evaluations: at once from what is known, later over the network, again from a record."""

from __future__ import annotations

import asyncio

from purport.dns.lookup import (
    Answer,
    Evaluation,
    Question,
    Resolver,
    Status,
    Suspended,
    replay,
    run,
    start,
    together,
)
from purport.dns.zone import StaticResolver

A = Question("a.example", "A")
B = Question("b.example", "A")
ZONE = StaticResolver({"a.example": [{"A": "192.0.2.1"}], "b.example": [{"A": "192.0.2.2"}]})


class Distant:
    """A zone that is known only after it was asked."""

    def __init__(self, zone: StaticResolver) -> None:
        self.zone = zone
        self.asked: list[Question] = []
        self.inside = 0
        self.most_inside = 0

    def cached(self, question: Question) -> Answer | None:
        return self.zone.cached(question) if question in self.asked else None

    async def resolve(self, question: Question) -> Answer:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        await asyncio.sleep(0)
        self.inside -= 1
        self.asked.append(question)
        return self.zone.cached(question)


def both() -> Evaluation[list[Status | str]]:
    first, second = yield (A, B)
    (again,) = yield (A,)
    return [first.status, second.status, *again.records]


def nothing() -> Evaluation[str]:
    return "known"
    yield ()


FOUND = [Status.FOUND, Status.FOUND, "192.0.2.1"]
FAILED = [Status.FAILED, Status.FAILED]


def test_a_zone_answers_at_once() -> None:
    assert start(both(), ZONE) == FOUND


def test_an_evaluation_without_questions_needs_no_answers() -> None:
    assert start(nothing(), ZONE) == "known"
    assert replay(nothing(), {}) == "known"


def test_an_unknown_answer_suspends_and_finishing_goes_on_there() -> None:
    distant = Distant(ZONE)
    begun = start(both(), distant)
    assert isinstance(begun, Suspended)
    assert begun.questions == (A, B)
    assert asyncio.run(begun.finish()) == FOUND
    assert distant.asked == [A, B]
    assert distant.most_inside == 1


def test_independent_questions_are_asked_together_when_there_is_something_to_gather_with() -> None:
    distant = Distant(ZONE)
    assert asyncio.run(gathering(distant)) == FOUND
    assert distant.most_inside == 2


async def gathering(resolver: Resolver) -> list[Status | str]:
    return await run(both(), resolver, asyncio.gather)


def test_recorded_answers_replay_to_the_same_result() -> None:
    assert replay(both(), {question: ZONE.cached(question) for question in (A, B)}) == FOUND


def test_an_answer_that_was_not_recorded_has_failed() -> None:
    assert replay(both(), {}) == FAILED


def test_finishing_may_take_another_resolver() -> None:
    begun = start(both(), Distant(ZONE))
    assert isinstance(begun, Suspended)
    assert asyncio.run(begun.finish(ZONE)) == FOUND


def counting(*names: str) -> Evaluation[int]:
    """Asks one name after another; how many were found."""
    found = 0
    for name in names:
        (answer,) = yield (Question(name, "A"),)
        found += answer.status is Status.FOUND
    return found


def test_evaluations_side_by_side_ask_at_the_same_time() -> None:
    asked = []
    side_by_side = together(counting("a.example", "b.example"), counting("c.example"), nothing())
    questions = next(side_by_side)
    while True:
        asked.append([question.name for question in questions])
        try:
            questions = side_by_side.send(tuple([ZONE.cached(question) for question in questions]))
        except StopIteration as stop:
            assert stop.value == (2, 0, "known")
            break
    assert asked == [["a.example", "c.example"], ["b.example"]]
