"""When a report is due, and how far it got."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from purport.reporting import standing
from purport.reporting.database import migrate
from purport.reporting.standing import ATTEMPTS, CATCH_UP, EARLIEST, LATEST, due_at, plan, put_off
from support.reporting import DAY, NEXT_DAY


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        migrate(opened)
        yield opened


def of_days(*days: int) -> dict[int, list[str]]:
    return {day: ["example.com"] for day in days}


def planned(connection: sqlite3.Connection, days: dict[int, list[str]], now: float, chance: float = 0.0) -> list[int]:
    plan(connection, "tls", lambda _, day: days.get(day, []), now, lambda: chance)
    return [one.day for one in standing.standings(connection)]


@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_a_report_is_due_at_a_random_moment_in_the_hours_after_its_day(chance: float) -> None:
    assert due_at(DAY, NEXT_DAY + 1, chance) == NEXT_DAY + EARLIEST + chance * (LATEST - EARLIEST)


def test_one_that_was_missed_is_due_within_minutes() -> None:
    late = NEXT_DAY + 86400 * 2
    assert late <= due_at(DAY, late, 0.5) <= late + CATCH_UP


def test_days_that_are_over_are_planned_and_no_older_than_three(connection: sqlite3.Connection) -> None:
    days = of_days(DAY - 5, DAY - 4, DAY - 3, DAY - 1, DAY)
    assert planned(connection, days, NEXT_DAY - 1) == [DAY - 3, DAY - 1]
    assert planned(connection, days, NEXT_DAY) == [DAY - 3, DAY - 1, DAY]


def test_a_plan_stays_as_it_is_and_grows(connection: sqlite3.Connection) -> None:
    days = of_days(DAY)
    planned(connection, days, NEXT_DAY, 0.5)
    (before,) = standing.standings(connection)
    days[DAY].append("other.example")
    planned(connection, days, NEXT_DAY + 60, 0.9)
    assert standing.standing(connection, "tls", DAY, "example.com") == before
    assert standing.next_due(connection) == before.due_at
    assert [one.domain for one in standing.standings(connection)] == ["example.com", "other.example"]


def test_what_cannot_be_sent_is_tried_for_less_than_a_day(connection: sqlite3.Connection) -> None:
    """RFC 8460 section 5.5."""
    planned(connection, of_days(DAY), NEXT_DAY)
    now = first = NEXT_DAY + EARLIEST
    pauses = []
    while due := standing.due(connection, "tls", now):
        put_off(connection, due[0], now, "no answer")
        after = standing.next_due(connection)
        if after is None:
            break
        pauses.append(after - now)
        now = after
    assert pauses == [900.0 * 2**number for number in range(ATTEMPTS - 1)]
    assert now - first < 86400
    (last,) = standing.standings(connection)
    assert (last.state, last.attempts, last.told) == ("failed", ATTEMPTS, "no answer")


def test_old_ones_are_forgotten(connection: sqlite3.Connection) -> None:
    planned(connection, of_days(DAY - 1, DAY), NEXT_DAY)
    standing.forget(connection, DAY)
    assert [one.day for one in standing.standings(connection)] == [DAY]
