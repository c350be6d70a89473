"""How often the same may be asked for: once in so many seconds."""

from __future__ import annotations

from typing import Final, final

KEPT: Final = 10_000  # things that were asked for; a client that asks for more of them than that is asking too much


@final
class Throttle:
    """Remembers what was asked for. Times are of a clock that never goes back, in seconds."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[tuple[str, ...], float] = {}

    def allows(self, key: tuple[str, ...], now: float, seconds: float) -> bool:
        """Whether `key` may be asked for now; True makes it wait for `seconds` until the next time."""
        until = self._until
        if until.get(key, now) > now:
            return False
        if len(until) >= KEPT and key not in until:
            self._until = until = {known: end for known, end in until.items() if end > now}
            if len(until) >= KEPT:
                return False
        until[key] = now + seconds
        return True
