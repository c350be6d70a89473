"""Require-Recipient-Valid-Since (RFC 7293 section 3.2): what a field says, and taking it out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.mail.header import read_header
from purport.mail.valid_since import cuts, field_for, read_date, requirement, requirements, without

BOB = Mailbox("receiver", "example.com")
MOMENT = 1_370_103_781.0  # Sat, 1 Jun 2013 09:23:01 -0700


@pytest.mark.parametrize(
    "value",
    [
        "receiver@example.com;  Sat, 1 Jun 2013 09:23:01 -0700",
        "receiver@example.com; 1 Jun 2013 16:23:01 GMT",
        "receiver@example.com;01 jun 2013 12:23:01 EDT (Eastern)",
        "(for) receiver @ example.com ; Sat, 01 Jun 2013 18:23:01 +0200",
        "receiver@example.com;\tSat,1 Jun 2013 16:23:01 Z",
    ],
)
def test_what_a_field_says(value: str) -> None:
    """RFC 7293 section 12.2, and the forms of RFC 5322 section 3.3 and 4.3."""
    found = requirement(value)
    assert (found.mailbox, found.since) == (BOB, MOMENT)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";",
        "receiver@example.com",
        "receiver@example.com;",
        "; Sat, 1 Jun 2013 09:23:01 -0700",
        "receiver; Sat, 1 Jun 2013 09:23:01 -0700",
        "Bob <receiver@example.com>; Sat, 1 Jun 2013 09:23:01 -0700",
        "a@example.com, b@example.com; Sat, 1 Jun 2013 09:23:01 -0700",
        "receiver@example.com; 2013-06-01T09:23:01-07:00",
        "receiver@example.com; Sat, 31 Feb 2013 09:23:01 -0700",
        "receiver@example.com; Sat, 1 Juni 2013 09:23:01 -0700",
        "receiver@example.com; Sat, 1 Foo 2013 09:23:01 -0700",
        "receiver@example.com; Sat, 1 Jun 2013 24:23:01 -0700",
        "receiver@example.com; Sat, 1 Jun 2013 09:61:01 -0700",
        "receiver@example.com; Sat, 1 Jun 2013 09:23:61 -0700",
        "receiver@example.com; Sat, 1 Jun 2013 09:23:01 -0760",
        "receiver@example.com; Sat, 1 Jun 2013 09:23:01 -9900",
        "receiver@example.com; Sat, 1 Jun 0000 09:23:01 -0700",
        "receiver@example.com; Sat, 1 Jun 2013 09:23:01",
        "receiver@example.com; Sat, ١ Jun 2013 09:23:01 -0700",
        "receiver@example.com; Sat, 1 Jun 2013 09:23:01 -0700;C",
    ],
)
def test_what_says_nothing(value: str) -> None:
    with pytest.raises(ValueError):
        requirement(value)


def test_a_leap_second_is_the_second_after() -> None:
    assert read_date("Wed, 31 Dec 2008 23:59:60 +0000") == read_date("Thu, 1 Jan 2009 00:00:00 +0000")


@given(st.text(max_size=60))
@settings(deadline=None)
def test_whatever_the_field_holds_it_is_a_value_error_at_most(text: str) -> None:
    requirements(read_header(b"Require-Recipient-Valid-Since: " + text.encode("utf-8", "replace") + b"\r\n\r\n"))


def test_our_own_field_is_read_back() -> None:
    header = read_header(field_for(BOB, MOMENT) + b"\r\n")
    (found,) = requirements(header)
    assert (found.mailbox, found.since) == (BOB, MOMENT)


HEADER = (
    b"From: a@b.example\r\n"
    b"require-recipient-valid-since: RECEIVER@example.COM;\r\n Sat, 1 Jun 2013 09:23:01 -0700\r\n"
    b"Subject: t\r\n"
    b"Require-Recipient-Valid-Since: other@example.com; Sat, 1 Jun 2013 09:23:01 -0700\r\n"
    b"Require-Recipient-Valid-Since: nonsense\r\n"
)
MESSAGE = HEADER + b"\r\nRequire-Recipient-Valid-Since: in the body\r\n"


def test_all_fields_or_those_of_somebody_are_taken_out() -> None:
    header = read_header(MESSAGE)
    everything = b"".join(without([MESSAGE], cuts(header)))
    assert everything == (b"From: a@b.example\r\nSubject: t\r\n\r\nRequire-Recipient-Valid-Since: in the body\r\n")
    of_bob = b"".join(without([MESSAGE], cuts(header, [BOB])))
    assert of_bob == MESSAGE.replace(HEADER.split(b"\r\n")[1] + b"\r\n" + HEADER.split(b"\r\n")[2] + b"\r\n", b"")
    assert cuts(header, [Mailbox("carol", "example.com")]) == ()


@given(st.lists(st.integers(0, len(MESSAGE)), max_size=12))
@settings(deadline=None)
def test_however_the_message_is_cut_in_pieces(places: list[int]) -> None:
    ends = sorted({0, *places, len(MESSAGE)})
    pieces = [MESSAGE[start:end] for start, end in pairwise(ends)]
    left_out = cuts(read_header(MESSAGE))
    assert b"".join(without(pieces, left_out)) == b"".join(without([MESSAGE], left_out))
