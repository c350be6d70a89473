"""A whole transaction judged without a connection: the same facts, rules and record as the front door's."""

from __future__ import annotations

from collections.abc import Sequence

from purport.authentication.message import MessageReader
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.authentication.spf.checker import Checker
from purport.dns.lookup import Evaluation
from purport.ledger.record import Record, RecordedRecipient, Word, record
from purport.ledger.record import policy as recorded_policy
from purport.mail.address import Mailbox, ReversePath
from purport.mail.header import Header, read_header
from purport.policy.decision import Decision, Rule
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.policy.gather import facts_behind, mail_facts, whole_message_facts
from purport.policy.policy import Policy

NO_ID = "judged"  # where a queue id would stand


def judge(
    checker: Checker,
    policy: Policy,
    client: Client,
    reverse_path: ReversePath,
    submitter: Mailbox | None,
    forward_paths: Sequence[Mailbox],
    octets: bytes,
    now: float,
) -> Evaluation[Record]:
    """The record that the transaction would leave. Without forward-paths no recipient is asked about."""
    hops = policy.trusted_hops
    facts = yield from mail_facts(
        checker, client, reverse_path, submitter, now, check_helo=policy.check_helo, hops=hops
    )
    header = read_header(octets)

    def written(stage: str, decision: Decision, rules: tuple[Rule, ...], message: MessageFacts | None) -> Record:
        return _record(policy, facts, now, stage, decision, rules, recipients, octets, header, message)

    recipients: list[RecordedRecipient] = []
    decision = policy.at_mail(facts)
    rules = decision.rules
    if decision.reply is not None:
        return written("MAIL", decision, rules, None)
    refused = None
    reached: list[Mailbox] = []
    for forward_path in forward_paths:
        decision = policy.at_rcpt(facts, forward_path)
        recipients.append(RecordedRecipient(str(forward_path), str(decision.reply) if decision.reply else ""))
        refused = decision if decision.reply is not None else refused
        if decision.reply is None:
            reached.append(forward_path)
    if refused is not None and not reached:
        return written("RCPT", refused, rules + refused.rules, None)
    pra = purported_responsible_address(header)
    reader = MessageReader()
    reader.update(octets)
    header_facts = facts_behind(hops, checker, facts, header, pra, now, policy.submitter, check_helo=policy.check_helo)
    hashes = reader.finish()
    message = yield from whole_message_facts(
        header_facts, facts, header, reader.signatures, hashes, now, policy.trusted_sealers, chain=reader.chain
    )
    decision = policy.at_message(message, header, reached)
    return written("END-OF-MESSAGE", decision, rules + decision.rules, message)


def _record(
    policy: Policy,
    facts: MailFacts,
    now: float,
    stage: str,
    decision: Decision,
    rules: tuple[Rule, ...],
    recipients: list[RecordedRecipient],
    octets: bytes,
    header: Header,
    message: MessageFacts | None,
) -> Record:
    word: Word = decision.action
    return record(
        NO_ID,
        now,
        facts,
        recorded_policy(policy),
        decision=word,
        stage=stage,
        rule=decision.rule,
        reply="" if decision.reply is None else str(decision.reply),
        rules=rules,
        recipients=tuple(recipients),
        size=len(octets),
        header=header if message is not None else None,
        message=message,
    )
