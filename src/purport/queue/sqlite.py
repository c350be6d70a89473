"""The embedded store: SQLite with group commit, bodies of more than a few pages in files beside it.

    FOLDER/lock       held while a server owns the folder
    FOLDER/queue.db   messages and recipients; queue.db-wal is its log
    FOLDER/bodies/    bodies over the inline limit

What the event loop hands over in one turn goes to the writer thread together. The writer takes everything
that waits, writes it in one transaction with one sync, and tells the loop once: all messages that came during
one sync share the next one. `docs/queue.md` says what a crash leaves at each moment.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final, TypeVar, final

from purport.mail.address import ReversePath
from purport.queue.body import FileBody
from purport.queue.body_files import Append, BodyFiles
from purport.queue.queue_id import number_of, queue_id_of
from purport.queue.schedule import LOWEST
from purport.queue.schema import BODIES, LOCK, connect, prepare, reverse_path_of
from purport.queue.spool import DiskSpool, SpoolFile
from purport.queue.store import HEAD_LIMIT, Body, Done, NotStored, Outcome, QueuedMessage, Spool, StorageFault
from purport.queue.writer import Ask, Job, Step, Writer, waiting_for, waiting_ids

T = TypeVar("T")
U = TypeVar("U")

# Bodies up to this are in the row. A body file costs a second sync before the row's, which larger bodies
# save by being written once; SQLite writes its pages twice.
INLINE_LIMIT: Final = 16384
MEMORY_LIMIT: Final = HEAD_LIMIT  # a body above this goes into its own file while it arrives
RESERVE: Final = 64 * 1024 * 1024  # octets that new mail leaves free on the disk: the log and the database need room
GROUP_LIMIT: Final = 256  # jobs of one transaction: bounds how long the first of them waits
BUSY_SECONDS: Final = 30.0  # an operator's command holds the database for milliseconds; a stopped one must not stop us
POOL_THREADS: Final = 4  # big bodies that are written or synced at the same time
CHECKPOINT_OCTETS: Final = 8 * 1024 * 1024  # of the log, until it is worth copying
LOCK_TRIES: Final = 10  # an operator's command tries the lock for a moment, to see whether a server has it
LOCK_PAUSE: Final = 0.02  # seconds between the tries
SCHEDULED: Final = """
SELECT max(release_at), reverse_path FROM recipient JOIN message ON message.id = recipient.message
 WHERE release_at > 0 GROUP BY message
"""


class SpoolInUse(Exception):
    """Another server owns this spool folder."""


@final
class SqliteStore:
    """A `QueueStore` in a folder that belongs to one process; made and used in the loop's thread."""

    def __init__(
        self,
        folder: Path,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        inline_limit: int = INLINE_LIMIT,
        memory_limit: int = MEMORY_LIMIT,
        reserve: int = RESERVE,
    ) -> None:
        """Open the folder, or make it; leases of an earlier process are given back, and files without a message
        removed. Raises SpoolInUse, WrongDatabase, OSError, sqlite3.Error."""
        self._loop = loop or asyncio.get_running_loop()
        self._folder = folder
        self._inline_limit = inline_limit
        self._memory_limit = memory_limit
        self._reserve = reserve
        bodies = folder / BODIES
        bodies.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = lock(folder)
        try:
            self._connection = connect(folder, busy_seconds=BUSY_SECONDS)
            prepare(self._connection)
            self._connection.execute("UPDATE recipient SET leased = 0 WHERE leased <> 0")
            self._connection.execute("DELETE FROM message WHERE deleted = 1")
            (newest,) = self._connection.execute("SELECT max(id) FROM message").fetchone()
            self._scheduled = [
                (float(release_at), reverse_path_of(path)) for release_at, path in self._connection.execute(SCHEDULED)
            ]
            self._writer = Writer(self._connection, bodies, memory_limit, reserve)
            self._files = BodyFiles(bodies, self._writer.references(), reserve, self._tell)
        except BaseException:
            os.close(self._lock)
            raise
        self._newest = None if newest is None else queue_id_of(newest)
        self._pool = ThreadPoolExecutor(POOL_THREADS, "spool")
        self._spooled: dict[int, SpoolFile] = {}  # by number: files whose message is not accepted yet
        self._staging: dict[str, list[Step]] = {}  # by queue id: steps that wait until its body is safe
        self._pending: list[Job] = []
        self._handing_over = False
        self._under_way = 0  # jobs that were given to the store and are not done
        self._idle: asyncio.Future[None] | None = None
        self._checkpointer = Checkpointer(folder)
        self._work: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="queue", daemon=True)
        self._thread.start()

    def newest_id(self) -> str | None:
        """The newest queue id in the store when it was opened, for `QueueIds(after=…)`."""
        return self._newest

    def scheduled(self) -> Sequence[tuple[float, ReversePath]]:
        """Release and reverse-path of the messages with a `release_at` that were in the store when it was opened."""
        return self._scheduled

    def spool(self) -> Spool:
        """A place for a body that is about to arrive."""
        return DiskSpool(self._memory_limit, self._open_file)

    def body(self, spool: Spool) -> Body:
        """The spooled octets as a body, to be accepted with a message at once; the spool is finished with."""
        assert isinstance(spool, DiskSpool)
        return spool.body()

    def accept(self, message: QueuedMessage, done: Done) -> None:
        """Store a message. Its recipients are leased to the caller, unless it is `held`: a crash gives them back
        at the next start."""
        step = Step((message,), (), done)
        self._under_way += 1
        if message.body.size > self._inline_limit:
            self._stage(step)
        else:
            self._hand_over(step)

    def accept_all(self, messages: Sequence[QueuedMessage], done: Done) -> None:
        """Store several messages in one step: all of them, or none. They may have the same body: in a file it is
        written once."""
        step = Step(messages, (), done)
        self._under_way += 1
        self._stage(step)

    def record(self, outcomes: Sequence[Outcome], reports: Sequence[QueuedMessage], done: Done) -> None:
        """One step: recipients that are finished leave, the deferred get their next time, reports about
        them enter. With its last recipient a message and its body leave."""
        step = Step(reports, outcomes, done)
        self._under_way += 1
        self._stage(step)

    async def claim(self, now: float, limit: int, least: int = LOWEST) -> list[QueuedMessage]:
        """Messages with recipients that are due and not held, in the order of their `rank`; those recipients are leased
        to the caller. None of a lower priority than `least`. Raises NotStored."""
        return await self._ask(lambda writer: writer.claim(now, limit, least))

    async def next_due(self, least: int = LOWEST) -> float | None:
        """When the next unleased recipient is due, if there is one, of no lower priority than `least`. Raises
        NotStored."""
        return await self._ask(lambda writer: writer.next_due(least))

    async def hasten(self, now: float, concerned: Container[str]) -> tuple[int, frozenset[str]]:
        """Make recipients due that wait for another attempt, are not held, and whose domain is `concerned`: how many
        messages those are, and their next hops. Raises NotStored."""
        try:
            found = await self._loop.run_in_executor(self._pool, waiting_for, self._folder, BUSY_SECONDS, concerned)
        except sqlite3.Error as error:
            raise StorageFault(str(error)) from error
        keys = [(message, number) for message, number, _ in found]
        for start in range(0, len(keys), GROUP_LIMIT):  # others may have their turn between
            part = keys[start : start + GROUP_LIMIT]
            await self._ask(partial(Writer.hasten, now=now, keys=part))
        return len({message for message, _ in keys}), frozenset(next_hop for _, _, next_hop in found)

    async def waiting(self, now: float, next_hops: Collection[str], limit: int, after: str | None = None) -> list[str]:
        """The queue ids, `limit` at most and the oldest first, of messages younger than `after` with recipients of
        these next hops that are neither leased nor held, and are due or have had an attempt. Raises NotStored."""
        start = -1 if after is None else number_of(after)
        look = partial(waiting_ids, self._folder, BUSY_SECONDS, now, tuple(next_hops), start, limit)
        try:
            return await self._loop.run_in_executor(self._pool, look)
        except sqlite3.Error as error:
            raise StorageFault(str(error)) from error

    async def lease(self, now: float, queue_ids: Sequence[str], next_hops: Collection[str]) -> list[QueuedMessage]:
        """Those recipients of these messages, as far as they still wait; they are leased to the caller. Raises
        NotStored."""
        numbers = [number_of(queue_id) for queue_id in queue_ids]
        return await self._ask(lambda writer: writer.lease(now, numbers, tuple(next_hops)))

    async def refresh(self) -> None:
        """An operator deleted messages from beside: remove them and their bodies. Raises NotStored."""
        self._files.release(await self._ask(Writer.purge))

    async def close(self) -> None:
        """Finish what was begun, then let go of the files."""
        if self._under_way:
            self._idle = self._loop.create_future()
            await self._idle
        self._work.put(None)
        self._thread.join()
        self._checkpointer.close()
        self._pool.shutdown()
        for file in self._spooled.values():  # of messages that were never accepted
            file.abandon()
        self._files.close()
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            return  # a full disk, or a reader: the log keeps everything, and the next start goes on from it
        finally:
            self._connection.close()
            os.close(self._lock)

    # Bodies first

    def _open_file(self) -> SpoolFile:
        number = self._files.new_number()
        file = SpoolFile(number, self._files.path(number), self._reserve, self._pool, self._tell, self._forget)
        self._spooled[number] = file
        return file

    def _forget(self, number: int) -> None:
        self._spooled.pop(number, None)

    def _stage(self, step: Step) -> None:
        """Let a step wait for what has to be safe before its rows: the bodies that go into files, and earlier
        messages of which it records outcomes."""
        step.waiting = 1  # for the end of this function
        sharing: dict[int, list[QueuedMessage]] = {}  # messages with one body in a file
        for message in step.messages:
            if message.body.size > self._inline_limit:
                sharing.setdefault(id(message.body), []).append(message)
        for messages in sharing.values():
            body = messages[0].body
            queue_ids = [message.queue_id for message in messages]
            self._staging.update((queue_id, []) for queue_id in queue_ids)
            step.waiting += 1
            if isinstance(body, FileBody):
                file = self._spooled.pop(body.number, None)
                stored = partial(self._spooled_safe, step, queue_ids, body)
                if file is not None:
                    file.finish(stored)
                elif body.stored:  # the body of a message that is in the queue, given to a second one
                    stored(None)
                else:
                    stored(StorageFault("the body was accepted before, or discarded"))
            else:
                octets = body.octets()
                assert octets is not None
                self._files.append(octets, partial(self._appended, step, queue_ids))
        if self._staging:
            for queue_id in {outcome.queue_id for outcome in step.outcomes} & self._staging.keys():
                self._staging[queue_id].append(step)
                step.waiting += 1
        self._one_less(step)

    def _spooled_safe(self, step: Step, queue_ids: Sequence[str], body: FileBody, error: NotStored | None) -> None:
        if error is None:
            body.stored = True
            for queue_id in queue_ids:
                self._files.adopt(body.number)
                step.places[queue_id] = (body.number, body.offset)
        self._staged(step, queue_ids, error)

    def _appended(self, step: Step, queue_ids: Sequence[str], append: Append) -> None:
        if append.place is not None:
            for queue_id in queue_ids:
                step.places[queue_id] = append.place
            for _ in queue_ids[1:]:  # the body counts as one reference already
                self._files.adopt(append.place[0])
        self._staged(step, queue_ids, append.error)

    def _staged(self, step: Step, queue_ids: Sequence[str], error: NotStored | None) -> None:
        """One body of a step is safe, or will never be."""
        step.error = step.error or error
        self._one_less(step)
        for queue_id in queue_ids:
            for waiting in self._staging.pop(queue_id):
                self._one_less(waiting)

    def _one_less(self, step: Step) -> None:
        step.waiting -= 1
        if step.waiting:
            return
        if step.error is None:
            self._hand_over(step)
            return
        for file, _ in step.places.values():
            self._files.release({file: 1})
        self._finish([step], {})

    # Then rows

    def _hand_over(self, job: Job) -> None:
        """Give a job to the writer, together with all others of this turn of the loop: one hand-over, and the
        first message of many does not get a sync for itself."""
        self._pending.append(job)
        if not self._handing_over:
            self._handing_over = True
            self._loop.call_soon(self._give)

    def _give(self) -> None:
        self._handing_over = False
        jobs, self._pending = self._pending, []
        self._work.put(jobs)

    async def _ask(self, run: Callable[[Writer], T]) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        answers: list[T] = []  # a group that failed is written again: the last answer counts

        def done(error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(answers[-1])

        self._under_way += 1
        self._hand_over(Ask(lambda writer: answers.append(run(writer)), done))
        return await future

    def _finish(self, jobs: list[Job], gone: dict[int, int]) -> None:
        """In the loop's thread: what became of each job of a group."""
        for job in jobs:
            try:
                job.done(job.error)
            except Exception as error:  # noqa: BLE001  # the others of the group must hear of theirs
                self._loop.call_exception_handler({"message": "a queue callback failed", "exception": error})
        if gone:
            self._files.release(gone)
        self._under_way -= len(jobs)
        if self._idle is not None and not self._under_way:
            self._idle.set_result(None)
            self._idle = None

    def _tell(self, function: Callable[[U], None], argument: U) -> None:
        """Run a function in the loop's thread, from any thread."""
        self._loop.call_soon_threadsafe(function, argument)

    # In the writer's thread

    def _run(self) -> None:
        work, write, tell = self._work, self._writer.write, self._loop.call_soon_threadsafe
        writer, checkpointer = self._writer, self._checkpointer
        running = True
        while running:
            group: list[Job] = []
            more = work.get()
            while more is not None:
                group += more
                if len(group) >= GROUP_LIMIT or work.empty():
                    break
                more = work.get()
            running = more is not None
            if group:
                tell(self._finish, group, write(group))
                if writer.logged > CHECKPOINT_OCTETS:
                    writer.logged = 0
                    checkpointer.ask()


@final
class Checkpointer:
    """Copies the log into the database while the writer goes on: otherwise the commit that fills the log would
    copy all of it, and everybody would wait for that."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._work: SimpleQueue[bool] = SimpleQueue()
        self._thread: Thread | None = None

    def ask(self) -> None:
        """There is enough to copy again."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="checkpoint", daemon=True)
            self._thread.start()
        self._work.put(True)

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._work.put(False)
            self._thread.join()

    def _run(self) -> None:
        with closing(connect(self._folder, busy_seconds=BUSY_SECONDS)) as connection:
            while self._work.get():
                try:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                except sqlite3.Error:
                    continue  # a full disk: nothing is lost, the log keeps what it has


def lock(folder: Path) -> int:
    """Take a spool folder for this process, until the descriptor is closed. Raises SpoolInUse."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE)
        else:
            return descriptor
    os.close(descriptor)
    raise SpoolInUse(f"{folder} belongs to another server that is running")
