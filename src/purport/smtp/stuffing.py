"""Mail data on its way out: transparency or chunks, and strict line endings (RFC 5321 sections 4.5.2, 2.3.8)."""

from __future__ import annotations

import re
from typing import Final

CRLF: Final = b"\r\n"
END_OF_DATA: Final = b".\r\n"  # after a CRLF
DOT: Final = 0x2E

LONE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class DataWriter:
    """Turns the octets of a message, in whatever pieces they come, into what may follow a 354.

    A piece without a line that begins with a dot goes out as it is, uncopied. A bare CR or LF, which no stored
    message should hold, becomes CRLF: a next hop that takes it for a line ending must not see another message
    than one that does not.
    """

    __slots__ = ("_held", "_line_start")

    def __init__(self) -> None:
        self._line_start = True  # the 354 exchange ended a line
        self._held = b""  # a CR whose LF may be in the next piece

    def feed(self, octets: bytes) -> list[bytes]:
        """What to send for the next octets of the message."""
        if self._held:
            octets, self._held = self._held + octets, b""
        if octets.endswith(b"\r"):
            octets, self._held = octets[:-1], b"\r"
        if not octets:
            return []
        line_feeds = octets.count(b"\n")
        if octets.count(CRLF) != line_feeds or octets.count(b"\r") != line_feeds:
            octets = LONE.sub(CRLF, octets)
        if b"\r\n." in octets:
            octets = octets.replace(b"\r\n.", b"\r\n..")
        pieces = [b".", octets] if self._line_start and octets[0] == DOT else [octets]
        self._line_start = octets.endswith(CRLF)
        return pieces

    def end(self) -> bytes:
        """What to send after the last octets: the message's last line ends, then comes the end of data."""
        return END_OF_DATA if self._line_start and not self._held else CRLF + END_OF_DATA


class ChunkWriter:
    """Turns the octets of a message, in whatever pieces they come, into BDAT commands with their octets (RFC 3030
    section 2), one for each piece. A bare CR or LF becomes CRLF, as in DataWriter; a `binary` message stays as it is.
    """

    __slots__ = ("_binary", "_held", "_waiting")

    def __init__(self, *, binary: bool) -> None:
        self._binary = binary
        self._held = b""  # a CR whose LF may be in the next piece
        self._waiting: bytes | None = None  # the piece before: only now it is known whether it is the last one

    def feed(self, octets: bytes) -> bytes | None:
        """The chunk to send now that the next octets of the message are known, if there is one."""
        if not self._binary:
            octets = self._framed(octets)
        if not octets:
            return None
        chunk, self._waiting = self._waiting, octets
        return chunk

    def _framed(self, octets: bytes) -> bytes:
        if self._held:
            octets, self._held = self._held + octets, b""
        if octets.endswith(b"\r"):
            octets, self._held = octets[:-1], b"\r"
        line_feeds = octets.count(b"\n")
        if octets.count(CRLF) != line_feeds or octets.count(b"\r") != line_feeds:
            octets = LONE.sub(CRLF, octets)
        return octets

    def end(self) -> bytes:
        """The last chunk."""
        return (self._waiting or b"") + (CRLF if self._held else b"")


def bdat(chunk: bytes, *, last: bool = False) -> bytes:
    """The command before a chunk."""
    return b"BDAT %d LAST\r\n" % len(chunk) if last else b"BDAT %d\r\n" % len(chunk)
