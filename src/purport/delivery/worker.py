"""Delivery: messages out of the queue, attempts, outcomes back into the queue (RFC 5321 section 4.5.4.1).

Fresh messages are handed over in memory as soon as they are safe; deferred ones are claimed when they are due, and so
are those that are released later (RFC 4865). A message that is in here is a round: its recipients, grouped by next hop,
are each settled once, and what failed is reported when the last of them is, and so is what the sender asked to hear
about. Where something is scarce, messages of a higher priority go first (RFC 6710): the room in here, and the turn of
the Maildirs.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, final

from purport.delivery.answers import DELIVERED, EXPIRED, expired, failure_reply, returns_at, waiting
from purport.delivery.content import Content, in_memory, on_disk
from purport.delivery.delivery_log import DeliveryLog
from purport.delivery.failure import Judgement, status_of
from purport.delivery.job import Answer, Job
from purport.delivery.maildir import JUNK_FOLDER, Drop, Failure, deliver_many
from purport.delivery.pool import Pool
from purport.delivery.report import Report, Reporter
from purport.delivery.round import Round
from purport.delivery.route import FAIL, JUNK, MAILDIRS, failure_of
from purport.delivery.telling import Teller
from purport.mail.reply import reply
from purport.queue.schedule import LOWEST, Schedule, rank
from purport.queue.store import NotStored, Outcome, QueuedMessage, QueuedRecipient, QueueStore, is_on_demand

T = TypeVar("T")

RECIPIENTS: Final = 100  # of one transaction: what every server takes (RFC 5321 section 4.5.3.1.8)
BATCH: Final = 256  # messages that share the syncs of their Maildirs
THREADS: Final = 2  # that wait for the disk: one for Maildirs, one for bodies that are read
PAUSE: Final = 1.0  # seconds until a step is tried again that the store could not do
RESERVE: Final = 4  # a message of a positive priority may find a quarter more room
LONGEST_SLEEP: Final = 300.0  # seconds: a clock that is set while we sleep makes no message late by more


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is in memory at once; what is beyond stays in the queue until there is room."""

    messages: int = 2000
    octets: int = 67108864  # of bodies
    claim: int = 200  # messages taken out of the queue in one step


@final
class Deliverer:
    """Delivers what is submitted and what is due, and records what became of it. Made in the loop's thread."""

    def __init__(
        self,
        *,
        store: QueueStore,
        pool: Pool,
        reporter: Reporter,
        schedule: Schedule,
        log: DeliveryLog,
        maildirs: Path,
        limits: Limits,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._pool = pool
        self._reporter = reporter
        self._teller = Teller(reporter, schedule)
        self._schedule = schedule
        self._log = log
        self._maildirs = maildirs
        self._limits = limits
        self._clock = clock
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(THREADS, "delivery")
        self._messages = 0
        self._octets = 0
        self._full = False  # messages went back, or were not claimed, for want of room
        self._urgent = True  # there may be one of a positive priority in the queue
        self._threads: set[asyncio.Future[Any]] = set()
        self._drops: list[tuple[Round, QueuedRecipient]] = []  # wait for the next batch
        self._dropping = False
        self._ranked = False  # whether a message with a priority is among them
        self._outcomes: list[Outcome] = []
        self._reports: list[Report] = []
        self._finished: list[str] = []
        self._recording = False
        self._record_scheduled = False
        self._changed = asyncio.Event()  # something may be due, or there is room again
        self._recorded = asyncio.Event()
        self._hastening = asyncio.Lock()  # it reads all that waits: one at a time, however many clients ask for it
        self._claimer: asyncio.Task[None] | None = None
        self._stopping = False

    # What others do

    def start(self) -> None:
        """Begin to claim what is due."""
        self._claimer = self._loop.create_task(self._claim())

    def submit(self, message: QueuedMessage) -> None:
        """Deliver a message that is in the store and leased to us. Where there is no room it goes back."""
        octets = message.body.octets()
        current = self._begin(message, octets)
        if current is None:
            return
        if octets is not None or all(recipient.next_hop in MAILDIRS for recipient in message.recipients):
            self._send(current)
        else:
            self._in_thread(partial(on_disk, message.trace, message.body), partial(self._read, current))

    async def waiting(self, next_hops: Collection[str], limit: int, after: str | None = None) -> list[str]:
        """Queue ids of what waits for hosts that come for it, the oldest first, younger than `after`. Raises
        NotStored."""
        return await self._store.waiting(self._clock(), next_hops, limit, after)

    async def collect(self, queue_ids: Sequence[str], next_hops: Collection[str]) -> list[Job]:
        """What of these messages waits for a host that has come for it, as jobs for the connection to it; each of their
        recipients is to be settled. Raises NotStored."""
        jobs: list[Job] = []
        for message in await self._store.lease(self._clock(), queue_ids, next_hops):
            octets = message.body.octets()
            current = self._begin(message, octets)
            if current is None:
                continue
            if octets is None:
                try:
                    read = partial(on_disk, message.trace, message.body)
                    current.content = await self._loop.run_in_executor(self._executor, read)
                except OSError as error:
                    self._unreadable(current, error)
                    continue
            self._send(current, jobs.append)
        return jobs

    def obeys_field(self, domain: str) -> bool:
        """Whether the servers of a domain are known to obey Require-Recipient-Valid-Since."""
        return self._pool.obeys_field(domain)

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def look(self, message: QueuedMessage) -> None:
        """A message was stored that is not leased to us: learn when it is due."""
        self._urgent = self._urgent or message.priority > 0
        self._changed.set()

    async def retry_now(self) -> None:
        """An operator changed the queue: what is due is claimed at once, and destinations that were left alone are
        tried. Raises NotStored."""
        self._pool.revive()
        await self._store.refresh()
        self._urgent = True
        self._changed.set()

    async def hasten(self, concerned: Container[str]) -> int:
        """Try at once what waits for another attempt at a domain that is `concerned`: how many messages that are.
        Raises NotStored."""
        async with self._hastening:
            messages, next_hops = await self._store.hasten(self._clock(), concerned)
        self._pool.revive(next_hops)
        self._changed.set()
        return messages

    @property
    def messages(self) -> int:
        """How many messages are being delivered."""
        return self._messages

    async def stop(self, grace: float) -> None:
        """Let what runs come to its end, for `grace` seconds at most, and record what became of it."""
        self._stopping = True
        if self._claimer is not None:
            self._claimer.cancel()
            await asyncio.wait([self._claimer])
        await self._pool.close(grace)
        if self._threads:
            await asyncio.wait(self._threads)
        self._executor.shutdown()
        end = self._loop.time() + max(grace, PAUSE)
        while (self._recording or self._outcomes or self._reports) and (left := end - self._loop.time()) > 0:
            self._recorded.clear()
            self._record_soon()
            try:
                async with asyncio.timeout(left):
                    await self._recorded.wait()
            except TimeoutError:
                return  # the store is stuck; after the next start these recipients are tried again

    # A round

    def _begin(self, message: QueuedMessage, octets: bytes | None) -> Round | None:
        """A round for a leased message; None where there is no room, and it goes back."""
        size = 0 if octets is None else len(octets)
        if self._stopping or not self._has_room(size, message.priority):
            self._full = True
            self._urgent = self._urgent or message.priority > 0
            now = self._clock()
            self._outcomes += [
                Outcome(message.queue_id, recipient.number, "returned", "", "", now) for recipient in message.recipients
            ]
            self._record_soon()
            return None
        self._messages += 1
        self._octets += size
        current = Round(self.settled, message, size, rank(self._clock(), message.priority))
        if octets is not None:
            current.content = in_memory(message, octets)
        return current

    def _read(self, current: Round, reading: asyncio.Future[Content]) -> None:
        error = reading.exception()
        if error is None:
            current.content = reading.result()
            self._send(current)
        else:
            self._unreadable(current, error)

    def _unreadable(self, current: Round, error: BaseException) -> None:
        """The disk does not give the body: nobody can have the message now."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        answer = Answer(reply(451, "4.3.0", f"Message cannot be read: {reason}"), local=True)
        for recipient in current.message.recipients:
            current.settle(recipient, Judgement.DEFERRED, answer)

    def _send(self, current: Round, come: Callable[[Job], None] | None = None) -> None:
        """Every group of recipients on its way; none of a message that has to return by now. `come` takes what goes to
        a host that has come for it."""
        recipients = current.message.recipients
        if current.deadline is not None and current.deadline.expired(self._clock()):
            for recipient in recipients:
                current.settle(recipient, Judgement.FAILED, expired(recipient.last_reply))
            return
        if len(recipients) == 1:
            self._send_group(current, recipients[0].next_hop, recipients, come)
            return
        groups: dict[str, list[QueuedRecipient]] = {}
        for recipient in recipients:
            groups.setdefault(recipient.next_hop, []).append(recipient)
        for next_hop, group in groups.items():
            for begin in range(0, len(group), RECIPIENTS):
                self._send_group(current, next_hop, group[begin : begin + RECIPIENTS], come)

    def _send_group(
        self,
        current: Round,
        next_hop: str,
        recipients: Sequence[QueuedRecipient],
        come: Callable[[Job], None] | None,
    ) -> None:
        if next_hop in MAILDIRS:
            self._drops += [(current, recipient) for recipient in recipients]
            if current.message.priority:
                self._ranked = True
            self._drop_batch()
        elif next_hop.startswith(FAIL):
            for recipient in recipients:
                current.settle(recipient, Judgement.FAILED, Answer(failure_of(next_hop), local=True))
        elif come is None and is_on_demand(next_hop):
            for recipient in recipients:
                current.settle(recipient, Judgement.DEFERRED, waiting(recipient.last_reply))
        else:
            assert current.content is not None  # read before
            job = Job(current.message, recipients, next_hop, current.content, current.settle)
            (come or self._pool.deliver)(job)

    def settled(self, current: Round, recipient: QueuedRecipient, judgement: Judgement, answer: Answer) -> None:
        """One recipient of a round has its outcome."""
        now = self._clock()
        message = current.message
        if judgement is Judgement.RETURNED:
            self._outcomes.append(
                Outcome(message.queue_id, recipient.number, "returned", "", "", due_at=recipient.due_at)
            )
            current.deferred = True
            self._settle_one(current, now)
            return
        status = status_of(answer.reply)
        said = str(answer.reply)
        outcome = Outcome(
            message.queue_id,
            recipient.number,
            judgement.value,
            said,
            answer.host,
            transcript=answer.transcript,
            tls=answer.tls,
            policy=answer.policy,
        )
        if judgement is Judgement.DEFERRED:
            on_demand = is_on_demand(recipient.next_hop)
            shared = 0.0 if on_demand else current.due_at
            due_at = shared or self._due_at(current, recipient, now)
            if current.deadline is not None and current.deadline.expired(now):
                answer, judgement = expired(said), Judgement.FAILED
                status, said = status_of(answer.reply), str(answer.reply)
                outcome.action, outcome.reply = "failed", said
            elif due_at is None:
                judgement, status, said = Judgement.FAILED, EXPIRED, f"Delivery time expired; at last: {said}"
                outcome.action, outcome.reply = "failed", said
            else:
                outcome.due_at = due_at
                current.due_at = shared if on_demand else due_at
                current.deferred = True
                self._urgent = self._urgent or message.priority > 0
        self._log.attempted(message, recipient, outcome, status, now)
        fates = self._teller.fates(current, recipient, judgement, answer, status, said, now)
        if fates:
            outcome.warned = outcome.action == "deferred"
            current.told.append((outcome, fates))
        else:
            self._outcomes.append(outcome)
        self._settle_one(current, now)

    def _settle_one(self, current: Round, now: float) -> None:
        self._record_soon()
        current.left -= 1
        if not current.left:
            self._finish(current, now)

    def _due_at(self, current: Round, recipient: QueuedRecipient, now: float) -> float | None:
        """When to try again, or for what waits for its host when there will be something to tell; None: never."""
        deliver_by = None if current.deadline is None else current.deadline.at
        if is_on_demand(recipient.next_hop):
            released_at = current.message.released_at
            return self._schedule.next_look(released_at, now, warned=recipient.warned, deliver_by=deliver_by)
        return self._schedule.next_attempt(
            recipient.attempts + 1,
            current.message.released_at,
            now,
            self._jitter(),
            current.message.priority,
            deliver_by=deliver_by,
        )

    def _finish(self, current: Round, now: float) -> None:
        """All recipients of the round are settled: report what is to be told."""
        message = current.message
        self._messages -= 1
        self._octets -= current.octets
        if current.told:
            try:
                fates = [fate for _, told in current.told for fate in told]
                self._reports += self._reporter.reports(message, fates, now)
            except NotStored as error:
                self._log.unreported(message, error)
                self._retract(current, now)
            self._outcomes += [outcome for outcome, _ in current.told]
            self._record_soon()
        if not (current.deferred or message.others):
            self._finished.append(message.queue_id)
        if self._full and self._roomy:
            self._full = False
            self._changed.set()

    def _retract(self, current: Round, now: float) -> None:
        """Nobody can be told: what failed is tried, and refused, again, rather than lost in silence."""
        for outcome, _ in current.told:
            outcome.warned = False
            if outcome.action == "failed":
                outcome.action, outcome.due_at = "deferred", now + self._schedule.min_backoff
                current.deferred = True

    # Maildirs

    def _drop_batch(self) -> None:
        """The next batch, unless one is under way: what comes meanwhile shares its syncs with the next."""
        if self._dropping or not self._drops:
            return
        self._dropping = True
        if self._ranked:
            self._drops.sort(key=lambda drop: drop[0].rank)
        batch, self._drops = self._drops[:BATCH], self._drops[BATCH:]
        drops = [
            Drop(
                current.message,
                recipient.number,
                recipient.forward_path,
                returns_at(current.deadline),
                JUNK_FOLDER if recipient.next_hop == JUNK else "",
            )
            for current, recipient in batch
        ]
        self._ranked = self._ranked and bool(self._drops)
        self._in_thread(partial(deliver_many, self._maildirs, drops, self._clock), partial(self._dropped, batch))

    def _dropped(
        self, batch: Sequence[tuple[Round, QueuedRecipient]], dropping: asyncio.Future[list[Failure | None]]
    ) -> None:
        self._dropping = False
        for (current, recipient), failure in zip(batch, dropping.result(), strict=True):
            if failure is None:
                current.settle(recipient, Judgement.DELIVERED, Answer(DELIVERED, "maildir", local=True))
            elif failure.late:
                current.settle(recipient, Judgement.FAILED, expired(recipient.last_reply))
            else:
                current.settle(recipient, Judgement.DEFERRED, Answer(failure_reply(failure), "maildir", local=True))
        if not self._stopping:
            self._drop_batch()

    # The queue

    def _record_soon(self) -> None:
        if not self._record_scheduled:
            self._record_scheduled = True
            self._loop.call_soon(self._record)

    def _record(self) -> None:
        """Record what has come together; one step at a time, so that what comes meanwhile is the next."""
        self._record_scheduled = False
        if self._recording or not (self._outcomes or self._reports):
            return
        self._recording = True
        outcomes, reports, finished = self._outcomes, self._reports, self._finished
        self._outcomes, self._reports, self._finished = [], [], []
        self._store.record(
            outcomes, [report.message for report in reports], partial(self._record_done, outcomes, reports, finished)
        )

    def _record_done(
        self,
        outcomes: list[Outcome],
        reports: list[Report],
        finished: list[str],
        error: BaseException | None,
    ) -> None:
        self._recording = False
        if error is not None:
            self._outcomes, self._reports = outcomes + self._outcomes, reports + self._reports
            self._finished = finished + self._finished
            self._log.unrecorded(error)
            self._loop.call_later(PAUSE, self._record)
            return
        for report in reports:
            self._log.reported(report)
            self.submit(report.message)
        for queue_id in finished:
            self._log.removed(queue_id)
        if any(outcome.due_at for outcome in outcomes):
            self._changed.set()
        if self._outcomes or self._reports:
            self._record()
        self._recorded.set()

    async def _claim(self) -> None:
        """Take messages out of the queue when they are due and there is room, until cancelled."""
        while True:
            self._changed.clear()
            wait = LONGEST_SLEEP
            try:
                if self._roomy:
                    wait = await self._claim_due(LOWEST, self._limits.messages)
                else:
                    self._full = True
                    wait = await self._claim_urgent()
            except NotStored:
                wait = PAUSE
                self._urgent = True  # as far as we know
            if wait > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._changed.wait()

    async def _claim_urgent(self) -> float:
        """What is due of the positive priorities alone, while half of what is reserved for them is free. The queue is
        asked only where one may be in it. Raises NotStored."""
        limits = self._limits
        half = 2 * RESERVE
        if not self._urgent or not self._has_room(limits.octets // half, 1):
            return LONGEST_SLEEP
        room = limits.messages + limits.messages // RESERVE - self._messages
        if room <= limits.messages // half:
            return LONGEST_SLEEP
        return await self._claim_due(1, room)

    async def _claim_due(self, least: int, room: int) -> float:
        """Take what is due of no lower priority than `least`, for `room` messages at most; the seconds until there is
        something again. Raises NotStored."""
        claimed = await self._store.claim(self._clock(), min(self._limits.claim, room), least)
        for message in claimed:
            self.submit(message)
        self._urgent = self._urgent and least == LOWEST
        due_at = await self._store.next_due(least)
        if due_at is None:
            return LONGEST_SLEEP
        self._urgent = self._urgent or least > LOWEST
        wait = due_at - self._clock()
        return min(wait if claimed else max(wait, PAUSE), LONGEST_SLEEP)

    def _has_room(self, octets: int, priority: int) -> bool:
        """Whether one more message may be in memory."""
        limits = self._limits
        messages, size = self._messages, self._octets + octets
        if priority > 0:
            messages -= limits.messages // RESERVE
            size -= limits.octets // RESERVE
        return messages < limits.messages and size <= limits.octets

    @property
    def _roomy(self) -> bool:
        """Whether there is so much room that claiming is worth a step."""
        return 2 * self._messages <= self._limits.messages and 2 * self._octets <= self._limits.octets

    def _in_thread(self, work: Callable[[], T], done: Callable[[asyncio.Future[T]], None]) -> None:
        """Let a thread wait for the disk; `done` is called in the loop."""
        future = self._loop.run_in_executor(self._executor, work)
        self._threads.add(future)
        future.add_done_callback(self._threads.discard)
        future.add_done_callback(done)
