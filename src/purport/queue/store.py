"""The queue's store: what keeps accepted messages until they are delivered (RFC 5321 section 6.1).

One interface; `sqlite.py` is the embedded store, `memory.py` the one for tests. Callbacks run in the
event loop's thread, once, and get None or the error that kept the step from being safe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol

from purport.mail.address import Mailbox, ReversePath
from purport.mail.envelope import Parameters
from purport.mail.reply import INSUFFICIENT_STORAGE, LOCAL_ERROR, Reply
from purport.queue.schedule import LOWEST

Done = Callable[[BaseException | None], None]

HEAD_LIMIT: Final = 262144  # octets a spool can show of its beginning; not below HEADER_LIMIT of mail/header.py

ON_DEMAND: Final = "odmr:"  # how the next hop begins of what waits until its host comes for it (RFC 2645)


def is_on_demand(next_hop: str) -> bool:
    """Whether what goes there waits until its host comes for it."""
    return next_hop.startswith(ON_DEMAND)


class NotStored(Exception):
    """The step is not safe, and nothing of it was stored; the store goes on working."""

    reply: ClassVar[Reply] = LOCAL_ERROR


class NoSpace(NotStored):
    """The disk (or a quota) is full: nothing was stored. The reply is 452 4.3.1."""

    reply: ClassVar[Reply] = INSUFFICIENT_STORAGE


class StorageFault(NotStored):
    """The disk failed, or another process kept the database locked. The reply is 451 4.3.0."""


class Spool(Protocol):
    """A message body on its way in: in memory up to a threshold, then in a file while it arrives."""

    size: int

    @property
    def congested(self) -> bool:
        """Whether the disk is behind: stop reading from the client until `when_relieved` calls back."""

    def when_relieved(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, in the loop's thread, when the spool is not congested any more (or failed)."""

    def write(self, octets: bytes) -> None:
        """Take the next octets. Raises NotStored: NoSpace where the disk is full."""

    def head(self, limit: int) -> bytes:
        """The first `limit` octets at most, and HEAD_LIMIT at most (less what `replace_head` took out)."""

    def replace_head(self, length: int, octets: bytes) -> None:
        """The first `length` octets, of those that `head` shows, become these, which are not more. What follows them
        is not copied where it is in a file. Raises ValueError where they are more, or `head` shows fewer."""

    def discard(self) -> None:
        """Drop everything; also when called twice or after an error."""


def check_head(length: int, octets: bytes, shown: int) -> None:
    """Raises ValueError where `octets` cannot replace the first `length` octets of a spool that shows `shown`."""
    if not len(octets) <= length <= shown:
        raise ValueError(f"{len(octets)} octets cannot stand for the first {length}, of which {shown} are shown")


class Body(Protocol):
    """The octets of a queued message, to be read in pieces as often as wanted."""

    size: int

    def octets(self) -> bytes | None:
        """The whole body where it is small enough to be held in memory, else None."""

    def pieces(self, size: int = 65536) -> Iterator[bytes]:
        """The body in pieces of at most `size` octets. Raises OSError where its file cannot be read."""


@dataclass(slots=True)
class QueuedRecipient:
    """One recipient of a queued message and how far its delivery got."""

    number: int  # position in the envelope, from 0: with the queue id, its key
    forward_path: Mailbox
    next_hop: str
    parameters: Parameters = field(default_factory=Parameters)
    attempts: int = 0
    due_at: float = 0.0
    last_reply: str = ""  # what the last attempt ended with: reply or reason, in one line
    last_host: str = ""
    transcript: str = ""  # the dialogue of the last attempt that failed
    warned: bool = False  # whether the sender was told that it is delayed


@dataclass(slots=True)
class QueuedMessage:
    """An accepted message: envelope, trace fields to stand on top, body, and its recipients."""

    queue_id: str
    arrived_at: float  # seconds since 1970, UTC
    reverse_path: ReversePath
    parameters: Parameters
    trace: bytes  # header fields we add on top of the body as received, CRLF-terminated
    body: Body
    recipients: list[QueuedRecipient]
    expires_at: float = 0.0
    hops: int = 0
    held: bool = False  # accepted on hold: stored, not leased, and not tried before an operator releases it
    priority: int = 0  # from -9 to 9 (RFC 6710), as our policy has it
    release_at: float = 0.0  # not 0: stored, not leased, and due no earlier (RFC 4865)
    others: bool = False  # whether it was leased without some of its recipients, as these were not due

    @property
    def released_at(self) -> float:
        """When it went on its way, or will: its lifetime counts from here."""
        return self.release_at or self.arrived_at


@dataclass(slots=True)
class Outcome:
    """What an attempt did for one recipient: `delivered`, `relayed`, `deferred` or `failed`; `returned` where
    there was no attempt: the lease is given back, and nothing but `due_at` changes."""

    queue_id: str
    number: int
    action: str
    reply: str
    host: str
    due_at: float = 0.0  # for deferred: when to try again
    transcript: str = ""  # the dialogue of the failed attempt, for deferred and failed
    warned: bool = False  # for deferred: the sender is told now
    tls: str = ""  # version and cipher of the connection; empty: in clear, or there was none
    policy: str = ""  # what was asked of it, and by whom; empty: nothing, by nobody


class QueueStore(Protocol):
    """Keeps messages safe. Every step that has a `done` is safe when done(None) runs, and not before."""

    def spool(self) -> Spool:
        """A place for a body that is about to arrive."""

    def body(self, spool: Spool) -> Body:
        """The spooled octets as a body; the spool is finished with."""

    def accept(self, message: QueuedMessage, done: Done) -> None:
        """Store a message. Its recipients are leased to the caller, unless it is `held` or has a `release_at`: a
        crash gives them back at the next start."""

    def accept_all(self, messages: Sequence[QueuedMessage], done: Done) -> None:
        """Store several messages in one step: all of them, or none. They may have the same body."""

    def record(self, outcomes: Sequence[Outcome], reports: Sequence[QueuedMessage], done: Done) -> None:
        """One step: recipients that are finished leave, the deferred get their next time, reports about
        them enter. With its last recipient a message and its body leave."""

    async def claim(self, now: float, limit: int, least: int = LOWEST) -> list[QueuedMessage]:
        """Messages with recipients that are due and not held, in the order of their `rank`; those recipients are leased
        to the caller. None of a lower priority than `least`."""

    async def next_due(self, least: int = LOWEST) -> float | None:
        """When the next unleased recipient is due, if there is one, of no lower priority than `least`."""

    async def hasten(self, now: float, concerned: Container[str]) -> tuple[int, frozenset[str]]:
        """Make recipients due that wait for another attempt, are not held, and whose domain is `concerned`: how many
        messages those are, and their next hops. What waits for its first attempt has its own time, and what waits for
        its host is not hastened by being tried."""

    async def waiting(self, now: float, next_hops: Collection[str], limit: int, after: str | None = None) -> list[str]:
        """The queue ids, `limit` at most and the oldest first, of messages with recipients of these next hops that are
        neither leased nor held, and are due or have had an attempt: what waits for its first time to come is not among
        them. With `after` those of younger messages than that."""

    async def lease(self, now: float, queue_ids: Sequence[str], next_hops: Collection[str]) -> list[QueuedMessage]:
        """Those recipients of these messages, as far as they still wait; they are leased to the caller."""

    async def refresh(self) -> None:
        """An operator changed the queue from beside: take notice before the next `claim` or `next_due`."""

    def newest_id(self) -> str | None:
        """The newest queue id in the store when it was opened, for `QueueIds(after=…)`."""

    def scheduled(self) -> Sequence[tuple[float, ReversePath]]:
        """Release and reverse-path of the messages with a `release_at` that were in the store when it was opened."""

    async def close(self) -> None:
        """Finish what was begun, then let go of the files."""
