"""The record of a transaction: one JSON line that holds all its decision rests on.

{"id":"3K2M7Q9H4R1XY","time":1795000000.1,"client":{"address":"192.0.2.1",...},"decision":"reject","rule":...}

No body, and of the header only what the decision needs or what finds the record again.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from purport.authentication.dmarc.result import spf_identity
from purport.authentication.sender_id.pra import OF_INTEREST, TRACE, PurportedResponsibleAddress
from purport.authentication.spf.result import SpfResult
from purport.ledger.dmarc import RecordedDmarc, recorded
from purport.mail.fields import VALUE_LIMIT
from purport.mail.header import Header
from purport.policy.decision import Rule
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.policy.policy import Policy

KEPT: Final = OF_INTEREST | {"message-id", "date"}
KEPT_FIELDS: Final = 200  # of one header; the hop limit is half of it
NOT_KEPT: Final = "*"  # stands for the value of a trace field: that it is there is what counts
NO_ANSWERS: Final = msgspec.Raw(b"[]")

Word = Literal["accept", "reject", "defer", "abandoned"]


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of one check, with the DNS answers (`[name, type, status, ttl, [records]]`) it rests on."""

    result: str
    identity: str
    domain: str
    mechanism: str | None = None
    mechanism_domain: str | None = None
    explanation: str | None = None
    problem: str | None = None
    answers: msgspec.Raw = NO_ANSWERS


class RecordedLogin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who logged in."""

    name: str
    mechanism: str = ""
    addresses: tuple[str, ...] = ()


class RecordedClient(msgspec.Struct, frozen=True, omit_defaults=True):
    """The SMTP client."""

    address: str
    helo: str
    name: str | None = None
    extended: bool = True
    tls: str = ""
    cipher: str = ""
    login: RecordedLogin | None = None


class RecordedPra(msgspec.Struct, frozen=True, omit_defaults=True):
    """What RFC 4407 found."""

    step: str
    address: str | None = None
    field: str | None = None
    problem: str | None = None


class RecordedPolicy(msgspec.Struct, frozen=True):
    """The settings in force, as far as the decision depends on them."""

    receiver: str
    check_pra: str
    reject_at: str
    on_temperror: str
    local_part_case: str
    spf_on_fail: str
    check_helo: bool
    hops: int
    author: str = "ours"
    dmarc_on_fail: str = "tag"
    dmarc_on_temperror: str = "accept"


class RecordedRecipient(msgspec.Struct, frozen=True, omit_defaults=True):
    """One RCPT: the forward-path, and the reply where it was refused. `named` is the forward-path as the client said
    it, where it leads back to another address (SRS)."""

    address: str
    reply: str = ""
    named: str = ""


class RecordedForward(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message that goes on for a mailbox of ours: its id in the queue, and its envelope. The id comes first, so that
    whoever looks for it finds the record."""

    id: str
    forwarder: str
    reverse_path: str
    recipients: tuple[str, ...]
    repair: str = ""
    expected: str = ""  # what was predicted of the next hop, where it was


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One transaction. `stage` is the command that was decided at: MAIL, RCPT, or END-OF-MESSAGE.

    `fault` names what was wrong with the transaction itself (a bare line ending, a full disk); no policy was asked.
    """

    id: str
    time: float
    client: RecordedClient
    reverse_path: str
    decision: Word
    stage: str
    rule: str
    reply: str
    policy: RecordedPolicy
    rules: tuple[tuple[str, str, str], ...] = ()
    submitter: str | None = None
    parameters: str = ""
    recipients: tuple[RecordedRecipient, ...] = ()
    size: int = 0
    message_id: str | None = None
    header: tuple[tuple[str, str], ...] = ()
    pra: RecordedPra | None = None
    spf: Check | None = None
    helo: Check | None = None
    sender_id: Check | None = None
    pra_check: Check | None = None
    dmarc: RecordedDmarc | None = None
    fault: str = ""
    forwards: tuple[RecordedForward, ...] = ()
    behind: RecordedClient | None = None  # of a trusted hop: who was judged in its place
    signed: tuple[str, ...] = ()  # our keys that signed a submission, as `domain/selector`


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one recipient at one attempt: `sent`, `deferred` or `bounced`."""

    recipient: str
    outcome: str
    reply: str
    host: str
    time: float
    tls: str = ""  # version and cipher of the connection
    policy: str = ""  # what was asked of it, and by whom: `dane (dane: TLSA 3 1 1 at _25._tcp.mx.example.com)`


class DeliveryRecord(msgspec.Struct, frozen=True):
    """A later line about a message."""

    id: str
    delivery: Delivery


_encoder: Final = msgspec.json.Encoder()


def encode(record: Record | DeliveryRecord) -> bytes:
    """The record as one line."""
    return _encoder.encode(record) + b"\n"


def check(result: SpfResult | None) -> Check | None:
    """What is recorded of a check."""
    if result is None:
        return None
    evidence = result.evidence
    return Check(
        result.result,
        printable(result.identity),
        printable(result.domain),
        result.mechanism,
        result.mechanism_domain,
        result.explanation,
        result.problem,
        NO_ANSWERS if evidence is None else msgspec.Raw(evidence.json),
    )


def client(value: Client) -> RecordedClient:
    """What is recorded of a client."""
    login = value.login
    return RecordedClient(
        value.address,
        printable(value.hello_domain),
        value.name,
        value.extended,
        value.tls,
        value.cipher,
        None if login is None else RecordedLogin(login.name, login.mechanism, login.addresses),
    )


def pra(value: PurportedResponsibleAddress | None) -> RecordedPra | None:
    """What is recorded of a PRA."""
    if value is None:
        return None
    address = None if value.address is None else printable(str(value.address))
    return RecordedPra(value.step, address, value.field, None if value.problem is None else printable(value.problem))


def policy(value: Policy) -> RecordedPolicy:
    """What is recorded of a policy; made once for each."""
    submitter = value.submitter
    return RecordedPolicy(
        value.receiver,
        submitter.check_pra,
        submitter.reject_at,
        submitter.on_temperror,
        submitter.local_part_case,
        value.spf_on_fail,
        value.check_helo,
        value.hops,
        value.submission.author,
        value.dmarc.on_fail,
        value.dmarc.on_temperror,
    )


def header_fields(header: Header) -> tuple[tuple[str, str], ...]:
    """The fields that are kept, in their order. A name that stands before white space and its colon keeps the space."""
    kept: list[tuple[str, str]] = []
    for field in header:
        name = field.name
        if name in KEPT:
            value = NOT_KEPT if name in TRACE and not field.empty else text(field.value)
            kept.append((name if field.strict else f"{name} ", value))
            if len(kept) == KEPT_FIELDS:
                break
    return tuple(kept)


def text(value: bytes) -> str:
    """The octets of a field as text: UTF-8, else one character for each octet; bounded."""
    try:
        decoded = value.decode("utf-8")
    except UnicodeDecodeError:
        decoded = value.decode("latin-1")
    return decoded[: VALUE_LIMIT + 1]


def printable(value: str) -> str:
    """Text that JSON can hold: a lone surrogate, which stands for an octet that is no UTF-8, as an escape."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")


def record(
    queue_id: str,
    time: float,
    facts: MailFacts,
    in_force: RecordedPolicy,
    *,
    decision: Word,
    stage: str,
    rule: str,
    reply: str,
    rules: tuple[Rule, ...] = (),
    parameters: bytes = b"",
    recipients: tuple[RecordedRecipient, ...] = (),
    size: int = 0,
    header: Header | None = None,
    message: MessageFacts | None = None,
    fault: str = "",
    forwards: tuple[RecordedForward, ...] = (),
    signed: tuple[str, ...] = (),
) -> Record:
    """The record of a transaction, from what was known of it."""
    fields = () if header is None else header_fields(header)
    checked = facts if message is None else message.mail
    return Record(
        queue_id,
        time,
        client(facts.client),
        printable(str(facts.reverse_path)),
        decision,
        stage,
        rule,
        reply,
        in_force,
        tuple([(rule.name, rule.outcome, printable(rule.reason)) for rule in rules]),
        None if facts.submitter is None else printable(str(facts.submitter)),
        parameters.decode("ascii", "backslashreplace"),
        recipients,
        size,
        next((value for name, value in fields if name == "message-id"), None),
        fields,
        None if message is None else pra(message.pra),
        check(checked.spf),
        check(checked.helo),
        check(checked.sender_id),
        None if message is None else check(message.sender_id),
        None if message is None else dmarc(message),
        fault,
        forwards,
        None if checked is facts else client(checked.client),
        signed,
    )


def dmarc(message: MessageFacts) -> RecordedDmarc | None:
    """What is recorded of signatures and of the author's policy."""
    found = message.authentication
    if found is None:
        return None
    return recorded(found.dmarc, spf_identity(message.mail.spf), found.dkim, message.override, found.arc)
