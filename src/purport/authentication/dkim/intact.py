"""Which signatures still fit the body of a message. No key is needed to know: a changed body has another hash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.signature import FIELD, LOOKED_AT, Signature, read_signature
from purport.mail.header import Header

ARC_FIELD: Final = "arc-message-signature"


def intact(header: Header, body: Iterable[bytes]) -> tuple[Signature, ...]:
    """The signatures, of DKIM and of ARC, that could be verified as far as the body goes; from top to bottom."""
    fields = [field for field in header if field.name in (FIELD, ARC_FIELD)][:LOOKED_AT]
    found = [read_signature(field, arc=field.name == ARC_FIELD) for field in fields]
    usable = [signature for signature in found if signature.result is None]
    if not usable:
        return ()
    hashes = hash_body(body, *(signature.form for signature in usable))
    return tuple([one for one in usable if hashes[one.form].digest == one.body_hash])
