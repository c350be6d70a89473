"""A mail transaction on its way through the front door, and what is written down about it."""

from __future__ import annotations

from typing import Final, Literal, final

from purport.authentication.dkim.body import BodyHashes
from purport.authentication.message import MessageReader
from purport.ledger.record import (
    RecordedForward,
    RecordedPolicy,
    RecordedRecipient,
    Word,
    encode,
    printable,
    record,
)
from purport.ledger.writer import LedgerWriter
from purport.log import MailLog, client_text, escaped, login_text, path
from purport.mail.address import Mailbox
from purport.mail.header import Header
from purport.mail.reply import LOCAL_ERROR, Reply
from purport.mail.trace import protocol_word
from purport.policy.decision import Decision, Rule
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.queue.store import NotStored, QueuedRecipient, Spool
from purport.service.forwarding import Named, PassedOn
from purport.smtp.event import Mail
from purport.smtp.extensions.futurerelease import encode_moment
from purport.smtp.extensions.smtputf8 import is_international

WORDS: Final[dict[str, Literal["accept", "reject", "defer"]]] = {
    "accept": "accept",
    "reject": "reject",
    "defer": "defer",
}


@final
class Transaction:
    """From MAIL to the end of data or a reset."""

    __slots__ = (
        "added",
        "arrived_at",
        "asked",
        "facts",
        "fault",
        "forwarded",
        "hashes",
        "header",
        "lmtp",
        "mail",
        "message",
        "named",
        "passed_on",
        "policy",
        "priority",
        "queue_id",
        "reader",
        "recipients",
        "refused",
        "release_at",
        "rules",
        "signed",
        "size",
        "spool",
        "wrong",
    )

    def __init__(
        self, queue_id: str, arrived_at: float, mail: Mail, policy: RecordedPolicy, *, lmtp: bool = False
    ) -> None:
        self.queue_id = queue_id
        self.lmtp = lmtp  # what is spoken, instead of SMTP
        self.policy = policy  # in force when it began
        self.arrived_at = arrived_at  # seconds since 1970
        self.mail = mail
        self.asked: int | None = None  # the priority that the client named
        self.priority = 0  # and what it got
        self.release_at = 0.0  # when the message may go, in seconds since 1970; 0: at once
        self.facts: MailFacts | None = None
        self.rules: tuple[Rule, ...] = ()
        self.recipients: list[QueuedRecipient] = []
        self.named: dict[int, Named] = {}  # by number: recipients whose mail goes on, or back
        self.forwarded = 0  # addresses that they become
        self.passed_on: list[PassedOn] = []  # the copies that go on
        self.refused: list[tuple[Mailbox, Decision]] = []
        self.spool: Spool | None = None  # from DATA on, until the message has a body
        self.reader = MessageReader()  # of what goes into it
        self.added = b""  # fields that a submission lacked
        self.signed: tuple[str, ...] = ()  # our keys that signed it: `example.com/s1`
        self.hashes: BodyHashes = {}  # of its body, in the forms that signatures need
        self.size = 0  # octets of the message
        self.header: Header | None = None
        self.message: MessageFacts | None = None
        self.fault: Reply | None = None  # what kept the mail data from being stored
        self.wrong = ""  # the rule that such a fault broke

    def protocol(self, client: Client) -> str:
        """How it came (RFC 3848), for the Received field and the log."""
        return protocol_word(
            extended=client.extended,
            secure=bool(client.tls),
            authenticated=client.login is not None,
            international=is_international(self.mail.parameters),
            lmtp=self.lmtp,
        )

    def refuse_recipient(self, forward_path: Mailbox, decision: Decision) -> None:
        """A RCPT that was refused."""
        self.refused.append((forward_path, decision))

    def end(self) -> None:
        """Nothing of it is kept."""
        if self.spool is not None:
            self.spool.discard()
            self.spool = None


@final
class Chronicle:
    """Writes the log lines and the ledger record of transactions."""

    def __init__(self, log: MailLog, ledger: LedgerWriter) -> None:
        self._log = log
        self._ledger = ledger

    def accepted(self, transaction: Transaction, given: Reply) -> None:
        """Decided, and about to be stored: the record is written before the client is told."""
        self._record(transaction, "accept", "END-OF-MESSAGE", "default", given)

    def stored(self, transaction: Transaction, client: Client) -> None:
        """Stored: the message is ours."""
        header = transaction.header
        field = None if header is None else header.first("message-id")
        self._log.accepted(
            transaction.queue_id,
            client=client_text(client.name, client.address),
            message_id="" if field is None else field.value.decode("ascii", "backslashreplace"),
            reverse_path=transaction.mail.reverse_path,
            size=transaction.size,
            recipients=len(transaction.recipients),
            protocol=transaction.protocol(client),
            hello_domain=client.hello_domain,
            notes=_notes(transaction),
            login="" if client.login is None else login_text(client.login.mechanism, client.login.name),
        )
        self._responsible(transaction, client, "accept", "default")
        for copy in transaction.passed_on:
            message = copy.message
            self._log.forwarded(
                transaction.queue_id,
                message.queue_id,
                copy.forwarder,
                message.reverse_path,
                recipients=len(message.recipients),
                repair=copy.repair,
            )

    def not_stored(self, transaction: Transaction, client: Client, error: BaseException) -> Reply:
        """Decided, but the disk did not keep it: the reply says to come again."""
        given = error.reply if isinstance(error, NotStored) else LOCAL_ERROR
        if isinstance(error, NotStored):
            self._log.warning(f"{transaction.queue_id}: not stored: {error}")
        else:
            self._log.failure("store", error)
        transaction.wrong = "storage"
        self.refused(transaction, client, "END-OF-MESSAGE", "defer", "storage", given)
        return given

    def refused(
        self, transaction: Transaction, client: Client, stage: str, action: str, rule: str, given: Reply
    ) -> None:
        """Refused, at MAIL or at the end of data."""
        recipients = transaction.recipients
        self._log.refused(
            transaction.queue_id,
            stage,
            given,
            client=client_text(client.name, client.address),
            reverse_path=transaction.mail.reverse_path,
            forward_path=recipients[0].forward_path if recipients else None,
            protocol=transaction.protocol(client),
            hello_domain=client.hello_domain,
        )
        self._responsible(transaction, client, action, rule)
        self._record(transaction, WORDS[action], stage, rule, given)

    def recipient_refused(self, transaction: Transaction, client: Client, forward_path: Mailbox, given: Reply) -> None:
        """One recipient was refused; the transaction goes on."""
        self._log.refused(
            transaction.queue_id,
            "RCPT",
            given,
            client=client_text(client.name, client.address),
            reverse_path=transaction.mail.reverse_path,
            forward_path=forward_path,
            protocol=transaction.protocol(client),
            hello_domain=client.hello_domain,
        )

    def abandoned(self, transaction: Transaction, client: Client) -> None:
        """The client went, or began anew. Where no recipient was left, the last refusal is what decided."""
        if transaction.facts is None:
            return  # it went while the DNS was being asked: nothing was decided
        if transaction.refused and not transaction.recipients:
            decision = transaction.refused[-1][1]
            assert decision.reply is not None
            transaction.rules += decision.rules
            self._responsible(transaction, client, decision.action, decision.rule)
            self._record(transaction, WORDS[decision.action], "RCPT", decision.rule, decision.reply)
            return
        stage = "DATA" if transaction.spool is not None else "RCPT" if transaction.recipients else "MAIL"
        self._responsible(transaction, client, "abandoned", "default")
        self._record(transaction, "abandoned", stage, "default", None)

    def connection(self, client: str, what: str) -> None:
        """Something about a connection."""
        self._log.connection(client, what)

    def warning(self, what: str) -> None:
        """Something that the operator should mend."""
        self._log.warning(what)

    def failure(self, error: BaseException) -> None:
        """A fault of ours."""
        self._log.failure("connection", error)

    def _responsible(self, transaction: Transaction, client: Client, decision: str, rule: str) -> None:
        facts, message = transaction.facts, transaction.message
        submitter = "-" if facts is None or facts.submitter is None else path(facts.submitter)
        pra = None if message is None else message.pra
        if pra is None or pra.address is None:
            responsible = "-"
        else:
            responsible = f"{path(pra.address)} ({pra.field})"
        self._log.responsible(
            transaction.queue_id,
            f"submitter={submitter} pra={responsible} mailfrom={path(transaction.mail.reverse_path)} "
            f"helo=<{escaped(client.hello_domain)}> client={client.address} decision={decision} rule={rule}",
        )

    def _record(self, transaction: Transaction, decision: Word, stage: str, rule: str, given: Reply | None) -> None:
        assert transaction.facts is not None
        recipients = [_recorded(transaction, recipient) for recipient in transaction.recipients]
        recipients += [
            RecordedRecipient(printable(str(forward_path)), str(refusal.reply))
            for forward_path, refusal in transaction.refused
        ]
        made = record(
            transaction.queue_id,
            transaction.arrived_at,
            transaction.facts,
            transaction.policy,
            decision=decision,
            stage=stage,
            rule=rule,
            reply="" if given is None else str(given),
            rules=transaction.rules,
            parameters=transaction.mail.parameters.octets() if transaction.mail.parameters.items else b"",
            recipients=tuple(recipients),
            size=transaction.size,
            header=transaction.header,
            message=transaction.message,
            fault=transaction.wrong,
            forwards=tuple([_forward(copy) for copy in transaction.passed_on]),
            signed=transaction.signed,
        )
        self._ledger.append(encode(made))


def _recorded(transaction: Transaction, recipient: QueuedRecipient) -> RecordedRecipient:
    """A recipient, and as the client named it where that is an address that leads back to another."""
    named = transaction.named.get(recipient.number)
    other = "" if named is None or named.original is None else printable(str(named.forward_path))
    return RecordedRecipient(printable(str(recipient.forward_path)), named=other)


def _forward(copy: PassedOn) -> RecordedForward:
    """What is recorded of a message that goes on."""
    message = copy.message
    return RecordedForward(
        message.queue_id,
        printable(str(copy.forwarder)),
        printable(str(message.reverse_path)),
        tuple([printable(str(recipient.forward_path)) for recipient in message.recipients]),
        copy.repair,
        printable(copy.expected),
    )


def _notes(transaction: Transaction) -> str:
    """What a log line says of a message that is not like all others (RFC 6710 section 4.1 (3))."""
    notes = ""
    if transaction.asked is not None:
        changed = f" (asked for {transaction.asked})" if transaction.asked != transaction.priority else ""
        notes = f", priority={transaction.priority}{changed}"
    if transaction.release_at:
        notes += f", release={encode_moment(transaction.release_at).decode('ascii')}"
    if transaction.signed:
        notes += "".join([f", signed={escaped(key)}" for key in transaction.signed])
    return notes
