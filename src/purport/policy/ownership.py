"""Whether a mailbox has had one owner since a moment that the sender names (RFC 7293 section 5 and 9).

    asked since 2014-04-03, the mailbox went to its owner on 2015-01-01   ->  550 5.7.17
    asked since 2014-04-03, nobody knows since when it is its owner's     ->  550 5.7.19

What a refusal tells about a mailbox is what the sender asked for; each counts as an error of the session, so that who
tries one moment after the other is cut off (section 13.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from purport.mail.address import Mailbox, normal_local_part
from purport.mail.domain import normal_domain
from purport.mail.header import Header
from purport.mail.valid_since import requirements, same_mailbox
from purport.policy.decision import Rule
from purport.policy.submitter import Verdict
from purport.smtp.extensions.rrvs import DOMAIN_OWNER_CHANGED, OWNER_CHANGED, UNKNOWN_OWNER

RULE: Final = "recipient-valid-since"
ALWAYS: Final = float("-inf")  # since when a mailbox belongs to its owner that never had another
# RFC 2142: these belong to who has the part, and RRVS says nothing about them (RFC 7293 section 5.1).
ROLES: Final = frozenset(
    (
        *("info", "marketing", "sales", "support"),
        *("abuse", "noc", "security"),
        *("postmaster", "hostmaster", "usenet", "news", "webmaster", "www", "uucp", "ftp"),
    )
)

ROLE: Final = Rule(RULE, "pass", "the mailbox belongs to a role")
UNRECORDED: Final = Rule(RULE, "skip", "nobody writes down whose the mailboxes of the domain are")
HELD: Final = Rule(RULE, "pass", "the mailbox has had its owner since then")


@dataclass(frozen=True, slots=True)
class Owners:
    """Since when the mailboxes of a domain belong to their owners, in seconds since 1970.

    `mailboxes`: by local part in lower case; `others`: those not named there, None where that is not known; `domain`:
    the domain itself; `final`: whether its mail is delivered here, so that nobody else can look at it.
    """

    mailboxes: Mapping[str, float] = field(default_factory=dict)
    others: float | None = None
    domain: float = ALWAYS
    final: bool = True

    @property
    def recorded(self) -> bool:
        """Whether anybody writes down whose the mailboxes are."""
        return bool(self.mailboxes) or self.others is not None


Ownership = Mapping[str, Owners]  # by domain: A-labels, lower case


def held_since(ownership: Ownership, mailbox: Mailbox, since: float) -> Verdict | None:
    """Whether a mailbox has belonged to its owner since then; None where that is for the next hop to know."""
    owners = ownership.get(normal_domain(mailbox.domain))
    if owners is None:
        return None
    name = normal_local_part(mailbox.local_part)
    if name in ROLES:
        return ROLE, None
    if since < owners.domain:
        return Rule(RULE, "refuse", f"{mailbox.domain} has another owner since then"), DOMAIN_OWNER_CHANGED
    held = owners.mailboxes.get(name, owners.others)
    if held is None:
        if not owners.final:
            return None
        return Rule(RULE, "refuse", f"nobody knows since when {mailbox} belongs to its owner"), UNKNOWN_OWNER
    if since < held:
        return Rule(RULE, "refuse", f"{mailbox} has another owner since then"), OWNER_CHANGED
    return HELD, None


def fields_hold(ownership: Ownership, header: Header, recipients: Sequence[Mailbox]) -> list[Verdict]:
    """The same of what the header requires of `recipients`, those that came without RRVS; a field that is wrong, or
    names nobody of them, says nothing (RFC 7293 section 5.2). One refusal is for all of the message (section 7).

    Bulk senders put the field into mail for everybody: where nobody writes down whose the mailboxes are, it is not
    taken for a question that we promised to answer, as RRVS is ("a matter of local policy", section 9).
    """
    verdicts: list[Verdict] = []
    for required in requirements(header):
        if not any(same_mailbox(required.mailbox, recipient) for recipient in recipients):
            continue
        verdict = held_since(ownership, required.mailbox, required.since)
        if verdict is None:
            continue
        if verdict[1] is UNKNOWN_OWNER and not ownership[normal_domain(required.mailbox.domain)].recorded:
            verdict = UNRECORDED, None
        verdicts.append(verdict)
    return verdicts
