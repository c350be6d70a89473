"""Who hears what delivery does."""

from __future__ import annotations

from typing import Protocol

from purport.delivery.report import Report
from purport.queue.store import Outcome, QueuedMessage, QueuedRecipient


class DeliveryLog(Protocol):
    """Hears of everything that an operator or the ledger wants to know."""

    def attempted(
        self, message: QueuedMessage, recipient: QueuedRecipient, outcome: Outcome, status: str, now: float
    ) -> None:
        """What became of a recipient: `outcome.action` is `delivered`, `relayed`, `deferred` or `failed`; `status`
        is the enhanced code."""

    def reported(self, report: Report) -> None:
        """A delivery report is in the queue."""

    def unreported(self, message: QueuedMessage, error: BaseException) -> None:
        """There was no room for a report about `message`."""

    def removed(self, queue_id: str) -> None:
        """The last recipient is finished."""

    def unrecorded(self, error: BaseException) -> None:
        """The store could not keep outcomes; it is asked again until it can."""
