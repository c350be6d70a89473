"""The header section of a message, read from the octets as they were received (RFC 5322 section 2.2).

    Received: from mx.example.com by mx.company.com.example;
     Mon, 23 Nov 2026 10:00:00 +0000          <- folded: still the same field
    From: alice@example.com

Order and raw octets are kept, lines may end with CRLF or LF, and no octets make it raise. A line that is no field stays
in its place without a name, so that `Received By: ...` (RFC 4405 section 5.3) disturbs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, final

HEADER_LIMIT: Final = 262144  # octets read; real headers have some thousands, and no server sends more than 100 KiB
FIELDS_LIMIT: Final = 2000  # fields read; 100 hops that add twenty fields each

# A field name, then white space that only the obsolete syntax allows, then the colon (RFC 5322 section 2.2 and 4.5.8);
# then the rest of the line and all that is folded. Or a whole line that is no field. Or the line that ends the header.
LINE: Final = re.compile(
    rb"(?:([!-9;-~]+)([ \t]*):[^\n]*\n?(?:[ \t][^\n]*\n?)*)|(?:\r?\n)|(?:[^\n]*\n?(?:[ \t][^\n]*\n?)*)"
)


@final
class Field:
    """One header field: its name in lower case (empty for a line that is no field) and its octets, line end included.

    `strict` is False where white space stands between name and colon, which no server of today may send (RFC 5322
    section 3.6.8).
    """

    __slots__ = ("_colon", "name", "raw", "strict")

    def __init__(self, name: str, raw: bytes, colon: int, strict: bool) -> None:
        self.name = name
        self.raw = raw
        self.strict = strict
        self._colon = colon

    @property
    def value(self) -> bytes:
        """What stands after the colon, unfolded, without white space at its ends."""
        octets = self.raw[self._colon + 1 :]
        if octets.find(b"\n", 0, len(octets) - 1) >= 0:
            octets = octets.replace(b"\r\n", b"").replace(b"\n", b"")
        return octets.strip(b" \t\r\n")

    @property
    def text(self) -> str:
        """The value as text; octets that are no UTF-8 stand there as surrogate escapes."""
        return self.value.decode("utf-8", "surrogateescape")

    @property
    def empty(self) -> bool:
        """Whether the value holds nothing but white space."""
        return not self.raw[self._colon + 1 :].strip()

    def __repr__(self) -> str:
        return f"Field({self.raw!r})"


@final
class Header:
    """The fields from top to bottom.

    `length` is the number of octets up to the body, the empty line included. `complete` is False where a limit ended
    the reading: what stands below is not known. `fields` do not change.
    """

    __slots__ = ("_by_name", "complete", "fields", "length")

    def __init__(self, fields: list[Field], length: int, complete: bool) -> None:
        self.fields = fields
        self.length = length
        self.complete = complete
        self._by_name: dict[str, list[Field]] | None = None

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def all(self, name: str) -> list[Field]:
        """Every field of this name (in lower case), from top to bottom."""
        return list(self.by_name.get(name, ()))

    @property
    def by_name(self) -> Mapping[str, Sequence[Field]]:
        """The fields by their names (in lower case), each from top to bottom. Made once: a dozen of our checks look for
        names that are not there."""
        if self._by_name is None:
            self._by_name = {}
            for field in self.fields:
                self._by_name.setdefault(field.name, []).append(field)
        return self._by_name

    @property
    def framed(self) -> bool:
        """Whether no CR stands in it but before LF: some readers end a line at any CR, and we end it at LF. The body of
        a message may be binary, its header never is (RFC 3030 section 3)."""
        octets = b"".join([field.raw for field in self.fields])
        return octets.count(b"\r") == octets.count(b"\r\n")

    def below(self, fields: list[Field]) -> Header:
        """The header with these fields on top of it."""
        return Header(fields + self.fields, sum(len(field.raw) for field in fields) + self.length, self.complete)

    def first(self, name: str) -> Field | None:
        """The topmost field of this name (in lower case)."""
        fields = self.by_name.get(name)
        return None if fields is None else fields[0]


def header_ends(octets: bytes, searched: int = 0) -> int:
    """How many octets of a message are header, the empty line included; -1 where its end is not among these octets, or
    lies beyond HEADER_LIMIT. It is known not to be among the first `searched` of them."""
    if octets.startswith((b"\n", b"\r\n")):
        return 1 if octets.startswith(b"\n") else 2
    start = max(0, searched - 2)  # its beginning may be among them
    strict = octets.find(b"\n\r\n", start, HEADER_LIMIT)
    lax = octets.find(b"\n\n", start, HEADER_LIMIT if strict < 0 else strict + 1)
    if lax >= 0:
        return lax + 2
    return -1 if strict < 0 else strict + 3


def read_header(octets: bytes, *, limit: int = HEADER_LIMIT, fields_limit: int = FIELDS_LIMIT) -> Header:
    """Read a header section, or the start of a message, up to its empty line or to a limit. Never raises."""
    fields: list[Field] = []
    position, end = 0, min(len(octets), limit)
    match = LINE.match
    while position < end:
        found = match(octets, position, end)
        if found is None or found.end() == position:
            break
        after = found.end()
        name = found[1]
        raw = found[0]
        if name is None and (raw == b"\r\n" or raw == b"\n"):
            return Header(fields, after, complete=True)
        if len(fields) == fields_limit:
            return Header(fields, position, complete=False)
        if name is not None:
            fields.append(Field(name.decode("ascii").lower(), raw, found.end(2) - position, not found[2]))
        else:
            fields.append(Field("", raw, -1, strict=False))
        position = after
    return Header(fields, position, complete=len(octets) <= limit)


def without_fields(head: bytes, header: Header, fields: Collection[Field]) -> bytes:
    """`head`, of which `header` was read, without some of its fields; what follows the header stays behind it. Fields
    are known by being the same objects: others with the same octets stay."""
    if not fields:
        return head
    left_out = {id(field) for field in fields}
    kept = [field.raw for field in header if id(field) not in left_out]
    read = sum(len(field.raw) for field in header)
    return b"".join((*kept, head[read:]))
