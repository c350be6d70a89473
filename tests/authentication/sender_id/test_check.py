"""Sender ID: the suites, and what RFC 4406 adds to check_host()."""

from __future__ import annotations

from functools import cache

import pytest

from purport.authentication.sender_id.check import check_sender_id
from purport.authentication.sender_id.record import MFROM, PRA
from purport.authentication.spf.checker import Checker
from purport.authentication.spf.result import Scope, SpfResult
from purport.dns.lookup import Suspended, start
from purport.dns.zone import StaticResolver, ZoneData
from support.spf_suites import OWN, Case, cases
from support.suites import SUITES

CASES = [
    *cases(OWN / "senderid" / "senderid-check-host.yml"),
    *cases(SUITES / "sender-id" / "rfc4406-tests.yml"),
]


def scope_of(case: Case) -> Scope:
    return "pra" if case.scope == "pra" else "mfrom"


@cache
def checker(zone: StaticResolver) -> Checker:
    """One for all cases of a zone. Its scope mfrom is that of Sender ID here, not SPF's."""
    return Checker("mx.example.org", {"pra": PRA, "mfrom": MFROM})


def agree(case: Case, result: SpfResult | Suspended[SpfResult]) -> None:
    assert isinstance(result, SpfResult)
    assert result.result in case.results, result.problem
    assert result.scope == scope_of(case)
    if case.explanation is not None:
        assert result.explanation == case.explanation


@pytest.mark.parametrize("case", CASES)
def test_the_interpreter_agrees(case: Case) -> None:
    scope = "pra" if case.scope == "pra" else "mfrom"
    agree(case, start(check_sender_id(case.client_address, case.address, case.hello_domain, scope=scope), case.zone))


@pytest.mark.parametrize("case", CASES)
def test_the_checker_agrees_cold_and_warm(case: Case) -> None:
    one = checker(case.zone)
    for _ in range(2):
        evaluation = one.check(scope_of(case), case.client_address, case.domain, case.address, case.hello_domain, 0.0)
        agree(case, start(evaluation, case.zone))


def check(zone: ZoneData) -> SpfResult:
    result = start(check_sender_id("192.0.2.1", "bob@example.com", "mx.example.net"), StaticResolver(zone))
    assert isinstance(result, SpfResult)
    return result


def test_s9_a_responsible_domain_that_does_not_exist_fails_and_says_so() -> None:
    result = check({})
    assert (result.result, result.problem, result.identity) == ("fail", "example.com does not exist", "bob@example.com")
    assert result.explanation is None


def test_an_included_domain_that_does_not_exist_does_not_match() -> None:
    # RFC 4406 section 4.3: check_host() for it exits with Fail, which RFC 7208 section 5.2 calls no match.
    assert check({"example.com": [{"TXT": "v=spf1 include:gone.example ip4:192.0.2.1 -all"}]}).result == "pass"
    assert check({"example.com": [{"TXT": "v=spf1 include:gone.example ~all"}]}).result == "softfail"


def test_a_redirect_to_a_domain_that_does_not_exist_fails() -> None:
    assert check({"example.com": [{"TXT": "spf2.0/pra redirect=gone.example"}]}).result == "fail"


def test_an_included_domain_without_a_record_is_a_permerror() -> None:
    zone: ZoneData = {"example.com": [{"TXT": "v=spf1 include:a.example -all"}], "a.example": [{"A": "192.0.2.1"}]}
    assert check(zone).result == "permerror"
