"""The message files of other people's mail parsers: our header reader beside the standard library and mail-parser, and
their conversion to 7 bits.

Of mail-parser's tables those are read that we have a reader for: nobody here reads what Received says, or lists of ids,
and Content-Type is left to the standard library.
"""

from __future__ import annotations

import email
import email.policy
import json
import re
from datetime import datetime, timedelta, timezone
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from purport.mail.conversion import CannotConvert, is_7bit, to_7bit
from purport.mail.fields import mailboxes
from purport.mail.header import Field, read_header
from purport.mail.valid_since import read_date
from support.message_files import cases, in_crlf_lines, message_files, name_of, table


def test_all_of_them_are_there() -> None:
    if not message_files():
        pytest.skip("the conformance suites (../shared/suites/mime) are not there")
    folders = [name_of(place).partition("/")[0] for place in message_files()]
    assert [folders.count(name) for name in ("mail-parser", "cpython", "ruby-mail")] == [74, 32, 70]


@pytest.mark.parametrize("place", cases())
def test_its_header_is_what_the_standard_library_finds(place: Path) -> None:
    """Up to a line that is no field, or that has white space before its colon (RFC 5322 section 4.5.8): there it stops,
    and we read on. It leaves out the line that an mbox begins with."""
    octets = place.read_bytes()
    fields = read_header(octets).fields
    if fields and fields[0].raw.startswith(b"From "):
        del fields[0]
    ours = [(field.name, field.value) for field in takewhile(lambda field: field.strict, fields)]
    parsed = email.message_from_bytes(octets, policy=email.policy.compat32)
    assert ours == [(name.lower(), unfolded(value)) for name, value in parsed.raw_items()]


def unfolded(value: str) -> bytes:
    octets = value.encode("ascii", "surrogateescape")
    return octets.replace(b"\r", b"").replace(b"\n", b"").strip(b" \t")


# `Fro :` stands above its header, which the standard library therefore reads as text.
NO_HEADER_TO_IT = "mail-parser/eml/malformed/019.eml"


@pytest.mark.parametrize("place", cases())
def test_converted_to_7_bits_it_holds_the_same_parts(place: Path) -> None:
    """As it would arrive, in CRLF lines; or it stays as it is, for a reason that holds."""
    octets = in_crlf_lines(place.read_bytes())
    try:
        converted = to_7bit(octets)
    except CannotConvert as refused:
        assert reason_holds(octets, str(refused)), refused
        return
    assert is_7bit(converted)
    if is_7bit(octets):
        assert converted == octets
    if name_of(place) == NO_HEADER_TO_IT:
        converted, octets = (either.partition(b"\r\n")[2] for either in (converted, octets))
    assert leaves(converted) == leaves(octets)


def leaves(octets: bytes) -> list[tuple[str, object]]:
    """Type and content of each part, as the standard library decodes them."""
    parts = email.message_from_bytes(octets, policy=email.policy.compat32).walk()
    return [(part.get_content_type(), part.get_payload(decode=True)) for part in parts if not part.is_multipart()]


def reason_holds(octets: bytes, reason: str) -> bool:
    """Whether a message really is what its refusal says."""
    header = read_header(octets)
    parts = list(email.message_from_bytes(octets, policy=email.policy.compat32).walk())
    if reason.startswith("a header holds octets"):
        return any(not is_7bit(field.raw) for field in header) or any(
            not str(value).isascii() for part in parts for _, value in part.raw_items()
        )
    known = ("", "7bit", "8bit", "binary", "quoted-printable", "base64")
    said = [str(part.get("Content-Transfer-Encoding", "")).strip().lower() for part in parts]
    assert reason == "a part is not encoded as it says"
    return any(encoding not in known for encoding in said) or any(
        encoding in ("quoted-printable", "base64") and not is_7bit(str(part.get_payload()).encode("utf-8", "replace"))
        for part, encoding in zip(parts, said, strict=True)
    )


def expectations() -> list[Any]:
    """A parameter for each file of mail-parser that says what a message holds: of its LF form, and of its CRLF form."""
    found = []
    for place in message_files():
        for suffix, line_end in ((".json", b"\n"), (".crlf.json", b"\r\n")):
            expected = place.with_suffix(suffix)
            if expected.exists():
                octets = place.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", line_end)
                found.append(pytest.param(octets, expected, id=name_of(expected)))
    return found or cases()[:0] or [pytest.param(None, None, marks=cases()[0].marks)]


@pytest.mark.parametrize(("octets", "expected"), expectations())
def test_its_fields_begin_and_end_where_mail_parser_says(octets: bytes, expected: Path) -> None:
    at, ours = 0, []
    for field in read_header(octets):
        if field.name:
            ours.append((at, at + field.raw.index(b":") + 1, at + len(field.raw)))
        at += len(field.raw)
    told = json.loads(expected.read_text())["parts"][0]["headers"]
    assert ours == [(field["offset_field"], field["offset_start"], field["offset_end"]) for field in told]


@pytest.mark.parametrize(("octets", "expected"), expectations())
def test_its_addresses_date_and_id_are_those_that_mail_parser_reads(octets: bytes, expected: Path) -> None:
    told = json.loads(expected.read_text())["parts"][0]["headers"]
    fields = [field for field in read_header(octets) if field.name]
    for field, reading in zip(fields, told, strict=True):
        (kind, value), *_ = reading["value"].items() if isinstance(reading["value"], dict) else [("", None)]
        if kind == "Address" and field.name in ("from", "sender", "to", "cc", "reply-to") and "List" in value:
            expect_addresses(field.text, [item["address"] for item in value["List"]])
        if kind == "DateTime":
            expect_date(field.text, moment(value))
        if field.name == "message-id" and kind == "Text":
            assert field.text.strip("<>") == value
        if field.name == "subject" and kind == "Text" and "=?" not in field.text:
            assert in_one_line(field.value.decode("utf-8", "replace")) == in_one_line(value)


def in_one_line(text: str) -> str:
    return " ".join(text.split())


# What is no list of addresses or no date (RFC 5322 sections 3.3, 3.4 and 4.4), whatever mail-parser makes of it.
NO_ADDRESSES = {
    "NO (posting not allowed on this list)": "a word, of List-Post",
    "Pete(A nice  \\ ) chap) <pete(his account)@silly .test(his host)>": "a comment that ended before",
    "phil@example.com <phil@example.com>": "a name with an @ that is not quoted (section 3.2.5)",
    "<a@b.com> =?utf-8?q?Doe?=": "something behind the angle bracket",
}
ROUTED = {  # routes and white space are no part of an address (section 4.4)
    "@node.test:mary@example.net": "mary@example.net",
    "jdoe@test  . example": "jdoe@test.example",
    "jdoe@machine.  example": "jdoe@machine.example",
}
NO_DATES = {
    "Tue, 7 Apr 2026 10:00:t <rimap-test@example.test>": "a time that does not end",
    "4 8 15 16 23 42, 4 8 15 16 23 42, 4 8 15 16 23 42,": "numbers",
    "20 11 (some  44 comments(more comments )) 79 05:34:27 -0300": "a month in figures",
    "Thu, 10 Jul 1997 14:53:31 EST5EDT": "a zone of POSIX",
    # A date of section 4.3 that nobody writes who writes the field that dates are read for here (RFC 7293, of 2014).
    "1 Jul 2003 (comment about date) 10:52:37 +0200": "a comment in between",
    "Tue, 1 Jul 2003 ((tricky) comment) 10:52:37 +0200": "a comment in between",
    "21 Nov 97 09:55:06 GMT": "two figures of a year",
    "Wed, 27 Jun 99 04:11 +0900": "two figures of a year",
}


ADDRESS = re.compile(r"[^@:]+@[^@:/]+")  # what is none is a word, a URL, or nothing


def expect_addresses(text: str, expected: list[str]) -> None:
    if text in NO_ADDRESSES or not all(ADDRESS.fullmatch(ROUTED.get(address, address or "")) for address in expected):
        with pytest.raises(ValueError):
            mailboxes(text)
    else:
        assert [str(mailbox) for mailbox in mailboxes(text)] == [ROUTED.get(address, address) for address in expected]


def expect_date(text: str, expected: float | None) -> None:
    if expected is None or text in NO_DATES or text.startswith("by "):
        with pytest.raises(ValueError):
            read_date(text)
    else:
        assert read_date(text) == expected


def field(name: str, value: str) -> Field:
    """The first field of what a table calls a header."""
    return read_header(f"{name}:{value}".encode()).fields[0]


@pytest.mark.parametrize(("value", "expected"), table("address.json"))
def test_addresses_are_those_that_mail_parser_reads(value: str, expected: dict[str, Any] | None) -> None:
    """A group is refused: RFC 4407 section 2 and RFC 5322 section 3.6.2 ask for mailboxes."""
    text = field("From", value).text
    if expected and "List" in expected:
        expect_addresses(text, [item["address"] for item in expected["List"]])
    else:
        with pytest.raises(ValueError):
            mailboxes(text)


@pytest.mark.parametrize(("value", "expected"), table("date.json"))
def test_dates_are_those_that_mail_parser_reads(value: str, expected: dict[str, Any] | None) -> None:
    expect_date(field("Date", value).text, moment(expected) if expected else None)


@pytest.mark.parametrize(("value", "expected"), table("unstructured.json"))
def test_a_field_is_unfolded_as_mail_parser_unfolds_it(value: str, expected: str) -> None:
    """But for encoded words, which stay as they are: nobody here shows a subject."""
    text = field("Subject", value).text
    assert text in value.replace("\r\n", "").replace("\n", "")
    if "=?" not in text:
        assert in_one_line(text) == in_one_line(expected)


def moment(value: dict[str, Any]) -> float:
    offset = (value["tz_hour"] * 60 + value["tz_minute"]) * (-1 if value["tz_before_gmt"] else 1)
    day = (value[part] for part in ("year", "month", "day", "hour", "minute", "second"))
    return datetime(*day, tzinfo=timezone(timedelta(minutes=offset))).timestamp()
