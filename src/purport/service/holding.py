"""How many messages wait for their release: without a limit they could fill the disk (RFC 4865 section 6).

A sender is a reverse-path: the submission service lets nobody use another's. A message counts from the moment it is
stored until its time has come; also one that an operator has sent or deleted before, until then or the next start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import final

from purport.mail.address import ReversePath
from purport.mail.reply import Reply
from purport.smtp.extensions.futurerelease import SENDER_QUOTA, SYSTEM_QUOTA


@final
@dataclass(frozen=True, slots=True)
class HoldingLimits:
    """Messages that may wait, of one sender and of all."""

    per_sender: int
    total: int


@final
class Holding:
    """The messages that wait, by the time of their release."""

    __slots__ = ("_senders", "_waiting")

    def __init__(self, waiting: Iterable[tuple[float, ReversePath]] = ()) -> None:
        """`waiting`: release, in seconds since 1970, and reverse-path of those that are in the queue."""
        self._waiting = [(release_at, _sender(reverse_path)) for release_at, reverse_path in waiting]
        heapify(self._waiting)
        self._senders = Counter(sender for _, sender in self._waiting)

    def add(self, release_at: float, reverse_path: ReversePath) -> None:
        """A message was stored."""
        sender = _sender(reverse_path)
        heappush(self._waiting, (release_at, sender))
        self._senders[sender] += 1

    def refusal(self, limits: HoldingLimits, reverse_path: ReversePath, now: float) -> Reply | None:
        """Why one more message cannot be held; None where it can."""
        waiting, senders = self._waiting, self._senders
        while waiting and waiting[0][0] <= now:
            _, sender = heappop(waiting)
            senders[sender] -= 1
            if not senders[sender]:
                del senders[sender]
        if senders[_sender(reverse_path)] >= limits.per_sender:
            return SENDER_QUOTA
        return SYSTEM_QUOTA if len(waiting) >= limits.total else None


def _sender(reverse_path: ReversePath) -> str:
    return str(reverse_path).lower()
