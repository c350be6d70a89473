"""The conformance suites of SPF, interpreted, from a cold memory and from a warm one."""

from __future__ import annotations

from functools import cache

import pytest

from purport.authentication.spf.check_host import check_host
from purport.authentication.spf.checker import Checker
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import Suspended, replay, start
from purport.dns.zone import StaticResolver
from support.spf_suites import Case, cases
from support.suites import SUITES

RECEIVER = "receiver.com"

# RFC 7208 section 6: "Unrecognized modifiers MUST be ignored no matter where, or how often, they appear in a record."
# These ask for an old draft's default= modifier, or for a mode that calls it ambiguous.
DEVIATIONS = frozenset({"default-modifier", "default-modifier-harsh"})

CASES = [
    *cases(SUITES / "spf" / "rfc7208-tests.yml"),
    *cases(SUITES / "spf" / "mail-auth-spf.yml"),
    *cases(SUITES / "spf" / "pyspf-regressions.yml", DEVIATIONS),
]


@cache
def checker(zone: StaticResolver) -> Checker:
    """One for all cases of a zone, so that what one case leaves behind meets the next."""
    return Checker(RECEIVER)


def agree(case: Case, result: SpfResult | Suspended[SpfResult]) -> None:
    assert isinstance(result, SpfResult)
    assert result.result in case.results, result.problem
    if case.explanation is not None:
        assert result.explanation == (None if case.explanation == "DEFAULT" else case.explanation)


@pytest.mark.parametrize("case", CASES)
def test_the_interpreter_agrees(case: Case) -> None:
    evaluation = check_host(case.client_address, case.domain, case.sender, case.hello_domain, receiver=RECEIVER)
    result = start(evaluation, case.zone)
    agree(case, result)


@pytest.mark.parametrize("case", CASES)
def test_the_checker_agrees_cold_and_warm(case: Case) -> None:
    one = Checker(RECEIVER)
    for _ in range(2):
        agree(case, check(one, case))


@pytest.mark.parametrize("case", CASES)
def test_the_checker_agrees_after_all_other_cases_of_the_zone(case: Case) -> None:
    agree(case, check(checker(case.zone), case))


@pytest.mark.parametrize("case", CASES)
def test_the_evidence_gives_the_same_result_again(case: Case) -> None:
    result = check(checker(case.zone), case)
    assert isinstance(result, SpfResult)
    assert result.evidence is not None
    again = check_host(case.client_address, case.domain, case.sender, case.hello_domain, receiver=RECEIVER)
    assert replay(again, dict(result.evidence.answers)) == result
    assert isinstance(result.trace, tuple)


def check(one: Checker, case: Case) -> SpfResult | Suspended[SpfResult]:
    return start(one.check("mfrom", case.client_address, case.domain, case.sender, case.hello_domain, 0.0), case.zone)
