"""Sealing a message that we pass on (RFC 8617 section 5.1).

A set says what we found when the message came, signs the message as it leaves, and binds both to the sets before. A
chain that failed is marked as failed, once; nobody can mend it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from purport.authentication.arc.chain import canonical_set, sealed_octets
from purport.authentication.arc.result import ArcResult
from purport.authentication.arc.sets import NAMES, SETS_LIMIT, arc_sets, ended
from purport.authentication.authres.results import AuthenticationResults
from purport.authentication.authres.writer import folded, payload
from purport.authentication.dkim.canonical import SignedFields
from purport.authentication.dkim.sign import OVERSIGNED, SIGNED, SigningKey
from purport.mail.header import Header, read_header

CHUNK: Final = 72  # characters of a signature in a line
# Others take these out or change them on the way (RFC 8617 section 4.1.2).
NEVER_SIGNED: Final = frozenset(("authentication-results", *NAMES))


def seal(
    header: Header,
    body_hash: bytes,
    said: AuthenticationResults,
    chain: ArcResult,
    key: SigningKey,
    *,
    domain: str,
    selector: str,
    now: float,
    names: Sequence[str] | None = None,
    utf8: bool = False,
) -> bytes:
    """The fields of our set, to be put on top of a message after all else that we do to it; nothing where it is not to
    be sealed: the chain was marked as failed before, or has 50 sets.

    `header` is as it goes out, `body_hash` that of its body in the form `dkim.sign.FORM`. `said` is what we found when
    it came in, the result for `chain` among it; `chain` is that of the message as it came. `domain` and `selector` are
    in A-labels, `now` is in seconds since 1970, and `names` are the fields to sign where the usual ones are not meant.
    Raises ValueError where From is not among them, or one that must not be signed.
    """
    instance = chain.instance + 1
    if instance > SETS_LIMIT or ended(header):
        return b""
    names = names_to_sign(header) if names is None else names
    lower = [name.lower() for name in names]
    if "from" not in lower:
        raise ValueError("From has to be signed")
    if not NEVER_SIGNED.isdisjoint(lower):
        raise ValueError("neither Authentication-Results nor the fields of a chain are signed")
    ours = (f"a={key.algorithm}", f"d={domain}", f"s={selector}", f"t={int(now)}")
    results = folded("ARC-Authentication-Results:", [f" i={instance};", *payload(said, utf8=utf8)])

    tags = (f"i={instance}", *ours, "c=relaxed/relaxed", f"bh={b64encode(body_hash).decode()}")
    unsigned = folded("ARC-Message-Signature:", [*_tags(tags), *_list(names), " b="])
    octets = SignedFields(header).octets(lower, relaxed=True, signature=unsigned)
    signature = _signed(unsigned, key.sign(octets))

    before = b"".join(map(canonical_set, arc_sets(header))) if chain.result == "pass" else b""
    unsigned = folded("ARC-Seal:", [*_tags((f"i={instance}", *ours, f"cv={chain.result}")), " b="])
    one, other = read_header(results + signature).fields
    return _signed(unsigned, key.sign(sealed_octets(before, one, other, unsigned))) + signature + results


def names_to_sign(header: Header) -> list[str]:
    """What DKIM signs, and the DKIM signatures that are there (RFC 8617 section 4.1.2)."""
    fields = SignedFields(header)
    names = [name for name in OVERSIGNED for _ in range(fields.count(name.lower()) + 1)]
    return names + [name for name in (*SIGNED, "DKIM-Signature") for _ in range(fields.count(name.lower()))]


def _tags(tags: Sequence[str]) -> list[str]:
    return [f" {tag};" for tag in tags]


def _list(names: Sequence[str]) -> list[str]:
    """h=, which may be folded behind each colon."""
    first, *more = [f"{name}:" for name in names[:-1]] + [f"{names[-1]};"]
    return [f" h={first}", *more]


def _signed(unsigned: bytes, signature: bytes) -> bytes:
    """A field with its signature: what was signed had b= without a value, and folds mean nothing in it."""
    octets = b64encode(signature)
    chunks = [octets[at : at + CHUNK] for at in range(0, len(octets), CHUNK)]
    return unsigned.removesuffix(b"\r\n") + b"".join(b"\r\n " + chunk for chunk in chunks) + b"\r\n"
