"""Canonical forms of headers and bodies (RFC 6376 section 3.4)."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.dkim.canonical import CanonicalBody, SignedFields, relaxed_field, without_b
from purport.mail.header import read_header

OCTETS = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"\t", b"a", b"b\r\n", b"\r\n\r\n", b"\x0b", b"\xff"]))


def canonical(pieces: list[bytes], *, relaxed: bool) -> bytes:
    found: list[bytes] = []
    body = CanonicalBody(found.append, relaxed=relaxed)
    for piece in pieces:
        body.update(piece)
    body.finish()
    return b"".join(found)


def model(body: bytes, *, relaxed: bool) -> bytes:
    """RFC 6376 section 3.4.3 and 3.4.4, sentence by sentence."""
    if relaxed:
        body = re.sub(rb"[ \t]+\r\n", b"\r\n", body)
        body = re.sub(rb"[ \t]+", b" ", body).removesuffix(b" ")
    body = re.sub(rb"(\r\n)+\Z", b"", body)
    return body + b"\r\n" if body or not relaxed else b""


def cut(octets: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(octets[:size])
        octets = octets[size:]
    return [*pieces, octets]


# RFC 6376 section 3.4.5
def test_the_examples_of_the_rfc() -> None:
    header = read_header(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n")
    assert [relaxed_field(field.raw) for field in header] == [b"a:X\r\n", b"b:Y Z\r\n"]
    body = b" C \r\nD \t E\r\n\r\n\r\n"
    assert canonical([body], relaxed=True) == b" C\r\nD E\r\n"
    assert canonical([body], relaxed=False) == b" C \r\nD \t E\r\n"


@pytest.mark.parametrize(("relaxed", "expected"), [(True, b""), (False, b"\r\n")])
@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n\r\n"])
def test_an_empty_body(body: bytes, relaxed: bool, expected: bytes) -> None:
    assert canonical([body], relaxed=relaxed) == expected


@given(octets=OCTETS, sizes=st.lists(st.integers(0, 5)), relaxed=st.booleans())
def test_any_cut_gives_the_form_of_the_rfc(octets: list[bytes], sizes: list[int], relaxed: bool) -> None:
    body = b"".join(octets)
    expected = model(body, relaxed=relaxed)
    assert canonical([body], relaxed=relaxed) == expected
    assert canonical(cut(body, sizes), relaxed=relaxed) == expected
    assert canonical([body[at : at + 1] for at in range(len(body))], relaxed=relaxed) == expected


@pytest.mark.parametrize("piece", [b"\r\n", b" ", b"\t\r\n", b"\r\n "])
@pytest.mark.parametrize("relaxed", [True, False])
def test_what_may_be_the_end_is_not_kept(piece: bytes, relaxed: bool) -> None:
    taken = 0

    def take(octets: bytes) -> None:
        nonlocal taken
        taken = max(taken, len(octets))

    body = CanonicalBody(take, relaxed=relaxed)
    part = piece * 16384
    body.update(b"a")
    tracemalloc.start()
    for _ in range(200):  # several MB
        body.update(part)
    body.update(b"a")
    body.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert taken < 1_000_000


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"SubJect :  a \t b\r\n\tc \r\n", b"subject:a b c\r\n"),
        (b"A:\r\n b\r\n", b"a:b\r\n"),
        (b"A:\r\n", b"a:\r\n"),
        (b"A: b\x0bc\x0c \r\n", b"a:b\x0bc\x0c\r\n"),  # no WSP (RFC 5234)
        (b"A: b: c\r\n", b"a:b: c\r\n"),
        (b"A: b", b"a:b\r\n"),
    ],
)
def test_relaxed_fields(raw: bytes, expected: bytes) -> None:
    assert relaxed_field(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"S: v=1; b=abc; bh=d", b"S: v=1; b=; bh=d"),
        (b"S: v=1; bh=d;\r\n b = abc\r\n def \r\n", b"S: v=1; bh=d;\r\n b ="),
        (b"S: b=abc; h=from:b=c", b"S: b=; h=from:b=c"),
        (b"S: h=from:b=c; b=abc", b"S: h=from:b=c; b="),
        (b"b=x: bh=d; b=abc", b"b=x: bh=d; b="),
    ],
)
def test_the_value_of_b_is_left_out(raw: bytes, expected: bytes) -> None:
    assert without_b(raw) == expected


# RFC 6376 section 5.4.2
def test_fields_are_counted_from_below() -> None:
    header = read_header(b"A: 1\r\nB: 2\r\nA: 3\r\n\r\n")
    fields = SignedFields(header)
    assert fields.octets(["a"], relaxed=True, signature=b"S: b=") == b"a:3\r\ns:b="
    assert fields.octets(["a", "b", "a", "a"], relaxed=True, signature=b"S: b=") == b"a:3\r\nb:2\r\na:1\r\ns:b="
    assert fields.octets(["c", "a"], relaxed=False, signature=b"S: b=x\r\n") == b"A: 3\r\nS: b="


def test_a_signature_does_not_sign_itself_as_a_field() -> None:
    header = read_header(b"DKIM-Signature: top\r\nDKIM-Signature: own\r\nDKIM-Signature: low\r\n\r\n")
    own = header.fields[1]
    octets = SignedFields(header).octets(["dkim-signature"] * 4, relaxed=True, signature=b"S: b=", apart=own)
    assert octets == b"dkim-signature:low\r\ndkim-signature:top\r\ns:b="
