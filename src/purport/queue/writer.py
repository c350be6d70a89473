"""What one transaction of the SQLite store does: many steps, few statements.

Every call of sqlite3 gives the interpreter's lock away and has to win it back from the event loop, so a group is one
statement, whatever it holds (`CHANGES` in schema.py); what is seldom takes a transaction of several.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import closing
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, final

from purport.queue.body import FileBody, MemoryBody
from purport.queue.body_files import check_room, file_path
from purport.queue.queue_id import number_of, queue_id_of
from purport.queue.schedule import rank
from purport.queue.schema import (
    CHANGE,
    MESSAGE,
    ON_DEMAND_ROWS,
    PAGE_SIZE,
    RECIPIENT,
    STATUS,
    arrival,
    columns,
    connect,
    departure,
    parameters_of,
    path_of,
    reverse_path_of,
)
from purport.queue.store import (
    Body,
    Done,
    NoSpace,
    NotStored,
    Outcome,
    QueuedMessage,
    QueuedRecipient,
    StorageFault,
    is_on_demand,
)

ROWS: Final = 64  # rows of one statement: each number of rows is a statement of its own in the cache
PAGES_OF_GROUP: Final = 6  # what a group writes besides its messages: inner pages, indexes, freed pages
Row = tuple[Any, ...]  # sqlite3 knows no types

# A write that fails for want of space comes as one of these: SQLite knows ENOSPC alone by its own code; a
# quota or a limit on the size of files fails as a write.
FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})

DEFER: Final = """
UPDATE recipient
   SET leased = 0, attempts = attempts + 1, due_at = ?, last_reply = ?, last_host = ?, transcript = ?,
       warned = max(warned, ?)
 WHERE message = ? AND number = ?
"""
RETURN: Final = "UPDATE recipient SET leased = 0, due_at = ? WHERE message = ? AND number = ?"
# The priorities of those that wait, and when the first of each is due: two looks into the index for each of them, and
# there is one, as a rule.
LEVELS: Final = """
WITH RECURSIVE level (priority) AS (
    SELECT max(priority) FROM recipient WHERE leased = 0 AND held = 0
    UNION ALL
    SELECT (SELECT max(priority) FROM recipient WHERE leased = 0 AND held = 0 AND priority < level.priority)
      FROM level WHERE level.priority IS NOT NULL
)
SELECT priority, (SELECT min(due_at) FROM recipient WHERE leased = 0 AND held = 0 AND priority = level.priority)
  FROM level WHERE priority IS NOT NULL
"""
DUE: Final = """
SELECT DISTINCT message, due_at FROM recipient
 WHERE leased = 0 AND held = 0 AND priority = ? AND due_at <= ? ORDER BY due_at LIMIT ?
"""


# What waits for another attempt: read beside the writer, as it looks at every row.
WAITING: Final = """
SELECT message, number, next_hop, forward_path FROM recipient WHERE leased = 0 AND held = 0 AND attempts > 0
"""
HASTEN: Final = """
UPDATE recipient SET due_at = min(due_at, ?)
 WHERE message = ? AND number = ? AND leased = 0 AND held = 0 AND attempts > 0
"""
# What waits for a host that comes for it: read beside the writer too, and leased by it. What is released later has its
# own time, which is its first.
COMING: Final = f"{ON_DEMAND_ROWS} AND next_hop IN ({{}}) AND (attempts > 0 OR due_at <= ?)"
COMING_IDS: Final = "SELECT DISTINCT message FROM recipient WHERE {} AND message > ? ORDER BY message LIMIT ?"


@final
class Step:
    """Messages that enter and outcomes, to become safe together."""

    __slots__ = ("done", "error", "messages", "outcomes", "places", "waiting")

    def __init__(self, messages: Sequence[QueuedMessage], outcomes: Sequence[Outcome], done: Done) -> None:
        self.messages = messages
        self.outcomes = outcomes
        self.done = done
        self.error: Exception | None = None
        self.places: dict[str, tuple[int, int]] = {}  # by queue id: file and offset of bodies in files
        self.waiting = 0  # bodies and earlier steps that it has to wait for


@final
class Ask:
    """A question that is answered in the order of the steps; what it changes is safe when `done` is called."""

    __slots__ = ("done", "error", "run")

    def __init__(self, run: Callable[[Writer], None], done: Done) -> None:
        self.run = run
        self.done = done
        self.error: Exception | None = None


Job = Step | Ask


@final
class Writer:
    """Writes groups of jobs over one connection; belongs to one thread."""

    def __init__(self, connection: sqlite3.Connection, bodies: Path, memory_limit: int, reserve: int) -> None:
        self._execute = connection.execute
        self._many = connection.executemany
        self._bodies = bodies
        self._memory_limit = memory_limit
        self._reserve = reserve
        self.logged = 0  # octets that went into the log, about, since somebody set this to 0
        # The file of each message that has one: most have none, and cost no look at the table when they leave.
        self._filed: dict[int, int] = dict(connection.execute("SELECT id, file FROM message WHERE file IS NOT NULL"))

    def references(self) -> dict[int, int]:
        """How many messages each body file holds."""
        return dict(Counter(self._filed.values()))

    def write(self, jobs: Sequence[Job]) -> dict[int, int]:
        """Write all jobs; those that could not be have their `error` then. Gives how many messages left each body
        file."""
        try:
            check_room(self._bodies, self._reserve)
        except OSError as error:
            return self._refuse(jobs, error)
        return self._write(jobs)

    def _refuse(self, jobs: Sequence[Job], error: OSError) -> dict[int, int]:
        """Take no new messages; what makes messages leave goes on."""
        gone: Counter[int] = Counter()
        rest: list[Job] = []
        for job in jobs:
            if isinstance(job, Step) and not job.outcomes:
                job.error = NoSpace(str(error))
                gone.update(file for file, _ in job.places.values())
            else:
                rest.append(job)
        if rest:
            gone.update(self._write(rest))
        return gone

    def _write(self, jobs: Sequence[Job]) -> dict[int, int]:
        """Write all jobs in one transaction or, where that fails, each half in its own, so that one that cannot
        be stored keeps no other from it."""
        try:
            return self._transaction(jobs)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this job's error and nobody else's
            self._roll_back()
            if len(jobs) > 1:
                middle = len(jobs) // 2
                gone = Counter(self._write(jobs[:middle]))
                gone.update(self._write(jobs[middle:]))
                return gone
            job = jobs[0]
            job.error = not_stored(error) if isinstance(error, sqlite3.Error) else error
            # A body that was stored for nothing is not referred to any more.
            return Counter(file for file, _ in job.places.values()) if isinstance(job, Step) else {}

    def _transaction(self, jobs: Sequence[Job]) -> dict[int, int]:
        steps = [job for job in jobs if isinstance(job, Step)]
        changes, filed = self._arrivals(steps)
        finished, deferred, returned = outcomes_of(steps)
        changes += [departure(*which) for which in finished]
        if len(steps) < len(jobs) or deferred or returned or len(changes) > ROWS:
            self._execute("BEGIN IMMEDIATE")
            for start in range(0, len(changes), ROWS):
                self._change(changes[start : start + ROWS])
            self._many(DEFER, deferred)
            self._many(RETURN, returned)
            for job in jobs:
                if isinstance(job, Ask):
                    job.run(self)
            self._execute("COMMIT")
        elif changes:
            self._change(changes)  # one statement is a transaction by itself
        self._filed |= filed
        self.logged += PAGES_OF_GROUP * PAGE_SIZE
        with_file = {number for number, _ in finished if number in self._filed}
        return self._forget([number for number in with_file if not self._exists(number)])

    def _roll_back(self) -> None:
        try:
            self._execute("ROLLBACK")
        except sqlite3.Error:
            return  # most errors of a full disk end the transaction themselves

    def _forget(self, gone: Iterable[int]) -> dict[int, int]:
        """The references that end with these messages."""
        return Counter(self._filed.pop(number) for number in gone)

    def _arrivals(self, steps: Sequence[Step]) -> tuple[list[Row], dict[int, int]]:
        """The changes that make the messages of all steps enter, and the files of those that have one."""
        changes: list[Row] = []
        filed: dict[int, int] = {}
        for step in steps:
            for message in step.messages:
                number = number_of(message.queue_id)
                place = step.places.get(message.queue_id) if step.places else None
                if place is not None:
                    filed[number] = place[0]
                else:
                    self.logged += message.body.size
                self.logged += PAGE_SIZE
                changes += arrival(message, number, place)
        return changes, filed

    def _change(self, changes: Sequence[Row]) -> None:
        self._execute(statement(len(changes)), tuple(chain.from_iterable(changes)))

    def _exists(self, number: int) -> bool:
        return self._execute("SELECT 1 FROM message WHERE id = ?", (number,)).fetchone() is not None

    # Questions

    def claim(self, now: float, limit: int, least: int) -> list[QueuedMessage]:
        """Lease the recipients that are due, of `limit` messages at most: those of the lowest rank, with no lower
        priority than `least`."""
        waiting = sorted(
            (rank(due_at, priority), number)
            for priority, first in self._levels()
            if first <= now and priority >= least
            for number, due_at in self._execute(DUE, (priority, now, limit))
        )
        numbers = list(dict.fromkeys(number for _, number in waiting))[:limit]
        claimed: list[QueuedMessage] = []
        for start in range(0, len(numbers), ROWS):
            claimed += self._lease(numbers[start : start + ROWS], "leased = 0 AND held = 0 AND due_at <= ?", (now,))
        return claimed

    def lease(self, now: float, numbers: Sequence[int], next_hops: Sequence[str]) -> list[QueuedMessage]:
        """Lease the recipients of these messages whose host came for them; `next_hops` begin with ON_DEMAND."""
        which = COMING.format(", ".join("?" * len(next_hops)))
        leased: list[QueuedMessage] = []
        for start in range(0, len(numbers), ROWS):
            leased += self._lease(numbers[start : start + ROWS], which, (*next_hops, now))
        return leased

    def _lease(self, numbers: Sequence[int], wanted: str, values: Sequence[str | float]) -> list[QueuedMessage]:
        """Lease the recipients of these messages that are `wanted`, a condition with its values."""
        which = ", ".join("?" * len(numbers))
        recipients: dict[int, list[QueuedRecipient]] = {number: [] for number in numbers}
        common: dict[int, tuple[int, float]] = {}  # priority and release: the same for all recipients of a message
        rows = self._execute(
            f"UPDATE recipient SET leased = 1 WHERE message IN ({which}) AND {wanted} RETURNING {RECIPIENT}, {STATUS}",
            (*numbers, *values),
        )
        for row in rows.fetchall():
            recipients[row[0]].append(recipient_of(row))
            common[row[0]] = row[9], row[10]
        select = f"SELECT {MESSAGE} FROM message WHERE id IN ({which})"
        found = {row[0]: row for row in self._execute(select, tuple(numbers))}
        count = f"SELECT message, count(*) FROM recipient WHERE message IN ({which}) GROUP BY message"
        whole = dict(self._execute(count, tuple(numbers)).fetchall())
        leased = [number for number in numbers if number in common]
        return [
            self._message(found[number], recipients[number], *common[number], whole[number] > len(recipients[number]))
            for number in leased
        ]

    def _message(
        self, row: Row, recipients: list[QueuedRecipient], priority: int, release_at: float, others: bool
    ) -> QueuedMessage:
        number, arrived_at, expires_at, hops, size, reverse_path, parameters, trace, file, place, octets = row
        recipients.sort(key=lambda recipient: recipient.number)
        body: Body
        if file is None:
            body = MemoryBody(octets)
        else:
            body = FileBody(file, file_path(self._bodies, file), place, size, in_memory=size <= self._memory_limit)
            body.stored = True
        return QueuedMessage(
            queue_id_of(number),
            arrived_at,
            reverse_path_of(reverse_path),
            parameters_of(parameters),
            trace,
            body,
            recipients,
            expires_at,
            hops,
            priority=priority,
            release_at=release_at,
            others=others,
        )

    def hasten(self, now: float, keys: Sequence[tuple[int, int]]) -> None:
        """Make recipients due, as far as they still wait."""
        self._many(HASTEN, [(now, message, number) for message, number in keys])

    def _levels(self) -> list[tuple[int, float]]:
        """The priorities of recipients that are neither leased nor held, and when the first of each is due."""
        return self._execute(LEVELS).fetchall()

    def next_due(self, least: int) -> float | None:
        """When the next recipient is due that is neither leased nor held, of no lower priority than `least`."""
        return min((due_at for priority, due_at in self._levels() if priority >= least), default=None)

    def purge(self) -> dict[int, int]:
        """Remove what an operator deleted; gives how many messages left each body file."""
        rows = self._execute("DELETE FROM message WHERE deleted = 1 RETURNING id").fetchall()
        return self._forget([number for (number,) in rows if number in self._filed])


def waiting_for(folder: Path, busy_seconds: float, concerned: Container[str]) -> list[tuple[int, int, str]]:
    """Message, number and next hop of what waits for another attempt at a domain; not for the writer's thread."""
    with closing(connect(folder, busy_seconds=busy_seconds)) as connection:
        return [
            (message, number, next_hop)
            for message, number, next_hop, forward_path in connection.execute(WAITING)
            if path_of(forward_path).domain in concerned and not is_on_demand(next_hop)
        ]


def waiting_ids(
    folder: Path, busy_seconds: float, now: float, next_hops: Sequence[str], after: int, limit: int
) -> list[str]:
    """Queue ids of what waits for the hosts of these next hops; not for the writer's thread."""
    which = COMING.format(", ".join("?" * len(next_hops)))
    query = COMING_IDS.format(which)
    with closing(connect(folder, busy_seconds=busy_seconds)) as connection:
        return [queue_id_of(number) for (number,) in connection.execute(query, (*next_hops, now, after, limit))]


def recipient_of(row: tuple[Any, ...]) -> QueuedRecipient:
    """The recipient of a row of RECIPIENT and STATUS."""
    _, number, _, _, attempts, due_at, next_hop, forward_path, parameters, *_, reply, host, transcript, warned = row
    return QueuedRecipient(
        number,
        path_of(forward_path),
        next_hop,
        parameters_of(parameters),
        attempts,
        due_at,
        reply,
        host,
        transcript,
        bool(warned),
    )


def outcomes_of(steps: Sequence[Step]) -> tuple[list[tuple[int, int]], list[Row], list[Row]]:
    """What the outcomes of all steps come to: recipients that are finished (message and number), and the values of
    DEFER and of RETURN."""
    finished: list[tuple[int, int]] = []
    deferred: list[Row] = []
    returned: list[Row] = []
    for step in steps:
        for outcome in step.outcomes:
            number = number_of(outcome.queue_id)
            if outcome.action == "deferred":
                status = (outcome.due_at, outcome.reply, outcome.host, outcome.transcript, outcome.warned)
                deferred.append((*status, number, outcome.number))
            elif outcome.action == "returned":
                returned.append((outcome.due_at, number, outcome.number))
            else:
                finished.append((number, outcome.number))
    return finished, deferred, returned


@cache
def statement(rows: int) -> str:
    """The statement that makes so many changes."""
    row = f"({columns(CHANGE, '?')})"
    return f"INSERT INTO change ({CHANGE}) VALUES " + ", ".join([row] * rows)


def not_stored(error: sqlite3.Error) -> NotStored:
    """What an error of the database means for a message."""
    if getattr(error, "sqlite_errorcode", None) in FULL:
        return NoSpace(str(error))
    return StorageFault(str(error))
