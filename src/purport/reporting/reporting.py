"""All kinds of reports together, as the server runs them."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import final

from purport.delivery.tls_outcome import TlsOutcome
from purport.dns.lookup import Resolver
from purport.reporting.database import ReportDatabase, WrongDatabase
from purport.reporting.dmarc import counts as dmarc_counts
from purport.reporting.dmarc.kind import DmarcReports
from purport.reporting.dmarc.row import DmarcRow
from purport.reporting.kind import Kind
from purport.reporting.organization import Organization
from purport.reporting.outbox import Outbox
from purport.reporting.post import Poster
from purport.reporting.sender import ReportSender
from purport.reporting.tally import Tally
from purport.reporting.tls import counts as tls_counts
from purport.reporting.tls.kind import TlsReports


@final
class Reporting:
    """Counts, and sends what was counted. Made in the loop's thread.

    `report_dmarc` takes a row for each message that DMARC was evaluated for (`dmarc.row.row_of`).

    `report_tls` takes the outcome of every connection attempt to an MX-routed domain, but not of one that was made for
    a message with `TLS-Required: No`: the reports themselves are such messages, and two servers would never stop to
    tell each other about them (RFC 8460 section 3).
    """

    def __init__(
        self,
        folder: Path,
        *,
        resolver: Resolver,
        outbox: Outbox,
        tls: Organization | None,
        dmarc: Organization | None,
        note: Callable[[str], None],
        warn: Callable[[str], None],
        failure: Callable[[str, BaseException], None],
        poster: Poster | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`tls` and `dmarc` are who sends reports of a kind; None: nobody does. Without a database mail goes on, but
        nothing is counted."""
        self.report_tls: Callable[[TlsOutcome], None] = ignore
        self.report_dmarc: Callable[[DmarcRow], None] = ignore
        self._database: ReportDatabase | None = None
        self._sender: ReportSender | None = None
        if tls is None and dmarc is None:
            return
        try:
            self._database = database = ReportDatabase(folder)
        except (WrongDatabase, sqlite3.Error) as error:
            warn(f"nothing is counted for reports: {error}")
            return
        kinds: list[Kind] = []
        if tls is not None:
            sessions = Tally[TlsOutcome](tls_counts.KIND, tls_counts.write, database, clock=clock, warn=warn)
            self.report_tls = sessions.add
            kinds.append(TlsReports(tls, sessions.flush))
        if dmarc is not None:
            messages = Tally[DmarcRow](dmarc_counts.KIND, dmarc_counts.write, database, clock=clock, warn=warn)
            self.report_dmarc = messages.add
            kinds.append(DmarcReports(dmarc, messages.flush))
        self._sender = ReportSender(
            kinds=kinds,
            database=database,
            resolver=resolver,
            outbox=outbox,
            poster=poster or Poster(resolver),
            note=note,
            warn=warn,
            failure=partial(failure, "reports"),
            clock=clock,
            chance=chance,
        )

    def start(self) -> None:
        """Send what is due from now on."""
        if self._sender is not None:
            self._sender.start()

    async def send(self, kind: str, day: int, domain: str) -> str:
        """Send one report about a day that is over, now; what came of it. Raises LookupError, sqlite3.Error."""
        if self._sender is None:
            raise LookupError("no reports are sent here")
        return await self._sender.send(kind, day, domain)

    async def stop(self) -> None:
        """Send no more."""
        if self._sender is not None:
            await self._sender.stop()

    async def close(self) -> None:
        """Write what was counted, and let go of the database."""
        if self._sender is not None and self._database is not None:
            await self._sender.flush()
            await self._database.close()


def ignore(_outcome: object) -> None:
    """Nobody counts."""
