"""A process that brings a queue into a state of the crash table in docs/queue.md and is killed there.

    python -m support.queue_child STATE FOLDER

It writes one line of JSON when the state is reached, `{"ids": […], "acknowledged": […]}`, and waits to be killed;
states that last for no time are ended by the process itself, with the same SIGKILL.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from purport.queue.sqlite import SqliteStore
from purport.queue.store import Outcome, QueuedMessage
from support.queue_store import NOW, Queue, deferred, failed, octets, relayed

SIZES = (1000, 50_000, 400_000)  # in the row, in a shared file, in a file of its own


def tell(messages: Sequence[QueuedMessage], *, acknowledged: bool) -> None:
    """Tell the parent which messages there are."""
    ids = [message.queue_id for message in messages]
    print(json.dumps({"ids": ids, "acknowledged": ids if acknowledged else []}), flush=True)


def die(error: BaseException | None) -> None:
    """A callback in which the process ends."""
    os.kill(os.getpid(), signal.SIGKILL)


async def forever() -> None:
    """Wait to be killed."""
    await asyncio.get_running_loop().create_future()


async def line_from_parent() -> None:
    """Wait until the parent has locked the database."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def messages(queue: Queue, *local_parts: str) -> list[QueuedMessage]:
    """One message of each size."""
    return [queue.message(*local_parts, body=octets(size)) for size in SIZES]


async def accepted(queue: Queue, *local_parts: str) -> list[QueuedMessage]:
    """One message of each size, stored and acknowledged."""
    return [await queue.accept(message) for message in messages(queue, *local_parts)]


async def spooling(queue: Queue) -> None:
    """S2: a big body is arriving."""
    spool = queue.store.spool()
    spool.write(octets(400_000))
    while not any(place.stat().st_size for place in (Path(sys.argv[2]) / "bodies").iterdir()):
        await asyncio.sleep(0.001)
    tell([], acknowledged=False)
    await forever()


async def synced(queue: Queue) -> None:
    """S2: bodies are safe, their rows are not: the parent keeps the database locked."""
    sent = messages(queue)[1:]
    tell(sent, acknowledged=False)
    await line_from_parent()
    for message in sent:
        queue.store.accept(message, die)
    while len(list((Path(sys.argv[2]) / "bodies").iterdir())) < 2 or queue.store._staging:  # type: ignore[attr-defined]
        await asyncio.sleep(0.001)
    print("synced", flush=True)
    await forever()


async def committed(queue: Queue) -> None:
    """S3: rows are safe, nobody was told: the loop stands still. The parent sees when they are."""
    sent = messages(queue)[:1]
    queue.store.accept(sent[0], die)
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it is with the writer now
    tell(sent, acknowledged=False)
    time.sleep(60)


async def acknowledged(queue: Queue) -> None:
    """S3: the 250 was sent."""
    tell(await accepted(queue), acknowledged=True)
    os.kill(os.getpid(), signal.SIGKILL)


async def forwarded(queue: Queue) -> None:
    """S3, of messages that entered together and share their bodies: the 250 was sent."""
    sent: list[QueuedMessage] = []
    for message in messages(queue):
        together = [message, *(replace(queue.message(name), body=message.body) for name in ("carol", "dave"))]
        await queue.accept_all(*together)
        sent += together
    tell(sent, acknowledged=True)
    os.kill(os.getpid(), signal.SIGKILL)


async def forwarding(queue: Queue) -> None:
    """S2, of messages that are to enter together: their body is safe, their rows are not."""
    first = queue.message(body=octets(400_000))
    sent = [first, *(replace(queue.message(name), body=first.body) for name in ("carol", "dave"))]
    tell(sent, acknowledged=False)
    await line_from_parent()
    queue.store.accept_all(sent, die)
    while queue.store._staging:  # type: ignore[attr-defined]
        await asyncio.sleep(0.001)
    print("forwarding", flush=True)
    await forever()


async def scheduled(queue: Queue) -> None:
    """S3, of messages that are to be sent later: the 250 was sent."""
    sent = [await queue.accept(queue.message(body=octets(size), release_at=NOW + 3600)) for size in SIZES]
    tell(sent, acknowledged=True)
    os.kill(os.getpid(), signal.SIGKILL)


async def leased(queue: Queue) -> None:
    """S4: a worker has claimed the messages."""
    sent = await accepted(queue)
    await queue.record(*(deferred(message, NOW) for message in sent))
    assert len(await queue.claim()) == len(sent)
    tell(sent, acknowledged=True)
    os.kill(os.getpid(), signal.SIGKILL)


async def recorded(queue: Queue) -> None:
    """S5: one of two recipients is finished."""
    sent = await accepted(queue, "bob", "carol")
    tell(sent, acknowledged=True)
    queue.store.record([relayed(message, 0) for message in sent], [], die)
    await forever()


async def recording(queue: Queue) -> None:
    """S4: the outcome is on its way to the disk: the parent locks the database when it has read the line."""
    sent = await accepted(queue)
    tell(sent, acknowledged=True)
    await line_from_parent()
    reports = [queue.report() for _ in sent]
    queue.store.record([failed(message) for message in sent], reports, die)
    print("recording", flush=True)
    await forever()


async def reported(queue: Queue) -> None:
    """S5: failures and the reports about them are recorded."""
    sent = await accepted(queue)
    reports = [queue.report(octets(size)) for size in SIZES]
    tell(reports, acknowledged=True)
    outcomes: list[Outcome] = [failed(message) for message in sent]
    queue.store.record(outcomes, reports, die)
    await forever()


async def done(queue: Queue) -> None:
    """S6: all recipients are finished; the files are not removed yet."""
    sent = await accepted(queue)
    tell([], acknowledged=False)
    queue.store.record([relayed(message) for message in sent], [], die)
    await forever()


STATES: dict[str, Callable[[Queue], Awaitable[None]]] = {
    state.__name__: state
    for state in (
        *(spooling, synced, committed, acknowledged, forwarded, forwarding, scheduled),
        *(leased, recorded, recording, reported, done),
    )
}


async def main() -> None:
    """Bring the queue into the state."""
    await STATES[sys.argv[1]](Queue(SqliteStore(Path(sys.argv[2]))))


if __name__ == "__main__":
    asyncio.run(main())
