"""Queue ids: unique, in order, and hard to get wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.queue.queue_id import (
    DIGITS,
    END,
    EPOCH,
    LENGTH,
    WORKERS,
    QueueIds,
    arrived_at,
    number_of,
    parse,
    queue_id_of,
    worker_of,
)

NOON = EPOCH + 43200.0


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(0, 4e9), min_size=1, max_size=50), st.integers(0, WORKERS - 1))
def test_ids_ascend_whatever_the_clock_does(times: list[float], worker: int) -> None:
    clock = iter([EPOCH + seconds for seconds in times for _ in range(2)])
    ids = QueueIds(worker, lambda: next(clock))
    given_out = [ids.next() for _ in range(2 * len(times))]
    assert given_out == sorted(set(given_out))
    assert {worker_of(queue_id) for queue_id in given_out} == {worker}


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, END - 1), min_size=2, max_size=20))
def test_text_order_is_number_order(numbers: list[int]) -> None:
    assert sorted(map(queue_id_of, numbers)) == [queue_id_of(number) for number in sorted(numbers)]


@settings(deadline=None, max_examples=200)
@given(st.integers(0, END - 1))
def test_an_id_is_read_back(number: int) -> None:
    queue_id = queue_id_of(number)
    assert len(queue_id) == LENGTH
    assert number_of(queue_id) == number
    assert parse(f" {queue_id.lower()}\n") == queue_id


@settings(deadline=None, max_examples=100)
@given(st.integers(0, END - 1), st.integers(0, LENGTH - 1), st.sampled_from(DIGITS))
def test_one_wrong_character_is_noticed(number: int, place: int, wrong: str) -> None:
    queue_id = queue_id_of(number)
    typed = queue_id[:place] + wrong + queue_id[place + 1 :]
    if typed != queue_id:
        with pytest.raises(ValueError, match="queue id"):
            parse(typed)


def test_most_characters_that_changed_places_are_noticed() -> None:
    """Luhn's sum misses one pair alone: the first and the last digit of the alphabet."""
    queue_id = QueueIds(0, lambda: NOON + 12345678.9).next()
    missed = set()
    for high in DIGITS:
        for low in DIGITS:
            body = queue_id[:5] + high + low + queue_id[7:12]
            whole = queue_id_of(number_of(body + "0"))
            swapped = whole[:5] + low + high + whole[7:]
            if high != low and queue_id_of(number_of(swapped)) == swapped:
                missed.add(frozenset((high, low)))
    assert missed == {frozenset((DIGITS[0], DIGITS[-1]))}


@pytest.mark.parametrize("text", ["", "0", "O" * LENGTH, "0" * 12, "0" * 14, "00000000000é0", "0000 0000 0000"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="queue id"):
        parse(text)


def test_an_id_tells_when_its_message_came_in() -> None:
    assert arrived_at(QueueIds(7, lambda: NOON).next()) == pytest.approx(NOON, abs=16e-6)


def test_ids_go_on_after_the_newest_known_one() -> None:
    newest = QueueIds(5, lambda: NOON).next()
    ids = QueueIds(5, lambda: NOON - 3600, after=newest)
    assert ids.next() > newest


def test_workers_never_give_the_same_id() -> None:
    made = {QueueIds(worker, lambda: NOON).next() for worker in range(WORKERS)}
    assert len(made) == WORKERS
    for worker in (-1, WORKERS):
        with pytest.raises(ValueError, match="worker"):
            QueueIds(worker)


def test_no_letter_reads_as_another() -> None:
    assert "".join(sorted(set(DIGITS))) == DIGITS
    assert len(DIGITS) == 20
    assert not set(DIGITS) & set("OILZSGBAEUNV")
