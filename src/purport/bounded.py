"""A mapping with room for so much, for what is kept of others' doing: what was put in longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar, final

K = TypeVar("K")
V = TypeVar("V")


@final
class Bounded(Generic[K, V]):
    """At most `most` entries."""

    __slots__ = ("_entries", "_most")

    def __init__(self, most: int) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """What was put in last."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        """In the place of what the key had; the oldest makes room."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget it, if it is there."""
        self._entries.pop(key, None)
