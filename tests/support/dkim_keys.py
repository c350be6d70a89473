"""Keys that tests sign with, made once."""

from __future__ import annotations

from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.sign import FORM, SigningKey, read_signing_key, sign
from purport.mail.header import read_header

NOW = 1_795_500_000.0
MESSAGE = (
    b"From: Alice <alice@example.com>\r\nTo: bob@example.net\r\nSubject: Dinner\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHi,  bob.\r\n\r\n"
)


@cache
def rsa_pem(bits: int) -> bytes:
    key = generate_private_key(65537, bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


@cache
def ed25519_pem() -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(
        bytes(range(32))
    )  # the same in every process: it stands in names of tests
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def rsa_key(bits: int = 2048) -> SigningKey:
    return _rsa_key(bits)


@cache
def _rsa_key(bits: int) -> SigningKey:
    return read_signing_key(rsa_pem(bits))


@cache
def ed25519_key() -> SigningKey:
    return read_signing_key(ed25519_pem())


def zone(key: SigningKey, selector: str = "s1", domain: str = "example.com", **tags: str) -> dict[str, Any]:
    """A zone with a key's record; `tags` are put into it."""
    record = key.record.replace("; p=", "".join(f"; {name}={value}" for name, value in tags.items()) + "; p=")
    return {f"{selector}._domainkey.{domain}": [{"TXT": record}]}


def signed(octets: bytes = MESSAGE, key: SigningKey | None = None, **options: Any) -> bytes:
    """A message with a signature of ours on top."""
    header = read_header(octets)
    digest = hash_body([octets[header.length :]], FORM)[FORM].digest
    settings = {"domain": "example.com", "selector": "s1", "now": NOW, **options}
    return sign(header, digest, key or ed25519_key(), **settings) + octets
