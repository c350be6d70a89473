"""The DNS Tree Walk: from a domain up to its top-level domain, in eight questions at most (RFC 9989 section 4.10).

    a.mail.example.com  ->  _dmarc.a.mail.example.com, _dmarc.mail.example.com, _dmarc.example.com, _dmarc.com

The questions of a walk do not depend on each other's answers but for where it stops, so they are asked together: one
round trip instead of up to eight, and what lies beyond the stop is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, final

from purport.authentication.dmarc.record import DmarcRecord, is_record, parse
from purport.dns.lookup import UNANSWERED, Answer, Evaluation, Question, Status

PREFIX: Final = "_dmarc."
MOST_LABELS: Final = 8  # a name with as many labels or more goes on with its last seven (RFC 9989 section 4.10, step 4)
LONGEST_NAME: Final = 253  # characters (RFC 1035 section 2.3.4); the prefix does not fit before every name

Found = Literal["record", "none", "several", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """What one question of a walk found: a record, no record, several that count as none, or no answer."""

    domain: str
    found: Found
    record: DmarcRecord | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk from `domain` up, as far as it went: to the record that stopped it, or to the top."""

    domain: str
    steps: tuple[Step, ...]

    @property
    def own(self) -> Step:
        """What stands at the domain itself."""
        return self.steps[0]

    @property
    def failed(self) -> bool:
        """Whether a question had no answer, so that nothing is certain but what the domain itself says."""
        return any(step.found == "failed" for step in self.steps)

    @property
    def public_suffix(self) -> Step | None:
        """The record that says of its name, above this domain, that domains below it belong to others."""
        last = self.steps[-1]
        return last if last.record is not None and last.record.psd == "y" and last.domain != self.domain else None

    @property
    def organizational_domain(self) -> str:
        """The Organizational Domain (RFC 9989 section 4.10.2), where no question failed."""
        found = [step for step in self.steps if step.record is not None]
        # 1. The record that stopped the walk says that it is the one.
        if found and found[-1].record is not None and found[-1].record.psd == "n":
            return found[-1].domain
        # 2. The name one label below a public suffix.
        suffix = self.public_suffix
        if suffix is not None:
            labels = self.domain.split(".")
            return ".".join(labels[-(suffix.domain.count(".") + 2) :])
        # 3. The shortest name with a record; without any, the domain itself.
        return found[-1].domain if found else self.domain

    @property
    def policy(self) -> Step | None:
        """The record that applies to mail from this domain: its own, else that of its Organizational Domain, else that
        of its public suffix (RFC 9989 section 4.10.1). None where there is none."""
        if self.own.record is not None:
            return self.own
        organizational = self.organizational_domain
        for step in self.steps:
            if step.domain == organizational and step.record is not None:
                return step
        return self.public_suffix


def targets(domain: str) -> tuple[str, ...]:
    """The domains of a walk, from the longest to the shortest."""
    labels = domain.split(".")
    first = len(labels) - 1 if len(labels) < MOST_LABELS else MOST_LABELS - 1
    return (domain, *[".".join(labels[-count:]) for count in range(first, 0, -1)])


@final
class Walks:
    """The walks of one evaluation: what one has asked, the others do not ask again. `answers` in the order asked."""

    __slots__ = ("answers",)

    def __init__(self) -> None:
        self.answers: dict[Question, Answer] = {}

    def ask(self, questions: Iterable[Question]) -> Evaluation[None]:
        """Ask what is not known yet, all at once."""
        unknown = tuple([question for question in dict.fromkeys(questions) if question not in self.answers])
        if unknown:
            answers = yield unknown
            self.answers.update(zip(unknown, answers, strict=True))

    def walk(self, domains: Iterable[str]) -> Evaluation[list[Walk]]:
        """A walk from each of these domains (A-labels, lower case)."""
        starts = list(domains)
        names = dict.fromkeys(name for domain in starts for name in targets(domain))
        yield from self.ask(Question(PREFIX + name, "TXT") for name in names if len(PREFIX + name) <= LONGEST_NAME)
        return [self._walked(domain) for domain in starts]

    def existence(self, domain: str) -> Evaluation[Status]:
        """Whether a domain that a walk began at exists: not, if MISSING (RFC 9989 section 3.2.13)."""
        below = self.answers.get(Question(PREFIX + domain, "TXT"), UNANSWERED)
        if below.status in (Status.FOUND, Status.EMPTY):
            return below.status  # a name below it exists, and so it does (RFC 8020 section 2)
        question = Question(domain, "A")  # any type says it
        yield from self.ask([question])
        return self.answers[question].status

    def _walked(self, domain: str) -> Walk:
        steps: list[Step] = []
        for name in targets(domain):
            step = self._step(name)
            steps.append(step)
            if step.record is not None and step.record.psd != "u":
                break
        return Walk(domain, tuple(steps))

    def _step(self, name: str) -> Step:
        answer = self.answers.get(Question(PREFIX + name, "TXT"))
        if answer is None:  # it cannot have a record
            return Step(name, "none")
        if answer.status is Status.FAILED:
            return Step(name, "failed")
        texts = [text for text in answer.records if is_record(text)]
        if len(texts) == 1:
            return Step(name, "record", parse(texts[0]))
        # Several are discarded, all of them (step 2).
        return Step(name, "several" if texts else "none")
