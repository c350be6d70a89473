"""How the hosts of a domain would be protected, and whether they can be: what an operator asks before mail does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

from purport.delivery.attempt import Connection
from purport.delivery.job import Job
from purport.delivery.patience import Patience
from purport.delivery.route import Target, targets
from purport.delivery.tls_choice import TlsChoice, Unprotected, protection_of
from purport.delivery.tls_policy import TlsPolicy
from purport.dns.lookup import Resolver, run
from purport.mail.reply import Reply
from purport.net.client_tls import ClientContexts
from purport.smtp.client import ClientSession
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extensions.requiretls import KEYWORD as REQUIRETLS
from purport.smtp.extensions.requiretls import Demand


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a connection to one address: how it was protected, or why there was none."""

    address: str
    tls: str = ""  # version and cipher
    requiretls: bool = False  # whether REQUIRETLS is offered under TLS
    fallback: str = ""  # why it did not come about as it was asked for, where mail would go all the same
    problem: str = ""


@dataclass(frozen=True, slots=True)
class HostSurvey:
    """One host: what would be asked of a connection to it, or why there is none."""

    target: Target
    policy: TlsPolicy | None
    problem: str = ""
    tried: tuple[Tried, ...] = ()

    @property
    def good(self) -> bool:
        """Whether mail could go there, as far as it was looked at."""
        return self.policy is not None and not any(one.problem for one in self.tried)


async def survey(
    next_hop: str, resolver: Resolver, choice: TlsChoice, demand: Demand, *, port: int, secret: bool = False
) -> tuple[HostSurvey, ...]:
    """The hosts behind a next hop, in the order they would be tried. Raises Unroutable."""
    found: list[HostSurvey] = []
    for target in await run(targets(next_hop, frozenset(), None, port), resolver, asyncio.gather):
        try:
            found.append(HostSurvey(target, await choice.policy(next_hop, target, demand, secret=secret)))
        except Unprotected as unprotected:
            found.append(HostSurvey(target, None, str(unprotected.reply)))
    return tuple(found)


async def call(host: HostSurvey, hello_domain: str, contexts: ClientContexts, patience: Patience) -> HostSurvey:
    """The host with what became of a connection to each of its addresses, over which nothing is sent but EHLO, STARTTLS
    and QUIT."""
    if host.policy is None or host.target.socket:
        return host
    calls = [Call(host.target, address, host.policy, hello_domain, contexts) for address in host.target.addresses]
    return replace(host, tried=tuple(await asyncio.gather(*(one.made(patience) for one in calls))))


@final
class Call:
    """The owner of a connection that gives it nothing to do (`attempt.Owner`)."""

    def __init__(
        self,
        target: Target,
        address: str,
        policy: TlsPolicy,
        hello_domain: str,
        contexts: ClientContexts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._target = target
        self._address = address
        self._policy = policy
        self._hello_domain = hello_domain
        self._contexts = contexts
        self._found: asyncio.Future[Tried] = asyncio.get_running_loop().create_future()
        self.now = clock

    async def made(self, patience: Patience) -> Tried:
        """What became of it."""
        target, policy = self._target, self._policy
        loop = asyncio.get_running_loop()
        session = ClientSession(
            self._hello_domain,
            (),
            starttls=True,
            tls_required=policy.required,
            secure=target.tls_first,
            lmtp=target.lmtp,
        )
        protection = protection_of(self._contexts, policy, target, self._address, self.now)
        label = f"{target.host}[{self._address}]:{target.port}"
        connection = Connection(
            loop, self, session, patience.by_stage(), target.host, label, frozenset(), protection, policy
        )
        try:
            async with asyncio.timeout(patience.connect):
                await loop.create_connection(lambda: connection, self._address, target.port)
                return await self._found
        except TimeoutError:
            return Tried(self._address, problem="timed out")
        except OSError as error:
            return Tried(self._address, problem=error.strerror or "cannot be reached")
        finally:
            connection.fail("ended")

    # What the connection says

    def opened(self, connection: Connection) -> None:
        """The host is ready."""
        self._settle(Tried(self._address, connection.tls, bool(connection.tls) and connection.offers(REQUIRETLS)))
        connection.quit()

    def refused(self, connection: Connection, stage: Stage, given: Reply) -> None:
        """It is not."""
        if stage is Stage.STARTTLS and self._policy.fallback is not None:
            self._settle(Tried(self._address, fallback=str(given)))
        else:
            self._settle(Tried(self._address, connection.tls, problem=str(given)))

    def closed(self, connection: Connection) -> None:
        """The connection is gone."""
        self._settle(Tried(self._address, connection.tls, problem="the connection was lost"))

    def obeys_field(self, domain: str) -> bool:  # noqa: ARG002
        """Nothing is sent."""
        return False

    def next_job(self, connection: Connection) -> Job | None:  # noqa: ARG002
        """There is none."""
        return None

    def settled(self, connection: Connection, job: Job, transaction: Transaction) -> None:
        """There was none."""

    def _settle(self, tried: Tried) -> None:
        if not self._found.done():
            self._found.set_result(tried)
