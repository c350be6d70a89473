"""Counts in memory on their way to the database: added in the event loop, written together from time to time.

Adding costs a look-up in a dict and waits for nothing. A crash loses what was counted since the last writing: a minute.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Hashable, Mapping
from typing import Final, Generic, TypeVar, final

from purport.reporting.database import ReportDatabase
from purport.reporting.day import day_of

T = TypeVar("T", bound=Hashable)

SECONDS: Final = 60.0  # between writings: what a crash loses
DIFFERENT: Final = 5000  # things in memory until they are written at once, some KiB each at worst
# What one day has in the database, of all domains. The octets are those of texts that others chose the length of.
GROUPS_A_DAY: Final = 20_000
DETAILS_A_DAY: Final = 100_000
OCTETS_A_DAY: Final = 67_108_864

# Writes what was counted on a day, and returns how much of it there was no room for.
Write = Callable[[sqlite3.Connection, int, Mapping[T, int]], int]


@final
class Tally(Generic[T]):
    """How often each thing happened. Made in the loop's thread, and used there."""

    def __init__(
        self,
        kind: str,
        write: Write[T],
        database: ReportDatabase,
        *,
        clock: Callable[[], float],
        warn: Callable[[str], None],
        different: int = DIFFERENT,
        seconds: float = SECONDS,
    ) -> None:
        self._kind = kind
        self._write = write
        self._database = database
        self._clock = clock
        self._warn = warn
        self._different = different
        self._seconds = seconds
        self._counts: dict[tuple[int, T], int] = {}
        self._left_out: dict[int, int] = {}  # by day: while the database was behind
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def add(self, thing: T) -> None:
        """It happened once more, now."""
        key = (day_of(self._clock()), thing)
        counts = self._counts
        if key in counts:
            counts[key] += 1
            return
        if len(counts) >= self._different:
            if self._writing is not None:
                self._left_out[key[0]] = self._left_out.get(key[0], 0) + 1
                return
            self._begin()
            counts = self._counts
        counts[key] = 1
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._begin)

    async def flush(self) -> None:
        """All that was added until now is written when this returns, or was lost with a warning."""
        while self._writing is not None or self._counts or self._left_out:
            if self._writing is None:
                self._begin()
            else:
                await asyncio.wait([self._writing])

    def _begin(self) -> None:
        """Write what there is, unless a writing is under way: what comes meanwhile is for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None:
            self._timer = self._loop.call_later(self._seconds, self._begin)
            return
        counts, self._counts = self._counts, {}
        left_out, self._left_out = self._left_out, {}
        self._writing = self._loop.create_task(self._written(counts, left_out))

    async def _written(self, counts: Mapping[tuple[int, T], int], left_out: dict[int, int]) -> None:
        days: dict[int, dict[T, int]] = {day: {} for day in left_out}
        for (day, thing), number in counts.items():
            days.setdefault(day, {})[thing] = number

        def step(connection: sqlite3.Connection) -> None:
            for day, things in days.items():
                number = left_out.get(day, 0) + self._write(connection, day, things)
                if number:
                    leave_out(connection, self._kind, day, number)

        try:
            await self._database.run(step)
        except sqlite3.Error as error:
            self._warn(f"{self._kind} reports: {sum(counts.values())} counts are lost: {error}")
        finally:
            self._writing = None


def leave_out(connection: sqlite3.Connection, kind: str, day: int, number: int) -> None:
    """So much more was left out on a day."""
    connection.execute(
        "INSERT INTO left_out VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number",
        (kind, day, number),
    )


def left_out_on(connection: sqlite3.Connection, kind: str, day: int) -> int:
    """How much was left out on a day."""
    found = connection.execute("SELECT number FROM left_out WHERE kind = ? AND day = ?", (kind, day)).fetchone()
    return int(found[0]) if found else 0
