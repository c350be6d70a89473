"""Reports for a test: outcomes, a database, and a round with a clock that stands still."""

from __future__ import annotations

from pathlib import Path

from purport.authentication.dkim.signer import DomainKey, Signer
from purport.delivery.tls_outcome import TlsOutcome
from purport.dns.lookup import Resolver
from purport.mail.address import Mailbox
from purport.queue.schedule import Schedule
from purport.reporting.database import ReportDatabase
from purport.reporting.dmarc import counts as dmarc_counts
from purport.reporting.dmarc.kind import DmarcReports
from purport.reporting.dmarc.row import DmarcRow
from purport.reporting.organization import Organization
from purport.reporting.outbox import Outbox
from purport.reporting.post import Poster
from purport.reporting.sender import ReportSender
from purport.reporting.tally import Tally
from purport.reporting.tls import counts
from purport.reporting.tls.kind import TlsReports
from support.delivery_house import HOSTNAME, House
from support.dkim_keys import ed25519_key, zone

DAY = 20780  # 2026-11-23
NOON = DAY * 86400 + 43200.0
NEXT_DAY = (DAY + 1) * 86400.0
ORGANIZATION = Organization("Company", Mailbox("postmaster", HOSTNAME), Mailbox("tls-reports", HOSTNAME))
SIGNER = Signer([DomainKey(HOSTNAME, "s1", ed25519_key())])
KEYS = zone(ed25519_key(), "s1", HOSTNAME)


def succeeded(domain: str = "example.com") -> TlsOutcome:
    return TlsOutcome("no-policy-found", domain, (), (), "", "mx.example.com", "192.0.2.25", "192.0.2.1")


def failed(
    domain: str = "example.com", result: str = "certificate-expired", host: str = "mx.example.com", reason: str = ""
) -> TlsOutcome:
    return TlsOutcome("no-policy-found", domain, (), (), result, host, "192.0.2.25", "192.0.2.1", reason)


class Round:
    """A sender over the database of a folder; `house` is where its mail goes."""

    def __init__(
        self,
        folder: Path,
        house: House,
        resolver: Resolver,
        *,
        signer: Signer = SIGNER,
        poster: Poster | None = None,
        chance: float = 0.5,
    ) -> None:
        self.house = house
        self.house.now = NOON
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.faults: list[BaseException] = []
        self.chance = chance
        self.database = ReportDatabase(folder)
        self.tally = Tally[TlsOutcome](
            counts.KIND, counts.write, self.database, clock=lambda: house.now, warn=self.warnings.append
        )
        self.rows = Tally[DmarcRow](
            dmarc_counts.KIND, dmarc_counts.write, self.database, clock=lambda: house.now, warn=self.warnings.append
        )
        self.sender = ReportSender(
            kinds=[TlsReports(ORGANIZATION, self.tally.flush), DmarcReports(ORGANIZATION, self.rows.flush)],
            database=self.database,
            resolver=resolver,
            outbox=Outbox(
                HOSTNAME,
                house.routes,
                Schedule(),
                house.store,
                house.ids.next,
                house.deliverer.submit,
                lambda: house.now,
                lambda: signer,
            ),
            poster=poster or Poster(resolver),
            note=self.notes.append,
            warn=self.warnings.append,
            failure=self.faults.append,
            clock=lambda: house.now,
            chance=lambda: self.chance,
        )

    async def __aenter__(self) -> Round:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sender.stop()
        await self.sender.flush()
        await self.database.close()
