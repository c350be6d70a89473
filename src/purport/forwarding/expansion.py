"""Where the mail of a mailbox goes on to: aliases of aliases, until nothing but mailboxes is left.

    carol@company.com.example  ->  carol@elsewhere.example
    team@company.com.example   ->  bob@company.com.example (here), dave@company.com.example  ->  dave@example.net

A name beside which `owner-NAME` stands is a mailing list, as for Sendmail and Postfix: what it becomes is a message of
its owner's, to whom its bounces go (RFC 5321 section 3.9.2).

An expansion is a generator: it yields the mailboxes that somebody else has to be asked about, and is sent where their
mail goes. Names that lead back to themselves end there: a name in its own entry is the mailbox itself.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, final

from purport.forwarding.aliases import OWNER
from purport.mail.address import Mailbox, normal_local_part, normal_mailbox
from purport.mail.domain import normal_domain

DEPTH: Final = 10  # aliases of aliases; people write two or three
ADDRESSES: Final = (
    1000  # that one recipient may become: what a transaction may have (RFC 5321 section 4.5.3.1.8 wants 100)
)


class CannotExpand(Exception):
    """The entries lead nowhere, or to too many; the text says how."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Addresses outside that the mail of one mailbox of ours goes on to; of a list (`owner`) all who read it, also
    mailboxes of ours."""

    forwarder: Mailbox
    forward_paths: tuple[Mailbox, ...]
    owner: Mailbox | None = None


@dataclass(frozen=True, slots=True)
class Expansion:
    """What becomes of one recipient: mailboxes of ours, and forwards to the outside, each by who set it up."""

    mailboxes: tuple[Mailbox, ...]
    forwards: tuple[Forward, ...]

    @property
    def count(self) -> int:
        """How many addresses it is."""
        return len(self.mailboxes) + sum(len(forward.forward_paths) for forward in self.forwards)

    @property
    def addresses(self) -> tuple[Mailbox, ...]:
        """All of them."""
        return self.mailboxes + tuple([path for forward in self.forwards for path in forward.forward_paths])

    def reaches(self, ours: Container[str], exists: Callable[[Mailbox], bool]) -> bool:
        """Whether anybody would get the mail: somebody elsewhere, or a mailbox of ours that there is."""
        return any(normal_domain(address.domain) not in ours or exists(address) for address in self.addresses)

    @property
    def places(self) -> int:
        """The same where a list counts as one: mail that was given to a list has arrived (RFC 3461 section
        5.2.7.1)."""
        outside = [1 if forward.owner else len(forward.forward_paths) for forward in self.forwards]
        return len(self.mailboxes) + sum(outside)


@final
@dataclass(frozen=True, slots=True)
class Forwards:
    """What the settings and the alias files say.

    `entries` holds, for each domain of ours (A-labels, lower case), where the mail of a name goes (as
    `normal_local_part` has it). `asked` are domains for which somebody else is asked about every other name. `ours` are
    all domains whose mail ends here or at servers of our own.
    """

    ours: Container[str]
    entries: Mapping[str, Mapping[str, tuple[Mailbox, ...]]] = field(default_factory=dict)
    asked: Container[str] = frozenset()

    def targets(self, mailbox: Mailbox) -> tuple[Mailbox, ...] | None:
        """Where the mail of a mailbox goes by the entries; None: there is none for it."""
        names = self.entries.get(normal_domain(mailbox.domain))
        return None if names is None else names.get(normal_local_part(mailbox.local_part))

    def owner(self, mailbox: Mailbox) -> Mailbox | None:
        """Who administers a list of ours; None for what is no list."""
        name = normal_local_part(mailbox.local_part)
        if name.startswith(OWNER) or self.targets(mailbox) is None:
            return None
        owner = Mailbox(f"{OWNER}{name}", mailbox.domain)
        return None if self.targets(owner) is None else owner

    def owners(self) -> Iterator[Mailbox]:
        """Those of all lists."""
        for domain, names in self.entries.items():
            for name in names:
                owner = self.owner(Mailbox(name, domain))
                if owner is not None:
                    yield owner

    def is_asked(self, mailbox: Mailbox) -> bool:
        """Whether somebody else has to be asked about it."""
        return normal_domain(mailbox.domain) in self.asked and self.targets(mailbox) is None


Expanding = Generator[Mailbox, tuple[Mailbox, ...], Expansion | None]


def expand(forwards: Forwards, mailbox: Mailbox) -> Expanding:
    """What becomes of the mail of a mailbox of ours; None where it is for nobody but the mailbox. Raises
    CannotExpand."""
    walk = _Walk(forwards)
    if not (yield from walk.follow(mailbox, 0, None)):
        return None
    if not walk.mailboxes and not walk.outside:
        raise CannotExpand(f"the aliases of {mailbox} lead back to themselves")
    return Expansion(
        tuple(walk.mailboxes.values()),
        tuple([Forward(who, tuple(found.values()), forwards.owner(who)) for who, found in walk.outside.values()]),
    )


def leads_somewhere(forwards: Forwards, mailbox: Mailbox, exists: Callable[[Mailbox], bool]) -> bool:
    """Whether anybody gets the mail of a mailbox of ours that has an entry, as far as it can be known beforehand."""
    try:
        next(expand(forwards, mailbox))
    except StopIteration as done:
        found: Expansion | None = done.value
        return found is not None and found.reaches(forwards.ours, exists)
    except CannotExpand:
        return False
    return True  # a program will say it


@final
class _Walk:
    """One expansion while it goes on. Addresses are kept by how they compare, each once."""

    __slots__ = ("forwards", "mailboxes", "met", "outside")

    def __init__(self, forwards: Forwards) -> None:
        self.forwards = forwards
        self.met: set[Mailbox] = set()  # names whose entry was followed
        self.mailboxes: dict[Mailbox, Mailbox] = {}
        self.outside: dict[Mailbox, tuple[Mailbox, dict[Mailbox, Mailbox]]] = {}  # by forwarder or list

    def follow(
        self, mailbox: Mailbox, depth: int, within: Mailbox | None
    ) -> Generator[Mailbox, tuple[Mailbox, ...], bool]:
        """Follow the entry of a mailbox of ours; False where it has none. `within` is the list that led to it."""
        forwards = self.forwards
        targets = forwards.targets(mailbox)
        if targets is None and normal_domain(mailbox.domain) in forwards.asked:
            targets = (yield mailbox) or None
        if targets is None:
            return False
        if depth == DEPTH:
            raise CannotExpand(f"more than {DEPTH} aliases lead from one to the next, at last {mailbox}")
        self.met.add(normal_mailbox(mailbox))
        if len(self.met) > ADDRESSES:
            raise CannotExpand(f"more than {ADDRESSES} aliases")
        if forwards.owner(mailbox) is not None:
            within = mailbox
        for target in targets:
            whole = target if target.domain else Mailbox(target.local_part, mailbox.domain)
            yield from self._go(whole, mailbox, depth, within)
        return True

    def _go(
        self, target: Mailbox, source: Mailbox, depth: int, within: Mailbox | None
    ) -> Generator[Mailbox, tuple[Mailbox, ...], None]:
        if normal_domain(target.domain) not in self.forwards.ours:
            self._found(within or source, Mailbox(target.local_part, normal_domain(target.domain)), target)
        else:
            key = normal_mailbox(target)
            final = key == normal_mailbox(source)
            if final or (key not in self.met and not (yield from self.follow(target, depth + 1, within))):
                if within is None:
                    self.mailboxes.setdefault(key, target)
                else:
                    self._found(within, key, target)
        if len(self.mailboxes) + sum(len(found) for _, found in self.outside.values()) > ADDRESSES:
            raise CannotExpand(f"more than {ADDRESSES} addresses")

    def _found(self, who: Mailbox, key: Mailbox, target: Mailbox) -> None:
        _, found = self.outside.setdefault(normal_mailbox(who), (who, {}))
        found.setdefault(key, target)
