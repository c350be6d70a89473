"""Open connections and limits per destination (RFC 5321 section 4.5.4.1, section 4.5.4.2).

A destination is a next hop. Jobs wait in its queue; a connection that becomes free takes the first one it may
take; where none is free another is opened, up to the limits. A destination whose hosts cannot be reached again and
again is left alone for a while, and its mail is deferred without trying.

The first is the one of the lowest rank (`queue/schedule.py`): the oldest, unless priorities were named. Where there are
no more connections to be had the destinations wait in the same order, and one whose next job is of a higher rank than
that of another gives a connection up for it, at the end of a transaction (RFC 6710 appendix D.2).
"""

from __future__ import annotations

import asyncio
import functools
import random
import secrets
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from purport.authentication.dkim.signer import Signer, no_signer
from purport.delivery.attempt import Connection
from purport.delivery.destination import Destination, first_unfit, key_of, rank_of
from purport.delivery.failure import Judgement, judge_host
from purport.delivery.job import Answer, Job
from purport.delivery.patience import Patience
from purport.delivery.refused import Refused, is_told, of_one_host, without_encryption
from purport.delivery.route import SMTP_PORT, Target, Unroutable, targets
from purport.delivery.settlement import convert, divided, settle_all, settle_transaction
from purport.delivery.sts_cache import StsPolicies
from purport.delivery.tls_choice import TlsChoice, Unprotected, protection_of
from purport.delivery.tls_outcome import TlsOutcome
from purport.delivery.tls_policy import NO_TLS_RULES, Level, TlsPolicy, TlsRules
from purport.dns.lookup import Resolver, run
from purport.mail.address import NULL
from purport.mail.domain import normal_domain
from purport.mail.reply import LOCAL_ERROR, Reply, reply
from purport.net.client_tls import ClientContexts
from purport.queue.schedule import STEP, rank
from purport.queue.store import QueuedRecipient
from purport.smtp.client import TLS_NOT_OFFERED, ClientSession
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extension import Extension
from purport.smtp.extensions.requiretls import KEYWORD as REQUIRETLS
from purport.smtp.extensions.requiretls import Demand, demand_of
from purport.smtp.sasl.credentials import Credentials
from purport.smtp.sasl.login import ClientLogin

NO_OTHER_HOST: Final = reply(450, "4.4.1", "No other host to try")
RESTARTS: Final = 2  # a server may end a used connection at any time, and a message may meet several such
QUIET: Final = 5.0  # seconds until another connection is tried beside those that work
NONCE_OCTETS: Final = 18  # RFC 5802 leaves it open; these are 144 bits
TICK: Final = 0.25  # of the shortest patience: how late a deadline may be seen
LONGEST_TICK: Final = 1.0  # seconds
# By how much a job of another destination has to be before ours until a connection is given up for it: less than a step
# of priority, and so much that two destinations do not take the connection from each other for each message.
AHEAD: Final = STEP / 2


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Limits for connections going out. The numbers are Postfix's where it has one."""

    per_destination: int = 20  # connections to one next hop
    at_first: int = 5  # connections opened at once to a next hop that none is open to
    total: int = 100  # connections in all
    reuse: int = 500  # transactions on one connection
    addresses: int = 5  # tried until a connection is made, of all hosts together
    hosts: int = 2  # tried for one message
    failures: int = 2  # connection failures in a row until a destination is left alone
    pause: float = 300.0  # seconds for which it is
    port: int = SMTP_PORT  # where the hosts of MX records listen
    # Domains whose servers obey Require-Recipient-Valid-Since (RFC 7293 section 6.1): A-labels, lower case.
    field_domains: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()  # our own addresses that connections come from, one of each family; else the system's

    def source(self, address: str) -> tuple[str, int] | None:
        """Where a connection to an address comes from; None: the system chooses."""
        return next(((one, 0) for one in self.sources if (":" in one) == (":" in address)), None)


@final
class Pool:
    """Delivers jobs over SMTP and settles each of their recipients exactly once."""

    def __init__(
        self,
        *,
        hostname: str,
        resolver: Resolver,
        extensions: Sequence[Extension],
        settings: PoolSettings,
        patience: Patience,
        ourselves: frozenset[str] = frozenset(),
        credentials: Mapping[str, Credentials] | None = None,
        tls: TlsRules = NO_TLS_RULES,
        contexts: ClientContexts | None = None,
        dane: bool = False,
        sts: StsPolicies | None = None,
        report_tls: Callable[[TlsOutcome], None] = lambda _: None,
        shuffle: Callable[[list[str]], None] = random.shuffle,
        clock: Callable[[], float] = time.time,
        signer: Callable[[], Signer] = no_signer,
    ) -> None:
        self._hostname = hostname
        self._signer = signer  # the one of now: keys may change while we run
        self._ourselves = ourselves | {hostname.lower()}
        self._resolver = resolver
        self._extensions = extensions
        self._settings = settings
        self._connect_patience = patience.connect
        self._patience = patience.by_stage()
        self._credentials = credentials or {}  # of next hops where we log in
        self._choice = TlsChoice(tls, resolver, dane=dane, sts=sts)
        self._report_tls = report_tls  # hears what became of every connection to a host of MX records
        self._contexts = contexts or ClientContexts()
        self._shuffle = shuffle
        self.now = clock  # seconds since 1970
        self._loop = asyncio.get_running_loop()
        self._destinations: dict[str, Destination] = {}
        self._where: dict[Connection, Destination] = {}  # every connection, from its first octet on
        self._greeted: dict[Connection, asyncio.Future[None]] = {}  # those that the server has not greeted yet
        self._waiting: dict[Destination, None] = {}  # wanted a connection when the total was reached
        self._ranked = False  # whether a job with a priority came since nobody was waiting
        self._opening: set[asyncio.Task[None]] = set()
        self._converting: set[asyncio.Task[None]] = set()
        self._one_conversion = asyncio.Lock()
        self._count = 0  # connections and attempts to make one
        self._closing = False
        self._closed = False
        self._tick_length = min(LONGEST_TICK, TICK * min(self._patience.values()))
        self._ticker: asyncio.TimerHandle | None = None

    # What the worker does

    def deliver(self, job: Job) -> None:
        """Take a job; its recipients are settled in time, whatever happens."""
        parameters = job.message.parameters
        demand = demand_of(parameters) if parameters.items and not job.next_hop.startswith("lmtp:") else Demand.NOTHING
        self._deliver(job, demand)

    def _deliver(self, job: Job, demand: Demand) -> None:
        key = key_of(job.next_hop, demand)
        destination = self._destinations.get(key)
        if destination is None:
            destination = self._destinations[key] = Destination(job.next_hop, demand)
        refusal = destination.last_refusal
        if refusal is not None and self._loop.time() < destination.dead_until:
            given = reply(450, refusal.reply.status, f"Delivery temporarily suspended: {refusal.reply}")
            settle_all(
                job, Judgement.DEFERRED, Answer(given, refusal.host, refusal.transcript, True, policy=refusal.policy)
            )
            return
        priority = job.message.priority
        if priority:
            self._ranked = True
        job.rank = rank(self._loop.time(), priority)
        destination.append(job)
        self._serve(destination)

    def revive(self, next_hops: Container[str] | None = None) -> None:
        """Destinations that were left alone are tried again: these, or all."""
        for destination in self._destinations.values():
            if next_hops is not None and destination.next_hop not in next_hops:
                continue
            destination.failures = 0
            destination.dead_until = destination.quiet_until = 0.0

    @property
    def connections(self) -> int:
        """How many connections there are, or are being made."""
        return self._count

    @property
    def destinations(self) -> int:
        """How many destinations something is known about."""
        return len(self._destinations)

    async def close(self, grace: float) -> None:
        """Let the transactions that run come to their end, for `grace` seconds at most; then break them off. Jobs
        that no connection has taken yet stay unsettled: the queue knows them."""
        self._closing = True
        for destination in self._destinations.values():
            destination.queue.clear()
        for task in (*self._opening, *self._converting):
            task.cancel()
        for connection in tuple(self._where):
            connection.quit()
        end = self._loop.time() + grace
        while self._where and (left := end - self._loop.time()) > 0:
            await asyncio.sleep(min(0.05, left))
        for connection in tuple(self._where):
            connection.fail("ended: this server stops")
        if self._opening:
            await asyncio.wait(self._opening)
        self._closed = True
        if self._ticker is not None:
            self._ticker.cancel()

    # What connections say

    def opened(self, connection: Connection) -> None:
        """The server is ready."""
        destination = self._where[connection]
        destination.failures = 0
        destination.dead_until = destination.quiet_until = 0.0
        destination.connections.add(connection)
        destination.opening -= 1
        greeted = self._greeted.pop(connection)
        if not greeted.done():
            greeted.set_result(None)

    def obeys_field(self, domain: str) -> bool:
        """Whether the servers of a domain are known to obey Require-Recipient-Valid-Since."""
        return normal_domain(domain) in self._settings.field_domains

    def refused(self, connection: Connection, stage: Stage, given: Reply) -> None:
        """The server is not."""
        greeted = self._greeted.pop(connection, None)
        if greeted is not None and not greeted.done():
            told, beginning = connection.policy.told, connection.beginning
            greeted.set_exception(
                Refused(stage, given, connection.label, flaw=connection.flaw, policy=told, transcript=beginning)
            )

    def next_job(self, connection: Connection) -> Job | None:
        """The first job that this connection's host was not tried for."""
        destination = self._where[connection]
        if self._closing or connection.transactions >= min(self._settings.reuse, connection.limits.mails):
            connection.quit()
            return None
        if self._ranked and self._waiting and min(map(rank_of, self._waiting)) + AHEAD < destination.rank:
            connection.quit()
            return None
        queue = destination.queue
        full = False
        while (unfit := first_unfit(queue, connection)) is not None:
            queue.remove(unfit)
            self._convert(destination, unfit, connection.label)
        for number, job in enumerate(queue):
            if connection.host in job.tried:
                continue
            fitting = connection.room(job.recipients)
            if fitting:
                del queue[number]
                destination.idle.pop(connection, None)
                return job if len(fitting) == len(job.recipients) else self._divide(destination, job, fitting)
            full = True  # of domains: the job needs a connection of its own
        if connection.idle:
            if self._waiting or full:
                connection.quit()
            else:
                destination.idle[connection] = None
        return None

    def _convert(self, destination: Destination, job: Job, host: str) -> None:
        """Convert a message for a host that does not take it as it is; then it waits for its turn again."""
        task = self._loop.create_task(self._converted(destination, job, host))
        self._converting.add(task)
        task.add_done_callback(self._converting.discard)

    async def _converted(self, destination: Destination, job: Job, host: str) -> None:
        async with self._one_conversion:  # the whole message is in memory meanwhile
            converted = await convert(job, host, self._signer(), self.now())
        if converted and not self._closing:
            destination = self._destinations.setdefault(destination.key, destination)
            destination.append(job)
            self._serve(destination)

    def _divide(self, destination: Destination, job: Job, fitting: Sequence[QueuedRecipient]) -> Job:
        """The part of a job that fits into a transaction; the rest is the next in the queue."""
        part, rest = divided(job, fitting)
        destination.give_back(rest)
        return part

    def settled(self, connection: Connection, job: Job, transaction: Transaction) -> None:
        """A transaction is finished: some recipients are settled, some may be tried at another host."""
        used_before = connection.transactions > 1
        if transaction.unanswered and used_before and job.restarts < RESTARTS and not self._closing:
            job.restarts += 1
            self._where[connection].give_back(job)
            return  # served once this connection is gone
        tried = job.tried | {connection.host}
        more_hosts = len(tried) < self._settings.hosts and not connection.hosts <= tried and not self._closing
        again = settle_transaction(connection, job, transaction, more_hosts=more_hosts)
        if again:
            job.recipients = again
            job.tried = tried
            job.rank = rank(self._loop.time(), job.message.priority)
            destination = self._where[connection]
            destination.append(job)
            self._serve(destination)

    def closed(self, connection: Connection) -> None:
        """The connection is gone: its place may go to another destination."""
        destination = self._where.pop(connection, None)
        if destination is None or connection not in destination.connections:
            return  # it never was ready: its place is given back by who opened it
        destination.connections.remove(connection)
        destination.idle.pop(connection, None)
        self._count -= 1
        self._serve_waiting()
        self._serve(destination)

    # Serving

    def _serve(self, destination: Destination) -> None:
        """Wake idle connections, the last used first, and open what is missing."""
        queue = destination.queue
        if queue and destination.idle:
            for connection in reversed(tuple(destination.idle)):
                if not queue:
                    return
                if destination.idle.pop(connection, connection) is None:
                    connection.wake()
        if queue and not self._closing:
            self._open_missing(destination)
        elif destination.forgettable:
            self._destinations.pop(destination.key, None)

    def _open_missing(self, destination: Destination) -> None:
        settings = self._settings
        if destination.connections and self._loop.time() < destination.quiet_until:
            return
        at_once = max(settings.at_first, len(destination.connections))
        room = settings.per_destination - len(destination.connections) - destination.opening
        wanted = min(len(destination.queue) - destination.opening, at_once - destination.opening, room)
        for _ in range(wanted):
            if self._count >= settings.total:
                self._waiting[destination] = None
                self._make_room()
                return
            self._count += 1
            destination.opening += 1
            task = self._loop.create_task(self._open(destination, destination.queue[0].tried))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        self._tick_later()

    def _serve_waiting(self) -> None:
        """The destinations that wait for a connection get one in turn, or in the order of their ranks."""
        while self._waiting and self._count < self._settings.total:
            destination = min(self._waiting, key=rank_of) if self._ranked else next(iter(self._waiting))
            del self._waiting[destination]
            self._serve(destination)
        if not self._waiting:
            self._ranked = False

    def _make_room(self) -> None:
        """An idle connection gives its place to a destination that has none."""
        for destination in self._destinations.values():
            if destination.idle:
                next(iter(destination.idle)).quit()
                return

    # Opening

    async def _open(self, destination: Destination, tried: frozenset[str]) -> None:
        """Make one connection; from `opened` on its place is counted as the connection's."""
        try:
            await self._connect(destination, tried)
        except Refused as refusal:
            self._give_back(destination)
            self._open_failed(destination, tried, refusal)
        except Exception as error:  # noqa: BLE001  # a fault of ours: told, and the mail waits as for a host that is down
            self._loop.call_exception_handler({"message": "a connection could not be opened", "exception": error})
            self._give_back(destination)
            self._open_failed(destination, tried, Refused(Stage.CONNECT, LOCAL_ERROR, ""))
        except asyncio.CancelledError:
            self._give_back(destination)
            raise
        if not self._closing:
            self._serve(destination)
            self._serve_waiting()
            self._tick_later()

    def _give_back(self, destination: Destination) -> None:
        destination.opening -= 1
        self._count -= 1

    async def _connect(self, destination: Destination, tried: frozenset[str]) -> None:
        """A connection to the first host that takes one. Raises Refused with what the last one said."""
        route = targets(destination.next_hop, self._ourselves, self._shuffle, self._settings.port)
        try:
            found = await run(route, self._resolver, asyncio.gather)
        except Unroutable as unroutable:
            raise Refused(Stage.CONNECT, unroutable.reply, "") from None
        hosts = frozenset(target.host for target in found)
        candidates = [(target, address) for target in found if target.host not in tried for address in target.addresses]
        refusals: dict[str, Refused] = {}  # of each host that was tried
        policies: dict[Target, TlsPolicy | None] = {}  # None: the host is not to be used
        left = self._settings.addresses
        for target, address in candidates:
            try:
                if target not in policies:
                    policies[target] = None
                    policies[target] = await self._policy(destination, target)
                policy = policies[target]
                if policy is None:
                    continue
                left -= 1
                await self._connect_somehow(destination, target, address, hosts, policy)
                return
            except Refused as refused:
                told = without_encryption(refused) if destination.demand is Demand.REQUIRE_TLS else refused
                before = refusals.get(target.host)
                refusals[target.host] = told if before is None else of_one_host(told, before)
                if not left:
                    break
        if not refusals:
            raise Refused(Stage.CONNECT, NO_OTHER_HOST, "")
        raise functools.reduce(lambda before, told: told if is_told(told, before) else before, refusals.values())

    async def _connect_somehow(
        self, destination: Destination, target: Target, address: str, hosts: frozenset[str], policy: TlsPolicy
    ) -> None:
        """A connection to one address; with less protection where the policy is content with that, as far as in clear.
        Raises Refused."""
        while True:
            try:
                await self._connect_to(destination, target, address, hosts, policy)
                return
            except Refused as refused:
                if refused.stage is not Stage.STARTTLS or policy.fallback is None:
                    raise
                policy = policy.fallback

    async def _connect_to(
        self, destination: Destination, target: Target, address: str, hosts: frozenset[str], policy: TlsPolicy
    ) -> None:
        label = target.socket or f"{target.host}[{address}]:{target.port}"
        session = ClientSession(
            self._hostname,
            self._extensions,
            self._login(destination.next_hop),
            starttls=policy.level is not Level.NONE,
            tls_required=policy.required,
            secure=target.tls_first,
            lmtp=target.lmtp,
        )
        protection = protection_of(self._contexts, policy, target, address, self.now)
        demanded = REQUIRETLS if destination.demand is Demand.REQUIRE_TLS else ""
        connection = Connection(
            self._loop, self, session, self._patience, target.host, label, hosts, protection, policy, demanded
        )
        greeted = self._greeted[connection] = self._loop.create_future()
        self._where[connection] = destination
        try:
            async with asyncio.timeout(self._connect_patience):
                if target.socket:
                    await self._loop.create_unix_connection(lambda: connection, target.socket)
                else:
                    source = self._settings.source(address)
                    await self._loop.create_connection(lambda: connection, address, target.port, local_addr=source)
        except OSError as error:  # TimeoutError is one
            self._forget(connection)
            problem = error.strerror or "timed out"
            given = reply(450, "4.4.1", f"connect to {label}: {problem}")
            raise Refused(Stage.CONNECT, given, label, policy=policy.told) from None
        except asyncio.CancelledError:
            self._forget(connection)
            raise
        connection.deadline = self._loop.time() + self._patience[Stage.GREETING]
        try:
            await greeted
        except asyncio.CancelledError:
            connection.fail("ended: this server stops")
            raise
        except Refused as refused:
            self._tell(target, address, connection, refused)
            raise
        self._tell(target, address, connection, None)

    async def _policy(self, destination: Destination, target: Target) -> TlsPolicy:
        """What is asked of a connection to a host. Raises Refused where it cannot come about."""
        credentials = self._credentials.get(destination.next_hop)
        secret = credentials is not None and not credentials.without_tls
        try:
            return await self._choice.policy(destination.next_hop, target, destination.demand, secret=secret)
        except Unprotected as unprotected:
            if unprotected.outcome is not None:
                self._report_tls(unprotected.outcome)
            raise Refused(Stage.PROTECTION, unprotected.reply, target.host) from None

    def _tell(self, target: Target, address: str, connection: Connection, refused: Refused | None) -> None:
        """Report what became of a connection, if it got as far as TLS."""
        outcome = connection.policy.outcome
        if outcome is None or not (refused is None or refused.stage in (Stage.STARTTLS, Stage.PROTECTION)):
            return
        result, reason = outcome.result, outcome.reason
        if refused is not None and refused.stage is Stage.STARTTLS:
            result = "validation-failure" if refused.flaw is None else refused.flaw.result
            reason = str(refused.reply) if refused.flaw is None else refused.flaw.text
        if not connection.tls and (refused is None or refused.reply == TLS_NOT_OFFERED):
            result, reason = "starttls-not-supported", ""
        local = connection.local_address
        self._report_tls(
            replace(outcome, result=result, host=target.host, address=address, local_address=local, reason=reason)
        )

    def _login(self, next_hop: str) -> ClientLogin | None:
        """How to log in there, where we do."""
        credentials = self._credentials.get(next_hop)
        return None if credentials is None else ClientLogin(credentials, secrets.token_urlsafe(NONCE_OCTETS))

    def _forget(self, connection: Connection) -> None:
        """A connection that was not made in time."""
        self._where.pop(connection, None)
        self._greeted.pop(connection, None)
        connection.fail("not made in time")

    def _open_failed(self, destination: Destination, tried: frozenset[str], refusal: Refused) -> None:
        """No connection could be made. As long as others are there, or on their way, the jobs wait for those."""
        now = self._loop.time()
        queue = destination.queue
        if tried:
            for job in [job for job in queue if job.tried == tried]:
                queue.remove(job)
                settle_all(job, Judgement.DEFERRED, refusal.answer)
            return
        destination.quiet_until = now + QUIET
        if destination.connections or destination.opening:
            return
        judgement = judge_host(refusal.reply, refusal.stage)
        if judgement is Judgement.DEFERRED:
            destination.failures += 1
            destination.last_refusal = refusal
            destination.forget_at = now + self._settings.pause
            if destination.failures >= self._settings.failures:
                destination.dead_until = destination.forget_at
        destination.quiet_until = 0.0
        while queue:
            job = queue.popleft()
            reports = destination.demand is Demand.REQUIRE_TLS and job.message.reverse_path is NULL
            if reports and judgement is Judgement.FAILED and refusal.stage is Stage.PROTECTION:
                self._deliver(job, Demand.NOTHING)  # RFC 8689 section 5: better without it than not at all
            else:
                settle_all(job, judgement, refusal.answer)

    # Time

    def _tick_later(self) -> None:
        if self._ticker is None and not self._closed:
            self._ticker = self._loop.call_later(self._tick_length, self._tick)

    def _tick(self) -> None:
        """See to the deadlines, to jobs that no connection may take, and to destinations that can be forgotten."""
        self._ticker = None
        now = self._loop.time()
        for connection in tuple(self._where):
            if now >= connection.deadline:
                connection.expire()
        for destination in tuple(self._destinations.values()):
            if destination.failures and now >= destination.forget_at:
                destination.failures = 0
            if not destination.opening:
                self._serve(destination)
        if self._where or self._destinations:
            self._tick_later()
