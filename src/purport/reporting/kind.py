"""A kind of report: what the round that sends them has to know."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar

from purport.dns.lookup import Evaluation
from purport.mail.address import Mailbox
from purport.reporting.document import Document
from purport.reporting.organization import Organization
from purport.reporting.wish import Wish


class Kind(ABC):
    """One kind; functions that are given a connection run in the database's thread."""

    name: ClassVar[str]  # `tls` or `dmarc`, in the database and in commands
    must_be_signed: ClassVar[bool]  # whether its mail is worth nothing without a DKIM signature

    def __init__(self, organization: Organization, flush: Callable[[], Awaitable[None]] | None = None) -> None:
        """`flush` writes what was counted; None: nothing is counted here, as in a command."""
        self.organization = organization
        self._flush = flush

    @property
    def sender(self) -> Mailbox:
        """The From of its mail."""
        return self.organization.sender

    async def flush(self) -> None:
        """Write what was counted."""
        if self._flush is not None:
            await self._flush()

    @abstractmethod
    def domains(self, connection: sqlite3.Connection, day: int) -> Iterable[str]:
        """Whom there is something to tell about a day."""

    @abstractmethod
    def wish(self, connection: sqlite3.Connection, day: int, domain: str) -> Evaluation[Wish]:
        """Whether that domain wants to hear it, and where. All rows are read before the first question."""

    @abstractmethod
    def document(self, connection: sqlite3.Connection, day: int, domain: str) -> Document:
        """What it is told."""

    @abstractmethod
    def forget(self, connection: sqlite3.Connection, before: int) -> None:
        """Delete what was counted on all days before this one."""
