"""DMARC with a memory."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from purport.authentication.dmarc.author import Author
from purport.authentication.dmarc.evaluate import evaluate_author
from purport.authentication.dmarc.memory import MOST_IDENTIFIERS, MOST_KEPT, MOST_TEXT, DmarcMemory
from purport.authentication.dmarc.result import Authenticated, DmarcResult
from purport.dns.lookup import Answer, Question, Status, replay

NOW = 1_795_500_000.0
TTL = 300
AUTHOR = Author("named", ("example.com",))
PASS = Authenticated("example.com", "pass")
MISSING = Answer(Status.MISSING, ttl=600)
REJECT = {
    Question("_dmarc.example.com", "TXT"): Answer(Status.FOUND, ("v=DMARC1; p=reject",), TTL),
    Question("_dmarc.com", "TXT"): MISSING,
}


def result(answers: Mapping[Question, Answer] = REJECT, *, spf: Authenticated | None = PASS) -> DmarcResult:
    return replay(evaluate_author(AUTHOR, spf, ()), answers)


def test_a_result_is_known_until_the_shortest_ttl_is_over() -> None:
    memory = DmarcMemory()
    assert memory.known(AUTHOR, PASS, (), NOW) is None
    memory.keep(AUTHOR, PASS, (), result(), NOW)
    assert memory.known(AUTHOR, PASS, (), NOW + TTL - 1) == result()
    assert memory.known(AUTHOR, PASS, (), NOW + TTL) is None


@pytest.mark.parametrize(
    ("author", "spf", "dkim"),
    [
        (Author("named", ("example.net",)), PASS, ()),
        (AUTHOR, None, ()),
        (AUTHOR, Authenticated("example.com", "fail"), ()),
        (AUTHOR, Authenticated("mail.example.com", "pass"), ()),
        (AUTHOR, PASS, (PASS,)),
    ],
)
def test_it_is_known_for_what_it_follows_from_alone(
    author: Author, spf: Authenticated | None, dkim: tuple[Authenticated, ...]
) -> None:
    memory = DmarcMemory()
    memory.keep(AUTHOR, PASS, (), result(), NOW)
    assert memory.known(author, spf, dkim, NOW) is None


def test_the_selector_of_a_signature_decides_nothing() -> None:
    memory = DmarcMemory()
    memory.keep(AUTHOR, None, [Authenticated("example.com", "pass", "one")], result(), NOW)
    assert memory.known(AUTHOR, None, [Authenticated("example.com", "pass", "other")], NOW) is not None


@pytest.mark.parametrize(
    "answers",
    [
        {},  # which count as failed
        {**REJECT, Question("_dmarc.com", "TXT"): Answer(Status.MISSING, ttl=0)},
        {**REJECT, Question("_dmarc.com", "TXT"): Answer(Status.FOUND, ("x" * MOST_TEXT,), TTL)},
    ],
    ids=["no answer", "not to be kept", "too long"],
)
def test_what_rests_on_such_answers_is_not_kept(answers: Mapping[Question, Answer]) -> None:
    memory = DmarcMemory()
    memory.keep(AUTHOR, PASS, (), result(answers), NOW)
    assert memory.known(AUTHOR, PASS, (), NOW) is None


def test_what_hardly_comes_again_is_not_kept() -> None:
    memory = DmarcMemory()
    several = Author("named", ("example.com", "example.net"))
    many = [PASS] * (MOST_IDENTIFIERS + 1)
    for author, dkim in ((several, ()), (AUTHOR, many), (Author("broken"), ())):
        memory.keep(author, None, dkim, result(), NOW)
        assert memory.known(author, None, dkim, NOW) is None


def test_a_flood_of_senders_does_not_drive_out_what_is_in_use() -> None:
    memory, kept = DmarcMemory(), result()
    memory.keep(AUTHOR, PASS, (), kept, NOW)
    for number in range(3 * MOST_KEPT):
        memory.keep(AUTHOR, Authenticated(f"{number}.example", "pass"), (), kept, NOW)
        assert memory.known(AUTHOR, PASS, (), NOW) is kept
    assert memory.known(AUTHOR, Authenticated("1.example", "pass"), (), NOW) is None
