"""Counting costs a dict's look-up, is written together, and is bounded."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from purport.reporting.database import ReportDatabase, read
from purport.reporting.tally import Tally, left_out_on
from support.reporting import DAY, NEXT_DAY, NOON
from support.scripted_server import on_loop


class Written:
    """What a tally wrote, by day."""

    def __init__(self) -> None:
        self.days: list[tuple[int, dict[str, int]]] = []

    def __call__(self, _connection: sqlite3.Connection, day: int, things: Mapping[str, int]) -> int:
        self.days.append((day, dict(things)))
        return things.get("no room", 0)


@on_loop
async def test_things_are_counted_and_written_together(tmp_path: Path) -> None:
    written, database = Written(), ReportDatabase(tmp_path)
    now = NOON
    tally = Tally[str]("tls", written, database, clock=lambda: now, warn=print)
    for thing in ("a", "b", "a", "a"):
        tally.add(thing)
    now = NEXT_DAY
    tally.add("a")
    assert written.days == []
    await tally.flush()
    assert written.days == [(DAY, {"a": 3, "b": 1}), (DAY + 1, {"a": 1})]
    await tally.flush()
    assert len(written.days) == 2
    await database.close()


@on_loop
async def test_too_many_different_things_are_written_at_once_and_then_left_out(tmp_path: Path) -> None:
    written, database = Written(), ReportDatabase(tmp_path)
    tally = Tally[str]("tls", written, database, clock=lambda: NOON, warn=print, different=10)
    for number in range(25):  # in one turn of the loop, so that nothing is written meanwhile
        tally.add(f"thing {number}")
    tally.add("thing 24")
    tally.add("thing 15")
    await tally.flush()
    counted = {thing: number for _, things in written.days for thing, number in things.items()}
    assert counted == {**{f"thing {number}": 1 for number in range(20)}, "thing 15": 2}
    await database.close()
    assert read(tmp_path, lambda connection: left_out_on(connection, "tls", DAY)) == 6


@on_loop
async def test_what_there_is_no_room_for_is_counted(tmp_path: Path) -> None:
    written, database = Written(), ReportDatabase(tmp_path)
    tally = Tally[str]("tls", written, database, clock=lambda: NOON, warn=print)
    for _ in range(3):
        tally.add("no room")
    await tally.flush()
    await database.close()
    assert read(tmp_path, lambda connection: left_out_on(connection, "tls", DAY)) == 3


@on_loop
async def test_a_disk_that_takes_no_more_costs_counts_and_a_warning(tmp_path: Path) -> None:
    def full(_connection: sqlite3.Connection, _day: int, _things: Mapping[str, int]) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    warnings: list[str] = []
    database = ReportDatabase(tmp_path)
    tally = Tally[str]("tls", full, database, clock=lambda: NOON, warn=warnings.append)
    tally.add("a")
    await tally.flush()
    assert warnings == ["tls reports: 1 counts are lost: database or disk is full"]
    await database.close()


@on_loop
async def test_what_is_counted_is_written_after_a_while_by_itself(tmp_path: Path) -> None:
    written, database = Written(), ReportDatabase(tmp_path)
    tally = Tally[str]("tls", written, database, clock=lambda: NOON, warn=print, seconds=0.0)
    for thing in ("a", "b"):
        tally.add(thing)
        async with asyncio.timeout(10):
            while (DAY, {thing: 1}) not in written.days:
                await asyncio.sleep(0)
    await database.close()
