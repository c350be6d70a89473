"""Who hears that a message could not be delivered (RFC 5321 section 6.1, RFC 3464, RFC 4405 section 4.2).

The reverse-path, and nobody else: what the message said about its submitter changes nothing, and where the
reverse-path is null nobody is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from purport.delivery.route import Routes
from purport.mail.address import NULL
from purport.mail.dsn import HEADER_LIMIT, Failed, failure_report
from purport.mail.envelope import NO_PARAMETERS
from purport.queue.schedule import Schedule
from purport.queue.store import QueuedMessage, QueuedRecipient, QueueStore


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes reports, and finds their way."""

    hostname: str
    routes: Routes
    schedule: Schedule
    store: QueueStore
    new_id: Callable[[], str]

    def report(self, message: QueuedMessage, failed: Sequence[Failed], now: float) -> QueuedMessage | None:
        """A report about `failed`, to be recorded together with the outcomes; None where nobody may be told.

        Raises NotStored where there is no room for it.
        """
        reverse_path = message.reverse_path
        if reverse_path is NULL:
            return None  # RFC 5321 section 4.5.5: no report about a report, or two servers would never stop
        report_id = self.new_id()
        octets = failure_report(
            hostname=self.hostname,
            queue_id=message.queue_id,
            report_id=report_id,
            arrived_at=message.arrived_at,
            now=now,
            reverse_path=reverse_path,
            failed=failed,
            header=header_section(message),
        )
        spool = self.store.spool()
        spool.write(octets)
        return QueuedMessage(
            report_id,
            now,
            NULL,
            NO_PARAMETERS,
            b"",
            self.store.body(spool),
            [QueuedRecipient(0, reverse_path, self.routes.next_hop(reverse_path.domain))],
            expires_at=self.schedule.expires_at(now),
        )


def header_section(message: QueuedMessage) -> bytes:
    """Our trace fields and the header as it came, as far as a report returns it; less where the disk fails."""
    octets = message.body.octets()
    if octets is None:
        try:
            octets = next(iter(message.body.pieces(HEADER_LIMIT)), b"")
        except OSError:
            octets = b""
    end = octets.find(b"\r\n\r\n")
    return message.trace + (octets[: end + 2] if end >= 0 else octets[:HEADER_LIMIT])
