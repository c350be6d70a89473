"""What an operator does with the queue: list, show, hold, release, retry, delete.

`SqliteOperator` works on the database of a spool folder, beside the server that runs or without one. Its
transactions are short, and what a running delivery has leased is not taken away from it: a hold takes effect
when the attempt is over, a retry or a delete is refused and says so. A running server is told over its
control socket afterwards, so that it looks at the queue at once (`QueueStore.refresh`, then `claim`).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Protocol, final

from purport.forwarding.mark import forwarder_of
from purport.queue.body import FileBody
from purport.queue.body_files import file_path
from purport.queue.queue_id import number_of, queue_id_of
from purport.queue.schema import BODIES, DATABASE, LOCK, check_version, connect, parameters_of, path_of, reverse_path_of
from purport.queue.store import is_on_demand

BUSY_SECONDS: Final = 10.0  # the server's transactions take milliseconds
PAGE: Final = 1000  # messages listed in one read: a read that lasts keeps the server's log from starting anew
HEADER_OCTETS: Final = 65536  # of the header, as far as `show` shows it


class QueueName(Enum):
    """Where a message stands, in Postfix's words."""

    ACTIVE = "active"  # being delivered
    DEFERRED = "deferred"  # waiting for its next attempt
    HOLD = "hold"
    SCHEDULED = "scheduled"  # waiting for the time that its sender named; Postfix has no word for it
    WAITING = "waiting"  # for its host, which comes for it (RFC 2645); nor for that


@dataclass(frozen=True, slots=True)
class Listed:
    """A recipient that is not finished yet."""

    address: str
    delay_reason: str  # what the last attempt ended with; empty: there was none


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in the queue; names as `postqueue -j` gives them."""

    queue_name: QueueName
    queue_id: str
    arrival_time: float  # seconds since 1970, UTC
    message_size: int  # octets, the header fields we added included
    sender: str  # empty: the null reverse-path
    recipients: tuple[Listed, ...]
    priority: int = 0
    release_at: float = 0.0  # what it waits for; 0: it went on its way at once, or has gone since
    forwarder: str = ""  # the mailbox that it is forwarded for; empty: none


@dataclass(frozen=True, slots=True)
class RecipientDetail:
    """All that is known about a recipient."""

    address: str
    next_hop: str
    attempts: int
    due_at: float
    leased: bool
    last_reply: str
    last_host: str
    transcript: str
    parameters: bytes  # of RCPT, as on the wire


@dataclass(frozen=True, slots=True)
class Detail:
    """All that is known about a message. Texts are as they came from outside: escape them before they are shown."""

    entry: Entry
    expires_at: float
    hops: int
    parameters: bytes  # of MAIL, as on the wire
    header: bytes  # our trace fields, then the header section as it came, HEADER_OCTETS at most
    recipients: tuple[RecipientDetail, ...]


class Effect(Enum):
    """What an operator's command did to a message."""

    DONE = "done"
    AFTER_ATTEMPT = "it is being delivered now: takes effect when this attempt is over"
    BEING_DELIVERED = "it is being delivered now: nothing was changed"
    SCHEDULED = "it waits for the time that its sender named: nothing was changed (release sends it now)"
    NO_SUCH_MESSAGE = "it is not in the queue"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a command for one message."""

    queue_id: str
    effect: Effect

    @property
    def changed(self) -> bool:
        """Whether the command was, or will be, carried out."""
        return self.effect in (Effect.DONE, Effect.AFTER_ATTEMPT)


class QueueOperator(Protocol):
    """The verbs; `queue_ids` None means every message. Ids that are no queue ids raise ValueError."""

    def entries(self) -> Iterator[Entry]:
        """All messages, oldest first."""

    def show(self, queue_id: str) -> Detail | None:
        """One message, or None where it is not in the queue."""

    def hold(self, queue_ids: Sequence[str] | None) -> list[Change]:
        """Try no more, until released."""

    def release(self, queue_ids: Sequence[str] | None, now: float) -> list[Change]:
        """End a hold; each recipient is due when it was due without it. A message that is named, not on hold, and
        waits for its release goes on its way now."""

    def retry(self, queue_ids: Sequence[str] | None, now: float) -> list[Change]:
        """Make waiting recipients due at once; a hold stays, and so does the time of a release."""

    def delete(self, queue_ids: Sequence[str] | None) -> list[Change]:
        """Take messages out of the queue; nobody is told."""


LIST_PAGE: Final = """
SELECT message.id, arrived_at, size + length(trace), reverse_path, leased, held, forward_path, last_reply, priority,
       attempts, due_at, release_at, message.parameters, next_hop
  FROM (SELECT id, arrived_at, size, trace, reverse_path, parameters FROM message
         WHERE id > ? AND deleted = 0 ORDER BY id LIMIT ?) AS message
  JOIN recipient ON recipient.message = message.id
 ORDER BY message.id, number
"""
SHOWN: Final = (
    "SELECT arrived_at, expires_at, hops, size, reverse_path, parameters, trace, file, place, body FROM message"
)
DETAILS: Final = """
SELECT forward_path, next_hop, attempts, due_at, leased, held, last_reply, last_host, transcript, parameters,
       priority, release_at
  FROM recipient WHERE message = ? ORDER BY number
"""


# A message that waits for its time and is not on hold: due since it came, and its lifetime counts from now.
RELEASE_NOW: Final = (
    """
UPDATE message SET expires_at = expires_at + {now} - (SELECT max(release_at) FROM recipient WHERE message = message.id)
 WHERE id = ? AND EXISTS (SELECT 1 FROM recipient WHERE message = message.id AND held = 0 AND release_at > {now})
""",
    """
UPDATE recipient SET due_at = (SELECT arrived_at FROM message WHERE id = message), release_at = {now}
 WHERE message = ? AND held = 0 AND release_at > {now}
""",
)


@final
class SqliteOperator:
    """The verbs on one spool folder. Each may raise sqlite3.OperationalError (the database is locked or cannot be
    read) and WrongDatabase. A folder without a database is an empty queue."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self) -> Iterator[Entry]:
        """All messages, oldest first; read in pages, so that what leaves meanwhile may be missing."""
        if not self._exists():
            return
        with closing(self._connect()) as connection:
            owned = self._owned()
            last = -1
            while rows := connection.execute(LIST_PAGE, (last, PAGE)).fetchall():
                last = rows[-1][0]
                for number, group in groupby(rows, key=lambda row: int(row[0])):
                    yield entry(number, list(group), owned)

    def show(self, queue_id: str) -> Detail | None:
        """One message, or None where it is not in the queue."""
        if not self._exists():
            return None
        number = number_of(queue_id)
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")  # one state of both tables
            message = connection.execute(f"{SHOWN} WHERE id = ? AND deleted = 0", (number,)).fetchone()
            rows = connection.execute(DETAILS, (number,)).fetchall()
            connection.execute("COMMIT")
            if message is None or not rows:
                return None
            header = self._header(message[3], *message[6:])
            # A body file may be written anew as soon as its message is gone: then what was read is not its header.
            if connection.execute("SELECT 1 FROM message WHERE id = ?", (number,)).fetchone() is None:
                return None
            return detail(number, message, rows, header, self._owned())

    def hold(self, queue_ids: Sequence[str] | None) -> list[Change]:
        """Try no more, until released."""
        return self._change(queue_ids, "UPDATE recipient SET held = 1 WHERE message = ?", leased=Effect.AFTER_ATTEMPT)

    def release(self, queue_ids: Sequence[str] | None, now: float) -> list[Change]:
        """End a hold; each recipient is due when it was due without it. A message that is named, not on hold, and
        waits for its release goes on its way now."""
        named = () if queue_ids is None else RELEASE_NOW
        statements = [statement.format(now=repr(float(now))) for statement in named]
        statements.append("UPDATE recipient SET held = 0 WHERE message = ?")
        return self._change(queue_ids, *statements, leased=Effect.DONE)

    def retry(self, queue_ids: Sequence[str] | None, now: float) -> list[Change]:
        """Make waiting recipients due at once; a hold stays, and so does the time of a release."""
        due = f"UPDATE recipient SET due_at = {float(now)!r} WHERE message = ? AND leased = 0"
        return self._change(queue_ids, due, leased=Effect.BEING_DELIVERED, before=now)

    def delete(self, queue_ids: Sequence[str] | None) -> list[Change]:
        """Take messages out of the queue; nobody is told. A body in a file is removed by the server: when it is
        told (`QueueStore.refresh`), or at its next start."""
        return self._change(
            queue_ids,
            "DELETE FROM recipient WHERE message = ?",
            "UPDATE message SET deleted = 1 WHERE id = ? AND file IS NOT NULL",
            "DELETE FROM message WHERE id = ? AND file IS NULL",
            leased=Effect.BEING_DELIVERED,
        )

    def _change(
        self, queue_ids: Sequence[str] | None, *statements: str, leased: Effect, before: float = float("inf")
    ) -> list[Change]:
        """Run the statements for each message, in one transaction; `leased` is what it means for a message that is
        being delivered. Not for those that are to be released later than `before`."""
        numbers = None if queue_ids is None else [number_of(queue_id) for queue_id in queue_ids]
        if not self._exists():
            return [Change(queue_id, Effect.NO_SUCH_MESSAGE) for queue_id in queue_ids or ()]
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            states = leases(connection, numbers)
            if not self._owned():  # what a server that was killed had leased
                connection.execute("UPDATE recipient SET leased = 0 WHERE leased <> 0")
                states = {number: (False, release_at) for number, (_, release_at) in states.items()}
            changes = []
            for number in states if numbers is None else numbers:
                if number not in states:
                    effect = Effect.NO_SUCH_MESSAGE
                elif states[number][1] > before:
                    effect = Effect.SCHEDULED
                else:
                    effect = leased if states[number][0] else Effect.DONE
                changes.append(Change(queue_id_of(number), effect))
            concerned = [(number_of(change.queue_id),) for change in changes if change.changed]
            for statement in statements:
                connection.executemany(statement, concerned)
            connection.execute("COMMIT")
        return changes

    def _header(self, size: int, trace: bytes, file: int | None, place: int, octets: bytes | None) -> bytes:
        """Our trace fields and the message's own header section."""
        if file is not None:
            path = file_path(self._folder / BODIES, file)
            try:
                octets = next(
                    FileBody(file, path, place, min(size, HEADER_OCTETS), in_memory=False).pieces(HEADER_OCTETS)
                )
            except OSError:
                octets = b""  # gone meanwhile, or damaged: the row tells the rest
        return trace + header_of(octets or b"")

    def _exists(self) -> bool:
        return (self._folder / DATABASE).exists()

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._folder, busy_seconds=BUSY_SECONDS)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            check_version(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _owned(self) -> bool:
        """Whether a server runs on this folder: leases of one that is gone mean nothing."""
        try:
            descriptor = os.open(self._folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def header_of(octets: bytes) -> bytes:
    """The header section of a message, HEADER_OCTETS of it at most."""
    return octets[:HEADER_OCTETS].partition(b"\r\n\r\n")[0]


def leases(connection: sqlite3.Connection, numbers: Sequence[int] | None) -> dict[int, tuple[bool, float]]:
    """Of these messages (None: of all) those that are in the queue, whether a recipient of each is leased, and when it
    is or was to be released."""
    query = "SELECT message, max(leased), max(release_at) FROM recipient"
    if numbers is None:
        rows = connection.execute(f"{query} GROUP BY message").fetchall()
    else:
        one = f"{query} WHERE message = ? GROUP BY message"
        rows = [row for number in numbers for row in connection.execute(one, (number,))]
    return {number: (bool(leased), release_at) for number, leased, release_at in rows}


def name_of(leased: bool, held: bool, scheduled: bool, on_demand: bool) -> QueueName:
    """Where a message with such recipients stands."""
    if leased:
        return QueueName.ACTIVE
    if held:
        return QueueName.HOLD
    if scheduled:
        return QueueName.SCHEDULED
    return QueueName.WAITING if on_demand else QueueName.DEFERRED


def is_scheduled(attempts: int, due_at: float, release_at: float) -> bool:
    """Whether a recipient waits for its release: nothing has touched it since it came."""
    return not attempts and due_at == release_at


def forwarded_for(parameters: bytes | None) -> str:
    """The mailbox that a message with these parameters is forwarded for."""
    forwarder = forwarder_of(parameters_of(parameters))
    return "" if forwarder is None else str(forwarder)


def entry(number: int, rows: Sequence[Any], owned: bool) -> Entry:
    """The entry of a message from its rows of LIST_PAGE."""
    _, arrived_at, size, reverse_path, *_, release_at, parameters, _ = rows[0]
    leased = owned and any(row[4] for row in rows)
    scheduled = not leased and all(is_scheduled(*row[9:12]) for row in rows)
    return Entry(
        name_of(leased, any(row[5] for row in rows), scheduled, all(is_on_demand(row[13]) for row in rows)),
        queue_id_of(number),
        arrived_at,
        size,
        str(reverse_path_of(reverse_path)),
        tuple(Listed(str(path_of(row[6])), row[7]) for row in rows),
        rows[0][8],
        release_at if scheduled else 0.0,
        forwarded_for(parameters),
    )


def detail(number: int, message: Sequence[Any], rows: Sequence[Any], header: bytes, owned: bool) -> Detail:
    """The detail of a message from its row of SHOWN and its rows of DETAILS."""
    arrived_at, expires_at, hops, size, reverse_path, parameters, trace, *_ = message
    recipients = tuple(
        RecipientDetail(
            str(path_of(path)),
            next_hop,
            attempts,
            due_at,
            owned and bool(leased),
            reply,
            host,
            transcript,
            given or b"",
        )
        for path, next_hop, attempts, due_at, leased, _, reply, host, transcript, given, *_ in rows
    )
    active = any(recipient.leased for recipient in recipients)
    priority, release_at = rows[0][10:]
    scheduled = not active and all(is_scheduled(row[2], row[3], row[11]) for row in rows)
    shown = Entry(
        name_of(active, any(row[5] for row in rows), scheduled, all(is_on_demand(row[1]) for row in rows)),
        queue_id_of(number),
        arrived_at,
        size + len(trace),
        str(reverse_path_of(reverse_path)),
        tuple(Listed(recipient.address, recipient.last_reply) for recipient in recipients),
        priority,
        release_at if scheduled else 0.0,
        forwarded_for(parameters),
    )
    return Detail(shown, expires_at, hops, parameters or b"", header, recipients)
