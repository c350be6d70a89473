"""What is stored of a message that was accepted: itself, and a copy for each mailbox that forwards it.

What others forged in its header is gone, ours stands on top: results, trace, and what answers for it (a signature of a
submission, the block and the seal of what goes on).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import final

from purport.authentication.authres.removal import removed
from purport.delivery.route import quarantined
from purport.forwarding.mark import marked
from purport.forwarding.plan import Plan
from purport.forwarding.resent import resent_block
from purport.mail.address import Mailbox
from purport.mail.domain import normal_domain
from purport.mail.envelope import Parameters
from purport.mail.header import Header, read_header, without_fields
from purport.mail.trace import count_received, received
from purport.mail.valid_since import FIELD as VALID_SINCE
from purport.policy.facts import Client, MessageFacts
from purport.policy.results import results
from purport.policy.sealing import sealed
from purport.policy.signing import signed_author
from purport.queue.store import Body, QueuedMessage, QueuedRecipient, Spool
from purport.service.forwarding import (
    Division,
    PassedOn,
    ended_at_list,
)
from purport.service.front import Front, House
from purport.service.transaction import Transaction
from purport.service.valid_since import tunnelled
from purport.smtp.extensions.requiretls import tagged
from purport.smtp.extensions.smtputf8 import is_international


@final
@dataclass(slots=True)
class What:
    """What all copies of a message have in common."""

    body: Body
    fields: bytes  # the results of our checks
    parameters: Parameters
    hops: int


@final
@dataclass(slots=True)
class Acceptance:
    """A transaction whose message is ours to deliver; `date` is that of its trace fields."""

    front: Front
    house: House
    client: Client
    transaction: Transaction
    date: str

    def messages(
        self, spool: Spool, header: Header, facts: MessageFacts, division: Division | None, plans: Mapping[str, Plan]
    ) -> list[QueuedMessage]:
        """What is stored of the message: itself, and a copy for each mailbox that forwards it. Raises NotStored."""
        transaction, front = self.transaction, self.front
        recipients = transaction.recipients
        kept = recipients if division is None else division.kept
        if front.policy.quarantines(facts):
            for recipient in kept:
                recipient.next_hop = quarantined(recipient.next_hop)
            for copy in [] if division is None else division.copies:  # a list may have readers here
                for recipient in copy.recipients:
                    recipient.next_hop = quarantined(recipient.next_hop)
        self._remove_forged(spool)
        parameters = tagged(transaction.mail.parameters, header)
        # Below our trace fields: they belong to the message.
        transaction.added = self._signatures(header) + transaction.added
        fields = front.policy.fields(facts)
        if header.first(VALID_SINCE) is not None:
            parameters = tunnelled(parameters, header, recipients)
        transaction.spool = None
        what = What(self.house.store.body(spool), fields, parameters, count_received(header) + 1)
        messages: list[QueuedMessage] = []
        if kept:
            forward_path = recipients[0].forward_path if len(recipients) == 1 else None
            trace = self._guest_block() + fields + self._trace(transaction.queue_id, forward_path)
            messages.append(self._queued(transaction.queue_id, what, trace, kept))
        if division is not None:
            messages += self._copies(what, facts, division, plans, taken=bool(messages))
            if division.expanded or division.listed:
                asked = transaction.mail.reverse_path
                original = replace(messages[0], reverse_path=asked, parameters=what.parameters)
                arrived_at = transaction.arrived_at
                messages += self.house.expanded(original, division.expanded, division.listed, arrived_at)
        return messages

    def _copies(
        self, what: What, facts: MessageFacts, division: Division, plans: Mapping[str, Plan], *, taken: bool
    ) -> Iterator[QueuedMessage]:
        """A message for each mailbox that forwards; the first has the id of the transaction, unless it is `taken`."""
        transaction, desk = self.transaction, self.front.forwarding
        assert desk is not None  # else nothing is divided
        for copy in division.copies:
            queue_id = self.house.ids.next() if taken else transaction.queue_id
            taken = True
            repair = desk.repair_of(copy, plans)
            block = desk.block(copy, queue_id, self.date, repair)
            trace = block + what.fields + self._trace(queue_id, copy.forwarder)
            trace = self._seal(copy.forwarder, trace, facts) + trace
            parameters = what.parameters if copy.owner is None else ended_at_list(what.parameters)
            carried = replace(what, parameters=marked(parameters, copy.forwarder))
            message = self._queued(queue_id, carried, trace, copy.recipients)
            asked = transaction.mail.reverse_path
            message.reverse_path = desk.envelope(copy, asked, transaction.arrived_at, repair)
            planned = None if copy.owner is not None else plans.get(normal_domain(copy.forwarder.domain))
            expected = "" if planned is None else planned.told
            transaction.passed_on.append(PassedOn(message, copy.forwarder, repair, expected))
            yield message

    def _guest_block(self) -> bytes:
        """Who answers for mail of clients that did not say who they are (RFC 4405 section 5.4)."""
        front, client = self.front, self.client
        if front.guest is None or client.login is not None or client.address not in front.policy.relaying.networks:
            return b""
        message_id = f"{self.transaction.queue_id}@{front.profile.hostname}"
        return resent_block(front.guest, date=self.date, message_id=message_id)

    def _trace(self, queue_id: str, forward_path: Mailbox | None) -> bytes:
        """Our Received field, and below it what a submission lacked: it belongs to the message."""
        front, client = self.front, self.client
        trace = received(
            hello_domain=client.hello_domain,
            client_name=client.name,
            client_address=client.address,
            hostname=front.profile.hostname,
            protocol=self.transaction.protocol(client),
            queue_id=queue_id,
            forward_path=forward_path,
            date=self.date,
            cipher=client.cipher,
            priority=self.transaction.asked,
        )
        return trace + self.transaction.added

    def _queued(self, queue_id: str, what: What, trace: bytes, recipients: list[QueuedRecipient]) -> QueuedMessage:
        front, transaction = self.front, self.transaction
        arrived_at = transaction.arrived_at
        return QueuedMessage(
            queue_id,
            arrived_at,
            transaction.mail.reverse_path,
            what.parameters,
            trace,
            what.body,
            recipients,
            (transaction.release_at or arrived_at) + front.lifetime,
            what.hops,
            front.hold,
            transaction.priority,
            transaction.release_at,
        )

    def _remove_forged(self, spool: Spool) -> None:
        """Take out what says of itself that it was written here (RFC 8601 section 5); servers of our own may have."""
        front, came = self.front, self.transaction.reader.header
        if front.profile.service == "lmtp" or came is None:
            return
        policy = front.policy
        ours = front.judged or self.client.address in policy.trusted_hops.networks
        forged = removed(came, policy.forged_ids(ours=ours))
        if forged:
            head = spool.head(came.length)
            spool.replace_head(len(head), without_fields(head, came, forged))

    def _signatures(self, header: Header) -> bytes:
        """Our signatures of a submission (RFC 6376), made when nothing in it changes any more."""
        signer, login = self.front.signer, self.client.login
        author = signed_author(login, header) if signer and login is not None else None
        if author is None:
            return b""
        transaction = self.transaction
        made = signer.fields(author, header, transaction.hashes, transaction.arrived_at)
        if made:
            transaction.signed = tuple(map(str, signer.keys_for(author)))
        return made

    def _seal(self, forwarder: Mailbox, trace: bytes, facts: MessageFacts) -> bytes:
        """Our ARC set on a copy that goes on (RFC 8617), made when nothing in it changes any more."""
        front, came = self.front, self.transaction.reader.header
        keys = front.sealer.keys_for(forwarder) if front.sealer else []
        if not keys or came is None:
            return b""
        said = results(front.policy.authserv_id, facts, front.policy.dmarc)
        header = came.below(read_header(trace).fields)  # of what was forged in it nothing is signed
        transaction = self.transaction
        utf8 = is_international(transaction.mail.parameters)
        return sealed(keys, header, transaction.hashes, said, facts, transaction.arrived_at, utf8=utf8)
