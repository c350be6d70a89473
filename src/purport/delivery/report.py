"""Who hears what became of a message (RFC 3461 section 5.2 and 6, RFC 3464, RFC 4405 section 4.2).

The reverse-path, and nobody else: what the message said about its submitter changes nothing, and where the
reverse-path is null nobody is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from purport.authentication.dkim.signer import Signer, no_signer, signatures
from purport.delivery.deadline import deadline_of
from purport.delivery.route import Routes
from purport.mail.address import NULL, Mailbox
from purport.mail.dsn import HEADER_LIMIT, KIND_OF, Action, Fate, Kind, Original, mailer_daemon, report
from purport.mail.envelope import Parameters
from purport.queue.schedule import Schedule
from purport.queue.store import QueuedMessage, QueuedRecipient, QueueStore
from purport.smtp.extensions.binarymime import is_binary
from purport.smtp.extensions.dsn import ENVID, NOTIFY, ORCPT, RET, Notify, wants
from purport.smtp.extensions.futurerelease import request as hold_request
from purport.smtp.extensions.requiretls import REQUIRED, requires_tls
from purport.smtp.extensions.smtputf8 import INTERNATIONAL, is_international

EXPANDED: Final = "2.0.0"
WHOLE_LIMIT: Final = 51200  # octets of a message that is returned whole; of a larger one the header, as by Postfix

EVENT_OF: Final[dict[Kind, Notify]] = {
    Kind.FAILURE: Notify.FAILURE,
    Kind.DELAY: Notify.DELAY,
    Kind.SUCCESS: Notify.SUCCESS,
}


@dataclass(frozen=True, slots=True)
class Report:
    """A report about the message `queue_id`, to be stored."""

    queue_id: str
    kind: Kind
    message: QueuedMessage


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes reports, and finds their way."""

    hostname: str
    routes: Routes
    schedule: Schedule
    store: QueueStore
    new_id: Callable[[], str]
    signer: Callable[[], Signer] = no_signer  # the one of now: keys may change while we run
    returns_to: Callable[[Mailbox, float], Mailbox] = lambda reverse_path, _: reverse_path  # behind an SRS address
    readers: Callable[[Mailbox], Sequence[Mailbox]] = lambda reverse_path: (reverse_path,)  # behind an alias of ours

    def wanted(
        self, message: QueuedMessage, recipient: QueuedRecipient, action: Action, *, unasked: bool = False
    ) -> bool:
        """Whether the sender is to hear of it; `unasked`: unless NOTIFY is NEVER. No report about a report (RFC 5321
        section 4.5.5), or two servers would never stop."""
        if message.reverse_path is NULL:
            return False
        if unasked:
            return recipient.parameters.get(NOTIFY) != Notify.NEVER
        return wants(recipient.parameters, EVENT_OF[KIND_OF[action]])

    def reports(self, message: QueuedMessage, fates: Sequence[Fate], now: float) -> list[Report]:
        """A report for each kind of `fates`, all of them `wanted`, to be recorded together with the outcomes. Raises
        NotStored where there is no room for them."""
        kinds: dict[Kind, list[Fate]] = {}
        for fate in fates:
            kinds.setdefault(KIND_OF[fate.action], []).append(fate)
        return [Report(message.queue_id, kind, self._message(message, kind, kinds[kind], now)) for kind in kinds]

    def expanded(
        self,
        message: QueuedMessage,
        recipients: Sequence[QueuedRecipient],
        lists: Sequence[QueuedRecipient],
        now: float,
    ) -> list[QueuedMessage]:
        """The report, if one is wanted, that the mail of these recipients went on to several addresses (RFC 3461
        section 5.2.7.3 (c)), and that these lists have it (section 5.2.7.1). Raises NotStored."""
        fates = [
            fate_of(recipient, "expanded", EXPANDED, "250 2.0.0 Its mail goes on to several addresses", "")
            for recipient in recipients
            if self.wanted(message, recipient, "expanded")
        ]
        fates += [
            fate_of(recipient, "delivered", EXPANDED, "250 2.0.0 The mailing list has it", "")
            for recipient in lists
            if self.wanted(message, recipient, "delivered")
        ]
        return [report.message for report in self.reports(message, fates, now)]

    def _message(self, message: QueuedMessage, kind: Kind, fates: Sequence[Fate], now: float) -> QueuedMessage:
        reverse_path = message.reverse_path
        assert isinstance(reverse_path, Mailbox)  # else nothing is wanted
        reverse_path = self.returns_to(reverse_path, now)
        report_id = self.new_id()
        parameters = message.parameters
        # RFC 3461 section 6.2: the whole message is for reports of failure alone.
        protected = requires_tls(parameters)  # RFC 8689 section 5: then only the header goes back
        returned = kind is Kind.FAILURE and parameters.get(RET) == "FULL" and not protected
        whole = whole_message(message) if returned else None
        deadline = deadline_of(message)
        original = Original(
            message.queue_id,
            message.arrived_at,
            reverse_path,
            header_section(message) if whole is None else whole,
            whole is not None,
            parameters.get(ENVID) or "",
            deliver_by=None if deadline is None else deadline.at,
            hold_request=hold_request(parameters),
            international=is_international(parameters),
        )
        octets = report(hostname=self.hostname, report_id=report_id, now=now, original=original, fates=fates)
        spool = self.store.spool()
        spool.write(octets)
        items = () if reverse_path.local_part.isascii() else INTERNATIONAL.items
        return QueuedMessage(
            report_id,
            now,
            NULL,
            Parameters((*items, *REQUIRED.items)) if protected else Parameters(items),
            # Of our own domain: they make a report a receipt that can be shown to others (RFC 6376).
            signatures(self.signer(), mailer_daemon(self.hostname), octets, now),
            self.store.body(spool),
            [
                QueuedRecipient(number, reader, self.routes.next_hop(reader.domain))
                for number, reader in enumerate(self.readers(reverse_path))
            ],
            expires_at=self.schedule.expires_at(now),
            priority=message.priority,  # RFC 6710 section 4.6
        )


def fate_of(
    recipient: QueuedRecipient,
    action: Action,
    status: str,
    reply: str,
    host: str,
    *,
    retry_until: float = 0.0,
    reported: bool = False,
    late: bool = False,
) -> Fate:
    """What a report says about a recipient."""
    original = recipient.parameters.get(ORCPT) or ""
    return Fate(recipient.forward_path, action, status, reply, host, original, retry_until, reported, late)


def whole_message(message: QueuedMessage) -> bytes | None:
    """The message as it stands in the queue; None where it is too large, or not made of lines."""
    returnable = message.body.size <= WHOLE_LIMIT and not is_binary(message.parameters)
    octets = message.body.octets() if returnable else None
    return None if octets is None else message.trace + octets


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
