"""Bodies that are too big for a row: files beside the database, written and synced before their row is.

    bodies/000000000007        several bodies, one after the other
    bodies/000000000008        one big body, written while it arrived

One thread appends the bodies of middle size: all that wait share one write and one sync. It also keeps count
of the messages that refer to each file, and removes or reuses a file when there are none. Bodies over the
memory limit are written by `spool.py`, one file each, and handed to this count with `adopt`.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final, final

from purport.queue.store import NoSpace, NotStored, StorageFault

# What a file may grow to before the next one is begun. One message that stays for days keeps its whole file:
# this is the most space it can waste.
FILE_LIMIT: Final = 4 * 1024 * 1024
GROUP_LIMIT: Final = 8 * 1024 * 1024  # octets that share a sync, or a little more: how long the first of them waits
SPARE_FILES: Final = 2  # empty files kept for reuse: their blocks and names are on the disk already
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def not_stored(error: OSError) -> NotStored:
    """What an error of the operating system means for a message."""
    return NoSpace(str(error)) if error.errno in FULL else StorageFault(str(error))


def file_path(folder: Path, number: int) -> Path:
    """Where a body file is."""
    return folder / f"{number:012}"


def check_room(folder: Path, reserve: int) -> None:
    """Raises OSError (ENOSPC) where less than `reserve` octets are free for us on the folder's disk. New mail stops
    before the disk is full, so that what is in the queue can still be delivered and leave it."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < reserve:
        raise OSError(errno.ENOSPC, f"less than {reserve} octets are free in {folder}")


def sync_folder(folder: Path) -> None:
    """Make names that were created in a folder safe. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, octets: bytes | bytearray, offset: int) -> None:
    """Write all of `octets` at `offset`. Raises OSError."""
    view = memoryview(octets)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


def write_together(descriptor: int, pieces: Sequence[bytes], offset: int) -> int:
    """Write all pieces one after the other at `offset`, in one call where the disk takes it; how many octets they are.
    Raises OSError."""
    written = os.pwritev(descriptor, pieces, offset)
    at = 0
    for piece in pieces:
        end = at + len(piece)
        if end > written:
            begin = max(at, written)
            write_all(descriptor, piece[begin - at :], offset + begin)
        at = end
    return at


@final
class Append:
    """A body on its way into a file; `place` (file and offset) or `error` is set when `then` is called."""

    __slots__ = ("error", "octets", "place", "then")

    def __init__(self, octets: bytes, then: Callable[[Append], None]) -> None:
        self.octets = octets
        self.then = then
        self.place: tuple[int, int] | None = None
        self.error: NotStored | None = None


@final
class BodyFiles:
    """The folder of body files. Everything but the thread's own work is called in the loop's thread."""

    def __init__(
        self,
        folder: Path,
        references: Mapping[int, int],
        reserve: int,
        tell: Callable[[Callable[[list[Append]], None], list[Append]], None],
    ) -> None:
        """`references` counts the messages in each file; files that hold none are left from a crash, and removed
        (S2 and S6 of docs/queue.md). `tell(function, argument)` runs a function in the loop's thread."""
        self.folder = folder
        self._reserve = reserve
        self._tell = tell
        self._references = dict(references)
        found = {int(place.name): place for place in folder.iterdir() if place.name.isdigit()}
        for number in found.keys() - references.keys():
            found[number].unlink()
        self._numbers = itertools.count(max([0, *found, *references]) + 1)
        self._work: SimpleQueue[Append | Mapping[int, int] | int | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._current = 0  # the number of the file that is appended to; 0: none yet
        self._descriptor = -1
        self._offset = 0
        self._safe = 0  # up to here everything was synced
        self._spare: list[int] = []

    def new_number(self) -> int:
        """A number for a file of one's own."""
        return next(self._numbers)

    def path(self, number: int) -> Path:
        """Where a file is."""
        return file_path(self.folder, number)

    def append(self, octets: bytes, then: Callable[[Append], None]) -> None:
        """Store a body; `then` is called in the loop's thread when it is safe, or could not be stored.
        The body counts as one reference from here on."""
        self._do(Append(octets, then))

    def adopt(self, number: int) -> None:
        """A file written by somebody else holds one message now."""
        self._do(number)

    def release(self, references: Mapping[int, int]) -> None:
        """So many messages in each of these files are gone."""
        self._do(references)

    def close(self) -> None:
        """Finish what was begun, remove what is empty, end the thread."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None

    def _do(self, work: Append | Mapping[int, int] | int) -> None:
        if self._thread is None:  # many servers never see a body that needs it
            self._thread = Thread(target=self._run, name="bodies", daemon=True)
            self._thread.start()
        self._work.put(work)

    # In the thread

    def _run(self) -> None:
        running = True
        while running:
            group: list[Append] = []
            rest: list[Mapping[int, int] | int] = []
            size = 0
            work = self._work.get()
            while work is not None:
                if isinstance(work, Append):
                    group.append(work)
                    size += len(work.octets)
                else:
                    rest.append(work)
                if size >= GROUP_LIMIT or self._work.empty():
                    break
                work = self._work.get()
            running = work is not None
            if group:
                self._store(group)
                self._tell(settle, group)
            for number in rest:
                self._count(number)
        self._end()

    def _store(self, group: list[Append]) -> None:
        """Append all or, where that fails, as many as can be: each half on its own."""
        try:
            self._write(group)
        except OSError as error:
            self._abandon()
            if len(group) == 1:
                group[0].error = not_stored(error)
                return
            middle = len(group) // 2
            self._store(group[:middle])
            self._store(group[middle:])

    def _write(self, group: list[Append]) -> None:
        """One sync for all. Raises OSError: then none of them is safe."""
        check_room(self.folder, self._reserve)
        if self._offset >= FILE_LIMIT or self._current == 0:
            self._begin_file()
        start = self._offset
        self._offset += write_together(self._descriptor, [append.octets for append in group], start)
        os.fdatasync(self._descriptor)
        self._safe = self._offset
        number = self._current
        for append in group:
            append.place = (number, start)
            start += len(append.octets)
        self._references[number] = self._references.get(number, 0) + len(group)

    def _begin_file(self) -> None:
        self._leave_file()
        if self._spare:
            number = self._spare.pop()
            descriptor = os.open(self.path(number), os.O_WRONLY | os.O_CLOEXEC)
        else:
            number = self.new_number()
            descriptor = os.open(self.path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                sync_folder(self.folder)
            except OSError:
                os.close(descriptor)
                self.path(number).unlink()
                raise
        self._current, self._descriptor, self._offset, self._safe = number, descriptor, 0, 0

    def _leave_file(self) -> None:
        """Append no more to the current file; remove or keep it where nothing refers to it."""
        if self._current:
            number, self._current = self._current, 0
            with suppress(OSError):  # what it holds was synced
                os.close(self._descriptor)
            if not self._references.get(number):
                self._drop(number)

    def _abandon(self) -> None:
        """After an error nobody knows what a file holds behind its safe part, nor whether a second sync would
        tell of the first one's failure: nothing is appended to it again."""
        if self._current:
            number, self._current = self._current, 0
            with suppress(OSError):
                if self._references.get(number):
                    os.ftruncate(self._descriptor, self._safe)  # a full disk needs the room
                else:
                    self.path(number).unlink()
            with suppress(OSError):
                os.close(self._descriptor)

    def _count(self, work: Mapping[int, int] | int) -> None:
        if isinstance(work, int):
            self._references[work] = self._references.get(work, 0) + 1
            return
        for number, gone in work.items():
            left = self._references.get(number, 0) - gone
            self._references[number] = left
            if left <= 0:
                if number == self._current:
                    self._offset = self._safe = 0  # nobody reads it any more: the next bodies take the same blocks
                else:
                    self._drop(number)

    def _drop(self, number: int) -> None:
        """A file without messages: kept for reuse, or removed."""
        self._references.pop(number, None)
        path = self.path(number)
        with suppress(OSError):  # gone, or on a disk that fails: the next start sweeps what is left
            if len(self._spare) < SPARE_FILES and path.stat().st_size <= 2 * FILE_LIMIT:
                self._spare.append(number)
            else:
                path.unlink()

    def _end(self) -> None:
        self._leave_file()
        for number in self._spare:
            with suppress(OSError):
                self.path(number).unlink()


def settle(group: list[Append]) -> None:
    """Tell each body's owner what became of it."""
    for append in group:
        append.then(append)
