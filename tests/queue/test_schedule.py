"""When to try again, to warn and to give up (RFC 5321 section 4.5.4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.queue.schedule import DAY, SPREAD, STEP, Schedule, rank

ARRIVED = 1_700_000_000.0


@pytest.mark.parametrize(("attempts", "delay"), [(1, 300), (2, 600), (3, 1200), (4, 2400), (5, 4000), (900, 4000)])
def test_delays_double_up_to_the_maximum(attempts: int, delay: float) -> None:
    assert Schedule().next_attempt(attempts, ARRIVED, ARRIVED + 60, 0.0) == ARRIVED + 60 + delay


@pytest.mark.parametrize(("priority", "delay"), [(-9, 300), (0, 300), (1, 270), (5, 150), (9, 30)])
def test_a_positive_priority_is_tried_again_sooner(priority: int, delay: float) -> None:
    """RFC 6710 section 5.1."""
    assert Schedule().next_attempt(1, ARRIVED, ARRIVED, 0.0, priority) == pytest.approx(ARRIVED + delay)


@given(st.floats(0, 9e6), st.floats(0, 9e6), st.integers(-9, 9), st.integers(-9, 9))
def test_who_waits_longer_than_the_steps_between_is_first(first: float, second: float, one: int, other: int) -> None:
    if one > other and first < second + STEP * (one - other):
        assert rank(first, one) < rank(second, other)
    if second > first + STEP * 18:
        assert rank(first, one) < rank(second, other)


def test_jitter_makes_a_delay_longer_never_shorter() -> None:
    assert Schedule().next_attempt(1, ARRIVED, ARRIVED, 1.0) == ARRIVED + 300 * (1 + SPREAD)


def test_the_last_attempt_is_made_when_the_lifetime_ends() -> None:
    schedule = Schedule()
    end = ARRIVED + 5 * DAY
    assert schedule.next_attempt(80, ARRIVED, end - 10, 0.5) == end
    assert schedule.next_attempt(81, ARRIVED, end, 0.5) is None


def test_a_lifetime_of_nothing_means_one_attempt() -> None:
    assert Schedule(lifetime=0).next_attempt(1, ARRIVED, ARRIVED, 0.0) is None


def test_a_sender_is_warned_after_a_while() -> None:
    schedule = Schedule(warn_after=4 * 3600)
    assert [schedule.warns(ARRIVED, ARRIVED + hours * 3600) for hours in (0, 3, 4, 5)] == [False, False, True, True]
    assert not Schedule(warn_after=0).warns(ARRIVED, ARRIVED + 9e6)


@pytest.mark.parametrize(
    "wrong", [{"min_backoff": 0}, {"max_backoff": 1}, {"lifetime": -1}, {"warn_after": -1}], ids=str
)
def test_durations_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not"):
        Schedule(**wrong)


@settings(deadline=None)
@given(st.integers(1, 10_000), st.floats(0, 6 * DAY), st.floats(0, 1))
def test_a_next_attempt_lies_ahead_and_within_the_lifetime(attempts: int, age: float, jitter: float) -> None:
    now = ARRIVED + age
    at = Schedule().next_attempt(attempts, ARRIVED, now, jitter)
    assert (at is None) == (now >= ARRIVED + 5 * DAY)
    assert at is None or now < at <= ARRIVED + 5 * DAY


@pytest.mark.parametrize(
    ("by_time", "age", "due"),
    [
        (120, 0, 108),
        (120, 108, 120),
        (120, 119, 120),
        (120, 121, 421),
        (3600, 0, 300),
        (3600, 3500, 3540),
        (3600, 3540, 3600),
        (-5, 0, 300),
        (9 * DAY, 5 * DAY - 10, 5 * DAY),
    ],
)
def test_a_time_to_deliver_by_has_an_attempt_before_it_and_one_at_its_end(
    by_time: float, age: float, due: float
) -> None:
    """RFC 2852: a tenth of the time before, or a minute."""
    assert Schedule().next_attempt(1, ARRIVED, ARRIVED + age, 0.0, deliver_by=ARRIVED + by_time) == ARRIVED + due


@pytest.mark.parametrize(
    ("after", "warned", "deliver_by", "look"),
    [
        (60, False, None, 14_401),
        (60, True, None, 5 * DAY),
        (14_401, False, None, 5 * DAY),
        (60, False, 600, 600),
        (700, False, 600, 14_401),
        (5 * DAY, False, None, None),
    ],
)
def test_what_waits_for_its_host_is_looked_at_when_there_is_something_to_tell(
    after: float, warned: bool, deliver_by: float | None, look: float | None
) -> None:
    by = None if deliver_by is None else ARRIVED + deliver_by
    found = Schedule().next_look(ARRIVED, ARRIVED + after, warned=warned, deliver_by=by)
    assert found == (None if look is None else ARRIVED + look)
