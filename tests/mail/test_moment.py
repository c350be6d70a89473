"""Moments as text."""

from __future__ import annotations

import pytest

from purport.mail.moment import date_time, day_and_time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1795832020.9, "2026-11-28T02:13:40Z"),
        (-62135596800, "0001-01-01T00:00:00Z"),
    ],
)
def test_a_moment_is_told_to_the_second(seconds: float, text: str) -> None:
    assert date_time(seconds) == text
    assert day_and_time(seconds) == text.replace("T", " ").removesuffix("Z")
