"""The mail transactions of a connection: from MAIL to the message in the queue, or to a refusal.

Each command is answered at once, or when the DNS, a look-up or the disk has; in between it is the connection's to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Final, Protocol, TypeVar, final

from msgspec.structs import replace

from purport.authentication.dkim.sign import FORM
from purport.authentication.message import MessageReader
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.dns.lookup import Evaluation, together
from purport.forwarding.expansion import CannotExpand, Expansion
from purport.forwarding.plan import Plan
from purport.log import client_text
from purport.mail import reply as replies
from purport.mail.address import Mailbox
from purport.mail.envelope import Parameters
from purport.mail.header import HEADER_LIMIT, Header, read_header
from purport.mail.reply import Reply, reply
from purport.policy.decision import Rule
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.policy.forwarding import goes_round, may_forward
from purport.policy.gather import facts_behind, known, mail_facts, named, whole_message_facts
from purport.policy.priority import sender_reply
from purport.policy.relaying import RULE as RELAYING
from purport.policy.submission import missing_fields
from purport.policy.submitter import Verdict
from purport.queue.store import NotStored, QueuedRecipient, Spool
from purport.reporting.dmarc.failure import Delivery, failure_of
from purport.reporting.dmarc.row import row_of_message
from purport.service.acceptance import Acceptance
from purport.service.division import Division, Named
from purport.service.forwarding import FORWARDED, NOT_SET_UP, ForwardDesk, Pending, found_or_refused
from purport.service.front import Front, House
from purport.service.transaction import Transaction
from purport.service.valid_since import unprotected
from purport.smtp.event import (
    EndOfChunk,
    EndOfData,
    Mail,
    Rcpt,
)
from purport.smtp.extensions.binarymime import is_binary
from purport.smtp.extensions.futurerelease import refusal, release_at
from purport.smtp.extensions.mtpriority import MT_PRIORITY
from purport.smtp.extensions.rrvs import RRVS
from purport.smtp.extensions.submitter import SUBMITTER

T = TypeVar("T")

SLOWEST: Final = 1024.0  # octets a second below which mail data counts as dripping
DISK: Final = 4  # why nothing is read from a client: the disk is behind
POSTMASTER: Final = "postmaster"


class Conversation(Protocol):
    """The connection, as its transactions need it."""

    client: Client
    deadline: float  # until when the client may take for what it says now, in seconds of the loop

    @property
    def authenticated(self) -> bool:
        """Whether the client logged in."""

    def when(self, evaluation: Evaluation[T], then: Callable[[T], Reply | None]) -> Reply | None:
        """`then` with the result: at once where every answer is known, else None, and later."""

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Let something take its time; it answers when it is done, or says `fail`."""

    def answer(self, given: Reply) -> None:
        """The reply to the command that had to wait."""

    def fail(self, error: Exception) -> None:
        """A fault of ours: the connection ends."""

    def hold(self, reason: int) -> None:
        """Read nothing more from the client, until every reason is gone."""

    def let_go(self, reason: int) -> None:
        """A reason not to read is gone."""


@final
class Reception:
    """One transaction after another, each with its facts, its decision and its record."""

    __slots__ = ("_date", "_front", "_house", "_talk", "stored", "transaction")

    def __init__(self, talk: Conversation, front: Front, house: House, date: Callable[[float], str]) -> None:
        self._talk = talk
        self._front = front
        self._house = house
        self._date = date
        self.transaction: Transaction | None = None
        self.stored = 0  # messages

    def mail(self, mail: Mail) -> Reply | None:
        house, front = self._house, self._front
        now = house.clock()
        submitter = None
        transaction = Transaction(house.ids.next(), now, mail, front.recorded, lmtp=front.profile.service == "lmtp")
        if mail.parameters.items:
            unheld = self._hold_refusal(mail, now)
            if unheld is not None:
                return unheld
            submitter = mail.parameters.get(SUBMITTER)
            self._urgency(transaction, mail)
        self.transaction = transaction
        client, policy = self._talk.client, front.policy
        if front.judged:
            unasked = MailFacts(client, mail.reverse_path, submitter, None, None, None)
            return self._mail_known(transaction, unasked)
        evaluation = mail_facts(
            house.checker,
            client,
            mail.reverse_path,
            submitter,
            now,
            check_helo=policy.check_helo,
            hops=policy.trusted_hops,
        )
        if front.client_names and client.iprev is None and client.name is None:
            both = together(evaluation, named(client))
            return self._talk.when(both, lambda found: self._mail_known(transaction, self._name(*found)))
        return self._talk.when(evaluation, lambda facts: self._mail_known(transaction, facts))

    def _name(self, facts: MailFacts, client: Client) -> MailFacts:
        """The name of the client is known, for as long as the connection lasts."""
        self._talk.client = client
        return replace(facts, client=client)

    def _hold_refusal(self, mail: Mail, now: float) -> Reply | None:
        """Why the message cannot wait for its time here (RFC 4865); None where it can, or is not to."""
        if release_at(mail.parameters, now) is None:
            return None
        house = self._house
        given = refusal(mail.parameters, mail.reverse_path, now)
        given = given or house.holding.refusal(self._front.holding, mail.reverse_path, now)
        if given is not None:
            house.chronicle.connection(
                client_text(self._talk.client.name, self._talk.client.address), f"not held ({given})"
            )
        return given

    def _urgency(self, transaction: Transaction, mail: Mail) -> None:
        """When the message may go, and before whom."""
        transaction.release_at = release_at(mail.parameters, transaction.arrived_at) or 0.0
        asked = transaction.asked = mail.parameters.get(MT_PRIORITY)
        if asked:
            transaction.priority = self._front.priority.priority(
                asked, self._talk.client.address, authenticated=self._talk.authenticated
            )

    def _mail_known(self, transaction: Transaction, facts: MailFacts) -> Reply | None:
        transaction.facts = facts
        decision = self._front.policy.at_mail(facts)
        transaction.rules = decision.rules
        if decision.reply is None:
            return sender_reply(transaction.asked or 0, transaction.priority)
        return self._refuse(transaction, "MAIL", decision.action, decision.rule, decision.reply)

    def rcpt(self, rcpt: Rcpt) -> Reply | None:
        transaction = self._open
        forward_path = rcpt.forward_path
        if not forward_path.domain:  # RFC 5321 section 4.1.1.3: the bare Postmaster
            forward_path = Mailbox(POSTMASTER, self._front.profile.hostname)
        required = rcpt.parameters.get(RRVS) if rcpt.parameters.items else None
        since = None if required is None else required.since
        desk = self._front.forwarding
        if desk is not None and desk.concerns(forward_path):
            return self._forwarded(transaction, desk, forward_path, rcpt.parameters, since)
        return self._decided(transaction, forward_path, rcpt.parameters, since)

    def _decided(
        self,
        transaction: Transaction,
        forward_path: Mailbox,
        parameters: Parameters,
        since: float | None,
        reached: Verdict | None = None,
        named: Named | None = None,
    ) -> Reply:
        """The reply to RCPT; `reached` and `named` are what is known of a recipient whose mail goes on or back."""
        assert transaction.facts is not None
        decision = self._front.policy.at_rcpt(transaction.facts, forward_path, since, reached=reached)
        if decision.reply is not None:
            transaction.refuse_recipient(forward_path, decision)
            self._house.chronicle.recipient_refused(transaction, self._talk.client, forward_path, decision.reply)
            return decision.reply
        recipients = transaction.recipients
        if named is not None:
            forward_path = named.original or forward_path
            transaction.named[len(recipients)] = named
        next_hop = self._front.next_hop(forward_path.domain)
        recipients.append(QueuedRecipient(len(recipients), forward_path, next_hop, parameters))
        return replies.RECIPIENT_OK

    def _forwarded(
        self,
        transaction: Transaction,
        desk: ForwardDesk,
        forward_path: Mailbox,
        parameters: Parameters,
        since: float | None,
    ) -> Reply | None:
        """A recipient whose mail may go on to other addresses, or back to a sender."""
        if desk.leads_back(forward_path):
            reverse_path = transaction.mail.reverse_path
            reached, original = desk.original(forward_path, reverse_path, transaction.arrived_at)
            named = None if original is None else Named(forward_path, original=original)
            return self._decided(transaction, forward_path, parameters, since, reached, named)

        def answered(expansion: Expansion | None, refusal: Reply | None, why: str) -> Reply:
            reached: Verdict | None = None
            if refusal is not None:
                self._house.chronicle.warning(f"{forward_path}: {why}")
                reached = Rule(RELAYING, "defer", why), refusal
            elif expansion is not None and not desk.reaches(expansion):
                reached = Rule(RELAYING, "refuse", "its aliases lead to no mailbox"), replies.NO_SUCH_MAILBOX
            elif expansion is not None:
                if transaction.forwarded + expansion.count > FORWARDED:
                    return replies.TOO_MANY_RECIPIENTS
                reached = Rule(RELAYING, "pass", f"its mail goes on to {expansion.count} addresses"), None
            named = None if expansion is None else Named(forward_path, expansion)
            given = self._decided(transaction, forward_path, parameters, since, reached, named)
            if expansion is not None and given.accepted:
                transaction.forwarded += expansion.count
            return given

        try:
            found = desk.begin(forward_path)
        except CannotExpand as error:
            return answered(None, NOT_SET_UP, str(error))
        if not isinstance(found, Pending):
            return answered(found, None, "")
        self._talk.spawn(self._look_up(found, answered))
        return None

    async def _look_up(
        self, pending: Pending, answered: Callable[[Expansion | None, Reply | None, str], Reply]
    ) -> None:
        try:
            given = answered(*await found_or_refused(pending))
        except Exception as error:  # noqa: BLE001  # a fault of ours, as in `Connection`
            self._talk.fail(error)
            return
        self._talk.answer(given)

    def data(self) -> Reply:
        self._spool(self._open)
        return replies.START_MAIL_INPUT

    def _spool(self, transaction: Transaction) -> Spool:
        """Where the message goes; made for the first octets of a message in chunks, which no DATA comes before."""
        spool = transaction.spool
        if spool is None:
            spool = transaction.spool = self._house.store.spool()
            front, login = self._front, self._talk.client.login
            if (front.signer and login is not None) or (front.sealer and transaction.forwarded):
                transaction.reader = MessageReader(FORM)
        return spool

    def take(self, octets: bytes) -> None:
        """Mail data as it comes. Once the disk has refused a piece the rest is read and dropped."""
        self._talk.deadline += len(octets) / SLOWEST
        transaction = self._open
        if transaction.fault is not None:
            return
        spool = self._spool(transaction)
        try:
            spool.write(octets)
        except NotStored as error:
            transaction.fault = error.reply
            spool.discard()
            self._talk.let_go(DISK)
            return
        transaction.reader.update(octets)
        if spool.congested:
            self._talk.hold(DISK)
            spool.when_relieved(self._relieved)

    def _relieved(self) -> None:
        self._talk.let_go(DISK)

    def end_of_data(self, event: EndOfData) -> Reply | None:
        transaction = self._open
        spool = self._spool(transaction)
        fault = event.fault or transaction.fault
        if fault is not None:
            return self._refuse_data(transaction, spool, fault, "storage" if event.fault is None else "mail-data")
        reader = transaction.reader
        hashes = transaction.hashes = reader.finish()
        if not (self._front.judged or reader.header is None or reader.header.complete):
            # What stands in it beyond that would reach readers unseen, a forged Authentication-Results field too.
            return self._refuse_data(transaction, spool, replies.HEADER_TOO_LONG, "header")
        if is_binary(transaction.mail.parameters) and reader.header is not None and not reader.header.framed:
            return self._refuse_data(transaction, spool, replies.BARE_LINE_ENDING_IN_DATA, "mail-data")
        header = transaction.header
        if header is None or transaction.message is None:
            header = self._read_header(transaction, reader.header or read_header(spool.head(HEADER_LIMIT)))
            header_facts = self._message_facts(transaction, header)
        else:  # known since a chunk before
            header_facts = known(transaction.message)
        assert transaction.facts is not None
        return self._talk.when(
            whole_message_facts(
                header_facts,
                transaction.facts,
                header,
                reader.signatures,
                hashes,
                transaction.arrived_at,
                self._front.policy.trusted_sealers,
                chain=reader.chain,
                memory=self._house.dmarc,
            ),
            lambda facts: self._message_known(transaction, spool, header, facts),
        )

    def end_of_chunk(self, event: EndOfChunk) -> Reply | None:
        """The chunk that completes the header is refused where the header decides: what the client has still to send
        can be as large as it likes. The message is decided again, from the same facts, when all of it is here."""
        transaction = self._open
        spool = self._spool(transaction)
        fault = event.fault or transaction.fault
        if fault is not None:
            return self._refuse_data(transaction, spool, fault, "storage" if event.fault is None else "mail-data")
        header = transaction.reader.header
        if transaction.message is not None or header is None or not header.complete:
            return replies.OK
        header = self._read_header(transaction, header)
        return self._talk.when(
            self._message_facts(transaction, header),
            lambda facts: self._header_known(transaction, spool, header, facts),
        )

    def _read_header(self, transaction: Transaction, header: Header) -> Header:
        """The header of the message as it came; for a login with what it lacks."""
        login = self._talk.client.login
        if login is None:
            return header
        front = self._front
        transaction.added = missing_fields(
            front.policy.submission,
            login,
            transaction.mail.reverse_path,
            header,
            date=self._date(transaction.arrived_at),
            message_id=f"{transaction.queue_id}@{front.profile.hostname}",
        )
        return header.below(read_header(transaction.added).fields) if transaction.added else header

    def _message_facts(self, transaction: Transaction, header: Header) -> Evaluation[MessageFacts]:
        assert transaction.facts is not None
        house, policy = self._house, self._front.policy
        return facts_behind(
            policy.trusted_hops,
            house.checker,
            transaction.facts,
            header,
            purported_responsible_address(header),
            transaction.arrived_at,
            policy.submitter,
            check_helo=policy.check_helo,
        )

    def _header_known(self, transaction: Transaction, spool: Spool, header: Header, facts: MessageFacts) -> Reply:
        transaction.header, transaction.message = header, facts
        if self._front.policy.at_message(facts, header, unprotected(transaction)).reply is None:
            return replies.OK
        refusal = self._message_known(transaction, spool, header, facts)
        assert refusal is not None
        return refusal

    def _message_known(
        self, transaction: Transaction, spool: Spool, header: Header, facts: MessageFacts
    ) -> Reply | None:
        transaction.header, transaction.message = header, facts
        transaction.size = spool.size
        decision = self._front.policy.at_message(facts, header, unprotected(transaction))
        transaction.rules += decision.rules
        if decision.reply is not None:
            if not decision.reply.transient:  # else it comes again, and is counted then
                self._count(transaction, facts, "reject")
            return self._refuse(transaction, "END-OF-MESSAGE", decision.action, decision.rule, decision.reply)
        division = None
        desk = self._front.forwarding
        if transaction.forwarded and desk is not None:
            division = desk.divide(transaction.recipients, transaction.named, self._front.next_hop, header)
            verdicts = [goes_round(division.looping, others=division.reaches)]
            if division.leaves:
                verdicts.append(may_forward(desk.dmarc_fail, facts))
            for rule, refusal in verdicts:
                transaction.rules += (rule,)
                if refusal is not None:
                    self._count(transaction, facts, "reject")
                    return self._refuse(transaction, "END-OF-MESSAGE", "reject", rule.name, refusal)
            if desk.repair == "least" and division.repaired:
                found = facts.authentication
                plans = desk.plans(
                    self._house.checker,
                    division.repaired,
                    header,
                    () if found is None else found.dkim,
                    transaction.mail.reverse_path,
                    transaction.arrived_at,
                )
                return self._talk.when(
                    plans, lambda plans: self._store(transaction, spool, header, facts, division, plans)
                )
        return self._store(transaction, spool, header, facts, division, {})

    def _store(
        self,
        transaction: Transaction,
        spool: Spool,
        header: Header,
        facts: MessageFacts,
        division: Division | None,
        plans: Mapping[str, Plan],
    ) -> Reply | None:
        """The message is ours to deliver: it is answered when the disk has it."""
        acceptance = Acceptance(
            self._front, self._house, self._talk.client, transaction, self._date(transaction.arrived_at)
        )
        try:
            messages = acceptance.messages(spool, header, facts, division, plans)
        except NotStored as error:  # there was no room for a report
            return self._refuse_data(transaction, spool, error.reply, "storage")
        accepted = reply(250, "2.0.0", f"Ok: queued as {transaction.queue_id}")
        house, chronicle = self._house, self._house.chronicle
        chronicle.accepted(transaction, accepted)

        def stored(error: BaseException | None) -> None:
            self.transaction = None
            if error is None:
                self.stored += 1
                chronicle.stored(transaction, self._talk.client)
                self._count(transaction, facts, "spam" if self._front.policy.quarantines(facts) else "delivered")
                for message in messages:
                    if message.release_at:
                        house.holding.add(message.release_at, message.reverse_path)
                        house.look(message)
                    elif not message.held:
                        house.submit(message)
                self._talk.answer(accepted)
            else:
                self._talk.answer(chronicle.not_stored(transaction, self._talk.client, error))

        if len(messages) == 1:
            house.store.accept(messages[0], stored)
        else:
            house.store.accept_all(messages, stored)
        return None

    def _count(self, transaction: Transaction, facts: MessageFacts, delivery: Delivery) -> None:
        """Count what DMARC found, for the owner of the domain; and tell of it at once, where that is asked for."""
        policy, house = self._front.policy, self._house
        row = row_of_message(policy.dmarc, facts)
        if row is not None:
            house.report_dmarc(row)
        if house.report_failure is None or transaction.header is None:
            return
        failure = failure_of(
            facts,
            transaction.header,
            queue_id=transaction.queue_id,
            arrived_at=transaction.arrived_at,
            delivery=delivery,
            authserv_id=policy.authserv_id,
        )
        if failure is not None:
            house.report_failure(failure)

    # The end of a transaction

    @property
    def _open(self) -> Transaction:
        transaction = self.transaction
        assert transaction is not None  # the session lets no command through that needs one
        return transaction

    def _refuse_data(self, transaction: Transaction, spool: Spool, fault: Reply, rule: str) -> Reply:
        """What came cannot be kept, whatever it says."""
        transaction.size = spool.size
        transaction.header = transaction.message = None
        transaction.wrong = rule
        action = "defer" if fault.transient else "reject"
        return self._refuse(transaction, "END-OF-MESSAGE", action, rule, fault)

    def _refuse(self, transaction: Transaction, stage: str, action: str, rule: str, given: Reply) -> Reply:
        self._house.chronicle.refused(transaction, self._talk.client, stage, action, rule, given)
        transaction.end()
        self.transaction = None
        self._talk.let_go(DISK)
        return given

    def drop(self) -> None:
        """The transaction, if there is one, ends without a message."""
        transaction = self.transaction
        if transaction is not None:
            self._house.chronicle.abandoned(transaction, self._talk.client)
            transaction.end()
            self.transaction = None
            self._talk.let_go(DISK)
