"""How many failure reports go out."""

from __future__ import annotations

from purport.reporting.dmarc.ration import WINDOW, Ration

HERE, THERE = ("example.com", "dmarc", "192.0.2.1"), ("example.com", "dmarc", "192.0.2.2")


def test_what_is_alike_is_told_once_an_hour_and_then_for_how_many() -> None:
    ration = Ration()
    assert [ration.allow("example.com", HERE, 10.0) for _ in range(4)] == [1, 0, 0, 0]
    assert ration.allow("example.com", THERE, 11.0) == 1
    assert ration.left_out == 3
    assert ration.begin(WINDOW - 1) == 0
    assert ration.begin(WINDOW) == 3
    assert ration.allow("example.com", HERE, WINDOW) == 4
    assert ration.allow("example.com", THERE, WINDOW) == 1


def paths(*clients: int) -> list[tuple[str, str, str]]:
    return [("example.com", "dmarc", f"192.0.2.{client}") for client in clients]


def test_a_domain_has_a_limit_and_so_have_all() -> None:
    ration = Ration(per_domain=2, in_all=3)
    assert [ration.allow("example.com", path, 0.0) for path in paths(1, 2, 3)] == [1, 1, 0]
    assert ration.allow("example.net", ("example.net", "dmarc", "192.0.2.1"), 0.0) == 1
    assert ration.allow("example.org", ("example.org", "dmarc", "192.0.2.1"), 0.0) == 0


def test_memory_is_bounded_by_forgetting_the_oldest_path() -> None:
    ration = Ration(per_domain=3, paths=2)
    assert [ration.allow("example.com", path, 0.0) for path in paths(7, 8, 9, 1, 2, 1, 3)] == [1, 1, 1, 0, 0, 0, 0]
    assert ration.left_out == 4
    assert [ration.allow("example.com", path, WINDOW) for path in paths(1, 2, 3)] == [1, 2, 2]


def test_a_clock_that_is_set_back_begins_a_new_hour() -> None:
    ration = Ration()
    assert ration.allow("example.com", HERE, 5 * WINDOW) == 1
    assert ration.allow("example.com", HERE, WINDOW) == 1
