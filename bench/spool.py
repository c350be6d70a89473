"""The queue alone: messages a second and CPU a message, beside what one sync costs on this disk.

    python bench/spool.py [--seconds 2] [--folder /var/tmp]

A producer submits its next message when its last one is safe. `relayed` also records each message as delivered.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

import paths  # noqa: F401  # makes the package importable from a checkout
from purport.mail.address import Mailbox
from purport.mail.envelope import NO_PARAMETERS
from purport.queue.queue_id import QueueIds
from purport.queue.sqlite import SqliteStore
from purport.queue.store import Outcome, QueuedMessage, QueuedRecipient

TRACE = b"Received: from client.example (client.example [192.0.2.1])\r\n\tby mx.example with ESMTP; Mon\r\n" * 3
ALICE = Mailbox("alice", "example.com")
BOB = Mailbox("bob", "company.com.example")
DAY = 86400.0


@dataclass(frozen=True)
class Work:
    """One line of the table."""

    name: str
    size: int
    producers: int
    relayed: bool = False


WORKS = (
    Work("4 KiB, 20 producers", 4096, 20),
    Work("4 KiB, 20 producers, relayed", 4096, 20, relayed=True),
    Work("4 KiB, 200 producers", 4096, 200),
    Work("4 KiB, 1 producer", 4096, 1),
    Work("100 KiB, 20 producers", 102_400, 20),
    Work("100 KiB, 20 producers, relayed", 102_400, 20, relayed=True),
    Work("100 KiB, 1 producer", 102_400, 1),
    Work("1 MiB, 20 producers, relayed", 1_048_576, 20, relayed=True),
)


@dataclass(frozen=True)
class Figure:
    """What a run came to."""

    rate: float
    cpu: float  # seconds a message, all threads
    latencies: list[float]


def cpu_seconds() -> float:
    """CPU of this process so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def run(work: Work, store: SqliteStore, seconds: float) -> Figure:
    """Submit for so many seconds."""
    ids = QueueIds()
    octets = os.urandom(work.size)
    latencies: list[float] = []
    finished = asyncio.get_running_loop().create_future()
    active = work.producers
    end = time.perf_counter() + seconds

    def submit() -> None:
        nonlocal active
        started = time.perf_counter()
        if started > end:
            active -= 1
            if not active:
                finished.set_result(None)
            return
        spool = store.spool()
        for start in range(0, work.size, 65536):
            spool.write(octets[start : start + 65536])
        now = time.time()
        queue_id = ids.next()
        recipients = [QueuedRecipient(0, BOB, "mx.company.com.example")]
        message = QueuedMessage(
            queue_id, now, ALICE, NO_PARAMETERS, TRACE, store.body(spool), recipients, now + 5 * DAY, 1
        )

        def accepted(error: BaseException | None) -> None:
            if error is not None:
                raise error
            latencies.append(time.perf_counter() - started)
            if work.relayed:
                store.record([Outcome(queue_id, 0, "relayed", "250 2.0.0 Ok", "mx")], (), lambda _: None)
            submit()

        store.accept(message, accepted)

    before, begun = cpu_seconds(), time.perf_counter()
    for _ in range(work.producers):
        submit()
    await finished
    lasted, cpu = time.perf_counter() - begun, cpu_seconds() - before
    return Figure(len(latencies) / lasted, cpu / len(latencies), latencies)


def measure(work: Work, folder: Path, seconds: float) -> Figure:
    """One run on a fresh store."""

    async def play() -> Figure:
        store = SqliteStore(place)
        try:
            return await run(work, store, seconds)
        finally:
            await store.close()

    place = Path(tempfile.mkdtemp(prefix="purport-queue-", dir=folder))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(play())
    finally:
        shutil.rmtree(place)


def sync_seconds(folder: Path) -> float:
    """What writing 8 KiB over itself and one fdatasync take, the least a durable message can."""
    with tempfile.TemporaryFile(dir=folder) as file:
        taken = []
        for _ in range(200):
            started = time.perf_counter()
            os.pwrite(file.fileno(), bytes(8192), 0)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=2.0)
    arguments.add_argument("--folder", type=Path, default=Path("/var/tmp"))
    asked = arguments.parse_args()
    print(f"one sync of 8 KiB: {sync_seconds(asked.folder) * 1000:.2f} ms\n")
    print("| work | messages/s | CPU us/message | median ms | 99 % ms | slowest ms |")
    print("|---|---|---|---|---|---|")
    for work in WORKS:
        figure = measure(work, asked.folder, asked.seconds)
        cuts = statistics.quantiles(figure.latencies, n=100)
        times = " | ".join(f"{second * 1000:.2f}" for second in (cuts[49], cuts[98], max(figure.latencies)))
        print(f"| {work.name} | {figure.rate:,.0f} | {figure.cpu * 1e6:.0f} | {times} |", flush=True)


if __name__ == "__main__":
    main()
