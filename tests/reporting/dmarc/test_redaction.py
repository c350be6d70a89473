"""What a failure report shows of a header (RFC 6590)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.dsn import HEADER_LIMIT
from purport.mail.header import read_header
from purport.reporting.dmarc.redaction import ADDRESSES, HIDDEN, Redaction

REDACTION = Redaction(b"secret", "example.com")
HASH = r"[a-z2-7]{20}"


def shown(field: str, redaction: Redaction = REDACTION) -> str:
    octets = redaction.header(read_header(f"{field}\r\n\r\n".encode()))
    return octets.decode().removesuffix("\r\n")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        # Recipients: no name, no local part, whatever their domain is.
        ("To: Bob <bob@company.example>", rf"To: {HASH}@company\.example"),
        ("CC: a@example.com, (hi) B <b@x.example>", rf"CC: {HASH}@example\.com,\r\n {HASH}@x\.example"),
        ("Delivered-To: bob@company.example", rf"Delivered-To: {HASH}@company\.example"),
        ("To: undisclosed-recipients:;", f"To: {HIDDEN}"),
        # Senders: the author's organization knows its own.
        ("From: Alice <alice@news.example.com>", r"From: Alice <alice@news\.example\.com>"),
        ("From: bob@x.example <alice@Example.com>", rf"From: {HASH}@x\.example <alice@Example\.com>"),
        ("Return-Path: <bounce-bob=company.example@lists.example>", rf"Return-Path: <{HASH}@lists\.example>"),
        ('Reply-To: "b o\\"b"@x.example', rf"Reply-To: {HASH}@x\.example"),
        ("DKIM-Signature: v=1;\r\n\ti=@x.example; b=AB", r"DKIM-Signature: v=1;\r\n\ti=@x\.example; b=AB"),
        ("DKIM-Signature: i=bob@x.example", rf"DKIM-Signature: i={HASH}@x\.example"),
        ("Authentication-Results: a; spf=pass smtp.mailfrom=b=c@d.example", rf".*; spf=pass smtp\.mailfrom={HASH}@d.*"),
        ("Reply-To: bob @x.example", rf"Reply-To: {HASH} @x\.example"),
        # The way, and what it is.
        (
            "Received: from a.example by b.example\r\n\tfor <bob@company.example>; Mon",
            rf"Received: from a\.example by b\.example\r\n\tfor <{HASH}@company\.example>; Mon",
        ),
        ("Subject: for alice@example.com", rf"Subject: for {HASH}@example\.com"),
        ("Message-ID: <1.alice@x.example>", r"Message-ID: <1\.alice@x\.example>"),
        # What nobody knows could name anybody.
        ("X-Customer: Bob, 4711", f"X-Customer: {HIDDEN}"),
        ("List-Unsubscribe: <https://x.example/?bob>", f"List-Unsubscribe: {HIDDEN}"),
        ("In-Reply-To: <bob@company.example>", f"In-Reply-To: {HIDDEN}"),
    ],
)
def test_what_names_a_recipient_is_not_shown(field: str, expected: str) -> None:
    assert re.fullmatch(expected, shown(field)), shown(field)


def test_one_mailbox_is_one_hash_and_another_server_has_another() -> None:
    assert shown("To: bob@x.example") == shown("To: Bob <bob@X.example>").replace("X.", "x.")
    assert shown("To: bob@x.example") != shown("To: carol@x.example")
    assert shown("To: bob@x.example") != shown("To: bob@x.example", Redaction(b"other", "example.com"))


def test_a_line_that_is_no_field_is_left_out() -> None:
    assert shown("bob@company.example\r\nSubject: t") == "Subject: t"


def test_a_header_without_measure_is_cut() -> None:
    octets = REDACTION.header(read_header(b"Subject: t\r\n" + b"Received: from a.example\r\n" * 1900))
    assert len(octets) <= HEADER_LIMIT
    assert octets.endswith(b"from a.example\r\n")
    assert REDACTION.header(read_header(b"Subject: " + b"a@" * 100_000 + b"\r\n\r\n")) == b""


def test_so_many_addresses_are_read_and_the_fields_of_more_are_hidden() -> None:
    def after(number: int) -> bytes:
        names = b", ".join([b"a@x.example"] * number)
        return REDACTION.header(read_header(b"To: " + names + b"\r\nSubject: a@x.example\r\n"))

    subject = shown("Subject: a@x.example")
    assert after(ADDRESSES + 1) == f"To: {HIDDEN}\r\n{subject}\r\n".encode()
    assert after(ADDRESSES).count(b"@x.example") == ADDRESSES
    assert after(ADDRESSES).endswith(f"\r\nSubject: {HIDDEN}\r\n".encode())


LOCAL_PARTS = st.text(st.characters(exclude_characters="@="), min_size=1, max_size=40)


@given(LOCAL_PARTS, st.sampled_from(["To", "Cc", "Subject"]))
def test_no_local_part_stands_before_an_at_sign(local_part: str, name: str) -> None:
    octets = REDACTION.header(read_header(f"{name}: <{local_part}@x.example>\r\n\r\n".encode("utf-8", "replace")))
    for before in octets.split(b"@x.example")[:-1]:
        assert re.search(rb"[a-z2-7]{20}\Z", before) or before[-1:] in b" \t\r\n<>()[],;:\"'\\"
