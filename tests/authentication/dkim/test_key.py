"""Key records (RFC 6376 section 3.6)."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as elliptic_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from purport.authentication.dkim.key import RECORD_OCTETS, KeyProblem, keys_of, read_key
from purport.dns.lookup import Answer, Status
from support.dkim_keys import ed25519_key, rsa_key

ED = ed25519_key().record


def test_a_key_of_each_type() -> None:
    key = read_key(ED)
    assert (key.kind, key.bits, key.testing, key.strict) == ("ed25519", 256, False, False)
    assert key.verifies(ed25519_key().sign(b"text"), b"text")
    assert not key.verifies(ed25519_key().sign(b"text"), b"texT")
    key = read_key(rsa_key().record)
    assert (key.kind, key.bits) == ("rsa", 2048)
    assert key.verifies(rsa_key().sign(b"text"), b"text")
    assert not key.verifies(b"short", b"text")


# RFC 6376 section 3.6.1 has RSAPublicKey; what is published is its SubjectPublicKeyInfo (erratum 3017).
def test_an_rsa_key_without_its_wrapping() -> None:
    public = rsa_key().key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    key = read_key(f"p={base64.b64encode(public).decode()}")
    assert key.verifies(rsa_key().sign(b"text"), b"text")


@pytest.mark.parametrize(
    "record",
    [
        ED.replace("v=DKIM1; ", ""),
        ED.replace("; p=", "; h=sha1 : sha256; s=tlsrpt:email; n=note=with=equals; p="),
        f" {ED.replace('p=', 'p = ').replace('; ', ' ; ')} ; ",
        ED.replace("; p=", "; g=; unknown=1; p="),
        ED.replace("p=", "p=\r\n "),
    ],
)
def test_records_that_hold_the_same_key(record: str) -> None:
    assert read_key(record).verifies(ed25519_key().sign(b"text"), b"text")


def test_flags() -> None:
    key = read_key(ED.replace("; p=", "; t=y : s:x; p="))
    assert key.testing
    assert key.strict


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("", "holds no key"),
        ("v=DKIM1; k=rsa", "holds no key"),
        ("v=DKIM1; k=rsa; p=", "revoked"),
        (f"k=ed25519; v=DKIM1{ED.partition('ed25519')[2]}", "not of version"),
        (ED.replace("DKIM1", "DKIM2"), "not of version"),
        (ED.replace("DKIM1", "dkim1"), "not of version"),
        (ED.replace("ed25519", "ed448"), "unknown type: ed448"),
        (ED.replace("ed25519", "\x80"), r"unknown type: \x80"),
        (ED.replace("; p=", "; h=sha1; p="), "other hash algorithms"),
        (ED.replace("; p=", "; s=tlsrpt; p="), "not for e-mail"),
        (ED.replace("p=", "p=!"), "cannot be read"),
        (ED + "AAAA", "cannot be read"),
        ("k=ed25519; p=AAAA", "3 octets"),
        ("p=AAAA", "no RSA key"),
        (f"{ED}; t", "no tag"),
        (f"{ED}; k=rsa", "twice"),
        (f"{ED}; n=\x1b[31m", "control character"),
        ("p=" + "A" * RECORD_OCTETS, "too long"),
    ],
)
def test_records_without_a_key(record: str, problem: str) -> None:
    with pytest.raises(KeyProblem) as raised:
        read_key(record)
    assert problem in raised.value.problem
    assert raised.value.result == "permerror"


def test_a_key_of_another_family() -> None:
    public = elliptic_key(SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyProblem, match="no RSA key"):
        read_key(f"p={base64.b64encode(public).decode()}")


def test_a_public_exponent_without_measure() -> None:
    def integer(value: int) -> bytes:
        octets = value.to_bytes(value.bit_length() // 8 + 1, "big")
        return b"\x02" + length(len(octets)) + octets

    def length(count: int) -> bytes:
        return bytes([count]) if count < 128 else b"\x82" + count.to_bytes(2, "big")

    numbers = integer(rsa_key().key.public_key().public_numbers().n) + integer((1 << 2000) + 1)
    with pytest.raises(KeyProblem, match=r"larger than any|no RSA key"):
        read_key(f"p={base64.b64encode(b'0' + length(len(numbers)) + numbers).decode()}")


@pytest.mark.parametrize(("bits", "exponent"), [(4104, 65537), (2048, (1 << 40) + 15)])
def test_a_key_that_takes_longer_than_any_that_has_to_be_taken(bits: int, exponent: int) -> None:
    """A chain of fifty sets asks for a hundred checks, of several keys each, while everybody else waits."""
    public = RSAPublicNumbers(exponent, (1 << (bits - 1)) + 1).public_key()
    octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyProblem, match="larger than any"):
        read_key(f"p={base64.b64encode(octets).decode()}")


def test_a_question_without_answer_is_temporary() -> None:
    with pytest.raises(KeyProblem) as raised:
        keys_of(Answer(Status.FAILED), "rsa")
    assert raised.value.result == "temperror"


@pytest.mark.parametrize("status", [Status.EMPTY, Status.MISSING])
def test_no_record_is_permanent(status: Status) -> None:
    with pytest.raises(KeyProblem, match="no key in the DNS"):
        keys_of(Answer(status), "rsa")


# RFC 6376 section 3.6.2.2 leaves it undefined what several records mean
def test_several_records() -> None:
    answer = Answer(Status.FOUND, ("v=spf1 -all", rsa_key().record, ED, ED.replace("; p=", "; t=y; p=")))
    assert [key.testing for key in keys_of(answer, "ed25519")] == [False, True]
    assert len(keys_of(answer, "rsa")) == 1
    with pytest.raises(KeyProblem, match="not of the type rsa"):
        keys_of(Answer(Status.FOUND, (ED,)), "rsa")
    with pytest.raises(KeyProblem, match="revoked"):
        keys_of(Answer(Status.FOUND, (ED, "p=")), "rsa")


def test_of_several_keys_two_are_tried() -> None:
    """An old one and a new one; each costs a check of every signature that names them."""
    assert len(keys_of(Answer(Status.FOUND, (ED, rsa_key().record, *[f"{ED}; n={n}" for n in "abc"])), "ed25519")) == 2
