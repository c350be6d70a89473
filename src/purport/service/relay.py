"""The SMTP front door: octets in, decisions asked, messages into the queue, replies out.

A connection is a protocol object that feeds octets to a `ServerSession` and answers in the same callback. It waits for
two things only: DNS answers that are not in the cache, and the disk.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar, cast, final

from purport.authentication.authres.removal import removed
from purport.authentication.dkim.sign import FORM
from purport.authentication.dkim.signer import NO_SIGNER, Signer
from purport.authentication.dmarc.memory import DmarcMemory
from purport.authentication.message import MessageReader
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.authentication.spf.checker import Checker
from purport.delivery.route import on_demand, quarantined
from purport.delivery.visit import Visitor, Visits
from purport.dns.lookup import Evaluation, Resolver, Suspended, start, together
from purport.forwarding.expansion import CannotExpand, Expansion
from purport.forwarding.mark import marked
from purport.forwarding.plan import Plan
from purport.forwarding.resent import resent_block
from purport.ledger.record import RecordedPolicy
from purport.log import client_text, escaped
from purport.mail import reply as replies
from purport.mail.address import Mailbox
from purport.mail.domain import normal_domain
from purport.mail.envelope import Parameters
from purport.mail.header import HEADER_LIMIT, Header, read_header, without_fields
from purport.mail.reply import Reply, reply
from purport.mail.trace import count_received, date, protocol_word, received
from purport.mail.valid_since import FIELD as VALID_SINCE
from purport.net import proxy
from purport.net.listener import Admission, client_address, send_at_once
from purport.net.tls import HANDSHAKE_SECONDS, TlsLayer, described, problem_of
from purport.policy.decision import Rule
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.policy.forwarding import goes_round, may_forward
from purport.policy.gather import facts_behind, known, mail_facts, message_facts, named, whole_message_facts
from purport.policy.login import Login
from purport.policy.on_demand import Customer, Wanted, wanted
from purport.policy.policy import Policy
from purport.policy.priority import PriorityPolicy, sender_reply
from purport.policy.queue_start import Grant, Granted, granted, may_ask
from purport.policy.relaying import RULE as RELAYING
from purport.policy.results import results
from purport.policy.sealing import sealed
from purport.policy.signing import signed_author
from purport.policy.submission import ANY, missing_fields
from purport.policy.submitter import Verdict
from purport.queue.queue_id import QueueIds
from purport.queue.store import Body, NotStored, QueuedMessage, QueuedRecipient, QueueStore, Spool
from purport.reporting.dmarc.row import DmarcRow, row_of_message
from purport.service.forwarding import (
    FORWARDED,
    NOT_SET_UP,
    Division,
    ForwardDesk,
    Named,
    PassedOn,
    Pending,
    found_or_refused,
)
from purport.service.holding import Holding, HoldingLimits
from purport.service.login import Exchange, LoginDesk, Turn
from purport.service.throttle import Throttle
from purport.service.transaction import Chronicle, Transaction
from purport.service.valid_since import tunnelled, unprotected
from purport.smtp.event import (
    Atrn,
    Auth,
    AuthResponse,
    Data,
    EndOfChunk,
    EndOfData,
    Etrn,
    Event,
    Hello,
    Mail,
    MessageOctets,
    Quit,
    Rcpt,
    Reset,
    StartTls,
    Xclient,
)
from purport.smtp.extensions import atrn
from purport.smtp.extensions.etrn import asked_before, not_allowed, not_started, started
from purport.smtp.extensions.futurerelease import DAY, refusal, release_at
from purport.smtp.extensions.mtpriority import MT_PRIORITY
from purport.smtp.extensions.requiretls import tagged
from purport.smtp.extensions.rrvs import RRVS
from purport.smtp.extensions.smtputf8 import is_international
from purport.smtp.extensions.starttls import NOT_NOW
from purport.smtp.extensions.submitter import SUBMITTER
from purport.smtp.server import Profile, ServerSession
from purport.smtp.state import State

T = TypeVar("T")

AHEAD_OCTETS: Final = 65536  # octets a client may send while its command waits for DNS or disk, until we stop reading
SLOWEST: Final = 1024.0  # octets a second below which mail data counts as dripping
PROXY_SECONDS: Final = 10.0  # for a proxy to say whom it speaks for; it does so with its first segment
DNS_SECONDS: Final = 20.0  # for all questions of one check (RFC 7208 section 4.6.4)
NEVER: Final = float("inf")
# Why nothing is read from a client: it sent too far ahead, it does not take its replies, the disk is behind.
AHEAD: Final = 1
UNREAD: Final = 2
DISK: Final = 4
POSTMASTER: Final = "postmaster"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds (RFC 5321 section 4.5.3.2.7 asks for five minutes)."""

    command: float = 300.0  # from our reply to the end of the next command line
    data: float = 180.0  # for mail data, besides one second for every SLOWEST octets


@final
@dataclass(frozen=True, slots=True)
class Front:
    """What the connections of one listener share. A reload makes a new one, for who comes from then on."""

    profile: Profile
    policy: Policy
    recorded: RecordedPolicy  # what the ledger says of the policy
    patience: Patience
    trusts: Callable[[str], bool]  # whether XCLIENT of this client address is believed
    proxied: Callable[[str], bool]  # whether a peer with this address has to send a PROXY header
    certificate: Callable[[], ssl.SSLContext | None]  # to begin TLS with, as it is now
    tls_first: bool  # whether TLS comes before the greeting (RFC 8314 section 3.3)
    next_hop: Callable[[str], str]
    lifetime: float  # seconds until a message that could not be delivered is returned
    hold: bool  # whether messages wait for an operator before they are tried
    priority: PriorityPolicy
    holding: HoldingLimits
    etrn: Sequence[Grant] = ()  # who may start the delivery of what waits for which domains
    desk: LoginDesk | None = None  # where clients log in
    signer: Signer = NO_SIGNER  # signs what users submit
    forwarding: ForwardDesk | None = None  # where mail goes on, and back
    sealer: Signer = NO_SIGNER  # seals what goes on
    guest: Mailbox | None = None  # who is responsible for what clients send anywhere without a login
    client_names: bool = False  # whether the names of clients are looked up
    takes_mail: bool = True  # else everybody is told so and let go
    judged: bool = False  # the clients are servers of ours, which judged their own
    customers: Sequence[Customer] = ()  # who may come for which domains' mail


@final
@dataclass(slots=True)
class House:
    """What all listeners of the process share."""

    resolver: Resolver
    within: Callable[[float], Resolver]  # the same resolver for a number of seconds
    checker: Checker
    dmarc: DmarcMemory
    store: QueueStore
    chronicle: Chronicle
    ids: QueueIds
    admission: Admission
    holding: Holding
    submit: Callable[[QueuedMessage], None]  # hands a stored message to delivery
    hasten: Callable[[Container[str]], Awaitable[int]]  # tries what waits for some domains; how many messages that are
    throttle: Throttle
    expanded: Callable[[QueuedMessage, Sequence[QueuedRecipient], float], list[QueuedMessage]]
    look: Callable[[QueuedMessage], None]  # tells delivery that a message was stored which is due later
    clock: Callable[[], float]
    report_dmarc: Callable[[DmarcRow], None]  # counts a message for the report to its author's domain
    visits: Visits


@final
class Relay:
    """The connections of one listener, and what they need."""

    def __init__(self, front: Front, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self.front = front
        self.house = house
        self.loop = loop
        self.connections: set[Connection] = set()
        self.waiting: set[asyncio.Task[None]] = set()
        self._second = 0
        self._date = ""

    def connection(self) -> Connection:
        """A protocol for the next connection."""
        return Connection(self)

    def take(self, transport: asyncio.Transport, gone: Callable[[int], None]) -> None:
        """Serve who was the server on this connection until now (RFC 2645 section 5.3): it waits for our greeting.
        `gone` is told, when it is, how many messages it brought."""
        connection = Connection(self, gone)
        transport.set_protocol(connection)
        connection.reversed(transport)

    def expire(self) -> None:
        """Close the connections whose client took too long; to be called once a second or so."""
        now = self.loop.time()
        for connection in [connection for connection in self.connections if connection.deadline < now]:
            connection.expire()

    def stop(self) -> None:
        """Close the connections that are between transactions; the others when their transaction is over."""
        for connection in list(self.connections):
            connection.stop()

    def break_off(self) -> None:
        """Close every connection."""
        for connection in list(self.connections):
            connection.close(replies.SHUTTING_DOWN)

    def date(self, now: float) -> str:
        """The date of a trace field; one text for each second."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._date = date(now)
        return self._date


@final
class Connection(asyncio.Protocol):
    """One SMTP session over one transport."""

    __slots__ = (
        "_address",
        "_ahead",
        "_client",
        "_ended",
        "_exchange",
        "_front",
        "_gone",
        "_held",
        "_proxied",
        "_relay",
        "_session",
        "_shaking",
        "_stopping",
        "_stored",
        "_transaction",
        "_transport",
        "_waiting",
        "deadline",
    )

    def __init__(self, relay: Relay, gone: Callable[[int], None] | None = None) -> None:
        self._relay = relay
        self._gone = gone
        self._stored = 0  # messages
        self._front = relay.front  # also when the settings are read again meanwhile
        self._session: ServerSession | None = None
        self._transaction: Transaction | None = None
        self._exchange: Exchange | None = None  # of AUTH, from its first step to its last
        self._waiting = False  # the last command is unanswered
        self._held = 0  # the reasons why nothing is read
        self._ended = False  # the client will send nothing more
        self._stopping = False
        self._ahead = 0
        self._proxied: bytes | None = None  # of a PROXY header that has to come first
        self._shaking = False  # a TLS handshake goes on: nothing can be said
        self.deadline = NEVER

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        relay = self._relay
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class, but in all they do
        address, _ = client_address(transport)
        if self._front.proxied(address):
            self._address = address
            self._proxied = b""
            self.deadline = relay.loop.time() + PROXY_SECONDS
            relay.connections.add(self)
        else:
            self._begin(address)

    def reversed(self, transport: asyncio.Transport) -> None:
        """The other side was the server until now, in clear or under TLS."""
        self._transport = transport
        tls = described(transport.tls) if isinstance(transport, TlsLayer) else ("", "")
        self._begin(client_address(transport)[0], tls=tls)

    def _begin(self, address: str, octets: bytes = b"", tls: tuple[str, str] = ("", "")) -> None:
        """The client is known: greet it, where there is room. `octets` is what it said already, `tls` how the
        connection is protected."""
        relay = self._relay
        self._address = address
        self._client = Client(address, None, "", True, *tls)
        if not relay.house.admission.enter(self._address):
            relay.house.chronicle.connection(client_text(None, self._address), "too many connections")
            self._transport.write(replies.TOO_MANY_CONNECTIONS.octets())
            self._transport.close()
            return
        send_at_once(self._transport)
        front = self._front
        if not front.takes_mail:
            relay.house.admission.leave(address)
            self._transport.write(replies.TAKES_NO_MAIL.octets())
            self._transport.close()
            return
        self._session = ServerSession(
            front.profile,
            xclient_allowed=front.trusts(address),
            secure=front.tls_first or bool(tls[0]),
            today=int(relay.house.clock() // DAY),
            etrn_allowed=may_ask(front.etrn, address),
        )
        relay.connections.add(self)
        if front.tls_first:
            self._secure(octets)
            return
        self._session.greet()
        self._flush(self._session)
        if octets:
            self.data_received(octets)

    def data_received(self, octets: bytes) -> None:
        session = self._session
        if session is None:
            if self._proxied is not None:
                self._read_proxy(self._proxied + octets)
            return
        session.receive(octets)
        if self._waiting:
            self._ahead += len(octets)
            if self._ahead > AHEAD_OCTETS:
                self._hold(AHEAD)
            return
        self._advance(session)

    def _read_proxy(self, octets: bytes) -> None:
        """The beginning of a connection from a proxy: whom it speaks for, and then the client's own octets."""
        try:
            found = proxy.read_header(octets)
        except ValueError as error:
            self._proxied = None
            self._relay.house.chronicle.connection(client_text(None, self._address), str(error))
            self._transport.close()
            return
        if found is None:
            self._proxied = octets
            return
        self._proxied = None
        self._relay.connections.discard(self)
        self._begin(self._address if found.client is None else found.client, octets[found.octets :])

    def eof_received(self) -> bool:
        self._ended = True
        return self._waiting  # the reply that is on its way may still be sent

    def connection_lost(self, _error: Exception | None) -> None:
        self._relay.connections.discard(self)
        self._proxied = None
        if self._gone is not None:
            self._gone(self._stored)
        if self._session is None:
            return
        self._session = None
        if self._exchange is not None and not self._waiting:
            self._exchange.drop()
        self._relay.house.admission.leave(self._address)
        if not self._waiting:
            self._drop()

    def pause_writing(self) -> None:
        """The client does not read its replies: take nothing more from it."""
        self._hold(UNREAD)

    def resume_writing(self) -> None:
        self._let_go(UNREAD)

    # What the service says

    def expire(self) -> None:
        """The client was too slow."""
        if self._session is not None:
            state = self._session.state.name
            self._relay.house.chronicle.connection(
                client_text(self._client.name, self._client.address), f"timeout after {state}"
            )
            unread = self._held & UNREAD
            self.close(replies.TIMED_OUT)
            if unread:  # it would take no notice of the last reply either
                self._transport.abort()
        elif self._proxied is not None:
            self._relay.house.chronicle.connection(client_text(None, self._address), "timeout before the PROXY header")
            self._transport.abort()

    def stop(self) -> None:
        """Take no further transaction."""
        self._stopping = True
        if self._transaction is None and not self._waiting and not self._shaking:
            self.close(replies.SHUTTING_DOWN)

    def close(self, last: Reply) -> None:
        """Say 421 and go (RFC 5321 section 3.8). A message that waits for the disk may still be kept: the client was
        not told so, and may send it again."""
        if self._shaking:
            self._transport.abort()
        elif self._session is not None:
            self._transport.write(self._session.to_send() + last.octets())
            self._transport.close()
            self.deadline = NEVER
        elif self._proxied is not None:
            self._transport.close()

    # Events

    def _advance(self, session: ServerSession) -> None:
        """Answer every command that has arrived and needs no waiting."""
        try:
            while (event := session.next_event()) is not None:
                if isinstance(event, MessageOctets):
                    self._take(event.octets)
                    continue
                if isinstance(event, Quit):
                    break
                given = self._handle(event)
                if given is None:
                    self._wait()
                    return
                session.answer(given)
        except Exception as error:  # noqa: BLE001  # a fault of ours: told once, and the client may come again
            self._fail(error)
            return
        self._flush(session)

    def _handle(self, event: Event) -> Reply | None:
        """The reply to a command, or None where it has to wait."""
        if isinstance(event, Mail):
            return self._mail(event)
        if isinstance(event, Rcpt):
            return self._rcpt(event)
        if isinstance(event, Data):
            return self._data()
        if isinstance(event, EndOfData):
            return self._end_of_data(event)
        if isinstance(event, EndOfChunk):
            return self._end_of_chunk(event)
        if isinstance(event, Hello):
            self._drop()
            self._client = replace(self._client, hello_domain=event.domain, extended=event.verb != "HELO")
            return replies.OK
        if isinstance(event, Reset):
            self._drop()
            return replies.OK
        if isinstance(event, StartTls):
            return NOT_NOW if self._front.certificate() is None else replies.OK
        if isinstance(event, Etrn):
            return self._etrn(event)
        if isinstance(event, Atrn):
            return self._atrn(event)
        if isinstance(event, Auth | AuthResponse):
            self._auth(event)
            return None
        assert isinstance(event, Xclient)
        return self._xclient(event)

    def _flush(self, session: ServerSession) -> None:
        octets = session.to_send()
        if octets:
            self._transport.write(octets)
            patience = self._front.patience
            in_data = session.state is State.DATA
            self.deadline = self._relay.loop.time() + (patience.data if in_data else patience.command)
        if session.state is State.HANDSHAKE:
            self._secure()
        elif session.closed or self._ended:
            self._transport.close()
        elif self._stopping and self._transaction is None:
            self.close(replies.SHUTTING_DOWN)

    # TLS

    def _secure(self, octets: bytes = b"") -> None:
        """Begin the TLS handshake; `octets` of it were read already. Nothing more is read in clear."""
        context = self._front.certificate()
        assert context is not None  # else TLS is not begun
        self._let_go(self._held)
        self._shaking = True
        self.deadline = self._relay.loop.time() + HANDSHAKE_SECONDS
        layer = TlsLayer(self._relay.loop, self._transport, self, context, self._secured, server_side=True)
        self._transport = layer
        layer.begin(octets)

    def _secured(self, error: Exception | None) -> None:
        """The handshake is done, or failed."""
        self._shaking = False
        session, layer = self._session, self._transport
        assert isinstance(layer, TlsLayer)
        if error is not None:
            told = client_text(self._client.name, self._client.address)
            self._relay.house.chronicle.connection(told, f"TLS handshake failed: {problem_of(error)}")
            self.connection_lost(error)
        elif session is not None:
            # What was said in clear may have been said by anybody (RFC 3207 section 4.2).
            self._client = Client(self._address, None, "", True, *described(layer.tls))
            if session.state is State.HANDSHAKE:
                session.secured()
                self.deadline = self._relay.loop.time() + self._front.patience.command
            else:
                session.greet()
            self._flush(session)

    # Waiting

    def _when(self, evaluation: Evaluation[T], then: Callable[[T], Reply | None]) -> Reply | None:
        """`then` with the result: at once where the DNS cache knows every answer, else when the answers are there."""
        outcome = start(evaluation, self._relay.house.resolver)
        if not isinstance(outcome, Suspended):
            return then(outcome)
        task = self._relay.loop.create_task(self._ask(outcome, then))
        self._relay.waiting.add(task)
        task.add_done_callback(self._relay.waiting.discard)
        return None

    async def _ask(self, suspended: Suspended[T], then: Callable[[T], Reply | None]) -> None:
        try:
            resolver = self._relay.house.within(DNS_SECONDS)
            given = then(await suspended.finish(resolver, asyncio.gather))
        except Exception as error:  # noqa: BLE001  # as in _advance
            self._fail(error)
            return
        if given is not None:
            self._answer(given)

    def _wait(self) -> None:
        """The last command is answered later: send what was answered before it, and let nobody hurry the client."""
        session = self._session
        self._waiting = True
        if session is not None:
            octets = session.to_send()
            if octets:
                self._transport.write(octets)
        self.deadline = NEVER

    def _answer(self, given: Reply) -> None:
        """The reply to the command that had to wait."""
        self._waiting = False
        self._ahead = 0
        session = self._session
        if session is None:  # the client is gone
            self._drop()
            return
        session.answer(given)
        if self._held:
            self._let_go(AHEAD)
        self._advance(session)

    def _hold(self, reason: int) -> None:
        """Read nothing more, until every reason is gone."""
        if not self._held and not self._transport.is_closing():
            self._transport.pause_reading()
        self._held |= reason

    def _let_go(self, reason: int) -> None:
        """A reason not to read is gone."""
        held, self._held = self._held, self._held & ~reason
        if held and not self._held and not self._transport.is_closing():
            self._transport.resume_reading()

    def _fail(self, error: Exception) -> None:
        self._relay.house.chronicle.failure(error)
        self._waiting = False
        self._drop()
        self.close(reply(421, "4.3.0", "Local error in processing; closing connection"))

    # Commands

    def _xclient(self, event: Xclient) -> Reply:
        """Another client than the one that is connected (Postfix XCLIENT_README)."""
        self._drop()
        attributes, client = event.attributes, self._client
        address = attributes.get("ADDR", client.address) or client.address
        name = attributes.get("NAME", client.name)
        hello_domain = attributes.get("HELO", "") or ""
        # Another client than the one that may have logged in; a gateway that checked a login itself says whose it is.
        named = attributes.get("LOGIN")
        login = None if named is None else self._known_login(named)
        self._client = replace(
            client, address=address, name=name, hello_domain=hello_domain, extended=True, login=login
        )
        assert self._session is not None
        self._session.log_in(login is not None)
        return replies.OK

    def _etrn(self, event: Etrn) -> Reply | None:
        """Start the delivery of what waits for some domains (RFC 1985), at the client's request."""
        node = f"{event.option}{event.node}"
        found = granted(self._front.etrn, self._client.address, event.option, event.node)
        relay = self._relay
        if found is None:
            return self._etrn_answered(not_allowed(node))
        key = ("ETRN", self._client.address, node.lower())
        if not relay.house.throttle.allows(key, relay.loop.time(), found.seconds):
            return self._etrn_answered(asked_before(node))
        task = relay.loop.create_task(self._start_queue(node, found))
        relay.waiting.add(task)
        task.add_done_callback(relay.waiting.discard)
        return None

    async def _start_queue(self, node: str, found: Granted) -> None:
        try:
            given = started(node, await self._relay.house.hasten(found.nodes))
        except NotStored:
            given = not_started(node)
        except Exception as error:  # noqa: BLE001  # as in _advance
            self._fail(error)
            return
        self._answer(self._etrn_answered(given))

    def _etrn_answered(self, given: Reply) -> Reply:
        client = client_text(self._client.name, self._client.address)
        self._relay.house.chronicle.connection(client, f"ETRN: {given}")
        return given

    def _atrn(self, event: Atrn) -> Reply | None:
        """Give the client what waits for its domains, over this connection (RFC 2645)."""
        relay, login = self._relay, self._client.login
        assert login is not None  # the session lets nobody else ask
        found = wanted(self._front.customers, login.name, event.domains)
        if found is None:
            return self._atrn_answered(atrn.NOT_YOURS)
        key = ("ATRN", login.name, *sorted(found.domains))
        if not relay.house.throttle.allows(key, relay.loop.time(), found.seconds):
            return self._atrn_answered(atrn.ASKED_BEFORE)
        task = relay.loop.create_task(self._find_mail(found))
        relay.waiting.add(task)
        task.add_done_callback(relay.waiting.discard)
        return None

    async def _find_mail(self, found: Wanted) -> None:
        next_hops = frozenset(map(on_demand, found.domains))
        try:
            given = atrn.REVERSING if await self._relay.house.visits.any_waits(next_hops) else atrn.NO_MAIL
        except NotStored:
            given = atrn.NOT_NOW
        except Exception as error:  # noqa: BLE001  # as in _advance
            self._fail(error)
            return
        session = self._session
        self._answer(self._atrn_answered(atrn.NOT_NOW if self._stopping else given))
        if session is not None and session.state is State.REVERSED and not self._transport.is_closing():
            self._reverse(next_hops)

    def _atrn_answered(self, given: Reply) -> Reply:
        client, login = client_text(self._client.name, self._client.address), self._client.login
        self._relay.house.chronicle.connection(client, f"ATRN of {escaped(login.name) if login else 'nobody'}: {given}")
        return given

    def _reverse(self, next_hops: frozenset[str]) -> None:
        """The client is the server from here on, and its place here is taken until it goes."""
        house, client, address = self._relay.house, self._client, self._address
        self._relay.connections.discard(self)
        self._session = None
        self._let_go(self._held)

        def gone(recipients: int, refusal: str) -> None:
            house.admission.leave(address)
            told = f"its host refused: {escaped(refusal)}" if refusal else f"{recipients} recipients sent"
            house.chronicle.connection(client_text(client.name, client.address), f"ATRN: {told}")

        _, port = client_address(self._transport)
        label = f"[{client.address}]:{port}"
        house.visits.begin(Visitor(self._transport, label, f"{client.tls} {client.cipher}".strip(), next_hops, gone))

    def _known_login(self, name: str) -> Login:
        desk = self._front.desk
        if desk is None:  # what the login may say is the gateway's to know
            return Login(name, (ANY,), "XCLIENT")
        return replace(desk.authenticator.login(name), mechanism="XCLIENT")

    def _auth(self, event: Auth | AuthResponse) -> None:
        """A step of a login: it is answered when it is known what to say."""
        desk, session = self._front.desk, self._session
        assert desk is not None  # the session offers no mechanisms without one
        assert session is not None
        if isinstance(event, Auth):
            exchange = self._exchange = Exchange(event, self._client, session.terms, {}, desk)
            turn = exchange.begin()
        else:
            assert self._exchange is not None
            turn = self._exchange.respond(event)
        task = self._relay.loop.create_task(self._take_turn(turn))
        self._relay.waiting.add(task)
        task.add_done_callback(self._relay.waiting.discard)

    async def _take_turn(self, awaited: Awaitable[Turn]) -> None:
        try:
            turn = await awaited
        except Exception as error:  # noqa: BLE001  # as in _advance
            self._fail(error)
            return
        if turn.over or self._session is None:
            self._exchange = None
        if turn.login is not None:
            self._client = replace(self._client, login=turn.login)
        self._answer(turn.reply)

    def _mail(self, mail: Mail) -> Reply | None:
        house, front = self._relay.house, self._front
        now = house.clock()
        submitter = None
        transaction = Transaction(house.ids.next(), now, mail, front.recorded)
        if mail.parameters.items:
            unheld = self._hold_refusal(mail, now)
            if unheld is not None:
                return unheld
            submitter = mail.parameters.get(SUBMITTER)
            self._urgency(transaction, mail)
        self._transaction = transaction
        client, policy = self._client, front.policy
        unasked = MailFacts(client, mail.reverse_path, submitter, None, None, None)
        if front.judged:
            return self._mail_known(transaction, unasked)
        if client.address in policy.trusted_hops.networks:  # the header will say who its client is
            evaluation = known(unasked)
        else:
            evaluation = mail_facts(
                house.checker, client, mail.reverse_path, submitter, now, check_helo=policy.check_helo
            )
        if front.client_names and client.iprev is None and client.name is None:
            both = together(evaluation, named(client))
            return self._when(both, lambda found: self._mail_known(transaction, self._name(*found)))
        return self._when(evaluation, lambda facts: self._mail_known(transaction, facts))

    def _name(self, facts: MailFacts, client: Client) -> MailFacts:
        """The name of the client is known, for as long as the connection lasts."""
        self._client = client
        return replace(facts, client=client)

    def _hold_refusal(self, mail: Mail, now: float) -> Reply | None:
        """Why the message cannot wait for its time here (RFC 4865); None where it can, or is not to."""
        if release_at(mail.parameters, now) is None:
            return None
        house = self._relay.house
        given = refusal(mail.parameters, mail.reverse_path, now)
        given = given or house.holding.refusal(self._front.holding, mail.reverse_path, now)
        if given is not None:
            house.chronicle.connection(client_text(self._client.name, self._client.address), f"not held ({given})")
        return given

    def _urgency(self, transaction: Transaction, mail: Mail) -> None:
        """When the message may go, and before whom."""
        transaction.release_at = release_at(mail.parameters, transaction.arrived_at) or 0.0
        asked = transaction.asked = mail.parameters.get(MT_PRIORITY)
        if asked:
            assert self._session is not None  # a command of it is being answered
            transaction.priority = self._front.priority.priority(
                asked, self._client.address, authenticated=self._session.terms.authenticated
            )

    def _mail_known(self, transaction: Transaction, facts: MailFacts) -> Reply | None:
        transaction.facts = facts
        decision = self._front.policy.at_mail(facts)
        transaction.rules = decision.rules
        if decision.reply is None:
            return sender_reply(transaction.asked or 0, transaction.priority)
        return self._refuse(transaction, "MAIL", decision.action, decision.rule, decision.reply)

    def _rcpt(self, rcpt: Rcpt) -> Reply | None:
        transaction = self._open
        forward_path = rcpt.forward_path
        if not forward_path.domain:  # RFC 5321 section 4.1.1.3: the bare Postmaster
            forward_path = Mailbox(POSTMASTER, self._front.profile.hostname)
        required = rcpt.parameters.get(RRVS) if rcpt.parameters.items else None
        since = None if required is None else required.since
        desk = self._front.forwarding
        if desk is not None and desk.concerns(forward_path):
            return self._forwarded(transaction, desk, forward_path, rcpt.parameters, since)
        return self._decided(transaction, forward_path, rcpt.parameters, since)

    def _decided(
        self,
        transaction: Transaction,
        forward_path: Mailbox,
        parameters: Parameters,
        since: float | None,
        reached: Verdict | None = None,
        named: Named | None = None,
    ) -> Reply:
        """The reply to RCPT; `reached` and `named` are what is known of a recipient whose mail goes on or back."""
        assert transaction.facts is not None
        decision = self._front.policy.at_rcpt(transaction.facts, forward_path, since, reached=reached)
        if decision.reply is not None:
            transaction.refuse_recipient(forward_path, decision)
            self._relay.house.chronicle.recipient_refused(transaction, self._client, forward_path, decision.reply)
            return decision.reply
        recipients = transaction.recipients
        if named is not None:
            forward_path = named.original or forward_path
            transaction.named[len(recipients)] = named
        next_hop = self._front.next_hop(forward_path.domain)
        recipients.append(QueuedRecipient(len(recipients), forward_path, next_hop, parameters))
        return replies.RECIPIENT_OK

    def _forwarded(
        self,
        transaction: Transaction,
        desk: ForwardDesk,
        forward_path: Mailbox,
        parameters: Parameters,
        since: float | None,
    ) -> Reply | None:
        """A recipient whose mail may go on to other addresses, or back to a sender."""
        if desk.leads_back(forward_path):
            reverse_path = transaction.mail.reverse_path
            reached, original = desk.original(forward_path, reverse_path, transaction.arrived_at)
            named = None if original is None else Named(forward_path, original=original)
            return self._decided(transaction, forward_path, parameters, since, reached, named)

        def answered(expansion: Expansion | None, refusal: Reply | None, why: str) -> Reply:
            reached: Verdict | None = None
            if refusal is not None:
                self._relay.house.chronicle.warning(f"{forward_path}: {why}")
                reached = Rule(RELAYING, "defer", why), refusal
            elif expansion is not None and not desk.reaches(expansion):
                reached = Rule(RELAYING, "refuse", "its aliases lead to no mailbox"), replies.NO_SUCH_MAILBOX
            elif expansion is not None:
                if transaction.forwarded + expansion.count > FORWARDED:
                    return replies.TOO_MANY_RECIPIENTS
                reached = Rule(RELAYING, "pass", f"its mail goes on to {expansion.count} addresses"), None
            named = None if expansion is None else Named(forward_path, expansion)
            given = self._decided(transaction, forward_path, parameters, since, reached, named)
            if expansion is not None and given.accepted:
                transaction.forwarded += expansion.count
            return given

        try:
            found = desk.begin(forward_path)
        except CannotExpand as error:
            return answered(None, NOT_SET_UP, str(error))
        if not isinstance(found, Pending):
            return answered(found, None, "")
        task = self._relay.loop.create_task(self._look_up(found, answered))
        self._relay.waiting.add(task)
        task.add_done_callback(self._relay.waiting.discard)
        return None

    async def _look_up(
        self, pending: Pending, answered: Callable[[Expansion | None, Reply | None, str], Reply]
    ) -> None:
        try:
            given = answered(*await found_or_refused(pending))
        except Exception as error:  # noqa: BLE001  # as in _advance
            self._fail(error)
            return
        self._answer(given)

    def _data(self) -> Reply:
        self._spool(self._open)
        return replies.START_MAIL_INPUT

    def _spool(self, transaction: Transaction) -> Spool:
        """Where the message goes; made for the first octets of a message in chunks, which no DATA comes before."""
        spool = transaction.spool
        if spool is None:
            spool = transaction.spool = self._relay.house.store.spool()
            front, login = self._front, self._client.login
            if (front.signer and login is not None) or (front.sealer and transaction.forwarded):
                transaction.reader = MessageReader(FORM)
        return spool

    def _take(self, octets: bytes) -> None:
        """Mail data as it comes. Once the disk has refused a piece the rest is read and dropped."""
        self.deadline += len(octets) / SLOWEST
        transaction = self._open
        if transaction.fault is not None:
            return
        spool = self._spool(transaction)
        try:
            spool.write(octets)
        except NotStored as error:
            transaction.fault = error.reply
            spool.discard()
            self._let_go(DISK)
            return
        transaction.reader.update(octets)
        if spool.congested:
            self._hold(DISK)
            spool.when_relieved(self._relieved)

    def _relieved(self) -> None:
        self._let_go(DISK)

    def _end_of_data(self, event: EndOfData) -> Reply | None:
        transaction = self._open
        spool = self._spool(transaction)
        fault = event.fault or transaction.fault
        if fault is not None:
            return self._refuse_data(transaction, spool, fault, "storage" if event.fault is None else "mail-data")
        reader = transaction.reader
        hashes = transaction.hashes = reader.finish()
        if not (self._front.judged or reader.header is None or reader.header.complete):
            # What stands in it beyond that would reach readers unseen, a forged Authentication-Results field too.
            return self._refuse_data(transaction, spool, replies.HEADER_TOO_LONG, "header")
        header = transaction.header
        if header is None or transaction.message is None:
            header = self._read_header(transaction, reader.header or read_header(spool.head(HEADER_LIMIT)))
            header_facts = self._message_facts(transaction, header)
        else:  # known since a chunk before
            header_facts = known(transaction.message)
        assert transaction.facts is not None
        return self._when(
            whole_message_facts(
                header_facts,
                transaction.facts,
                header,
                reader.signatures,
                hashes,
                transaction.arrived_at,
                self._front.policy.trusted_sealers,
                chain=reader.chain,
                memory=self._relay.house.dmarc,
            ),
            lambda facts: self._message_known(transaction, spool, header, facts),
        )

    def _end_of_chunk(self, event: EndOfChunk) -> Reply | None:
        """The chunk that completes the header is refused where the header decides: what the client has still to send
        can be as large as it likes. The message is decided again, from the same facts, when all of it is here."""
        transaction = self._open
        spool = self._spool(transaction)
        fault = event.fault or transaction.fault
        if fault is not None:
            return self._refuse_data(transaction, spool, fault, "storage" if event.fault is None else "mail-data")
        header = transaction.reader.header
        if transaction.message is not None or header is None or not header.complete:
            return replies.OK
        header = self._read_header(transaction, header)
        return self._when(
            self._message_facts(transaction, header),
            lambda facts: self._header_known(transaction, spool, header, facts),
        )

    def _read_header(self, transaction: Transaction, header: Header) -> Header:
        """The header of the message as it came; for a login with what it lacks."""
        login = self._client.login
        if login is None:
            return header
        front, relay = self._front, self._relay
        transaction.added = missing_fields(
            front.policy.submission,
            login,
            transaction.mail.reverse_path,
            header,
            date=relay.date(transaction.arrived_at),
            message_id=f"{transaction.queue_id}@{front.profile.hostname}",
        )
        return header.below(read_header(transaction.added).fields) if transaction.added else header

    def _message_facts(self, transaction: Transaction, header: Header) -> Evaluation[MessageFacts]:
        assert transaction.facts is not None
        house, policy = self._relay.house, self._front.policy
        pra = purported_responsible_address(header)
        facts, now = transaction.facts, transaction.arrived_at
        if self._client.address in policy.trusted_hops.networks:
            return facts_behind(
                policy.trusted_hops,
                house.checker,
                facts,
                header,
                pra,
                now,
                policy.submitter,
                check_helo=policy.check_helo,
            )
        return message_facts(house.checker, facts, pra, now, policy.submitter)

    def _header_known(self, transaction: Transaction, spool: Spool, header: Header, facts: MessageFacts) -> Reply:
        transaction.header, transaction.message = header, facts
        if self._front.policy.at_message(facts, header, unprotected(transaction)).reply is None:
            return replies.OK
        refusal = self._message_known(transaction, spool, header, facts)
        assert refusal is not None
        return refusal

    def _message_known(
        self, transaction: Transaction, spool: Spool, header: Header, facts: MessageFacts
    ) -> Reply | None:
        transaction.header, transaction.message = header, facts
        transaction.size = spool.size
        decision = self._front.policy.at_message(facts, header, unprotected(transaction))
        transaction.rules += decision.rules
        if decision.reply is not None:
            if not decision.reply.transient:  # else it comes again, and is counted then
                self._count(facts)
            return self._refuse(transaction, "END-OF-MESSAGE", decision.action, decision.rule, decision.reply)
        division = None
        desk = self._front.forwarding
        if transaction.forwarded and desk is not None:
            division = desk.divide(transaction.recipients, transaction.named, self._front.next_hop, header)
            verdicts = [goes_round(division.looping, others=division.reaches)]
            if division.copies:
                verdicts.append(may_forward(desk.dmarc_fail, facts))
            for rule, refusal in verdicts:
                transaction.rules += (rule,)
                if refusal is not None:
                    self._count(facts)
                    return self._refuse(transaction, "END-OF-MESSAGE", "reject", rule.name, refusal)
            if desk.repair == "least" and division.copies:
                found = facts.authentication
                plans = desk.plans(
                    self._relay.house.checker,
                    division.copies,
                    header,
                    () if found is None else found.dkim,
                    transaction.mail.reverse_path,
                    transaction.arrived_at,
                )
                return self._when(plans, lambda plans: self._store(transaction, spool, header, facts, division, plans))
        return self._store(transaction, spool, header, facts, division, {})

    def _store(
        self,
        transaction: Transaction,
        spool: Spool,
        header: Header,
        facts: MessageFacts,
        division: Division | None,
        plans: Mapping[str, Plan],
    ) -> Reply | None:
        """The message is ours to deliver: it is answered when the disk has it."""
        try:
            messages = self._messages(transaction, spool, header, facts, division, plans)
        except NotStored as error:  # there was no room for a report
            return self._refuse_data(transaction, spool, error.reply, "storage")
        accepted = reply(250, "2.0.0", f"Ok: queued as {transaction.queue_id}")
        chronicle, house = self._relay.house.chronicle, self._relay.house
        chronicle.accepted(transaction, accepted)

        def stored(error: BaseException | None) -> None:
            self._transaction = None
            if error is None:
                self._stored += 1
                chronicle.stored(transaction, self._client)
                self._count(facts)
                for message in messages:
                    if message.release_at:
                        house.holding.add(message.release_at, message.reverse_path)
                        house.look(message)
                    elif not message.held:
                        house.submit(message)
                self._answer(accepted)
            else:
                self._answer(chronicle.not_stored(transaction, self._client, error))

        if len(messages) == 1:
            house.store.accept(messages[0], stored)
        else:
            house.store.accept_all(messages, stored)
        return None

    def _count(self, facts: MessageFacts) -> None:
        """Count what DMARC found, for the owner of the domain."""
        row = row_of_message(self._front.policy.dmarc, facts)
        if row is not None:
            self._relay.house.report_dmarc(row)

    def _messages(
        self,
        transaction: Transaction,
        spool: Spool,
        header: Header,
        facts: MessageFacts,
        division: Division | None,
        plans: Mapping[str, Plan],
    ) -> list[QueuedMessage]:
        """What is stored of the message: itself, and a copy for each mailbox that forwards it. Raises NotStored."""
        relay, front = self._relay, self._front
        recipients = transaction.recipients
        if front.policy.quarantines(facts):
            for recipient in recipients if division is None else division.kept:
                recipient.next_hop = quarantined(recipient.next_hop)
        self._remove_forged(transaction, spool)
        parameters = tagged(transaction.mail.parameters, header)
        # Below our trace fields: they belong to the message.
        transaction.added = self._signatures(transaction, header) + transaction.added
        fields = front.policy.fields(facts)
        if header.first(VALID_SINCE) is not None:
            parameters = tunnelled(parameters, header, recipients)
        transaction.spool = None
        body = relay.house.store.body(spool)
        hops = count_received(header) + 1
        top = self._guest_block(transaction)
        if division is None:
            named = recipients[0].forward_path if len(recipients) == 1 else None
            trace = top + fields + self._trace(transaction, transaction.queue_id, named, parameters)
            return [self._queued(transaction, transaction.queue_id, trace, body, recipients, parameters, hops)]
        desk, reverse_path = front.forwarding, transaction.mail.reverse_path
        assert desk is not None
        messages: list[QueuedMessage] = []
        if division.kept:
            named = recipients[0].forward_path if len(recipients) == 1 else None
            trace = top + fields + self._trace(transaction, transaction.queue_id, named, parameters)
            messages.append(
                self._queued(transaction, transaction.queue_id, trace, body, division.kept, parameters, hops)
            )
        for copy in division.copies:
            queue_id = relay.house.ids.next() if messages else transaction.queue_id
            repair = desk.repair_of(copy.forwarder, plans)
            block = desk.block(copy.forwarder, queue_id, relay.date(transaction.arrived_at), repair)
            trace = block + fields + self._trace(transaction, queue_id, copy.forwarder, parameters)
            trace = self._seal(transaction, copy.forwarder, trace, facts) + trace
            carried = marked(parameters, copy.forwarder)
            message = self._queued(transaction, queue_id, trace, body, copy.recipients, carried, hops)
            message.reverse_path = desk.reverse_path(copy.forwarder, reverse_path, transaction.arrived_at, repair)
            messages.append(message)
            planned = plans.get(normal_domain(copy.forwarder.domain))
            expected = "" if planned is None else planned.told
            transaction.passed_on.append(PassedOn(message, copy.forwarder, repair, expected))
        if division.expanded:
            original = replace(messages[0], reverse_path=reverse_path)
            messages += relay.house.expanded(original, division.expanded, transaction.arrived_at)
        return messages

    def _guest_block(self, transaction: Transaction) -> bytes:
        """Who answers for mail of clients that did not say who they are (RFC 4405 section 5.4)."""
        front, relay = self._front, self._relay
        client = self._client
        if front.guest is None or client.login is not None or client.address not in front.policy.relaying.networks:
            return b""
        message_id = f"{transaction.queue_id}@{front.profile.hostname}"
        return resent_block(front.guest, date=relay.date(transaction.arrived_at), message_id=message_id)

    def _trace(
        self, transaction: Transaction, queue_id: str, forward_path: Mailbox | None, parameters: Parameters
    ) -> bytes:
        """Our Received field, and below it what a submission lacked: it belongs to the message."""
        front, client = self._front, self._client
        trace = received(
            hello_domain=client.hello_domain,
            client_name=client.name,
            client_address=client.address,
            hostname=front.profile.hostname,
            protocol=protocol_word(
                extended=client.extended,
                secure=bool(client.tls),
                authenticated=client.login is not None,
                international=is_international(parameters),
                lmtp=front.profile.service == "lmtp",
            ),
            queue_id=queue_id,
            forward_path=forward_path,
            date=self._relay.date(transaction.arrived_at),
            cipher=client.cipher,
            priority=transaction.asked,
        )
        return trace + transaction.added

    def _queued(
        self,
        transaction: Transaction,
        queue_id: str,
        trace: bytes,
        body: Body,
        recipients: list[QueuedRecipient],
        parameters: Parameters,
        hops: int,
    ) -> QueuedMessage:
        front, arrived_at = self._front, transaction.arrived_at
        return QueuedMessage(
            queue_id,
            arrived_at,
            transaction.mail.reverse_path,
            parameters,
            trace,
            body,
            recipients,
            (transaction.release_at or arrived_at) + front.lifetime,
            hops,
            front.hold,
            transaction.priority,
            transaction.release_at,
        )

    def _remove_forged(self, transaction: Transaction, spool: Spool) -> None:
        """Take out what says of itself that it was written here (RFC 8601 section 5); servers of our own may have."""
        front, came = self._front, transaction.reader.header
        if front.profile.service == "lmtp" or came is None:
            return
        forged = removed(came, front.policy.receiver)
        if forged:
            head = spool.head(came.length)
            spool.replace_head(len(head), without_fields(head, came, forged))

    def _signatures(self, transaction: Transaction, header: Header) -> bytes:
        """Our signatures of a submission (RFC 6376), made when nothing in it changes any more."""
        signer, login = self._front.signer, self._client.login
        author = signed_author(login, header) if signer and login is not None else None
        if author is None:
            return b""
        return signer.fields(author, header, transaction.hashes, transaction.arrived_at)

    def _seal(self, transaction: Transaction, forwarder: Mailbox, trace: bytes, facts: MessageFacts) -> bytes:
        """Our ARC set on a copy that goes on (RFC 8617), made when nothing in it changes any more."""
        front, came = self._front, transaction.reader.header
        keys = front.sealer.keys_for(forwarder) if front.sealer else []
        if not keys or came is None:
            return b""
        said = results(front.policy.receiver, facts, front.policy.dmarc)
        header = came.below(read_header(trace).fields)  # of what was forged in it nothing is signed
        utf8 = is_international(transaction.mail.parameters)
        return sealed(keys, header, transaction.hashes, said, facts, transaction.arrived_at, utf8=utf8)

    # The end of a transaction

    @property
    def _open(self) -> Transaction:
        transaction = self._transaction
        assert transaction is not None  # the session lets no command through that needs one
        return transaction

    def _refuse_data(self, transaction: Transaction, spool: Spool, fault: Reply, rule: str) -> Reply:
        """What came cannot be kept, whatever it says."""
        transaction.size = spool.size
        transaction.header = transaction.message = None
        transaction.wrong = rule
        action = "defer" if fault.transient else "reject"
        return self._refuse(transaction, "END-OF-MESSAGE", action, rule, fault)

    def _refuse(self, transaction: Transaction, stage: str, action: str, rule: str, given: Reply) -> Reply:
        self._relay.house.chronicle.refused(transaction, self._client, stage, action, rule, given)
        transaction.end()
        self._transaction = None
        self._let_go(DISK)
        return given

    def _drop(self) -> None:
        """The transaction, if there is one, ends without a message."""
        transaction = self._transaction
        if transaction is not None:
            self._relay.house.chronicle.abandoned(transaction, self._client)
            transaction.end()
            self._transaction = None
            self._let_go(DISK)
