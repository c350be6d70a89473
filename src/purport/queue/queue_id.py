"""Queue ids: short, in the order of time, and hard to get wrong over the telephone.

    2P30K1Q7XH4MR

Twelve digits in base 20 and a check character. The number is the time of arrival in microseconds since the
start of 2024 (UTC), its low four bits replaced by the number of the worker, so that several processes never
give the same id and an id tells where and when its message came in. Twelve digits last until the year 2153.

The digits ascend in ASCII: the order of the texts is the order of arrival. The letters leave out vowels, so
that no words appear, what looks like a digit (B D G I L O S Z), and of letters that sound alike all but one
(C D E G P T V: P stays; A H J K: H and K; F S: F; M N: M).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, final

DIGITS: Final = "0123456789FHKMPQRWXY"
BASE: Final = len(DIGITS)
LENGTH: Final = 13  # twelve digits and the check character
EPOCH: Final = 1704067200  # 2024-01-01T00:00:00Z in seconds since 1970
WORKERS: Final = 16  # the low four bits
END: Final = BASE ** (LENGTH - 1)  # the first number that does not fit

# `int(text, 20)` reads 0-9a-j.
TO_PYTHON: Final = str.maketrans(DIGITS, "0123456789abcdefghij")
PAIRS: Final = tuple(high + low for high in DIGITS for low in DIGITS)


def _weight(number: int) -> int:
    """What a digit adds where Luhn doubles it: the sum of the digits of twice its value."""
    return 2 * number // BASE + 2 * number % BASE


# The Luhn sum of each pair: the low digit of a pair is doubled, as it is an odd number of places from the end.
SUMS: Final = tuple(high + _weight(low) for high in range(BASE) for low in range(BASE))
PAIR: Final = BASE**2
HALF: Final = BASE**6  # six low digits: they pass through all their values in 64 seconds


def queue_id_of(number: int) -> str:
    """The id that is written for `number` (see the module's text for what it holds)."""
    high, low = divmod(number, HALF)
    text, total = _six(high)
    rest, rest_total = _six(low)
    return text + rest + DIGITS[-(total + rest_total) % BASE]


def number_of(queue_id: str) -> int:
    """The number behind an id, which is its key in a store. Raises ValueError; the check character is not
    looked at: an id from outside goes through `parse` first."""
    if len(queue_id) != LENGTH:
        raise ValueError(f"a queue id has {LENGTH} characters")
    return int(queue_id[:-1].translate(TO_PYTHON), BASE)


def parse(text: str) -> str:
    """The id that a person typed, in upper case. Raises ValueError where it cannot be one: one wrong
    character, and most pairs that changed places, are noticed."""
    queue_id = text.strip().upper()
    if len(queue_id) != LENGTH or not set(queue_id) <= set(DIGITS):
        raise ValueError(f"not a queue id: {LENGTH} characters out of {DIGITS}")
    if queue_id_of(number_of(queue_id)) != queue_id:
        raise ValueError("not a queue id: its last character does not fit the others; is there a typing error?")
    return queue_id


def arrived_at(queue_id: str) -> float:
    """When the id was given, in seconds since 1970, to 16 microseconds."""
    return EPOCH + (number_of(queue_id) & ~(WORKERS - 1)) / 1_000_000


def worker_of(queue_id: str) -> int:
    """The number of the worker that gave the id."""
    return number_of(queue_id) & (WORKERS - 1)


def _six(number: int) -> tuple[str, int]:
    """Six digits and their Luhn sum."""
    rest, third = divmod(number, PAIR)
    first, second = divmod(rest, PAIR)
    return PAIRS[first] + PAIRS[second] + PAIRS[third], SUMS[first] + SUMS[second] + SUMS[third]


@final
class QueueIds:
    """Gives ids, each later than the one before, also while the clock stands still or is set back.

    `after` is the newest id that is known from before the start (`store.newest_id()`), so that a clock
    that was set back while the server was down makes no id twice.
    """

    __slots__ = ("_clock", "_high", "_last", "_prefix", "_prefix_sum", "_worker")

    def __init__(self, worker: int = 0, clock: Callable[[], float] = time.time, after: str | None = None) -> None:
        if not 0 <= worker < WORKERS:
            raise ValueError(f"a worker's number is 0 to {WORKERS - 1}")
        self._worker = worker
        self._clock = clock
        self._last = number_of(after) & ~(WORKERS - 1) if after is not None else -WORKERS
        self._high = -1
        self._prefix = ""
        self._prefix_sum = 0

    def next(self) -> str:
        """A new id. Raises OverflowError in the year 2153."""
        number = int((self._clock() - EPOCH) * 1_000_000) & ~(WORKERS - 1)
        if number <= self._last:
            number = self._last + WORKERS
        if number >= END:
            raise OverflowError("queue ids end in the year 2153")
        self._last = number
        high, low = divmod(number + self._worker, HALF)
        if high != self._high:
            self._high = high
            self._prefix, self._prefix_sum = _six(high)
        rest, third = divmod(low, PAIR)
        first, second = divmod(rest, PAIR)
        total = self._prefix_sum + SUMS[first] + SUMS[second] + SUMS[third]
        return self._prefix + PAIRS[first] + PAIRS[second] + PAIRS[third] + DIGITS[-total % BASE]
