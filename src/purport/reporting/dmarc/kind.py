"""DMARC aggregate reports, as the round that sends reports sees them."""

from __future__ import annotations

import sqlite3
from typing import final

from purport import __version__
from purport.dns.lookup import Evaluation
from purport.reporting.dmarc import counts
from purport.reporting.dmarc.report import DmarcReport, document
from purport.reporting.dmarc.wish import wish_of
from purport.reporting.document import Document
from purport.reporting.kind import Kind
from purport.reporting.wish import Wish


@final
class DmarcReports(Kind):
    """What the domains hear that mail named as its authors."""

    name = counts.KIND
    must_be_signed = False  # RFC 9990 section 3.5.2: it must pass DMARC, which SPF is enough for

    def domains(self, connection: sqlite3.Connection, day: int) -> list[str]:
        """The policy domains of the mail that came."""
        return counts.domains(connection, day)

    def wish(self, connection: sqlite3.Connection, day: int, domain: str) -> Evaluation[Wish]:
        """What the DMARC record said when the mail came, and what its mailboxes say to it."""
        return wish_of(domain, counts.policy_of(connection, day, domain).rua)

    def document(self, connection: sqlite3.Connection, day: int, domain: str) -> Document:
        """The report."""
        policy, rows = counts.policy_of(connection, day, domain), counts.rows_of(connection, day, domain)
        return document(DmarcReport(self.organization, day, policy, rows, f"Purport {__version__}"))

    def forget(self, connection: sqlite3.Connection, before: int) -> None:
        """Delete old counts."""
        counts.forget(connection, before)
