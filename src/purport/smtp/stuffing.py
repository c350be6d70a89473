"""Mail data on its way out: transparency and strict line endings (RFC 5321 section 4.5.2, section 2.3.8)."""

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
