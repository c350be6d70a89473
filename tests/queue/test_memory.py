"""The store in memory does what every store must do."""

from __future__ import annotations

import pytest

from conformance.queue_store import QueueStoreSuite
from purport.queue.memory import MemoryStore
from purport.queue.operator import QueueOperator
from purport.queue.store import QueueStore


class MemoryPlace:
    """A memory store, and what would be left of it after a restart."""

    def __init__(self) -> None:
        self.store: MemoryStore | None = None

    async def open(self) -> QueueStore:
        self.store = MemoryStore() if self.store is None else self.store.restarted()
        return self.store

    def operator(self) -> QueueOperator:
        assert self.store is not None
        return self.store

    async def close(self) -> None:
        assert self.store is not None
        await self.store.close()


class TestMemoryStore(QueueStoreSuite):
    @pytest.fixture
    def place(self) -> MemoryPlace:
        return MemoryPlace()
