"""What a listener knows about mail that goes on: which recipients are forwarded, which lead back by SRS, and how the
copies of a message are made.

A recipient is looked up at its RCPT, so that a client hears at once of what cannot be. The copies are made when the
message is there: one message for each mailbox that forwards, with its own reverse-path, recipients and trace fields
(RFC 4406 section 7.2), all of them stored in one step with what is delivered here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, final

from purport.authentication.dkim.result import DkimResult
from purport.authentication.spf.checker import Checker
from purport.delivery.route import FAIL, failing
from purport.dns.lookup import Evaluation
from purport.forwarding.expansion import CannotExpand, Expansion, Forwards, expand
from purport.forwarding.plan import Forwarded, Plan, Repair, Sending, addresses_of, plan
from purport.forwarding.resent import forwarders_in, resent_block
from purport.forwarding.srs import CannotRewrite, NotOurs, Srs, is_srs
from purport.mail.address import NULL, Mailbox, ReversePath, normal_mailbox
from purport.mail.domain import normal_domain
from purport.mail.envelope import NO_PARAMETERS, Parameters
from purport.mail.header import Header
from purport.mail.reply import NO_SUCH_MAILBOX, Reply, reply
from purport.mail.trace import delivered_to
from purport.policy.decision import Rule
from purport.policy.forwarding import DmarcFail, loop_reply
from purport.policy.relaying import RULE as RELAYING
from purport.policy.submitter import Verdict
from purport.queue.store import QueuedMessage, QueuedRecipient
from purport.service.lookup_command import CannotAsk, LookupCommand
from purport.smtp.extensions.deliverby import BY
from purport.smtp.extensions.dsn import ENVID, NOTIFY, RET, Notify, encode_notify
from purport.smtp.extensions.rrvs import KEYWORD as RRVS

FORWARDED: Final = 5000  # addresses that the recipients of one transaction may become in all: rows of one step
# What a sender asked for of a message that has arrived when the list has it (RFC 3461 section 5.2.7.1).
ENDS_AT_LISTS: Final = (ENVID.keyword, RET.keyword, BY.keyword)
NOT_A_REPORT: Final = reply(550, "5.7.1", "This address takes delivery reports alone")
NOT_SET_UP: Final = reply(451, "4.3.5", "Forwarding of this mailbox is not set up correctly")
NOT_KNOWN: Final = reply(451, "4.3.0", "Forwarding of this mailbox cannot be looked up")


@final
@dataclass(frozen=True, slots=True)
class Named:
    """A recipient that is not delivered to as it was named: it leads back to `original` by SRS, or its mail goes on."""

    forward_path: Mailbox  # as the client named it
    expansion: Expansion | None = None
    original: Mailbox | None = None


@final
@dataclass(slots=True)
class Copy:
    """What goes on for one mailbox, or to those who read a list (`owner`): the message that is made of it has its own
    envelope. `leaves`: somebody outside gets it."""

    forwarder: Mailbox
    owner: Mailbox | None = None
    leaves: bool = False
    recipients: list[QueuedRecipient] = field(default_factory=list)


@final
@dataclass(frozen=True, slots=True)
class PassedOn:
    """A copy as it is stored, for whom it goes on, how it was repaired, and what is expected of that."""

    message: QueuedMessage
    forwarder: Mailbox
    repair: Repair | Literal["list"]
    expected: str = ""


@final
@dataclass(slots=True)
class Division:
    """The recipients of a message, divided: those that stay with it, and the copies; and those whose mail goes to
    several addresses, which their sender may want to hear of."""

    kept: list[QueuedRecipient]
    copies: list[Copy]
    expanded: list[QueuedRecipient]
    listed: list[QueuedRecipient]  # lists, which the message has arrived at
    looping: list[Mailbox]  # mailboxes that the message was forwarded for before; their recipients fail

    @property
    def reaches(self) -> bool:
        """Whether anybody gets it."""
        everybody = [*self.kept, *(recipient for copy in self.copies for recipient in copy.recipients)]
        return any(not one.next_hop.startswith(FAIL) for one in everybody)

    @property
    def leaves(self) -> bool:
        """Whether anything of it goes to the outside."""
        return any(copy.leaves for copy in self.copies)

    @property
    def repaired(self) -> list[Copy]:
        """The copies that have a repair to be chosen: a list has none but its own."""
        return [copy for copy in self.copies if copy.owner is None]


@final
@dataclass(frozen=True, slots=True)
class ForwardDesk:
    """One for each set of settings."""

    hostname: str
    forwards: Forwards
    srs: Srs
    ours: Container[str]  # the domains we receive for
    srs_domain: str = ""  # of SRS addresses; empty: that of the mailbox that forwards
    repair: Repair | Literal["least"] = "resent"
    addresses: tuple[str, ...] = ()  # that we connect from, for predictions; empty: those of the host name
    dmarc_fail: DmarcFail = "policy"
    commands: Mapping[str, LookupCommand] = field(default_factory=dict)  # by domain
    exists: Callable[[Mailbox], bool] = lambda _: True

    def leads_back(self, forward_path: Mailbox) -> bool:
        """Whether it is an SRS address that could be ours."""
        if not is_srs(forward_path.local_part):
            return False
        domain = normal_domain(forward_path.domain)
        return domain == self.srs_domain or domain in self.ours

    def concerns(self, forward_path: Mailbox) -> bool:
        """Whether there is something to look up about a recipient."""
        forwards = self.forwards
        return (
            forwards.targets(forward_path) is not None
            or forwards.is_asked(forward_path)
            or self.leads_back(forward_path)
        )

    # The way back

    def original(self, forward_path: Mailbox, reverse_path: ReversePath, now: float) -> tuple[Verdict, Mailbox | None]:
        """Whom an SRS address leads back to, and whether it may be used: for a report, which has a null reverse-path,
        and with a hash of ours that is not too old."""
        if reverse_path is not NULL:
            return (Rule(RELAYING, "refuse", "mail to an SRS address has to be a report"), NOT_A_REPORT), None
        try:
            found = self.srs.original(forward_path.local_part, now)
        except NotOurs as error:
            refusal = reply(550, "5.7.1", f"SRS address refused: {error}")
            return (Rule(RELAYING, "refuse", f"not an SRS address of ours: {error}"), refusal), None
        return (Rule(RELAYING, "pass", f"it leads back to {found}"), None), found

    # The way on

    def begin(self, forward_path: Mailbox) -> Expansion | Pending | None:
        """What becomes of the mail of a recipient, or who has to be asked about it first. Raises CannotExpand."""
        return _advanced(self, expand(self.forwards, forward_path), None)

    def reaches(self, expansion: Expansion) -> bool:
        """Whether anybody would get the mail."""
        return expansion.reaches(self.ours, self.exists)

    def readers(self, mailbox: Mailbox) -> tuple[Mailbox, ...]:
        """Who gets a report of ours to a mailbox: itself, or whom its mail goes on to, as far as that is known without
        asking a program; of a list its owner, not who reads it."""
        try:
            found = self.begin(self.forwards.owner(mailbox) or mailbox)
        except CannotExpand:
            return (mailbox,)
        return found.addresses if isinstance(found, Expansion) else (mailbox,)

    def divide(
        self,
        recipients: Sequence[QueuedRecipient],
        named: Mapping[int, Named],
        next_hop: Callable[[str], str],
        header: Header,
    ) -> Division:
        """The recipients of a transaction as messages have them; `named` holds, by number, those that are forwarded.
        Whoever is named twice gets the message once."""
        division = _Division(self, next_hop, header)
        for recipient in recipients:
            found = named.get(recipient.number)
            if found is None or found.expansion is None:
                division.keep(recipient.forward_path, recipient.next_hop, recipient.parameters)
        for recipient in recipients:
            found = named.get(recipient.number)
            if found is not None and found.expansion is not None:
                division.expand(recipient, found.expansion)
        return division.finished()

    def repair_of(self, copy: Copy, plans: Mapping[str, Plan]) -> Repair | Literal["list"]:
        """How a copy is repaired: as the settings say, or as is planned for the domain of who forwards it; what a list
        sends is its owner's."""
        if copy.owner is not None:
            return "list"
        forwarder = copy.forwarder
        return plans[normal_domain(forwarder.domain)].chosen if self.repair == "least" else self.repair

    def plans(
        self,
        checker: Checker,
        copies: Sequence[Copy],
        header: Header,
        signatures: tuple[DkimResult, ...],
        reverse_path: ReversePath,
        now: float,
    ) -> Evaluation[dict[str, Plan]]:
        """What is expected of each repair, by the domain of who forwards: two mailboxes of one domain are seen alike.
        `signatures` are the results of the message as it came."""
        addresses = self.addresses or (yield from addresses_of(self.hostname))
        sending = Sending(self.hostname, addresses, now)
        found: dict[str, Plan] = {}
        for copy in copies:
            domain = normal_domain(copy.forwarder.domain)
            if domain not in found:
                forwarded = self.forwarded(copy.forwarder, header, signatures, reverse_path, now)
                found[domain] = yield from plan(checker, sending, forwarded)
        return found

    def forwarded(
        self,
        forwarder: Mailbox,
        header: Header,
        signatures: tuple[DkimResult, ...],
        reverse_path: ReversePath,
        now: float,
    ) -> Forwarded:
        """What a plan is made for."""
        rewritten: ReversePath | None = self.reverse_path(forwarder, reverse_path, now, "srs")
        if rewritten == reverse_path and isinstance(reverse_path, Mailbox) and not self._is_ours(reverse_path):
            rewritten = None
        return Forwarded(header, signatures, reverse_path, rewritten, forwarder)

    def _is_ours(self, mailbox: Mailbox) -> bool:
        return normal_domain(mailbox.domain) in self.ours

    def block(self, copy: Copy, queue_id: str, date: str, repair: Repair | Literal["list"]) -> bytes:
        """What stands on top of a copy: who answers for it, or else the mark by which it is known again. RFC 4406
        section 7.3 prefers Resent-From for lists too; a Sender that the author has stays the only one then."""
        if repair in ("resent", "both", "list"):
            who = copy.owner or copy.forwarder
            return resent_block(who, date=date, message_id=f"{queue_id}@{self.hostname}")
        return delivered_to(copy.forwarder)

    def envelope(
        self, copy: Copy, reverse_path: ReversePath, now: float, repair: Repair | Literal["list"]
    ) -> ReversePath:
        """The reverse-path of a copy: of a list its owner (RFC 5321 section 3.9.2)."""
        if repair == "list":
            return copy.owner or reverse_path
        return self.reverse_path(copy.forwarder, reverse_path, now, repair)

    def reverse_path(self, forwarder: Mailbox, reverse_path: ReversePath, now: float, repair: Repair) -> ReversePath:
        """The reverse-path of a copy: as it was, or an address of ours that leads back to it. One of our own domains
        needs none, and what cannot be rewritten stays as it is."""
        if repair not in ("srs", "both") or not isinstance(reverse_path, Mailbox):
            return reverse_path
        domain = self.srs_domain or normal_domain(forwarder.domain)
        if self._is_ours(reverse_path):
            return reverse_path
        try:
            return self.srs.rewritten(reverse_path, domain, now)
        except CannotRewrite:
            return reverse_path

    def returns_to(self, reverse_path: Mailbox, now: float) -> Mailbox:
        """Where a report of ours about a message with this reverse-path goes: behind an address of ours at once."""
        if not self.leads_back(reverse_path):
            return reverse_path
        try:
            return self.srs.original(reverse_path.local_part, now)
        except NotOurs:
            return reverse_path


@final
class Pending:
    """An expansion that waits for the answer to a question."""

    __slots__ = ("_desk", "_expanding", "_question")

    def __init__(
        self,
        desk: ForwardDesk,
        expanding: Generator[Mailbox, tuple[Mailbox, ...], Expansion | None],
        question: Mailbox,
    ) -> None:
        self._desk = desk
        self._expanding = expanding
        self._question = question

    async def finish(self) -> Expansion | None:
        """Ask until it is known. Raises CannotExpand and CannotAsk."""
        pending: Pending = self
        while True:
            question = pending._question
            answer = await self._desk.commands[normal_domain(question.domain)].targets(question)
            found = _advanced(self._desk, self._expanding, answer)
            if not isinstance(found, Pending):
                return found
            pending = found


def _advanced(
    desk: ForwardDesk,
    expanding: Generator[Mailbox, tuple[Mailbox, ...], Expansion | None],
    answer: tuple[Mailbox, ...] | None,
) -> Expansion | Pending | None:
    try:
        question = next(expanding) if answer is None else expanding.send(answer)
    except StopIteration as done:
        found: Expansion | None = done.value
        return found
    return Pending(desk, expanding, question)


@final
class _Division:
    """A division while it is made."""

    __slots__ = ("_before", "_copies", "_desk", "_expanded", "_kept", "_listed", "_looping", "_next_hop", "_seen")

    def __init__(self, desk: ForwardDesk, next_hop: Callable[[str], str], header: Header) -> None:
        self._desk = desk
        self._next_hop = next_hop
        self._before = forwarders_in(header, desk.hostname)
        self._looping: list[Mailbox] = []
        self._kept: list[QueuedRecipient] = []
        self._copies: dict[Mailbox, Copy] = {}
        self._expanded: list[QueuedRecipient] = []
        self._listed: list[QueuedRecipient] = []
        self._seen: set[tuple[Mailbox | None, Mailbox]] = set()  # forwarder and address

    def keep(self, forward_path: Mailbox, next_hop: str, parameters: Parameters) -> None:
        """A recipient that stays with the message."""
        if self._is_new(None, forward_path):
            self._kept.append(QueuedRecipient(len(self._kept), forward_path, next_hop, parameters))

    def expand(self, recipient: QueuedRecipient, expansion: Expansion) -> None:
        """A recipient whose mail goes on."""
        desk = self._desk
        several = expansion.places > 1
        parameters = carried_on(recipient.parameters, several=several)
        if several:
            self._expanded.append(recipient)
        elif not expansion.mailboxes and self._takes(expansion.forwards[0].owner):
            self._listed.append(recipient)
        for mailbox in expansion.mailboxes:
            self.keep(mailbox, self._route(mailbox, ours=True), parameters)
        for forward in expansion.forwards:
            forwarder = forward.forwarder
            owner = forward.owner
            if normal_mailbox(owner or forwarder) in self._before:
                self._looping.append(forwarder)
                self.keep(recipient.forward_path, failing(loop_reply(forwarder)), recipient.parameters)
                continue
            copy = self._copies.setdefault(normal_mailbox(forwarder), Copy(forwarder, owner))
            carried = NO_PARAMETERS if owner is not None else parameters  # RFC 3461 section 5.2.7.1 (b)
            for forward_path in forward.forward_paths:
                ours = normal_domain(forward_path.domain) in desk.ours
                if self._is_new(None if ours else normal_mailbox(forwarder), forward_path):
                    next_hop = self._route(forward_path, ours=ours)
                    number = len(copy.recipients)
                    copy.recipients.append(QueuedRecipient(number, forward_path, next_hop, carried))
                    copy.leaves = copy.leaves or not ours

    def finished(self) -> Division:
        """All of it."""
        return Division(
            self._kept,
            [copy for copy in self._copies.values() if copy.recipients],
            self._expanded,
            self._listed,
            self._looping,
        )

    def _takes(self, owner: Mailbox | None) -> bool:
        """Whether there is a list, and the message has not been there."""
        return owner is not None and normal_mailbox(owner) not in self._before

    def _route(self, forward_path: Mailbox, *, ours: bool) -> str:
        if ours and not self._desk.exists(forward_path):
            return failing(NO_SUCH_MAILBOX)
        return self._next_hop(forward_path.domain)

    def _is_new(self, forwarder: Mailbox | None, forward_path: Mailbox) -> bool:
        ours = normal_domain(forward_path.domain) in self._desk.ours
        key = forwarder, normal_mailbox(forward_path) if ours else forward_path
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


def carried_on(parameters: Parameters, *, several: bool) -> Parameters:
    """The RCPT parameters of an address that mail goes on to. Who sent it asked for reports on the mailbox: one address
    in its place carries that on, several without SUCCESS, which is answered here (RFC 3461 section 5.2.7.2 and 5.2.7.3
    (c)). Since when a mailbox has had its owner is a question about that mailbox, answered already (RFC 7293)."""
    if not parameters.items:
        return parameters
    items = [(name, value) for name, value in parameters if name != RRVS]
    wanted = parameters.get(NOTIFY)
    if several and wanted is not None and Notify.SUCCESS in wanted:
        items = [
            (name, encode_notify(wanted & ~Notify.SUCCESS) if name == NOTIFY.keyword else value)
            for name, value in items
        ]
    return Parameters(tuple(items))


def ended_at_list(parameters: Parameters) -> Parameters:
    """The MAIL parameters of what a list sends: nothing that is about the message which it got (RFC 3461 section
    5.2.7.1 (b))."""
    return Parameters(tuple([(name, value) for name, value in parameters if name not in ENDS_AT_LISTS]))


async def found_or_refused(pending: Pending) -> tuple[Expansion | None, Reply | None, str]:
    """What becomes of a recipient that somebody is asked about, or the reply to its RCPT and why."""
    try:
        return await pending.finish(), None, ""
    except CannotAsk as error:
        return None, NOT_KNOWN, str(error)
    except CannotExpand as error:
        return None, NOT_SET_UP, str(error)
