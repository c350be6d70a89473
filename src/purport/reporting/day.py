"""Days in UTC, which reports are about; a day is a number, counted from 1970-01-01."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

SECONDS: Final = 86400


def day_of(seconds: float) -> int:
    """The day that a moment, in seconds since 1970, is in."""
    return int(seconds // SECONDS)


def begin_of(day: int) -> int:
    """Its first second."""
    return day * SECONDS


def end_of(day: int) -> int:
    """Its last second, as reports name it (RFC 8460 appendix B); the next day begins one second later."""
    return begin_of(day) + SECONDS - 1


def name_of(day: int) -> str:
    """`2026-11-27`."""
    return f"{datetime.fromtimestamp(begin_of(day), UTC):%Y-%m-%d}"


def parse(text: str) -> int:
    """The day of such a name. Raises ValueError."""
    return date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()
