"""The cache's bounds: time, number, octets."""

from __future__ import annotations

from purport.dns.cache import OVERHEAD, Cache
from purport.dns.lookup import Answer, Question, Status


def question(number: int) -> Question:
    return Question(f"n{number:06}.example", "A")


def found(ttl: int = 300, text: str = "192.0.2.1") -> Answer:
    return Answer(Status.FOUND, (text,), ttl)


def test_an_answer_is_kept_for_its_ttl_and_counts_down() -> None:
    cache = Cache(10, 100000)
    cache.put(question(1), found(), 50.0)
    assert cache.get(question(1), 50.0) == found(300)
    assert cache.get(question(1), 349.5) == found(0)
    assert cache.get(question(1), 350.0) is None


def test_an_answer_without_ttl_is_not_kept() -> None:
    cache = Cache(10, 100000)
    cache.put(question(1), found(0), 0.0)
    assert len(cache) == 0


def test_it_never_holds_more_answers_than_it_may() -> None:
    cache = Cache(100, 10**9)
    for number in range(1000):
        cache.put(question(number), found(), 0.0)
        assert len(cache) <= 100
    assert cache.get(question(999), 0.0) == found()


def test_it_never_holds_more_octets_than_it_may() -> None:
    cache = Cache(10**6, 20 * (OVERHEAD + 1100))
    for number in range(500):
        cache.put(question(number), found(text="x" * 1000), 0.0)
        assert len(cache) <= 20
    cache.put(question(1), found(text="x" * 10**6), 0.0)
    assert cache.get(question(1), 0.0) is None


def test_a_flood_of_new_names_does_not_drive_out_what_is_in_use() -> None:
    cache = Cache(100, 10**9)
    cache.put(question(0), found(), 0.0)
    for number in range(1, 1000):
        cache.put(question(number), found(), 0.0)
        assert cache.get(question(0), 0.0) == found()


def test_a_newer_answer_replaces_the_older() -> None:
    cache = Cache(10, 100000)
    for number in range(100):
        cache.put(question(1), found(text=f"192.0.2.{number}"), 0.0)
    assert len(cache) == 1
    assert cache.get(question(1), 0.0) == found(text="192.0.2.99")
    cache.clear()
    assert cache.get(question(1), 0.0) is None
