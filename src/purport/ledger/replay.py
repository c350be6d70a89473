"""Takes a decision again, from its record alone: the same evaluations on the recorded answers, the same rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from purport.authentication.sender_id.pra import purported_responsible_address
from purport.authentication.sender_id.record import BY_SCOPE
from purport.authentication.spf.check_host import check_host
from purport.authentication.spf.result import Scope, SpfResult
from purport.dns.lookup import Answer, Question, Status, replay
from purport.ledger.dmarc import authentication_again, override_again
from purport.ledger.record import Check, Record, RecordedClient, RecordedPolicy, Word
from purport.mail.address import NULL, Mailbox, ReversePath, parse_mailbox
from purport.mail.header import Header, read_header
from purport.policy.decision import Decision, Rule
from purport.policy.dmarc import DmarcPolicy
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.policy.forwarding import DMARC as FORWARDING
from purport.policy.forwarding import LOOPS
from purport.policy.login import Login
from purport.policy.ownership import RULE as OWNERSHIP
from purport.policy.policy import Policy
from purport.policy.relaying import RULE as RELAYING
from purport.policy.submission import AUTHOR, SubmissionPolicy
from purport.policy.submitter import SubmitterPolicy, authorized
from purport.policy.trusted import RULE as BEHIND

ANSWERS: Final = msgspec.json.Decoder(list[tuple[str, str, str, int, list[str]]])


@dataclass(frozen=True, slots=True)
class Again:
    """What comes out when a record is decided again."""

    decision: Word
    rule: str
    reply: str
    facts: MailFacts


def decide_again(record: Record) -> Again:
    """Decide from the record. Equal to what it says, unless it was changed, or the rules were."""
    policy = _policy(record.policy)
    facts = mail_facts(record)
    if record.stage != "END-OF-MESSAGE":
        decision = policy.at_mail(facts)
        if decision.reply is not None:
            return _again(decision, facts)
    # Whether a recipient could be reached then is a fact of its own: the mailboxes may be others by now.
    reachable = not any(name == RELAYING and outcome == "refuse" for name, outcome, _ in record.rules)
    if record.stage == "RCPT" and reachable and policy.submitter.reject_at == "rcpt":
        rule, refusal = authorized(policy.submitter, facts)
        if refusal is not None:
            return Again("defer" if refusal.transient else "reject", rule.name, str(refusal), facts)
    if record.fault or record.stage != "END-OF-MESSAGE" or record.rule in (OWNERSHIP, AUTHOR, LOOPS, FORWARDING):
        # Line endings, sizes, disks, our domains with their mailboxes and owners at the time, a client that went: facts
        # of their own.
        return Again(record.decision, record.rule, record.reply, facts)
    return _again(policy.at_message(message_facts(record, facts), _header(record)), facts, record.reply)


def mail_facts(record: Record) -> MailFacts:
    """The facts of MAIL, the checks evaluated again; of a trusted hop nothing was checked then."""
    if record.behind is None:
        return _checked(record, record.client)
    return replace(_checked(record, record.client), spf=None, helo=None, sender_id=None)


def _checked(record: Record, known: RecordedClient) -> MailFacts:
    """The facts about a client, with every check that the record holds."""
    login = None if known.login is None else Login(known.login.name, known.login.addresses, known.login.mechanism)
    submitter = None if record.submitter is None else _mailbox(record.submitter)
    return MailFacts(
        Client(known.address, known.name, known.helo, known.extended, known.tls, known.cipher, login),
        _reverse_path(record.reverse_path),
        submitter,
        result_again(record, record.spf, "mfrom"),
        result_again(record, record.helo, "helo"),
        result_again(record, record.sender_id, "pra"),
    )


def message_facts(record: Record, facts: MailFacts) -> MessageFacts:
    """The facts at the end of data, the PRA found again in the fields that were kept."""
    pra = None if record.policy.check_pra == "never" else purported_responsible_address(_header(record))
    found = record.dmarc
    behind = next((Rule(*rule) for rule in record.rules if rule[0] == BEHIND), None)
    return MessageFacts(
        facts if record.behind is None else _checked(record, record.behind),
        pra,
        None if pra is None else result_again(record, record.pra_check, "pra"),
        None if found is None else authentication_again(found),
        None if found is None else override_again(found),
        behind,
    )


def result_again(record: Record, check: Check | None, scope: Scope) -> SpfResult | None:
    """One check, evaluated again on the answers it had."""
    if check is None:
        return None
    answers = {
        Question(name, kind): Answer(Status(status), tuple(records), ttl)
        for name, kind, status, ttl, records in ANSWERS.decode(check.answers)
    }
    sender = "" if scope == "helo" or check.identity == check.domain or "@" not in check.identity else check.identity
    client = record.behind or record.client
    evaluation = check_host(
        client.address,
        check.domain,
        sender,
        client.helo,
        receiver=record.policy.receiver,
        scope=scope,
        now=record.time,
        rules=BY_SCOPE[scope],
    )
    return replay(evaluation, answers)


def _again(decision: Decision, facts: MailFacts, accepted: str = "") -> Again:
    word: Literal["accept", "reject", "defer"] = decision.action
    return Again(word, decision.rule, str(decision.reply) if decision.reply is not None else accepted, facts)


def _policy(recorded: RecordedPolicy) -> Policy:
    submitter = msgspec.convert(
        {
            "check_pra": recorded.check_pra,
            "reject_at": recorded.reject_at,
            "on_temperror": recorded.on_temperror,
            "local_part_case": recorded.local_part_case,
        },
        SubmitterPolicy,
    )
    on_fail: Literal["tag", "reject"] = "reject" if recorded.spf_on_fail == "reject" else "tag"
    return Policy(
        recorded.receiver,
        submitter,
        on_fail,
        recorded.check_helo,
        dmarc=msgspec.convert(
            {"on_fail": recorded.dmarc_on_fail, "on_temperror": recorded.dmarc_on_temperror}, DmarcPolicy
        ),
        hops=recorded.hops,
        submission=msgspec.convert({"author": recorded.author}, SubmissionPolicy),
    )


def _header(record: Record) -> Header:
    return read_header("".join(f"{name}: {value}\r\n" for name, value in record.header).encode("utf-8"))


def _mailbox(text: str) -> Mailbox:
    return parse_mailbox(text, utf8=True)


def _reverse_path(text: str) -> ReversePath:
    return _mailbox(text) if text else NULL
