"""Mail data in chunks: octets that are counted, not searched (RFC 3030 section 2).

    C: BDAT 86
    C: To: Susan@random.com<CRLF> ...           <- 86 octets, whatever they are, then the next command
    C: BDAT 0 LAST

Where a chunk ends is told before it comes, so no octet in it can end it. That nothing with a bare CR or LF leaves this
server holds here too: a message that is not BODY=BINARYMIME is refused for one, at its last chunk.
"""

from __future__ import annotations

from typing import Final, final

from purport.mail.reply import BARE_LINE_ENDING_IN_DATA, MESSAGE_TOO_BIG, Reply
from purport.smtp.data import CRLF

SMALL: Final = 256  # octets below which a chunk, the last one aside, costs more than it brings
# Of a refused chunk, read only to be thrown away (RFC 3030 section 2); to read on through more would serve nobody.
DROP_OCTETS: Final = 1073741824


@final
class ChunkReader:
    """The chunks of one message.

    `begin` a chunk, `feed` what arrived until nothing is `left`, then look at its `fault`.
    """

    __slots__ = ("_after_cr", "_binary", "_limit", "_octets", "_refusal", "_unframed", "last", "left")

    def __init__(self, limit: int, *, binary: bool) -> None:
        """`limit` is for the octets of all chunks; those of a `binary` message are not looked at."""
        self._limit = limit
        self._binary = binary
        self._octets = 0
        self._unframed = False
        self._after_cr = False  # whether the last octet handed on was a CR
        self._refusal: Reply | None = None
        self.left = 0  # octets of the chunk that have not come yet
        self.last = False

    def begin(self, octets: int, refusal: Reply | None, *, last: bool) -> None:
        """The next chunk, and what is wrong with it before it has come. A refused one is read and thrown away."""
        if refusal is None and self._octets + octets > self._limit:
            refusal = MESSAGE_TOO_BIG
        self._refusal = refusal
        self.left = octets if refusal is None or octets <= max(DROP_OCTETS, self._limit) else 0
        self.last = last

    def feed(self, octets: bytes) -> bytes:
        """The message octets among the next octets of the chunk, at most `left`: all of them, where nothing is wrong
        with it."""
        self.left -= len(octets)
        if self._refusal is not None:
            return b""
        self._octets += len(octets)
        if not self._binary:
            self._check(octets)
        return b"" if self._unframed else octets

    def _check(self, octets: bytes) -> None:
        """Whether every CR and every LF belongs to a CRLF, also where a piece or a chunk ends between the two."""
        line_ends = octets.count(CRLF)
        begins_with_lf = self._after_cr and octets.startswith(b"\n")
        if self._after_cr and not begins_with_lf:
            self._unframed = True
        self._after_cr = octets.endswith(b"\r")
        if octets.count(b"\n") - begins_with_lf != line_ends or octets.count(b"\r") - self._after_cr != line_ends:
            self._unframed = True

    @property
    def fault(self) -> Reply | None:
        """Why the chunk must be refused, and the message with it; to be asked when nothing is left of the chunk."""
        if self._refusal is None and self.last and (self._unframed or self._after_cr):
            return BARE_LINE_ENDING_IN_DATA
        return self._refusal
