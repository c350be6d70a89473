"""DELIVERBY (RFC 2852) in the queue: what is tried, given up and told, and when."""

from __future__ import annotations

import asyncio
import email
from email.message import Message

import pytest

from purport.delivery.maildir import Drop, deliver_many
from purport.mail.address import Mailbox
from purport.queue.memory import MemoryStore
from purport.queue.schedule import DAY
from support.delivery_house import NOW, House
from support.scripted_server import ScriptedServer, on_loop

ALICE = "alice@company.com.example"
BOB = "bob@company.com.example"
CAROL = "carol@elsewhere.example"
TO_ALICE = (
    f"delivered {ALICE} 2.0.0 250 2.0.0 delivered to maildir",
    "removed",
)


async def reports(house: House, count: int) -> list[Message]:
    """What Alice was told."""
    async with asyncio.timeout(10):
        while len(house.mail("alice")) < count:
            house.log.changed.clear()
            await house.log.changed.wait()
    assert len(house.mail("alice")) == count
    return [email.message_from_bytes(octets) for octets in house.mail("alice")]


def fields(report: Message) -> tuple[Message, Message]:
    """The fields of a report about the message, and about its first recipient."""
    about_message, about_recipient, *_ = report.get_payload()[1].get_payload()
    return about_message, about_recipient


async def due(house: House) -> float | None:
    """When something is due again, in seconds from the start, once the store knows."""
    async with asyncio.timeout(5):
        while (at := await house.store.next_due()) is None:
            await asyncio.sleep(0)
    return at - NOW


async def go_to(house: House, seconds: float) -> None:
    house.log.lines.clear()
    house.now = NOW + seconds
    await house.deliverer.retry_now()


@on_loop
async def test_the_next_hop_gets_the_time_that_is_left(tmp_path):
    """RFC 2852 section 6: 22 seconds of 120 have passed."""
    async with ScriptedServer("DELIVERBY 30") as server, House(tmp_path, server) as house:
        message = await house.accept(CAROL, mail="BY=120;R", hand_over=False)
        house.now += 22
        house.deliverer.submit(message)
        await house.told(f"relayed {CAROL} 2.0.0 250 2.0.0 Ok: taken", "removed")
        assert server.commands[1] == "MAIL FROM:<alice@example.com> BY=98;R"


@pytest.mark.parametrize(
    ("offers", "status", "said"),
    [
        (["DSN"], "5.3.3", "554 5.3.3 Message is to be delivered in time and the next hop lacks DELIVERBY"),
        (["DELIVERBY 240"], "5.4.7", "554 5.4.7 Less time is left than the next hop takes messages with"),
    ],
)
def test_a_message_that_is_to_return_does_so_where_the_next_hop_cannot_keep_the_time(
    tmp_path, offers: list[str], status: str, said: str
) -> None:
    """RFC 2852 section 4.1.4.1."""

    @on_loop
    async def run() -> None:
        async with ScriptedServer(*offers) as server, House(tmp_path, server) as house:
            await house.accept(CAROL, mail="BY=120;R", reverse_path=ALICE)
            (report,) = await reports(house, 1)
            about_message, about_carol = fields(report)
            assert house.log.lines[0] == f"failed {CAROL} {status} {said}"
            assert server.messages == []
            assert about_message["Arrival-Date"] == "Mon, 23 Nov 2026 22:00:00 +0000"
            assert about_message["Deliver-By-Date"] == "Mon, 23 Nov 2026 22:02:00 +0000"
            assert (about_carol["Action"], about_carol["Status"]) == ("failed", status)

    run()


@on_loop
async def test_it_is_tried_shortly_before_its_time_is_over_and_then_no_more(tmp_path):
    """RFC 2852 section 4.1.3."""
    async with ScriptedServer("DELIVERBY") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<carol", "450 4.2.0 Greylisted")
        await house.accept(CAROL, mail="BY=120;R", reverse_path=ALICE)
        await house.told(f"deferred {CAROL} 4.2.0 450 4.2.0 Greylisted")
        assert await due(house) == 108
        await go_to(house, 108)
        await house.told(f"deferred {CAROL} 4.2.0 450 4.2.0 Greylisted")
        assert await due(house) == 120
        tried = len(server.commands)
        await go_to(house, 120)
        (report,) = await reports(house, 1)
        said = "554 5.4.7 Delivery time expired; at last: 450 4.2.0 Greylisted"
        assert f"failed {CAROL} 5.4.7 {said}" in house.log.lines
        assert fields(report)[1]["Status"] == "5.4.7"
        assert len([command for command in server.commands if command.startswith("MAIL")]) == 2
        assert len(server.commands) - tried <= 1, "QUIT"


@on_loop
async def test_what_waits_for_its_next_attempt_is_due_when_it_would_be_where_that_is_sooner(tmp_path):
    async with ScriptedServer("DELIVERBY") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<carol", "450 4.2.0 Greylisted")
        await house.accept(CAROL, mail="BY=3600;R")
        await house.told(f"deferred {CAROL} 4.2.0 450 4.2.0 Greylisted")
        assert await due(house) == 300


@on_loop
async def test_an_attempt_that_ends_after_the_time_is_the_last(tmp_path):
    async with ScriptedServer("DELIVERBY") as server, House(tmp_path, server, store=MemoryStore()) as house:
        server.on("RCPT TO:<carol", "450 4.2.0 Greylisted")
        message = await house.accept(CAROL, mail="BY=120;R", hand_over=False)
        house.now += 119
        house.deliverer.submit(message)
        await server.until(lambda: any(command.startswith("MAIL") for command in server.commands))
        house.now += 1
        await house.told(
            f"failed {CAROL} 5.4.7 554 5.4.7 Delivery time expired; at last: 450 4.2.0 Greylisted",
            "reported to alice@example.com",
            "removed",
            "relayed alice@example.com 2.0.0 250 2.0.0 Ok: taken",
            "removed",
        )


@on_loop
async def test_nothing_is_put_into_a_mailbox_after_its_time(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        message = await house.accept(BOB, mail="BY=5;R", reverse_path=ALICE, hand_over=False)
        house.now += 5
        house.deliverer.submit(message)
        (report,) = await reports(house, 1)
        assert f"failed {BOB} 5.4.7 554 5.4.7 Delivery time expired" in house.log.lines
        assert (fields(report)[1]["Action"], fields(report)[1]["Status"]) == ("failed", "5.4.7")
        assert house.mail("bob") == []


@on_loop
async def test_nor_where_the_disk_is_slow(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        message = await house.accept(BOB, mail="BY=5;R", hand_over=False)
        times = iter([NOW + 4.9, NOW + 5.0])
        drops = [Drop(message, 0, Mailbox("bob", "company.com.example"), before=NOW + 5) for _ in range(2)]
        in_time, late = deliver_many(house.maildirs, drops, lambda: next(times))
        assert in_time is None
        assert late is not None
        assert late.late
        assert len(house.mail("bob")) == 1
        assert list((house.maildirs / "company.com.example/bob/tmp").iterdir()) == []


@on_loop
async def test_in_time_it_is_in_the_mailbox_and_nobody_is_told(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        await house.accept(BOB, mail="BY=5;R", reverse_path=ALICE)
        await house.told(f"delivered {BOB} 2.0.0 250 2.0.0 delivered to maildir", "removed")
        assert len(house.mail("bob")) == 1


@on_loop
async def test_a_lifetime_that_ends_before_is_not_made_longer(tmp_path):
    """RFC 2852 section 4: BY "does not extend an MTA's normal retention period"."""
    async with ScriptedServer("DELIVERBY") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<carol", "450 4.2.0 Greylisted")
        message = await house.accept(CAROL, mail="BY=999999999;R", reverse_path=ALICE, hand_over=False)
        house.now += 5 * DAY
        house.deliverer.submit(message)
        await reports(house, 1)
        assert f"failed {CAROL} 4.4.7 Delivery time expired; at last: 450 4.2.0 Greylisted" in house.log.lines


# Mode N


@on_loop
async def test_a_message_that_is_late_goes_on_and_its_sender_is_told_once(tmp_path):
    """RFC 2852 section 4.1.3: "delayed", 4.4.7. `queue.warn_after` makes no second report of it."""
    async with ScriptedServer("DELIVERBY") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<carol", "450 4.2.0 Greylisted")
        deferred = f"deferred {CAROL} 4.2.0 450 4.2.0 Greylisted"
        await house.accept(CAROL, mail="BY=1000;N", reverse_path=ALICE)
        await house.told(deferred)
        await go_to(house, 940)
        await house.told(deferred)
        assert await due(house) == 1000
        await go_to(house, 1000)
        await house.told(deferred, f"reported to {ALICE}", *TO_ALICE)
        (report,) = await reports(house, 1)
        about_message, about_carol = fields(report)
        assert about_message["Deliver-By-Date"] == "Mon, 23 Nov 2026 22:16:40 +0000"
        assert (about_carol["Action"], about_carol["Status"]) == ("delayed", "4.4.7")
        assert about_carol["Will-Retry-Until"] == "Sat, 28 Nov 2026 22:00:00 +0000"
        await go_to(house, 20_000)
        await house.told(deferred)
        assert [command for command in server.commands if command.startswith("MAIL")][-1].endswith("BY=-19000;N")


@on_loop
async def test_its_sender_does_not_hear_of_a_delay_before(tmp_path):
    """The time that the sender set takes the place of `queue.warn_after`."""
    async with ScriptedServer("DELIVERBY") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<carol", "450 4.2.0 Greylisted")
        message = await house.accept(CAROL, mail="BY=40000;N", reverse_path=ALICE, hand_over=False)
        house.now += 20_000
        house.deliverer.submit(message)
        await house.told(f"deferred {CAROL} 4.2.0 450 4.2.0 Greylisted")


@on_loop
async def test_one_that_is_to_return_is_told_of_when_it_waits_long_and_until_when_it_may(tmp_path):
    async with ScriptedServer("DELIVERBY") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<carol", "450 4.2.0 Greylisted")
        message = await house.accept(CAROL, mail="BY=40000;R", reverse_path=ALICE, hand_over=False)
        house.now += 20_000
        house.deliverer.submit(message)
        (report,) = await reports(house, 1)
        _, about_carol = fields(report)
        assert (about_carol["Action"], about_carol["Status"]) == ("delayed", "4.2.0")
        assert about_carol["Will-Retry-Until"] == "Tue, 24 Nov 2026 09:06:40 +0000"


@pytest.mark.parametrize(
    ("rcpt", "told"), [("", True), ("NOTIFY=DELAY", True), ("NOTIFY=SUCCESS,FAILURE", False), ("NOTIFY=NEVER", False)]
)
def test_a_message_that_arrives_late_is_told_of_where_delays_are(tmp_path, rcpt: str, told: bool) -> None:
    @on_loop
    async def run() -> None:
        async with ScriptedServer("DELIVERBY", "DSN") as server, House(tmp_path, server) as house:
            message = await house.accept(CAROL, mail="BY=10;N", rcpt=rcpt, reverse_path=ALICE, hand_over=False)
            house.now += 12
            house.deliverer.submit(message)
            relayed = f"relayed {CAROL} 2.0.0 250 2.0.0 Ok: taken"
            if not told:
                await house.told(relayed, "removed")
                return
            await house.told(relayed, f"reported to {ALICE}", "removed", *TO_ALICE)
            (report,) = await reports(house, 1)
            assert (fields(report)[1]["Action"], fields(report)[1]["Status"]) == ("delayed", "4.4.7")
            assert "by the time that you set; it was later" in report.get_payload()[0].get_payload()

    run()


@on_loop
async def test_one_that_was_late_when_it_came_is_delivered_without_a_word(tmp_path):
    """The server that had it when its time was over told the sender."""
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        await house.accept(BOB, mail="BY=-5;N", reverse_path=ALICE)
        await house.told(f"delivered {BOB} 2.0.0 250 2.0.0 delivered to maildir", "removed")


@pytest.mark.parametrize(
    ("offers", "by", "rcpt", "told"),
    [
        ([], "BY=60;N", "", True),
        (["DSN"], "BY=60;N", "", True),
        (["DSN"], "BY=60;N", "NOTIFY=FAILURE", True),
        (["DSN"], "BY=60;N", "NOTIFY=NEVER", False),
        (["DSN"], "BY=-1;N", "", False),
        (["DSN", "DELIVERBY"], "BY=60;N", "", False),
        (["DSN", "DELIVERBY"], "BY=60;NT", "", True),
        (["DSN", "DELIVERBY"], "BY=-1;NT", "", True),
        (["DSN", "DELIVERBY"], "BY=60;R", "", False),
        (["DSN", "DELIVERBY"], "BY=60;RT", "NOTIFY=DELAY", True),
        (["DELIVERBY"], "BY=60;RT", "NOTIFY=NEVER", False),
        (["DELIVERBY"], "BY=60;R", "NOTIFY=SUCCESS", True),
    ],
)
def test_who_hears_that_a_message_was_relayed(tmp_path, offers: list[str], by: str, rcpt: str, told: bool) -> None:
    """RFC 2852 section 4.1.4 (T) and 4.1.4.2 (a host that does not keep the time); the last is RFC 3461."""

    @on_loop
    async def run() -> None:
        async with ScriptedServer(*offers) as server, House(tmp_path, server) as house:
            await house.accept(CAROL, mail=by, rcpt=rcpt, reverse_path=ALICE)
            relayed = f"relayed {CAROL} 2.0.0 250 2.0.0 Ok: taken"
            if not told:
                await house.told(relayed, "removed")
                return
            await house.told(relayed, f"reported to {ALICE}", "removed", *TO_ALICE)
            (report,) = await reports(house, 1)
            assert (fields(report)[1]["Action"], fields(report)[1]["Status"]) == ("relayed", "2.0.0")
            text = " ".join(report.get_payload()[0].get_payload().split())
            assert ("does not report" in text) == ("DSN" not in offers)

    run()


@on_loop
async def test_a_report_is_not_reported_about(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        await house.accept(CAROL, mail="BY=60;NT", reverse_path="")
        await house.told(f"relayed {CAROL} 2.0.0 250 2.0.0 Ok: taken", "removed")
