"""Who a header names as author: one reading, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.dmarc.author import MOST_AUTHORS, author_of
from purport.mail.header import read_header


def author(*lines: bytes) -> tuple[str, tuple[str, ...]]:
    """The kind of author that a header names, and the domains."""
    found = author_of(read_header(b"".join(line + b"\r\n" for line in lines) + b"\r\nbody\r\n"))
    assert (found.problem is None) == (found.kind == "named")
    return found.kind, found.domains


BROKEN: tuple[str, tuple[str, ...]] = ("broken", ())


@pytest.mark.parametrize(
    "value",
    [
        b"alice@example.com",
        b'"Bank, Bob <ceo@bank.example>" <alice@Example.COM>',
        b"=?utf-8?B?Y2VvQGJhbmsuZXhhbXBsZQ==?= <alice@example.com>",
        b"(ceo@bank.example) alice@example.com",
        b"Alice\r\n <alice@example.com>",
        b"alice@example.com, bob@EXAMPLE.com",
    ],
)
def test_one_domain(value: bytes) -> None:
    assert author(b"From: " + value) == ("named", ("example.com",))


def test_a_u_label_becomes_an_a_label() -> None:
    """RFC 9989 section 5.3.1."""
    assert author("From: a@Bücher.example".encode()) == ("named", ("xn--bcher-kva.example",))


def test_a6_several_from_fields_are_no_author() -> None:
    assert author(b"From: a@evil.example", b"From: ceo@bank.example") == BROKEN
    assert author(b"From: a@evil.example", b"FROM: a@evil.example") == BROKEN


@pytest.mark.parametrize(
    "lines",
    [
        (b"From : ceo@bank.example",),
        (b"From\t: ceo@bank.example",),
        (b" From: ceo@bank.example", b"Subject: x"),
        (b"From\r\n : ceo@bank.example",),
        (b"\x00From: ceo@bank.example",),
        (b"From\x00: ceo@bank.example",),
        (b"Subject: x", b"From: a@evil.example", b"From : ceo@bank.example"),
        (b"Subject: x", b"\x0bFrom: ceo@bank.example", b"From: a@evil.example"),
        (b"From\xa0: ceo@bank.example", b"From: a@evil.example"),
        (b"\xef\xbb\xbfFrom: ceo@bank.example", b"From: a@evil.example"),
        (b"From: a@evil.example", b"\xe2\x80\x8bFrom\xc2\xad: ceo@bank.example"),
    ],
)
def test_a7_white_space_around_the_name_is_no_author(lines: tuple[bytes, ...]) -> None:
    assert author(*lines) == BROKEN


@pytest.mark.parametrize("name", [b"Sender", b"Resent-From", b"Resent-Sender"])
def test_a8_what_would_be_shown_for_a_from_that_is_not_there_is_no_author(name: bytes) -> None:
    assert author(name + b": ceo@bank.example", b"Subject: x") == BROKEN


def test_a_header_that_names_nobody_at_all_deceives_nobody() -> None:
    assert author(b"Subject: x", b"To: bob@company.com.example") == ("absent", ())
    assert author() == ("absent", ())


def test_a9_every_domain_of_several_authors_counts() -> None:
    assert author(b"From: a@evil.example, <ceo@bank.example>") == ("named", ("evil.example", "bank.example"))
    many = b", ".join(b"a@d%d.example" % number for number in range(MOST_AUTHORS + 1))
    assert author(b"From: " + many) == BROKEN


def test_a10_an_encoded_word_is_no_address() -> None:
    assert author(b"From: =?utf-8?B?Y2VvQGJhbmsuZXhhbXBsZQ==?=,<a@evil.example>") == BROKEN
    assert author(b"From: =?utf-8?B?Y2VvQGJhbmsuZXhhbXBsZQ==?=") == BROKEN


def test_a11_a_route_is_no_author() -> None:
    assert author(b"From: <@evil.example,@x.example:ceo@bank.example>") == ("named", ("bank.example",))


def test_a12_a_quoted_pair_between_addresses_is_no_author() -> None:
    assert author(b"From: <ceo@bank.example>\\,<a@evil.example>") == BROKEN


def test_a13_what_stands_beside_the_angle_brackets_is_no_author() -> None:
    assert author(b"From: <a@evil.example>ceo@bank.example") == BROKEN
    assert author(b"From: ceo@bank.example <a@evil.example>") == BROKEN
    assert author(b"From: ceo@bank.example,<a@evil.example>") == ("named", ("bank.example", "evil.example"))


@pytest.mark.parametrize(
    "value", [b"", b"  ", b"alice", b"a@[192.0.2.1]", b"a@b@c.example", b"friends: a@x.example;", b"\xff@x.example"]
)
def test_anything_else_is_no_author(value: bytes) -> None:
    assert author(b"From: " + value) == BROKEN


def test_a_header_too_long_to_be_read_names_nobody() -> None:
    assert author(*[b"X: y"] * 3000, b"From: ceo@bank.example") == BROKEN


@given(st.binary(max_size=300))
def test_no_octets_make_it_raise(octets: bytes) -> None:
    found = author_of(read_header(octets))
    assert (found.kind == "named") == bool(found.domains)
    assert len(found.domains) <= MOST_AUTHORS


def test_more_addresses_than_anybody_writes_are_not_read() -> None:
    """Each costs as much as a domain of U-labels takes to be made even, and a field holds thousands."""
    found = author_of(read_header(f"From: {'a@é.é,' * 500}\r\n\r\n".encode()))
    assert (found.kind, found.problem) == ("broken", "From: there are more than 200 addresses in it")
