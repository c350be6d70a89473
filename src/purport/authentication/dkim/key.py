"""Public keys, as the DNS has them (RFC 6376 section 3.6, RFC 8301, RFC 8463).

brisbane._domainkey.example.com.  TXT  "v=DKIM1; k=ed25519; t=s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from purport.authentication.dkim.result import ResultWord, shown
from purport.authentication.dkim.tags import base64_value, read_tags, words
from purport.dns.lookup import Answer, Status

RECORDS: Final = 5  # key records of one selector that are looked at; there ought to be one (RFC 6376 section 3.6.2.2)
KEYS: Final = 2  # of these that are tried, an old one and a new one: each costs a check of every signature
RECORD_OCTETS: Final = 8192  # of one record; a key of RSA_MOST bits has 800
MOST_KEPT: Final = 1024  # keys kept read, each of a record of the length below at most: some megabytes
KEPT_LENGTH: Final = 1024
RSA_LEAST: Final = 1024  # bits; a verifier must not take less (RFC 8301 section 3.2)
RSA_MOST: Final = 4096  # bits; a verifier must take these, and the time that a check takes grows with their square
EXPONENT_BITS: Final = 33  # of the public exponent: a long one makes a check as slow as signing is
ED25519_OCTETS: Final = 32  # RFC 8463 section 4: the key alone, without ASN.1
REVOKED: Final = "the key is revoked"
PADDING: Final = PKCS1v15()
SHA256_HASH: Final = SHA256()
DIGEST: Final = Prehashed(SHA256_HASH)

Kind = Literal["rsa", "ed25519"]
KINDS: Final[dict[str, Kind]] = {"rsa": "rsa", "ed25519": "ed25519"}


class KeyProblem(Exception):
    """There is no key to verify with; `result` is what this makes of the signature."""

    def __init__(self, result: ResultWord, problem: str) -> None:
        super().__init__(problem)
        self.result: ResultWord = result
        self.problem = problem


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that mail may be signed with, and what its record says about it."""

    kind: Kind
    bits: int
    key: RSAPublicKey | Ed25519PublicKey
    testing: bool = False  # t=y
    strict: bool = False  # t=s: i= has d= itself as domain, no subdomain of it

    def verifies(self, signature: bytes, octets: bytes) -> bool:
        """Whether `signature` was made for these octets with this key's private part."""
        return self.verifies_digest(signature, hashlib.sha256(octets).digest())

    def verifies_digest(self, signature: bytes, digest: bytes) -> bool:
        """The same for the SHA-256 of the octets: of several keys, and of a large header, made once."""
        try:
            if isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, digest, PADDING, DIGEST)
            else:  # RFC 8463 section 3: what is signed is the hash
                self.key.verify(signature, digest)
        except InvalidSignature:
            return False
        return True


def read_key(record: str) -> PublicKey:
    """The key in a TXT record, of one character per octet; those that are met most often are kept read. Raises
    KeyProblem."""
    return _read_before(record) if len(record) <= KEPT_LENGTH else _read_key(record)


def _read_key(record: str) -> PublicKey:
    if len(record) > RECORD_OCTETS:
        raise KeyProblem("permerror", "the key record is too long")
    try:
        tags = read_tags(record)
    except ValueError as error:
        raise KeyProblem("permerror", f"the key record cannot be read: {error}") from error
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):
        raise KeyProblem("permerror", "the key record is not of version DKIM1")
    kind = KINDS.get(tags.get("k", "rsa"))
    if kind is None:
        raise KeyProblem("permerror", f"the key is of an unknown type: {shown(tags['k'], 40)}")
    if "h" in tags and "sha256" not in words(tags["h"]):
        raise KeyProblem("permerror", "the key is for other hash algorithms (h=)")
    if not {"*", "email"}.intersection(words(tags.get("s", "*"))):
        raise KeyProblem("permerror", "the key is not for e-mail (s=)")
    if "p" not in tags:
        raise KeyProblem("permerror", "the key record holds no key (p=)")
    if not tags["p"]:
        raise KeyProblem("permerror", REVOKED)
    flags = words(tags.get("t", ""))
    key, bits = _key(kind, tags["p"])
    return PublicKey(kind, bits, key, "y" in flags, "s" in flags)


_read_before: Final = lru_cache(MOST_KEPT)(_read_key)


def keys_of(answer: Answer, kind: Kind) -> list[PublicKey]:
    """The keys of a type among the records of a selector: one, where its owner does as RFC 6376 section 3.6.2.2 says;
    of several, any may be the one. Raises KeyProblem."""
    if answer.status is Status.FAILED:
        raise KeyProblem("temperror", "the DNS did not answer the question for the key")
    if not answer.records:
        raise KeyProblem("permerror", "there is no key in the DNS")
    keys: list[PublicKey] = []
    problem: KeyProblem | None = None
    for record in answer.records[:RECORDS]:
        try:
            key = read_key(record)
        except KeyProblem as error:
            problem = problem or error
            continue
        if key.kind == kind and len(keys) < KEYS:
            keys.append(key)
    if not keys:
        raise problem or KeyProblem("permerror", f"the key is not of the type {kind}")
    return keys


def _key(kind: Kind, value: str) -> tuple[RSAPublicKey | Ed25519PublicKey, int]:
    try:
        octets = base64_value(value)
    except ValueError as error:
        raise KeyProblem("permerror", f"the key (p=) cannot be read: {error}") from error
    if kind == "ed25519":
        if len(octets) != ED25519_OCTETS:
            raise KeyProblem("permerror", f"the key has {len(octets)} octets, and one of ed25519 has {ED25519_OCTETS}")
        return Ed25519PublicKey.from_public_bytes(octets), 256
    try:
        key = load_der_public_key(octets)  # in its SubjectPublicKeyInfo, as everybody does, or bare, as in RFC 6376
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyProblem("permerror", "the key (p=) is no RSA key") from error
    if not isinstance(key, RSAPublicKey):
        raise KeyProblem("permerror", "the key (p=) is no RSA key")
    if key.key_size > RSA_MOST or key.public_numbers().e.bit_length() > EXPONENT_BITS:
        raise KeyProblem("permerror", "the key is larger than any that is checked here")
    return key, key.key_size
