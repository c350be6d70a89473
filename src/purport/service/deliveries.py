"""What becomes of messages after they were accepted, written into the log and the ledger."""

from __future__ import annotations

from typing import Final, final

from purport.delivery.report import Report
from purport.forwarding.mark import forwarder_of
from purport.ledger.record import Delivery, DeliveryRecord, encode, printable
from purport.ledger.writer import LedgerWriter
from purport.log import MailLog
from purport.queue.store import Outcome, QueuedMessage, QueuedRecipient

# Postfix's words for what an attempt came to.
STATUS: Final = {"delivered": "sent", "relayed": "sent", "deferred": "deferred", "failed": "bounced"}


@final
class Deliveries:
    """Hears of every attempt (`delivery.worker.DeliveryLog`)."""

    def __init__(self, log: MailLog, ledger: LedgerWriter) -> None:
        self._log = log
        self._ledger = ledger

    def attempted(
        self, message: QueuedMessage, recipient: QueuedRecipient, outcome: Outcome, status: str, now: float
    ) -> None:
        """What became of a recipient at one attempt."""
        word = STATUS[outcome.action]
        self._log.attempted(
            message.queue_id,
            recipient.forward_path,
            forwarder=forwarder_of(message.parameters),
            host=outcome.host,
            delay=now - message.arrived_at,
            status=status,
            outcome=word,
            reply=outcome.reply,
            tls=outcome.tls,
        )
        address = printable(str(recipient.forward_path))
        delivery = Delivery(address, word, printable(outcome.reply), outcome.host, now, outcome.tls, outcome.policy)
        self._ledger.append(encode(DeliveryRecord(message.queue_id, delivery)))

    def reported(self, report: Report) -> None:
        """A delivery report is in the queue."""
        self._log.report(report.queue_id, report.kind.value, report.message.queue_id)

    def unreported(self, message: QueuedMessage, error: BaseException) -> None:
        """There was no room for a report."""
        self._log.warning(f"{message.queue_id}: the sender is not told yet: {error}")

    def removed(self, queue_id: str) -> None:
        """The last recipient is finished."""
        self._log.removed(queue_id)

    def unrecorded(self, error: BaseException) -> None:
        """Outcomes could not be recorded; they are recorded again and again until the store takes them."""
        self._log.warning(f"outcomes of attempts are not recorded yet: {error}")
