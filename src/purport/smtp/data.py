"""Mail data: where it ends, and what is not allowed in it (RFC 5321 sections 4.1.1.4, 4.5.2).

    C: ..dots at the start of a line are doubled<CRLF>
    C: .<CRLF>

Only <CRLF>.<CRLF> ends mail data. A CR or LF that is not part of a CRLF makes the message one that is refused, but it
is read to its true end first: a server that guesses where a line ends is what SMTP smuggling needs (CERT VU#302671).
"""

from __future__ import annotations

from typing import Final, final

from purport.mail.reply import BARE_LINE_ENDING_IN_DATA, MESSAGE_TOO_BIG, Reply

CRLF: Final = b"\r\n"
DOT_AT_LINE_START: Final = b"\r\n."
END_OF_DATA: Final = b"\r\n.\r\n"
ALL_BUT_LINE_ENDINGS: Final = bytes(octet for octet in range(256) if octet not in CRLF)


@final
class DataReader:
    """Turn the octets after 354 into message octets, whatever way they were cut in pieces.

    `_held` is what may yet turn out to be the start of the end of data; it begins with a CR, so a piece that is handed
    on never starts or ends between a CR and its LF, and no dot is judged without the line ending before it.
    """

    __slots__ = ("_after_cr", "_held", "_limit", "_octets", "_unframed", "_virtual", "doubtful", "ended", "rest")

    def __init__(self, limit: int) -> None:
        self._held = CRLF  # stands for the line ending of the command: the data may start with its dot
        self._virtual = len(CRLF)  # octets at the start of `_held` that are not part of the message
        self._limit = limit
        self._octets = 0
        self._unframed = False
        self._after_cr = False  # whether the last octet handed on was a CR
        self.ended = False
        self.doubtful = False  # whether it ended with <CR><CRLF>.<CRLF>, which other servers may take for text
        self.rest = b""  # what followed the end of data

    @property
    def fault(self) -> Reply | None:
        """Why the message must be refused; what of it was handed on is to be thrown away.

        Known once `ended`: of two faults the one with the bad line ending counts, wherever it stands.
        """
        if self._unframed:
            return BARE_LINE_ENDING_IN_DATA
        return MESSAGE_TOO_BIG if self._octets > self._limit else None

    def feed(self, octets: bytes) -> bytes:
        """The message octets in this piece, transparency undone; nothing more once there is a fault."""
        data = self._held + octets if self._held else octets
        # Large messages are base64, where no dot is: one octet is looked for many times as fast as three.
        dot = data.find(DOT_AT_LINE_START) if b"." in data else -1
        end = dot
        if dot >= 0 and not data.startswith(CRLF, dot + len(DOT_AT_LINE_START)):
            end = data.find(END_OF_DATA, dot + len(DOT_AT_LINE_START))
        if end >= 0:
            self.ended = True
            self.rest = data[end + len(END_OF_DATA) :]
            self._held = b""
            end += len(CRLF)  # the line ending before the dot belongs to the message
        else:
            end = len(data) - held_length(data)
            self._held = data[end:]
        start, self._virtual = self._virtual, 0 if end else self._virtual
        if end <= start:
            return b""
        if dot < 0 or dot >= end - len(CRLF):
            piece = data[start:end]
        else:
            piece = data[:end].replace(DOT_AT_LINE_START, CRLF)[start:]
        return self._checked(piece)

    def _checked(self, piece: bytes) -> bytes:
        """The piece, where there is nothing against it. A message with a fault is read to its end, and not kept."""
        self._octets += len(piece)
        if len(piece.translate(None, ALL_BUT_LINE_ENDINGS)) != 2 * piece.count(CRLF):
            self._unframed = True
        if self._unframed:
            self.doubtful = self.ended and (piece.endswith(b"\r\r\n") or (self._after_cr and piece == CRLF))
            self._after_cr = piece.endswith(b"\r")
        return b"" if self._unframed or self._octets > self._limit else piece


def held_length(data: bytes) -> int:
    """How many octets at the end of `data` may be the start of the end of data."""
    for length in (4, 3, 2, 1):
        if data.endswith(END_OF_DATA[:length]):
            return length
    return 0
