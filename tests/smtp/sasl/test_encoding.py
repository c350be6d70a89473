"""Base64 as RFC 4954 section 4 has it: nothing but the alphabet, padding at the end alone."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.smtp.sasl.encoding import decode, encode


@given(st.binary(max_size=100))
def test_what_is_encoded_decodes_to_itself(octets: bytes) -> None:
    assert encode(octets).encode() == base64.b64encode(octets)
    assert decode(encode(octets).encode()) == octets


@pytest.mark.parametrize(
    "line",
    [
        b"=AAA",
        b"AAA=BBB",
        b"A",
        b"AA",
        b"AAA",
        b"AA=",
        b"AAAA=",
        b"AAAA====",
        b"AAAA==",
        b"AA==\r",
        b"AA==AA==",
        b"AA AA",
        b"AAA\xff",
        b"AA\n==",
        b"====",
        b"A===",
        b"AAA_",
        b"AAA-",
        b" AAAA",
        b"AAAA ",
        b"dXNlckB0ZXN0c2VydmVyAHlalala==",
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode(line)


@given(st.binary(max_size=12))
def test_any_line_is_refused_or_decodes_to_what_encodes_to_as_many_characters(line: bytes) -> None:
    try:
        octets = decode(line)
    except ValueError:
        return
    assert len(encode(octets)) == len(line)
