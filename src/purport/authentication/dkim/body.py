"""The hashes of a body, made while it comes (RFC 6376 section 3.7).

Every form that some signature asks for is hashed once, whatever the number of signatures and of pieces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

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
        lengths: dict[bool, set[int | None]] = {}
        for form in forms:
            lengths.setdefault(form.relaxed, set()).add(form.length)
        self._ways = [_Way(relaxed, wanted) for relaxed, wanted in lengths.items()]

    def update(self, octets: bytes) -> None:
        """The next piece of the body, whatever way it is cut."""
        for way in self._ways:
            way.canonical.update(octets)

    def finish(self) -> BodyHashes:
        """The hashes. Once, at the end."""
        if not self._ways:
            return {}
        return {BodyForm(way.relaxed, length): found for way in self._ways for length, found in way.finish().items()}


NOTHING: Final = BodyHasher(())


@final
class MessageHasher:
    """Hashes the body of a message that comes in pieces, header first.

    `forms` says what to hash as soon as the header is there: the forms of its signatures, or that of one to be made.
    """

    __slots__ = ("_body", "_forms", "_head", "_searched", "header")

    def __init__(self, forms: Callable[[Header], Collection[BodyForm]]) -> None:
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
        # Asked once; who is asked may hold this object, and a circle would wait for the collector, with all it holds.
        forms, self._forms = self._forms, _none
        wanted = forms(self.header)
        self._body = hasher = BodyHasher(wanted) if wanted else NOTHING
        hasher.update(body)


def _none(_header: Header) -> Collection[BodyForm]:
    return ()


def hash_body(body: Iterable[bytes], *forms: BodyForm) -> BodyHashes:
    """The hashes of a body that is there, in one or more pieces."""
    hasher = BodyHasher(forms)
    for piece in body:
        hasher.update(piece)
    return hasher.finish()


@final
class _Way:
    """One canonical form, hashed once: for l= the hash is copied where that many octets went into it."""

    __slots__ = ("_cut", "_digests", "_hash", "_lengths", "_marked", "_octets", "canonical", "relaxed")

    def __init__(self, relaxed: bool, lengths: set[int | None]) -> None:
        self.relaxed = relaxed
        self.canonical = CanonicalBody(self._take, self._mark, self._back, relaxed=relaxed)
        self._hash = hashlib.sha256()
        self._octets = 0
        self._lengths = lengths
        self._cut = sorted([length for length in lengths if length is not None], reverse=True)  # the next one last
        self._digests: dict[int | None, bytes] = {}
        self._mark()

    def _take(self, octets: bytes) -> None:
        rest = memoryview(octets)
        while self._cut and self._cut[-1] <= self._octets + len(rest):
            length = self._cut.pop()
            piece = length - self._octets
            self._hash.update(rest[:piece])
            rest = rest[piece:]
            self._octets = length
            self._digests[length] = self._hash.copy().digest()
        self._hash.update(rest)
        self._octets += len(rest)

    def _mark(self) -> None:
        self._marked = self._hash.copy(), self._octets, self._cut.copy(), self._digests.copy()

    def _back(self) -> None:
        self._hash, self._octets, self._cut, self._digests = self._marked

    def finish(self) -> dict[int | None, BodyHash]:
        """The hashes by length; where that is more than there is, of all."""
        self.canonical.finish()
        del self.canonical  # which holds this object: a circle would wait for the collector
        whole = self._hash.digest()
        return {length: BodyHash(self._digests.get(length, whole), self._octets) for length in self._lengths}
