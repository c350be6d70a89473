"""The body hash of a DKIM signature (RFC 6376 section 3.4.3, section 3.4.4, section 3.7).

    DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.com; bh=47DEQpj8HBSa+/TImW+5J...; ...

Whether a signature still fits the body is known without any key: a changed body has another hash.
"""

from __future__ import annotations

import hashlib
import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Iterator
from typing import Final

from purport.mail.header import Header

ALGORITHMS: Final = frozenset(("rsa-sha256", "ed25519-sha256"))  # RFC 8301 section 3.1 took rsa-sha1 away
SIGNATURES: Final = ("dkim-signature", "arc-message-signature")
LOOKED_AT: Final = 50  # signatures of one message; a list in the wild has four
WHITE_SPACE: Final = re.compile(rb"[ \t]+")
AT_LINE_END: Final = re.compile(rb"[ \t]+\r\n")
TAG: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=([^;]*)")


def body_hash(body: bytes, *, relaxed: bool, length: int | None = None) -> bytes:
    """SHA-256 of the canonical form of a body whose lines end with CRLF, of no more than `length` octets of it."""
    canonical = relaxed_body(body) if relaxed else simple_body(body)
    return hashlib.sha256(canonical if length is None else memoryview(canonical)[:length]).digest()


def simple_body(body: bytes) -> bytes:
    """Empty lines at the end are left out, and there is one line end at least (RFC 6376 section 3.4.3)."""
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """White space is one space, at the end of a line none; empty lines at the end are left out (RFC 6376 section
    3.4.4)."""
    lines = WHITE_SPACE.sub(b" ", body).replace(b" \r\n", b"\r\n")
    lines = lines[:-1] if lines.endswith(b" ") else lines
    end = len(lines)
    while lines.endswith(b"\r\n", 0, end):
        end -= 2
    return lines[:end] + b"\r\n" if end else b""


def signers(header: Header, body: bytes) -> Iterator[str]:
    """The domains whose signatures fit this body: one that was changed on its way is no longer anybody's."""
    known: dict[tuple[bool, int | None], bytes] = {}
    fields = [field for field in header if field.name in SIGNATURES][:LOOKED_AT]
    for field in fields:
        tags = {name.lower(): value.strip() for name, value in TAG.findall(field.text.replace("\r\n", ""))}
        if tags.get("a", "").lower() not in ALGORITHMS:
            continue
        length = tags.get("l")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 20):
            continue
        how = (tags.get("c", "").lower().partition("/")[2] == "relaxed", None if length is None else int(length))
        if how not in known:
            known[how] = body_hash(body, relaxed=how[0], length=how[1])
        try:
            claimed = a2b_base64("".join(tags.get("bh", "").split()))
        except (NotBase64, ValueError):
            continue
        if claimed == known[how]:
            yield tags.get("d", "").lower()
