"""Moments as text, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def date_time(seconds: float) -> str:
    """`2026-11-28T02:13:40Z` (RFC 3339 section 5.6), of seconds since 1970."""
    at = datetime.fromtimestamp(int(seconds), UTC)
    return f"{at.year:04}-{at.month:02}-{at.day:02}T{at.hour:02}:{at.minute:02}:{at.second:02}Z"


def day_and_time(seconds: float) -> str:
    """`2026-11-28 02:13:40`, as people are told."""
    return date_time(seconds)[:-1].replace("T", " ")
