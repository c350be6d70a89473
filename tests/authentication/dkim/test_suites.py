"""The DKIM suites: messages and keys, and what comes of each signature."""

from __future__ import annotations

import pytest

from support.dkim_suites import (
    OWN,
    Case,
    cases,
    chasquid,
    check,
    mail_auth,
    mail_dkim,
    old_signatures,
    own,
    rspamd,
    was_valid,
    words,
)
from support.suites import SUITES

# RFC 8601 section 2.7.1 has the word policy for a signature that verifies and is not acceptable here; these suites
# count it under another word that local policy may give.
POLICY = frozenset({"from-added-not-oversigned", "rsa-512"})
# RFC 8601 section 2.7.1 and RFC 6376 section 6.1: every signature is looked at by itself. The suite's server gives up
# at the fifth that it cannot read; here the limit is twenty.
MORE_SIGNATURES = "dkim-unparseable-signatures-count-towards-limit"


@pytest.mark.parametrize("case", cases(OWN / "expected.yml", own))
def test_our_own_vectors(case: Case) -> None:
    found = words(check(case.octets, case.zone, case.now))
    if case.name in POLICY:
        assert found == ("policy",)
    else:
        assert found in case.accepted


@pytest.mark.parametrize("case", cases(SUITES / "dkim" / "chasquid" / "expected.yml", chasquid))
def test_the_cases_of_chasquid(case: Case) -> None:
    assert words(check(case.octets, case.zone)) in case.accepted


@pytest.mark.parametrize("case", cases(SUITES / "dkim" / "mail-dkim" / "expected.yml", mail_dkim))
def test_the_corpus_of_mail_dkim(case: Case) -> None:
    assert words(check(case.octets, case.zone)) in case.accepted


# Not valid any more, by RFC 8301; what is hashed for them is what was hashed then.
@pytest.mark.parametrize("case", cases(SUITES / "dkim" / "mail-dkim" / "expected.yml", old_signatures))
def test_the_canonical_forms_of_old_signatures(case: Case) -> None:
    assert was_valid(case)


@pytest.mark.parametrize("case", cases(SUITES / "dkim" / "mail-auth" / "expected.yml", mail_auth))
def test_the_messages_of_mail_auth(case: Case) -> None:
    assert words(check(case.octets, case.zone, case.now))[-1:] in case.accepted


@pytest.mark.parametrize("case", cases(SUITES / "dmarc" / "rspamd" / "rspamd-dkim.yml", rspamd))
def test_the_cases_of_rspamd(case: Case) -> None:
    found = words(check(case.octets, case.zone))
    if case.name == MORE_SIGNATURES:
        assert found == ("permerror",) * 5 + ("pass",)
        return
    [[expected]] = case.accepted
    assert set(found) == (set() if expected == "none" else {expected})
