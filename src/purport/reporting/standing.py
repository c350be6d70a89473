"""How far each report got: the rows of the table `report`, and when one is due (RFC 8460 sections 4.1 and 5.5)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from purport.reporting.database import KEPT_DAYS
from purport.reporting.day import begin_of, day_of

State = Literal["waiting", "sent", "unwanted", "failed"]

# A report is sent at a random moment between these seconds after its day, so that not all servers send theirs at once;
# before them the last counts of the day may not be in the database yet.
EARLIEST: Final = 300.0
LATEST: Final = 14_400.0
CATCH_UP: Final = 600.0  # seconds over which those are spread that a server missed while it did not run
FIRST_PAUSE: Final = 900.0  # seconds until the second attempt; doubled for each more
ATTEMPTS: Final = 7  # with these pauses the last one is 16 hours after the first
AT_ONCE: Final = 100  # reports of one look at what is due


@dataclass(frozen=True, slots=True)
class Standing:
    """One report, and how far it got."""

    kind: str
    day: int
    domain: str
    state: State
    due_at: float  # of a waiting one: seconds since 1970
    attempts: int
    told: str  # what the last attempt came to


COLUMNS: Final = "kind, day, domain, state, due_at, attempts, told"


def plan(
    connection: sqlite3.Connection,
    kind: str,
    domains: Callable[[sqlite3.Connection, int], Iterable[str]],
    now: float,
    chance: Callable[[], float],
) -> None:
    """Have a report for every domain that something was counted for on a day that is over."""
    today = day_of(now)
    for day in range(today - KEPT_DAYS, today):
        known = {
            domain
            for (domain,) in connection.execute("SELECT domain FROM report WHERE kind = ? AND day = ?", (kind, day))
        }
        connection.executemany(
            "INSERT INTO report (kind, day, domain, state, due_at) VALUES (?, ?, ?, 'waiting', ?)",
            [
                (kind, day, domain, due_at(day, now, chance()))
                for domain in domains(connection, day)
                if domain not in known
            ],
        )


def due_at(day: int, now: float, chance: float) -> float:
    """When a report about a day is sent; `chance` is from 0 to 1."""
    usual = begin_of(day + 1) + EARLIEST + chance * (LATEST - EARLIEST)
    return usual if usual > now else now + chance * CATCH_UP


def due(connection: sqlite3.Connection, kind: str, now: float) -> list[Standing]:
    """The next ones to be sent now."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM report WHERE state = 'waiting' AND kind = ? AND due_at <= ? ORDER BY due_at LIMIT ?",
        (kind, now, AT_ONCE),
    )
    return [Standing(*row) for row in rows]


def next_due(connection: sqlite3.Connection) -> float | None:
    """When the next one is due."""
    (found,) = connection.execute("SELECT min(due_at) FROM report WHERE state = 'waiting'").fetchone()
    return None if found is None else float(found)


def settle(connection: sqlite3.Connection, one: Standing, state: State, told: str) -> None:
    """The report is finished with."""
    _put(connection, one, state, 0.0, told)


def put_off(connection: sqlite3.Connection, one: Standing, now: float, told: str) -> State:
    """It could not be sent: try again later, or give up."""
    if one.attempts + 1 >= ATTEMPTS:
        _put(connection, one, "failed", 0.0, told)
        return "failed"
    _put(connection, one, "waiting", now + FIRST_PAUSE * 2**one.attempts, told)
    return "waiting"


def _put(connection: sqlite3.Connection, one: Standing, state: State, due_at: float, told: str) -> None:
    connection.execute(
        f"INSERT OR REPLACE INTO report ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (one.kind, one.day, one.domain, state, due_at, one.attempts + 1, told),
    )


def standings(connection: sqlite3.Connection) -> list[Standing]:
    """All that are known, the oldest day first."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM report ORDER BY day, kind, domain")
    return [Standing(*row) for row in rows]


def standing(connection: sqlite3.Connection, kind: str, day: int, domain: str) -> Standing | None:
    """One of them."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM report WHERE kind = ? AND day = ? AND domain = ?", (kind, day, domain)
    ).fetchone()
    return None if row is None else Standing(*row)


def forget(connection: sqlite3.Connection, before: int) -> None:
    """Delete what is known about all days before this one."""
    connection.execute("DELETE FROM report WHERE day < ?", (before,))
    connection.execute("DELETE FROM left_out WHERE day < ?", (before,))
