"""What other implementations test: mailauth, OpenDMARC and mox. A case that RFC 9989 decides otherwise is listed with
the sentence that it contradicts; what is expected there is then the opposite."""

from __future__ import annotations

from typing import Any

import pytest

from purport.authentication.dmarc.author import author_of
from purport.authentication.dmarc.destination import accepts_reports
from purport.authentication.dmarc.record import DmarcRecord, is_record, parse
from purport.authentication.dmarc.tree_walk import Walks
from purport.dns.lookup import start
from purport.mail.header import read_header
from support.dmarc_suites import cases, evaluated, suite, zone_of

# "Syntax errors in the remainder of the record MUST be discarded in favor of default values (if any) or ignored
# outright." (RFC 9989 section 4.8)
DEFAULTED = {"v=DMARC1; p=none; adkim=bob;", "v=DMARC1; p=none; aspf=bob;"}
# "unknown tags MUST be ignored" (section 4.7); pct, rf and ri are no longer known (section 9.3).
IGNORED = {
    "v=DMARC1; p=none; ri=bob;",
    "v=DMARC1; p=none; pct=500;",
    "v=DMARC1; p=none; rf=000000000000000000000000000000000",
}
# dmarc-request = "none" / "quarantine" / "reject" (section 4.8)
NO_REQUEST = {"v=DMARC1; p=n;"}
# dmarc-record = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep]: the tags have no order (section 4.8).
NO_ORDER = {"v=DMARC1; sp=reject; p=reject"}
# dkim-tag values are domain names (RFC 6376 section 3.5), whose labels are not empty (RFC 5321 section 4.1.2).
NO_NAME = {".mac.com."}
# name-addr = [display-name] angle-addr: nothing follows an angle-addr, and a quoted-string alone is no address
# (RFC 5322 section 3.4).
MALFORMED = {'"Johnson, Joe <joe@joe.com>" joe@joe.com'}
# "apply the DMARC mechanism to each domain found in the RFC5322.From field" (RFC 9989 section 11.5)
SEVERAL = {"Joe Johnson <joe@joe.com>, ace@ace.com", "joe@joe.com, ace@ace.com"}

# The public suffixes that the alignment cases of OpenDMARC suppose, as records of RFC 9989.
SUFFIXES = {f"_dmarc.{name}": ["v=DMARC1; p=none; psd=y"] for name in ("com", "de", "com.ar")}


@pytest.mark.parametrize("case", cases("mailauth-dmarc.yml", "cases"))
def test_mailauth(case: dict[str, Any]) -> None:
    given, expect = case["input"], case["expect"]
    author = given["header_from"]
    spf = given.get("spf_pass_domains", [])
    dkim = [one if isinstance(one, str) else one["domain"] for one in given.get("dkim_pass_domains", [])]
    result = evaluated(
        author if isinstance(author, str) else ", ".join(author), zone_of(case["queries"]), next(iter(spf), None), dkim
    )
    word = expect["result"].split()[0]
    assert result.result == word
    if word == "fail":
        assert result.disposition == expect["policy"]
    if "p" in expect:
        record = result.record
        assert record is not None
        assert (record.p, record.sp or record.p) == (expect["p"], expect["sp"])
    if "aligned" in expect:
        assert (result.aligned.spf or False) == expect["aligned"]["spf"]
        assert next(iter(result.aligned.dkim), False) == expect["aligned"]["dkim"]


@pytest.mark.parametrize("case", cases("opendmarc-tables.yml", "record_parse"))
def test_records_of_opendmarc(case: dict[str, str]) -> None:
    text = case["record"]
    expected = case["result"] == "ok"
    if text in DEFAULTED | IGNORED | NO_REQUEST:
        expected = not expected
    assert _valid(text) == expected


@pytest.mark.parametrize("case", cases("opendmarc-tables.yml", "alignment"))
def test_alignment_of_opendmarc(case: dict[str, Any]) -> None:
    one, other = case["a"], case["b"]
    record = [f"v=DMARC1; p=reject; adkim={case['mode']}"]
    zone = zone_of({**SUFFIXES, f"_dmarc.{other}": record, f"_dmarc.{one}": record})
    expected = case["aligned"] and one not in NO_NAME
    assert (evaluated(f"a@{other}", zone, None, [one]).result == "pass") == expected


@pytest.mark.parametrize("case", cases("opendmarc-tables.yml", "from_domain"))
def test_authors_of_opendmarc(case: dict[str, str]) -> None:
    value = case["value"]
    field = value if value.startswith("From:") else f"From: {value}"
    author = author_of(read_header(f"{field}\r\n\r\n".encode()))
    if value in MALFORMED:
        assert author.kind == "broken"
    elif value in SEVERAL:
        assert author.domains == ("joe.com", "ace.com")
    else:
        assert author.domains == (case["domain"],)


@pytest.mark.parametrize("case", cases("mox-dmarc.yml", "record_parse"))
def test_records_of_mox(case: dict[str, Any]) -> None:
    text = case["record"]
    assert _valid(text) == (case["valid"] or text in NO_ORDER)
    if "expect" in case:
        assert parse(text).p == case["expect"]["p"]


@pytest.mark.parametrize("case", cases("mox-dmarc.yml", "lookup", "cases"))
def test_lookups_of_mox(case: dict[str, str]) -> None:
    document = suite("mox-dmarc.yml")
    assert document is not None
    result = evaluated(f"a@{case['domain']}", zone_of(document["lookup"]["zone"]), None, [])
    expected = {"record": "fail", "no record": "none"}.get(case["result"], case["result"])
    if case["domain"] == "malformed.example":
        expected = "fail"  # "p=none; bogus;": what is no tag is "ignored outright" (RFC 9989 section 4.8)
    assert result.result == expected
    assert result.policy_domain == case.get("policy_domain", result.policy_domain)


@pytest.mark.parametrize("case", cases("mox-dmarc.yml", "external_report", "cases"))
def test_report_destinations_of_mox(case: dict[str, Any]) -> None:
    document = suite("mox-dmarc.yml")
    assert document is not None
    zone = zone_of(document["external_report"]["zone"])
    acceptance = start(accepts_reports(Walks(), case["domain"], case["destination"]), zone)
    assert acceptance == ("accepted" if case["accepts"] else "refused")


def _valid(text: str) -> bool:
    record: DmarcRecord | None = parse(text) if is_record(text) else None
    return record is not None and record.usable
