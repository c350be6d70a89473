"""check_host() beyond what the conformance suites ask: limits, explanations, traces, evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from purport.authentication.spf.check_host import LONGEST_EXPLANATION, canonical_domain, check_host
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import Answer, Question, Status, Suspended, replay, start
from purport.dns.zone import Record, StaticResolver, ZoneData


def check(
    zone: ZoneData,
    client: str = "192.0.2.1",
    sender: str = "alice@example.com",
    domain: str = "example.com",
    hello_domain: str = "mx.example.net",
) -> SpfResult:
    evaluation = check_host(client, domain, sender, hello_domain, receiver="mx.example.org", now=1400000000.5)
    result = start(evaluation, StaticResolver(zone))
    assert not isinstance(result, Suspended)
    return result


def record(text: str, **others: Sequence[Record]) -> dict[str, Sequence[Record]]:
    return {"example.com": [{"TXT": text}], **others}


def test_the_deciding_mechanism_stands_as_in_the_record() -> None:
    result = check(record("v=spf1 ip4:192.0.2.0/24 -all"))
    assert (result.result, result.mechanism, result.mechanism_domain) == ("pass", "ip4:192.0.2.0/24", "example.com")
    result = check(record("v=spf1 ip4:10.0.0.0/8 -all"))
    assert (result.result, result.mechanism) == ("fail", "-all")
    result = check(record("v=spf1 ip4:10.0.0.0/8"))
    assert (result.result, result.mechanism) == ("neutral", "default")


def test_an_include_decides_as_it_stands_and_a_redirect_by_the_record_it_leads_to() -> None:
    included = {"in.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}]}
    result = check(record("v=spf1 -include:in.example +all", **included))
    assert (result.result, result.mechanism, result.mechanism_domain) == ("fail", "-include:in.example", "example.com")
    result = check(record("v=spf1 redirect=in.example", **included))
    assert (result.result, result.mechanism, result.mechanism_domain) == ("pass", "ip4:192.0.2.1", "in.example")


def test_a_problem_is_said_in_words() -> None:
    assert check({}).problem == "example.com does not exist"
    assert check({"example.com": [{"A": "192.0.2.1"}]}).problem == "example.com has no record"
    assert check({"example.com": ["TIMEOUT"]}).problem == "no answer for example.com TXT"
    assert check(record("v=spf1 moo -all")).problem == "unknown mechanism 'moo'"


@pytest.mark.parametrize("domain", ["", "localhost", "[192.0.2.1]", "a..example", "a" * 64 + ".example", "a b.example"])
def test_what_cannot_have_a_policy_gives_none_without_a_question(domain: str) -> None:
    result = replay(check_host("192.0.2.1", domain, f"alice@{domain}", "mx.example.net"), {})
    assert result.result == "none"
    assert result.evidence is not None
    assert list(result.evidence.answers) == []


def test_the_domain_is_asked_for_in_lower_case_a_labels() -> None:
    assert canonical_domain("Bücher.Example.") == "xn--bcher-kva.example"
    result = check({"xn--bcher-kva.example": [{"TXT": "v=spf1 +all"}]}, domain="bücher.example")
    assert (result.result, result.domain) == ("pass", "xn--bcher-kva.example")


def test_macros_hold_a_labels() -> None:
    # RFC 8616 section 4
    zone: ZoneData = {
        "xn--bcher-kva.example": [{"TXT": "v=spf1 exists:%{o}.u.example -all"}],
        "xn--bcher-kva.example.u.example": [{"A": "127.0.0.2"}],
    }
    assert check(zone, sender="alice@bücher.example", domain="bücher.example").result == "pass"


def test_a_client_that_is_no_address_is_the_callers_fault() -> None:
    with pytest.raises(ValueError, match="address"):
        replay(check_host("mx.example.net", "example.com", "", ""), {})


@pytest.mark.parametrize(("terms", "result"), [(10, "fail"), (11, "permerror")])
def test_s8_ten_terms_may_ask(terms: int, result: str) -> None:
    zone = record("v=spf1 " + "a:host.example " * terms + "-all", **{"host.example": [{"A": "192.0.2.9"}]})
    assert check(zone).result == result


def test_terms_are_counted_across_includes_and_only_until_one_matches() -> None:
    inner: dict[str, Sequence[Record]] = {
        "in.example": [{"TXT": "v=spf1" + " a:host.example" * 9 + " -all"}],
        "host.example": [{"A": "192.0.2.9"}],
    }
    assert check(record("v=spf1 include:in.example a:host.example -all", **inner)).result == "permerror"
    assert check(record("v=spf1 include:in.example ip4:192.0.2.1 a:host.example -all", **inner)).result == "pass"


@pytest.mark.parametrize(("voids", "result"), [(2, "fail"), (3, "permerror")])
def test_s8_two_terms_may_find_nothing(voids: int, result: str) -> None:
    terms = ["a:gone.example", "mx:gone.example", "exists:gone.example"][:voids]
    assert check(record(f"v=spf1 {' '.join(terms)} -all")).result == result


def test_an_mx_without_addresses_is_void_once() -> None:
    exchangers: list[Record] = [{"MX": [10, f"mx{n}.example"]} for n in range(4)]
    hosts: dict[str, Sequence[Record]] = {f"mx{n}.example": [{"A": "192.0.2.9"}] for n in range(4)}
    zone: ZoneData = {"example.com": [{"TXT": "v=spf1 mx -all"}, *exchangers], **hosts}
    # An IPv6 client: none of the hosts has an address for it.
    assert check(zone, client="2001:db8::1").result == "fail"


@pytest.mark.parametrize(("count", "result"), [(10, "fail"), (11, "permerror")])
def test_ten_mail_exchangers_may_be_named(count: int, result: str) -> None:
    exchangers: list[Record] = [{"MX": [10, "mx.example"]} for _ in range(count)]
    zone: ZoneData = {"example.com": [{"TXT": "v=spf1 mx -all"}, *exchangers], "mx.example": [{"A": "192.0.2.9"}]}
    assert check(zone).result == result


def test_a_null_mx_matches_nothing() -> None:
    assert check({"example.com": [{"TXT": "v=spf1 mx -all"}, {"MX": [0, ""]}]}).result == "fail"


def test_ten_names_of_the_client_are_looked_at() -> None:
    names: list[Record] = [{"PTR": f"n{n}.example.com"} for n in range(12)]
    zone = record("v=spf1 ptr -all", **{"1.2.0.192.in-addr.arpa": names})
    assert check({**zone, "n9.example.com": [{"A": "192.0.2.1"}]}).result == "pass"
    assert check({**zone, "n10.example.com": [{"A": "192.0.2.1"}]}).result == "fail"


def test_a_ptr_that_fails_does_not_match_and_its_broken_hosts_are_skipped() -> None:
    assert check(record("v=spf1 ptr -all", **{"1.2.0.192.in-addr.arpa": ["TIMEOUT"]})).result == "fail"
    names: list[Record] = [{"PTR": "slow.example.com"}, {"PTR": "good.example.com"}]
    good: list[Record] = [{"A": "192.0.2.1"}]
    zone = record("v=spf1 ptr -all", **{"1.2.0.192.in-addr.arpa": names, "good.example.com": good})
    assert check({**zone, "slow.example.com": ["TIMEOUT"]}).result == "pass"


def test_a_host_that_does_not_answer_is_a_temperror_where_the_evaluation_gets_to_it() -> None:
    zone = record("v=spf1 a:good.example a:slow.example -all", **{"slow.example": ["TIMEOUT"]})
    assert check({**zone, "good.example": [{"A": "192.0.2.1"}]}).result == "pass"
    assert check({**zone, "good.example": [{"A": "192.0.2.2"}]}).result == "temperror"


def test_an_explanation_is_one_printable_line_of_bounded_length() -> None:
    zone = record("v=spf1 -all exp=e.example", **{"e.example": [{"TXT": "%{h} " + "%{d}" * 1000}]})
    explanation = check(zone, hello_domain="a\r\n250 ok\x7fä").explanation
    assert explanation is not None
    assert explanation.startswith("a??250 ok?? example.com")
    assert len(explanation) == LONGEST_EXPLANATION


def test_an_explanation_may_name_receiver_and_time() -> None:
    zone = record("v=spf1 -all exp=e.example", **{"e.example": [{"TXT": "%{c} %{r} %{t}"}]})
    assert check(zone).explanation == "192.0.2.1 mx.example.org 1400000000"


def test_a_fail_alone_is_explained() -> None:
    zone = record("v=spf1 ?all exp=e.example", **{"e.example": [{"TXT": "No."}]})
    assert check(zone).explanation is None


def test_a_local_part_outside_ascii_matches_nothing() -> None:
    # RFC 8616 section 4
    zone = record("v=spf1 exists:%{l}.u.example -exists:%{o}.u.example ?all", **{"?.u.example": [{"A": "127.0.0.2"}]})
    assert check(zone, sender="jürgen@example.com").result == "neutral"


def test_the_postmaster_stands_in_for_a_sender_without_a_local_part() -> None:
    zone = record(
        "v=spf1 exists:%{l}.%{o}.u.example -all", **{"postmaster.example.com.u.example": [{"A": "127.0.0.2"}]}
    )
    assert check(zone, sender="@example.com").result == "pass"
    assert check(zone, sender="").result == "pass"


def test_a_trace_names_every_step() -> None:
    zone = record(
        "v=spf1 ip4:10.0.0.0/8 include:in.example redirect=re.example",
        **{"in.example": [{"TXT": "v=spf1 -all"}], "re.example": [{"TXT": "v=spf1 ~all"}]},
    )
    result = check(zone)
    assert [(step.domain, step.term, step.outcome) for step in result.trace] == [
        ("example.com", "TXT", "v=spf1 ip4:10.0.0.0/8 include:in.example redirect=re.example"),
        ("example.com", "ip4:10.0.0.0/8", "no match"),
        ("in.example", "TXT", "v=spf1 -all"),
        ("in.example", "-all", "fail"),
        ("example.com", "include:in.example", "no match"),
        ("example.com", "redirect", "'re.example'"),
        ("re.example", "TXT", "v=spf1 ~all"),
        ("re.example", "~all", "softfail"),
    ]


def test_a_trace_ends_with_the_error() -> None:
    step = check(record("v=spf1 a:slow.example", **{"slow.example": ["TIMEOUT"]})).trace[-1]
    assert (step.term, step.outcome) == ("temperror", "no answer for slow.example A")


def test_the_evidence_is_every_answer_in_order_and_its_json() -> None:
    result = check(record("v=spf1 a -all"))
    assert result.evidence is not None
    assert [(question.name, question.type) for question, _ in result.evidence.answers] == [
        ("example.com", "TXT"),
        ("example.com", "A"),
    ]
    assert json.loads(result.evidence.json) == [
        ["example.com", "TXT", "found", 3600, ["v=spf1 a -all"]],
        ["example.com", "A", "empty", 3600, []],
    ]
    assert result.evidence.json is result.evidence.json


def test_names_that_strangers_made_up_never_reach_the_dns_unless_it_can_hold_them() -> None:
    answers = {Question("example.com", "TXT"): Answer(Status.FOUND, ("v=spf1 exists:%{l}.example -all",), 60)}
    for local_part in ("a\0b", "a\r\nb", "a..b", "x" * 64, "é"):
        result = replay(check_host("192.0.2.1", "example.com", f"{local_part}@example.com", ""), answers)
        assert result.result == "fail"  # a question would have failed, and been a temperror


def test_results_compare_by_what_was_decided() -> None:
    one, other = check(record("v=spf1 -all")), check(record("v=spf1 -all", **{"x.example": []}))
    assert one == other
    assert hash(one) == hash(other)
    assert one != check(record("v=spf1 ~all"))
    assert one != "fail"
