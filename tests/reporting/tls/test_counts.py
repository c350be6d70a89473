"""Sessions counted by day, policy and way of failing, within limits."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from purport.delivery.tls_outcome import TlsOutcome
from purport.reporting.database import NAME, migrate
from purport.reporting.tls import counts
from purport.reporting.tls.counts import FAILURES, POLICIES, domains, policies, write
from purport.reporting.tls.report import FailureDetails, PolicyCounts
from support.reporting import DAY, failed, succeeded


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as opened:
        opened.execute("PRAGMA foreign_keys = ON")
        migrate(opened)
        yield opened


def test_counts_of_a_day_add_up(connection: sqlite3.Connection) -> None:
    write(connection, DAY, {succeeded(): 3, failed(): 2})
    write(connection, DAY, {succeeded(): 4, failed(): 1, failed(result="starttls-not-supported"): 5})
    write(connection, DAY + 1, {succeeded(): 1})
    (found,) = policies(connection, DAY, "example.com")
    expired = FailureDetails("certificate-expired", 3, "192.0.2.1", "mx.example.com", "192.0.2.25")
    missing = FailureDetails("starttls-not-supported", 5, "192.0.2.1", "mx.example.com", "192.0.2.25")
    assert found == PolicyCounts("no-policy-found", "example.com", (), (), 7, 8, (missing, expired))


def test_each_policy_of_a_domain_has_its_own_counts(connection: sqlite3.Connection) -> None:
    tlsa = TlsOutcome("tlsa", "example.com", ("3 1 1 AB",), (), "tlsa-invalid", "mx.example.com")
    sts = TlsOutcome("sts", "Example.COM", ("version: STSv1",), ("*.example.com",), "")
    write(connection, DAY, {tlsa: 1, sts: 2, succeeded("other.example"): 3})
    assert domains(connection, DAY) == ["example.com", "other.example"]
    assert [(one.policy_type, one.succeeded, one.failed) for one in policies(connection, DAY, "example.com")] == [
        ("sts", 2, 0),
        ("tlsa", 0, 1),
    ]


def test_a_result_that_the_registry_does_not_know_is_a_general_failure(connection: sqlite3.Connection) -> None:
    write(connection, DAY, {failed(result="moon-phase", reason="full"): 1})
    ((details,),) = [one.details for one in policies(connection, DAY, "example.com")]
    assert (details.result, details.reason) == ("validation-failure", "moon-phase full")


def test_texts_of_others_are_bounded_and_printable(connection: sqlite3.Connection) -> None:
    hostile = failed(host="mx\x1b[2J" + "x" * 1000, reason="\r\nBcc: all@example.com")
    write(connection, DAY, {hostile: 1})
    ((details,),) = [one.details for one in policies(connection, DAY, "example.com")]
    assert details.host == ("mx?[2J" + "x" * 1000)[: counts.TEXT]
    assert details.reason == "??Bcc: all@example.com"


def test_a_policy_holds_so_many_ways_to_fail_and_all_are_in_its_sum(connection: sqlite3.Connection) -> None:
    outcomes = {failed(host=f"mx{number}.example.com"): 1 for number in range(FAILURES + 30)}
    assert write(connection, DAY, outcomes) == 0
    (found,) = policies(connection, DAY, "example.com")
    assert (found.failed, len(found.details)) == (FAILURES + 30, FAILURES)


def test_a_domain_holds_so_many_policies(connection: sqlite3.Connection) -> None:
    outcomes = {
        TlsOutcome("tlsa", "example.com", (f"3 1 1 {number:04X}",), (), ""): 2 for number in range(POLICIES + 5)
    }
    assert write(connection, DAY, outcomes) == 10
    assert len(policies(connection, DAY, "example.com")) == POLICIES


def test_a_day_holds_so_many_policies_and_failures(connection: sqlite3.Connection) -> None:
    outcomes = {failed(f"domain{number}.example"): 1 for number in range(20)}
    assert write(connection, DAY, outcomes, policies_a_day=12, failures_a_day=7) == 8
    assert len(domains(connection, DAY)) == 12
    # What has a row goes on being counted.
    assert write(connection, DAY, outcomes, policies_a_day=12, failures_a_day=7) == 8
    found = [one for name in domains(connection, DAY) for one in policies(connection, DAY, name)]
    assert [one.failed for one in found] == [2] * 12
    assert sum(len(one.details) for one in found) == 7


def test_a_day_holds_so_many_octets_of_policies(connection: sqlite3.Connection) -> None:
    outcomes = {TlsOutcome("sts", f"domain{number}.example", ("x" * 96,), (), ""): 1 for number in range(9)}
    assert write(connection, DAY, outcomes, octets_a_day=520) == 4
    assert write(connection, DAY, outcomes, octets_a_day=520) == 4
    assert len(domains(connection, DAY)) == 5


def test_what_is_no_domain_is_left_out(connection: sqlite3.Connection) -> None:
    assert write(connection, DAY, {succeeded("not a domain"): 2, succeeded("[192.0.2.1]"): 1}) == 3
    assert domains(connection, DAY) == []


def test_old_days_are_forgotten_with_their_failures(connection: sqlite3.Connection) -> None:
    write(connection, DAY, {failed(): 1})
    counts.forget(connection, DAY + 1)
    assert domains(connection, DAY) == []
    assert connection.execute("SELECT count(*) FROM tls_failure").fetchone() == (0,)
