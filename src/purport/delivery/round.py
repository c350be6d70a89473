"""One message in delivery, until each recipient that is due is settled."""

from __future__ import annotations

from typing import Protocol, final

from purport.delivery.content import Content
from purport.delivery.deadline import Deadline, deadline_of
from purport.delivery.failure import Judgement
from purport.delivery.job import Answer
from purport.mail.dsn import Fate
from purport.queue.store import Outcome, QueuedMessage, QueuedRecipient


class Settled(Protocol):
    """Takes the outcome of a recipient of a round, once for each."""

    def __call__(self, current: Round, recipient: QueuedRecipient, judgement: Judgement, answer: Answer, /) -> None: ...


@final
class Round:
    """One message, until each recipient that is due is settled."""

    __slots__ = (
        "content",
        "deadline",
        "deferred",
        "due_at",
        "left",
        "message",
        "octets",
        "rank",
        "settled",
        "told",
    )

    def __init__(self, settled: Settled, message: QueuedMessage, octets: int, rank: float) -> None:
        self.settled = settled
        self.message = message
        self.octets = octets
        self.rank = rank
        self.left = len(message.recipients)
        self.content: Content | None = None
        self.deadline: Deadline | None = deadline_of(message)
        self.due_at = 0.0  # one time for all that are deferred, so that they share the next round
        self.deferred = False
        self.told: list[tuple[Outcome, list[Fate]]] = []  # recorded at the end, with what the sender hears of it

    def settle(self, recipient: QueuedRecipient, judgement: Judgement, answer: Answer) -> None:
        """What became of one recipient."""
        self.settled(self, recipient, judgement, answer)
