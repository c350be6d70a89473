"""rspamd's cases: whole evaluations, from a message, a client and a zone."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

import pytest

from purport.authentication.check_message import MessageResults, check_message
from purport.dns.zone import StaticResolver
from support.dmarc_suites import FOLDER, cases, rspamd_zone

NOW = 1_795_500_000.0  # seconds since 1970; none of the signatures ends

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


def checked(case: dict[str, Any]) -> MessageResults:
    octets = (FOLDER / "rspamd" / "messages" / case["message"]).read_bytes()
    sender = case.get("from", "<>").strip("<>")
    client = case.get("ip", "192.0.2.1")  # where a case names none it is about DKIM alone
    helo = case.get("helo", "mx.example.org")
    return asyncio.run(check_message(octets, client, sender, helo=helo, resolver=zone(), now=NOW))


@pytest.mark.parametrize("case", cases("rspamd/rspamd-dmarc.yml", "cases"))
def test_rspamd_dmarc(case: dict[str, Any]) -> None:
    result = checked(case).dmarc
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
    results = checked(case)
    found = results.spf
    assert found.result == case.get("rfc7208_result", case["expect"]["spf"])
    assert found.result not in case.get("not", [])
    if "dmarc" in case["expect"]:
        assert (results.dmarc.result, results.dmarc.disposition) == (case["expect"]["dmarc"], case["expect"]["policy"])
