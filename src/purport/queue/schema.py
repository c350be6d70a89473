"""The tables of the SQLite store, how a database is opened, and how rows become messages.

A message is one row of `message` (its body in the row where it is small) and one row of `recipient` for each
recipient that is not finished. A message without recipients does not exist.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from purport.mail.address import NULL, Mailbox, ReversePath
from purport.mail.envelope import NO_PARAMETERS, Parameters
from purport.queue.store import QueuedMessage, QueuedRecipient

DATABASE: Final = "queue.db"
PAGE_SIZE: Final = 4096
BODIES: Final = "bodies"
LOCK: Final = "lock"
APPLICATION_ID: Final = 0x50757270  # "Purp", so that file(1) and we know our own databases

# The columns that rows are searched and listed by come first and the body last: SQLite reads the pages of a
# long row only as far as it is asked for.
MESSAGE: Final = (
    "id, arrived_at, expires_at, hops, size, reverse_path, parameters, trace, file, place, body"  # in this order
)
RECIPIENT: Final = (
    "message, number, leased, held, attempts, due_at, next_hop, forward_path, parameters, priority, release_at"
)
STATUS: Final = "last_reply, last_host, transcript, warned"

# A row of the view `change` is a change, and triggers carry it out: so a group of changes of any mix is one statement,
# and that is a transaction by itself. Around each statement the writer has to win the interpreter's lock back from a
# busy event loop several times, which takes longer than the statement.
ACCEPT: Final = 1  # a message with its first recipient enters
FURTHER: Final = 2  # another recipient of it
FINISH: Final = 3  # a recipient leaves, and with the last one the message
ARRIVAL: Final = "number, leased, held, attempts, due_at, next_hop, forward_path, rcpt_parameters, priority, release_at"
CHANGE: Final = f"kind, {MESSAGE}, {ARRIVAL}"


NO_MESSAGE: Final = (None,) * MESSAGE.count(",")  # after the id
NO_RECIPIENT: Final = (None,) * ARRIVAL.count(",")  # after the number


def columns(names: str, form: str) -> str:
    """Each name of a list of columns in a form such as `NEW.{}`."""
    return ", ".join(form.format(name) for name in names.split(", "))


CHANGES: Final = f"""
    CREATE TEMP VIEW change AS SELECT {columns(CHANGE, "NULL AS {}")};
    CREATE TEMP TRIGGER accept INSTEAD OF INSERT ON change WHEN NEW.kind = {ACCEPT} BEGIN
        INSERT INTO message ({MESSAGE}) VALUES ({columns(MESSAGE, "NEW.{}")});
        INSERT INTO recipient ({RECIPIENT}) VALUES (NEW.id, {columns(ARRIVAL, "NEW.{}")});
    END;
    CREATE TEMP TRIGGER further INSTEAD OF INSERT ON change WHEN NEW.kind = {FURTHER} BEGIN
        INSERT INTO recipient ({RECIPIENT}) VALUES (NEW.id, {columns(ARRIVAL, "NEW.{}")});
    END;
    CREATE TEMP TRIGGER finish INSTEAD OF INSERT ON change WHEN NEW.kind = {FINISH} BEGIN
        DELETE FROM recipient WHERE message = NEW.id AND number = NEW.number;
        DELETE FROM message WHERE id = NEW.id AND NOT EXISTS (SELECT 1 FROM recipient WHERE message = NEW.id);
    END;
"""

# Rows of next hops that begin with ON_DEMAND, as far as they wait; a query has to say the same to use the index.
ON_DEMAND_ROWS: Final = "leased = 0 AND held = 0 AND next_hop >= 'odmr:' AND next_hop < 'odmr;'"

# Each script leads from the version that is its index to the next one.
MIGRATIONS: Final = (
    """
    CREATE TABLE message (
        id INTEGER PRIMARY KEY,             -- the number of the queue id: rows are appended in the order of time
        arrived_at REAL NOT NULL,           -- seconds since 1970, UTC
        expires_at REAL NOT NULL,
        hops INTEGER NOT NULL,
        size INTEGER NOT NULL,              -- octets of the body
        reverse_path TEXT,                  -- NULL: the null reverse-path
        parameters BLOB,                    -- of MAIL, as on the wire
        trace BLOB NOT NULL,                -- the header fields we added
        file INTEGER,                       -- the body's file and its place there, where it is in one
        place INTEGER,
        deleted INTEGER NOT NULL DEFAULT 0, -- by an operator; the store's owner removes it with its file
        body BLOB
    );
    CREATE TABLE recipient (
        message INTEGER NOT NULL,
        number INTEGER NOT NULL,            -- position in the envelope
        leased INTEGER NOT NULL,            -- a worker of the running server has it
        held INTEGER NOT NULL,              -- an operator, or the settings, hold it
        attempts INTEGER NOT NULL DEFAULT 0,
        due_at REAL NOT NULL,
        next_hop TEXT NOT NULL,
        forward_path TEXT NOT NULL,
        parameters BLOB,                    -- of RCPT, as on the wire
        last_reply TEXT NOT NULL DEFAULT '',
        last_host TEXT NOT NULL DEFAULT '',
        transcript TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (message, number)
    ) WITHOUT ROWID;
    -- Partial: a message that is delivered at its first attempt never touches an index.
    CREATE INDEX recipient_due ON recipient (due_at) WHERE leased = 0 AND held = 0;
    CREATE INDEX message_deleted ON message (deleted) WHERE deleted = 1;
    CREATE INDEX message_file ON message (file) WHERE file IS NOT NULL;
    """,
    # Whether the sender was told that the recipient waits.
    "ALTER TABLE recipient ADD COLUMN warned INTEGER NOT NULL DEFAULT 0",
    # Both are the message's; they stand here as its own row has them behind the body. The index finds what is due of
    # one priority after the other; it is as partial as before.
    """
    ALTER TABLE recipient ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE recipient ADD COLUMN release_at REAL NOT NULL DEFAULT 0;  -- 0: at once
    DROP INDEX recipient_due;
    CREATE INDEX recipient_due ON recipient (priority, due_at) WHERE leased = 0 AND held = 0;
    """,
    # What waits for a host that comes for it is found without a look at what does not.
    f"CREATE INDEX recipient_on_demand ON recipient (next_hop, message) WHERE {ON_DEMAND_ROWS}",
)


class WrongDatabase(Exception):
    """The file is not one of ours, or of a newer version than this program knows."""


def connect(folder: Path, *, busy_seconds: float) -> sqlite3.Connection:
    """Open the database of a spool folder; transactions are begun and ended by statements of ours."""
    connection = sqlite3.connect(
        folder / DATABASE, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Make a database what the store's owner needs. Raises WrongDatabase."""
    # Has to come first: it counts for new databases only. Messages of 4 KiB take one page and a bit; see
    # docs/queue.md for what was measured.
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    # No vacuum: pages of delivered messages are taken by the next ones, so that the file keeps the size of
    # the longest queue it ever held; auto_vacuum would move pages at every commit to shrink it.
    connection.execute("PRAGMA auto_vacuum = NONE")
    connection.execute("PRAGMA journal_mode = WAL")
    # In WAL mode only FULL syncs at every commit: without it a 250 would be a promise of the page cache.
    connection.execute("PRAGMA synchronous = FULL")
    # At 32 MiB of log a commit copies what is left of it into the database and starts it anew; most of it has
    # been copied by then (`Checkpointer`), so that the commit takes little longer than others.
    connection.execute("PRAGMA wal_autocheckpoint = 8000")
    # The log is not cut after a checkpoint but written again from its start, over blocks that exist: a sync
    # has then no metadata to write. A log that grew beyond this is cut to it.
    connection.execute("PRAGMA journal_size_limit = 67108864")
    # Debian's SQLite overwrites what is deleted with zeros, and logs those pages. Nothing here is secret once
    # it is delivered that was not before.
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("PRAGMA cache_size = -8192")
    migrate(connection)
    connection.executescript(CHANGES)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the tables; 0: there are none yet. Raises WrongDatabase."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID and (version or application):
        raise WrongDatabase("the database belongs to another program")
    if version > len(MIGRATIONS):
        raise WrongDatabase(f"the queue has version {version}; this program knows {len(MIGRATIONS)}: it is older")
    return int(version)


def check_version(connection: sqlite3.Connection) -> None:
    """Whether the tables are those that this program knows. Raises WrongDatabase."""
    version = version_of(connection)
    if version < len(MIGRATIONS):
        raise WrongDatabase(
            f"the queue has version {version}; start the server once: it brings it to {len(MIGRATIONS)}"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to this program's version, one transaction a version. Raises WrongDatabase."""
    version = version_of(connection)
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script};"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}; COMMIT"
        )


def path_text(path: Mailbox) -> str:
    """A mailbox as it is stored: not quoted, for `path_of`."""
    return f"{path.local_part}@{path.domain}"


def path_of(text: str) -> Mailbox:
    """The mailbox that `path_text` wrote. A domain has no "@", but an address literal may: nothing in it
    is a bracket, so it starts at the last one (RFC 5321 section 4.1.3)."""
    at = text.rfind("@[") if text.endswith("]") else text.rfind("@")
    return Mailbox(text[:at], text[at + 1 :])


def reverse_path_of(text: str | None) -> ReversePath:
    """The reverse-path of a message row."""
    return NULL if text is None else path_of(text)


def arrival(
    message: QueuedMessage, number: int, place: tuple[int, int] | None
) -> Iterator[tuple[int | float | str | bytes | None, ...]]:
    """The changes that make a message enter; `place` is that of its body where it is in a file."""
    body = message.body
    file, offset, octets = (None, None, body.octets()) if place is None else (*place, None)
    path = message.reverse_path
    first, *others = message.recipients
    yield (
        ACCEPT,
        number,
        message.arrived_at,
        message.expires_at,
        message.hops,
        body.size,
        path_text(path) if isinstance(path, Mailbox) else None,
        message.parameters.octets() if message.parameters else None,
        message.trace,
        file,
        offset,
        octets,
        *recipient_row(message, first),
    )
    for recipient in others:
        yield (FURTHER, number, *NO_MESSAGE, *recipient_row(message, recipient))


def departure(number: int, recipient: int) -> tuple[int | None, ...]:
    """The change that makes a recipient leave."""
    return (FINISH, number, *NO_MESSAGE, recipient, *NO_RECIPIENT)


def recipient_row(message: QueuedMessage, recipient: QueuedRecipient) -> tuple[int | float | str | bytes | None, ...]:
    """The values of ARRIVAL for a fresh message."""
    return (
        recipient.number,
        0 if message.held or message.release_at else 1,
        1 if message.held else 0,
        recipient.attempts,
        recipient.due_at or message.released_at,
        recipient.next_hop,
        path_text(recipient.forward_path),
        recipient.parameters.octets() if recipient.parameters else None,
        message.priority,
        message.release_at,
    )


def parameters_of(octets: bytes | None) -> Parameters:
    """The parameters of a row."""
    return NO_PARAMETERS if octets is None else Parameters.from_octets(octets)
