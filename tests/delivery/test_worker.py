"""Delivery end to end: from the queue over the wire or into Maildirs, and back into the queue."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Sequence

import pytest

from purport.delivery.pool import PoolSettings
from purport.delivery.worker import Limits
from purport.mail.address import NULL, parse_mailbox
from purport.mail.envelope import Parameters
from purport.queue.memory import MemoryStore
from purport.queue.schedule import DAY
from purport.queue.sqlite import SqliteStore
from purport.queue.store import NoSpace, Outcome, QueuedMessage, QueuedRecipient, StorageFault
from purport.smtp.extensions.requiretls import requires_tls
from support.delivery_house import HOSTNAME, MESSAGE, NOW, TRACE, House
from support.scripted_server import DROP, HANG, ScriptedServer, on_loop


@on_loop
async def test_a_message_for_a_mailbox_and_one_for_a_next_hop(tmp_path):
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        await house.accept("bob@company.com.example", "carol@elsewhere.example")
        await house.told(
            "delivered bob@company.com.example 2.0.0 250 2.0.0 delivered to maildir",
            "relayed carol@elsewhere.example 2.0.0 250 2.0.0 Ok: taken",
            "removed",
        )
        (delivered,) = house.mail("bob")
        assert delivered.startswith(
            b"Return-Path: <alice@example.com>\nDelivered-To: bob@company.com.example\nReceived: "
        )
        assert delivered.endswith(MESSAGE.replace(b"\r\n", b"\n"))
        assert server.messages == [TRACE + MESSAGE]
        assert await house.store.next_due() is None


@on_loop
async def test_what_is_in_quarantine_goes_into_the_junk_folder_here_and_as_it_is_to_others(tmp_path):
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        await house.accept("bob@company.com.example", "carol@elsewhere.example", quarantine=True)
        await house.told(
            "delivered bob@company.com.example 2.0.0 250 2.0.0 delivered to maildir",
            "relayed carol@elsewhere.example 2.0.0 250 2.0.0 Ok: taken",
            "removed",
        )
        assert house.mail("bob") == []
        assert len(house.mail("bob/.Junk")) == 1


@on_loop
async def test_what_is_deferred_is_tried_again_when_it_is_due(tmp_path):
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<bob", "450 4.2.0 Greylisted", "250 Ok")
        await house.accept("bob@b.example", "carol@b.example")
        await house.told(
            "deferred bob@b.example 4.2.0 450 4.2.0 Greylisted", "relayed carol@b.example 2.0.0 250 2.0.0 Ok: taken"
        )
        async with asyncio.timeout(5):
            while await house.store.next_due() is None:
                await asyncio.sleep(0)
        assert await house.store.next_due() == NOW + 300.0
        house.log.lines.clear()
        house.now += 300.0
        await house.deliverer.retry_now()
        await house.told("relayed bob@b.example 2.0.0 250 2.0.0 Ok: taken", "removed")
        assert len(server.messages) == 2


@on_loop
async def test_the_dialogue_of_a_failed_attempt_stays_with_the_queue_entry(tmp_path):
    store = MemoryStore()
    async with ScriptedServer() as server, House(tmp_path, server, store=store) as house:
        server.on("RCPT", "450 4.2.0 Greylisted")
        message = await house.accept("bob@b.example")
        await house.told("deferred bob@b.example 4.2.0 450 4.2.0 Greylisted")
        async with asyncio.timeout(5):
            while await store.next_due() is None:
                await asyncio.sleep(0)
        detail = store.show(message.queue_id)
        assert detail is not None
        assert detail.recipients[0].last_reply == "450 4.2.0 Greylisted"
        assert detail.recipients[0].transcript.splitlines()[-4:] == [
            "C: MAIL FROM:<alice@example.com>",
            "S: 250 2.0.0 Ok",
            "C: RCPT TO:<bob@b.example>",
            "S: 450 4.2.0 Greylisted",
        ]


@on_loop
async def test_a_message_that_expired_is_reported_with_the_last_reply(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<bob", "450 4.2.0 Greylisted")
        message = await house.accept("bob@b.example", hand_over=False)
        house.now += 6 * DAY
        house.deliverer.submit(message)
        await house.told(
            "failed bob@b.example 4.4.7 Delivery time expired; at last: 450 4.2.0 Greylisted",
            "reported to alice@example.com",
            "removed",
            "relayed alice@example.com 2.0.0 250 2.0.0 Ok: taken",
            "removed",
        )


def report_in(octets: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(octets, policy=email.policy.SMTP)


@on_loop
async def test_r21_t14_a_report_goes_to_the_reverse_path_whatever_submitter_said(tmp_path):
    """RFC 4405 section 4.2: a delivery report goes to the reverse-path, never to the submitter."""
    body = b"Sender: secretary@example.net\r\n" + MESSAGE
    async with ScriptedServer("PIPELINING", "SUBMITTER") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<bob", "550 5.1.1 No such user")
        await house.accept("bob@b.example", "carol@b.example", body=body)
        await house.told(
            "failed bob@b.example 5.1.1 550 5.1.1 No such user",
            "relayed carol@b.example 2.0.0 250 2.0.0 Ok: taken",
            "reported to alice@example.com",
            "removed",
            "relayed alice@example.com 2.0.0 250 2.0.0 Ok: taken",
            "removed",
        )
        assert "MAIL FROM:<alice@example.com> SUBMITTER=secretary@example.net" in server.commands
        assert not [command for command in server.commands if command.startswith("RCPT TO:<secretary")]
        report = report_in(server.messages[-1])
        assert report["To"] == "alice@example.com"
        status = report.get_payload()[1].as_string()
        assert "Final-Recipient: rfc822; bob@b.example" in status
        assert "Action: failed" in status
        assert "Status: 5.1.1" in status
        assert "carol" not in status


@on_loop
async def test_r22_t13_s15_with_a_null_reverse_path_nobody_is_told(tmp_path):
    """RFC 4405 section 4.2: no report to the SUBMITTER address; RFC 5321 section 4.5.5: none at all."""
    async with ScriptedServer("PIPELINING", "SUBMITTER") as server, House(tmp_path, server) as house:
        server.on("RCPT", "550 5.1.1 No such user")
        await house.accept("bob@b.example", reverse_path="")
        await house.told("failed bob@b.example 5.1.1 550 5.1.1 No such user", "removed")
        assert "MAIL FROM:<> SUBMITTER=alice@example.com" in server.commands
        assert not house.log.reports
        assert await house.store.next_due() is None


@on_loop
async def test_t19_a_report_is_sent_with_the_null_reverse_path_and_its_own_submitter(tmp_path):
    """RFC 4405 section 5.5: `MAIL FROM:<> SUBMITTER=mailer-daemon@...`, which is the report's own PRA."""
    async with ScriptedServer("PIPELINING", "SUBMITTER") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<bob", "550 5.1.1 No such user")
        await house.accept("bob@b.example")
        await server.until(lambda: server.messages)
        assert f"MAIL FROM:<> SUBMITTER=mailer-daemon@{HOSTNAME}" in server.commands
        assert report_in(server.messages[0])["From"] == f"Mail Delivery System <mailer-daemon@{HOSTNAME}>"


@on_loop
async def test_a_report_for_one_of_our_mailboxes_is_delivered_here(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        server.on("MAIL", "550 5.7.1 Submitter not allowed.")
        await house.accept("x@b.example", "y@b.example", reverse_path="bob@company.com.example")
        await house.told(
            "failed x@b.example 5.7.1 550 5.7.1 Submitter not allowed.",
            "failed y@b.example 5.7.1 550 5.7.1 Submitter not allowed.",
            "reported to bob@company.com.example",
            "removed",
            "delivered bob@company.com.example 2.0.0 250 2.0.0 delivered to maildir",
            "removed",
        )
        (report,) = house.mail("bob")
        assert report.startswith(b"Return-Path: <>\n")
        assert report.count(b"Final-Recipient:") == 2, "one report for all that failed"


@on_loop
async def test_client_refused_one_report_and_no_retry_without_the_parameter(tmp_path):
    """The case client-refused of the SUBMITTER dialogues."""
    async with ScriptedServer("PIPELINING", "SUBMITTER") as server, House(tmp_path, server) as house:
        server.on("MAIL FROM:<alice", "550 5.7.1 Submitter not allowed.")
        await house.accept("bob@b.example")
        await house.told(
            "failed bob@b.example 5.7.1 550 5.7.1 Submitter not allowed.",
            "reported to alice@example.com",
            "removed",
            "relayed alice@example.com 2.0.0 250 2.0.0 Ok: taken",
            "removed",
        )
        assert [command for command in server.commands if command.startswith("MAIL")] == [
            "MAIL FROM:<alice@example.com> SUBMITTER=alice@example.com",
            f"MAIL FROM:<> SUBMITTER=mailer-daemon@{HOSTNAME}",
        ]


@pytest.mark.parametrize(
    ("offers", "body", "said"),
    [
        (("SIZE 50",), MESSAGE, "5.3.4"),
        ((), b"X: caf\xc3\xa9\r\n" + MESSAGE, "5.6.3"),
    ],
)
@on_loop
async def test_a_message_the_next_hop_cannot_take_fails_here(tmp_path, offers, body, said):
    async with ScriptedServer(*offers) as server, House(tmp_path, server) as house:
        await house.accept("bob@b.example", reverse_path="", body=body)
        async with asyncio.timeout(5):
            while not house.log.lines:
                await house.log.changed.wait()
        assert house.log.lines[0].startswith(f"failed bob@b.example {said}")
        assert not [command for command in server.commands if command.startswith("MAIL")]


@on_loop
async def test_an_eightbit_message_says_so_to_a_server_that_can(tmp_path):
    async with ScriptedServer("8BITMIME", "SIZE") as server, House(tmp_path, server) as house:
        body = MESSAGE + b"caf\xc3\xa9\r\n"
        await house.accept("bob@b.example", body=body)
        await server.until(lambda: server.messages)
        assert f"MAIL FROM:<alice@example.com> SIZE={len(TRACE + body)} BODY=8BITMIME" in server.commands
        assert server.messages == [TRACE + body]


@on_loop
async def test_a_big_message_goes_from_disk_to_the_wire_and_into_a_mailbox(tmp_path):
    store = SqliteStore(tmp_path / "spool")
    body = MESSAGE + b"caf\xc3\xa9\r\n" + (b"." + b"x" * 70 + b"\r\n") * 20_000
    offers = ("PIPELINING", "8BITMIME", "SUBMITTER")
    async with ScriptedServer(*offers) as server, House(tmp_path, server, store=store) as house:
        await house.accept("carol@b.example", "bob@company.com.example", body=body)
        await house.told(
            "relayed carol@b.example 2.0.0 250 2.0.0 Ok: taken",
            "delivered bob@company.com.example 2.0.0 250 2.0.0 delivered to maildir",
            "removed",
        )
        assert server.messages == [TRACE + body]
        assert "MAIL FROM:<alice@example.com> BODY=8BITMIME SUBMITTER=alice@example.com" in server.commands
        assert house.mail("bob")[0].endswith(body.replace(b"\r\n", b"\n"))


@on_loop
async def test_messages_left_in_the_queue_are_claimed_at_the_start(tmp_path):
    store = MemoryStore()
    async with ScriptedServer() as server:
        house = House(tmp_path, server, store=store)
        await house.accept("bob@b.example", hand_over=False)
        house = House(tmp_path, server, store=store.restarted())
        async with house:
            await house.told("relayed bob@b.example 2.0.0 250 2.0.0 Ok: taken", "removed")


@on_loop
async def test_what_there_is_no_room_for_goes_back_and_is_delivered_later(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server, limits=Limits(messages=4)) as house:
        for _ in range(30):
            await house.accept("bob@b.example", hand_over=False)
        messages = await house.store.claim(house.now, 100)
        assert not messages, "leased to us"
        for queue_id in [entry.queue_id for entry in house.store.entries()]:
            message = QueuedMessage(
                queue_id, NOW, NULL, Parameters(), TRACE, house.store.body(a_spool(house.store)), the_recipient(house)
            )
            house.deliverer.submit(message)
            assert house.deliverer.messages <= 4
        await server.until(lambda: len(server.messages) == 30)
        async with asyncio.timeout(5):
            while len(house.store):
                await asyncio.sleep(0)


def a_spool(store: MemoryStore):
    spool = store.spool()
    spool.write(MESSAGE)
    return spool


def the_recipient(house: House) -> list[QueuedRecipient]:
    mailbox = parse_mailbox("bob@b.example")
    return [QueuedRecipient(0, mailbox, house.routes.next_hop("b.example"))]


@on_loop
async def test_outcomes_the_store_could_not_keep_are_recorded_later(tmp_path):
    store = MemoryStore()
    record = store.record
    failures = [StorageFault("disk full")]

    class Failing:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def record(self, outcomes: Sequence[Outcome], reports: Sequence[QueuedMessage], done) -> None:
            if failures:
                done(failures.pop())
            else:
                record(outcomes, reports, done)

    async with ScriptedServer() as server, House(tmp_path, server, store=Failing()) as house:
        await house.accept("bob@b.example")
        await house.told("relayed bob@b.example 2.0.0 250 2.0.0 Ok: taken", "unrecorded disk full", "removed")
        assert len(store) == 0


@on_loop
async def test_stopping_records_what_became_of_running_transactions(tmp_path):
    store = MemoryStore()
    async with ScriptedServer() as server:
        server.on("RCPT TO:<slow", HANG)
        house = House(tmp_path, server, store=store)
        async with house:
            await house.accept("slow@b.example")
            await house.accept("bob@b.example")
            await server.until(lambda: len(server.messages) == 1 and any("slow" in line for line in server.commands))
        assert await store.next_due() == NOW + 300.0
        assert [entry.recipients[0].address for entry in store.entries()] == ["slow@b.example"]
        assert "this server stops" in next(iter(store.entries())).recipients[0].delay_reason


@on_loop
async def test_a_connection_lost_after_the_end_of_data_is_told_as_such(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        server.on(".", DROP)
        await house.accept("bob@b.example")
        async with asyncio.timeout(5):
            while not house.log.lines:
                await house.log.changed.wait()
        assert house.log.lines[0].startswith("deferred bob@b.example 4.4.2")
        assert "may arrive twice" in house.log.lines[0]


@on_loop
async def test_a_mailbox_that_cannot_be_written_defers(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        house.maildirs.write_bytes(b"a file where the folder should be")
        await house.accept("bob@company.com.example")
        await house.told("deferred bob@company.com.example 4.3.0 451 4.3.0 Mailbox cannot be written: Not a directory")


@on_loop
async def test_more_recipients_than_a_transaction_holds_are_split(tmp_path):
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        await house.accept(*(f"r{number}@b.example" for number in range(250)))
        await server.until(lambda: len(server.messages) == 3)
        assert sorted(len([c for c in seen.commands if c.startswith("RCPT")]) for seen in server.connections)[-1] <= 100


# Reports that a sender asked for (RFC 3461)


@on_loop
async def test_a_next_hop_that_offers_dsn_gets_the_requests_as_they_came(tmp_path):
    """RFC 3461 section 5.2.1: and the duty to report with them."""
    async with ScriptedServer("PIPELINING", "DSN") as server, House(tmp_path, server) as house:
        mail, rcpt = "RET=hdrs ENVID=QQ+2B1 SIZE=9", "NOTIFY=success,Delay ORCPT=rfc822;Bob+2BX@B.example"
        await house.accept("bob@b.example", mail=mail, rcpt=rcpt)
        await house.told("relayed bob@b.example 2.0.0 250 2.0.0 Ok: taken", "removed")
        assert server.commands[1:3] == [
            "MAIL FROM:<alice@example.com> RET=hdrs ENVID=QQ+2B1",
            f"RCPT TO:<bob@b.example> {rcpt}",
        ]


@on_loop
async def test_of_a_next_hop_without_dsn_the_report_says_relayed(tmp_path):
    """RFC 3461 section 5.2.2 (a) and (b)."""
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        await house.accept("bob@b.example", mail="ENVID=x", rcpt="NOTIFY=SUCCESS ORCPT=rfc822;b@b.example")
        await house.told(
            "relayed bob@b.example 2.0.0 250 2.0.0 Ok: taken",
            "reported to alice@example.com",
            "removed",
            "relayed alice@example.com 2.0.0 250 2.0.0 Ok: taken",
            "removed",
        )
        assert server.commands[1:3] == ["MAIL FROM:<alice@example.com>", "RCPT TO:<bob@b.example>"]
        status = report_in(server.messages[-1]).get_payload()[1].as_string()
        assert "Action: relayed" in status
        assert "Original-Recipient: rfc822; b@b.example" in status
        assert "Original-Envelope-Id: x" in status
        assert "Remote-MTA: dns; 127.0.0.1" in status


@on_loop
async def test_a_mailbox_reports_delivery_when_it_was_asked_for(tmp_path):
    """RFC 3461 section 5.2.3."""
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        delivered = "delivered bob@company.com.example 2.0.0 250 2.0.0 delivered to maildir"
        await house.accept("bob@company.com.example", rcpt="NOTIFY=FAILURE")
        await house.told(delivered, "removed")
        await house.accept("bob@company.com.example", rcpt="NOTIFY=SUCCESS", mail="RET=FULL")
        await server.until(lambda: server.messages)
        report = report_in(server.messages[0])
        assert "Action: delivered" in report.get_payload()[1].as_string()
        assert report.get_payload()[2].get_content_type() == "text/rfc822-headers", "RET is about failures"


@on_loop
async def test_a_sender_who_wants_to_hear_nothing_hears_nothing(tmp_path):
    """RFC 3461 section 5.2.6 (b): neither with NEVER nor where FAILURE is not among what is wanted."""
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        server.on("RCPT", "550 5.1.1 No such user")
        await house.accept("bob@b.example", rcpt="NOTIFY=NEVER")
        await house.accept("bob@b.example", rcpt="NOTIFY=SUCCESS,DELAY")
        await house.told(*["failed bob@b.example 5.1.1 550 5.1.1 No such user", "removed"] * 2)
        assert not house.log.reports


@pytest.mark.parametrize(
    ("asked", "size", "whole"),
    [("FULL", 10, True), ("HDRS", 10, False), ("FULL", 99999, False), ("FULL BODY=BINARYMIME", 10, False)],
)
@on_loop
async def test_a_report_of_failure_returns_what_was_asked_for(tmp_path, asked, size, whole):
    """RFC 3461 section 4.3; section 6.2 allows a limit."""
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<bob", "550 5.1.1 No such user")
        await house.accept("bob@b.example", mail=f"RET={asked}", body=MESSAGE + b"x" * size + b"\r\n")
        await server.until(lambda: server.messages)
        returned = report_in(server.messages[0]).get_payload()[2]
        assert returned.get_content_type() == ("message/rfc822" if whole else "text/rfc822-headers")
        assert (b"Hello" in server.messages[0]) is whole


@on_loop
async def test_a_sender_is_told_once_that_a_message_waits(tmp_path):
    """RFC 3461 section 5.2.5."""
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        deferred = "deferred bob@b.example 4.2.0 450 4.2.0 Greylisted"
        server.on("RCPT TO:<bob", "450 4.2.0 Greylisted")
        await house.accept("bob@b.example")
        told = [deferred]
        await house.told(*told)
        house.now += 5 * 3600
        await house.deliverer.retry_now()
        told += [deferred, "reported to alice@example.com"]
        told += ["relayed alice@example.com 2.0.0 250 2.0.0 Ok: taken", "removed"]
        await house.told(*told)
        status = report_in(server.messages[0]).get_payload()[1].as_string()
        assert "Action: delayed" in status
        assert "Will-Retry-Until: Sat, 28 Nov 2026" in status
        house.now += 5 * 3600
        await house.deliverer.retry_now()
        await house.told(*told, deferred)


@pytest.mark.parametrize(("notify", "hours"), [("NOTIFY=FAILURE", 5), ("NOTIFY=DELAY", 3)])
@on_loop
async def test_nobody_hears_of_a_delay_unasked_or_too_soon(tmp_path, notify, hours):
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<bob", "450 4.2.0 Greylisted")
        message = await house.accept("bob@b.example", rcpt=notify, hand_over=False)
        house.now += hours * 3600
        house.deliverer.submit(message)
        await house.told("deferred bob@b.example 4.2.0 450 4.2.0 Greylisted")
        assert not house.log.reports


@on_loop
async def test_what_failed_is_tried_again_where_nobody_can_be_told(tmp_path):
    """RFC 5321 section 6.1: a message that was taken is not lost in silence; a full disk has no room for reports."""
    store = MemoryStore()
    full = True

    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def spool(self):
            if full and house.log.lines:
                raise NoSpace("no room")
            return store.spool()

    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server, store=Full()) as house:
        failed = "failed bob@b.example 5.1.1 550 5.1.1 No such user"
        server.on("RCPT TO:<bob", "550 5.1.1 No such user")
        await house.accept("bob@b.example")
        await house.told(failed, "unreported")
        full = False
        house.now += 3600
        await house.deliverer.retry_now()
        await server.until(lambda: server.messages)
        assert house.log.lines[:4] == [failed, "unreported", failed, "reported to alice@example.com"]


# Priorities (RFC 6710) and later releases (RFC 4865)


@on_loop
async def test_mailboxes_are_written_in_the_order_of_the_priorities(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        for priority in (0, -4, 4, 0, 6):  # the first is on its way before the others come
            await house.accept("bob@company.com.example", priority=priority, hand_over=False)
        messages = [message for message, _ in house.store._rows.values()]
        for message in messages:
            house.deliverer.submit(message)
        async with asyncio.timeout(10):
            while len(house.store):
                await asyncio.sleep(0)
        removed = [line for line in house.log.lines if line == "removed"]
        assert len(removed) == 5
        new = house.maildirs / "company.com.example" / "bob" / "new"
        assert len(list(new.iterdir())) == 5
        assert [house.log.order.index(messages[number].queue_id) for number in (0, 4, 2, 3, 1)] == [0, 1, 2, 3, 4]


@on_loop
async def test_an_urgent_message_finds_room_where_others_do_not(tmp_path):
    async with ScriptedServer() as server, House(tmp_path, server, limits=Limits(messages=4)) as house:
        server.on("MAIL", HANG)
        for _ in range(5):
            await house.accept("bob@b.example")
        assert house.deliverer.messages == 4
        await house.accept("bob@b.example", priority=1)
        assert house.deliverer.messages == 5
        await house.accept("bob@b.example", priority=9)
        await house.accept("bob@b.example", priority=-1)
        assert house.deliverer.messages == 5, "the rest is in the queue"


@on_loop
async def test_an_urgent_message_is_claimed_while_others_wait_for_room(tmp_path):
    store = MemoryStore()
    asked: list[int] = []
    claim = store.claim

    async def heard(now: float, limit: int, least: int) -> list[QueuedMessage]:
        asked.append(least)
        return await claim(now, limit, least)

    store.claim = heard  # type: ignore[method-assign]
    async with ScriptedServer() as server, House(tmp_path, server, store=store, limits=Limits(messages=8)) as house:
        server.on("MAIL FROM:<busy", HANG)
        for _ in range(12):
            await house.accept("bob@b.example", reverse_path="busy@example.com")
        async with asyncio.timeout(5):
            while await store.next_due() is None:  # what found no room is back
                await asyncio.sleep(0)
        assert house.deliverer.messages == 8
        for priority in (0, 3):  # neither is known to the deliverer but by its release
            await house.accept("carol@c.example", priority=priority, release_at=NOW)
        async with asyncio.timeout(5):
            while house.deliverer.messages < 9:
                await asyncio.sleep(0)
        assert house.deliverer.messages == 9
        last = len(asked)
        await house.accept("dave@d.example", reverse_path="busy@example.com")
        for _ in range(50):
            await asyncio.sleep(0)
        assert asked[last:] == [], "nothing urgent is in the queue, so it is not asked"


@on_loop
async def test_a_long_queue_leaves_in_the_order_of_its_priorities(tmp_path):
    priorities = [(number * 7) % 19 - 9 for number in range(300)]
    store = SqliteStore(tmp_path / "spool")
    settings = PoolSettings(per_destination=1)
    async with ScriptedServer("PIPELINING") as server:
        house = House(tmp_path, server, store=store)
        for priority in priorities:
            await house.accept("bob@b.example", mail=f"ENVID=p{priority}", priority=priority, hand_over=False)
        await house.deliverer.stop(0.0)
        await store.close()
        store = SqliteStore(tmp_path / "spool")  # all of it is due
        async with House(tmp_path, server, store=store, settings=settings) as house:
            server.offers = ("PIPELINING", "MT-PRIORITY")
            await server.until(lambda: len(server.messages) == 300)
        mails = [command for command in server.commands if command.startswith("MAIL")]
        left = [int(command.rpartition("=")[2]) for command in mails]
        assert sorted(left) == sorted(priorities)
        first = left[: len(left) * 2 // 3]  # what one claim takes
        assert first[1:] == sorted(first[1:], reverse=True), "but for the first, which was alone"
        assert min(first) >= max(left[205:])


@on_loop
async def test_a_report_has_the_priority_of_its_message(tmp_path):
    """RFC 6710 section 4.6."""
    async with ScriptedServer("PIPELINING", "MT-PRIORITY") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<bob", "550 5.1.1 No such mailbox")
        await house.accept("bob@b.example", priority=-4)
        await server.until(lambda: server.messages)
        assert [report.priority for report in house.log.reports] == [-4]
        assert "MAIL FROM:<> MT-PRIORITY=-4" in server.commands


@on_loop
async def test_a_message_is_not_sent_before_its_time_and_then_at_once(tmp_path):
    async with (
        ScriptedServer("PIPELINING", "FUTURERELEASE 9 2099-01-01T00:00:00Z") as server,
        House(tmp_path, server) as house,
    ):
        await house.accept("bob@b.example", mail="HOLDFOR=3600", release_at=NOW + 3600)
        house.now = NOW + 3599
        await house.deliverer.retry_now()
        await house.accept("carol@b.example")
        await server.until(lambda: server.messages)
        assert not any("bob" in command for command in server.commands)
        house.now = NOW + 3600
        await house.deliverer.retry_now()
        await server.until(lambda: len(server.messages) == 2)
        mails = {command for command in server.commands if command.startswith("MAIL")}
        assert mails == {"MAIL FROM:<alice@example.com>"}, "nobody is asked to hold it again"


@on_loop
async def test_the_end_of_a_release_is_waited_for_and_not_asked_for(tmp_path):
    asked: list[float] = []
    store = MemoryStore()
    claim = store.claim

    async def counted(now: float, limit: int, least: int) -> list[QueuedMessage]:
        asked.append(now)
        return await claim(now, limit, least)

    store.claim = counted  # type: ignore[method-assign]
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server, store=store) as house:
        begun = asyncio.get_running_loop().time()
        house.deliverer._clock = lambda: NOW + asyncio.get_running_loop().time() - begun
        await house.accept("bob@b.example", release_at=NOW + 1.5)
        await server.until(lambda: server.messages)
        assert 1.5 <= asyncio.get_running_loop().time() - begun < 3
        assert len(asked) <= 4


@on_loop
async def test_lifetime_and_warnings_count_from_the_release(tmp_path):
    release = NOW + 30 * DAY
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        server.on("RCPT TO:<bob", "450 4.2.0 Later")
        await house.accept("bob@b.example", mail="HOLDUNTIL=2026-12-23T22:00:00Z", release_at=release)
        house.now = release + 1
        await house.deliverer.retry_now()
        await house.told("deferred bob@b.example 4.2.0 450 4.2.0 Later")
        house.log.lines.clear()
        house.now = release + 4 * 3600
        await house.deliverer.retry_now()
        await server.until(lambda: server.messages)
        text = email.message_from_bytes(server.messages[0], policy=email.policy.default).get_payload()[1].as_string()
        assert "Future-Release-Request: until;2026-12-23T22:00:00Z" in text
        assert "Arrival-Date: " in text
        assert "Action: delayed" in text
        house.now = release + 5 * DAY
        house.log.lines.clear()
        await house.deliverer.retry_now()
        async with asyncio.timeout(10):
            while not any(line.startswith("failed bob@b.example 4.4.7") for line in house.log.lines):
                house.log.changed.clear()
                await house.log.changed.wait()


@pytest.mark.parametrize("ret", ["", "RET=FULL ", "RET=HDRS "])
@on_loop
async def test_a_report_about_a_message_with_requiretls_has_its_header_alone_and_the_parameter(tmp_path, ret):
    """RFC 8689 section 5: as with RET=HDRS, and protected like the message where that can be."""
    async with ScriptedServer("PIPELINING") as server, House(tmp_path, server) as house:
        await house.accept("bob@b.example", mail=f"{ret}REQUIRETLS")
        await server.until(lambda: server.messages)  # without the parameter, as it cannot go with it
        assert house.log.lines[0].startswith("failed bob@b.example 5.7.10 550 5.7.10 Encryption needed: ")
        (report,) = house.log.reports
        assert requires_tls(report.parameters)
        assert report_in(server.messages[0]).get_payload()[2].get_content_type() == "text/rfc822-headers"
        assert b"Hello" not in server.messages[0]
