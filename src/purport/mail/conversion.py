"""A message for a host that takes 7-bit lines alone: what is not such becomes quoted-printable or base64 (RFC 6152
section 3, RFC 3030 section 4, RFC 2045 section 6).

Content-Type: text/plain; charset=utf-8                 Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit                    ->   Content-Transfer-Encoding: quoted-printable

Grüße                                                   Gr=C3=BC=C3=9Fe

Every part is converted by itself; multiparts and messages inside the message are gone through, as they may not be
encoded as a whole (RFC 2045 section 6.4). All that need not change stays as it was to the octet.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from dataclasses import dataclass
from email.message import Message
from typing import Final

from purport.mail.header import Field, Header, read_header
from purport.mail.reply import Reply, reply

DEPTH: Final = 50  # of parts inside of parts
PARTS: Final = 10_000
LINE_OCTETS: Final = 998  # RFC 5322 section 2.1.1, without CRLF
LEGIBLE: Final = 3  # a text of which less than one octet in so many is escaped can be read as it stands
LINE_LENGTH: Final = 76  # what fits into a line need not be weighed
BASE64_LINE: Final = 57  # octets that make a line of 76 characters (RFC 2045 section 6.8)
IDENTITY: Final = ("", "7bit", "8bit", "binary")
BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)|\0")
LONG: Final = re.compile(rb"[^\r\n]{%d}" % (LINE_OCTETS + 1))
TO_BE_ESCAPED: Final = re.compile(rb"[^\t\r\n -<>-~]")
PLAIN: Final = b"Content-Type: text/plain; charset=unknown-8bit\r\n"  # RFC 1428 section 3
ENCODING: Final = "content-transfer-encoding"


class CannotConvert(Exception):
    """The message has to stay as it is; `reply` says why."""

    def __init__(self, reason: str, *, status: str = "5.6.3") -> None:
        super().__init__(reason)
        self.reply: Reply = reply(554, status, f"Next hop takes 7-bit messages alone, and this one stays: {reason}")


@dataclass(slots=True)
class Walk:
    """How far the conversion of one message got."""

    pieces: list[bytes]
    parts: int = 0


def to_7bit(message: bytes) -> bytes:
    """The message with 7-bit lines. Raises CannotConvert."""
    walk = Walk([])
    _entity(walk, message, 0, top=True)
    return b"".join(walk.pieces)


def is_7bit(octets: bytes) -> bool:
    """Whether these are lines that every host takes."""
    return octets.isascii() and BARE.search(octets) is None and LONG.search(octets) is None


def _entity(walk: Walk, octets: bytes, depth: int, *, top: bool = False) -> None:
    """Convert a message or a body part."""
    walk.parts += 1
    if depth > DEPTH or walk.parts > PARTS:
        raise CannotConvert("it has too many parts")
    header = read_header(octets)
    head, body = octets[: header.length], octets[header.length :]
    if not is_7bit(head) or not header.complete:
        raise CannotConvert("a header holds octets that a header may not have")
    if is_7bit(body):
        walk.pieces.append(octets)
        return
    content = _content(header)
    kind = content.get_content_type()
    encoding = str(content[ENCODING] or "").strip().lower()
    if kind in ("multipart/signed", "multipart/encrypted"):
        raise CannotConvert(f"a part is {kind}", status="5.6.2")  # RFC 1847 section 2.1: to be treated as opaque
    if encoding not in IDENTITY:
        raise CannotConvert("a part is not encoded as it says")
    if kind.startswith("multipart/"):
        walk.pieces.append(_with_encoding(header, head, "7bit", top=False))
        _multipart(walk, body, _boundary(content), depth)
    elif kind == "message/rfc822":
        walk.pieces.append(_with_encoding(header, head, "7bit", top=False))
        _entity(walk, body, depth + 1)
    elif kind.startswith("message/"):
        raise CannotConvert(f"a part is {kind}")
    else:
        encoded, name = _encoded(body, text=kind.startswith("text/"))
        walk.pieces += (_with_encoding(header, head, name, top=top), encoded)


def _boundary(content: Message) -> str | None:
    """The boundary of a multipart. Raises CannotConvert."""
    try:
        return content.get_boundary()
    except ValueError:  # UnicodeError is one: RFC 2231 lets it be in any charset
        raise CannotConvert("a multipart has a boundary in a charset that cannot be read") from None


def _multipart(walk: Walk, body: bytes, boundary: str | None, depth: int) -> None:
    """Convert the parts between the delimiters, which stay as they are (RFC 2046 section 5.1.1)."""
    if not boundary or not boundary.isascii():
        raise CannotConvert("a multipart has no boundary")
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary.encode("ascii")) + rb"(--)?[ \t]*(?:\r\n|\Z)")
    position = 0
    inside = False
    while (found := delimiter.search(body, position)) is not None:
        _between(walk, body[position : found.start()], depth, inside=inside)
        walk.pieces.append(found[0])
        position = found.end()
        inside = found[1] is None
        if not inside:
            break
        # An empty part: the line end behind the delimiter is the one before the next.
        if body.startswith(b"--" + boundary.encode("ascii"), position):
            raise CannotConvert("a multipart has a part without an empty line")
    if inside:
        raise CannotConvert("a multipart has no end")
    _between(walk, body[position:], depth, inside=False)


def _between(walk: Walk, octets: bytes, depth: int, *, inside: bool) -> None:
    if inside:
        _entity(walk, octets, depth + 1)
    elif is_7bit(octets):
        walk.pieces.append(octets)
    else:
        raise CannotConvert("there are octets above 127 before or behind its parts")


def _content(header: Header) -> Message:
    """The fields that say what an entity is, as the standard library reads them."""
    content = Message()
    for name in ("content-type", ENCODING):
        field = header.first(name)
        if field is not None:
            content[name] = field.value.decode("ascii", "replace")
    return content


def _with_encoding(header: Header, head: bytes, encoding: str, *, top: bool) -> bytes:
    """The header with this encoding said; of a message that is not MIME also what makes it so."""
    line = f"Content-Transfer-Encoding: {encoding}\r\n".encode("ascii")
    fields = [field for field in header if field.name != ENCODING]
    had = len(fields) < len(header)
    if encoding == "7bit" and not had:
        return head  # which is what nothing said means (RFC 2045 section 6.1)
    added = b""
    if top and header.first("mime-version") is None:
        added += b"MIME-Version: 1.0\r\n"
    if top and header.first("content-type") is None:
        added += PLAIN
    written = b"".join(_whole(field) for field in fields)
    rest = head[sum(len(field.raw) for field in header) :]  # the empty line
    return written + added + line + (rest or b"\r\n")


def _whole(field: Field) -> bytes:
    return field.raw if field.raw.endswith(b"\n") else field.raw + b"\r\n"


def _encoded(body: bytes, *, text: bool) -> tuple[bytes, str]:
    """A body in the encoding that suits it, and its name: quoted-printable where that can be read, else base64."""
    if text and BARE.search(body) is None and len(TO_BE_ESCAPED.findall(body)) * LEGIBLE < len(body) + LINE_LENGTH:
        # With a line end behind it, so that the encoder knows how lines end here.
        return b2a_qp(body + b"\r\n", quotetabs=False, istext=True)[:-2], "quoted-printable"
    lines = [b2a_base64(body[at : at + BASE64_LINE], newline=False) for at in range(0, len(body), BASE64_LINE)]
    return b"\r\n".join(lines) + b"\r\n" * bool(lines), "base64"
