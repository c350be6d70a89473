"""The database of reports: its versions, its steps, and a look at it from beside."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from purport.reporting.database import MIGRATIONS, NAME, ReportDatabase, WrongDatabase, read
from support.scripted_server import on_loop


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM left_out").fetchone()[0])


@on_loop
async def test_a_step_is_done_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO left_out VALUES ('tls', 1, 1)")
        connection.execute("INSERT INTO nothing VALUES (1)")

    database = ReportDatabase(tmp_path)
    with pytest.raises(sqlite3.OperationalError):
        await database.run(half)
    assert await database.run(count) == 0
    await database.run(lambda connection: connection.execute("INSERT INTO left_out VALUES ('tls', 1, 1)"))
    assert read(tmp_path, count) == 1
    await database.close()
    assert read(tmp_path, count) == 1


def test_there_is_nothing_to_read_before_the_first_start(tmp_path: Path) -> None:
    assert read(tmp_path, count) is None


@on_loop
async def test_a_database_of_somebody_else_or_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / NAME)
    other.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    other.close()
    with pytest.raises(WrongDatabase, match="another program"):
        ReportDatabase(tmp_path)
    (tmp_path / NAME).unlink()
    await ReportDatabase(tmp_path).close()
    later = sqlite3.connect(tmp_path / NAME)
    later.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    later.close()
    with pytest.raises(WrongDatabase, match="it is older"):
        ReportDatabase(tmp_path)
    with pytest.raises(WrongDatabase, match="it is older"):
        read(tmp_path, count)
