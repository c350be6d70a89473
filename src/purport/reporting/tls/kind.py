"""Reports about TLS, as the round that sends reports sees them."""

from __future__ import annotations

import sqlite3
from typing import final

from purport.dns.lookup import Evaluation
from purport.reporting.document import Document
from purport.reporting.kind import Kind
from purport.reporting.tls import counts
from purport.reporting.tls.record import wish_of
from purport.reporting.tls.report import TlsReport, document
from purport.reporting.wish import Wish


@final
class TlsReports(Kind):
    """What the domains hear that we had connections to."""

    name = counts.KIND
    must_be_signed = True  # RFC 8460 section 3

    def domains(self, connection: sqlite3.Connection, day: int) -> list[str]:
        """The policy domains."""
        return counts.domains(connection, day)

    def wish(self, connection: sqlite3.Connection, day: int, domain: str) -> Evaluation[Wish]:  # noqa: ARG002
        """What the record of the domain asks for."""
        return wish_of(domain)

    def document(self, connection: sqlite3.Connection, day: int, domain: str) -> Document:
        """The report."""
        return document(TlsReport(self.organization, day, domain, counts.policies(connection, day, domain)))

    def forget(self, connection: sqlite3.Connection, before: int) -> None:
        """Delete old counts."""
        counts.forget(connection, before)
