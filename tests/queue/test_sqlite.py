"""The SQLite store: what every store must do, and its files, its lock, its groups and its full disks."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from conformance.queue_store import QueueStoreSuite
from purport.queue.operator import QueueOperator, SqliteOperator
from purport.queue.schema import APPLICATION_ID, MIGRATIONS, ON_DEMAND_ROWS, WrongDatabase
from purport.queue.sqlite import SpoolInUse, SqliteStore
from purport.queue.store import ON_DEMAND, QueueStore, StorageFault
from purport.queue.writer import COMING, COMING_IDS, DUE, LEVELS
from support.queue_store import NOW, Queue, deferred, octets, relayed


class SqlitePlace:
    """A folder with a SQLite store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: SqliteStore | None = None

    async def open(self) -> QueueStore:
        await self.close()
        self.store = SqliteStore(self.folder)
        return self.store

    def operator(self) -> QueueOperator:
        return SqliteOperator(self.folder)

    async def close(self) -> None:
        if self.store is not None:
            await self.store.close()
            self.store = None


class TestSqliteStore(QueueStoreSuite):
    @pytest.fixture
    def place(self, tmp_path: Path) -> SqlitePlace:
        return SqlitePlace(tmp_path)


def with_queue(folder: Path, test: Callable[[Queue], Awaitable[None]]) -> None:
    """Run a coroutine over a store in a folder."""

    async def play() -> None:
        store = SqliteStore(folder)
        try:
            await test(Queue(store))
        finally:
            await store.close()

    asyncio.run(play())


def bodies(folder: Path) -> list[Path]:
    """The body files of a spool folder."""
    return sorted((folder / "bodies").iterdir())


def test_a_folder_belongs_to_one_server(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        with pytest.raises(SpoolInUse, match="another server"):
            SqliteStore(tmp_path)

    with_queue(tmp_path, test)
    with_queue(tmp_path, lambda queue: asyncio.sleep(0))


def test_a_queue_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "queue.db")
    old.executescript(f"{MIGRATIONS[0]}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1")
    old.execute(
        "INSERT INTO message (id, arrived_at, expires_at, hops, size, trace, body) VALUES (7, 1, 2, 0, 1, '', 'x')"
    )
    old.execute(
        "INSERT INTO recipient (message, number, leased, held, due_at, next_hop, forward_path)"
        " VALUES (7, 0, 0, 0, 1, 'maildir', 'bob@company.com.example')"
    )
    old.commit()
    old.close()

    async def test(queue: Queue) -> None:
        (message,) = await queue.claim()
        assert [(str(one.forward_path), one.warned) for one in message.recipients] == [
            ("bob@company.com.example", False)
        ]
        assert (message.priority, message.release_at) == (0, 0.0)

    with_queue(tmp_path, test)


def test_what_waits_for_its_host_is_found_without_a_look_at_the_rest(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        execute = queue.store._connection.execute  # type: ignore[attr-defined]
        query = COMING_IDS.format(COMING.format("?, ?"))
        plans = [row[3] for row in execute(f"EXPLAIN QUERY PLAN {query}", ("odmr:a", "odmr:b", NOW, -1, 1))]
        assert "SEARCH recipient USING INDEX recipient_on_demand (next_hop=? AND message>?)" in plans
        assert ON_DEMAND_ROWS.endswith(f"next_hop >= '{ON_DEMAND}' AND next_hop < '{ON_DEMAND[:-1]};'")

    with_queue(tmp_path, test)


def test_a_claim_looks_at_what_is_due_of_each_priority_and_at_nothing_else(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        plans: list[str] = []
        execute = queue.store._connection.execute  # type: ignore[attr-defined]
        for statement, values in ((LEVELS, ()), (DUE, (0, NOW, 10))):
            plans += [row[3] for row in execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        searches = [plan for plan in plans if " recipient" in plan]
        assert len(searches) == 4
        assert all("SEARCH recipient USING" in plan and "INDEX recipient_due" in plan for plan in searches)
        assert not any("ORDER BY" in plan for plan in plans)

    with_queue(tmp_path, test)


def test_a_newer_or_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with_queue(tmp_path, lambda queue: asyncio.sleep(0))
    connection = sqlite3.connect(tmp_path / "queue.db")
    for pragma, what in ((f"user_version = {len(MIGRATIONS) + 1}", "older"), ("application_id = 7", "another program")):
        connection.execute(f"PRAGMA {pragma}")
        with pytest.raises(WrongDatabase, match=what):
            with_queue(tmp_path, lambda queue: asyncio.sleep(0))
        with pytest.raises(WrongDatabase, match=what):
            list(SqliteOperator(tmp_path).entries())
    connection.close()


def test_an_operator_without_a_queue_sees_an_empty_one(tmp_path: Path) -> None:
    operator = SqliteOperator(tmp_path / "missing")
    assert list(operator.entries()) == []
    assert operator.hold(None) == []
    assert not (tmp_path / "missing").exists()


def test_messages_that_come_together_share_one_transaction(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        groups: list[str] = []
        queue.store._connection.set_trace_callback(groups.append)  # type: ignore[attr-defined]
        await asyncio.gather(*(queue.accept(queue.message()) for _ in range(100)))
        assert groups.count("COMMIT") == 1

    with_queue(tmp_path, test)


def test_ten_thousand_messages_in_and_out_leave_no_files(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        small, middle, big = octets(300), octets(20_000), octets(262_145)
        for number in range(100):
            parts = [small] * (96 if number % 10 else 95) + [middle] * 4 + [big] * (not number % 10)
            messages = await asyncio.gather(*(queue.accept(queue.message(body=body)) for body in parts))
            await queue.record(*map(relayed, messages))
        assert list(SqliteOperator(tmp_path).entries()) == []
        assert sum(place.stat().st_size for place in bodies(tmp_path)) < 20_000_000  # a few, kept for reuse

    with_queue(tmp_path, test)
    assert bodies(tmp_path) == []
    assert (tmp_path / "queue.db").stat().st_size < 1_000_000
    assert not (tmp_path / "queue.db-wal").exists()


def test_the_log_of_the_database_stays_bounded(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        body = octets(16_000)
        for _ in range(100):
            messages = await asyncio.gather(*(queue.accept(queue.message(body=body)) for _ in range(50)))
            await queue.record(*map(relayed, messages))
        assert (tmp_path / "queue.db-wal").stat().st_size < 50_000_000

    with_queue(tmp_path, test)


def test_a_body_file_stays_as_long_as_one_message_in_it_does(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        first, second = await asyncio.gather(*(queue.accept(queue.message(body=octets(20_000))) for _ in range(2)))
        assert len(bodies(tmp_path)) == 1
        await queue.record(relayed(first))
        body = octets(200_000)
        for _ in range(100):  # enough to fill several files
            await queue.record(relayed(await queue.accept(queue.message(body=body))))
        await queue.record(deferred(second, NOW))
        (found,) = await queue.claim()
        assert found.body.octets() == octets(20_000)

    with_queue(tmp_path, test)
    assert len(bodies(tmp_path)) == 1


def test_a_deleted_body_is_removed_by_the_server_that_is_told(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        message = await queue.accept(queue.message(body=octets(300_000), held=True))
        assert len(bodies(tmp_path)) == 1
        assert SqliteOperator(tmp_path).delete([message.queue_id])[0].changed
        await queue.store.refresh()

    with_queue(tmp_path, test)
    assert bodies(tmp_path) == []


def test_leases_of_a_server_that_is_gone_do_not_bind_an_operator(tmp_path: Path) -> None:
    ids: list[str] = []

    async def test(queue: Queue) -> None:
        ids.append((await queue.accept(queue.message(body=octets(20_000)))).queue_id)

    with_queue(tmp_path, test)
    connection = sqlite3.connect(tmp_path / "queue.db")
    assert connection.execute("SELECT leased FROM recipient").fetchall() == [(1,)]
    connection.close()
    operator = SqliteOperator(tmp_path)
    assert [entry.queue_name.value for entry in operator.entries()] == ["deferred"]
    assert operator.delete(ids)[0].changed
    with_queue(tmp_path, lambda queue: asyncio.sleep(0))
    assert bodies(tmp_path) == []


def test_a_spool_is_congested_while_the_disk_is_behind_and_calls_back(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        spool = queue.store.spool()
        relieved = asyncio.Event()
        piece = octets(65_536)
        written = 0
        while not spool.congested:  # the loop does not run: nothing that the pool wrote is known yet
            spool.write(piece)
            written += len(piece)
            assert written < 1_000_000
        spool.when_relieved(relieved.set)
        await asyncio.wait_for(relieved.wait(), 10)
        assert not spool.congested
        spool.discard()

    with_queue(tmp_path, test)
    assert bodies(tmp_path) == []


def test_spools_that_were_dropped_leave_nothing_behind(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        body = octets(300_000)
        for _ in range(20):
            spool = queue.store.spool()
            spool.write(body)
            spool.discard()
        while bodies(tmp_path):
            await asyncio.sleep(0.001)
        queue.store.spool().write(body)  # its transaction never ends

    with_queue(tmp_path, test)
    assert bodies(tmp_path) == []


def test_a_body_that_lost_its_file_is_an_error_to_who_reads_it(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        await queue.record(deferred(await queue.accept(queue.message(body=octets(20_000))), NOW))
        (found,) = await queue.claim()
        os.truncate(bodies(tmp_path)[0], 100)
        with pytest.raises(OSError, match="before the end"):
            list(found.body.pieces())
        shown = SqliteOperator(tmp_path).show(found.queue_id)
        assert shown is not None

    with_queue(tmp_path, test)


def test_a_callback_that_fails_is_told_to_the_loop_and_hurts_nobody(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))

        def fail(error: BaseException | None) -> None:
            raise RuntimeError("in a callback")

        queue.store.accept(queue.message(), fail)
        await queue.accept(queue.message())
        assert [str(error) for error in told] == ["in a callback"]

    with_queue(tmp_path, test)


def test_a_database_that_stays_locked_is_a_fault_not_a_hang(tmp_path: Path) -> None:
    async def test(queue: Queue) -> None:
        queue.store._connection.execute("PRAGMA busy_timeout = 50")  # type: ignore[attr-defined]
        other = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageFault, match="locked"):
            await queue.accept(queue.message())
        with pytest.raises(StorageFault, match="locked"):
            await queue.claim()
        other.close()
        await queue.accept(queue.message())

    with_queue(tmp_path, test)
