"""TLSRPT records, well-formed and hostile (RFC 8460 section 3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.dns.lookup import Answer, Question, Status, replay
from purport.dns.zone import StaticResolver
from purport.reporting.tls.record import read, wish_of
from purport.reporting.wish import Unknown, Unwanted, Wanted, Wish

RECORD = "v=TLSRPTv1; rua=mailto:reports@example.com"
NAME = "_smtp._tls.example.com"


def wish(*records: str) -> Wish:
    question = Question(NAME, "TXT")
    return replay(wish_of("example.com"), {question: Answer(Status.FOUND, records, 300)})


def shown(found: Wish) -> list[str] | str:
    return [str(one) for one in found.destinations] if isinstance(found, Wanted) else found.reason


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        # RFC 8460 section 3.1 and appendix A
        ("v=TLSRPTv1;rua=mailto:reports@example.com", ["mailto:reports@example.com"]),
        ("v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", ["https://reporting.example.com/v1/tlsrpt"]),
        (
            "v=TLSRPTv1;rua=mailto:a@example.com , https://b.example/x?y=1;",
            ["mailto:a@example.com", "https://b.example/x?y=1"],
        ),
        ("v=TLSRPTv1 ;\trua=mailto:a@example.com\t; ", ["mailto:a@example.com"]),
        ("v=TLSRPTv1; future.x_y-1=some/thing:else; rua=mailto:a@example.com", ["mailto:a@example.com"]),
        (
            "v=TLSRPTv1; rua=mailto:a@example.com; rua=mailto:b@example.com",
            ["mailto:a@example.com", "mailto:b@example.com"],
        ),
        ("v=TLSRPTv1; rua=ftp://x.example/,mailto:a@example.com", ["mailto:a@example.com"]),
        ("v=TLSRPTv1; rua=mailto:a%2Bb@example.com", ["mailto:a+b@example.com"]),
    ],
)
def test_a_record_names_its_destinations(record: str, expected: list[str]) -> None:
    assert shown(wish(record)) == expected


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("v=TLSRPTv1", "no TLSRPT record"),
        ("v=tlsrptv1; rua=mailto:a@example.com", "no TLSRPT record"),
        (" v=TLSRPTv1; rua=mailto:a@example.com", "no TLSRPT record"),
        ("v=TLSRPTv12; rua=mailto:a@example.com", "no TLSRPT record"),
        ("v=spf1 -all", "no TLSRPT record"),
        ("v=TLSRPTv1;", "the TLSRPT record names no address that reports can go to"),
        ("v=TLSRPTv1; RUA=mailto:a@example.com", "the TLSRPT record names no address that reports can go to"),
        ("v=TLSRPTv1; rua=http://example.com/", "the TLSRPT record names no address that reports can go to"),
        ("v=TLSRPTv1; rua", "the TLSRPT record is not well-formed"),
        ("v=TLSRPTv1; ; rua=mailto:a@example.com", "the TLSRPT record is not well-formed"),
        ("v=TLSRPTv1; rua=", "the TLSRPT record is not well-formed"),
        ("v=TLSRPTv1; rua=mailto:a@example.com; x=\x1b[2J", "the TLSRPT record is not well-formed"),
        ("v=TLSRPTv1; " + "x=y;" * 65, "the TLSRPT record has too many fields"),
    ],
)
def test_a_record_that_cannot_be_used_is_told_apart(record: str, reason: str) -> None:
    assert shown(wish(record)) == reason


def test_other_records_beside_it_are_not_looked_at_but_two_are_none() -> None:
    assert isinstance(wish("v=spf1 -all", RECORD, "something else"), Wanted)
    assert wish(RECORD, RECORD) == Unwanted("2 TLSRPT records")


def test_the_dns_is_asked_again_where_it_does_not_answer() -> None:
    assert isinstance(replay(wish_of("example.com"), {}), Unknown)
    silent = StaticResolver({})
    assert replay(wish_of("example.com"), {(q := Question(NAME, "TXT")): silent.cached(q)}) == Unwanted(
        "no TLSRPT record"
    )


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=400))
def test_no_record_does_harm(text: str) -> None:
    found = read(f"v=TLSRPTv1;{text}")
    if isinstance(found, Wanted):
        for destination in found.destinations:
            assert str(destination).isascii()
            assert str(destination).isprintable()
