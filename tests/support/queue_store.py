"""A queue store with awaitable steps, and messages for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from purport.mail.address import NULL, Mailbox, ReversePath
from purport.mail.envelope import Parameters
from purport.queue.queue_id import EPOCH, QueueIds
from purport.queue.store import Outcome, QueuedMessage, QueuedRecipient, QueueStore

NOW = EPOCH + 1_000_000.0
ALICE = Mailbox("alice", "example.com")
TRACE = b"Received: from client.example by mx.example; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
HEADER = b"From: alice@example.com\r\nSubject: octets\r\n\r\n"


def recipients(*local_parts: str) -> list[QueuedRecipient]:
    """Recipients at company.com.example."""
    return [
        QueuedRecipient(number, Mailbox(local_part, "company.com.example"), "mx.company.com.example")
        for number, local_part in enumerate(local_parts)
    ]


def octets(size: int) -> bytes:
    """A message of so many octets, no part of it like another."""
    body = b"".join(b"%d " % number for number in range(size // 2))
    return (HEADER + body)[:size]


class Queue:
    """A store, and steps that are awaited: they return when they are safe, and raise where they are not."""

    def __init__(self, store: QueueStore) -> None:
        self.store = store
        self._ids = QueueIds(0, lambda: NOW, after=store.newest_id())

    def message(
        self,
        *local_parts: str,
        body: bytes = HEADER,
        reverse_path: ReversePath = ALICE,
        parameters: Parameters | None = None,
        held: bool = False,
        priority: int = 0,
        release_at: float = 0.0,
    ) -> QueuedMessage:
        """A message that is not in the store yet, its body spooled in pieces."""
        spool = self.store.spool()
        for start in range(0, len(body), 50_000):
            spool.write(body[start : start + 50_000])
        return QueuedMessage(
            self._ids.next(),
            NOW,
            reverse_path,
            parameters or Parameters(),
            TRACE,
            self.store.body(spool),
            recipients(*(local_parts or ("bob",))),
            (release_at or NOW) + 432_000,
            1,
            held,
            priority,
            release_at,
        )

    def report(self, body: bytes = HEADER) -> QueuedMessage:
        """A failure report."""
        return self.message("alice", body=body, reverse_path=NULL)

    async def accept(self, message: QueuedMessage) -> QueuedMessage:
        """Store a message."""
        await self._step(lambda done: self.store.accept(message, done))
        return message

    async def accept_all(self, *messages: QueuedMessage) -> None:
        """Store several in one step."""
        await self._step(lambda done: self.store.accept_all(messages, done))

    async def record(self, *outcomes: Outcome, reports: Sequence[QueuedMessage] = ()) -> None:
        """Record outcomes."""
        await self._step(lambda done: self.store.record(outcomes, reports, done))

    async def claim(self, now: float = NOW, limit: int = 100) -> list[QueuedMessage]:
        """What is due."""
        return await self.store.claim(now, limit)

    async def _step(self, begin: Callable[[Callable[[BaseException | None], None]], None]) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: BaseException | None) -> None:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        begin(done)
        await future


def relayed(message: QueuedMessage, number: int = 0) -> Outcome:
    """The recipient is finished."""
    return Outcome(message.queue_id, number, "relayed", "250 2.0.0 Ok", "mx.company.com.example[192.0.2.1]:25")


def failed(message: QueuedMessage, number: int = 0) -> Outcome:
    """The recipient is finished: nothing more will be tried."""
    return Outcome(message.queue_id, number, "failed", "550 5.1.1 No such mailbox", "mx.company.com.example")


def deferred(
    message: QueuedMessage, due_at: float, number: int = 0, reply: str = "450 4.2.0 Later", *, warned: bool = False
) -> Outcome:
    """The recipient is to be tried again."""
    host, transcript = "mx.company.com.example", "S: 220 mx\nC: EHLO"
    return Outcome(message.queue_id, number, "deferred", reply, host, due_at, transcript, warned)
