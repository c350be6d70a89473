"""A message for some recipients with one next hop, and what became of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

from purport.delivery.content import Content
from purport.delivery.failure import Judgement
from purport.delivery.valid_since import NO_EDIT
from purport.mail.reply import Reply
from purport.queue.store import QueuedMessage, QueuedRecipient


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """What a host said about a recipient, and the dialogue that led there."""

    reply: Reply
    host: str = ""  # host, address and port; empty: there was none
    transcript: str = ""
    local: bool = False  # the reply is ours, about that host
    reports: bool = False  # the host offers DSN: it reports what becomes of what it took (RFC 3461 section 5.2.1)
    keeps_time: bool = False  # the host offers DELIVERBY (RFC 2852)
    tls: str = ""  # version and cipher of the connection; empty: in clear
    policy: str = ""  # what was asked of the connection, and by whom; empty: nothing, by nobody


class Settle(Protocol):
    """Takes what became of a recipient, once for each."""

    def __call__(self, recipient: QueuedRecipient, judgement: Judgement, answer: Answer, /) -> None: ...


@final
class Job:
    """A message for some of its recipients, all with one next hop, until each of them is settled."""

    __slots__ = (
        "body",
        "content",
        "edit",
        "held",
        "message",
        "next_hop",
        "rank",
        "recipients",
        "restarts",
        "settle",
        "trace",
        "tried",
    )

    def __init__(
        self,
        message: QueuedMessage,
        recipients: Sequence[QueuedRecipient],
        next_hop: str,
        content: Content,
        settle: Settle,
    ) -> None:
        self.message = message
        self.recipients = recipients
        self.next_hop = next_hop
        self.content = content
        self.settle = settle
        self.body: bytes | None = None  # in place of the message's: what it was converted to
        self.trace = message.trace  # likewise: with the signatures of what it was converted to
        self.edit = NO_EDIT  # of the transaction that is under way
        self.tried: frozenset[str] = frozenset()  # hosts that said "not now"
        self.held: dict[int, Answer] = {}  # what they said, by the recipient's number
        self.restarts = 0  # how often a connection ended before it said a word about the message
        self.rank = 0.0  # its place among those that wait for the same next hop: the lowest goes first

    def part(self, recipients: Sequence[QueuedRecipient]) -> Job:
        """A job for some of the recipients; what hosts said so far is known to it too."""
        job = Job(self.message, recipients, self.next_hop, self.content, self.settle)
        job.tried, job.held, job.rank = self.tried, self.held, self.rank
        job.body, job.trace = self.body, self.trace
        return job
