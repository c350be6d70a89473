"""What every queue store must do. A store's tests subclass `QueueStoreSuite` and give a `place` fixture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

import pytest

from purport.mail.address import NULL, Mailbox
from purport.mail.envelope import Parameters
from purport.queue.operator import Effect, QueueName, QueueOperator
from purport.queue.queue_id import queue_id_of
from purport.queue.schedule import STEP
from purport.queue.store import Outcome, QueuedMessage, QueueStore
from support.queue_store import HEADER, NOW, TRACE, Queue, deferred, failed, octets, relayed

SIZES = (0, 4096, 16_384, 16_385, 100_000, 262_144, 262_145, 700_000)  # on both sides of each threshold


class Place(Protocol):
    """Where a store lives; called inside the event loop."""

    async def open(self) -> QueueStore:
        """The store, as it was left by `open` before: its process is gone."""

    def operator(self) -> QueueOperator:
        """The operator's view of the store that is open."""

    async def close(self) -> None:
        """Close the store that is open."""


def scenario(test: Callable[[Any, Place, Queue], Awaitable[None]]) -> Callable[[Any, Place], None]:
    """An async test over a fresh store."""

    def run(self: Any, place: Place) -> None:
        async def play() -> None:
            queue = Queue(await place.open())
            try:
                await test(self, place, queue)
            finally:
                await place.close()

        asyncio.run(play())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def envelope(message: QueuedMessage) -> tuple[object, ...]:
    """All of a message but its body, and what the store fills in."""
    paths = [(one.number, one.forward_path, one.next_hop, one.parameters) for one in message.recipients]
    times = (message.arrived_at, message.expires_at, message.hops, message.priority, message.release_at)
    return message.queue_id, message.reverse_path, message.parameters, message.trace, times, paths


def names(queue: QueueOperator) -> dict[str, QueueName]:
    """Where each message stands."""
    return {entry.queue_id: entry.queue_name for entry in queue.entries()}


class QueueStoreSuite:
    """The suite."""

    @scenario
    async def test_a_message_comes_back_after_a_restart_as_it_was(self, place: Place, queue: Queue) -> None:
        parameters = Parameters((("SIZE", b"100"), ("BODY", b"8BITMIME"), ("X-FLAG", None)))
        sent = [
            await queue.accept(queue.message("bob", "a b@c", body=octets(size), parameters=parameters))
            for size in SIZES
        ]
        queue = Queue(await place.open())
        found = await queue.claim()
        assert [envelope(message) for message in found] == [envelope(message) for message in sent]
        for message, size in zip(found, SIZES, strict=True):
            assert message.body.size == size
            assert b"".join(message.body.pieces(1000)) == octets(size)
            whole = message.body.octets()
            assert whole == octets(size) or (whole is None and size > 262_144)

    @scenario
    async def test_messages_of_one_step_may_share_their_body(self, place: Place, queue: Queue) -> None:
        sent: list[QueuedMessage] = []
        for size in SIZES:
            first = queue.message("bob", body=octets(size))
            copies = [replace(queue.message(name), body=first.body) for name in ("carol", "dave")]
            await queue.accept_all(first, *copies)
            sent += [first, *copies]
        queue = Queue(await place.open())
        found = await queue.claim()
        assert [envelope(message) for message in found] == [envelope(message) for message in sent]
        for number, message in enumerate(found):  # each of them may be the last
            assert b"".join(message.body.pieces()) == octets(SIZES[number // 3])
            await queue.record(relayed(message))
        assert await Queue(await place.open()).claim(NOW + 9e9) == []

    @scenario
    async def test_of_the_messages_of_one_step_none_enters_alone(self, place: Place, queue: Queue) -> None:
        for size in (100, 100_000, 400_000):
            there = await queue.accept(queue.message(body=octets(size)))
            first = queue.message(body=octets(size))
            twin = replace(queue.message(), body=first.body, queue_id=there.queue_id)
            with pytest.raises(Exception, match=r"already|UNIQUE"):
                await queue.accept_all(first, twin)
            assert first.queue_id not in names(place.operator())
            await queue.record(relayed(there))

    @scenario
    async def test_addresses_of_every_shape_come_back(self, place: Place, queue: Queue) -> None:
        shapes = [
            Mailbox("Postmaster", ""),
            Mailbox('quo"te d\\', "example.com"),
            Mailbox("a@b", "[192.0.2.1]"),
            Mailbox("x@[y]", "[tag:u@v]"),
            Mailbox("jörg", "bücher.example"),
            NULL,
        ]
        for shape in shapes:
            message = queue.message(reverse_path=shape)
            if shape is not NULL:
                message.recipients[0].forward_path = shape
            await queue.accept(message)
        found = await Queue(await place.open()).claim()
        assert [message.reverse_path for message in found] == shapes
        assert [message.recipients[0].forward_path for message in found[:-1]] == shapes[:-1]

    @scenario
    async def test_a_fresh_message_is_leased_to_who_stored_it(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message())
        assert await queue.claim(NOW + 9e9) == []
        assert await queue.store.next_due() is None
        assert names(place.operator()) == {message.queue_id: QueueName.ACTIVE}

    @scenario
    async def test_leases_end_with_the_process(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message("bob", "carol"))
        queue = Queue(await place.open())
        assert await queue.store.next_due() == NOW
        (found,) = await queue.claim()
        assert [one.number for one in found.recipients] == [0, 1]
        assert found.queue_id == message.queue_id == queue.store.newest_id()
        assert await queue.claim() == []

    @scenario
    async def test_a_deferred_recipient_waits_and_keeps_its_story(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message("bob", "carol"))
        await queue.record(relayed(message, 0), deferred(message, NOW + 300, 1))
        assert await queue.claim(NOW + 299) == []
        assert await queue.store.next_due() == NOW + 300
        assert names(place.operator()) == {message.queue_id: QueueName.DEFERRED}
        (found,) = await queue.claim(NOW + 300)
        (carol,) = found.recipients
        assert (carol.number, carol.attempts, carol.due_at) == (1, 1, NOW + 300)
        assert (carol.last_reply, carol.last_host) == ("450 4.2.0 Later", "mx.company.com.example")
        assert carol.transcript == "S: 220 mx\nC: EHLO"
        assert not carol.warned
        await queue.record(deferred(message, NOW + 900, 1, reply="451 4.3.0 Again", warned=True))
        ((again,),) = [found.recipients for found in await queue.claim(NOW + 900)]
        assert (again.attempts, again.last_reply, again.warned) == (2, "451 4.3.0 Again", True)

    @scenario
    async def test_a_lease_may_be_given_back_without_an_attempt(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message())
        await queue.record(Outcome(message.queue_id, 0, "returned", "", "", NOW + 7))
        ((bob,),) = [found.recipients for found in await queue.claim(NOW + 7)]
        assert (bob.attempts, bob.last_reply) == (0, "")

    @scenario
    async def test_claims_come_by_due_time_and_within_their_limit(self, place: Place, queue: Queue) -> None:
        messages = [await queue.accept(queue.message("bob", "carol")) for _ in range(4)]
        for message, delay in zip(messages, (40, 10, 30, 20), strict=True):
            await queue.record(deferred(message, NOW + delay, 0), deferred(message, NOW + delay, 1))
        first = await queue.claim(NOW + 35, 2)
        assert [message.queue_id for message in first] == [messages[1].queue_id, messages[3].queue_id]
        assert all(len(message.recipients) == 2 for message in first)
        assert [message.queue_id for message in await queue.claim(NOW + 35, 9)] == [messages[2].queue_id]
        assert await queue.store.next_due() == NOW + 40

    @scenario
    async def test_with_its_last_recipient_a_message_leaves(self, place: Place, queue: Queue) -> None:
        for size in SIZES:
            message = await queue.accept(queue.message("bob", "carol", body=octets(size)))
            await queue.record(relayed(message, 0))
            assert list(names(place.operator())) == [message.queue_id]
            await queue.record(relayed(message, 1))
            assert names(place.operator()) == {}

    @scenario
    async def test_a_report_enters_when_its_cause_leaves(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message())
        reports = [queue.report(), queue.report(octets(30_000)), queue.report(octets(300_000))]
        await queue.record(failed(message), reports=reports)
        found = await Queue(await place.open()).claim()
        assert [one.queue_id for one in found] == [report.queue_id for report in reports]
        assert [one.body.size for one in found] == [len(HEADER), 30_000, 300_000]

    @scenario
    async def test_an_outcome_that_overtakes_its_message_waits_for_it(self, place: Place, queue: Queue) -> None:
        done: list[str] = []
        for size in SIZES:
            message = queue.message(body=octets(size))
            queue.store.accept(message, lambda error: done.append(f"accepted {error}"))
            queue.store.record([relayed(message)], [], lambda error: done.append(f"recorded {error}"))
        while len(done) < 2 * len(SIZES):
            await asyncio.sleep(0.001)
        assert sorted(done) == ["accepted None"] * len(SIZES) + ["recorded None"] * len(SIZES)
        assert names(place.operator()) == {}

    @scenario
    async def test_a_message_that_cannot_be_stored_keeps_no_other_from_it(self, place: Place, queue: Queue) -> None:
        errors: list[BaseException | None] = []
        twice = await queue.accept(queue.message())
        wrong = queue.message()
        wrong.queue_id = "no id"
        for message in (queue.message(), twice, queue.message(), wrong, queue.message()):
            queue.store.accept(message, errors.append)
        while len(errors) < 5:
            await asyncio.sleep(0.001)
        assert [error is None for error in errors] == [True, False, True, False, True]
        assert len(names(place.operator())) == 4

    @scenario
    async def test_outcomes_of_unknown_messages_change_nothing(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message())
        await queue.record(relayed(queue.message()), relayed(message, 7), deferred(message, NOW, 7))
        assert names(place.operator()) == {message.queue_id: QueueName.ACTIVE}

    @scenario
    async def test_a_message_may_be_accepted_on_hold(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message(held=True))
        assert await queue.claim(NOW + 9e9) == []
        assert await queue.store.next_due() is None
        assert names(place.operator()) == {message.queue_id: QueueName.HOLD}
        (change,) = place.operator().release([message.queue_id], NOW)
        assert change.effect is Effect.DONE
        assert [one.queue_id for one in await queue.claim()] == [message.queue_id]

    @scenario
    async def test_a_hold_lasts_over_restarts_until_it_is_released(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message())
        await queue.record(deferred(message, NOW))
        place.operator().hold([message.queue_id])
        queue = Queue(await place.open())
        assert await queue.claim(NOW + 1) == []
        place.operator().retry(None, NOW + 2)
        assert await queue.claim(NOW + 3) == []
        place.operator().release(None, NOW)
        assert len(await queue.claim(NOW + 3)) == 1

    @scenario
    async def test_a_hold_during_a_delivery_counts_after_it(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message())
        (change,) = place.operator().hold([message.queue_id])
        assert change.effect is Effect.AFTER_ATTEMPT
        assert names(place.operator()) == {message.queue_id: QueueName.ACTIVE}
        await queue.record(deferred(message, NOW + 1))
        assert await queue.claim(NOW + 2) == []
        assert names(place.operator()) == {message.queue_id: QueueName.HOLD}

    @scenario
    async def test_a_retry_makes_a_deferred_message_due_at_once(self, place: Place, queue: Queue) -> None:
        message = await queue.accept(queue.message())
        (change,) = place.operator().retry([message.queue_id], NOW)
        assert change.effect is Effect.BEING_DELIVERED
        await queue.record(deferred(message, NOW + 4000))
        (change,) = place.operator().retry([message.queue_id], NOW + 5)
        assert change.effect is Effect.DONE
        await queue.store.refresh()
        assert await queue.store.next_due() == NOW + 5
        assert len(await queue.claim(NOW + 5)) == 1

    @scenario
    async def test_a_deleted_message_is_gone_unless_it_is_being_delivered(self, place: Place, queue: Queue) -> None:
        for size in SIZES:
            message = await queue.accept(queue.message("bob", "carol", body=octets(size)))
            (change,) = place.operator().delete([message.queue_id])
            assert change.effect is Effect.BEING_DELIVERED
            await queue.record(deferred(message, NOW, 0), deferred(message, NOW, 1))
            (change,) = place.operator().delete([message.queue_id])
            assert change.effect is Effect.DONE
            assert names(place.operator()) == {}
            await queue.store.refresh()
            assert await queue.claim(NOW + 9e9) == []
            assert place.operator().show(message.queue_id) is None

    @scenario
    async def test_what_is_claimed_comes_in_the_order_of_its_priority(self, place: Place, queue: Queue) -> None:
        priorities = [0, -9, 3, 0, 9, -1, 3]
        sent = [await queue.accept(queue.message("bob", "carol", priority=one)) for one in priorities]
        queue = Queue(await place.open())
        assert await queue.store.next_due() == NOW
        first = await queue.claim(NOW, limit=3)
        found = first + await queue.claim(NOW)
        assert [envelope(message) for message in first] == [envelope(sent[number]) for number in (4, 2, 6)]
        assert [message.priority for message in found] == sorted(priorities, reverse=True)
        assert [message.queue_id for message in found if not message.priority] == [sent[0].queue_id, sent[3].queue_id]

    @scenario
    async def test_a_low_priority_waits_but_not_for_ever(self, place: Place, queue: Queue) -> None:
        low = await queue.accept(queue.message(priority=-9))
        await queue.record(deferred(low, NOW))
        for minutes in (0, 170, 190):  # 18 steps of 10 minutes lie between them
            high = await queue.accept(queue.message(priority=9))
            await queue.record(deferred(high, NOW + minutes * 60))
        later = NOW + 18 * STEP + 1000
        found = [message for _ in range(4) for message in await queue.claim(later, limit=1)]
        assert [message.priority for message in found] == [9, 9, -9, 9]

    @scenario
    async def test_what_is_not_due_is_not_claimed_whatever_its_priority(self, place: Place, queue: Queue) -> None:
        urgent, other = [await queue.accept(queue.message(priority=one)) for one in (9, 0)]
        await queue.record(deferred(urgent, NOW + 300), deferred(other, NOW + 600))
        assert await queue.claim(NOW + 299) == []
        assert await queue.store.next_due() == NOW + 300
        assert [message.queue_id for message in await queue.claim(NOW + 300)] == [urgent.queue_id]
        assert await queue.store.next_due() == NOW + 600

    @scenario
    async def test_a_claim_may_be_for_the_higher_priorities_alone(self, place: Place, queue: Queue) -> None:
        sent = [await queue.accept(queue.message(priority=one)) for one in (0, 1, -1, 5)]
        await queue.record(*(deferred(message, NOW + 60 * number) for number, message in enumerate(sent)))
        store = queue.store
        assert (await store.next_due(), await store.next_due(1), await store.next_due(6)) == (NOW, NOW + 60, None)
        assert [message.priority for message in await store.claim(NOW + 300, 10, 1)] == [5, 1]
        assert (await store.next_due(1), await store.next_due()) == (None, NOW)
        assert [message.priority for message in await store.claim(NOW + 300, 10)] == [0, -1]

    @scenario
    async def test_a_scheduled_message_is_due_at_its_time_also_after_a_restart(
        self, place: Place, queue: Queue
    ) -> None:
        sent = await queue.accept(queue.message("bob", "carol", body=octets(20_000), release_at=NOW + 3600.25))
        for _ in range(2):
            assert await queue.claim(NOW + 3600) == []
            assert await queue.store.next_due() == NOW + 3600.25
            (entry,) = place.operator().entries()
            assert (entry.queue_name, entry.release_at) == (QueueName.SCHEDULED, NOW + 3600.25)
            queue = Queue(await place.open())
            assert list(queue.store.scheduled()) == [(NOW + 3600.25, sent.reverse_path)]
        (found,) = await queue.claim(NOW + 3601)
        assert envelope(found) == envelope(sent)
        (entry,) = place.operator().entries()
        assert (entry.queue_name, entry.release_at) == (QueueName.ACTIVE, 0.0)
        await queue.record(*(deferred(found, NOW + 3900, number) for number in (0, 1)))
        assert names(place.operator()) == {sent.queue_id: QueueName.DEFERRED}
        (found,) = await queue.claim(NOW + 3900)
        assert found.released_at == NOW + 3600.25

    @scenario
    async def test_an_operator_sends_a_scheduled_message_now(self, place: Place, queue: Queue) -> None:
        sent = await queue.accept(queue.message("bob", "carol", release_at=NOW + 3600, priority=2))
        (change,) = place.operator().release([sent.queue_id], NOW + 60)
        assert change.effect is Effect.DONE
        assert names(place.operator()) == {sent.queue_id: QueueName.DEFERRED}
        await queue.store.refresh()
        (found,) = await queue.claim(NOW + 60)
        assert (found.released_at, found.expires_at) == (NOW + 60, sent.expires_at - 3540)
        assert [one.number for one in found.recipients] == [0, 1]

    @scenario
    async def test_no_other_command_sends_a_scheduled_message(self, place: Place, queue: Queue) -> None:
        sent = await queue.accept(queue.message(release_at=NOW + 3600))
        operator = place.operator()
        assert [change.effect for change in operator.retry([sent.queue_id], NOW)] == [Effect.SCHEDULED]
        assert [change.changed for change in operator.retry(None, NOW)] == [False]
        operator.hold(None)
        assert names(operator) == {sent.queue_id: QueueName.HOLD}
        operator.release([sent.queue_id], NOW)  # the hold alone: a second one would send it
        operator.release(None, NOW)
        assert names(operator) == {sent.queue_id: QueueName.SCHEDULED}
        assert await queue.store.next_due() == NOW + 3600
        operator.hold(None)
        assert await queue.claim(NOW + 3600) == []
        operator.release(None, NOW + 3700)
        assert len(await queue.claim(NOW + 3700)) == 1

    @scenario
    async def test_a_scheduled_message_can_be_deleted(self, place: Place, queue: Queue) -> None:
        sent = await queue.accept(queue.message(release_at=NOW + 3600))
        assert place.operator().delete([sent.queue_id])[0].effect is Effect.DONE
        assert names(place.operator()) == {}

    @scenario
    async def test_a_message_that_is_not_there_is_told_of(self, place: Place, queue: Queue) -> None:
        there = await queue.accept(queue.message(held=True))
        missing = queue_id_of(77)
        operator = place.operator()
        for changes in (
            operator.hold([missing, there.queue_id]),
            operator.retry([missing, there.queue_id], NOW),
            operator.release([missing, there.queue_id], NOW),
            operator.delete([missing, there.queue_id]),
        ):
            assert [change.effect for change in changes] == [Effect.NO_SUCH_MESSAGE, Effect.DONE]
        assert operator.show(missing) is None
        with pytest.raises(ValueError, match="queue id"):
            operator.delete(["nonsense"])

    @scenario
    async def test_the_operator_sees_everything_about_a_message(self, place: Place, queue: Queue) -> None:
        for size in (4096, 20_000, 300_000):
            message = await queue.accept(queue.message("bob", "a b", body=octets(size)))
            await queue.record(relayed(message, 0), deferred(message, NOW + 300, 1))
            shown = place.operator().show(message.queue_id)
            assert shown is not None
            assert shown.header == TRACE + HEADER[:-4]
            assert (shown.expires_at, shown.hops) == (message.expires_at, 1)
            (one,) = shown.recipients
            assert (one.address, one.attempts, one.due_at) == ('"a b"@company.com.example', 1, NOW + 300)
            assert (one.last_reply, one.transcript) == ("450 4.2.0 Later", "S: 220 mx\nC: EHLO")
            (entry,) = place.operator().entries()
            assert entry == shown.entry
            assert entry.priority == message.priority
            assert (entry.sender, entry.message_size) == ("alice@example.com", size + len(TRACE))
            assert [(one.address, one.delay_reason) for one in entry.recipients] == [
                ('"a b"@company.com.example', "450 4.2.0 Later")
            ]
            place.operator().delete(None)
            await queue.store.refresh()

    @scenario
    async def test_a_spool_shows_its_head_and_may_be_dropped_at_any_time(self, place: Place, queue: Queue) -> None:
        for size in SIZES:
            spool = queue.store.spool()
            spool.discard()
            spool.discard()
            spool = queue.store.spool()
            whole = octets(size)
            for start in range(0, size, 3333):
                spool.write(whole[start : start + 3333])
            assert spool.size == size
            assert spool.head(1000) == whole[:1000]
            assert spool.head(10_000_000) == whole[:262_144]
            assert queue.store.body(spool).size == size
            spool = queue.store.spool()
            spool.write(whole)
            spool.discard()
            spool.discard()

    @scenario
    async def test_the_head_of_a_spool_can_be_replaced_before_and_behind_its_end(
        self, place: Place, queue: Queue
    ) -> None:
        """Twice, and in a message whose octets went on coming after the first time."""
        sent = {}
        for size in SIZES[2:]:
            for middle in (9000, size):
                message = queue.message()
                spool = queue.store.spool()
                whole = octets(size)
                for start in range(0, middle, 3333):
                    spool.write(whole[start : min(start + 3333, middle)])
                spool.replace_head(5000, b"short\r\n")
                spool.write(whole[middle:])
                assert spool.head(10) == b"short\r\n" + whole[5000:5003]
                spool.replace_head(100, b"shorter\r\n" * 10)
                spool.replace_head(7, b"1234567")
                expected = b"1234567\r\n" + b"shorter\r\n" * 9 + whole[5093:]
                assert spool.size == len(expected)
                assert spool.head(1000) == expected[:1000]
                message.body = queue.store.body(spool)
                sent[message.queue_id] = expected
                await queue.accept(message)
                assert b"".join(message.body.pieces(1000)) == expected
        queue = Queue(await place.open())
        for found in await queue.claim():
            assert b"".join(found.body.pieces()) == sent.pop(found.queue_id)
        assert not sent

    @scenario
    async def test_a_head_is_replaced_by_no_more_than_it_was(self, place: Place, queue: Queue) -> None:
        for size in (0, 100, 700_000):
            spool = queue.store.spool()
            spool.write(octets(size))
            for length, new in ((size + 1, b""), (0, b"x"), (262_145, b"")):
                with pytest.raises(ValueError, match="cannot stand for"):
                    spool.replace_head(length, new)
            spool.replace_head(0, b"")
            assert spool.size == size
            spool.discard()

    @scenario
    async def test_what_waits_for_a_domain_can_be_made_due(self, place: Place, queue: Queue) -> None:
        """Not what is under way, held, or waits for its first attempt."""
        late = NOW + 9e6
        mails = {name: queue.message("bob") for name in ("waits", "leased", "held", "elsewhere", "first", "due")}
        mails["elsewhere"].recipients[0].forward_path = Mailbox("bob", "elsewhere.example")
        for mail in mails.values():
            await queue.accept(mail)
        await queue.record(
            *(deferred(mails[name], due_at=late) for name in ("waits", "held", "elsewhere")),
            deferred(mails["due"], due_at=NOW - 5),
            Outcome(mails["first"].queue_id, 0, "returned", "", "", late),
        )
        place.operator().hold([mails["held"].queue_id])
        assert await queue.store.hasten(NOW, {"company.com.example"}) == (2, frozenset({"mx.company.com.example"}))
        assert await queue.store.hasten(NOW, {"nowhere.example"}) == (0, frozenset())
        assert {message.queue_id for message in await queue.claim(NOW)} == {
            mails["waits"].queue_id,
            mails["due"].queue_id,
        }

    @scenario
    async def test_what_waits_for_its_host_is_leased_when_the_host_comes(self, place: Place, queue: Queue) -> None:
        """RFC 2645: whatever its time, but not what is leased, held, or released later."""
        hops = ("odmr:company.com.example", "odmr:sub.company.com.example")

        def message(*next_hops: str, held: bool = False, release_at: float = 0.0) -> QueuedMessage:
            made = queue.message(*(["bob"] * len(next_hops)), held=held, release_at=release_at)
            for recipient, next_hop in zip(made.recipients, next_hops, strict=True):
                recipient.next_hop = next_hop
            return made

        first, both, other, fresh, held, later = [
            await queue.accept(one)
            for one in (
                message(hops[0]),
                message(hops[1], "mx:elsewhere.example", hops[0]),
                message("odmr:other.example"),
                message(hops[0]),
                message(hops[0], held=True),
                message(hops[0], release_at=NOW + 60),
            )
        ]
        waits = NOW + 14_400
        await queue.record(
            deferred(first, waits), deferred(both, waits), deferred(both, waits, 1), deferred(both, waits, 2)
        )
        await queue.record(deferred(other, waits))
        store = queue.store
        assert await store.waiting(NOW, hops, 10) == [first.queue_id, both.queue_id]
        assert await store.waiting(NOW, hops[:1], 1) == [first.queue_id]
        assert await store.waiting(NOW, hops, 10, after=first.queue_id) == [both.queue_id]
        assert await store.waiting(NOW + 60, hops, 10, after=both.queue_id) == [later.queue_id]
        names_now = names(place.operator())
        assert names_now[first.queue_id] is names_now[other.queue_id] is QueueName.WAITING
        assert names_now[both.queue_id] is QueueName.DEFERRED  # somebody else's mail is among it
        assert (names_now[held.queue_id], names_now[later.queue_id]) == (QueueName.HOLD, QueueName.SCHEDULED)
        every = [one.queue_id for one in (fresh, both, first, held, later, other)]
        leased = await store.lease(NOW, every, hops)
        assert [one.queue_id for one in leased] == [both.queue_id, first.queue_id]
        assert [one.number for one in leased[0].recipients] == [0, 2]
        assert [one.others for one in leased] == [True, False]
        assert [one.last_reply for one in leased[0].recipients] == ["450 4.2.0 Later"] * 2
        assert await store.lease(NOW, every, hops) == []
        assert await store.waiting(NOW, hops, 10) == []
        back = [Outcome(both.queue_id, number, "returned", "", "", waits) for number in (0, 2)]
        await queue.record(*back, relayed(first))
        assert await store.waiting(NOW, hops, 10) == [both.queue_id]
        assert await queue.store.hasten(NOW, {"company.com.example"}) == (1, frozenset({"mx:elsewhere.example"}))
        queue = Queue(await place.open())
        assert await queue.store.waiting(NOW, hops, 10) == [both.queue_id, fresh.queue_id]
