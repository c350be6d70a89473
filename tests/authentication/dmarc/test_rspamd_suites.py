"""rspamd's cases: whole evaluations, from a message, a client and a zone; SPF, and DMARC on what SPF found.

What DKIM finds is taken from the case's description here: the domain whose signature it is about.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from purport.authentication.dmarc.evaluate import evaluate
from purport.authentication.dmarc.result import Authenticated, DmarcResult, spf_identity
from purport.authentication.spf.checker import Checker
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver
from purport.mail.address import NULL, ReversePath, parse_mailbox
from purport.mail.header import read_header
from purport.policy.facts import Client, MailFacts
from purport.policy.gather import mail_facts
from support.dmarc_suites import FOLDER, cases, rspamd_zone

SIGNED_BY = {
    "dmarc-none-pass-dkim": "cacophony.za.org",
    "dmarc-subdomain-pass-dkim-relaxed-alignment": "mom.za.org",
}
# zero_pct.com is no domain name: sub-domain = Let-dig [Ldh-str] (RFC 5321 section 4.1.2); and pct no longer weakens a
# policy (RFC 9989 appendix A.6).
NO_DOMAIN = {"dmarc-pct-zero-reject", "dmarc-pct-zero-sp-quarantine"}
# A record stands at my.mom.za.org alone: "select the DMARC Policy Record found at the name with the fewest number of
# labels. This is the Organizational Domain" (RFC 9989 section 4.10.2), so mom.za.org is another organization. rspamd
# asks a list of public suffixes, which RFC 9989 does no longer know.
OTHER_ORGANIZATION = {
    "dmarc-subdomain-pass-dkim-relaxed-alignment",
    "dmarc-subdomain-pass-spf-relaxed-alignment",
}


@cache
def zone() -> StaticResolver:
    return rspamd_zone()


def reverse_path(case: dict[str, Any]) -> ReversePath:
    text = case.get("from", "<>")
    return NULL if text == "<>" else parse_mailbox(text)


def spf(case: dict[str, Any]) -> SpfResult | None:
    if "ip" not in case:
        return None
    client = Client(case["ip"], None, case.get("helo", "mx.example.org"))
    facts = start(mail_facts(Checker(), client, reverse_path(case), None, 0.0), zone())
    assert isinstance(facts, MailFacts)
    return facts.spf


def dmarc(case: dict[str, Any]) -> DmarcResult:
    octets = (FOLDER / "rspamd" / "messages" / case["message"]).read_bytes()
    signed = [Authenticated(SIGNED_BY[case["id"]], "pass")] if case["id"] in SIGNED_BY else []
    result = start(evaluate(read_header(octets), spf_identity(spf(case)), signed), zone())
    assert isinstance(result, DmarcResult)
    return result


@pytest.mark.parametrize("case", cases("rspamd/rspamd-dmarc.yml", "cases"))
def test_rspamd_dmarc(case: dict[str, Any]) -> None:
    result = dmarc(case)
    if case["id"] in NO_DOMAIN:
        assert (result.result, result.author.kind) == ("permerror", "broken")
        return
    if case["id"] in OTHER_ORGANIZATION:
        assert (result.result, result.organizational_domain) == ("fail", "my.mom.za.org")
        return
    assert result.result == case["expect"]["dmarc"]
    assert result.disposition == case["expect"].get("policy", "none")


@pytest.mark.parametrize("case", cases("rspamd/rspamd-spf.yml", "cases"))
def test_rspamd_spf(case: dict[str, Any]) -> None:
    found = spf(case)
    assert found is not None
    assert found.result == case.get("rfc7208_result", case["expect"]["spf"])
    assert found.result not in case.get("not", [])
    if "dmarc" in case["expect"]:
        result = dmarc(case)
        assert (result.result, result.disposition) == (case["expect"]["dmarc"], case["expect"]["policy"])
