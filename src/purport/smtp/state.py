"""The SMTP server's state machine, as a table (RFC 5321 sections 3.3, 4.1.4).

    C: RCPT TO:<bob@company.com.example>
    S: 503 5.5.1 Bad sequence of commands       <- RCPT does not stand in the row of READY

Whatever decides which command may come now stands here, or in the rows that an extension adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final


class State(Enum):
    """Where a session stands."""

    START = "greeted, no EHLO yet"
    READY = "no mail transaction"
    MAIL = "a reverse-path"
    RCPT = "a reverse-path and at least one forward-path"
    DATA = "receiving the mail data"
    CHUNKS = "at least one chunk of the message, and not the last"
    FAILED = "a chunk came before any recipient: nothing but RSET helps"
    LOGIN = "a challenge was sent, and the next line is the response to it"
    HANDSHAKE = "nothing is read before the TLS handshake"
    REVERSED = "the client has become the server: nothing more is read here"
    CLOSED = "nothing more is read"

    # Members are compared by identity and few; Enum's own hash runs Python code, and this one is asked per command.
    __hash__ = object.__hash__


START, READY, MAIL, RCPT, DATA, CHUNKS, FAILED, LOGIN, HANDSHAKE, REVERSED, CLOSED = State

BDAT: Final = b"BDAT"
LAST_CHUNK: Final = b"BDAT LAST"  # stands for the end of a message in chunks where a verb is asked for
RESPONSE: Final = b"AUTH RESPONSE"  # stands for a response of an AUTH exchange where a verb is asked for

Row = Mapping[bytes, State]
Table = Mapping[State, Row]


def anywhere(here: State) -> dict[bytes, State]:
    """The commands that may come at any time outside mail data (RFC 5321 section 4.1.4)."""
    return {
        b"EHLO": READY,
        b"HELO": READY,
        b"NOOP": here,
        b"VRFY": here,
        b"EXPN": here,
        b"HELP": here,
        b"QUIT": CLOSED,
    }


# In each state: the verbs that may come, and the state that an accepting reply (2yz, 3yz) leads to. Any other reply
# leaves the state as it was. "." stands for the end of data: any reply to it ends the transaction. So does the refusal
# of a chunk.
TRANSITIONS: Final[Table] = {
    START: anywhere(START) | {b"RSET": START},
    READY: anywhere(READY) | {b"RSET": READY, b"MAIL": MAIL},
    MAIL: anywhere(MAIL) | {b"RSET": READY, b"RCPT": RCPT},
    RCPT: anywhere(RCPT) | {b"RSET": READY, b"RCPT": RCPT, b"DATA": DATA},
    DATA: {b".": READY},
    CHUNKS: anywhere(CHUNKS) | {b"RSET": READY},
    FAILED: anywhere(FAILED) | {b"RSET": READY},
    LOGIN: {RESPONSE: READY},  # or LOGIN again, where the answer is another challenge (334)
    HANDSHAKE: {},
    REVERSED: {},
    CLOSED: {},
}

TRANSACTION: Final = frozenset({MAIL, RCPT, DATA, CHUNKS, FAILED})  # the states in which a mail transaction is open


def with_rows(table: Table, added: Iterable[Table]) -> dict[State, dict[bytes, State]]:
    """The table with the rows that extensions add to it."""
    whole = {state: dict(row) for state, row in table.items()}
    for rows in added:
        for state, row in rows.items():
            whole[state].update(row)
    return whole
