"""Which signatures still fit a body."""

from __future__ import annotations

import pytest

from purport.authentication.dkim.intact import intact
from purport.mail.header import read_header
from support.dkim_keys import MESSAGE, signed


def domains(octets: bytes) -> list[str]:
    header = read_header(octets)
    return [signature.domain for signature in intact(header, [octets[header.length :]])]


def test_a_signature_fits_until_the_body_changes() -> None:
    octets = signed(signed(), domain="other.example")
    assert domains(octets) == ["other.example", "example.com"]
    assert domains(octets + b"footer\r\n") == []
    assert domains(octets.replace(b"Dinner", b"Lunch")) == ["other.example", "example.com"]
    assert domains(MESSAGE) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"a=ed25519-sha256", b"a=rsa-sha1"), (b"bh=", b"bh=!"), (b" v=1;", b" v=2;"), (b"d=example.com", b"d=")],
)
def test_what_nobody_could_verify_does_not_count(old: bytes, new: bytes) -> None:
    assert domains(signed().replace(old, new, 1)) == []


def test_signatures_of_arc_count_too() -> None:
    octets = signed().replace(b"DKIM-Signature: v=1;", b"ARC-Message-Signature: i=1;")
    assert domains(octets) == ["example.com"]
    assert domains(octets + b"footer\r\n") == []
