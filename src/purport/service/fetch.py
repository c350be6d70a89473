"""Mail of ours that waits at a provider, fetched over a connection that we make (RFC 2645, the customer's side).

    we ->  EHLO, STARTTLS, AUTH, ATRN company.com.example
    we <-  250 OK, now reversing the connection
    we ->  220 mail.company.com.example ESMTP          <- from here on a connection of the relay, as any other

What the provider brings is judged as from a server of ours, which judged its own: its address says nothing about the
sender. It may bring what is for our domains, and nothing else.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

from purport.delivery.attempt import Connection
from purport.delivery.job import Job
from purport.delivery.patience import Patience
from purport.delivery.route import Target, Unroutable, targets
from purport.delivery.tls_policy import Level
from purport.dns.lookup import Resolver, run
from purport.log import MailLog
from purport.mail.reply import Reply, reply
from purport.net.client_tls import ClientContexts, Protection
from purport.service.relay import Relay
from purport.smtp.client import ClientSession
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extension import Extension
from purport.smtp.sasl.credentials import Credentials
from purport.smtp.sasl.login import ClientLogin

NONCE_OCTETS: Final = 18  # RFC 5802 leaves it open; these are 144 bits
NO_MAIL: Final = 453  # RFC 2645 section 7
TICK: Final = 1.0  # seconds: how late a deadline may be seen
ENDED: Final = "ended: this server stops"


@final
@dataclass(frozen=True, slots=True)
class Source:
    """A provider. `domains` (A-labels, lower case) is what to ask for, nothing for all that it has for us; `every` are
    the seconds between two times, 0 for never."""

    name: str  # as the settings have it
    route: str  # smtp:HOST:PORT
    credentials: Credentials = field(repr=False)
    domains: tuple[str, ...] = ()
    every: float = 0.0
    level: Level = Level.VERIFY


@final
@dataclass(frozen=True, slots=True)
class Fetched:
    """How it went: how many messages came, or what the provider said instead."""

    source: str
    messages: int = 0
    refusal: Reply | None = None
    stage: Stage | None = None

    @property
    def ok(self) -> bool:
        """Whether everything is here that was there."""
        return self.refusal is None or (self.stage is Stage.ATRN and self.refusal.code == NO_MAIL)

    def __str__(self) -> str:
        if self.refusal is not None and not self.ok:
            return f"{self.source}: {self.stage.value if self.stage else ''}: {self.refusal}"
        return f"{self.source}: {self.messages or 'no'} message{'s' if self.messages != 1 else ''}"


@final
@dataclass(frozen=True, slots=True)
class Means:
    """What fetching needs besides a provider."""

    hostname: str
    resolver: Resolver
    extensions: Sequence[Extension]
    contexts: ClientContexts
    patience: Patience
    relay: Relay
    log: MailLog


@final
class Fetcher:
    """Fetches from one provider, now and then and when told to; one connection at a time."""

    def __init__(self, source: Source, means: Means) -> None:
        self.source = source
        self._means = means
        self._one = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._asking: Asking | None = None

    def start(self) -> None:
        """Begin to ask by itself."""
        if self.source.every:
            self._task = asyncio.get_running_loop().create_task(self._ask_again_and_again())

    async def stop(self) -> None:
        """Ask no more. What is being brought already is the relay's."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._asking is not None:
            self._asking.stop()

    async def fetch(self) -> Fetched:
        """Have everything sent that waits."""
        async with self._one:
            fetched = await self._fetch()
        if fetched.ok:
            self._means.log.notice(f"fetched from {fetched}")
        else:
            self._means.log.warning(f"cannot fetch from {fetched}")
        return fetched

    async def _ask_again_and_again(self) -> None:
        while True:
            try:
                await self.fetch()
            except Exception as error:  # noqa: BLE001  # a fault of ours must not end the fetching
                self._means.log.failure("fetch", error)
            await asyncio.sleep(self.source.every)

    async def _fetch(self) -> Fetched:
        means, name = self._means, self.source.name
        try:
            found = await run(targets(self.source.route, frozenset()), means.resolver, asyncio.gather)
        except Unroutable as unroutable:
            return Fetched(name, 0, unroutable.reply, Stage.CONNECT)
        fetched = Fetched(name)
        for target in found:
            for address in target.addresses:
                fetched = await self._fetch_from(target, address)
                if fetched.stage is not Stage.CONNECT:
                    return fetched
        return fetched

    async def _fetch_from(self, target: Target, address: str) -> Fetched:
        asking = self._asking = Asking(self.source, self._means, target.host, f"{target.host}[{address}]:{target.port}")
        try:
            return await asking.ask(address, target.port)
        finally:
            asking.stop()
            self._asking = None


@final
class Asking:
    """One connection, as its owner: login and ATRN, until the relay has it and until it is gone."""

    def __init__(self, source: Source, means: Means, host: str, label: str) -> None:
        self._source = source
        self._means = means
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Fetched] = self._loop.create_future()
        self._handed_over = False
        level = source.level
        session = ClientSession(
            means.hostname,
            means.extensions,
            ClientLogin(source.credentials, secrets.token_urlsafe(NONCE_OCTETS)),
            starttls=level is not Level.NONE,
            tls_required=level is not Level.NONE,
        )
        contexts = means.contexts
        protection: Protection | None = None
        if level is not Level.NONE:
            protection = contexts.verifying(host) if level is Level.VERIFY else contexts.trusting(host)
        hosts = frozenset((host,))
        self._label = label
        self._connection = Connection(
            self._loop, self, session, means.patience.by_stage(), host, label, hosts, protection
        )

    async def ask(self, address: str, port: int) -> Fetched:
        """Connect, ask, and wait for the end of it."""
        connection = self._connection
        try:
            async with asyncio.timeout(self._means.patience.connect):
                await self._loop.create_connection(lambda: connection, address, port)
        except OSError as error:  # TimeoutError is one
            given = reply(450, "4.4.1", f"connect to {self._label}: {error.strerror or 'timed out'}")
            return Fetched(self._source.name, 0, given, Stage.CONNECT)
        connection.deadline = self._loop.time() + self._means.patience.greeting
        while not self._ended.done():
            await asyncio.wait((self._ended,), timeout=TICK)
            if self._loop.time() >= connection.deadline:
                connection.expire()
        return self._ended.result()

    def stop(self) -> None:
        """Let go of the connection, unless the relay has it."""
        if not self._handed_over:
            self._connection.fail(ENDED)

    def _end(self, fetched: Fetched) -> None:
        if not self._ended.done():
            self._ended.set_result(fetched)

    def _taken(self, transport: asyncio.Transport) -> None:
        """The roles are reversed."""
        self._handed_over = True
        self._means.relay.take(transport, lambda messages: self._end(Fetched(self._source.name, messages)))

    # What the connection says

    def opened(self, connection: Connection) -> None:
        """We are logged in."""
        connection.reverse(self._source.domains, self._taken)

    def refused(self, connection: Connection, stage: Stage, given: Reply) -> None:  # noqa: ARG002
        """The provider has nothing for us, or not now."""
        self._end(Fetched(self._source.name, 0, given, stage))

    def closed(self, connection: Connection) -> None:
        """It is gone: `refused` said why, unless the relay has it."""

    def next_job(self, connection: Connection) -> Job | None:
        """There is nothing that we would send."""

    def settled(self, connection: Connection, job: Job, transaction: Transaction) -> None:
        """Nothing was begun."""

    def obeys_field(self, domain: str) -> bool:  # noqa: ARG002
        """Nothing is sent."""
        return False

    def now(self) -> float:
        """Nothing is sent that would have an age."""
        return 0.0
