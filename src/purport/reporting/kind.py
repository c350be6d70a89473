"""A kind of report: what the round that sends them has to know."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Protocol

from purport.dns.lookup import Evaluation
from purport.mail.address import Mailbox
from purport.reporting.document import Document
from purport.reporting.wish import Wish


class Kind(Protocol):
    """One kind; functions that are given a connection run in the database's thread."""

    @property
    def name(self) -> str:
        """`tls` or `dmarc`, in the database and in commands."""

    @property
    def sender(self) -> Mailbox:
        """The From of its mail."""

    @property
    def must_be_signed(self) -> bool:
        """Whether its mail is worth nothing without a DKIM signature."""

    async def flush(self) -> None:
        """Write what was counted."""

    def domains(self, connection: sqlite3.Connection, day: int) -> Iterable[str]:
        """Whom there is something to tell about a day."""

    def wish(self, connection: sqlite3.Connection, day: int, domain: str) -> Evaluation[Wish]:
        """Whether that domain wants to hear it, and where. All rows are read before the first question."""

    def document(self, connection: sqlite3.Connection, day: int, domain: str) -> Document:
        """What it is told."""

    def forget(self, connection: sqlite3.Connection, before: int) -> None:
        """Delete what was counted on all days before this one."""
