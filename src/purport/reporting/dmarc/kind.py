"""DMARC aggregate reports, as the round that sends reports sees them."""

from __future__ import annotations

import sqlite3
from typing import Final, final

from purport import __version__
from purport.dns.lookup import Evaluation
from purport.mail.address import Mailbox
from purport.reporting.dmarc import counts
from purport.reporting.dmarc.report import DmarcReport, document
from purport.reporting.dmarc.row import DmarcRow
from purport.reporting.dmarc.wish import wish_of
from purport.reporting.document import Document
from purport.reporting.submitter import Submitter
from purport.reporting.tally import Tally
from purport.reporting.wish import Wish


@final
class DmarcReports:
    """What is counted, and what is told (`reporting.kind.Kind`)."""

    name: Final = counts.KIND
    must_be_signed: Final = False  # RFC 9990 section 3.5.2: it must pass DMARC, which SPF is enough for

    def __init__(self, submitter: Submitter, tally: Tally[DmarcRow] | None = None) -> None:
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
        """The policy domains of the mail that came."""
        return counts.domains(connection, day)

    def wish(self, connection: sqlite3.Connection, day: int, domain: str) -> Evaluation[Wish]:
        """What the DMARC record said when the mail came, and what its mailboxes say to it."""
        return wish_of(domain, counts.policy_of(connection, day, domain).rua)

    def document(self, connection: sqlite3.Connection, day: int, domain: str) -> Document:
        """The report."""
        policy, rows = counts.policy_of(connection, day, domain), counts.rows_of(connection, day, domain)
        return document(DmarcReport(self._submitter, day, policy, rows, f"Purport {__version__}"))

    def forget(self, connection: sqlite3.Connection, before: int) -> None:
        """Delete old counts."""
        counts.forget(connection, before)
