"""One connection to a host and the transactions on it, one after another (RFC 5321 section 3).

A connection is a protocol object around a `ClientSession`: what arrives is fed to the session, and what it says
happens in the same callback. It pulls its next job from its owner as soon as the session can begin one, so that
to a server with PIPELINING the end of one message and the commands of the next leave in one write. It has no task
and no timer of its own; the owner looks at its `deadline` now and then.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol, final

from purport.delivery.content import Content
from purport.delivery.job import Job
from purport.delivery.tls_policy import OPPORTUNISTIC, TlsPolicy
from purport.delivery.valid_since import NO_EDIT, Edit, edit_for
from purport.mail.address import NULL, Mailbox
from purport.mail.header import header_ends
from purport.mail.reply import Reply, reply
from purport.mail.valid_since import without
from purport.net.client_tls import Flaw, Protection, flaw_of
from purport.net.listener import send_at_once
from purport.net.tls import TlsLayer, described
from purport.queue.store import QueuedMessage, QueuedRecipient
from purport.smtp.client import ClientSession
from purport.smtp.client_event import BeginTls, ClientEvent, Finished, GoAhead, Ready, Reversed
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extension import Outgoing
from purport.smtp.extensions.binarymime import BINARYMIME, is_binary, without_body
from purport.smtp.extensions.deliverby import EXTENSION as DELIVERBY
from purport.smtp.extensions.dsn import EXTENSION as DSN
from purport.smtp.extensions.eightbitmime import EXTENSION as EIGHTBITMIME
from purport.smtp.extensions.limits import EXTENSION as LIMITS
from purport.smtp.extensions.limits import NO_LIMITS
from purport.smtp.extensions.limits import read as read_limits
from purport.smtp.extensions.requiretls import NEEDS_REQUIRETLS
from purport.smtp.extensions.rrvs import EXTENSION as RRVS
from purport.smtp.extensions.smtputf8 import is_international
from purport.smtp.extensions.submitter import SUBMITTER
from purport.smtp.reply_reader import BadReply

PIECE: Final = 65536  # octets of a body on disk that are read and written in one turn of the event loop
TRANSCRIPT: Final = 8192  # characters of a dialogue that are kept with the queue entry


class Owner(Protocol):
    """Whom a connection asks for work and tells what became of it."""

    def now(self) -> float:
        """Seconds since 1970."""

    def obeys_field(self, domain: str) -> bool:
        """Whether the servers of a domain are known to obey Require-Recipient-Valid-Since (RFC 7293 section 6.1)."""

    def opened(self, connection: Connection) -> None:
        """The server is ready for transactions."""

    def refused(self, connection: Connection, stage: Stage, given: Reply) -> None:
        """The connection is of no use, and never was."""

    def next_job(self, connection: Connection) -> Job | None:
        """The next job for this connection; None: it stays idle, until `wake`."""

    def settled(self, connection: Connection, job: Job, transaction: Transaction) -> None:
        """The transaction of `job` is finished."""

    def closed(self, connection: Connection) -> None:
        """The connection is gone; nothing more is told about it."""


@final
class Connection(asyncio.Protocol):
    """A session with one address of a host."""

    __slots__ = (
        "_answered",
        "_jobs",
        "_loop",
        "_owner",
        "_patience",
        "_paused",
        "_pieces",
        "_protection",
        "_reversed",
        "_session",
        "_stalled",
        "_transport",
        "deadline",
        "demanded",
        "domains",
        "flaw",
        "host",
        "hosts",
        "known",
        "label",
        "limits",
        "local_address",
        "opened",
        "policy",
        "tls",
        "transactions",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        session: ClientSession,
        patience: Mapping[Stage | None, float],
        host: str,
        label: str,
        hosts: frozenset[str],
        protection: Protection | None = None,
        policy: TlsPolicy = OPPORTUNISTIC,
        demanded: str = "",
    ) -> None:
        """`policy` is what is asked of the connection; `demanded` is an extension without which the host is of no use
        (REQUIRETLS, or empty)."""
        self._loop = loop
        self._owner = owner
        self._session = session
        self._patience = patience
        self.host = host
        self.label = label  # host, address and port as the log shows them
        self.hosts = hosts  # all hosts of the route that this one was chosen from
        self.deadline = loop.time() + patience[Stage.GREETING]
        self.opened = False
        self.tls = ""  # version and cipher, once the connection is protected
        self.flaw: Flaw | None = None  # what was wrong with its handshake
        self.policy = policy
        self.demanded = demanded
        self.known = False  # whether the host proved who it is in another way: it logged in
        self.local_address = ""
        if policy.told:
            session.hello_dialogue.append(f"T: asked for {policy.told}")
        self.transactions = 0
        self.limits = NO_LIMITS  # of the host, once it is opened
        self.domains: set[str] = set()  # of recipients, while the host limits them
        self._transport: asyncio.Transport | None = None
        self._protection = protection  # how TLS is begun
        self._jobs: dict[Transaction, Job] = {}
        self._pieces: Iterator[bytes] | None = None  # of a body on disk, while it is being sent
        self._paused = False
        self._stalled = False  # the next piece waits for the reply to the one before
        self._answered = 0
        self._reversed: Callable[[asyncio.Transport], None] | None = None  # who takes it once the roles are reversed

    # What the owner does

    @property
    def idle(self) -> bool:
        """Whether nothing is going on."""
        return self._session.idle

    @property
    def reports(self) -> bool:
        """Whether the host reports what becomes of what it took."""
        return DSN.keyword in self._session.offers

    def offers(self, keyword: str) -> bool:
        """Whether the host offers an extension."""
        return keyword in self._session.offers

    def takes(self, job: Job) -> bool:
        """Whether the host takes what the job's message holds as it is."""
        offers = self._session.offers
        if job.body is not None:
            return True
        if is_binary(job.message.parameters):
            return BINARYMIME in offers
        return not job.content.eightbit or EIGHTBITMIME.keyword in offers

    @property
    def delivers(self) -> bool:
        """Whether what the host takes is in a mailbox: it speaks LMTP (RFC 2033 section 2)."""
        return self._session.lmtp

    @property
    def keeps_time(self) -> bool:
        """Whether the host keeps the time that a message is to be delivered in."""
        return DELIVERBY.keyword in self._session.offers

    @property
    def protected(self) -> bool:
        """Whether TLS protects it and the host proved to be the right one (RFC 8689 section 2)."""
        return bool(self.tls) and (self.known or self.policy.proves)

    def room(self, recipients: Sequence[QueuedRecipient]) -> Sequence[QueuedRecipient]:
        """As many of a job's recipients as the next transaction may have (RFC 9422)."""
        limits = self.limits
        if limits is NO_LIMITS:
            return recipients
        domains = set(self.domains)
        fitting: list[QueuedRecipient] = []
        for recipient in recipients:
            domain = recipient.forward_path.domain.lower()
            if len(fitting) < limits.recipients and (domain in domains or len(domains) < limits.domains):
                domains.add(domain)
                fitting.append(recipient)
        return fitting

    def wake(self) -> None:
        """There may be a job again."""
        self._advance()

    def quit(self) -> None:
        """End an idle session."""
        if self._session.idle:
            self._session.quit()
            self._flush()

    def reverse(self, domains: Sequence[str], taken: Callable[[asyncio.Transport], None]) -> None:
        """Have the server send us what waits for these domains (RFC 2645), once it is ready. Where it does, `taken`
        gets the transport and this connection is over; where it does not, the owner is told as of a host that is of
        no use."""
        self._reversed = taken
        self.opened = False
        self._session.reverse(domains)

    def expire(self) -> None:
        """The deadline has passed."""
        stage = self._session.waits_for
        if self._session.closed or stage is Stage.QUIT:
            self._abort()
        elif stage is None:
            self.quit()
        else:
            self.fail(f"timed out while waiting for {stage.value}")

    def fail(self, what: str) -> None:
        """Give the connection up, and every transaction on it; `what` says why."""
        self._abandon(reply(450, "4.4.2", f"Connection with {self.label} {what}{self._doubt()}"))
        self._abort()

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's do not inherit from asyncio.Transport
        send_at_once(transport)
        name = transport.get_extra_info("sockname")
        self.local_address = str(name[0]) if isinstance(name, tuple) else ""
        if self._session.secure and self._protection is not None:
            self._begin_tls()

    def data_received(self, octets: bytes) -> None:
        if self._session.closed:
            return
        self._session.receive(octets)
        self._advance()

    def connection_lost(self, _error: Exception | None) -> None:
        stage = self._session.waits_for
        if not self._session.closed:
            during = f" while waiting for {stage.value}" if stage is not None else ""
            self._abandon(reply(450, "4.4.2", f"Connection with {self.label} lost{during}{self._doubt()}"))
        self._transport = None
        self._pieces = None
        self._owner.closed(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._pieces is not None:
            self._send_piece()

    # What the session says

    def _advance(self) -> None:
        """Let everything happen that can happen now, then write what came of it. Work is asked for before the next
        event is taken, so that the outcome does not depend on how the server's octets were cut."""
        session = self._session
        try:
            while True:
                if session.can_begin and (job := self._owner.next_job(self)) is not None:
                    self._begin(job)
                event = session.next_event()
                if event is None:
                    break
                self._happened(event)
            if self._stalled:
                self._stalled = False
                self._send_piece_soon()
        except BadReply as error:
            self._abandon(error.reply)
            self._abort()
            return
        self._flush()

    def _happened(self, event: ClientEvent) -> None:
        if isinstance(event, Finished):
            transaction = event.transaction
            self._pieces = None  # of a message that was refused before its end
            self._owner.settled(self, self._jobs.pop(transaction), transaction)
        elif isinstance(event, GoAhead):
            job = self._jobs[event.transaction]
            self._send_message(job)
        elif isinstance(event, BeginTls):
            self._begin_tls()
        elif isinstance(event, Ready):
            if self.demanded and self.demanded not in self._session.offers:
                self._session.quit()
                self._owner.refused(self, Stage.PROTECTION, NEEDS_REQUIRETLS)
                return
            self.opened = True
            self.limits = read_limits(self._session.offers.get(LIMITS.keyword))
            self._owner.opened(self)
        elif isinstance(event, Reversed):
            self._hand_over()
        elif not self.opened:
            self._owner.refused(self, event.stage, event.reply)

    def _hand_over(self) -> None:
        """The roles are reversed: what comes from now on is not ours to read."""
        transport, self._transport = self._transport, None
        assert transport is not None
        assert self._reversed is not None
        self._owner.closed(self)
        self._reversed(transport)

    def _begin_tls(self) -> None:
        """Put TLS between us and the socket; until the handshake is made nothing is heard."""
        assert self._protection is not None
        assert self._transport is not None
        protection = self._protection
        layer = TlsLayer(
            self._loop,
            self._transport,
            self,
            protection.context,
            self._tls_done,
            server_hostname=protection.host,
        )
        self._transport = layer
        self.deadline = self._loop.time() + self._patience[Stage.STARTTLS]
        layer.begin()

    def _tls_done(self, error: Exception | None) -> None:
        layer, protection = self._transport, self._protection
        assert isinstance(layer, TlsLayer)
        assert protection is not None
        flaw = protection.check(layer.tls) if error is None else flaw_of(error)
        if flaw is not None:
            # A connection that was lost proves nothing about the host: it may be another the next time.
            status = "4.7.5" if error is None or isinstance(error, ssl.SSLError) else "4.4.2"
            self.flaw = flaw if status == "4.7.5" else None
            self._abandon(reply(450, status, f"TLS handshake with {self.label} failed: {flaw.text}"), Stage.STARTTLS)
        if error is not None:  # the layer tells us no more
            self._transport = None
            self._owner.closed(self)
            return
        if flaw is not None:
            layer.close()
            return
        self.tls = " ".join(described(layer.tls))
        session = self._session
        if session.waits_for is Stage.STARTTLS:
            session.secured(f"{self.tls} ({protection.told})")
        else:  # from the first octet: the greeting comes next
            session.hello_dialogue.append(f"T: {self.tls} ({protection.told})")
        self._flush()

    def _begin(self, job: Job) -> None:
        message = job.message
        content = job.content
        job.edit = self._edit(job)
        size = message.body.size if job.body is None else len(job.body)
        outgoing = Outgoing(
            len(job.trace) + size + job.edit.octets,
            content.responsible(job.trace) if SUBMITTER.keyword in self._session.offers else None,
            content.eightbit,
            message.parameters if job.body is None else without_body(message.parameters),
            priority=message.priority,
            age=self._owner.now() - message.arrived_at,
            authenticated=self._session.authenticated,
            protected=self.protected,
            requires_tls=message.reverse_path is not NULL and not self._session.lmtp,
            utf8=needs_utf8(message, content),
            utf8_recipients=not all(recipient.forward_path.local_part.isascii() for recipient in job.recipients),
        )
        transaction = Transaction(message.reverse_path, job.recipients, outgoing)
        self._jobs[transaction] = job
        self.transactions += 1
        if self.limits is not NO_LIMITS:
            self.domains.update(recipient.forward_path.domain.lower() for recipient in job.recipients)
        self._session.begin(transaction)

    def _edit(self, job: Job) -> Edit:
        """What is done to the message for this host; nothing where neither it nor its recipient asks for that."""
        message, recipients = job.message, job.recipients
        if not message.parameters.items and not recipients[0].parameters.items:
            return NO_EDIT
        offered = RRVS.keyword in self._session.offers
        return edit_for(message, recipients, job.content.beginning, offered=offered, obeyed=self._owner.obeys_field)

    def _send_message(self, job: Job) -> None:
        """Our trace fields, then the body: at once from memory, piece by piece from disk. In chunks the header is the
        first one."""
        session, message, edit = self._session, job.message, job.edit
        octets = job.body if job.body is not None else message.body.octets()
        head = job.trace + edit.field
        if octets is None:
            pieces = message.body.pieces(PIECE)
            self._pieces = _header_first(head, without(pieces, edit.left_out) if edit.left_out else pieces)
            self._send_piece_soon()
            return
        if edit.left_out:
            octets = b"".join(without((octets,), edit.left_out))
        end = max(header_ends(octets), 0) if session.chunking else 0
        session.send_data(head + octets[:end])
        session.send_data(octets[end:])
        session.end_data()

    def _send_piece_soon(self) -> None:
        if not self._paused:  # else `resume_writing` goes on
            self._loop.call_soon(self._send_piece)

    def _send_piece(self) -> None:
        """One piece a turn of the loop, and none while the server does not take the ones before it."""
        if self._pieces is None or self._paused:
            return
        if self._session.congested:  # `_advance` goes on when the server has answered
            self._stalled = True
            return
        try:
            piece = next(self._pieces, None) if self._session.wants_data else None
        except OSError as error:
            self.fail(f"given up: the message cannot be read ({error.strerror})")
            return
        if piece is not None:
            self._session.send_data(piece)
            self._flush()
            self._send_piece_soon()
            return
        self._pieces = None
        if self._session.wants_data:
            self._session.end_data()
        self._advance()

    def _abandon(self, given: Reply, stage: Stage | None = None) -> None:
        """`given` settles whatever is open."""
        stage = stage or self._session.waits_for or Stage.QUIT
        self._session.abandon(given)
        while (event := self._session.next_event()) is not None:
            self._happened(event)
        if not self.opened:
            self._owner.refused(self, stage, given)

    def _doubt(self) -> str:
        """RFC 5321 section 4.5.4.1: what was sent to its end may be there, and will be sent again."""
        return "; the message may arrive twice" if self._session.waits_for is Stage.END_OF_DATA else ""

    def _flush(self) -> None:
        transport, session = self._transport, self._session
        if transport is None:
            return
        sending = session.to_send()
        if sending:
            transport.writelines(sending)
        if sending or session.answered != self._answered:  # a reply that drips in is no progress before its end
            self._answered = session.answered
            self.deadline = self._loop.time() + self._patience[session.waits_for]
        if session.closed:
            transport.close()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def beginning(self) -> str:
        """The dialogue before the first transaction, as far as its limit reaches."""
        return "\n".join(self._session.hello_dialogue)[:TRANSCRIPT]

    def transcript(self, transaction: Transaction) -> str:
        """The dialogue from the greeting to the end of the transaction, as far as its limit reaches."""
        return "\n".join(self._session.hello_dialogue + transaction.dialogue())[:TRANSCRIPT]


def needs_utf8(message: QueuedMessage, content: Content) -> bool:
    """Whether the header or the reverse-path can go to no host without SMTPUTF8. What came without it is sent as it
    came: octets beyond ASCII in a header are then what they always were, wrong and bearable."""
    reverse_path = message.reverse_path
    if isinstance(reverse_path, Mailbox) and not reverse_path.local_part.isascii():
        return True
    return is_international(message.parameters) and content.header_in_utf8(message.trace)


def _header_first(trace: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The header with our trace fields on top as one piece, as far as the first piece of the body has it, then the
    rest."""
    first = next(pieces, b"")
    end = max(header_ends(first), 0)
    yield trace + first[:end]
    yield first[end:]
    yield from pieces
