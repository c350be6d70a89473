"""The hashes of a body, made while it comes (RFC 6376 section 3.7).

Every form that some signature asks for is hashed once, whatever the number of signatures and of pieces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import final

from purport.authentication.dkim.canonical import CanonicalBody
from purport.mail.header import HEADER_LIMIT, Header, header_ends, read_header


@dataclass(frozen=True, slots=True)
class BodyForm:
    """What a signature covers of a body: its canonical form, whole or the first `length` octets of it (l=). The hash is
    SHA-256, the only one that is still valid (RFC 8301 section 3.1)."""

    relaxed: bool
    length: int | None = None


@dataclass(frozen=True, slots=True)
class BodyHash:
    """The hash of a body in some form, and how many octets its whole canonical form has."""

    digest: bytes
    octets: int


BodyHashes = Mapping[BodyForm, BodyHash]


@final
class BodyHasher:
    """Hashes a body in all forms that are asked for. What is held is independent of its size."""

    __slots__ = ("_ways",)

    def __init__(self, forms: Iterable[BodyForm]) -> None:
        by_kind: dict[bool, list[_Digest]] = {}
        for form in dict.fromkeys(forms):
            by_kind.setdefault(form.relaxed, []).append(_Digest(form))
        self._ways = [(_way(digests, relaxed), digests) for relaxed, digests in by_kind.items()]

    def update(self, octets: bytes) -> None:
        """The next piece of the body, whatever way it is cut."""
        for canonical, _ in self._ways:
            canonical.update(octets)

    def finish(self) -> BodyHashes:
        """The hashes. Once, at the end."""
        for canonical, _ in self._ways:
            canonical.finish()
        return {
            digest.form: BodyHash(digest.hash.digest(), digest.octets)
            for _, digests in self._ways
            for digest in digests
        }


@final
class MessageHasher:
    """Hashes the body of a message that comes in pieces, header first.

    `forms` says what to hash as soon as the header is there: the forms of its signatures, or that of one to be made.
    """

    __slots__ = ("_body", "_forms", "_head", "_searched", "header")

    def __init__(self, forms: Callable[[Header], Iterable[BodyForm]]) -> None:
        self.header: Header | None = None
        self._forms = forms
        self._head = b""
        self._searched = 0
        self._body: BodyHasher | None = None

    def update(self, octets: bytes) -> None:
        """The next piece of the message."""
        if self._body is not None:
            self._body.update(octets)
        elif self.header is None:
            self._head += octets
            end = header_ends(self._head, self._searched)
            if end >= 0:
                self._begin(self._head[:end], self._head[end:])
            elif len(self._head) > HEADER_LIMIT:
                self.header = read_header(self._head)  # which says that it is not complete
                self._head = b""
            self._searched = len(self._head)

    def finish(self) -> BodyHashes:
        """The hashes of the body; none where the header was too long to tell where the body begins."""
        if self.header is None:  # nothing but a header
            self._begin(self._head, b"")
        return {} if self._body is None else self._body.finish()

    def _begin(self, head: bytes, body: bytes) -> None:
        self.header = read_header(head)
        self._head = b""
        self._body = BodyHasher(self._forms(self.header))
        self._body.update(body)


def hash_body(body: Iterable[bytes], *forms: BodyForm) -> BodyHashes:
    """The hashes of a body that is there, in one or more pieces."""
    hasher = BodyHasher(forms)
    for piece in body:
        hasher.update(piece)
    return hasher.finish()


@final
class _Digest:
    """One hash of a canonical body."""

    __slots__ = ("form", "hash", "octets")

    def __init__(self, form: BodyForm) -> None:
        self.form = form
        self.hash = hashlib.sha256()
        self.octets = 0

    def take(self, octets: bytes) -> None:
        length = self.form.length
        if length is None:
            self.hash.update(octets)
        elif self.octets < length:
            self.hash.update(memoryview(octets)[: length - self.octets])
        self.octets += len(octets)


def _way(digests: list[_Digest], relaxed: bool) -> CanonicalBody:
    if len(digests) == 1:
        return CanonicalBody(digests[0].take, relaxed=relaxed)

    def take(octets: bytes) -> None:
        for digest in digests:
            digest.take(octets)

    return CanonicalBody(take, relaxed=relaxed)
