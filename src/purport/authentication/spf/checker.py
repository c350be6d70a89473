"""check_host() with a memory: what a domain's policy said is not worked out again while it holds.

The first check of a client by a domain's policy is interpreted. Its outcome is kept for all addresses that take the
same path through the records, a range that `Inquiry` knows at the end, for as long as the shortest TTL among the
answers. So the policy of a domain is compiled, network by network, into sorted ranges, and a later check is a look-up.
The ranges are filled by the interpreter itself, so that nothing (limits, void look-ups, the order of terms) can come
out differently.

RFC 7208 section 7.3 allows it "on the basis of <domain> and <ip>" unless a macro s, l, o or h was used; such outcomes
are not kept, but their records stay parsed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, final

from purport.authentication.sender_id.record import BY_SCOPE
from purport.authentication.spf.check_host import UNKNOWN, Finding, canonical_domain, explain, find, retrace
from purport.authentication.spf.client import ClientAddress
from purport.authentication.spf.inquiry import Inquiry, Parsed
from purport.authentication.spf.record import Rules
from purport.authentication.spf.result import Answers, Evidence, Scope, SpfResult
from purport.dns.lookup import Answer, Evaluation, Question, Status

MOST_DOMAINS: Final = 8192  # policies kept for one scope; some kilobytes each
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
class _Ranges:
    """Disjoint ranges of addresses of one version, sorted: `lows[i]` to `outcomes[i].high`."""

    __slots__ = ("lows", "outcomes")

    def __init__(self) -> None:
        self.lows: list[int] = []
        self.outcomes: list[_Outcome] = []

    def add(self, low: int, outcome: _Outcome) -> None:
        """Put a range in the place of those that it overlaps: their answers are older."""
        lows, outcomes = self.lows, self.outcomes
        if len(lows) >= MOST_RANGES:
            lows.clear()
            outcomes.clear()
        first = bisect_right(lows, low)
        if first and outcomes[first - 1].high >= low:
            first -= 1
        last = bisect_right(lows, outcome.high)
        lows[first:last] = [low]
        outcomes[first:last] = [outcome]


@final
class _Policy:
    """What is known of one domain, for clients of both versions."""

    __slots__ = ("_newest", "ip4", "ip6")

    def __init__(self) -> None:
        self.ip4 = _Ranges()
        self.ip6 = _Ranges()
        self._newest: Answers | None = None

    def share(self, outcome: _Outcome) -> None:
        """Let outcomes that rest on the same answers share them."""
        if self._newest is not None and self._newest.answers == outcome.evidence.answers:
            outcome.evidence = self._newest
        else:
            self._newest = outcome.evidence


@final
class _Memory:
    """Policies by domain. When the young generation is full the old one is forgotten: what is in use moves up."""

    __slots__ = ("old", "young")

    def __init__(self) -> None:
        self.young: dict[str, _Policy] = {}
        self.old: dict[str, _Policy] = {}

    def find(self, domain: str) -> _Policy | None:
        """The policy of a domain, if it is remembered."""
        policy = self.young.get(domain)
        if policy is None and (policy := self.old.pop(domain, None)) is not None:
            self.put(domain, policy)
        return policy

    def put(self, domain: str, policy: _Policy) -> _Policy:
        """Remember a policy."""
        if len(self.young) >= MOST_DOMAINS // 2:
            self.old, self.young = self.young, {}
        self.young[domain] = policy
        return policy


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
        shared = {its: _Memory() for its in rules.values()}
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
        """The result if it can be told without asking anything; None otherwise. The arguments are those of `check`."""
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
            return self._result(outcome, scope, client, sender, hello_domain, outcome.explanation, outcome.evidence)
        explanation = yield from explain(inquiry, outcome.finding)
        evidence = Answers([*outcome.evidence.answers, *inquiry.answers])
        return self._result(outcome, scope, client, sender, hello_domain, explanation, evidence)

    def _remembered(self, scope: Scope, client: ClientAddress, domain: str, now: float) -> _Outcome | None:
        memory = self._memories[scope]
        policy = memory.young.get(domain)
        if policy is None:
            name = canonical_domain(domain)
            policy = None if name is None else memory.find(name)
            if policy is None:
                return None
        ranges = policy.ip4 if client.version == 4 else policy.ip6
        position = bisect_right(ranges.lows, client.value) - 1
        if position < 0:
            return None
        outcome = ranges.outcomes[position]
        return outcome if outcome.high >= client.value and outcome.expires > now else None

    def _learn(self, inquiry: Inquiry, scope: Scope, name: str | None, now: float) -> Evaluation[_Outcome]:
        """Interpret the policy, and keep the outcome if it holds for others too."""
        finding = yield from find(inquiry, name)
        answers = tuple(inquiry.answers)
        low, high, personal = inquiry.low, inquiry.high, inquiry.personal
        explanation = yield from explain(inquiry, finding)
        rest = inquiry.answers[len(answers) :]
        # The text may be kept where it names nobody: its macros did not narrow what the outcome depends on.
        explained = (inquiry.low, inquiry.high, inquiry.personal) == (low, high, personal) and _usable(rest)
        keep = name is not None and not personal and _usable(answers)
        if explained or not keep:
            answers = tuple(inquiry.answers)
        expires = now + min([answer.ttl for _, answer in answers], default=0)
        outcome = _Outcome(name or inquiry.domain, high, expires, finding, Answers(answers), explanation, explained)
        if keep and expires > now and name is not None:
            policy = self._memories[scope].find(name) or self._memories[scope].put(name, _Policy())
            policy.share(outcome)
            (policy.ip4 if inquiry.client.version == 4 else policy.ip6).add(low, outcome)
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


def _usable(answers: Sequence[tuple[Question, Answer]]) -> bool:
    """Whether none has failed: the next check may find more."""
    return all(answer.status is not Status.FAILED for _, answer in answers)
