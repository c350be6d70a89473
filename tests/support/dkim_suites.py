"""Messages with DKIM signatures, the keys in the DNS, and what a verifier is to find."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from purport.authentication.dkim.canonical import CanonicalBody, SignedFields
from purport.authentication.dkim.message import verify_message
from purport.authentication.dkim.result import DkimResult
from purport.authentication.dkim.tags import base64_value, read_tags
from purport.authentication.dkim.tags import words as words_of
from purport.authentication.dkim.verify import DEFAULT, DkimPolicy
from purport.dns.lookup import Suspended, start
from purport.dns.zone import StaticResolver
from purport.mail.header import read_header
from support.suites import not_there

ROOT = Path(__file__).parents[2]
OWN = ROOT / "tests" / "vectors" / "dkim"
NOW = 1_795_500_000.0  # seconds since 1970: after the youngest message of the suites was signed


@dataclass(frozen=True)
class Case:
    """One message. `accepted` are lists of results, each of which a suite lets pass."""

    name: str
    octets: bytes
    zone: dict[str, Any] = field(repr=False)
    accepted: tuple[tuple[str, ...], ...]
    now: float = NOW


def check(octets: bytes, zone: dict[str, Any], now: float = NOW, policy: DkimPolicy = DEFAULT) -> list[DkimResult]:
    """The results of a message, in the order of its signatures."""
    results = start(verify_message(octets, now, policy), StaticResolver(zone))
    assert not isinstance(results, Suspended)
    return list(results)


def words(results: Sequence[DkimResult]) -> tuple[str, ...]:
    return tuple(result.result for result in results)


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def cases(path: Path, read: Callable[[Path], list[Case]]) -> list[Any]:
    """The cases of a suite as parameters of a test; one skipped parameter where the suite is not there."""
    if not path.exists():
        return not_there(path)
    return [pytest.param(case, id=case.name) for case in read(path)]


def own(path: Path) -> list[Case]:
    return [
        Case(
            test["id"],
            (path.parent / test["message"]).read_bytes(),
            test["zone"],
            (tuple(test["expect"]), *map(tuple, test.get("accept", ()))),
            test.get("now", NOW),
        )
        for test in _cases(path)
    ]


def chasquid(path: Path) -> list[Case]:
    return [
        Case(
            test["id"],
            crlf((path.parent / test["message"]).read_bytes()),
            test.get("zone", {}),
            (tuple(signature["state"] for signature in test.get("signatures", ())),),
        )
        for test in _cases(path)
    ]


def mail_dkim(path: Path) -> list[Case]:
    """What a verifier that follows RFC 6376 and RFC 8301 says: the word that stands first, or one more."""
    zone = _fake_dns(path.parent / "FAKE_DNS.dat")
    found = []
    for test in _cases(path):
        octets = crlf((path.parent / "corpus" / test["file"]).read_bytes())
        results = ("temperror", "permerror") if test["rfc"].startswith("temperror") else (test["rfc"].split()[0],)
        count = len(test["algorithms"])
        found.append(Case(test["file"], octets, zone, tuple((word,) * count for word in results)))
    return found


def old_signatures(path: Path) -> list[Case]:
    """The messages of that corpus whose signatures were valid when they were made, with SHA-1 or short keys. Those
    of the first drafts, which have no bh=, are skipped by its own tests too."""
    passing = {test["file"] for test in _cases(path) if test["result"] == "pass" and "ietf00" not in test["file"]}
    return [case for case in mail_dkim(path) if case.name in passing and "ed25519" not in case.name]


def was_valid(case: Case) -> bool:
    """Whether a signature of a message holds as far as canonical forms and arithmetic go, which have not changed."""
    header = read_header(case.octets)
    for found in header.all("dkim-signature"):
        with suppress(ValueError, KeyError, InvalidSignature):
            tags = read_tags(found.text)
            forms = tags.get("c", "simple/simple").split("/")
            digest = hashlib.new(tags["a"].partition("-")[2])
            body = CanonicalBody(digest.update, relaxed=forms[1:] == ["relaxed"])
            body.update(case.octets[header.length :])
            body.finish()
            octets = SignedFields(header).octets(
                words_of(tags["h"].lower()), relaxed=forms[0] == "relaxed", signature=found.raw, apart=found
            )
            [record] = case.zone[f"{tags['s']}._domainkey.{tags['d']}"]
            key = load_der_public_key(base64_value(read_tags(record["TXT"])["p"]))
            assert isinstance(key, RSAPublicKey)
            key.verify(base64_value(tags["b"]), octets, PKCS1v15(), SHA1() if "sha1" in tags["a"] else SHA256())
            return digest.digest() == base64_value(tags["bh"])
    return False


def mail_auth(path: Path) -> list[Case]:
    """Of each message the last signature."""
    found = []
    for test in _cases(path):
        records, _, octets = (path.parent / test["file"]).read_bytes().partition(b"\n\n")
        zone: dict[str, Any] = {}
        for line in records.decode().splitlines():
            name, text = line.split(" ", 1)
            zone.setdefault(name, []).append({"TXT": text})
        # The signature below the ARC sets was broken on the way, which its note says.
        word = test["expect"].get("dkim_last_signature", "fail")
        found.append(Case(test["file"], crlf(octets), zone, ((word,),), 1667843664.0 if "note" in test else NOW))
    return found


def rspamd(path: Path) -> list[Case]:
    zone = yaml.safe_load((path.parent / "rspamd-zone.yml").read_text(encoding="utf-8"))
    zone = {name: records for name, records in zone.get("zone", zone).items() if "_domainkey" in name}
    return [
        Case(
            test["id"],
            crlf((path.parent / "messages" / test["message"]).read_bytes()),
            zone,
            ((test["expect"]["dkim"],),) if "expect" in test else (),
        )
        for test in _cases(path)
    ]


def _cases(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["cases"]
    return found


def _fake_dns(path: Path) -> dict[str, Any]:
    zone: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, text = line.partition(" ")
        text = text.strip()
        if not text or name.startswith("#") or text == "NXDOMAIN":
            continue
        zone[name] = ["TIMEOUT"] if text.startswith("~~") else [{"TXT": text.strip('"')}]
    return zone
