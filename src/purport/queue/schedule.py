"""When a recipient is tried again, when its sender is warned, and when it is given up (RFC 5321 section 4.5.4.1).

Times are seconds since 1970, durations seconds. With the defaults a recipient is tried after 5, 10, 20 and 40
minutes and then about every 67 minutes for five days: the delays that Postfix's defaults lead to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# How long before its deadline (RFC 2852) a message is tried for the last time: long enough to be handed over, and no
# more than a tenth of the time it has.
LAST_TRY: Final = 60.0
LAST_TRY_SHARE: Final = 0.1
SPREAD: Final = 0.25  # how much of its length jitter may add to a delay: a next hop that was down is not stormed
DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The delays between attempts, and the ends of patience."""

    min_backoff: float = 300.0
    max_backoff: float = 4000.0
    # RFC 5321 section 4.5.4.1: "the give-up time generally needs to be at least 4-5 days".
    lifetime: float = 5 * DAY
    warn_after: float = 14400.0  # as Sendmail; 0: nobody is told

    def __post_init__(self) -> None:
        """Raises ValueError where the durations contradict each other."""
        if not 0 < self.min_backoff <= self.max_backoff:
            raise ValueError("min_backoff is more than 0 and not more than max_backoff")
        if self.lifetime < 0 or self.warn_after < 0:
            raise ValueError("lifetime and warn_after are not negative")

    def expires_at(self, arrived_at: float) -> float:
        """When a message is given up."""
        return arrived_at + self.lifetime

    def next_attempt(
        self, attempts: int, arrived_at: float, now: float, jitter: float, *, deliver_by: float | None = None
    ) -> float | None:
        """When to try again after `attempts` attempts (at least one) that failed for the time being; None: never,
        the recipient has failed. `jitter` is a random fraction from 0 to 1.

        The last attempt is made when the lifetime ends, not before. Where a message is to be delivered by a time that
        lies ahead, one is made shortly before, and then it is due at that time, whatever follows from it.
        """
        expires_at = self.expires_at(arrived_at)
        if now >= expires_at:
            return None
        doublings = min(attempts - 1, 32)  # enough to pass any maximum, too few to overflow
        delay = min(self.min_backoff * 2.0**doublings, self.max_backoff)
        at = min(now + delay * (1 + SPREAD * jitter), expires_at)
        if deliver_by is None or deliver_by <= now:
            return at
        last_try = deliver_by - min(LAST_TRY, LAST_TRY_SHARE * (deliver_by - arrived_at))
        return min(at, last_try if now < last_try else deliver_by)

    def warns(self, arrived_at: float, now: float) -> bool:
        """Whether a sender who was not told yet is to be told that the message still waits."""
        return 0 < self.warn_after <= now - arrived_at
