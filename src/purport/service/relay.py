"""The SMTP front door: octets in, decisions asked, messages into the queue, replies out.

A connection is a protocol object that feeds octets to a `ServerSession` and answers in the same callback. It waits for
two things only: DNS answers that are not in the cache, and the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Final, TypeVar, cast, final

from purport.delivery.route import on_demand
from purport.delivery.visit import Visitor
from purport.dns.lookup import Evaluation, Suspended, start
from purport.log import client_text, escaped
from purport.mail import reply as replies
from purport.mail.reply import Reply, reply
from purport.mail.trace import date
from purport.net import proxy
from purport.net.listener import client_address, send_at_once
from purport.net.tls import HANDSHAKE_SECONDS, TlsLayer, described, problem_of
from purport.policy.facts import Client
from purport.policy.login import Login
from purport.policy.on_demand import Wanted, wanted
from purport.policy.queue_start import Granted, granted, may_ask
from purport.policy.submission import ANY
from purport.queue.store import NotStored
from purport.service.front import Front, House
from purport.service.login import Exchange, Turn
from purport.service.reception import Reception
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
from purport.smtp.extensions.futurerelease import DAY
from purport.smtp.extensions.starttls import NOT_NOW
from purport.smtp.server import ServerSession
from purport.smtp.state import State

T = TypeVar("T")

AHEAD_OCTETS: Final = 65536  # octets a client may send while its command waits for DNS or disk, until we stop reading
PROXY_SECONDS: Final = 10.0  # for a proxy to say whom it speaks for; it does so with its first segment
DNS_SECONDS: Final = 20.0  # for all questions of one check (RFC 7208 section 4.6.4)
NEVER: Final = float("inf")
# Why nothing is read from a client, besides a disk that is behind: it sent too far ahead, it does not take its replies.
AHEAD: Final = 1
UNREAD: Final = 2


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
        "_ended",
        "_exchange",
        "_front",
        "_gone",
        "_held",
        "_proxied",
        "_reception",
        "_relay",
        "_session",
        "_shaking",
        "_stopping",
        "_transport",
        "_waiting",
        "client",
        "deadline",
    )

    def __init__(self, relay: Relay, gone: Callable[[int], None] | None = None) -> None:
        self._relay = relay
        self._gone = gone
        self._front = relay.front  # also when the settings are read again meanwhile
        self._session: ServerSession | None = None
        self._reception = Reception(self, relay.front, relay.house, relay.date)
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
        self.client = Client(address, None, "", True, *tls)
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
                self.hold(AHEAD)
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
            self._gone(self._reception.stored)
        if self._session is None:
            return
        self._session = None
        if self._exchange is not None and not self._waiting:
            self._exchange.drop()
        self._relay.house.admission.leave(self._address)
        if not self._waiting:
            self._reception.drop()

    def pause_writing(self) -> None:
        """The client does not read its replies: take nothing more from it."""
        self.hold(UNREAD)

    def resume_writing(self) -> None:
        self.let_go(UNREAD)

    # What the service says

    def expire(self) -> None:
        """The client was too slow."""
        if self._session is not None:
            state = self._session.state.name
            self._relay.house.chronicle.connection(
                client_text(self.client.name, self.client.address), f"timeout after {state}"
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
        if self._reception.transaction is None and not self._waiting and not self._shaking:
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
                    self._reception.take(event.octets)
                    continue
                if isinstance(event, Quit):
                    break
                given = self._handle(event)
                if given is None:
                    self._wait()
                    return
                session.answer(given)
        except Exception as error:  # noqa: BLE001  # a fault of ours: told once, and the client may come again
            self.fail(error)
            return
        self._flush(session)

    def _handle(self, event: Event) -> Reply | None:
        """The reply to a command, or None where it has to wait."""
        if isinstance(event, Mail):
            return self._reception.mail(event)
        if isinstance(event, Rcpt):
            return self._reception.rcpt(event)
        if isinstance(event, Data):
            return self._reception.data()
        if isinstance(event, EndOfData):
            return self._reception.end_of_data(event)
        if isinstance(event, EndOfChunk):
            return self._reception.end_of_chunk(event)
        if isinstance(event, Hello):
            self._reception.drop()
            self.client = replace(self.client, hello_domain=event.domain, extended=event.verb != "HELO")
            return replies.OK
        if isinstance(event, Reset):
            self._reception.drop()
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
        elif self._stopping and self._reception.transaction is None:
            self.close(replies.SHUTTING_DOWN)

    # TLS

    def _secure(self, octets: bytes = b"") -> None:
        """Begin the TLS handshake; `octets` of it were read already. Nothing more is read in clear."""
        context = self._front.certificate()
        assert context is not None  # else TLS is not begun
        self.let_go(self._held)
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
            told = client_text(self.client.name, self.client.address)
            self._relay.house.chronicle.connection(told, f"TLS handshake failed: {problem_of(error)}")
            self.connection_lost(error)
        elif session is not None:
            # What was said in clear may have been said by anybody (RFC 3207 section 4.2).
            self.client = Client(self._address, None, "", True, *described(layer.tls))
            if session.state is State.HANDSHAKE:
                session.secured()
                self.deadline = self._relay.loop.time() + self._front.patience.command
            else:
                session.greet()
            self._flush(session)

    # Waiting

    @property
    def authenticated(self) -> bool:
        """Whether the client logged in."""
        return self._session is not None and self._session.terms.authenticated

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Let something take its time, and see to it that it is not forgotten."""
        task = self._relay.loop.create_task(work)
        self._relay.waiting.add(task)
        task.add_done_callback(self._relay.waiting.discard)

    def when(self, evaluation: Evaluation[T], then: Callable[[T], Reply | None]) -> Reply | None:
        """`then` with the result: at once where the DNS cache knows every answer, else when the answers are there."""
        outcome = start(evaluation, self._relay.house.resolver)
        if not isinstance(outcome, Suspended):
            return then(outcome)
        self.spawn(self._ask(outcome, then))
        return None

    async def _ask(self, suspended: Suspended[T], then: Callable[[T], Reply | None]) -> None:
        try:
            resolver = self._relay.house.within(DNS_SECONDS)
            found = await suspended.finish(resolver, asyncio.gather)
            if self._session is None:  # the client is gone, and will come again for what it was told nothing about
                self._waiting = False
                self._reception.drop()
                return
            given = then(found)
        except Exception as error:  # noqa: BLE001  # as in _advance
            self.fail(error)
            return
        if given is not None:
            self.answer(given)

    def _wait(self) -> None:
        """The last command is answered later: send what was answered before it, and let nobody hurry the client."""
        session = self._session
        self._waiting = True
        if session is not None:
            octets = session.to_send()
            if octets:
                self._transport.write(octets)
        self.deadline = NEVER

    def answer(self, given: Reply) -> None:
        """The reply to the command that had to wait."""
        self._waiting = False
        self._ahead = 0
        session = self._session
        if session is None:  # the client is gone
            self._reception.drop()
            return
        session.answer(given)
        if self._held:
            self.let_go(AHEAD)
        self._advance(session)

    def hold(self, reason: int) -> None:
        """Read nothing more, until every reason is gone."""
        if not self._held and not self._transport.is_closing():
            self._transport.pause_reading()
        self._held |= reason

    def let_go(self, reason: int) -> None:
        """A reason not to read is gone."""
        held, self._held = self._held, self._held & ~reason
        if held and not self._held and not self._transport.is_closing():
            self._transport.resume_reading()

    def fail(self, error: Exception) -> None:
        self._relay.house.chronicle.failure(error)
        self._waiting = False
        self._reception.drop()
        self.close(reply(421, "4.3.0", "Local error in processing; closing connection"))

    # Commands

    def _xclient(self, event: Xclient) -> Reply:
        """Another client than the one that is connected (Postfix XCLIENT_README)."""
        self._reception.drop()
        attributes, client = event.attributes, self.client
        address = attributes.get("ADDR", client.address) or client.address
        # A name that we looked up is that of the address before, and so is what was found about it.
        name = attributes.get("NAME", client.name if client.iprev is None else None)
        hello_domain = attributes.get("HELO", "") or ""
        # Another client than the one that may have logged in; a gateway that checked a login itself says whose it is.
        named = attributes.get("LOGIN")
        login = None if named is None else self._known_login(named)
        self.client = replace(
            client, address=address, name=name, hello_domain=hello_domain, extended=True, login=login, iprev=None
        )
        assert self._session is not None
        self._session.log_in(login is not None)
        return replies.OK

    def _etrn(self, event: Etrn) -> Reply | None:
        """Start the delivery of what waits for some domains (RFC 1985), at the client's request."""
        node = f"{event.option}{event.node}"
        found = granted(self._front.etrn, self.client.address, event.option, event.node)
        relay = self._relay
        if found is None:
            return self._etrn_answered(not_allowed(node))
        key = ("ETRN", self.client.address, node.lower())
        if not relay.house.throttle.allows(key, relay.loop.time(), found.seconds):
            return self._etrn_answered(asked_before(node))
        self.spawn(self._start_queue(node, found))
        return None

    async def _start_queue(self, node: str, found: Granted) -> None:
        try:
            given = started(node, await self._relay.house.hasten(found.nodes))
        except NotStored:
            given = not_started(node)
        except Exception as error:  # noqa: BLE001  # as in _advance
            self.fail(error)
            return
        self.answer(self._etrn_answered(given))

    def _etrn_answered(self, given: Reply) -> Reply:
        client = client_text(self.client.name, self.client.address)
        self._relay.house.chronicle.connection(client, f"ETRN: {given}")
        return given

    def _atrn(self, event: Atrn) -> Reply | None:
        """Give the client what waits for its domains, over this connection (RFC 2645)."""
        relay, login = self._relay, self.client.login
        assert login is not None  # the session lets nobody else ask
        found = wanted(self._front.customers, login.name, event.domains)
        if found is None:
            return self._atrn_answered(atrn.NOT_YOURS)
        key = ("ATRN", login.name, *sorted(found.domains))
        if not relay.house.throttle.allows(key, relay.loop.time(), found.seconds):
            return self._atrn_answered(atrn.ASKED_BEFORE)
        self.spawn(self._find_mail(found))
        return None

    async def _find_mail(self, found: Wanted) -> None:
        next_hops = frozenset(map(on_demand, found.domains))
        try:
            given = atrn.REVERSING if await self._relay.house.visits.any_waits(next_hops) else atrn.NO_MAIL
        except NotStored:
            given = atrn.NOT_NOW
        except Exception as error:  # noqa: BLE001  # as in _advance
            self.fail(error)
            return
        session = self._session
        self.answer(self._atrn_answered(atrn.NOT_NOW if self._stopping else given))
        if session is not None and session.state is State.REVERSED and not self._transport.is_closing():
            self._reverse(next_hops)

    def _atrn_answered(self, given: Reply) -> Reply:
        client, login = client_text(self.client.name, self.client.address), self.client.login
        self._relay.house.chronicle.connection(client, f"ATRN of {escaped(login.name) if login else 'nobody'}: {given}")
        return given

    def _reverse(self, next_hops: frozenset[str]) -> None:
        """The client is the server from here on, and its place here is taken until it goes."""
        house, client, address = self._relay.house, self.client, self._address
        self._relay.connections.discard(self)
        self._session = None
        self.let_go(self._held)

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
            exchange = self._exchange = Exchange(event, self.client, session.terms, {}, desk)
            turn = exchange.begin()
        else:
            assert self._exchange is not None
            turn = self._exchange.respond(event)
        self.spawn(self._take_turn(turn))

    async def _take_turn(self, awaited: Awaitable[Turn]) -> None:
        try:
            turn = await awaited
        except Exception as error:  # noqa: BLE001  # as in _advance
            self.fail(error)
            return
        if turn.over or self._session is None:
            self._exchange = None
        if turn.login is not None:
            self.client = replace(self.client, login=turn.login)
        self.answer(turn.reply)
