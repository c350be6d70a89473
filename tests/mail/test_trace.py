"""Trace fields (RFC 5321 section 4.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import NULL, Mailbox
from purport.mail.header import read_header
from purport.mail.trace import count_received, date, delivered_to, received, return_path

BOB = Mailbox("bob", "company.com.example")
NOON = "Mon, 23 Nov 2026 12:00:00 +0000"


def field(
    hello_domain: str = "mx.example.com",
    client_name: str | None = None,
    client_address: str = "192.0.2.1",
    forward_path: Mailbox | None = BOB,
) -> bytes:
    return received(
        hello_domain=hello_domain,
        client_name=client_name,
        client_address=client_address,
        hostname="mx.company.com.example",
        protocol="ESMTP",
        queue_id="3K2M7Q9H4R1XY",
        forward_path=forward_path,
        date=NOON,
    )


def test_received_says_from_whom_by_whom_how_for_whom_and_when() -> None:
    assert field(client_name="out.example.com") == (
        b"Received: from mx.example.com (out.example.com [192.0.2.1])\r\n"
        b"\tby mx.company.com.example (Purport) with ESMTP id 3K2M7Q9H4R1XY\r\n"
        b"\tfor <bob@company.com.example>; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    )


def test_no_recipient_learns_of_another() -> None:
    assert b"for <" not in field(forward_path=None)


def test_the_bare_postmaster_is_no_address_and_is_not_named() -> None:
    assert b"for <" not in field(forward_path=Mailbox("Postmaster", ""))


def test_an_ipv6_address_is_marked_as_one() -> None:
    assert b"(unknown [IPv6:2001:db8::1])" in field(client_address="2001:db8::1")


@given(st.text(max_size=300), st.none() | st.text(max_size=300))
@settings(deadline=None)
def test_what_the_client_says_stays_one_word(hello_domain: str, client_name: str | None) -> None:
    octets = field(hello_domain, client_name)
    header = read_header(octets + b"\r\n")
    assert [read.name for read in header] == ["received"]
    assert octets.isascii()
    assert len(octets.split()) == len(field().split())
    assert octets.count(b"(") == octets.count(b")") == 2
    assert max(map(len, octets.split(b"\r\n"))) <= 998


def test_return_path_and_delivered_to_name_the_envelope() -> None:
    assert return_path(Mailbox("a b", "example.com")) == b'Return-Path: <"a b"@example.com>\r\n'
    assert return_path(NULL) == b"Return-Path: <>\r\n"
    assert delivered_to(BOB) == b"Delivered-To: bob@company.com.example\r\n"


def test_hops_are_counted() -> None:
    assert (
        count_received(read_header(b"RECEIVED: x\r\nReceived-SPF: x\r\nX: y\r\nreceived : z\r\n\r\nReceived: body\r\n"))
        == 2
    )


@pytest.mark.parametrize("seconds", [0, 1795435200.9, 951782400, 4102444799, 253402300799])
def test_a_date_is_that_of_rfc_5322(seconds: float) -> None:
    assert date(seconds) == format_datetime(datetime.fromtimestamp(int(seconds), UTC))
    assert parsedate_to_datetime(date(seconds)).timestamp() == int(seconds)
