"""How a report enters the queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from purport.mail.address import Mailbox
from purport.queue.schedule import Schedule
from purport.reporting.document import Document
from purport.reporting.outbox import Outbox
from purport.smtp.extensions.requiretls import Demand, demand_of
from support.delivery_house import HOSTNAME, House
from support.scripted_server import ScriptedServer, on_loop


@pytest.mark.parametrize(
    ("fields", "demand"), [((("TLS-Required", "No"),), Demand.IGNORE_POLICIES), ((), Demand.NOTHING)]
)
@on_loop
async def test_a_report_about_tls_goes_whatever_the_domain_publishes(
    tmp_path: Path, fields: tuple[tuple[str, str], ...], demand: Demand
) -> None:
    """It tells of the very fault that would keep it from going (RFC 8460 section 3, RFC 8689 section 3)."""
    report = Document("1", b"{}", "application/gzip", "report.gz", ("Report",), fields, "multipart/report", ("Hello",))
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        clock = lambda: house.now  # noqa: E731
        outbox = Outbox(HOSTNAME, house.routes, Schedule(), house.store, house.ids.next, house.deliverer.submit, clock)
        sender, recipient = Mailbox("postmaster", HOSTNAME), Mailbox("reports", "elsewhere.example")
        message = await outbox.send(report, sender=sender, recipients=[recipient], signed=False)
        assert demand_of(message.parameters) is demand
