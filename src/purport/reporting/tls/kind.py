"""Reports about TLS, as the round that sends reports sees them."""

from __future__ import annotations

import sqlite3
from typing import Final, final

from purport.delivery.tls_outcome import TlsOutcome
from purport.dns.lookup import Evaluation
from purport.mail.address import Mailbox
from purport.reporting.document import Document
from purport.reporting.submitter import Submitter
from purport.reporting.tally import Tally
from purport.reporting.tls import counts
from purport.reporting.tls.record import wish_of
from purport.reporting.tls.report import TlsReport, document
from purport.reporting.wish import Wish


@final
class TlsReports:
    """What is counted, and what is told (`reporting.kind.Kind`)."""

    name: Final = counts.KIND
    must_be_signed: Final = True  # RFC 8460 section 3

    def __init__(self, submitter: Submitter, tally: Tally[TlsOutcome] | None = None) -> None:
        self._submitter = submitter
        self._tally = tally  # None: nothing is counted here, as in a command

    @property
    def sender(self) -> Mailbox:
        """The From of its mail."""
        return self._submitter.sender

    async def flush(self) -> None:
        """Write what was counted."""
        if self._tally is not None:
            await self._tally.flush()

    def domains(self, connection: sqlite3.Connection, day: int) -> list[str]:
        """Those that we had connections to."""
        return counts.domains(connection, day)

    def wish(self, connection: sqlite3.Connection, day: int, domain: str) -> Evaluation[Wish]:  # noqa: ARG002
        """What the record of the domain asks for."""
        return wish_of(domain)

    def document(self, connection: sqlite3.Connection, day: int, domain: str) -> Document:
        """The report."""
        return document(TlsReport(self._submitter, day, domain, counts.policies(connection, day, domain)))

    def forget(self, connection: sqlite3.Connection, before: int) -> None:
        """Delete old counts."""
        counts.forget(connection, before)
