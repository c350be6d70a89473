"""The recipients of a message, divided: those that stay with it, and those whose mail goes on."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final, Literal, final

from purport.delivery.route import FAIL, failing
from purport.forwarding.expansion import Expansion
from purport.forwarding.plan import Repair
from purport.forwarding.resent import forwarders_in
from purport.mail.address import Mailbox, normal_mailbox
from purport.mail.domain import normal_domain
from purport.mail.envelope import NO_PARAMETERS, Parameters
from purport.mail.header import Header
from purport.mail.reply import NO_SUCH_MAILBOX
from purport.policy.forwarding import loop_reply
from purport.queue.store import QueuedMessage, QueuedRecipient
from purport.smtp.extensions.deliverby import BY
from purport.smtp.extensions.dsn import ENVID, NOTIFY, RET, Notify, encode_notify
from purport.smtp.extensions.rrvs import KEYWORD as RRVS

# What a sender asked for of a message that has arrived when the list has it (RFC 3461 section 5.2.7.1).
ENDS_AT_LISTS: Final = (ENVID.keyword, RET.keyword, BY.keyword)


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


def ended_at_list(parameters: Parameters) -> Parameters:
    """The MAIL parameters of what a list sends: nothing that is about the message which it got (RFC 3461 section
    5.2.7.1 (b))."""
    return Parameters(tuple([(name, value) for name, value in parameters if name not in ENDS_AT_LISTS]))


@final
class Divider:
    """A division while it is made."""

    __slots__ = (
        "_before",
        "_copies",
        "_exists",
        "_expanded",
        "_kept",
        "_listed",
        "_looping",
        "_next_hop",
        "_ours",
        "_seen",
    )

    def __init__(
        self,
        hostname: str,
        ours: Container[str],
        exists: Callable[[Mailbox], bool],
        next_hop: Callable[[str], str],
        header: Header,
    ) -> None:
        """`ours` are the domains that we receive for, `exists` says which of their mailboxes there are; `header` names
        those that the message was forwarded for before."""
        self._ours = ours
        self._exists = exists
        self._next_hop = next_hop
        self._before = forwarders_in(header, hostname)
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
                ours = normal_domain(forward_path.domain) in self._ours
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
        if ours and not self._exists(forward_path):
            return failing(NO_SUCH_MAILBOX)
        return self._next_hop(forward_path.domain)

    def _is_new(self, forwarder: Mailbox | None, forward_path: Mailbox) -> bool:
        ours = normal_domain(forward_path.domain) in self._ours
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
