"""The memory of outcomes: what is kept, for whom, and how long."""

from __future__ import annotations

import asyncio

from purport.authentication.spf import checker as room
from purport.authentication.spf.checker import Checker
from purport.authentication.spf.client import ClientAddress
from purport.authentication.spf.result import Scope, SpfResult
from purport.dns.lookup import Answer, Question, Status, Suspended, start
from purport.dns.zone import StaticResolver, ZoneData

NESTED: ZoneData = {
    "example.com": [{"TXT": "v=spf1 ip4:192.0.2.0/25 -ip4:192.0.2.0/24 include:in.example -all"}],
    "in.example": [{"TXT": "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 ~all"}],
}


class Counting:
    """A zone that counts its questions, and whose answers last as long as it is told."""

    def __init__(self, zone: ZoneData, ttl: int = 300) -> None:
        self._zone = StaticResolver(zone)
        self._ttl = ttl
        self.asked: list[Question] = []

    def cached(self, question: Question) -> Answer | None:
        self.asked.append(question)
        answer = self._zone.cached(question)
        ttl = 0 if answer.status is Status.FAILED else self._ttl
        return Answer(answer.status, answer.records, ttl)

    async def resolve(self, question: Question) -> Answer:
        answer = self.cached(question)
        assert answer is not None
        return answer


def check(
    checker: Checker,
    resolver: Counting,
    client: str | ClientAddress = "192.0.2.1",
    sender: str = "alice@example.com",
    now: float = 1000.0,
    scope: Scope = "mfrom",
) -> SpfResult:
    result = start(checker.check(scope, client, sender.rpartition("@")[2], sender, "mx.example.net", now), resolver)
    assert not isinstance(result, Suspended)
    return result


def test_a_second_check_asks_nothing() -> None:
    checker, resolver = Checker(), Counting(NESTED)
    first = check(checker, resolver)
    asked = len(resolver.asked)
    second = check(checker, resolver, ClientAddress("192.0.2.99"), "bob@Example.COM.")
    assert len(resolver.asked) == asked == 1
    assert first.result == second.result == "pass"
    assert (second.identity, second.domain) == ("bob@Example.COM.", "example.com")
    assert second.evidence is first.evidence


def test_what_is_known_is_told_without_an_evaluation() -> None:
    checker, resolver = Checker(), Counting(NESTED)
    scope: Scope = "mfrom"
    arguments = ("192.0.2.1", "example.com", "alice@example.com", "mx.example.net", 1000.0)
    assert checker.known(scope, *arguments) is None
    assert checker.known("mfrom", "192.0.2.1", "localhost", "", "", 1000.0) is None
    result = check(checker, resolver)
    assert checker.known(scope, *arguments) == result
    assert checker.known("helo", "192.0.2.1", "example.com", "", "example.com", 1000.0) is not None
    assert checker.known("pra", "192.0.2.1", "example.com", "alice@example.com", "", 1000.0) is None


def test_every_network_has_its_own_outcome() -> None:
    checker, resolver = Checker(), Counting(NESTED)
    clients = {
        "192.0.2.127": "pass",
        "192.0.2.128": "fail",
        "198.51.100.7": "pass",
        "203.0.113.1": "fail",
        "0.0.0.0": "fail",
        "255.255.255.255": "fail",
        "2001:db8::7": "pass",
        "2001:db9::7": "fail",
        "::ffff:192.0.2.1": "pass",
    }
    for _ in range(2):
        assert {client: check(checker, resolver, client).result for client in clients} == clients


def test_an_outcome_lasts_as_long_as_the_shortest_ttl() -> None:
    checker, resolver = Checker(), Counting(NESTED, ttl=60)
    check(checker, resolver, now=1000.0)
    check(checker, resolver, now=1059.9)
    assert len(resolver.asked) == 1
    check(checker, resolver, now=1060.0)
    assert len(resolver.asked) == 2
    check(checker, resolver, now=1100.0)
    assert len(resolver.asked) == 2


def test_a_new_answer_takes_the_place_of_the_old_one() -> None:
    checker = Checker()
    for client in ("192.0.2.1", "192.0.2.200", "203.0.113.1"):
        check(checker, Counting(NESTED, ttl=60), client, now=1000.0)
    changed = Counting({"example.com": [{"TXT": "v=spf1 ip4:192.0.2.0/23 ?all"}]})
    assert check(checker, changed, "192.0.2.200", now=1060.0).result == "pass"
    for client, result in {"192.0.2.1": "pass", "192.0.3.1": "pass", "203.0.113.1": "neutral"}.items():
        assert check(checker, changed, client, now=1061.0).result == result


def test_answers_that_may_not_be_kept_are_not() -> None:
    checker, resolver = Checker(), Counting(NESTED, ttl=0)
    check(checker, resolver)
    check(checker, resolver)
    assert len(resolver.asked) == 2


def test_a_temperror_is_not_kept() -> None:
    checker = Checker()
    assert check(checker, Counting({"example.com": ["TIMEOUT"]})).result == "temperror"
    assert check(checker, Counting(NESTED)).result == "pass"


def test_permerror_none_and_missing_are_kept() -> None:
    checker = Checker()
    resolver = Counting({"bad.example": [{"TXT": "v=spf1 moo"}], "empty.example": [{"A": "192.0.2.1"}]})
    results = ("permerror", "none", "none")
    for _ in range(2):
        senders = ("a@bad.example", "a@empty.example", "a@gone.example")
        assert tuple(check(checker, resolver, sender=sender).result for sender in senders) == results
    assert len(resolver.asked) == 3


def test_scopes_do_not_mix() -> None:
    zone: ZoneData = {"example.com": [{"TXT": "v=spf1 -all"}, {"TXT": "spf2.0/pra +all"}]}
    checker, resolver = Checker(), Counting(zone)
    for _ in range(2):
        assert check(checker, resolver, scope="mfrom").result == "fail"
        assert check(checker, resolver, scope="pra").result == "pass"
        assert check(checker, resolver, scope="pra", sender="a@gone.example").result == "fail"
        assert check(checker, resolver, scope="mfrom", sender="a@gone.example").result == "none"


def test_an_outcome_by_address_is_kept_for_that_address_alone() -> None:
    zone: ZoneData = {
        "example.com": [{"TXT": "v=spf1 exists:%{i}.u.example -all"}],
        "192.0.2.1.u.example": [{"A": "127.0.0.2"}],
    }
    checker, resolver = Checker(), Counting(zone)
    for _ in range(2):
        assert check(checker, resolver, "192.0.2.1").result == "pass"
        assert check(checker, resolver, "192.0.2.2").result == "fail"
    # The record once, and one question for each address.
    assert len(resolver.asked) == 3


def test_an_outcome_by_the_senders_domain_is_kept_within_includes_too() -> None:
    zone: ZoneData = {
        "example.com": [{"TXT": "v=spf1 include:in.example -all"}],
        "in.example": [{"TXT": "v=spf1 exists:%{o}.u.example -all"}],
        "example.com.u.example": [{"A": "127.0.0.2"}],
    }
    checker, resolver = Checker(), Counting(zone)
    for sender in ("alice@example.com", "bob@Example.com"):
        assert check(checker, resolver, sender=sender).result == "pass"
    assert len(resolver.asked) == 3


def test_an_outcome_by_sender_is_not_kept_but_the_way_to_it_is() -> None:
    zone: ZoneData = {
        "example.com": [{"TXT": "v=spf1 a:host.example exists:%{l}.u.example a:other.example -all"}],
        "host.example": [{"A": "203.0.113.1"}],
        "other.example": [{"A": "203.0.113.2"}],
        "alice.u.example": [{"A": "127.0.0.2"}],
    }
    checker, resolver = Checker(), Counting(zone, ttl=60)
    for now in (1000.0, 1010.0, 1020.0):
        assert check(checker, resolver, sender="alice@example.com", now=now).result == "pass"
    assert len(resolver.asked) == 3 + 1 + 1
    result = check(checker, resolver, sender="bob@example.com", now=1030.0)
    assert result.result == "fail"
    assert result.evidence is not None
    assert [question.name for question, _ in result.evidence.answers] == [
        "example.com",
        "host.example",
        "bob.u.example",
        "other.example",
    ]
    assert result.trace[-1].term == "-all"
    asked = len(resolver.asked)
    check(checker, resolver, now=1060.0)
    assert len(resolver.asked) == asked + 3


def test_limits_count_what_was_done_before_the_place_gone_on_from() -> None:
    zone: ZoneData = {
        "example.com": [{"TXT": f"v=spf1{' a:host.example' * 9} exists:%{{l}}.u.example a:host.example -all"}],
        "host.example": [{"A": "203.0.113.1"}],
        "void.example": [{"TXT": "v=spf1 a:a.example a:b.example exists:%{l}.u.example -all"}],
    }
    checker, resolver = Checker(), Counting(zone)
    for _ in range(2):
        assert check(checker, resolver).result == "permerror"
        assert check(checker, resolver, sender="a@void.example").result == "permerror"


def test_an_explanation_that_names_nobody_is_kept_and_any_other_made_each_time() -> None:
    zone: ZoneData = {
        "plain.example": [{"TXT": "v=spf1 -all exp=e.plain.example"}],
        "e.plain.example": [{"TXT": "Not for %{d}"}],
        "named.example": [{"TXT": "v=spf1 -all exp=e.named.example"}],
        "e.named.example": [{"TXT": "%{s} not from %{i}"}],
    }
    checker, resolver = Checker(), Counting(zone)
    for client in ("192.0.2.1", "192.0.2.2"):
        assert check(checker, resolver, client, "a@plain.example").explanation == "Not for plain.example"
        expected = f"a@named.example not from {client}"
        result = check(checker, resolver, client, "a@named.example")
        assert result.explanation == expected
        assert result.evidence is not None
        assert len(result.evidence.answers) == 2
    # named.example once, its explanation twice, plain.example and its explanation once.
    assert len(resolver.asked) == 1 + 2 + 2


def test_an_explanation_that_could_not_be_had_is_asked_for_again() -> None:
    checker = Checker()
    zone: ZoneData = {"example.com": [{"TXT": "v=spf1 -all exp=e.example"}], "e.example": ["TIMEOUT"]}
    assert check(checker, Counting(zone)).explanation is None
    assert check(checker, Counting({**zone, "e.example": [{"TXT": "No."}]})).explanation == "No."


def test_many_domains_do_not_grow_it_without_end_and_those_in_use_stay() -> None:
    checker = Checker()
    resolver = Counting({"used.example": [{"TXT": "v=spf1 -all"}]})
    for number in range(room.MOST_POLICIES + 10):
        check(checker, resolver, sender=f"a@n{number}.example")
        if number % 100 == 0:
            check(checker, resolver, sender="a@used.example")
    assert resolver.asked.count(Question("used.example", "TXT")) == 1
    assert resolver.asked.count(Question("n0.example", "TXT")) == 1
    check(checker, resolver, sender="a@n0.example")
    assert resolver.asked.count(Question("n0.example", "TXT")) == 2


def test_many_addresses_of_one_domain_do_not_grow_it_without_end() -> None:
    checker, resolver = Checker(), Counting({"example.com": [{"TXT": "v=spf1 exists:%{i}.u.example -all"}]})
    for number in range(room.MOST_RANGES + 10):
        check(checker, resolver, f"10.0.{number >> 8}.{number & 255}")
    before = len(resolver.asked)
    check(checker, resolver, "10.0.0.0")
    assert len(resolver.asked) == before + 1


def test_a_policy_of_enormous_records_is_not_kept() -> None:
    terms = " ".join(f"ip4:10.{n >> 8 & 255}.{n & 255}.0/24" for n in range(5000))
    checker, resolver = Checker(), Counting({"example.com": [{"TXT": f"v=spf1 {terms} -all"}]})
    for asked in (1, 2):
        assert check(checker, resolver).result == "fail"
        assert len(resolver.asked) == asked


def test_two_checks_may_wait_for_the_same_answers() -> None:
    class Distant(Counting):
        def cached(self, question: Question) -> Answer | None:
            return None

        async def resolve(self, question: Question) -> Answer:
            await asyncio.sleep(0)
            answer = super().cached(question)
            assert answer is not None
            return answer

    async def both() -> list[str]:
        checker, resolver = Checker(), Distant(NESTED)
        waiting = []
        for client in ("192.0.2.1", "203.0.113.1"):
            begun = start(checker.check("mfrom", client, "example.com", "a@example.com", "", 1000.0), resolver)
            assert isinstance(begun, Suspended)
            waiting.append(begun.finish())
        found = await asyncio.gather(*waiting)
        known = checker.known("mfrom", "203.0.113.99", "example.com", "b@example.com", "", 1000.0)
        assert known is not None
        return [*[result.result for result in found], known.result]

    assert asyncio.run(both()) == ["pass", "fail", "fail"]
