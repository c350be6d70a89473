"""A queue in memory, for tests and trials: everything but what outlives the process.

It behaves as the SQLite store does, the order of its callbacks included, and `restarted` gives what a new
process would find.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import final

from purport.forwarding.mark import forwarder_of
from purport.mail.address import Mailbox, ReversePath
from purport.queue.body import MemoryBody
from purport.queue.operator import (
    Change,
    Detail,
    Effect,
    Entry,
    Listed,
    RecipientDetail,
    header_of,
    is_scheduled,
    name_of,
)
from purport.queue.queue_id import number_of
from purport.queue.schedule import LOWEST, rank
from purport.queue.store import (
    HEAD_LIMIT,
    Body,
    Done,
    Outcome,
    QueuedMessage,
    QueuedRecipient,
    Spool,
    StorageFault,
    check_head,
    is_on_demand,
)


@final
class MemorySpool:
    """A spool of the memory store."""

    def __init__(self) -> None:
        self.size = 0
        self.octets = bytearray()

    @property
    def congested(self) -> bool:
        """Memory is never behind."""
        return False

    def when_relieved(self, callback: Callable[[], None]) -> None:
        """Calls back at once."""
        callback()

    def write(self, octets: bytes) -> None:
        """Take the next octets."""
        self.octets += octets
        self.size += len(octets)

    def head(self, limit: int) -> bytes:
        """The first `limit` octets at most, and HEAD_LIMIT at most."""
        return bytes(self.octets[: min(limit, HEAD_LIMIT)])

    def replace_head(self, length: int, octets: bytes) -> None:
        """The first `length` octets become these, which are not more. Raises ValueError."""
        check_head(length, octets, min(self.size, HEAD_LIMIT))
        self.octets[:length] = octets
        self.size = len(self.octets)

    def discard(self) -> None:
        """Drop everything."""
        self.octets = bytearray()


@final
class Kept:
    """A recipient in the store, and what happens to it."""

    __slots__ = ("held", "leased", "recipient")

    def __init__(self, recipient: QueuedRecipient, *, leased: bool, held: bool) -> None:
        self.recipient = recipient
        self.leased = leased
        self.held = held

    def due(self, now: float) -> bool:
        """Whether it may be claimed."""
        return not self.leased and not self.held and self.recipient.due_at <= now

    def waits_for(self, next_hops: Collection[str], now: float) -> bool:
        """Whether it may go to a host of these next hops that came for it."""
        recipient = self.recipient
        if self.leased or self.held or recipient.next_hop not in next_hops:
            return False
        return recipient.attempts > 0 or recipient.due_at <= now


Row = tuple[QueuedMessage, dict[int, Kept]]


@final
class MemoryStore:
    """A `QueueStore` and its `QueueOperator` in one object."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._rows: dict[str, Row] = {}
        self._newest: str | None = None
        self._scheduled: list[tuple[float, ReversePath]] = []

    def restarted(self) -> MemoryStore:
        """A store with the same messages and no leases."""
        store = MemoryStore(self._loop)
        store._rows = {queue_id: (message, dict(kept)) for queue_id, (message, kept) in self._rows.items()}
        for _, kept in store._rows.values():
            for one in kept.values():
                one.leased = False
        store._newest = max(self._rows, default=None)
        messages = [message for message, _ in store._rows.values()]
        store._scheduled = [(one.release_at, one.reverse_path) for one in messages if one.release_at]
        return store

    def __len__(self) -> int:
        """How many messages there are."""
        return len(self._rows)

    # QueueStore

    def spool(self) -> Spool:
        """A place for a body that is about to arrive."""
        return MemorySpool()

    def body(self, spool: Spool) -> Body:
        """The spooled octets as a body; the spool is finished with."""
        assert isinstance(spool, MemorySpool)
        return MemoryBody(bytes(spool.octets))

    def accept(self, message: QueuedMessage, done: Done) -> None:
        """Store a message; its recipients are leased to the caller, unless it is held or released later."""
        self._loop.call_soon(self._step, (message,), (), done)

    def accept_all(self, messages: Sequence[QueuedMessage], done: Done) -> None:
        """Store several messages in one step."""
        self._loop.call_soon(self._step, messages, (), done)

    def record(self, outcomes: Sequence[Outcome], reports: Sequence[QueuedMessage], done: Done) -> None:
        """Do what the outcomes say, and store the reports."""
        self._loop.call_soon(self._step, reports, outcomes, done)

    async def claim(self, now: float, limit: int, least: int = LOWEST) -> list[QueuedMessage]:
        """Messages with recipients that are due and not held, in the order of their rank; those recipients are leased
        to the caller. None of a lower priority than `least`."""
        await asyncio.sleep(0)  # after the steps that were begun before
        due: list[tuple[float, str]] = []
        for queue_id, (message, kept) in self._rows.items():
            times = [one.recipient.due_at for one in kept.values() if one.due(now)]
            if times and message.priority >= least:
                due.append((rank(min(times), message.priority), queue_id))
        return [self._lease(queue_id, now) for _, queue_id in sorted(due)[:limit]]

    async def next_due(self, least: int = LOWEST) -> float | None:
        """When the next unleased recipient is due, if there is one, of no lower priority than `least`."""
        await asyncio.sleep(0)
        rows = [kept for message, kept in self._rows.values() if message.priority >= least]
        waiting = [one for kept in rows for one in kept.values() if not one.leased and not one.held]
        return min((one.recipient.due_at for one in waiting), default=None)

    async def hasten(self, now: float, concerned: Container[str]) -> tuple[int, frozenset[str]]:
        """Make recipients due that wait for another attempt."""
        await asyncio.sleep(0)
        found = [
            (queue_id, one.recipient)
            for queue_id, (_, kept) in self._rows.items()
            for one in kept.values()
            if not one.leased and not one.held and one.recipient.attempts
            if one.recipient.forward_path.domain in concerned and not is_on_demand(one.recipient.next_hop)
        ]
        for _, recipient in found:
            recipient.due_at = min(recipient.due_at, now)
        messages = {queue_id for queue_id, _ in found}
        return len(messages), frozenset(recipient.next_hop for _, recipient in found)

    async def waiting(self, now: float, next_hops: Collection[str], limit: int, after: str | None = None) -> list[str]:
        """Queue ids of what waits for the hosts of these next hops."""
        await asyncio.sleep(0)
        found = [
            queue_id
            for queue_id, (_, kept) in self._rows.items()
            if queue_id > (after or "") and any(one.waits_for(next_hops, now) for one in kept.values())
        ]
        return sorted(found)[:limit]

    async def lease(self, now: float, queue_ids: Sequence[str], next_hops: Collection[str]) -> list[QueuedMessage]:
        """Lease it to the caller."""
        await asyncio.sleep(0)
        leased: list[QueuedMessage] = []
        for message, kept in [self._rows[queue_id] for queue_id in queue_ids if queue_id in self._rows]:
            mine = [one for one in kept.values() if one.waits_for(next_hops, now)]
            if mine:
                leased.append(self._leased(message, mine, len(kept)))
        return leased

    async def refresh(self) -> None:
        """Nothing changes from beside."""

    def newest_id(self) -> str | None:
        """The newest queue id that was there when the store was made."""
        return self._newest

    def scheduled(self) -> Sequence[tuple[float, ReversePath]]:
        """Release and reverse-path of the messages with a `release_at` that were there when the store was made."""
        return self._scheduled

    async def close(self) -> None:
        """Finish what was begun."""
        await asyncio.sleep(0)

    def _step(self, messages: Sequence[QueuedMessage], outcomes: Sequence[Outcome], done: Done) -> None:
        try:
            for message in messages:
                number_of(message.queue_id)
                if message.queue_id in self._rows:
                    raise StorageFault(f"{message.queue_id} is in the queue already")
        except (StorageFault, ValueError) as error:
            done(error)
            return
        for message in messages:
            self._insert(message)
        for outcome in outcomes:
            self._settle(outcome)
        done(None)

    def _insert(self, message: QueuedMessage) -> None:
        kept = {
            recipient.number: Kept(
                replace(recipient, due_at=recipient.due_at or message.released_at),
                leased=not (message.held or message.release_at),
                held=message.held,
            )
            for recipient in message.recipients
        }
        self._rows[message.queue_id] = (copy(message), kept)

    def _settle(self, outcome: Outcome) -> None:
        _, kept = self._rows.get(outcome.queue_id, (None, {}))
        one = kept.get(outcome.number)
        if one is None:
            return
        recipient = one.recipient
        if outcome.action == "deferred":
            one.leased = False
            recipient.attempts += 1
            recipient.due_at = outcome.due_at
            recipient.last_reply, recipient.last_host = outcome.reply, outcome.host
            recipient.transcript = outcome.transcript
            recipient.warned = recipient.warned or outcome.warned
        elif outcome.action == "returned":
            one.leased = False
            recipient.due_at = outcome.due_at
        else:
            del kept[outcome.number]
            if not kept:
                del self._rows[outcome.queue_id]

    def _lease(self, queue_id: str, now: float) -> QueuedMessage:
        message, kept = self._rows[queue_id]
        return self._leased(message, [one for one in kept.values() if one.due(now)], len(kept))

    def _leased(self, message: QueuedMessage, recipients: Sequence[Kept], whole: int) -> QueuedMessage:
        for one in recipients:
            one.leased = True
        copies = [copy(one.recipient) for one in recipients]
        return replace(message, recipients=copies, held=False, others=whole > len(copies))

    # QueueOperator

    def entries(self) -> Iterator[Entry]:
        """All messages, oldest first."""
        return iter([self._entry(*self._rows[queue_id]) for queue_id in sorted(self._rows)])

    def show(self, queue_id: str) -> Detail | None:
        """One message, or None where it is not in the queue."""
        number_of(queue_id)
        if queue_id not in self._rows:
            return None
        message, kept = self._rows[queue_id]
        return Detail(
            self._entry(message, kept),
            message.expires_at,
            message.hops,
            message.parameters.octets(),
            message.trace + header_of(message.body.octets() or b""),
            tuple(recipient_detail(one) for one in kept.values()),
        )

    def hold(self, queue_ids: Sequence[str] | None) -> list[Change]:
        """Try no more, until released."""

        def hold(one: Kept) -> None:
            one.held = True

        return self._change(queue_ids, hold, Effect.AFTER_ATTEMPT)

    def release(self, queue_ids: Sequence[str] | None, now: float) -> list[Change]:
        """End a hold; each recipient is due when it was due without it. A message that is named, not on hold, and
        waits for its release goes on its way now."""
        for queue_id in queue_ids or ():
            message, kept = self._rows.get(queue_id, (None, {}))
            if message is None or message.release_at <= now or any(one.held for one in kept.values()):
                continue
            message.expires_at -= message.release_at - now
            message.release_at = now
            for one in kept.values():
                one.recipient.due_at = message.arrived_at

        def release(one: Kept) -> None:
            one.held = False

        return self._change(queue_ids, release, Effect.DONE)

    def retry(self, queue_ids: Sequence[str] | None, now: float) -> list[Change]:
        """Make waiting recipients due at once; a hold stays, and so does the time of a release."""

        def retry(one: Kept) -> None:
            one.recipient.due_at = now

        return self._change(queue_ids, retry, Effect.BEING_DELIVERED, before=now)

    def delete(self, queue_ids: Sequence[str] | None) -> list[Change]:
        """Take messages out of the queue; nobody is told."""
        changes = self._change(queue_ids, lambda _: None, Effect.BEING_DELIVERED)
        for change in changes:
            if change.changed:
                self._rows.pop(change.queue_id, None)
        return changes

    def _change(
        self,
        queue_ids: Sequence[str] | None,
        verb: Callable[[Kept], None],
        leased: Effect,
        *,
        before: float = float("inf"),
    ) -> list[Change]:
        changes = []
        for queue_id in sorted(self._rows) if queue_ids is None else queue_ids:
            number_of(queue_id)
            if queue_id not in self._rows:
                changes.append(Change(queue_id, Effect.NO_SUCH_MESSAGE))
                continue
            message, rows = self._rows[queue_id]
            kept = rows.values()
            effect = leased if any(one.leased for one in kept) else Effect.DONE
            change = Change(queue_id, Effect.SCHEDULED if message.release_at > before else effect)
            for one in kept if change.changed else ():
                verb(one)
            changes.append(change)
        return changes

    def _entry(self, message: QueuedMessage, kept: dict[int, Kept]) -> Entry:
        path = message.reverse_path
        leased = any(one.leased for one in kept.values())
        waits = [
            is_scheduled(one.recipient.attempts, one.recipient.due_at, message.release_at) for one in kept.values()
        ]
        release_at = message.release_at if not leased and all(waits) else 0.0
        return Entry(
            name_of(
                leased,
                any(one.held for one in kept.values()),
                bool(release_at),
                all(is_on_demand(one.recipient.next_hop) for one in kept.values()),
            ),
            message.queue_id,
            message.arrived_at,
            message.body.size + len(message.trace),
            str(path) if isinstance(path, Mailbox) else "",
            tuple(Listed(str(one.recipient.forward_path), one.recipient.last_reply) for one in kept.values()),
            message.priority,
            release_at,
            str(forwarder_of(message.parameters) or ""),
        )


def recipient_detail(one: Kept) -> RecipientDetail:
    """All that is known about a recipient."""
    recipient = one.recipient
    return RecipientDetail(
        str(recipient.forward_path),
        recipient.next_hop,
        recipient.attempts,
        recipient.due_at,
        one.leased,
        recipient.last_reply,
        recipient.last_host,
        recipient.transcript,
        recipient.parameters.octets(),
    )
