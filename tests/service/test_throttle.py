"""The same may be asked for once in a while."""

from __future__ import annotations

from purport.service import throttle
from purport.service.throttle import Throttle


def test_the_same_waits_and_other_things_do_not() -> None:
    asked = Throttle()
    assert asked.allows(("a",), 0.0, 60.0)
    assert not asked.allows(("a",), 59.9, 60.0)
    assert asked.allows(("b",), 1.0, 60.0)
    assert asked.allows(("a",), 60.0, 60.0)
    assert not asked.allows(("a",), 119.0, 60.0)


def test_it_remembers_so_much_and_refuses_what_is_beyond() -> None:
    asked = Throttle()
    assert all(asked.allows((str(number),), 0.0, 60.0) for number in range(throttle.KEPT))
    assert not asked.allows(("one more",), 1.0, 60.0)
    assert asked.allows(("one more",), 60.0, 60.0), "the others are forgotten"
