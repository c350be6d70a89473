"""Messages counted by day, policy domain and what was found about them: rows in, what a report tells out.

The rows hold what senders chose (domains, selectors, addresses), so each text has a limit, and so has what a day may
hold. The policy that a report shows is the one that was seen last (RFC 9990 section 3.3).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

import msgspec

from purport.mail.domain import is_domain_name, normal_domain
from purport.reporting.dmarc.report import ReportedRow, reported, text
from purport.reporting.dmarc.row import PLACE, PLACES, DmarcRow, PublishedPolicy
from purport.reporting.tally import DETAILS_A_DAY, GROUPS_A_DAY, OCTETS_A_DAY

KIND: Final = "dmarc"
ROWS: Final = 5000  # of one domain: a report of some MiB, which shrinks to a tenth of it

POLICY: Final = msgspec.json.Decoder(PublishedPolicy)
ROW: Final = msgspec.json.Decoder(ReportedRow)


def write(
    connection: sqlite3.Connection,
    day: int,
    rows: Mapping[DmarcRow, int],
    *,
    domains_a_day: int = GROUPS_A_DAY,
    rows_a_day: int = DETAILS_A_DAY,
    octets_a_day: int = OCTETS_A_DAY,
    rows_of_domain: int = ROWS,
) -> int:
    """Add to the counts of a day. Returns how many messages there was no room for."""
    left_out = 0
    room = Room(connection, day, domains_a_day, rows_a_day, octets_a_day)
    for row, messages in rows.items():
        told = reported(row)
        policy = None if told is None else room.policy(row.policy)
        if told is None or policy is None or not room.add(policy, told, messages, rows_of_domain):
            left_out += messages
    return left_out


class Room:
    """The rows of a day, as far as there is room for more."""

    def __init__(
        self, connection: sqlite3.Connection, day: int, domains_a_day: int, rows_a_day: int, octets_a_day: int
    ) -> None:
        self._connection = connection
        self._day = day
        (domains,) = connection.execute("SELECT count(*) FROM dmarc_policy WHERE day = ?", (day,)).fetchone()
        rows, octets = connection.execute(
            "SELECT count(*), coalesce(sum(length(told)), 0) FROM dmarc_row JOIN dmarc_policy ON id = policy"
            " WHERE day = ?",
            (day,),
        ).fetchone()
        self._domains = domains_a_day - domains
        self._rows = rows_a_day - rows
        self._octets = octets_a_day - octets

    def policy(self, policy: PublishedPolicy) -> int | None:
        """The number of the policy's domain, made where there is room for it; the policy is noted."""
        domain = normal_domain(policy.domain)
        if not is_domain_name(domain):
            return None
        noted = msgspec.json.encode(
            policy._replace(
                domain=domain,
                rua=tuple(place for place in policy.rua[:PLACES] if len(place) <= PLACE),
                problem=text(policy.problem),
            )
        ).decode()
        row = self._connection.execute(
            "SELECT id, published FROM dmarc_policy WHERE day = ? AND domain = ?", (self._day, domain)
        ).fetchone()
        if row is not None:
            if row[1] != noted:
                self._connection.execute("UPDATE dmarc_policy SET published = ? WHERE id = ?", (noted, row[0]))
            return int(row[0])
        if self._domains <= 0:
            return None
        self._domains -= 1
        return self._connection.execute(
            "INSERT INTO dmarc_policy (day, domain, published) VALUES (?, ?, ?)", (self._day, domain, noted)
        ).lastrowid

    def add(self, policy: int, row: ReportedRow, messages: int, rows_of_domain: int) -> bool:
        """Count messages about which the same was found; whether there was room for that."""
        told = msgspec.json.encode(row).decode()
        updated = self._connection.execute(
            "UPDATE dmarc_row SET messages = messages + ? WHERE policy = ? AND told = ?", (messages, policy, told)
        )
        if updated.rowcount:
            return True
        (rows,) = self._connection.execute("SELECT count(*) FROM dmarc_row WHERE policy = ?", (policy,)).fetchone()
        if self._rows <= 0 or rows >= rows_of_domain or self._octets < len(told):
            return False
        self._rows -= 1
        self._octets -= len(told)
        self._connection.execute("INSERT INTO dmarc_row VALUES (?, ?, ?)", (policy, told, messages))
        return True


def domains(connection: sqlite3.Connection, day: int) -> list[str]:
    """The policy domains that mail was counted for."""
    rows = connection.execute(
        "SELECT domain FROM dmarc_policy WHERE day = ?"
        " AND EXISTS (SELECT 1 FROM dmarc_row WHERE policy = id) ORDER BY domain",
        (day,),
    )
    return [domain for (domain,) in rows]


def policy_of(connection: sqlite3.Connection, day: int, domain: str) -> PublishedPolicy:
    """The policy of a domain that mail was counted for, as it was seen last."""
    (policy,) = connection.execute(
        "SELECT published FROM dmarc_policy WHERE day = ? AND domain = ?", (day, domain)
    ).fetchone()
    return POLICY.decode(policy)


def rows_of(connection: sqlite3.Connection, day: int, domain: str) -> tuple[tuple[ReportedRow, int], ...]:
    """What was found about its mail, the most frequent first."""
    rows = connection.execute(
        "SELECT told, messages FROM dmarc_row JOIN dmarc_policy ON id = policy WHERE day = ? AND domain = ?"
        " ORDER BY messages DESC, told",
        (day, domain),
    )
    return tuple((ROW.decode(told), messages) for told, messages in rows)


def forget(connection: sqlite3.Connection, before: int) -> None:
    """Delete the counts of all days before this one."""
    connection.execute("DELETE FROM dmarc_policy WHERE day < ?", (before,))
