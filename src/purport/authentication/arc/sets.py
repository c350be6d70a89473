"""The ARC sets of a message, and whether they can be a chain (RFC 8617 section 4.2 and 5.2).

ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.org; s=dummy; t=12345; b=dOdFEyhr...
ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=dummy; h=from:to; bh=KWSe...; b=QsRz...
ARC-Authentication-Results: i=1; lists.example.org; spf=pass smtp.mailfrom=d1.example; dmarc=pass header.from=d1.example

All that is looked at here is known without a question to the DNS: what fails here costs nobody anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from purport.authentication.dkim.body import BodyForm
from purport.authentication.dkim.signature import Signature, read_seal, read_signature
from purport.authentication.dkim.tags import read_tags
from purport.mail.header import Field, Header

RESULTS: Final = "arc-authentication-results"
SIGNATURE: Final = "arc-message-signature"
SEAL: Final = "arc-seal"
NAMES: Final = (RESULTS, SIGNATURE, SEAL)
SETS_LIMIT: Final = 50  # RFC 8617 section 4.2.1
POSITION: Final = re.compile(r"[0-9]{1,2}")
CFWS: Final = r"(?:[ \t]|\((?:[^()\\]|\\.)*+\))*+"  # comments in comments are nowhere met
INSTANCE: Final = re.compile(rf"{CFWS}i{CFWS}={CFWS}([0-9]{{1,2}}){CFWS};")  # instance [CFWS] ";"


class Broken(ValueError):
    """The sets form no chain; the message says why."""


@dataclass(frozen=True, slots=True)
class ArcSet:
    """What one who sealed a message put on it."""

    instance: int
    results: Field  # ARC-Authentication-Results
    signature: Signature  # ARC-Message-Signature
    seal: Signature  # ARC-Seal
    status: str  # cv= of the seal: what its sealer made of the chain before it

    @property
    def written(self) -> str | None:
        """What its sealer wrote behind the instance of its results; None where there is none."""
        text = self.results.text
        found = INSTANCE.match(text)
        return None if found is None else text[found.end() :]


@dataclass(frozen=True, slots=True)
class Chain:
    """The sets of a header, from the oldest to the newest; none where they form no chain, and `problem` says why.
    `instance` is the highest that stands in some field of a chain, whatever else is wrong with it; 0 for none."""

    instance: int = 0
    sets: tuple[ArcSet, ...] = ()
    problem: str = ""

    def __bool__(self) -> bool:
        return bool(self.sets or self.problem)

    @property
    def body_forms(self) -> tuple[BodyForm, ...]:
        """In which forms a body is to be hashed for the chain: no more than the four that there are without l=, and
        that of the newest signature."""
        if not self.sets:
            return ()
        signatures = [one.signature for one in self.sets if one.signature.result is None]
        whole = [signature.form for signature in signatures if signature.form.length is None]
        newest = [signature.form for signature in signatures[-1:] if signature is self.sets[-1].signature]
        return tuple(dict.fromkeys((*whole, *newest)))


NOTHING: Final = Chain()


def read_chain(header: Header) -> Chain:
    """The chain of a header. Never raises."""
    if not header.complete:
        return Chain(highest_instance(header), problem="its header is too long to be checked")
    if header.by_name.keys().isdisjoint(NAMES):
        return NOTHING
    try:
        sets = arc_sets(header)
    except Broken as problem:
        return Chain(highest_instance(header), problem=str(problem))
    return Chain(len(sets), sets)


def highest_instance(header: Header) -> int:
    """The highest instance that stands in some field of a chain, whatever else is wrong with it; 0 for none."""
    return max([0, *(instance_of(field) for field in header if field.name in NAMES)])


def instance_of(field: Field) -> int:
    """The instance of a field of a chain; 0 where there is none from 1 to 50."""
    if field.name == RESULTS:
        found = INSTANCE.match(field.text)
        position = found[1] if found is not None else ""
    else:
        try:
            position = read_tags(field.text).get("i", "")
        except ValueError:
            return 0
    instance = int(position) if POSITION.fullmatch(position) is not None else 0
    return instance if instance <= SETS_LIMIT else 0


def arc_sets(header: Header) -> tuple[ArcSet, ...]:
    """The sets, from the oldest to the newest; none where there is no field of a chain. Raises Broken where they do not
    form one (RFC 8617 section 5.2 steps 1 to 3)."""
    fields = [field for field in header if field.name in NAMES]
    if len(fields) > len(NAMES) * SETS_LIMIT:
        raise Broken(f"there are more than {SETS_LIMIT} sets")
    found: dict[int, dict[str, Field]] = {}
    for field in fields:
        instance = instance_of(field)
        if not instance:
            raise Broken(f"a field {field.name} has no instance (i=) from 1 to {SETS_LIMIT}")
        if field.name in found.setdefault(instance, {}):
            raise Broken(f"{field.name} of instance {instance} stands there twice")
        found[instance][field.name] = field
    return tuple([_set(instance, found.get(instance, {})) for instance in range(1, max(found, default=0) + 1)])


def _set(instance: int, fields: Mapping[str, Field]) -> ArcSet:
    for name in NAMES:
        if name not in fields:
            raise Broken(f"{name} of instance {instance} is missing")
    seal, status = read_seal(fields[SEAL])
    if seal.result is not None:
        raise Broken(f"the seal of instance {instance} cannot be used: {seal.problem}")
    if status == "fail":
        raise Broken(f"the chain had failed already before instance {instance} (cv=fail)")
    if status != ("none" if instance == 1 else "pass"):
        raise Broken(f"cv= of instance {instance} is not what a chain has there")
    return ArcSet(instance, fields[RESULTS], read_signature(fields[SIGNATURE], arc=True), seal, status)


def ended(header: Header) -> bool:
    """Whether the newest seal says that the chain failed: then nobody seals again (RFC 8617 section 5.1 step 2)."""
    seals = [field for field in header.all(SEAL) if instance_of(field)]
    newest = max(seals, key=instance_of, default=None)
    return newest is not None and read_seal(newest)[1] == "fail"


def body_forms(header: Header) -> tuple[BodyForm, ...]:
    """In which forms a body is to be hashed for the chain of a header."""
    return read_chain(header).body_forms
