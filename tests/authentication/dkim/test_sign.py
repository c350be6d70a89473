"""Signatures of ours (RFC 6376 section 5), and what another verifier says of them."""

from __future__ import annotations

import base64
import re
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as elliptic_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.authentication.dkim.sign import SigningKey, read_signing_key, strings
from support.dkim_keys import MESSAGE, NOW, ed25519_key, rsa_key, rsa_pem, signed, zone
from support.dkim_suites import check, words

KEYS = pytest.mark.parametrize("key", [rsa_key(), ed25519_key()], ids=["rsa", "ed25519"])
LATER = 1e11  # whatever the clock says by which dkimpy signs
PARTS = [
    b"Subject: a\r\n",
    b"X: \r\n",
    b"To: b\r\n\tc  d\r\n",
    b"From: a@example.com\r\n",
    b"Sender: s@example.com\r\n",
]

# A key of 512 bits, which the library makes no more.
SHORT = b"""\
-----BEGIN RSA PRIVATE KEY-----
MIIBOgIBAAJBAOBbNFAap6aRA7nQUgW0sZBBy5znLEviDVCoZesGKW8NWrY1AOd+
8EHnEjeH4AOv8AddHHt9vLuxGIpbSqYYPdcCAwEAAQJADbbFfdgDQ3U9yw/m0551
9CFxdsfSt1i8A6AnirQ3uCf1gQCp9SXvEiwnEbIqYJG9g566aZgOfGF7xjsuByk7
sQIhAPemkbInu1jUFbbVbXQp7FaVwS9kE2CslDv6LVTlL0t1AiEA5+uV043MRLrv
kXSvL3ppXIUl9P637yNvq+LwNkZjlpsCIQCxQHRJeiyagHnmOc40dYkl09vIiq1f
5UXXw9FMURlPvQIgJN+8Lqq486SVOpdG01GvNtqkslNdg1QrCTVH5BlE9EkCIBWn
hQJMSd+VhwrHBXM1x5ePMMZrfsSmW4zDtITwsUXI
-----END RSA PRIVATE KEY-----
"""


def field_of(octets: bytes) -> str:
    end = re.search(rb"\r\n(?![ \t])", octets)
    assert end is not None
    return octets[: end.start()].decode("ascii")


def dkimpy_verifies(octets: bytes, records: dict[str, Any]) -> bool:
    def answer(name: bytes, timeout: int = 5) -> bytes | None:
        found = records.get(name.decode().rstrip("."))
        return None if found is None else found[0]["TXT"].encode()

    return bool(dkim.verify(octets, dnsfunc=answer))


@KEYS
def test_dkimpy_verifies_what_we_sign(key: SigningKey) -> None:
    octets = signed(key=key)
    assert dkimpy_verifies(octets, zone(key))
    assert not dkimpy_verifies(octets.replace(b"bob.", b"Bob."), zone(key))


@KEYS
def test_we_verify_what_dkimpy_signs(key: SigningKey) -> None:
    if key.kind == "rsa":
        private, algorithm = rsa_pem(2048), b"rsa-sha256"
    else:
        seed = key.key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        private, algorithm = base64.b64encode(seed), b"ed25519-sha256"
    for form in ((b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple")):
        field = dkim.sign(
            MESSAGE, b"s1", b"example.com", private, signature_algorithm=algorithm, canonicalize=form, logger=None
        )
        assert words(check(field + MESSAGE, zone(key), LATER)) == ("pass",)


def test_several_signatures_of_one_message() -> None:
    octets = signed(signed(key=rsa_key(), selector="s1"), key=ed25519_key(), selector="s2")
    records = zone(rsa_key()) | zone(ed25519_key(), "s2")
    assert words(check(octets, records)) == ("pass", "pass")
    assert dkimpy_verifies(octets, records)


@KEYS
def test_the_field_is_in_lines_that_every_server_takes(key: SigningKey) -> None:
    field = field_of(
        signed(key=key, domain="a." * 60 + "example", identity="x@" + "a." * 60 + "example", lifetime=3600)
    )
    assert field.startswith("DKIM-Signature: v=1; a=")
    assert f"x={NOW + 3600:.0f};" in field
    assert max(map(len, field.split("\r\n"))) <= 160  # two names of 127 octets that cannot be folded
    assert all(len(line) <= 78 for line in field_of(signed(key=key)).split("\r\n"))


def test_what_is_signed() -> None:
    message = b"Sender: s@example.com\r\nList-Id: <l.example.com>\r\nX-Mine: y\r\nReceived: by a\r\n" + MESSAGE
    [result] = check(signed(message), zone(ed25519_key()))
    assert result.result == "pass"
    count = {name: result.covered.count(name) for name in result.covered}
    assert (count["from"], count["subject"], count["cc"], count["reply-to"]) == (2, 2, 1, 1)
    assert (count["sender"], count["list-id"]) == (1, 1)  # a forwarder has to be able to name itself
    assert not {"received", "x-mine", "return-path", "resent-from", "comments"} & set(count)


def test_an_identity_and_an_end() -> None:
    octets = signed(identity="a b;=@eng.example.com", lifetime=10)
    [result] = check(octets, zone(ed25519_key()))
    assert (result.result, result.identity) == ("pass", "a b;=@eng.example.com")
    assert words(check(octets, zone(ed25519_key()), NOW + 1000)) == ("permerror",)


@settings(deadline=None)
@given(
    header=st.lists(st.sampled_from(PARTS)).map(b"".join),
    body=st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"b\r\n"])).map(b"".join),
    rsa=st.booleans(),
)
def test_whatever_is_signed_verifies_here_and_with_dkimpy(header: bytes, body: bytes, rsa: bool) -> None:
    key = rsa_key(1024) if rsa else ed25519_key()
    octets = signed(b"From: a@example.com\r\n" + header + b"\r\n" + body + b"\r\n", key)
    assert words(check(octets, zone(key))) == ("pass",)
    assert dkimpy_verifies(octets, zone(key)) or b"From: a" in header  # which takes no message with two


def test_keys_that_are_none() -> None:
    locked = ed25519_key().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    elliptic = elliptic_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for octets, problem in (
        (b"", "no private key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "no private key"),
        (locked, "has a password"),
        (elliptic, "another type"),
        (base64.b64encode(bytes(31)), "no private key"),
        (SHORT, "512 bits"),
    ):
        with pytest.raises(ValueError, match=problem):
            read_signing_key(octets)


def test_a_key_says_nothing_of_itself() -> None:
    assert repr(ed25519_key()) == "SigningKey(kind='ed25519', bits=256)"


def test_a_record_in_strings() -> None:
    record = rsa_key().record
    assert "".join(strings(record)) == record
    assert [len(part) for part in strings(record)][:-1] == [255]
    assert strings(ed25519_key().record) == [ed25519_key().record]
