"""By when a message in the queue is to be delivered (RFC 2852 section 4): BY counts from its arrival."""

from __future__ import annotations

from dataclasses import dataclass

from purport.queue.store import QueuedMessage
from purport.smtp.extensions.deliverby import BY


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the time is over, in seconds since 1970, and what follows: the message `returns`, or goes on and the sender
    is told. `ahead`: it was not over yet when the message came; else it was for the server before us to tell."""

    at: float
    returns: bool
    trace: bool
    ahead: bool

    def passed(self, now: float) -> bool:
        """Whether the message is late."""
        return now >= self.at

    def expired(self, now: float) -> bool:
        """Whether no further attempt may be made (RFC 2852 section 4.1.3)."""
        return self.returns and now >= self.at

    def tells_relayed(self, now: float, *, kept: bool) -> bool:
        """Whether the sender is told that another server has the message; `kept`: that one keeps the time (RFC 2852
        section 4.1.4 and 4.1.4.2)."""
        return self.trace or not (kept or self.returns or self.passed(now))


def deadline_of(message: QueuedMessage) -> Deadline | None:
    """The deadline of a message; None for one that may take its time, as most do."""
    wanted = message.parameters.get(BY) if message.parameters.items else None
    if wanted is None:
        return None
    return Deadline(message.arrived_at + wanted.seconds, wanted.returns, wanted.trace, wanted.seconds > 0)
