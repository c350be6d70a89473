"""A full or failing disk: exactly the messages that were not stored are refused, and the store goes on."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from purport.queue.body_files import SPARE_FILES
from purport.queue.sqlite import SqliteStore
from purport.queue.store import NoSpace, NotStored, QueuedMessage, StorageFault
from support.queue_store import NOW, Queue, octets, relayed

MEGABYTE = 1024 * 1024
LIMIT = 6 * MEGABYTE


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` octets: a disk that is full, for one file at a time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of some megabytes."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root mounts a small file system")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={LIMIT}", "tmpfs", str(tmp_path)], capture_output=True)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def with_queue(folder: Path, test: Callable[[Queue], Awaitable[None]], reserve: int = 0) -> None:
    """Run a coroutine over a store in a folder."""

    async def play() -> None:
        store = SqliteStore(folder, reserve=reserve)
        try:
            await test(Queue(store))
        finally:
            await store.close()

    asyncio.run(play())


async def fill(
    queue: Queue, body: bytes, groups: int, each: int = 10
) -> tuple[list[QueuedMessage], list[BaseException]]:
    """Store messages, some at a time; gives those that were stored, and the errors of the others."""
    stored: list[QueuedMessage] = []
    errors: list[BaseException] = []
    for _ in range(groups):
        messages = []
        for _ in range(each):
            try:
                messages.append(queue.message(body=body))
            except NotStored as error:
                errors.append(error)
        results = await asyncio.gather(*map(queue.accept, messages), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                errors.append(result)
            else:
                stored.append(result)
    return stored, errors


async def check_full(folder: Path, queue: Queue, size: int) -> list[QueuedMessage]:
    """Fill the disk, then make room: gives the messages that must be there."""
    stored, errors = await fill(queue, octets(size), LIMIT // size // 10 + 3)
    assert stored
    assert errors
    assert {type(error) for error in errors} == {NoSpace}
    assert all(error.reply.code == 452 for error in errors if isinstance(error, NoSpace))
    return stored


@pytest.mark.parametrize("size", [4096, 100_000, 300_000], ids=["in_rows", "in_shared_files", "in_own_files"])
def test_a_full_disk_refuses_what_it_cannot_hold_and_keeps_the_rest(small_disk: Path, size: int) -> None:
    stored: list[QueuedMessage] = []

    async def full(queue: Queue) -> None:
        stored.extend(await check_full(small_disk, queue, size))

    async def again(queue: Queue) -> None:
        found = await queue.claim(limit=10_000)
        assert [message.queue_id for message in found] == [message.queue_id for message in stored]
        for message in found:
            assert b"".join(message.body.pieces()) == octets(size)

    with_queue(small_disk, full)
    subprocess.run(["mount", "-o", f"remount,size={4 * LIMIT}", str(small_disk)], check=True)
    with_queue(small_disk, again)


def test_new_mail_stops_before_the_disk_is_full_and_old_mail_leaves(small_disk: Path) -> None:
    async def test(queue: Queue) -> None:
        stored: list[QueuedMessage] = []
        for size in (300_000, 100_000, 4096):
            more, errors = await fill(queue, octets(size), 15)
            assert {type(error) for error in errors} == {NoSpace}
            stored += more
        assert os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize > MEGABYTE // 4
        assert len(stored) > 10
        for message in stored:
            await queue.record(relayed(message))
        bodies = small_disk / "bodies"
        async with asyncio.timeout(5):
            while len(list(bodies.iterdir())) > SPARE_FILES + 1:  # a thread removes them after their messages left
                await asyncio.sleep(0.01)
        assert await queue.accept(queue.message(body=octets(4096)))

    with_queue(small_disk, test, reserve=2 * MEGABYTE)


@pytest.mark.parametrize("size", [4096, 100_000, 300_000], ids=["in_rows", "in_shared_files", "in_own_files"])
def test_a_disk_that_has_room_again_takes_messages_again(small_disk: Path, size: int) -> None:
    async def test(queue: Queue) -> None:
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file:
            file.write(bytes(2 * MEGABYTE))
        await check_full(small_disk, queue, size)
        ballast.unlink()
        (found, *_), errors = await fill(queue, octets(size), 1, each=2)
        assert not errors
        await queue.record(relayed(found))

    with_queue(small_disk, test)


def test_a_limit_on_the_size_of_files_is_no_space_too(tmp_path: Path) -> None:
    """A quota comes as such an error, not as ENOSPC."""

    async def test(queue: Queue) -> None:
        before, _ = await fill(queue, octets(4096), 1)
        with file_size_limit(MEGABYTE):
            stored, errors = await fill(queue, octets(9000), 30)
        assert {type(error) for error in errors} == {NoSpace}
        after, none = await fill(queue, octets(9000), 10)
        assert not none
        assert len(after) == 100
        await queue.record(*map(relayed, before + stored + after))

    with_queue(tmp_path, test)


def test_a_spool_tells_of_a_full_disk_while_the_body_arrives(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        piece = octets(65_536)
        spool = queue.store.spool()
        with file_size_limit(MEGABYTE):
            with pytest.raises(NoSpace):
                for _ in range(100):
                    spool.write(piece)
                    await asyncio.sleep(0.001)
            spool.discard()

    with_queue(tmp_path, test)
    assert list((tmp_path / "bodies").iterdir()) == []


def test_a_spool_that_failed_behind_its_end_fails_its_message(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        with file_size_limit(MEGABYTE):
            message = queue.message(body=octets(2 * MEGABYTE))  # handed over before the disk said anything
            with pytest.raises(NoSpace):
                await queue.accept(message)
        await queue.accept(queue.message(body=octets(2 * MEGABYTE)))

    with_queue(tmp_path, test)
    assert len(list((tmp_path / "bodies").iterdir())) == 1


def test_a_body_that_failed_before_its_message_was_accepted_fails_the_message(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        with file_size_limit(MEGABYTE):
            spool = queue.store.spool()
            failed = asyncio.Event()
            for _ in range(2):  # the first piece fails while the second one waits
                spool.write(octets(2 * MEGABYTE))
            spool.when_relieved(failed.set)
            message = queue.message()
            message.body = queue.store.body(spool)
            await failed.wait()
        with pytest.raises(NoSpace):
            await queue.accept(message)
        with pytest.raises(StorageFault):
            await queue.accept(message)

    with_queue(tmp_path, test)


@pytest.mark.parametrize("size", [100_000, 300_000], ids=["in_shared_files", "in_own_files"])
def test_a_body_whose_sync_fails_is_not_stored(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync the kernel may have dropped the pages: the file is not used again."""
    fdatasync = os.fdatasync
    failures = iter([True] * 4)

    def failing(descriptor: int) -> None:
        if next(failures, False):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", failing)

    async def test(queue: Queue) -> None:
        for _ in range(4):
            try:
                await queue.accept(queue.message(body=octets(size)))
            except NotStored as error:
                assert isinstance(error, StorageFault)
                assert error.reply.code == 451
            else:
                pytest.fail("stored without a sync")
        await queue.accept(queue.message(body=octets(size)))

    async def again(queue: Queue) -> None:
        (found,) = await queue.claim(NOW)
        assert b"".join(found.body.pieces()) == octets(size)

    with_queue(tmp_path, test)
    with_queue(tmp_path, again)
    assert len(list((tmp_path / "bodies").iterdir())) == 1


def test_a_group_whose_sync_fails_once_is_stored_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fdatasync = os.fdatasync
    failures = iter([True])

    def failing(descriptor: int) -> None:
        if next(failures, False):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", failing)

    async def test(queue: Queue) -> None:
        stored, errors = await fill(queue, octets(50_000), 1)
        assert len(stored) + len(errors) == 10
        assert len(errors) <= 1  # the first may have come to the thread before the others

    with_queue(tmp_path, test)
