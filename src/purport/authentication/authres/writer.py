"""Writing our Authentication-Results field (RFC 8601 section 2.2 and 4).

What stands in it came from others: a domain that a signer chose, an address that a client gave. Each value is written
bare only where it is a plain word or address, else as a quoted-string, so that whatever it holds ends no string, no
comment and no line, and every reader reads what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from purport.authentication.authres.reader import ADDRESS, AT_DOMAIN, QUOTED_STRING
from purport.authentication.authres.results import VERSION, AuthenticationResults, MethodResult, cleaned
from purport.mail.address import BEYOND

MOST_KEPT: Final = 1024  # fields kept written, of results with as many characters as below at most
KEPT_LENGTH: Final = 2048
LINE: Final = 78  # octets, without its end, that a line should have at most (RFC 5322 section 2.1.1)
# A token that every reader takes: of RFC 2045's, nothing that another grammar uses ("'" is a quote to some).
PLAIN: Final = re.compile(rf"[A-Za-z0-9._+{BEYOND}-]+")
TO_QUOTE: Final = re.compile(r'(["\\])')
TO_ESCAPE: Final = re.compile(r"([()\\])")
# Where a quoted-string or comment may be folded: at a space between words. Unfolding gives the space back.
FOLDABLE: Final = re.compile(r"(?<=[^ ])(?= [^ ])")


def field(said: AuthenticationResults, *, utf8: bool = False) -> bytes:
    """The field, line end included, each result on a line of its own; `utf8` where the message is internationalized.

    It says what `cleaned` makes of the results. Raises ValueError as that does.
    """
    return folded("Authentication-Results:", payload(said, utf8=utf8))


_field_before: Final = lru_cache(MOST_KEPT)(field)


def field_again(said: AuthenticationResults) -> bytes:
    """The same for what is likely to be said of the next message too: those that are met most often are kept."""
    length = sum([len(result.reason) + len(result.comment) for result in said.results])
    return _field_before(said) if length <= KEPT_LENGTH else field(said)


def payload(said: AuthenticationResults, *, utf8: bool = False) -> list[str]:
    """What the field says, in pieces between which a line may end; a piece that begins with a line end has to."""
    said = cleaned(said, utf8=utf8)
    pieces = [*_foldable(f" {_value(said.authserv_id)}")]
    if not said.results:
        return [*pieces[:-1], f"{pieces[-1]};", " none"]
    for result in said.results:
        pieces[-1] += ";"
        first, *more = _result(result)
        pieces += [f"\n{first}", *more]
    return pieces


def folded(name: str, pieces: list[str]) -> bytes:
    """A field of pieces: lines of 78 octets where its words allow that, and never of more than 998. Where a line begins
    with a piece that has no space at its start, it gets one."""
    lines: list[bytes] = []
    line = name.encode("ascii")
    for piece in pieces:
        octets = piece.lstrip("\n").encode("utf-8")
        if piece.startswith("\n") or len(line) + len(octets) > LINE:
            lines.append(line)
            line = b"" if octets.startswith(b" ") else b" "
        line += octets
    return b"\r\n".join((*lines, line, b""))


def _result(result: MethodResult) -> Iterator[str]:
    version = "" if result.version == VERSION else f"/{result.version}"
    yield f" {result.method}{version}={result.result}"
    if result.comment:
        yield from _foldable(f" ({_escaped(result.comment)})")
    if result.reason:
        yield from _foldable(f" reason={_value(result.reason)}")
    for ptype, name, value in result.properties:
        yield from _foldable(f" {ptype}.{name}={_property_value(value)}")


def _property_value(value: str) -> str:
    if ADDRESS.fullmatch(value) is not None:
        return value
    quoted = QUOTED_STRING.match(value)
    if quoted is not None and AT_DOMAIN.fullmatch(value, quoted.end()) is not None:
        return value
    return _value(value)


def _value(text: str) -> str:
    if PLAIN.fullmatch(text) is not None:
        return text
    escaped = TO_QUOTE.sub(r"\\\1", text)
    return f'"{escaped}"'


def _escaped(comment: str) -> str:
    return TO_ESCAPE.sub(r"\\\1", comment)


def _foldable(piece: str) -> list[str]:
    return FOLDABLE.split(piece)
