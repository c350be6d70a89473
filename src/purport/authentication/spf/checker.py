"""check_host() with a memory: what a domain's policy said is not worked out again while it holds.

The first check of a client by a domain's policy is interpreted. Its outcome is kept for all addresses that take the
same path through the records, a range that `Inquiry` knows at the end, for as long as the shortest TTL among the
answers. So the policy of a domain is compiled, network by network, into sorted ranges, and a later check is a look-up.
The ranges are filled by the interpreter itself, so that nothing (limits, void look-ups, the order of terms) can come
out differently.

RFC 7208 section 7.3 allows it "on the basis of <domain> and <ip>" unless a macro s, l, o or h was used; such outcomes
are not kept, but the place in the record that the paths have in common is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Generic, TypeVar, final

from purport.authentication.sender_id.record import BY_SCOPE
from purport.authentication.spf.check_host import UNKNOWN, Finding, canonical_domain, explain, find, retrace
from purport.authentication.spf.client import ClientAddress
from purport.authentication.spf.inquiry import Checkpoint, Inquiry, Parsed
from purport.authentication.spf.record import Rules
from purport.authentication.spf.result import Answers, Evidence, Scope, SpfResult
from purport.bounded import Generations
from purport.dns.lookup import Answer, Evaluation, Question, Status

MOST_POLICIES: Final = 8192  # kept for one scope and version; some kilobytes each
MOST_TEXT: Final = 1 << 15  # characters of records that one outcome may hold on to; honest policies need a tenth
MOST_RANGES: Final = 1024  # kept for one domain; policies of networks have fewer, those that ask by address are cut off
MOST_CLIENTS: Final = 4096  # client addresses kept parsed, two hundred octets each


@final
class _Outcome:
    """What all addresses of a range up to `high` get, until `expires`.

    `explained` is False where the explanation differs from check to check.
    """

    __slots__ = ("domain", "evidence", "expires", "explained", "explanation", "finding", "high")

    def __init__(
        self,
        domain: str,
        high: int,
        expires: float,
        finding: Finding,
        evidence: Answers,
        explanation: str | None,
        explained: bool,
    ) -> None:
        self.domain = domain
        self.high = high
        self.expires = expires
        self.finding = finding
        self.evidence = evidence
        self.explanation = explanation
        self.explained = explained


@final
class _Stage:
    """How far into the record all addresses of a range up to `high` get, until `expires`."""

    __slots__ = ("checkpoint", "expires", "high")

    def __init__(self, checkpoint: Checkpoint, expires: float) -> None:
        self.checkpoint = checkpoint
        self.high = checkpoint.high
        self.expires = expires


Kept = TypeVar("Kept", _Outcome, _Stage)


@final
class _Ranges(Generic[Kept]):
    """Disjoint ranges of addresses of one version, sorted: from `lows[i]` to `kept[i].high`."""

    __slots__ = ("kept", "lows")

    def __init__(self) -> None:
        self.lows: list[int] = []
        self.kept: list[Kept] = []

    def find(self, address: int, now: float) -> Kept | None:
        """What is kept for an address, if it still holds."""
        position = bisect_right(self.lows, address) - 1
        if position < 0:
            return None
        kept = self.kept[position]
        return kept if kept.high >= address and kept.expires > now else None

    def add(self, low: int, kept: Kept) -> None:
        """Put a range in the place of those that it overlaps: their answers are older."""
        lows = self.lows
        if len(lows) >= MOST_RANGES:
            lows.clear()
            self.kept.clear()
        first = bisect_right(lows, low)
        if first and self.kept[first - 1].high >= low:
            first -= 1
        last = bisect_right(lows, kept.high)
        lows[first:last] = [low]
        self.kept[first:last] = [kept]


@final
class _Policy:
    """What is known of one domain, for clients of one version."""

    __slots__ = ("_newest", "outcomes", "stages")

    def __init__(self) -> None:
        self.outcomes: _Ranges[_Outcome] = _Ranges()
        self.stages: _Ranges[_Stage] = _Ranges()
        self._newest: Answers | None = None

    def keep(self, low: int, outcome: _Outcome) -> None:
        """Remember an outcome; those that rest on the same answers share them."""
        if self._newest is not None and self._newest.answers == outcome.evidence.answers:
            outcome.evidence = self._newest
        else:
            self._newest = outcome.evidence
        self.outcomes.add(low, outcome)


_Memory = Generations[str, _Policy]  # policies by domain


@final
class Checker:
    """Checks clients against the policies of domains: SPF under the scopes mfrom and helo, Sender ID under pra.

    `receiver` is our name, for explanations that quote it.
    """

    __slots__ = ("_clients", "_memories", "_parsed", "_receiver", "_retrace", "_rules")

    def __init__(self, receiver: str = UNKNOWN, rules: Mapping[Scope, Rules] = BY_SCOPE) -> None:
        self._receiver = receiver
        self._rules = rules
        self._retrace = {scope: partial(retrace, its) for scope, its in rules.items()}
        shared = {its: {4: _Memory(MOST_POLICIES), 6: _Memory(MOST_POLICIES)} for its in rules.values()}
        self._memories = {scope: shared[its] for scope, its in rules.items()}
        self._parsed = Parsed()
        self._clients: dict[str, ClientAddress] = {}

    def known(
        self,
        scope: Scope,
        client_address: str | ClientAddress,
        domain: str,
        sender: str,
        hello_domain: str,
        now: float,
    ) -> SpfResult | None:
        """The result if it can be told without asking anything; None otherwise. The arguments are those of `check`.

        Before an evaluation it saves half the cost of one that asks nothing:

            result = checker.known(...) or (yield from checker.check(...))
        """
        client = self._client(client_address) if isinstance(client_address, str) else client_address
        outcome = self._remembered(scope, client, domain, now)
        if outcome is None or not outcome.explained:
            return None
        return self._result(outcome, scope, client, sender, hello_domain, outcome.explanation, outcome.evidence)

    def check(
        self,
        scope: Scope,
        client_address: str | ClientAddress,
        domain: str,
        sender: str,
        hello_domain: str,
        now: float,
    ) -> Evaluation[SpfResult]:
        """The result of check_host() for `domain`, from memory or by asking. `now` is in seconds since 1970.

        `sender` is the address that is checked; without one it is the domain's postmaster (RFC 7208 section 2.4).
        Raises ValueError, at the first step, for a client address that is none.
        """
        client = self._client(client_address) if isinstance(client_address, str) else client_address
        outcome = self._remembered(scope, client, domain, now)
        if outcome is not None and outcome.explained:
            return self._result(outcome, scope, client, sender, hello_domain, outcome.explanation, outcome.evidence)
        name = canonical_domain(domain)
        inquiry = Inquiry(
            client,
            name or domain,
            sender,
            hello_domain,
            receiver=self._receiver,
            now=now,
            rules=self._rules[scope],
            parsed=self._parsed,
        )
        if outcome is None:
            outcome = yield from self._learn(inquiry, scope, name, now)
            explanation, evidence = outcome.explanation, outcome.evidence
            if not outcome.explained:
                evidence = Answers(inquiry.answers)
        else:
            explanation = yield from explain(inquiry, outcome.finding)
            evidence = Answers([*outcome.evidence.answers, *inquiry.answers])
        return self._result(outcome, scope, client, sender, hello_domain, explanation, evidence)

    def _remembered(self, scope: Scope, client: ClientAddress, domain: str, now: float) -> _Outcome | None:
        memory = self._memories[scope][client.version]
        policy = memory.find(domain)
        if policy is None:
            name = canonical_domain(domain)
            policy = None if name is None else memory.find(name)
            if policy is None:
                return None
        return policy.outcomes.find(client.value, now)

    def _learn(self, inquiry: Inquiry, scope: Scope, name: str | None, now: float) -> Evaluation[_Outcome]:
        """Interpret the policy, and keep the outcome if it holds for others too."""
        client = inquiry.client
        memory = self._memories[scope][client.version]
        policy = None if name is None else memory.find(name)
        stage = None if policy is None else policy.stages.find(client.value, now)
        finding = yield from find(inquiry, name, None if stage is None else stage.checkpoint)
        decided = len(inquiry.answers)
        depends_on = low, high, personal = inquiry.low, inquiry.high, inquiry.personal
        explanation = yield from explain(inquiry, finding)
        # The text may be kept where it names nobody: its macros did not narrow what the outcome depends on.
        explained = (inquiry.low, inquiry.high, inquiry.personal) == depends_on and _usable(inquiry.answers[decided:])
        keep = not personal and _worth_keeping(inquiry.answers[:decided])
        answers = inquiry.answers if explained or not keep else inquiry.answers[:decided]
        expires = _expiry(answers, now, stage)
        outcome = _Outcome(name or inquiry.domain, high, expires, finding, Answers(answers), explanation, explained)
        if name is not None and keep and expires > now:
            _policy_in(memory, name).keep(low, outcome)
        reached = inquiry.checkpoint
        if name is not None and reached is not None and _worth_keeping(reached.answers):
            _policy_in(memory, name).stages.add(reached.low, _Stage(reached, _expiry(reached.answers, now, None)))
        return outcome

    def _result(
        self,
        outcome: _Outcome,
        scope: Scope,
        client: ClientAddress,
        sender: str,
        hello_domain: str,
        explanation: str | None,
        evidence: Evidence,
    ) -> SpfResult:
        finding = outcome.finding
        return SpfResult(
            finding.result,
            scope,
            sender or outcome.domain,
            outcome.domain,
            finding.mechanism,
            finding.mechanism_domain,
            explanation,
            finding.problem,
            evidence,
            client.text,
            hello_domain,
            self._retrace[scope],
        )

    def _client(self, text: str) -> ClientAddress:
        client = self._clients.get(text)
        if client is None:
            if len(self._clients) >= MOST_CLIENTS:
                self._clients.clear()
            client = self._clients[text] = ClientAddress(text)
        return client


def _policy_in(memory: _Memory, domain: str) -> _Policy:
    """The policy of a domain, from now on remembered."""
    return memory.find(domain) or memory.keep(domain, _Policy())


def _expiry(answers: Sequence[tuple[Question, Answer]], now: float, stage: _Stage | None) -> float:
    """When the first of the answers may no longer be used; those of an earlier stage have been counted there."""
    if stage is None:
        return now + min([answer.ttl for _, answer in answers], default=0)
    later = answers[len(stage.checkpoint.answers) :]
    return min([stage.expires, *[now + answer.ttl for _, answer in later]])


def _usable(answers: Sequence[tuple[Question, Answer]]) -> bool:
    """Whether none has failed: the next check may find more."""
    return all(answer.status is not Status.FAILED for _, answer in answers)


def _worth_keeping(answers: Sequence[tuple[Question, Answer]]) -> bool:
    return _usable(answers) and sum([len(text) for _, answer in answers for text in answer.records]) <= MOST_TEXT
