"""What is hashed of a message: its canonical form (RFC 6376 section 3.4).

relaxed header     "SubJect :  a \\t b\\r\\n\\tc \\r\\n"     ->  "subject:a b c\\r\\n"
relaxed body       "a \\t b  \\r\\n\\r\\n\\r\\n"             ->  "a b\\r\\n"
simple             as it stands; of the body without the empty lines at its end

Bodies come in pieces, cut anywhere, and are made canonical by a few operations on each piece.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, final

from purport.mail.header import Field, Header

CRLF: Final = b"\r\n"
WSP: Final = re.compile(rb"[ \t]+")
RUNS: Final = re.compile(rb"  | \r\n")  # what relaxed lines do not have; most bodies have none of it
B_VALUE: Final = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
MANY: Final = 32768  # empty lines that are held back
LINES: Final = CRLF * 4096  # empty lines that turn out not to stand at the end, a piece of them


def relaxed_field(raw: bytes) -> bytes:
    """A header field as relaxed canonicalization has it (RFC 6376 section 3.4.2)."""
    name, _, value = raw.partition(b":")
    value = value.replace(CRLF, b"")
    # What bytes.split() takes for white space besides SP and HTAB.
    if b"\n" in value or b"\r" in value or b"\v" in value or b"\f" in value:
        value = WSP.sub(b" ", value).strip(b" ")
    else:
        value = b" ".join(value.split())
    return name.rstrip(b" \t").lower() + b":" + value + CRLF


def without_b(raw: bytes) -> bytes:
    """A signature's header field with an empty b=, the white space around its value left out too (section 3.5)."""
    name, colon, value = raw.partition(b":")
    return name + colon + B_VALUE.sub(rb"\1", value, count=1)


@final
class SignedFields:
    """The fields of a header as signatures name them: of several with one name the lowest is the first (RFC 6376
    section 5.4.2). Shared by all signatures of a message, so that no field is made canonical twice."""

    __slots__ = ("_by_name", "_relaxed")

    def __init__(self, header: Header) -> None:
        self._by_name = header.by_name
        self._relaxed: dict[Field, bytes] = {}

    def count(self, name: str) -> int:
        """How many fields have this name (in lower case)."""
        return len(self._by_name.get(name, ()))

    def octets(self, names: Iterable[str], *, relaxed: bool, signature: bytes, apart: Field | None = None) -> bytes:
        """What is signed: the fields of these names (in lower case), then the raw field of the signature without b=
        and without its line end (RFC 6376 section 3.7). `apart` is that field in the header, which signs itself in no
        other way."""
        taken: dict[str, int] = {}
        pieces = []
        for name in names:
            fields = self._by_name.get(name)
            if fields is None:
                continue
            at = taken.get(name, len(fields)) - 1
            if at >= 0 and fields[at] is apart:
                at -= 1
            taken[name] = max(at, 0)
            if at >= 0:
                pieces.append(self._canonical(fields[at], relaxed))
        own = without_b(signature)
        pieces.append((relaxed_field(own) if relaxed else own).removesuffix(CRLF))
        return b"".join(pieces)

    def _canonical(self, field: Field, relaxed: bool) -> bytes:
        if not relaxed:
            return field.raw if field.raw.endswith(CRLF) else field.raw + CRLF
        known = self._relaxed.get(field)
        if known is None:
            known = self._relaxed[field] = relaxed_field(field.raw)
        return known


@final
class CanonicalBody:
    """Makes a body canonical while it comes, and hands it on (RFC 6376 section 3.4.3 and 3.4.4).

    At most two octets are held back, and the empty lines at the end are a number: memory does not grow with the body.
    So that a body which goes on behind millions of them costs no more at that moment than at any other, they are handed
    on once there are many, and taken back where nothing follows.
    """

    __slots__ = ("_any", "_back", "_empty", "_held", "_mark", "_marked", "_relaxed", "_take")

    def __init__(
        self,
        take: Callable[[bytes], None],
        mark: Callable[[], None] | None = None,
        back: Callable[[], None] | None = None,
        *,
        relaxed: bool,
    ) -> None:
        """`take` is given what is canonical; `mark` remembers how far that is, and `back` forgets what came behind.
        Without these nothing is handed on that would have to be taken back."""
        self._take = take
        self._mark = mark
        self._back = back
        self._marked = False  # whether empty lines were handed on that may yet turn out to be the end
        self._relaxed = relaxed
        self._held = b""  # what the next octets decide about: a CR, in relaxed form also a space before it
        self._empty = 0  # line ends that are left out where nothing follows them
        self._any = False  # whether something was handed on

    def update(self, octets: bytes) -> None:
        """The next piece of the body."""
        octets = self._held + octets
        if self._relaxed:
            octets = _relaxed_lines(octets)
        end = len(octets) - octets.endswith(b"\r")
        if self._relaxed and octets.endswith(b" ", 0, end):
            end -= 1
        self._held = octets[end:]
        self._settle(octets[:end])

    def finish(self) -> None:
        """The body is over."""
        rest = self._held.removesuffix(b" ") if self._relaxed else self._held  # a space at the end of the last line
        if rest:
            self._settle(rest)
        if self._marked and self._back is not None:
            self._back()
        if self._any or not self._relaxed:
            self._take(CRLF)

    def _settle(self, octets: bytes) -> None:
        """Hand on what is not perhaps the end."""
        ends = _line_ends(octets)
        content = octets[: len(octets) - 2 * ends] if ends else octets
        if content:
            self._hand_on_empty()
            self._marked = False
            self._take(content)
            self._any = True
        self._empty += ends
        if self._empty > MANY and self._mark is not None:
            if not self._marked:
                self._mark()
                self._marked = True
            self._hand_on_empty()

    def _hand_on_empty(self) -> None:
        while self._empty:
            count = min(self._empty, len(LINES) // 2)
            self._take(LINES[: 2 * count])
            self._empty -= count


def _relaxed_lines(octets: bytes) -> bytes:
    octets = octets.replace(b"\t", b" ")
    if RUNS.search(octets) is None:
        return octets
    while b"  " in octets:
        octets = octets.replace(b"  ", b" ")
    return octets.replace(b" \r\n", CRLF)


def _line_ends(octets: bytes) -> int:
    """How many CRLF stand at the end."""
    if not octets.endswith(CRLF):
        return 0
    tail = octets[len(octets.rstrip(CRLF)) :].replace(CRLF, b"\0")  # bare CR and LF may be among them
    return len(tail) - len(tail.rstrip(b"\0"))
