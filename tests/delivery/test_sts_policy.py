"""The TXT record and the policy of MTA-STS, as they are written (RFC 8461 section 3.1 and 3.2)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.delivery.sts_policy import LINES, LONGEST, PATTERNS, StsPolicy, read_policy, read_record, sts_id
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver

POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("record", "identifier"),
    [
        ("v=STSv1; id=20160831085700Z;", "20160831085700Z"),
        ("v=STSv1;id=1", "1"),
        ("v=STSv1 ; id=1 ;", "1"),
        ("v=STSv1; ext=a,b; id=1; other=x", "1"),
        ("v=STSv1; id=1; id=2", "1"),
        ("v=STSv1; id=", None),
        ("v=STSv1; id=a_b", None),
        (f"v=STSv1; id={'a' * 33}", None),
        ("v=STSv1;", None),
        ("v=STSv1; id=1; nonsense", None),
        ("v=STSv1; id=1; a=b c", None),
        ("v=STSv1;; id=1", None),
    ],
)
def test_the_id_of_a_record(record: str, identifier: str | None) -> None:
    assert read_record(record) == identifier


@pytest.mark.parametrize(
    ("records", "identifier"),
    [
        ([{"TXT": "v=STSv1; id=1"}], "1"),
        ([{"TXT": ["v=STSv1; ", "id=12"]}], "12"),
        ([{"TXT": "v=STSv1; id=1"}, {"TXT": "v=spf1 -all"}], "1"),
        ([{"TXT": "v=STSv1; id=1"}, {"TXT": "v=STSv1; id=2"}], None),
        ([{"TXT": "V=STSV1; id=1"}], None),
        ([{"TXT": "v=STSv10; id=1"}], None),
        ([], None),
        (["SERVFAIL"], None),
    ],
)
def test_a_domain_has_a_policy_where_it_has_exactly_one_record(records: list[object], identifier: str | None) -> None:
    zone = StaticResolver({"_mta-sts.example.com": records})  # type: ignore[dict-item]
    assert start(sts_id("example.com"), zone) == identifier


def test_the_record_may_be_behind_an_alias() -> None:
    """RFC 8461 section 3.1, for domains whose mail somebody else hosts."""
    zone = StaticResolver(
        {
            "_mta-sts.example.com": [{"CNAME": "_mta-sts.hoster.example"}],
            "_mta-sts.hoster.example": [{"TXT": "v=STSv1; id=7"}],
        }
    )
    assert start(sts_id("example.com"), zone) == "7"


def test_the_policy_of_the_rfc() -> None:
    assert read_policy(POLICY) == StsPolicy("enforce", 604800, ("mail.example.com", "*.example.net"))


@pytest.mark.parametrize(
    "octets",
    [
        POLICY.replace(b"\r\n", b"\n"),
        POLICY.removesuffix(b"\r\n"),
        POLICY + b"\r\n\n",
        POLICY.replace(b": ", b":"),
        POLICY.replace(b"enforce", b"enforce  "),
        POLICY + b"mode: none\r\nmax_age: 1\r\nversion: STSv2\r\n",
        POLICY + "x-note: grüße aus Köln\r\n".encode(),
        POLICY.replace(b"mail.example", b"MAIL.example"),
    ],
)
def test_what_means_the_same(octets: bytes) -> None:
    assert read_policy(octets) == read_policy(POLICY)


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        (b"", "version"),
        (POLICY.replace(b"STSv1", b"STSv2"), "version"),
        (POLICY.replace(b"version: STSv1", b"VERSION: STSv1"), "version"),
        (POLICY.replace(b"enforce", b"ENFORCE"), "mode"),
        (POLICY.replace(b"mode: enforce\r\n", b""), "mode"),
        (POLICY.replace(b"604800", b"a week"), "max_age"),
        (POLICY.replace(b"604800", b"-1"), "max_age"),
        (POLICY.replace(b"604800", b"99999999999"), "max_age"),
        (POLICY.replace(b"mx: ", b"xm: "), "no MX host"),
        (POLICY.replace(b"*.example.net", b"*.*.example.net"), "MX host that is none"),
        (POLICY.replace(b"mail.example.com", b"m*.example.com"), "MX host that is none"),
        (POLICY.replace(b"mail.example.com", b"../../etc/passwd"), "MX host that is none"),
        (POLICY + b"nonsense\r\n", "no key"),
        (POLICY + b"a b: c\r\n", "no key"),
        (POLICY + b"a: \x1b[31m\r\n", "no key"),
        (POLICY + b"a: \xff\r\n", "UTF-8"),
        (POLICY + b"mx: a.example\r\n" * PATTERNS, f"more than {PATTERNS}"),
        (POLICY + b"a: b\r\n" * LINES, f"more than {LINES}"),
        (b"<html>\r\n<body>Not found</body>\r\n", "no key"),
    ],
)
def test_what_is_no_policy_says_why(octets: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_policy(octets)


@given(st.binary(max_size=300))
def test_garbage_is_a_value_error_or_a_policy(octets: bytes) -> None:
    with suppress(ValueError):
        read_policy(POLICY + octets)


def test_mode_none_needs_no_hosts_and_no_policy_holds_for_more_than_a_year() -> None:
    assert read_policy(b"version: STSv1\nmode: none\nmax_age: 9999999999") == StsPolicy("none", LONGEST, ())


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mail.example.com", True),
        ("other.example.com", False),
        ("mx1.example.net", True),
        ("example.net", False),
        ("a.mx1.example.net", False),
        ("badexample.net", False),
    ],
)
def test_which_hosts_a_policy_names(host: str, allowed: bool) -> None:
    assert read_policy(POLICY).allows(host) is allowed


def test_a_report_quotes_the_policy_line_by_line() -> None:
    lines = ("version: STSv1", "mode: enforce", "mx: mail.example.com", "mx: *.example.net", "max_age: 604800")
    assert read_policy(POLICY).strings == lines
