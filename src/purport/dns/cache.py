"""Answers kept for as long as their TTL allows, bounded in number and in octets (RFC 2308).

Two generations stand in for an order of use: what is asked for moves from the old one to the young one, and when the
young one is full the old one is dropped whole. A look-up so costs one dictionary access, and a flood of new names
cannot drive out what is in use all the time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from purport.dns.lookup import Answer, Question

OVERHEAD: Final = 400  # octets an entry takes besides its texts, measured with sys.getsizeof on CPython 3.11


class _Kept:
    __slots__ = ("answer", "octets", "until")

    def __init__(self, answer: Answer, until: float, octets: int) -> None:
        self.answer = answer
        self.until = until
        self.octets = octets


class Cache:
    """At most `entries` answers in at most `octets` of memory. Times are seconds of any steady clock."""

    __slots__ = ("_entries", "_octets", "_old", "_young", "_young_octets")

    def __init__(self, entries: int, octets: int) -> None:
        # Each generation may take half.
        self._entries = max(1, entries // 2)
        self._octets = octets // 2
        self._young: dict[tuple[str, str], _Kept] = {}
        self._old: dict[tuple[str, str], _Kept] = {}
        self._young_octets = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, question: Question, now: float) -> Answer | None:
        """The answer with the whole seconds that are left of its TTL, or None."""
        key = question.name, question.type
        kept = self._young.get(key)
        if kept is None:
            kept = self._old.pop(key, None)
            if kept is None:
                return None
            self._keep(key, kept)
        left = kept.until - now
        if left <= 0:
            return None
        answer = kept.answer
        if answer.ttl == int(left):
            return answer
        answer = kept.answer = replace(answer, ttl=int(left))
        return answer

    def put(self, question: Question, answer: Answer, now: float) -> None:
        """Keep the answer until its TTL is over. One that is too large for the cache is not kept."""
        octets = OVERHEAD + len(question.name) + len(answer.alias) + sum(map(len, answer.records))
        if answer.ttl <= 0 or octets > self._octets:
            return
        key = question.name, question.type
        self._old.pop(key, None)
        replaced = self._young.pop(key, None)
        if replaced is not None:
            self._young_octets -= replaced.octets
        self._keep(key, _Kept(answer, now + answer.ttl, octets))

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old, self._young_octets = {}, {}, 0

    def _keep(self, key: tuple[str, str], kept: _Kept) -> None:
        if len(self._young) >= self._entries or self._young_octets + kept.octets > self._octets:
            self._old, self._young, self._young_octets = self._young, {}, 0
        self._young[key] = kept
        self._young_octets += kept.octets
