"""The DNS Tree Walk: from a domain up to its top-level domain, in eight questions at most (RFC 9989 section 4.10).

    a.mail.example.com  ->  _dmarc.a.mail.example.com, _dmarc.mail.example.com, _dmarc.example.com, _dmarc.com

The questions of a walk do not depend on each other's answers but for where it stops, so they are asked together: one
round trip instead of up to eight, and what lies beyond the stop is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, final

from purport.authentication.dmarc.record import DmarcRecord, is_record, parse
from purport.dns.lookup import UNANSWERED, Answer, Evaluation, Question, Status

PREFIX: Final = "_dmarc."
MOST_LABELS: Final = 8  # a name with as many labels or more goes on with its last seven (RFC 9989 section 4.10, step 4)
LONGEST_NAME: Final = 253  # characters (RFC 1035 section 2.3.4)
LONGEST_DOMAIN: Final = LONGEST_NAME - len(PREFIX)  # the prefix does not fit before every name

Found = Literal["record", "none", "several", "failed"]


class Step(NamedTuple):
    """What one question of a walk found: a record, no record, several that count as none, or no answer."""

    domain: str
    found: Found
    record: DmarcRecord | None = None


@final
class Walk:
    """A walk from `domain` up, as far as it went: to the record that stopped it, or to the top.

    `own` is what stands at the domain itself. `failed`: a question had no answer, so that nothing is certain but what
    the domain itself says. `public_suffix`: the record, above this domain, that says of its name that the domains below
    it belong to others. `organizational_domain`: that of RFC 9989 section 4.10.2. `policy`: the record that applies to
    mail from this domain (section 4.10.1), its own, else that of its Organizational Domain, else that of its public
    suffix.
    """

    __slots__ = ("domain", "failed", "organizational_domain", "own", "policy", "public_suffix", "steps")

    def __init__(self, domain: str, steps: tuple[Step, ...]) -> None:
        self.domain = domain
        self.steps = steps
        self.own = steps[0]
        self.failed = any(step.found == "failed" for step in steps)
        found = [step for step in steps if step.record is not None]
        psd = found[-1].record.psd if found and found[-1].record is not None else "u"
        self.public_suffix = found[-1] if psd == "y" and found[-1].domain != domain else None
        self.organizational_domain = domain
        if self.public_suffix is not None:  # 2. one label below a public suffix
            self.organizational_domain = ".".join(domain.split(".")[-(found[-1].domain.count(".") + 2) :])
        elif found:  # 1. the record with psd=n, which ended the walk; 3. the shortest name with one
            self.organizational_domain = found[-1].domain
        at = {step.domain: step for step in found}
        self.policy = at.get(domain) or at.get(self.organizational_domain) or self.public_suffix


def targets(domain: str) -> tuple[str, ...]:
    """The domains of a walk, from the longest to the shortest."""
    labels = domain.split(".")
    first = len(labels) - 1 if len(labels) < MOST_LABELS else MOST_LABELS - 1
    return (domain, *[".".join(labels[-count:]) for count in range(first, 0, -1)])


@final
class Walks:
    """The walks of one evaluation: what one has asked, the others do not ask again. `answers` in the order asked."""

    __slots__ = ("_steps", "answers")

    def __init__(self) -> None:
        self.answers: dict[Question, Answer] = {}
        self._steps: dict[str, Step] = {}

    def ask(self, questions: Iterable[Question]) -> Evaluation[None]:
        """Ask what is not known yet, all at once."""
        unknown = tuple([question for question in dict.fromkeys(questions) if question not in self.answers])
        if unknown:
            answers = yield unknown
            self.answers.update(zip(unknown, answers, strict=True))

    def walk(self, domains: Iterable[str]) -> Evaluation[list[Walk]]:
        """A walk from each of these domains (A-labels, lower case)."""
        steps = self._steps
        starts = [(domain, targets(domain)) for domain in domains]
        names = [name for name in dict.fromkeys(name for _, names in starts for name in names) if name not in steps]
        questions = tuple([Question(PREFIX + name, "TXT") for name in names if len(name) <= LONGEST_DOMAIN])
        if questions:
            answers = yield questions
            for question, answer in zip(questions, answers, strict=True):
                self.answers[question] = answer
                name = question.name[len(PREFIX) :]
                steps[name] = _step(name, answer)
        return [Walk(domain, tuple(self._walked(names))) for domain, names in starts]

    def existence(self, domain: str) -> Evaluation[Status]:
        """Whether a domain that a walk began at exists: not, if MISSING (RFC 9989 section 3.2.13)."""
        below = self.answers.get(Question(PREFIX + domain, "TXT"), UNANSWERED)
        if below.status in (Status.FOUND, Status.EMPTY):
            return below.status  # a name below it exists, and so it does (RFC 8020 section 2)
        question = Question(domain, "A")  # any type says it
        yield from self.ask([question])
        return self.answers[question].status

    def _walked(self, names: Iterable[str]) -> Iterator[Step]:
        for name in names:
            step = self._steps.get(name) or Step(name, "none")  # one that was not asked about cannot have a record
            yield step
            if step.record is not None and step.record.psd != "u":
                return


def _step(name: str, answer: Answer) -> Step:
    if answer.status is Status.FAILED:
        return Step(name, "failed")
    texts = [text for text in answer.records if is_record(text)]
    if len(texts) == 1:
        return Step(name, "record", parse(texts[0]))
    # Several are discarded, all of them (step 2).
    return Step(name, "several" if texts else "none")
