"""The policy of a listener: at each stage the rules in their order, the first refusal decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from purport.authentication.true_client import NO_HOPS, TrustedHops
from purport.mail.address import Mailbox
from purport.mail.header import Header
from purport.mail.reply import TOO_MANY_HOPS
from purport.mail.trace import count_received
from purport.policy.decision import Decision, Rule
from purport.policy.dmarc import DmarcPolicy, disposition, may_come
from purport.policy.facts import MailFacts, MessageFacts
from purport.policy.ownership import Ownership, fields_hold, held_since
from purport.policy.relaying import Relaying, may_reach
from purport.policy.results import results_fields
from purport.policy.spf import OnFail, may_send
from purport.policy.submission import SubmissionPolicy, may_be_author, may_send_as
from purport.policy.submitter import SubmitterPolicy, Verdict, authorized, header_agrees

HOPS: Final = 100  # Received fields: RFC 5321 section 6.3 wants a limit of at least 100


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings ask for, as one value. The stages get facts and return a decision; nothing is kept."""

    receiver: str
    submitter: SubmitterPolicy = field(default_factory=SubmitterPolicy)
    spf_on_fail: OnFail = "tag"
    check_helo: bool = False
    received_spf: bool = False
    dmarc: DmarcPolicy = field(default_factory=DmarcPolicy)
    relaying: Relaying = field(default_factory=Relaying)
    hops: int = HOPS
    ownership: Ownership = field(default_factory=dict)
    submission: SubmissionPolicy = field(default_factory=SubmissionPolicy)
    trusted_sealers: frozenset[str] = frozenset()
    trusted_hops: TrustedHops = NO_HOPS
    results_id: str = ""  # the name that results are told under; empty: the receiver
    results_aliases: tuple[str, ...] = ()  # names of other hosts of ours, and old ones

    @property
    def authserv_id(self) -> str:
        """Our name in Authentication-Results and in seals (RFC 8601 section 2.5)."""
        return self.results_id or self.receiver

    def at_mail(self, facts: MailFacts) -> Decision:
        """After MAIL: the submitter first (RFC 4405 section 4.2), then SPF, then what a login may say."""
        verdicts = [may_send(self.spf_on_fail, facts)]
        if self.submitter.reject_at == "mail":
            verdicts.insert(0, authorized(self.submitter, facts))
        login = facts.client.login
        if login is not None:
            verdicts += may_send_as(self.submission, login, facts)
        return _first_refusal(verdicts)

    def at_rcpt(
        self, facts: MailFacts, forward_path: Mailbox, since: float | None = None, *, reached: Verdict | None = None
    ) -> Decision:
        """After RCPT: whether the recipient may be reached, unless that is known by `reached`, then the submitter where
        it is to be refused here, then whether the mailbox has had its owner since a moment, in seconds since 1970,
        where one is named."""
        verdicts = [may_reach(self.relaying, facts.client, forward_path) if reached is None else reached]
        if self.submitter.reject_at == "rcpt":
            verdicts.append(authorized(self.submitter, facts))
        held = None if since is None else held_since(self.ownership, forward_path, since)
        if held is not None:
            verdicts.append(held)
        return _first_refusal(verdicts)

    def at_message(self, facts: MessageFacts, header: Header, recipients: Sequence[Mailbox] = ()) -> Decision:
        """After the end of data: loops, the submitter where it is to be refused here, and what the header says.
        `recipients` are those that came without RRVS: the header may say it of them."""
        verdicts: list[Verdict] = []
        if count_received(header) >= self.hops:
            verdicts.append((Rule("hops", "refuse", f"{self.hops} Received fields"), TOO_MANY_HOPS))
        if self.submitter.reject_at == "data" and facts.behind is None:
            verdicts.append(authorized(self.submitter, facts.mail))
        if facts.behind is not None:  # what was not known of its client at MAIL
            verdicts.append((facts.behind, None))
            verdicts.append(authorized(self.submitter, facts.mail))
            verdicts.append(may_send(self.spf_on_fail, facts.mail))
        login = facts.mail.client.login
        if login is not None:
            verdicts.append(may_be_author(self.submission, login, header))
        verdicts += header_agrees(self.submitter, facts)
        if facts.authentication is not None:
            verdicts.append(may_come(self.dmarc, facts.authentication.dmarc, facts.override))
        if recipients:
            verdicts += fields_hold(self.ownership, header, recipients)
        return _first_refusal(verdicts)

    def quarantines(self, facts: MessageFacts) -> bool:
        """Whether an accepted message belongs into the folder for junk, where mailboxes are ours."""
        found = facts.authentication
        return found is not None and disposition(self.dmarc, found.dmarc, facts.override) == "quarantine"

    def fields(self, facts: MessageFacts) -> bytes:
        """What goes on top of a message that is accepted."""
        receiver = self.receiver if self.received_spf else None
        return results_fields(self.authserv_id, facts, self.dmarc, received_spf=receiver)

    def forged_ids(self, *, ours: bool) -> frozenset[str]:
        """The names that no Authentication-Results field of a message can bear yet (RFC 8601 section 5); of one that
        comes from a host of `ours`, which may have written under its own, those of this host alone."""
        here = frozenset((self.authserv_id, self.receiver))
        return here if ours else here.union(self.results_aliases)


def _first_refusal(verdicts: Iterable[Verdict]) -> Decision:
    rules: list[Rule] = []
    for rule, refusal in verdicts:
        rules.append(rule)
        if refusal is not None:
            return Decision("defer" if refusal.transient else "reject", refusal, tuple(rules))
    return Decision("accept", None, tuple(rules))
