"""When a recipient is tried again, when its sender is warned, and when it is given up (RFC 5321 section 4.5.4.1); and
who goes first of those that wait (RFC 6710 section 5.1).

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
# What a step of priority is worth (RFC 6710 leaves it open). Ten minutes: more than a queue takes to empty in good
# times, so that there the higher one always goes first; and after hours of a flood of 9 even -9 has its turn.
STEP: Final = 600.0
LOWEST: Final = -9  # RFC 6710 section 3 (5)
HASTE: Final = 0.1  # by how much of itself each step of a positive priority shortens a delay (RFC 6710 section 5.1)


def rank(since: float, priority: int) -> float:
    """What orders messages that wait for the same thing `since` some time: the lowest goes first. A higher priority
    goes before whatever began to wait less than STEP earlier for each step between them, so nobody waits for ever."""
    return since - STEP * priority


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

    def expires_at(self, released_at: float) -> float:
        """When a message is given up that went on its way at `released_at`."""
        return released_at + self.lifetime

    def next_attempt(
        self,
        attempts: int,
        released_at: float,
        now: float,
        jitter: float,
        priority: int = 0,
        *,
        deliver_by: float | None = None,
    ) -> float | None:
        """When to try again after `attempts` attempts (at least one) that failed for the time being; None: never,
        the recipient has failed. `jitter` is a random fraction from 0 to 1.

        The last attempt is made when the lifetime ends, not before. Where a message is to be delivered by a time that
        lies ahead, one is made shortly before, and then it is due at that time, whatever follows from it.
        """
        expires_at = self.expires_at(released_at)
        if now >= expires_at:
            return None
        doublings = min(attempts - 1, 32)  # enough to pass any maximum, too few to overflow
        delay = min(self.min_backoff * 2.0**doublings, self.max_backoff)
        if priority > 0:
            delay *= 1 - HASTE * priority
        at = min(now + delay * (1 + SPREAD * jitter), expires_at)
        if deliver_by is None or deliver_by <= now:
            return at
        last_try = deliver_by - min(LAST_TRY, LAST_TRY_SHARE * (deliver_by - released_at))
        return min(at, last_try if now < last_try else deliver_by)

    def next_look(
        self, released_at: float, now: float, *, warned: bool = False, deliver_by: float | None = None
    ) -> float | None:
        """When something is to be told of a recipient whose host comes for its mail, as nothing is tried before; None:
        now, its time is over."""
        expires_at = self.expires_at(released_at)
        if now >= expires_at:
            return None
        times = [expires_at]
        if self.warn_after and not warned:
            times.append(released_at + self.warn_after + 1.0)  # by then it has come, whatever the sum was rounded to
        if deliver_by is not None:
            times.append(deliver_by)
        return min(time for time in times if time > now)

    def warns(self, released_at: float, now: float) -> bool:
        """Whether a sender who was not told yet is to be told that the message still waits."""
        return 0 < self.warn_after <= now - released_at
