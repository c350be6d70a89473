"""Mappings with room for so much, for what is kept of others' doing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar, final

K = TypeVar("K")
V = TypeVar("V")


@final
class Bounded(Generic[K, V]):
    """At most `most` entries: what was put in longest ago goes first."""

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


@final
class Generations(Generic[K, V]):
    """At most `most` entries: what was not asked for the longest goes first, half of them at a time.

    When the young generation is full the old one is forgotten; what is in use moves up. A look-up so costs one access
    to a dict as a rule, and a flood of new keys cannot drive out what is asked for all the time.
    """

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def find(self, key: K) -> V | None:
        """What is kept of a key."""
        value = self._young.get(key)
        if value is None and (value := self._old.pop(key, None)) is not None:
            self.keep(key, value)
        return value

    def keep(self, key: K, value: V) -> V:
        """Keep something, which is returned."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = value
        return value
