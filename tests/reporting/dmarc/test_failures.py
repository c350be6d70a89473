"""From a failure to mail in the queue: who wants it, who signs it, and what is left out."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from purport.dns.zone import StaticResolver, ZoneData
from purport.mail.address import NULL
from purport.queue.schedule import Schedule
from purport.queue.store import QueuedMessage
from purport.reporting.dmarc.failures import AT_ONCE, FailureReports
from purport.reporting.dmarc.ration import WINDOW, Ration
from purport.reporting.outbox import Outbox
from support.delivery_house import HOSTNAME, House
from support.dkim_suites import check
from support.dmarc_failures import failed
from support.reporting import KEYS, NOON, ORGANIZATION, SIGNER
from support.scripted_server import ScriptedServer, on_loop

COLLECTOR = "ruf=mailto:fail@collector.example"
CONSENT = "example.com._report._dmarc.collector.example"


class Failures:
    """Failure reports into a queue that delivers nothing."""

    def __init__(self, house: House, zone: ZoneData, ration: Ration | None) -> None:
        self.house = house
        self.queued: list[QueuedMessage] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.faults: list[BaseException] = []
        house.now = NOON
        outbox = Outbox(
            HOSTNAME,
            house.routes,
            Schedule(),
            house.store,
            house.ids.next,
            self.queued.append,
            lambda: house.now,
            lambda: SIGNER,
        )
        self.reports = FailureReports(
            ORGANIZATION,
            outbox,
            StaticResolver(zone),
            b"secret",
            note=self.notes.append,
            warn=self.warnings.append,
            failure=lambda _, error: self.faults.append(error),
            ration=ration,
        )


@asynccontextmanager
async def failures(folder: Path, zone: ZoneData | None = None, ration: Ration | None = None) -> AsyncIterator[Failures]:
    async with ScriptedServer() as server, House(folder, server) as house:
        made = Failures(house, zone or {}, ration)
        yield made
        await made.reports.stop()
        assert made.faults == []


@on_loop
async def test_a_report_is_signed_and_nobody_can_answer_it(tmp_path: Path) -> None:
    async with failures(tmp_path) as made:
        made.reports.report(failed())
        await made.reports.settled()
        (message,) = made.queued
        octets = message.trace + (message.body.octets() or b"")
    assert message.reverse_path is NULL
    assert [str(one.forward_path) for one in message.recipients] == ["fail@example.com"]
    (signature,) = check(octets, KEYS, NOON)
    assert (signature.result, signature.domain) == ("pass", HOSTNAME)
    assert email.message_from_bytes(octets, policy=email.policy.default)["From"] == f"tls-reports@{HOSTNAME}"
    assert made.notes == [
        f"DMARC failure report to example.com about 3K2M7Q9H4R1XY: queued as {message.queue_id} for fail@example.com"
    ]


@pytest.mark.parametrize(
    ("zone", "to"),
    [
        ({}, []),
        ({CONSENT: [{"TXT": "v=DMARC1"}]}, ["fail@collector.example"]),
        ({CONSENT: [{"TXT": "v=DMARC1; ruf=mailto:other@collector.example"}]}, ["other@collector.example"]),
        (
            {CONSENT: [{"TXT": "v=DMARC1; rua=mailto:other@collector.example"}]},
            ["fail@collector.example"],
        ),
        ({CONSENT: [{"TXT": "v=DMARC1; ruf=mailto:victim@example.org"}]}, []),
        ({CONSENT: ["TIMEOUT"]}, []),
    ],
)
@on_loop
async def test_a_mailbox_of_another_organization_has_to_want_it(tmp_path: Path, zone: ZoneData, to: list[str]) -> None:
    async with failures(tmp_path, zone) as made:
        made.reports.report(failed(record=COLLECTOR))
        await made.reports.settled()
    assert [str(one.recipients[0].forward_path) for one in made.queued] == to
    assert len(made.notes) == 1


@on_loop
async def test_every_mailbox_of_ruf_gets_one_of_its_own(tmp_path: Path) -> None:
    async with failures(tmp_path) as made:
        made.reports.report(failed(record="ruf=mailto:a@example.com,https://example.com/,mailto:b@example.com"))
        await made.reports.settled()
    assert [str(one.recipients[0].forward_path) for one in made.queued] == ["a@example.com", "b@example.com"]


@on_loop
async def test_who_floods_us_makes_no_flood(tmp_path: Path) -> None:
    async with failures(tmp_path, ration=Ration(per_domain=3)) as made:
        for number in range(500):
            made.reports.report(failed(client=f"192.0.2.{number % 5}"))
        await made.reports.settled()
        assert len(made.queued) == 3
        made.house.now += WINDOW
        made.reports.report(failed(client="192.0.2.0"))
        await made.reports.settled()
        octets = made.queued[3].body.octets()
    assert octets is not None
    assert b"\r\nIncidents: 100\r\n" in octets
    assert "DMARC failure reports: 497 messages had none of their own, as there were too many" in made.notes


@on_loop
async def test_while_the_dns_is_slow_there_is_room_for_a_number_of_them(tmp_path: Path) -> None:
    async with failures(tmp_path) as made:
        for number in range(AT_ONCE + 5):
            made.reports.report(failed(f"d{number}.example"))
        await made.reports.settled()
    assert len(made.queued) + sum("not sent" in note for note in made.notes) == AT_ONCE
    assert made.notes[-1].startswith("DMARC failure reports: 5 messages")
