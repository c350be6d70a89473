"""The header reader (RFC 5322 section 2.2), on everything that calls itself a message."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.header import Header, header_ends, read_header
from support.suites import SUITES

FOLDERS = ("mime", "corpus", "dkim")

lines = st.sampled_from(
    [
        b"From: a@b.example",
        b"X",
        b"X: y",
        b" folded",
        b"\tfolded",
        b"",
        b":",
        b"a :b",
        b"From ",
        b"\r",
        b"\x00\xff: \xfe",
    ]
)
messages = st.lists(st.tuples(lines, st.sampled_from([b"\r\n", b"\n", b"\r", b""])), max_size=12).map(
    lambda pairs: b"".join(line + end for line, end in pairs)
)


def whole(header: Header, octets: bytes) -> bytes:
    """The octets that a header was read from, put together from its fields."""
    raw = b"".join(field.raw for field in header)
    return raw + octets[len(raw) : header.length]


@given(st.binary(max_size=200) | messages)
@settings(deadline=None, max_examples=400)
def test_no_octet_is_lost_and_none_is_read_twice(octets: bytes) -> None:
    header = read_header(octets)
    assert whole(header, octets) == octets[: header.length]
    assert octets[sum(len(field.raw) for field in header) : header.length] in (b"", b"\n", b"\r\n")
    assert header.complete
    for field in header:
        assert isinstance(field.text, str)
        assert field.empty == (not field.value.strip())
        assert b"\n" not in field.value


@given(messages, st.integers(0, 60), st.integers(0, 5))
@settings(deadline=None)
def test_nothing_is_read_beyond_a_limit(octets: bytes, limit: int, fields_limit: int) -> None:
    header = read_header(octets, limit=limit, fields_limit=fields_limit)
    assert header.length <= limit
    assert len(header) <= fields_limit
    assert [field.raw for field in header] == [
        field.raw for field in read_header(octets[:limit], fields_limit=fields_limit)
    ]
    if header.complete and header.length < len(octets):
        assert whole(header, octets).endswith(b"\n")


@given(messages.map(lambda octets: octets.replace(b"\r", b"")))
@settings(deadline=None)
def test_line_ends_make_no_difference(octets: bytes) -> None:
    bare, full = read_header(octets), read_header(octets.replace(b"\n", b"\r\n"))
    assert [(field.name, field.value, field.strict) for field in bare] == [
        (field.name, field.value, field.strict) for field in full
    ]


def test_order_names_and_octets_are_kept() -> None:
    octets = b"Received: one\r\n two\r\nFROM: a@b.example\r\nreceived:three\r\n\r\nX: body\r\n"
    header = read_header(octets)
    assert [field.name for field in header] == ["received", "from", "received"]
    assert [field.value for field in header] == [b"one two", b"a@b.example", b"three"]
    assert octets[header.length :] == b"X: body\r\n"
    assert header.first("received") is header.fields[0]
    assert header.all("received") == [header.fields[0], header.fields[2]]
    assert header.first("x") is None


def test_a_message_may_have_no_body_and_no_header() -> None:
    assert read_header(b"").length == 0
    assert read_header(b"\r\nbody").length == 2
    assert read_header(b"X: y").length == 4
    assert read_header(b"X: y\r\n").complete


def test_a_line_that_is_no_field_stays_without_a_name() -> None:
    header = read_header(
        b"From alice Mon Nov 23\r\nReceived By: mobile.net.example\r\n and more\r\nFrom: a@b.example\r\n\r\n"
    )
    assert [field.name for field in header] == ["", "", "from"]
    assert header.fields[1].raw == b"Received By: mobile.net.example\r\n and more\r\n"


def test_a_header_that_begins_folded_hides_no_field() -> None:
    assert [field.name for field in read_header(b" folded\r\n again\r\nFrom: a@b.example\r\n")] == ["", "from"]


def test_white_space_before_the_colon_is_no_strict_field() -> None:
    header = read_header(b"from \t: a@b.example\r\nto: c@d.example\r\n\r\n")
    assert [(field.name, field.strict, field.value) for field in header] == [
        ("from", False, b"a@b.example"),
        ("to", True, b"c@d.example"),
    ]


def test_a_fold_before_the_colon_is_no_field() -> None:
    assert [field.name for field in read_header(b"From\r\n : a@b.example\r\n\r\n")] == [""]


def test_a_line_of_white_space_ends_no_header() -> None:
    assert [field.name for field in read_header(b"X: y\r\n  \r\nFrom: a@b.example\r\n\r\n")] == ["x", "from"]


def test_octets_outside_of_utf8_survive_as_text() -> None:
    field = read_header(b"Subject: \xff\xc3\xa9\r\n\r\n").fields[0]
    assert field.text == "\udcffé"


def test_a_header_over_its_limit_is_not_complete() -> None:
    assert not read_header(b"X: y\r\n" * 3 + b"\r\n", limit=10).complete
    assert not read_header(b"X: y\r\n" * 3 + b"\r\n", fields_limit=2).complete
    assert not read_header(b"no field\r\n" * 3 + b"\r\n", fields_limit=2).complete
    assert read_header(b"X: y\r\n" * 3 + b"\r\n", fields_limit=3).complete
    assert read_header(b"X: y\r\n\r\n" + b"body" * 100, limit=10).complete


def message_files() -> list[object]:
    files = [file for folder in FOLDERS for file in sorted((SUITES / folder).rglob("*")) if file.is_file()]
    if not files:
        return [
            pytest.param(None, marks=pytest.mark.skip(reason="the conformance suites (../shared/suites) are not there"))
        ]
    return [pytest.param(folder, id=folder) for folder in FOLDERS]


@pytest.mark.parametrize("folder", message_files())
def test_every_message_of_the_suites_is_survived(folder: str) -> None:
    for file in sorted((SUITES / folder).rglob("*")):
        if file.is_file():
            octets = file.read_bytes()
            header = read_header(octets)
            assert whole(header, octets) == octets[: header.length], file
            assert all(isinstance(field.text, str) for field in header)


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a: b", b" "])).map(b"".join), st.integers(0, 30))
def test_where_the_header_ends_is_found_without_reading_its_fields(octets: bytes, searched: int) -> None:
    expected, at = -1, 0
    for line in octets.split(b"\n")[:-1]:
        at += len(line) + 1
        if line in (b"", b"\r"):
            expected = at
            break
    assert header_ends(octets) == expected
    if header_ends(octets[:searched]) < 0:
        assert header_ends(octets, searched) == expected
    if expected >= 0:
        assert read_header(octets).length == expected
