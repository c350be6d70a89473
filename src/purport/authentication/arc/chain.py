"""Whether the chain of a message holds (RFC 8617 section 5.2).

All keys are asked for at once. The newest message signature and every seal have to hold; how far back the older message
signatures do tells since when nothing was changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from purport.authentication.arc.result import NO_CHAIN, ArcResult, Hop
from purport.authentication.arc.sets import SEAL, ArcSet, Chain, read_chain
from purport.authentication.dkim.body import BodyHashes
from purport.authentication.dkim.canonical import CRLF, SignedFields, relaxed_field, without_b
from purport.authentication.dkim.key import RSA_LEAST, KeyProblem, keys_of
from purport.authentication.dkim.result import shown
from purport.authentication.dkim.signature import Signature
from purport.dns.lookup import Answer, Evaluation, Question
from purport.mail.header import Field, Header

CLOCK_SKEW: Final = 300.0  # seconds that the clocks of others may be wrong


class Unsound(Exception):
    """A signature or a seal does not hold; the message says why."""


def validate(header: Header, hashes: BodyHashes, now: float, chain: Chain | None = None) -> Evaluation[ArcResult]:
    """What the chain is worth. `hashes` are those of the body in the forms of `body_forms`; `now` is in seconds since
    1970; `chain` is what `read_chain` found in the header, where that was done before. Every failure is final, one of
    the DNS too (RFC 8617 section 5.2.1)."""
    chain = read_chain(header) if chain is None else chain
    instance, sets = chain.instance, chain.sets
    if chain.problem:
        return ArcResult("fail", instance, problem=shown(chain.problem))
    if not sets:
        return NO_CHAIN
    fields = SignedFields(header)
    hops = tuple([_hop(one, fields) for one in sets])
    try:
        intact = _bodies_intact(sets, hashes, now)
        asked = [one.seal for one in sets] + [one.signature for one in sets[len(sets) - intact :]]
        questions = tuple(dict.fromkeys([signature.question for signature in asked]))
        answers = dict(zip(questions, (yield questions), strict=True))
        oldest = _oldest_intact(sets, intact, fields, answers)
        _check_seals(sets, answers)
    except Unsound as problem:
        return ArcResult("fail", instance, hops, problem=shown(str(problem)))
    hops = tuple([replace(hop, intact=hop.instance >= oldest) for hop in hops])
    return ArcResult("pass", instance, hops, 0 if oldest == 1 else oldest)


def _hop(one: ArcSet, fields: SignedFields) -> Hop:
    covers = 0 < fields.count("from") <= one.signature.signed.count("from")
    return Hop(one.instance, one.seal.domain, one.seal.selector, one.written, covers_from=covers)


def _bodies_intact(sets: Sequence[ArcSet], hashes: BodyHashes, now: float) -> int:
    """How many of the newest message signatures can hold, as far as is known without their keys. Raises Unsound where
    the newest one cannot."""
    for number, one in enumerate(reversed(sets)):
        try:
            _can_hold(one.signature, hashes, now)
        except Unsound:
            if not number:
                raise
            return number
    return len(sets)


def _can_hold(signature: Signature, hashes: BodyHashes, now: float) -> None:
    who = f"the message signature of {signature.domain or 'somebody'}"
    if signature.result is not None:
        raise Unsound(f"{who} cannot be used: {signature.problem}")
    if SEAL in signature.signed:  # section 4.1.2
        raise Unsound(f"{who} covers a seal")
    if signature.expires_at is not None and signature.expires_at < now - CLOCK_SKEW:
        raise Unsound(f"{who} has expired (x=)")
    body = hashes.get(signature.form)
    if body is None or body.digest != signature.body_hash:
        raise Unsound(f"the body was changed behind {who}")
    if signature.form.length is not None and signature.form.length != body.octets:
        raise Unsound(f"{who} leaves a part of the body unsigned (l=)")


def _oldest_intact(
    sets: Sequence[ArcSet], candidates: int, fields: SignedFields, answers: Mapping[Question, Answer]
) -> int:
    """The oldest instance from which on every message signature holds. Raises Unsound where the newest does not."""
    oldest = 0
    for one in reversed(sets[len(sets) - candidates :]):
        signature = one.signature
        octets = fields.octets(
            signature.signed, relaxed=signature.relaxed, signature=signature.field.raw, apart=signature.field
        )
        try:
            _verified(signature, octets, answers, "message signature")
        except Unsound:
            if not oldest:
                raise
            break
        oldest = one.instance
    return oldest


def _check_seals(sets: Sequence[ArcSet], answers: Mapping[Question, Answer]) -> None:
    """Whether every seal holds. Raises Unsound. Which one is looked at first changes nothing, and from the oldest on
    each field is made canonical once."""
    before = b""
    for one in sets:
        octets = sealed_octets(before, one.results, one.signature.field, one.seal.field.raw)
        _verified(one.seal, octets, answers, "seal")
        before += canonical_set(one)


def canonical_set(one: ArcSet) -> bytes:
    """The fields of a set as the seals above it sign them (RFC 8617 section 5.1.1)."""
    return b"".join(relaxed_field(field.raw) for field in (one.results, one.signature.field, one.seal.field))


def sealed_octets(before: bytes, results: Field, signature: Field, seal: bytes) -> bytes:
    """What a seal signs: the sets before it, canonical, then its own, itself without b= (RFC 8617 section 5.1.1)."""
    own = relaxed_field(without_b(seal)).removesuffix(CRLF)
    return b"".join((before, relaxed_field(results.raw), relaxed_field(signature.raw), own))


def _verified(signature: Signature, octets: bytes, answers: Mapping[Question, Answer], what: str) -> None:
    who = f"the {what} of {signature.domain}"
    try:
        keys = keys_of(answers[signature.question], signature.kind)
    except KeyProblem as problem:
        raise Unsound(f"{who}: {problem}") from problem
    digest = sha256(octets).digest()
    usable = [key for key in keys if key.bits >= RSA_LEAST or key.kind != "rsa"]
    if not any(key.verifies_digest(signature.octets, digest) for key in usable):
        raise Unsound(f"{who} does not fit")
