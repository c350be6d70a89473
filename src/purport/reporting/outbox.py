"""How a report enters our queue: the one way, so that whoever signs sees each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from purport.authentication.dkim.signer import Signer, no_signer, signatures
from purport.delivery.route import Routes
from purport.mail.address import Mailbox, ReversePath
from purport.mail.envelope import NO_PARAMETERS, Parameters
from purport.mail.header import read_header
from purport.queue.schedule import Schedule
from purport.queue.store import QueuedMessage, QueuedRecipient, QueueStore
from purport.reporting.document import Document, mail
from purport.smtp.extensions.requiretls import tagged

NEVER = Parameters((("NOTIFY", b"NEVER"),))  # a report that is not delivered is of no interest to a mailbox


class Unsigned(Exception):
    """The report has to be signed, and there is no key to do it with."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """Puts reports into the queue and hands them over for delivery."""

    hostname: str
    routes: Routes
    schedule: Schedule
    store: QueueStore
    new_id: Callable[[], str]
    submit: Callable[[QueuedMessage], None]
    clock: Callable[[], float]
    signer: Callable[[], Signer] = no_signer  # the one of now: keys may change while we run

    async def send(
        self, document: Document, *, sender: Mailbox, recipients: Sequence[Mailbox], signed: bool
    ) -> QueuedMessage:
        """Queue a mail with the report; `signed`: not without a signature (RFC 8460 section 3). Raises Unsigned,
        NotStored."""
        queue_id, now = self.new_id(), self.clock()
        octets = mail(document, sender=sender, recipients=recipients, message_id=f"{queue_id}@{self.hostname}", now=now)
        # The same reverse-path, so that SPF speaks for the domain of From; SUBMITTER says the same by itself.
        return await self.put(octets, queue_id, now, sender, sender, recipients, signed=signed)

    async def put(
        self,
        octets: bytes,
        queue_id: str,
        now: float,
        sender: Mailbox,
        reverse_path: ReversePath,
        recipients: Sequence[Mailbox],
        *,
        signed: bool = False,
    ) -> QueuedMessage:
        """Queue a mail that is written already; `sender` stands in its From. Raises Unsigned, NotStored."""
        signature = signatures(self.signer(), sender, octets, now)
        if signed and not signature:
            raise Unsigned(f"there is no DKIM key for {sender.domain}")
        spool = self.store.spool()
        spool.write(octets)
        message = QueuedMessage(
            queue_id,
            now,
            reverse_path,
            tagged(NO_PARAMETERS, read_header(octets)),  # a TLS report has TLS-Required: No
            signature,
            self.store.body(spool),
            [
                QueuedRecipient(number, recipient, self.routes.next_hop(recipient.domain), NEVER)
                for number, recipient in enumerate(recipients)
            ],
            expires_at=self.schedule.expires_at(now),
        )
        await self._stored(message)
        self.submit(message)
        return message

    async def _stored(self, message: QueuedMessage) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: BaseException | None) -> None:
            if future.cancelled():  # the server stops: what is stored is delivered after the next start
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        self.store.accept(message, done)
        await future
