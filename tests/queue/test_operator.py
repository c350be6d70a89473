"""The queues of several workers as one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from purport.queue.operator import Effect, QueueName, SeveralQueues, SqliteOperator
from purport.queue.queue_id import QueueIds, queue_id_of
from purport.queue.sqlite import SqliteStore
from support.queue_store import NOW, Queue, deferred


def test_several_queues_answer_as_one(tmp_path: Path) -> None:
    folders = [tmp_path / "0", tmp_path / "1"]

    async def test() -> None:
        stores = [SqliteStore(folder) for folder in folders]
        ids: list[str] = []
        given = iter(range(4))
        makers = [QueueIds(worker, lambda: NOW + next(given)) for worker in (0, 1)]
        for store, maker in zip(stores * 2, makers * 2, strict=True):
            queue = Queue(store)
            message = queue.message()
            message.queue_id = maker.next()
            await queue.accept(message)
            await queue.record(deferred(message, NOW))
            ids.append(message.queue_id)
        operator = SeveralQueues([SqliteOperator(folder) for folder in folders])
        assert [entry.queue_id for entry in operator.entries()] == ids

        missing = queue_id_of(7)
        changes = operator.hold([ids[1], missing, ids[0]])
        assert {change.queue_id: change.effect for change in changes} == {
            ids[0]: Effect.DONE,
            ids[1]: Effect.DONE,
            missing: Effect.NO_SUCH_MESSAGE,
        }
        names = [entry.queue_name for entry in operator.entries()]
        assert names == [QueueName.HOLD] * 2 + [QueueName.DEFERRED] * 2

        shown = operator.show(ids[3])
        assert shown is not None
        assert shown.entry.queue_id == ids[3]
        assert operator.show(missing) is None
        assert len(operator.release(None)) == len(operator.retry(None, NOW)) == 4
        assert all(change.changed for change in operator.delete(None))
        assert list(operator.entries()) == []
        for store in stores:
            await store.close()

    asyncio.run(test())
