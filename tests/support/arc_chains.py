"""Messages that went from one to the next, each of whom sealed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from purport.authentication.arc.chain import validate
from purport.authentication.arc.result import ArcResult
from purport.authentication.arc.seal import seal
from purport.authentication.arc.sets import body_forms
from purport.authentication.authres.results import AuthenticationResults, MethodResult
from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.sign import FORM, SigningKey
from purport.authentication.methods import arc
from purport.dns.lookup import Answer, Question, Status, replay
from purport.mail.header import read_header

NOW = 1_795_500_000.0
MESSAGE = (
    b"From: Alice <alice@example.com>\r\nTo: list@lists.example\r\nSubject: Dinner\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHi,  all.\r\n\r\n"
)
DMARC_PASS = MethodResult("dmarc", "pass", properties=(("header", "from", "example.com"),))
DMARC_FAIL = MethodResult("dmarc", "fail", properties=(("header", "from", "example.com"),))


@cache
def key_of(domain: str) -> SigningKey:
    """The key of a domain, the same each time."""
    seed = domain.encode().ljust(32, b"-")[:32]
    return SigningKey("ed25519", 256, Ed25519PrivateKey.from_private_bytes(seed))


def answers_for(*domains: str) -> dict[Question, Answer]:
    """The keys of some domains, as the DNS has them."""
    return {
        Question(f"s1._domainkey.{domain}", "TXT"): Answer(Status.FOUND, (key_of(domain).record,)) for domain in domains
    }


def validated(octets: bytes, answers: Mapping[Question, Answer], now: float = NOW) -> ArcResult:
    """What the chain of a message is worth."""
    header = read_header(octets)
    hashes = hash_body([octets[header.length :]], *body_forms(header))
    return replay(validate(header, hashes, now), answers)


def unchanged(octets: bytes) -> bytes:
    return octets


def sealed(
    octets: bytes,
    domain: str,
    *results: MethodResult,
    change: Callable[[bytes], bytes] = unchanged,
    answers: Mapping[Question, Answer] | None = None,
) -> bytes:
    """A message as it leaves a domain that validated it as it came, changed it, and sealed that. It knows the keys of
    all, unless `answers` says less."""
    known = answers_for(*(hop.sealer for hop in validated(octets, {}).hops)) if answers is None else answers
    chain = validated(octets, known)
    octets = change(octets)
    header = read_header(octets)
    said = AuthenticationResults(f"mx.{domain}", (*results, arc(chain, "192.0.2.1")))
    body_hash = hash_body([octets[header.length :]], FORM)[FORM].digest
    return seal(header, body_hash, said, chain, key_of(domain), domain=domain, selector="s1", now=NOW) + octets
