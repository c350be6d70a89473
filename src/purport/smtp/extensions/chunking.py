"""CHUNKING: a message in counted chunks instead of DATA (RFC 3030 section 2).

    C: BDAT 100000
    C: (100000 octets)
    C: BDAT 324 LAST
    C: (324 octets)
    S: 250 2.0.0 Ok
    S: 250 2.0.0 Ok: queued as 08XFKQY11Q9KQ

BDAT stands in every row of the table, as its octets follow it wherever it comes: a chunk out of place is read to its
end, thrown away and answered 503. A chunk that is refused ends the transaction; one that came before any recipient was
accepted leaves it to RSET, as what follows it would be a message without its beginning.

A size that cannot be read is answered 501 and ends the session: the octets of the chunk come all the same, and nothing
tells where they end and commands begin. To go on there would run the text of a message as commands.
"""

from __future__ import annotations

from typing import Final

from purport.smtp.extension import Extension
from purport.smtp.state import BDAT, LAST_CHUNK, State

EXTENSION: Final = Extension(
    keyword="CHUNKING",
    rfc=3030,
    verbs={
        State.START: {BDAT: State.START},
        State.READY: {BDAT: State.READY},
        State.MAIL: {BDAT: State.FAILED},
        State.RCPT: {BDAT: State.CHUNKS, LAST_CHUNK: State.READY},
        State.CHUNKS: {BDAT: State.CHUNKS, LAST_CHUNK: State.READY},
        State.FAILED: {BDAT: State.FAILED},
    },
)
