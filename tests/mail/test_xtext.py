"""xtext (RFC 3461 section 4)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail import xtext


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_octets_come_back(octets: bytes) -> None:
    encoded = xtext.encode(octets)
    assert xtext.decode(encoded) == octets
    assert all(0x21 <= octet <= 0x7E and octet != ord("=") for octet in encoded)


@given(st.binary(max_size=40))
@settings(deadline=None)
def test_what_is_decoded_is_xtext_and_nothing_else(octets: bytes) -> None:
    try:
        decoded = xtext.decode(octets)
    except ValueError:
        return
    assert xtext.decode(xtext.encode(decoded)) == decoded
    assert octets.isascii()
    assert b"=" not in octets
    assert b" " not in octets


@pytest.mark.parametrize(
    ("octets", "encoded"),
    [
        (b"", b""),
        (b"alice@example.com", b"alice@example.com"),
        (b"alice+tag@example.com", b"alice+2Btag@example.com"),
        (b'"a b"@example.com', b'"a+20b"@example.com'),
        (b"a=b@example.com", b"a+3Db@example.com"),
        ("é@example.com".encode(), b"+C3+A9@example.com"),
        (b"\x00\r\n\x7f", b"+00+0D+0A+7F"),
    ],
)
def test_what_has_no_place_in_a_value_is_escaped(octets: bytes, encoded: bytes) -> None:
    assert xtext.encode(octets) == encoded
    assert xtext.decode(encoded) == octets


def test_more_than_needed_may_be_escaped() -> None:
    assert xtext.decode(b"+61lice+40example.com") == b"alice@example.com"


@pytest.mark.parametrize(
    "octets", [b"+", b"a+", b"+4", b"+2b", b"+gg", b"+4G", b"a=b", b"a b", b"\r\n", b"\xc3\xa9", b"\x00"]
)
def test_what_is_no_xtext_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="xtext"):
        xtext.decode(octets)
