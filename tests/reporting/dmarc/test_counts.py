"""Messages counted by day, policy domain and what was found, within limits."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from purport.reporting.database import migrate
from purport.reporting.dmarc import counts
from purport.reporting.dmarc.counts import domains, policy_of, rows_of, write
from purport.reporting.dmarc.report import reported
from purport.reporting.dmarc.row import DkimCheck
from support.dmarc_rows import FAILED, PASSED, POLICY, of_domain
from support.reporting import DAY


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.execute("PRAGMA foreign_keys = ON")
        migrate(opened)
        yield opened


def test_counts_of_a_day_add_up(connection: sqlite3.Connection) -> None:
    write(connection, DAY, {PASSED: 3, FAILED: 2})
    write(connection, DAY, {FAILED: 5})
    write(connection, DAY + 1, {PASSED: 1})
    assert domains(connection, DAY) == ["example.com"]
    assert rows_of(connection, DAY, "example.com") == ((reported(FAILED), 7), (reported(PASSED), 3))
    assert policy_of(connection, DAY, "example.com") == POLICY


def test_the_policy_that_was_seen_last_is_the_one_that_is_told(connection: sqlite3.Connection) -> None:
    later = POLICY._replace(p="reject", rua=("mailto:new@example.com",))
    write(connection, DAY, {PASSED: 1})
    write(connection, DAY, {replace(PASSED, policy=later): 1})
    assert policy_of(connection, DAY, "example.com") == later
    assert rows_of(connection, DAY, "example.com") == ((reported(PASSED), 2),)


def test_a_day_holds_so_many_domains_rows_and_octets(connection: sqlite3.Connection) -> None:
    rows = {of_domain(f"domain{number}.example"): 2 for number in range(9)}
    assert write(connection, DAY, rows, domains_a_day=6) == 6
    assert len(domains(connection, DAY)) == 6
    assert write(connection, DAY, rows, domains_a_day=6) == 6
    many = {replace(FAILED, source_ip=f"192.0.2.{number}"): 1 for number in range(9)}
    assert write(connection, DAY + 1, many, rows_a_day=4) == 5
    assert write(connection, DAY + 2, many, octets_a_day=1000) > 0
    assert len(rows_of(connection, DAY + 2, "example.com")) < 9


def test_a_domain_holds_so_many_rows(connection: sqlite3.Connection) -> None:
    many = {replace(FAILED, source_ip=f"192.0.2.{number}"): 1 for number in range(9)}
    assert write(connection, DAY, many, rows_of_domain=3) == 6


def test_what_cannot_be_told_is_left_out(connection: sqlite3.Connection) -> None:
    assert write(connection, DAY, {of_domain("no domain"): 1, replace(PASSED, source_ip="x"): 2}) == 3
    assert domains(connection, DAY) == []


def test_a_row_is_small_whatever_a_sender_does(connection: sqlite3.Connection) -> None:
    signatures = tuple(DkimCheck("d" * 5000, "s" * 5000, "pass") for _ in range(500))
    write(connection, DAY, {replace(FAILED, dkim=signatures, envelope_from="e" * 9999): 1})
    (size,) = connection.execute("SELECT length(told) FROM dmarc_row").fetchone()
    assert size < 16_384


def test_old_days_are_forgotten_with_their_rows(connection: sqlite3.Connection) -> None:
    write(connection, DAY, {PASSED: 1})
    counts.forget(connection, DAY + 1)
    assert domains(connection, DAY) == []
    assert connection.execute("SELECT count(*) FROM dmarc_row").fetchone() == (0,)
