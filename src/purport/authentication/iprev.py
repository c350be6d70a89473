"""The client's name: does the name of its address lead back to it (RFC 8601 section 2.7.3, RFC 1912 section 2.1)?

    192.0.2.1  ->  1.2.0.192.in-addr.arpa PTR mx.example.com  ->  mx.example.com A 192.0.2.1: pass

A name that was not confirmed is the client's own assertion, and is not told to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from purport.authentication.spf.client import ClientAddress, address_value
from purport.authentication.spf.result import Answers, Evidence
from purport.dns.lookup import Answer, Evaluation, Question, Status
from purport.mail.domain import is_domain_name, normal_domain

IprevWord = Literal["pass", "fail", "temperror", "permerror"]

# PTR records looked at: who has the address may have any number of them. As for SPF (RFC 7208 section 4.6.4).
MOST_NAMES: Final = 10
TYPES: Final = {4: "A", 6: "AAAA"}


@dataclass(frozen=True, slots=True)
class IprevResult:
    """The outcome for an address. `name` is the first of its names that leads back to it, where there is one; `problem`
    says why there is none. permerror: the address has no name at all (RFC 8601 section 2.7.3)."""

    result: IprevWord
    address: str
    name: str | None = None
    problem: str | None = None
    evidence: Evidence | None = field(default=None, compare=False)


def check_iprev(client_address: str | ClientAddress) -> Evaluation[IprevResult]:
    """The verified name of a client: two rounds of questions at most.

    Raises ValueError, at the first step, for what is no address.
    """
    client = client_address if isinstance(client_address, ClientAddress) else ClientAddress(client_address)
    question = Question(client.reverse_name, "PTR")
    (answer,) = yield (question,)
    asked: list[tuple[Question, Answer]] = [(question, answer)]

    def result(word: IprevWord, name: str | None = None, problem: str | None = None) -> IprevResult:
        return IprevResult(word, client.text, name, problem, Answers(asked))

    if answer.status is Status.FAILED:
        return result("temperror", problem="the DNS did not answer about its name")
    names = [name for name in dict.fromkeys(map(normal_domain, answer.records)) if is_domain_name(name)][:MOST_NAMES]
    if not names:
        return result("permerror", problem="it has no name")
    questions = tuple([Question(name, TYPES[client.version]) for name in names])
    answers = yield questions
    asked += zip(questions, answers, strict=True)
    for name, found in zip(names, answers, strict=True):
        if any(address_value(text, client.version) == client.value for text in found.records):
            return result("pass", name)
    if any(found.status is Status.FAILED for found in answers):
        return result("temperror", problem="the DNS did not answer about the address of its name")
    return result("fail", problem=f"{names[0]} does not lead back to it")
