"""Whether the signatures of a message hold (RFC 6376 section 6.1).

All keys are asked for at once. What is decided beyond the arithmetic is the policy's: a signature that leaves room for
what its signer never saw is `policy`, not `pass`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from purport.authentication.dkim.body import BodyHashes
from purport.authentication.dkim.canonical import SignedFields
from purport.authentication.dkim.key import RSA_LEAST, KeyProblem, PublicKey, keys_of
from purport.authentication.dkim.result import DkimResult, ResultWord, shown
from purport.authentication.dkim.signature import Signature
from purport.dns.lookup import Answer, Evaluation, Question
from purport.mail.header import Header

BODY_CHANGED: Final = "the body was changed"
# What may stand in a header once (RFC 5322 section 3.6, RFC 2045 section 3): of two, a reader shows any.
ONE: Final = (
    ("from", "From"),
    ("subject", "Subject"),
    ("to", "To"),
    ("cc", "Cc"),
    ("date", "Date"),
    ("sender", "Sender"),
    ("reply-to", "Reply-To"),
    ("message-id", "Message-ID"),
    ("mime-version", "MIME-Version"),
    ("content-type", "Content-Type"),
    ("content-transfer-encoding", "Content-Transfer-Encoding"),
)


@dataclass(frozen=True, slots=True)
class DkimPolicy:
    """What is asked of a signature besides that it verifies.

    `body_length`: whole: l= has to cover all of the body that came, so that nothing was appended; never: no signature
    with l= passes. `clock_skew` is in seconds: how much the clocks of others may be wrong (t=, x=).
    """

    body_length: Literal["whole", "never"] = "whole"
    clock_skew: float = 300.0


DEFAULT: Final = DkimPolicy()


class Refused(Exception):
    """A signature does not hold."""

    def __init__(self, result: ResultWord, problem: str) -> None:
        super().__init__(problem)
        self.result: ResultWord = result
        self.problem = problem


def verify(
    signatures: Sequence[Signature], header: Header, hashes: BodyHashes, now: float, policy: DkimPolicy = DEFAULT
) -> Evaluation[tuple[DkimResult, ...]]:
    """What became of each signature, in their order. `hashes` are those of the message's body in all their forms; `now`
    is in seconds since 1970."""
    questions = tuple(dict.fromkeys([signature.question for signature in signatures if signature.result is None]))
    answers: dict[Question, Answer] = {}
    if questions:
        answers = dict(zip(questions, (yield questions), strict=True))
    fields = SignedFields(header)
    return tuple([_verified(signature, header, fields, answers, hashes, now, policy) for signature in signatures])


def _verified(
    signature: Signature,
    header: Header,
    fields: SignedFields,
    answers: dict[Question, Answer],
    hashes: BodyHashes,
    now: float,
    policy: DkimPolicy,
) -> DkimResult:
    if signature.result is not None:
        return _result(signature, signature.result, signature.problem)
    key: PublicKey | None = None
    try:
        if signature.expires_at is not None and signature.expires_at < now - policy.clock_skew:
            raise Refused("permerror", "it has expired (x=)")  # RFC 6376 section 6.1.1
        keys = keys_of(answers[signature.question], signature.kind)
        key = keys[0]
        key = _holds(signature, keys, fields, hashes)
        if signature.signed_at is not None and signature.signed_at > now + policy.clock_skew:
            raise Refused("policy", "it is of a time to come (t=)")  # RFC 6376 section 3.5
        _trusted(signature, header, fields, hashes, policy)
    except (KeyProblem, Refused) as refusal:
        return _result(signature, refusal.result, shown(refusal.problem), key)
    return _result(signature, "pass", "", key)


def _result(signature: Signature, word: ResultWord, problem: str, key: PublicKey | None = None) -> DkimResult:
    return DkimResult(
        word,
        signature.domain,
        signature.selector,
        signature.identity,
        signature.algorithm,
        0 if key is None else key.bits,
        key is not None and key.testing,
        problem,
        signature.signed,
        signature.b,
    )


def _holds(signature: Signature, keys: list[PublicKey], fields: SignedFields, hashes: BodyHashes) -> PublicKey:
    """The key that made it (RFC 6376 section 6.1.3). Raises Refused."""
    usable = [key for key in keys if key.bits >= RSA_LEAST or key.kind != "rsa"]
    if not usable:  # RFC 8301 section 3.2
        raise Refused("policy", f"a key of {keys[0].bits} bits is too short")
    body = hashes.get(signature.form)
    if body is None:
        raise Refused("policy", "its header is too long to be checked")
    if body.digest != signature.body_hash:
        raise Refused("fail", BODY_CHANGED)
    length = signature.form.length
    if length is not None and length > body.octets:
        raise Refused("fail", "the body is shorter than what was signed (l=)")
    octets = fields.octets(
        signature.signed, relaxed=signature.relaxed, signature=signature.field.raw, apart=signature.field
    )
    digest = sha256(octets).digest()
    for key in usable:
        if not key.verifies_digest(signature.octets, digest):
            continue
        if key.strict and signature.identity.rpartition("@")[2] != signature.domain:
            raise Refused("permerror", "i= is of a subdomain, and the key is not for these (t=s)")
        return key
    raise Refused("fail", "the header was changed, or another key made it")


def _trusted(
    signature: Signature, header: Header, fields: SignedFields, hashes: BodyHashes, policy: DkimPolicy
) -> None:
    """Whether what verifies is what a reader is shown (RFC 6376 section 8.2 and 8.15). Raises Refused."""
    length = signature.form.length
    if length is not None:
        unsigned = hashes[signature.form].octets - length
        if policy.body_length == "never":
            raise Refused("policy", "it covers a part of the body (l=)")
        if unsigned:
            raise Refused("policy", f"l= leaves {unsigned} octets of the body unsigned")
    if not header.complete:
        raise Refused("policy", "its header is too long to be checked")
    for name, written in ONE:
        present = fields.count(name)
        if present < 2:
            continue
        signed = signature.signed.count(name)
        if 0 < signed < present:
            raise Refused("policy", f"{written} stands there {present} times, and {signed} of them signed")
