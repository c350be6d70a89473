"""Sessions counted by day, policy and way of failing: rows in, what a report tells out (RFC 8460 section 4.2).

All texts come from other hosts, so each has a limit, and so has what a day may hold. A failure that there is no row for
is in its policy's sum all the same; a policy that there is no row for is counted as left out.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Final

from purport.delivery.tls_outcome import TlsOutcome
from purport.mail.domain import is_domain_name, normal_domain
from purport.reporting.tally import DETAILS_A_DAY, GROUPS_A_DAY, OCTETS_A_DAY
from purport.reporting.tls.report import GENERAL, RESULTS, FailureDetails, PolicyCounts

KIND: Final = "tls"
POLICIES: Final = 16  # of one domain on one day: one for each host under DANE, and some that changed
FAILURES: Final = 50  # of one policy: ways to fail times hosts
STRINGS: Final = 64  # of a policy
STRING: Final = 400  # characters of one: a TLSA record with a SHA-512 digest has 136
PATTERNS: Final = 32
TEXT: Final = 256  # characters of a host name or a reason


def write(
    connection: sqlite3.Connection,
    day: int,
    outcomes: Mapping[TlsOutcome, int],
    *,
    policies_a_day: int = GROUPS_A_DAY,
    failures_a_day: int = DETAILS_A_DAY,
    octets_a_day: int = OCTETS_A_DAY,
) -> int:
    """Add to the counts of a day. Returns how many sessions are in no policy's sum, for want of room."""
    left_out = 0
    room = Room(connection, day, policies_a_day, failures_a_day, octets_a_day)
    for outcome, sessions in outcomes.items():
        policy = room.policy(outcome)
        if policy is None:
            left_out += sessions
            continue
        column = "failed" if outcome.result else "succeeded"
        connection.execute(f"UPDATE tls_policy SET {column} = {column} + ? WHERE id = ?", (sessions, policy))
        if outcome.result:
            room.add_failure(policy, outcome, sessions)
    return left_out


class Room:
    """The rows of a day, as far as there is room for more."""

    def __init__(
        self, connection: sqlite3.Connection, day: int, policies_a_day: int, failures_a_day: int, octets_a_day: int
    ) -> None:
        self._connection = connection
        self._day = day
        policies, octets = connection.execute(
            "SELECT count(*), coalesce(sum(length(strings) + length(patterns)), 0) FROM tls_policy WHERE day = ?",
            (day,),
        ).fetchone()
        (failures,) = connection.execute(
            "SELECT count(*) FROM tls_failure JOIN tls_policy ON id = policy WHERE day = ?", (day,)
        ).fetchone()
        self._policies = policies_a_day - policies
        self._failures = failures_a_day - failures
        self._octets = octets_a_day - octets

    def policy(self, outcome: TlsOutcome) -> int | None:
        """The row of the policy, made where there is room for it."""
        domain = normal_domain(outcome.policy_domain)
        if not is_domain_name(domain):
            return None
        key = (
            self._day,
            domain,
            outcome.policy_type,
            json.dumps([text(one, STRING) for one in outcome.policy_strings[:STRINGS]]),
            json.dumps([text(one) for one in outcome.mx_patterns[:PATTERNS]]),
        )
        row = self._connection.execute(
            "SELECT id FROM tls_policy WHERE day = ? AND domain = ? AND type = ? AND strings = ? AND patterns = ?", key
        ).fetchone()
        if row is not None:
            return int(row[0])
        (policies,) = self._connection.execute(
            "SELECT count(*) FROM tls_policy WHERE day = ? AND domain = ?", key[:2]
        ).fetchone()
        size = len(key[3]) + len(key[4])
        if self._policies <= 0 or policies >= POLICIES or self._octets < size:
            return None
        self._policies -= 1
        self._octets -= size
        return self._connection.execute(
            "INSERT INTO tls_policy (day, domain, type, strings, patterns) VALUES (?, ?, ?, ?, ?)", key
        ).lastrowid

    def add_failure(self, policy: int, outcome: TlsOutcome, sessions: int) -> None:
        """Count the way in which sessions failed, where there is room for it."""
        known = outcome.result in RESULTS
        reason = outcome.reason if known else f"{outcome.result} {outcome.reason}".strip()
        key = (
            policy,
            outcome.result if known else GENERAL,
            text(outcome.host),
            text(outcome.address),
            text(outcome.local_address),
            text(reason),
        )
        updated = self._connection.execute(
            "UPDATE tls_failure SET sessions = sessions + ? WHERE policy = ? AND result = ? AND host = ?"
            " AND address = ? AND local_address = ? AND reason = ?",
            (sessions, *key),
        )
        if updated.rowcount:
            return
        (failures,) = self._connection.execute(
            "SELECT count(*) FROM tls_failure WHERE policy = ?", (policy,)
        ).fetchone()
        if self._failures > 0 and failures < FAILURES:
            self._failures -= 1
            self._connection.execute("INSERT INTO tls_failure VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, sessions))


def text(told: str, limit: int = TEXT) -> str:
    """What others said, as a report may repeat it: printable, and not endless."""
    return "".join(character if character.isprintable() else "?" for character in told[:limit])


def domains(connection: sqlite3.Connection, day: int) -> list[str]:
    """The domains that something was counted for."""
    rows = connection.execute("SELECT DISTINCT domain FROM tls_policy WHERE day = ? ORDER BY domain", (day,))
    return [domain for (domain,) in rows]


def policies(connection: sqlite3.Connection, day: int, domain: str) -> tuple[PolicyCounts, ...]:
    """What was counted for one domain."""
    rows = connection.execute(
        "SELECT id, type, domain, strings, patterns, succeeded, failed FROM tls_policy"
        " WHERE day = ? AND domain = ? ORDER BY type, id",
        (day, domain),
    ).fetchall()
    return tuple(
        PolicyCounts(
            kind,
            name,
            tuple(json.loads(strings)),
            tuple(json.loads(patterns)),
            succeeded,
            failed,
            failures(connection, number),
        )
        for number, kind, name, strings, patterns, succeeded, failed in rows
    )


def failures(connection: sqlite3.Connection, policy: int) -> tuple[FailureDetails, ...]:
    """The ways in which sessions under a policy failed, the most frequent first."""
    rows = connection.execute(
        "SELECT result, sessions, local_address, host, address, reason FROM tls_failure"
        " WHERE policy = ? ORDER BY sessions DESC, result, host, address, reason",
        (policy,),
    )
    return tuple(FailureDetails(*row) for row in rows)


def forget(connection: sqlite3.Connection, before: int) -> None:
    """Delete the counts of all days before this one."""
    connection.execute("DELETE FROM tls_policy WHERE day < ?", (before,))
