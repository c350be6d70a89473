"""A mapping with room for so much."""

from __future__ import annotations

from purport.bounded import Bounded


def test_what_was_put_in_longest_ago_goes_first() -> None:
    kept = Bounded[str, int](2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        kept.put(key, value)
    assert [(key, kept.get(key)) for key in kept] == [("a", 3), ("c", 4)]
    assert len(kept) == 2
    assert "b" not in kept
    assert kept.get("b") is None


def test_what_is_dropped_is_gone() -> None:
    kept = Bounded[str, int](2)
    kept.put("a", 1)
    kept.drop("a")
    kept.drop("a")
    assert "a" not in kept
