"""A pool of connections of its own for a test, and the messages that it is given."""

from __future__ import annotations

import asyncio

from purport.authentication.dkim.signer import NO_SIGNER, Signer
from purport.delivery.content import in_memory
from purport.delivery.failure import Judgement
from purport.delivery.job import Answer, Job
from purport.delivery.patience import Patience
from purport.delivery.pool import Pool, PoolSettings
from purport.delivery.sts_cache import StsPolicies
from purport.delivery.tls_outcome import TlsOutcome
from purport.delivery.tls_policy import NO_TLS_RULES, TlsRules
from purport.dns.lookup import Resolver
from purport.dns.zone import StaticResolver
from purport.mail.address import Mailbox, ReversePath
from purport.mail.envelope import NO_PARAMETERS, Parameters
from purport.net.client_tls import ClientContexts
from purport.queue.store import QueuedMessage, QueuedRecipient
from purport.smtp.extensions import ALL
from purport.smtp.sasl.credentials import Credentials
from support.scripted_server import ScriptedServer

ALICE = Mailbox("alice", "example.com")
SETTINGS = PoolSettings()
PATIENCE = Patience()
MESSAGE = b"From: alice@example.com\r\nSubject: t\r\n\r\nHello\r\n.dot\r\n"


class Memory:
    """A body in memory, or in pieces as from a file."""

    def __init__(self, octets: bytes, *, whole: bool = True) -> None:
        self._octets = octets
        self._whole = whole
        self.size = len(octets)

    def octets(self) -> bytes | None:
        return self._octets if self._whole else None

    def pieces(self, size: int = 65536):
        return (self._octets[at : at + size] for at in range(0, len(self._octets), size))


def a_message(
    *local_parts: str,
    body: bytes = MESSAGE,
    whole: bool = True,
    next_hop: str = "",
    priority: int = 0,
    reverse_path: ReversePath = ALICE,
    parameters: Parameters = NO_PARAMETERS,
) -> QueuedMessage:
    recipients = [
        QueuedRecipient(number, Mailbox(local_part, "company.com.example"), next_hop)
        for number, local_part in enumerate(local_parts or ("bob",))
    ]
    trace = b"Received: by client.example; Mon, 23 Nov 2026 22:00:00 +0000\r\n"
    return QueuedMessage(
        "1M2QX7H40K2R9",
        0.0,
        reverse_path,
        parameters,
        trace,
        Memory(body, whole=whole),
        recipients,
        priority=priority,
    )


class Outside:
    """A pool and what it settled: (local part, judgement, answer), in order."""

    def __init__(
        self,
        resolver: Resolver | None = None,
        settings: PoolSettings = SETTINGS,
        patience: Patience = PATIENCE,
        credentials: dict[str, Credentials] | None = None,
        tls: TlsRules = NO_TLS_RULES,
        contexts: ClientContexts | None = None,
        signer: Signer = NO_SIGNER,
        *,
        dane: bool = False,
        sts: StsPolicies | None = None,
    ) -> None:
        self.reported: list[TlsOutcome] = []
        self.settled: list[tuple[str, Judgement, Answer]] = []
        self._changed = asyncio.Event()
        self.pool = Pool(
            hostname="client.example",
            resolver=resolver or StaticResolver({}),
            extensions=ALL,
            settings=settings,
            patience=patience,
            credentials=credentials,
            tls=tls,
            contexts=contexts,
            dane=dane,
            sts=sts,
            report_tls=self.reported.append,
            shuffle=lambda hosts: None,
            signer=lambda: signer,
        )

    def _settle(self, recipient: QueuedRecipient, judgement: Judgement, answer: Answer) -> None:
        self.settled.append((recipient.forward_path.local_part, judgement, answer))
        self._changed.set()

    async def __aenter__(self) -> Outside:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pool.close(0.0)

    def send(self, next_hop: str, message: QueuedMessage | None = None) -> None:
        message = message or a_message()
        self.pool.deliver(Job(message, message.recipients, next_hop, in_memory(message, MESSAGE), self._settle))

    async def outcomes(self, count: int = 1) -> dict[str, tuple[Judgement, str]]:
        async with asyncio.timeout(10):
            while len(self.settled) < count:
                self._changed.clear()
                await self._changed.wait()
        return {local_part: (judgement, str(answer.reply)) for local_part, judgement, answer in self.settled}


def here(server: ScriptedServer) -> str:
    return f"smtp:127.0.0.1:{server.port}"
