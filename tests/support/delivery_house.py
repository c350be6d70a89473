"""A deliverer of its own for a test: a queue, a clock that stands still, Maildirs, and one scripted next hop."""

from __future__ import annotations

import asyncio
from pathlib import Path

from purport.delivery.patience import Patience
from purport.delivery.pool import Pool, PoolSettings
from purport.delivery.report import Report, Reporter
from purport.delivery.route import Routes, quarantined
from purport.delivery.worker import Deliverer, Limits
from purport.dns.zone import StaticResolver
from purport.mail.address import NULL, ReversePath, parse_mailbox
from purport.mail.envelope import Parameters
from purport.queue.memory import MemoryStore
from purport.queue.queue_id import QueueIds
from purport.queue.schedule import Schedule
from purport.queue.store import Outcome, QueuedMessage, QueuedRecipient, QueueStore
from purport.smtp.extensions import ALL
from support.scripted_server import ScriptedServer

HOSTNAME = "mx.company.com.example"
TRACE = b"Received: from client.example by mx.company.com.example;\r\n\tMon, 23 Nov 2026 22:00:00 +0000\r\n"
MESSAGE = b"From: alice@example.com\r\nTo: bob@company.com.example\r\nSubject: t\r\n\r\nHello\r\n"
NOW = 1_795_471_200.0


class Log:
    """What the deliverer told, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.order: list[str] = []  # queue ids, as they were settled
        self.reports: list[QueuedMessage] = []
        self.changed = asyncio.Event()

    def _add(self, line: str) -> None:
        self.lines.append(line)
        self.changed.set()

    def attempted(
        self, message: QueuedMessage, recipient: QueuedRecipient, outcome: Outcome, status: str, now: float
    ) -> None:
        self.order.append(message.queue_id)
        self._add(f"{outcome.action} {recipient.forward_path} {status} {outcome.reply}")

    def reported(self, report: Report) -> None:
        self.reports.append(report.message)
        self._add(f"reported to {report.message.recipients[0].forward_path}")

    def unreported(self, message: QueuedMessage, error: BaseException) -> None:
        self._add("unreported")

    def removed(self, queue_id: str) -> None:
        self._add("removed")

    def unrecorded(self, error: BaseException) -> None:
        self._add(f"unrecorded {error}")


class House:
    """A store, a deliverer, a clock that stands still, and a next hop."""

    def __init__(
        self,
        folder: Path,
        server: ScriptedServer,
        *,
        store: QueueStore | None = None,
        limits: Limits | None = None,
        settings: PoolSettings | None = None,
        domains: dict[str, str] | None = None,
    ) -> None:
        self.now = NOW
        self.server = server
        self.store = MemoryStore() if store is None else store  # an empty one is false
        self.log = Log()
        self.maildirs = folder / "maildir"
        self.ids = QueueIds(clock=lambda: self.now)
        schedule = Schedule()
        self.routes = Routes(
            HOSTNAME, {"company.com.example": "maildir"} | (domains or {}), f"smtp:127.0.0.1:{server.port}"
        )
        self.pool = Pool(
            hostname=HOSTNAME,
            resolver=StaticResolver({}),
            extensions=ALL,
            settings=settings or PoolSettings(),
            patience=Patience(),
            clock=lambda: self.now,
        )
        self.deliverer = Deliverer(
            store=self.store,
            pool=self.pool,
            reporter=Reporter(HOSTNAME, self.routes, schedule, self.store, self.ids.next),
            schedule=schedule,
            log=self.log,
            maildirs=self.maildirs,
            limits=limits or Limits(),
            clock=lambda: self.now,
            jitter=lambda: 0.0,
        )

    async def __aenter__(self) -> House:
        self.deliverer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.deliverer.stop(0.0)
        await self.store.close()

    async def accept(
        self,
        *forward_paths: str,
        body: bytes = MESSAGE,
        reverse_path: str = "alice@example.com",
        hand_over: bool = True,
        mail: str = "",
        rcpt: str = "",
        priority: int = 0,
        release_at: float = 0.0,
        quarantine: bool = False,
    ) -> QueuedMessage:
        """Put a message into the queue, and hand it over as the server does."""
        spool = self.store.spool()
        for begin in range(0, len(body), 65536):
            spool.write(body[begin : begin + 65536])
        path: ReversePath = parse_mailbox(reverse_path) if reverse_path else NULL
        recipients = [
            QueuedRecipient(
                number, mailbox, self.routes.next_hop(mailbox.domain), Parameters.from_octets(rcpt.encode())
            )
            for number, mailbox in enumerate(map(parse_mailbox, forward_paths))
        ]
        for recipient in recipients if quarantine else ():
            recipient.next_hop = quarantined(recipient.next_hop)
        message = QueuedMessage(
            self.ids.next(),
            self.now,
            path,
            Parameters.from_octets(mail.encode()),
            TRACE,
            self.store.body(spool),
            recipients,
            priority=priority,
            release_at=release_at,
        )
        stored = asyncio.get_running_loop().create_future()
        self.store.accept(message, stored.set_result)
        assert await stored is None
        if release_at:
            self.deliverer.look(message)
        elif hand_over:
            self.deliverer.submit(message)
        return message

    async def told(self, *lines: str) -> None:
        """Wait until the log holds as many lines; they are these, in any order."""
        async with asyncio.timeout(10):
            while len(self.log.lines) < len(lines):
                self.log.changed.clear()
                await self.log.changed.wait()
        assert sorted(self.log.lines) == sorted(lines)

    def mail(self, local_part: str) -> list[bytes]:
        folder = self.maildirs / "company.com.example" / local_part / "new"
        return [file.read_bytes() for file in sorted(folder.iterdir())] if folder.exists() else []
