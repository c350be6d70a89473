"""A host that came for its mail (RFC 2645 section 5.3): what waits for it goes over the connection that it made.

    visit begins      ->  220 of the host, EHLO
    what waits        ->  leased in batches, oldest first; one transaction after another
    nothing is left   ->  QUIT

A recipient is leased no longer than its batch takes. Whatever ends the connection, each has its outcome then: what the
host took, refused or left unanswered, as with any other connection; what it was not asked about goes back as it was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from purport.authentication.dkim.signer import Signer, no_signer
from purport.delivery.attempt import Connection
from purport.delivery.job import Job
from purport.delivery.patience import Patience
from purport.delivery.settlement import convert, divided, give_back, settle_transaction
from purport.delivery.worker import Deliverer
from purport.mail.reply import Reply
from purport.queue.store import NotStored
from purport.smtp.client import ClientSession
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extension import Extension

BATCH: Final = 20  # messages that are leased together: what a broken connection leaves to be given back
REFILL_SECONDS: Final = 60.0  # in which the disk gives the next batch; without one there is QUIT
TICK: Final = 0.25  # of the shortest patience: how late a deadline may be seen
LONGEST_TICK: Final = 1.0  # seconds
ENDED: Final = "ended: this server stops"


@final
@dataclass(frozen=True, slots=True)
class Visitor:
    """A host that was told that the roles are reversed. `label` is how the log calls it; `tls` is version and cipher of
    the connection, empty in clear; `next_hops` is what it may have. `gone` is told once, when it is, with how many
    recipients it took and, where it took no mail at all, what it said instead."""

    transport: asyncio.Transport
    label: str
    tls: str
    next_hops: frozenset[str]
    gone: Callable[[int, str], None]


@final
class Visits:
    """The hosts that are here, and what their connections need."""

    def __init__(
        self,
        deliverer: Deliverer,
        *,
        hostname: str,
        extensions: Sequence[Extension],
        patience: Patience,
        signer: Callable[[], Signer] = no_signer,
    ) -> None:
        self.deliverer = deliverer
        self.hostname = hostname
        self.extensions = extensions
        self.patience: Mapping[Stage | None, float] = patience.by_stage() | {None: REFILL_SECONDS}
        self.signer = signer  # the one of now: keys may change while we run
        self.here: set[Visit] = set()
        self.closing = False

    async def any_waits(self, next_hops: frozenset[str]) -> bool:
        """Whether something waits for a host. Raises NotStored."""
        return bool(await self.deliverer.waiting(next_hops, 1))

    def begin(self, visitor: Visitor) -> None:
        """Take a connection over: from here on the host is the server."""
        Visit(self, visitor).begin()

    async def close(self, grace: float) -> None:
        """Let the transactions that run come to their end, for `grace` seconds at most; then break them off."""
        self.closing = True
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        for visit in tuple(self.here):
            visit.end()
        while self.here and (left := end - loop.time()) > 0:
            await asyncio.sleep(min(0.05, left))
        for visit in tuple(self.here):
            await visit.break_off()


@final
class Visit:
    """One of them: the owner of its connection."""

    def __init__(self, visits: Visits, visitor: Visitor) -> None:
        self._visits = visits
        self._visitor = visitor
        self._deliverer = visits.deliverer
        self._loop = asyncio.get_running_loop()
        session = ClientSession(visits.hostname, visits.extensions, secure=bool(visitor.tls))
        self._connection = Connection(
            self._loop, self, session, visits.patience, visitor.label, visitor.label, frozenset((visitor.label,))
        )
        self._connection.tls = visitor.tls
        self._connection.known = True
        self._queue: deque[Job] = deque()
        self._last: str | None = None  # queue id of the youngest message that was looked at
        self._working: set[asyncio.Task[None]] = set()  # at what has to be there before the next job
        self._ending = False  # no further job is begun
        self._closed = False
        self._taken = 0  # recipients
        self._refusal = ""
        self._tick_length = min(LONGEST_TICK, TICK * min(visits.patience.values()))
        self._ticker: asyncio.TimerHandle | None = None

    # What the visits do

    def begin(self) -> None:
        """The host is to greet us next."""
        self._visits.here.add(self)
        transport = self._visitor.transport
        transport.set_protocol(self._connection)
        self._connection.connection_made(transport)
        self._tick()

    def end(self) -> None:
        """Begin no further transaction."""
        self._ending = True
        self._give_back()
        if self._connection.opened:
            self._connection.quit()
        else:
            self._connection.fail(ENDED)

    async def break_off(self) -> None:
        """Let go of the connection, and of what was being prepared for it."""
        self._connection.fail(ENDED)
        for task in self._working:
            task.cancel()
        if self._working:
            await asyncio.wait(self._working)
        self.closed(self._connection)

    # What the connection says

    def now(self) -> float:
        """Seconds since 1970."""
        return self._deliverer.now()

    def obeys_field(self, domain: str) -> bool:
        """Whether the servers of a domain are known to obey Require-Recipient-Valid-Since."""
        return self._deliverer.obeys_field(domain)

    def opened(self, connection: Connection) -> None:
        """The host is ready: `next_job` is asked next."""

    def refused(self, connection: Connection, stage: Stage, given: Reply) -> None:  # noqa: ARG002
        """The host is not."""
        self._refusal = f"{stage.value}: {given}"

    def next_job(self, connection: Connection) -> Job | None:
        """The next job; None while it is being prepared, or because there is none."""
        if self._ending or self._visits.closing or connection.transactions >= connection.limits.mails:
            connection.quit()
            return None
        job = next((job for job in self._queue if connection.takes(job)), None)
        if job is None:
            if not self._working:
                self._work(self._convert(self._queue.popleft()) if self._queue else self._refill())
            return None
        fitting = connection.room(job.recipients)
        if not fitting:  # the host limits the domains of a connection: the rest waits for its next one
            self.end()
            return None
        self._queue.remove(job)
        if len(fitting) < len(job.recipients):
            job, rest = divided(job, fitting)
            self._queue.appendleft(rest)
        return job

    def settled(self, connection: Connection, job: Job, transaction: Transaction) -> None:
        """A transaction is finished. There is no other host to try."""
        again = settle_transaction(connection, job, transaction, more_hosts=False)
        assert not again
        self._taken += sum(given is not None and given.accepted for given in transaction.replies)

    def closed(self, connection: Connection) -> None:  # noqa: ARG002
        """The host is gone."""
        if self._closed:
            return
        self._closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        self._give_back()
        self._visits.here.discard(self)
        self._visitor.gone(self._taken, self._refusal)

    # What is prepared

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        """There may be a job, or nothing left."""
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ending = True
            self._loop.call_exception_handler({"message": "a visit failed", "exception": error})
        if self._closed or self._ending:
            self._give_back()
        if not self._closed:
            self._connection.wake()

    async def _refill(self) -> None:
        """The next batch of what waits; what came meanwhile is younger, and so the last of it."""
        next_hops = self._visitor.next_hops
        try:
            batch = await self._deliverer.waiting(next_hops, BATCH, self._last)
            if batch:
                self._last = batch[-1]
                self._queue.extend(await self._deliverer.collect(batch, next_hops))
            else:
                self._ending = True
        except NotStored:
            self._ending = True  # the disk fails: the host may come again

    async def _convert(self, job: Job) -> None:
        if await convert(job, self._visitor.label, self._visits.signer(), self.now()):
            self._queue.append(job)

    def _give_back(self) -> None:
        while self._queue:
            give_back(self._queue.popleft())

    def _tick(self) -> None:
        if self._loop.time() >= self._connection.deadline:
            self._connection.expire()
        if not self._closed:
            self._ticker = self._loop.call_later(self._tick_length, self._tick)
