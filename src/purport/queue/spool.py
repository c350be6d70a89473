"""A message body while it arrives: in memory as long as it is small, then in a file of its own.

The event loop never waits for the disk: pieces go to a small pool of threads, one piece of a spool at a time.
A spool holds the head (up to HEAD_LIMIT) and at most two pieces in memory, whatever the size of the body,
as long as its owner stops reading while it is `congested`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Final, final

from purport.queue.body import FileBody, MemoryBody
from purport.queue.body_files import check_room, not_stored, sync_folder, write_all
from purport.queue.store import HEAD_LIMIT, NotStored, StorageFault, check_head

PIECE: Final = 65536  # octets that are worth a hand-over to a thread
SMALL: Final = 4096  # octets of a piece that is copied sooner rather than kept as an object of its own
CONGESTED: Final = 262144  # octets that wait for the disk; two such pieces and the head stay under 1 MiB

Tell = Callable[[Callable[[NotStored | None], None], NotStored | None], None]  # runs a function in the loop's thread


@final
class DiskSpool:
    """A spool of the SQLite store."""

    __slots__ = ("_begin", "_file", "_limit", "_open_file", "_pieces", "size")

    def __init__(self, limit: int, open_file: Callable[[], SpoolFile]) -> None:
        """Up to `limit` octets stay in memory, then `open_file()` gives a file."""
        self.size = 0
        self._limit = limit
        self._pieces: list[bytes | bytearray] = []  # all of it, or the head once there is a file
        self._open_file = open_file
        self._file: SpoolFile | None = None
        self._begin = 0  # where in the file the octets begin

    @property
    def congested(self) -> bool:
        """Whether the disk is behind: stop reading from the client until `when_relieved` calls back."""
        return self._file is not None and self._file.congested

    def when_relieved(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, in the loop's thread, when the spool is not congested any more (or failed)."""
        if self._file is None:
            callback()
        else:
            self._file.when_relieved(callback)

    def write(self, octets: bytes) -> None:
        """Take the next octets. Raises NotStored: NoSpace where the disk is full."""
        self.size += len(octets)
        if self._file is not None:
            self._file.write(octets)
        elif self.size <= self._limit:
            self._keep(octets)
        else:
            self._file = self._open_file()
            self._file.write(self._whole())
            self._file.write(octets)
            self._pieces = [(self._whole() + octets[:HEAD_LIMIT])[:HEAD_LIMIT]]

    def head(self, limit: int) -> bytes:
        """The first `limit` octets at most, and HEAD_LIMIT at most (less what `replace_head` took out)."""
        return self._whole()[: min(limit, HEAD_LIMIT)]

    def replace_head(self, length: int, octets: bytes) -> None:
        """The first `length` octets become these, which are not more. Raises ValueError.

        In a file the new ones are written over the end of the old, and the body begins there: nothing else of it is
        read or written again.
        """
        whole = self._whole()
        check_head(length, octets, min(len(whole), HEAD_LIMIT))
        self._pieces = [b"".join((octets, memoryview(whole)[length:]))]
        less = length - len(octets)
        self.size -= less
        if self._file is not None:
            self._begin += less
            self._file.overwrite(octets, self._begin)

    def discard(self) -> None:
        """Drop everything; also when called twice or after an error. Not after `body`."""
        self._pieces = []
        if self._file is not None:
            self._file.discard()
            self._file = None

    def body(self) -> MemoryBody | FileBody:
        """The octets as a body; the spool holds nothing any more."""
        file, octets = self._file, self._whole()
        self._file, self._pieces = None, []
        if file is None:
            return MemoryBody(octets)
        return FileBody(file.number, file.path, self._begin, self.size, in_memory=False)

    def _keep(self, octets: bytes) -> None:
        """Large pieces stay as they are until they are joined, once; small ones, of which there may be thousands, are
        put together."""
        pieces = self._pieces
        if not pieces or len(octets) >= SMALL:
            pieces.append(octets)
        elif isinstance(pieces[-1], bytearray):
            pieces[-1] += octets
        else:
            pieces.append(bytearray(octets))

    def _whole(self) -> bytes:
        pieces = self._pieces
        if len(pieces) == 1 and isinstance(pieces[0], bytes):
            return pieces[0]
        whole = b"".join(pieces)
        self._pieces = [whole]
        return whole


@final
class SpoolFile:
    """The file of one big body. Called in the loop's thread; its pool threads do nothing but system calls."""

    __slots__ = (
        "_abandoned",
        "_descriptor",
        "_discarded",
        "_error",
        "_finished",
        "_forget",
        "_offset",
        "_over",
        "_pool",
        "_relief",
        "_removed",
        "_reserve",
        "_tell",
        "_waiting",
        "_writing",
        "number",
        "path",
    )

    def __init__(
        self, number: int, path: Path, reserve: int, pool: Executor, tell: Tell, forget: Callable[[int], object]
    ) -> None:
        """`forget(number)` is called when the body was discarded. A file that failed is not forgotten before:
        who accepts its message has to hear of it."""
        self.number = number
        self.path = path
        self._reserve = reserve
        self._forget = forget
        self._pool = pool
        self._tell = tell
        self._descriptor = -1
        self._offset = 0
        self._waiting = bytearray()
        self._over: list[tuple[bytes, int]] = []  # what is written over octets that stand there, and where
        self._writing = False  # a pool thread is at work
        self._error: NotStored | None = None
        self._relief: Callable[[], None] | None = None
        self._finished: Callable[[NotStored | None], None] | None = None
        self._discarded = False
        self._abandoned = False
        self._removed = False

    @property
    def congested(self) -> bool:
        """Whether so much waits for the disk that no more should come."""
        return len(self._waiting) > CONGESTED and self._error is None

    def when_relieved(self, callback: Callable[[], None]) -> None:
        """Call back once when it is not congested any more."""
        if self.congested:
            self._relief = callback
        else:
            callback()

    def write(self, octets: bytes | bytearray) -> None:
        """Take the next octets. Raises NotStored where an earlier piece could not be written."""
        if self._error is not None:
            raise self._error
        self._waiting += octets
        if len(self._waiting) >= PIECE:
            self._go_on()

    def overwrite(self, octets: bytes, offset: int) -> None:
        """Write these over octets that were taken before. It is done when those are written, and before `finish`."""
        self._over.append((octets, offset))

    def finish(self, finished: Callable[[NotStored | None], None]) -> None:
        """Make all of it safe, then call `finished` in the loop's thread, with the error if there was one."""
        if self._error is not None:
            self._tell(finished, self._error)
            return
        self._finished = finished
        self._go_on()

    def discard(self) -> None:
        """Remove the file, as soon as the thread that writes it is done."""
        self._discarded = True
        self._waiting = bytearray()
        self._relief = None
        if self._removed:
            self._forget(self.number)
        else:
            self._go_on()

    def abandon(self) -> None:
        """Remove the file here and now: the pool is closed, and no thread is at work."""
        self._writing = True
        self._abandoned = True
        self._remove()

    def _go_on(self) -> None:
        """Hand the next piece of work to the pool, unless a thread is at work already."""
        if self._writing:
            return
        if self._discarded or self._error is not None:
            self._writing = True  # for good: nothing follows
            self._waiting = bytearray()
            self._removed = True
            self._pool.submit(self._remove)
            if self._discarded:
                self._forget(self.number)
            finished, self._finished = self._finished, None
            if finished is not None:
                finished(self._error or StorageFault("the message was discarded"))
        elif self._waiting:
            self._writing = True
            piece, self._waiting = self._waiting, bytearray()
            self._pool.submit(self._work, piece, self._offset, False)
            self._offset += len(piece)
        elif self._over:
            self._writing = True
            self._pool.submit(self._work, *self._over.pop(0), False)
        elif self._finished is not None:
            self._writing = True
            self._pool.submit(self._work, b"", self._offset, True)

    def _done(self, error: NotStored | None, last: bool) -> None:
        if self._abandoned:
            return
        self._writing = False
        self._error = error
        if error is None and last and self._finished is not None:
            self._finished(None)
            return
        self._go_on()
        if not self.congested and self._relief is not None:
            relief, self._relief = self._relief, None
            relief()

    # In a pool thread

    def _work(self, piece: bytes | bytearray, offset: int, last: bool) -> None:
        error: NotStored | None = None
        try:
            check_room(self.path.parent, self._reserve)
            if self._descriptor < 0:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            write_all(self._descriptor, piece, offset)
            if last:
                os.fdatasync(self._descriptor)
                descriptor, self._descriptor = self._descriptor, -1
                os.close(descriptor)
                sync_folder(self.path.parent)  # without its name the file would be lost
        except OSError as fault:
            error = not_stored(fault)
        self._tell(partial(self._done, last=last), error)

    def _remove(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self.path.unlink(missing_ok=True)
