"""RFC 4405 section 4.2 as a checklist: may the client speak for its submitter, and does the header say the same?

MAIL FROM:<alice@example.com> SUBMITTER=bob@almamater.edu.example
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from purport.authentication.spf.result import SpfResult
from purport.mail.address import matches
from purport.mail.reply import Reply, reply
from purport.policy.decision import Rule, told
from purport.policy.facts import MailFacts, MessageFacts
from purport.smtp.extensions.submitter import CANNOT_VERIFY, DOES_NOT_MATCH, NOT_ALLOWED

MISSING_PRA: Final = reply(550, "5.7.1", "Missing Purported Responsible Address")  # RFC 4406 section 4
UNAVAILABLE: Final = reply(450, "4.4.3", "Sender ID check is temporarily unavailable")  # RFC 4406 section 5.4

AUTHORIZED: Final = "submitter-authorized"
PRESENT: Final = "pra-present"
MATCHES: Final = "submitter-matches-header"
PRA_AUTHORIZED: Final = "pra-authorized"

Verdict = tuple[Rule, Reply | None]


@dataclass(frozen=True, slots=True)
class SubmitterPolicy:
    """What the settings' table [submitter] says."""

    offer: bool = True
    check_pra: Literal["when-submitted", "always", "never"] = "when-submitted"
    reject_at: Literal["mail", "rcpt", "data"] = "mail"
    on_temperror: Literal["accept", "defer"] = "accept"
    local_part_case: Literal["exact", "ignore"] = "exact"


def authorized(policy: SubmitterPolicy, facts: MailFacts) -> Verdict:
    """Whether the client may speak for the submitter's domain. Only Fail refuses (RFC 4406 section 5.1)."""
    result = facts.sender_id
    if result is None:
        reason = "no SUBMITTER was given" if facts.submitter is None else "the client's address says nothing about it"
        return Rule(AUTHORIZED, "skip", reason), None
    if result.result == "fail":
        return Rule(AUTHORIZED, "refuse", told(result)), NOT_ALLOWED
    return _unless_temperror(AUTHORIZED, policy, result)


def header_agrees(policy: SubmitterPolicy, facts: MessageFacts) -> list[Verdict]:
    """Whether there is a PRA, and whether it is the submitter; without one, whether the PRA is authorised."""
    submitter, pra = facts.mail.submitter, facts.pra
    if pra is None:
        return [(Rule(MATCHES, "skip", 'check_pra = "never"'), None)]
    if submitter is None and policy.check_pra != "always":
        return [(Rule(MATCHES, "skip", "no SUBMITTER was given"), None)]
    if pra.address is None:
        refusal = MISSING_PRA if submitter is None else CANNOT_VERIFY
        return [(Rule(PRESENT, "refuse", f"the header has no PRA: {pra.problem} (steps {pra.step})"), refusal)]
    present = Rule(PRESENT, "pass", f"PRA {pra.address}, field {pra.field} (steps {pra.step})"), None
    if submitter is None:
        return [present, _pra_authorized(policy, facts)]
    if matches(submitter, pra.address, ignore_local_part_case=policy.local_part_case == "ignore"):
        return [present, (Rule(MATCHES, "pass", "the header names the submitter"), None)]
    return [present, (Rule(MATCHES, "refuse", f"SUBMITTER is {submitter}, the PRA is {pra.address}"), DOES_NOT_MATCH)]


def _pra_authorized(policy: SubmitterPolicy, facts: MessageFacts) -> Verdict:
    result = facts.sender_id
    if result is None:
        return Rule(PRA_AUTHORIZED, "skip", "it was not asked"), None
    if result.result == "fail":
        # RFC 4406 section 5.3 gives the form: reason, then the domain owner's explanation.
        reason = "Domain Does Not Exist" if result.mechanism is None else "Not Permitted"
        explained = f" - {result.explanation}" if result.explanation else ""
        refusal = reply(550, "5.7.1", f"Sender ID (PRA) {reason}{explained}")
        return Rule(PRA_AUTHORIZED, "refuse", told(result)), refusal
    return _unless_temperror(PRA_AUTHORIZED, policy, result)


def _unless_temperror(rule: str, policy: SubmitterPolicy, result: SpfResult) -> Verdict:
    if result.result == "temperror" and policy.on_temperror == "defer":
        return Rule(rule, "defer", told(result)), UNAVAILABLE
    return Rule(rule, "pass", told(result)), None
