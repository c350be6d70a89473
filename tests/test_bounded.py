"""Mappings with room for so much."""

from __future__ import annotations

from purport.bounded import Bounded, Generations


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


def test_what_is_asked_for_outlives_a_flood() -> None:
    kept = Generations[int, str](8)
    kept.keep(-1, "used")
    for number in range(100):
        assert kept.keep(number, "new") == "new"
        assert kept.find(-1) == "used"
    assert sum(kept.find(number) is not None for number in range(100)) <= 8
