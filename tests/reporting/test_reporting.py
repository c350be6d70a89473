"""All kinds of reports together, as the server has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from purport.dns.zone import StaticResolver
from purport.queue.schedule import Schedule
from purport.reporting.database import NAME, read
from purport.reporting.dmarc import counts as dmarc_counts
from purport.reporting.organization import Organization
from purport.reporting.outbox import Outbox
from purport.reporting.reporting import Reporting
from purport.reporting.tls import counts as tls_counts
from support.delivery_house import HOSTNAME, House
from support.dmarc_rows import PASSED
from support.reporting import DAY, NOON, ORGANIZATION, succeeded
from support.scripted_server import ScriptedServer, on_loop


def reporting(folder: Path, house: House, tls: Organization | None, dmarc: Organization | None) -> Reporting:
    house.now = NOON
    outbox = Outbox(
        HOSTNAME, house.routes, Schedule(), house.store, house.ids.next, house.deliverer.submit, lambda: house.now
    )
    return Reporting(
        folder,
        resolver=StaticResolver({}),
        outbox=outbox,
        tls=tls,
        dmarc=dmarc,
        note=print,
        warn=print,
        failure=print,
        clock=lambda: house.now,
    )


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("dmarc", [True, False])
@on_loop
async def test_what_is_switched_on_is_counted(tmp_path: Path, tls: bool, dmarc: bool) -> None:
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        current = reporting(tmp_path, house, ORGANIZATION if tls else None, ORGANIZATION if dmarc else None)
        current.start()
        current.report_tls(succeeded())
        current.report_dmarc(PASSED)
        with pytest.raises(LookupError):
            await current.send("tls", DAY - 1, "example.com")
        await current.stop()
        await current.close()
    assert bool(read(tmp_path, lambda connection: tls_counts.domains(connection, DAY))) == tls
    assert bool(read(tmp_path, lambda connection: dmarc_counts.domains(connection, DAY))) == dmarc
    assert (tmp_path / NAME).exists() == (tls or dmarc)
