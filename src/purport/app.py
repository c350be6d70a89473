"""The composition root: settings in, running services out; no logic.

SIGTERM and SIGINT let running transactions come to their end and stop. SIGHUP reads the settings again, and keeps the
old ones where the new ones are wrong.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import os
import resource
import secrets
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from purport.authentication.dkim.signer import NO_SIGNER, Signer
from purport.authentication.dmarc.memory import DmarcMemory
from purport.authentication.spf.checker import Checker
from purport.config.dkim import load_signer
from purport.config.load import SettingsError, load, parse_bind, state_folder
from purport.config.schema import Settings
from purport.delivery.attempt import Patience as DeliveryPatience
from purport.delivery.pool import Pool
from purport.delivery.report import Reporter
from purport.delivery.visit import Visits
from purport.delivery.worker import Deliverer
from purport.delivery.worker import Limits as DeliveryLimits
from purport.dns.lookup import Resolver
from purport.ledger.writer import LedgerWriter
from purport.log import MailLog
from purport.mail.address import Mailbox
from purport.net.certificates import CertificateError, Certificates
from purport.net.listener import Admission, listen
from purport.net.resolver import Resolver as NetworkResolver
from purport.parts import (
    make_authenticator,
    make_certificates,
    make_client_contexts,
    make_credentials,
    make_fetched_front,
    make_forwarding,
    make_front,
    make_guard_limits,
    make_pool_settings,
    make_resolver,
    make_routes,
    make_schedule,
    make_sources,
    make_sts_policies,
    make_submitter,
    make_tls_rules,
)
from purport.queue.queue_id import QueueIds
from purport.queue.sqlite import SpoolInUse, SqliteStore
from purport.queue.store import NotStored, QueuedMessage
from purport.reporting import day
from purport.reporting.dmarc.failures import FailureReports
from purport.reporting.outbox import Outbox
from purport.reporting.reporting import Reporting
from purport.service.control import ControlServer, Request, Response
from purport.service.deliveries import Deliveries
from purport.service.fetch import Fetcher, Means
from purport.service.front import House
from purport.service.holding import Holding
from purport.service.login import LoginDesk
from purport.service.relay import Relay
from purport.service.throttle import Throttle
from purport.service.transaction import Chronicle
from purport.smtp.extensions import ALL
from purport.users.guard import Guard
from purport.users.password import Threads

EX_UNAVAILABLE: Final = 69  # sysexits(3)
EX_CONFIG: Final = 78
GRACE: Final = 30.0  # seconds that running transactions get when the server stops
SWITCH_SECONDS: Final = 0.0002
PEPPER_OCTETS: Final = 32
TICK: Final = 1.0  # seconds between looks at clients that are too slow
POLICY_TICK: Final = 3600.0  # seconds between looks at MTA-STS policies that are to be fetched anew


def serve(path: Path) -> int:
    """Run the server of a settings file until it is told to stop. Returns an exit code of sysexits(3)."""
    try:
        settings = load(path)
        certificates = make_certificates(path, settings)
    except SettingsError as error:
        _say(str(error))
        return EX_CONFIG
    raise_file_limit()
    # The queue's thread needs the interpreter for microseconds, some thousand times a second; with the default of 5 ms
    # it waits for the event loop's turn to end instead, and with it every message of the group.
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return uvloop.run(_run(path, settings, certificates))
    except SettingsError as error:  # a file that the settings name
        _say(str(error))
        return EX_CONFIG
    except (OSError, SpoolInUse, sqlite3.Error, ValueError) as error:
        _say(f"purport: {error}")
        return EX_UNAVAILABLE


async def _run(path: Path, settings: Settings, certificates: Certificates | None) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    server = Server(path, settings, certificates, loop)
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    await server.open()
    # What lives as long as the server need not be looked at again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    await stop.wait()
    await server.close()
    return 0


@dataclass(slots=True)
class _Listening:
    """One listener of the settings, while it is open."""

    relay: Relay
    sockets: list[asyncio.Server]


class Server:
    """Everything that one process runs."""

    def __init__(
        self, path: Path, settings: Settings, certificates: Certificates | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._path = path
        self._settings = settings
        self._certificates = certificates
        self._loop = loop
        self._listening: list[_Listening] = []
        state = state_folder(path, settings)
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log = log = MailLog(settings.hostname, schedule=loop.call_soon)
        self._ledger = LedgerWriter(
            state / "ledger",
            retention_days=settings.ledger.retention_days,
            schedule=loop.call_soon,
            warn=log.warning,
            note=log.notice,
        )
        self._store = SqliteStore(state / "spool", loop, memory_limit=settings.limits.memory_threshold)
        self._resolver = make_resolver(path, settings)
        self._signer = load_signer(path, settings)
        ids = QueueIds(clock=time.time, after=self._store.newest_id())
        schedule = make_schedule(settings)
        routes = make_routes(settings)
        outbox = Outbox(
            settings.hostname,
            routes,
            schedule,
            self._store,
            ids.next,
            self._submit,
            time.time,
            lambda: self._signer,
        )
        self._reporting = Reporting(
            state,
            resolver=self._resolver,
            outbox=outbox,
            tls=make_submitter(settings, settings.tls_report) if settings.tls_report.send else None,
            dmarc=make_submitter(settings, settings.dmarc_report) if settings.dmarc_report.send else None,
            note=log.notice,
            warn=log.warning,
            failure=log.failure,
        )
        self._pepper = pepper_in(state / "pepper")
        self._failures = FailureReports(
            make_submitter(settings, settings.dmarc_report),
            outbox,
            self._resolver,
            hmac.digest(self._pepper, b"failure reports", "sha256"),
            note=log.notice,
            warn=log.warning,
            failure=log.failure,
        )
        self._forwarding = make_forwarding(path, settings)
        reporter = Reporter(
            settings.hostname,
            routes,
            schedule,
            self._store,
            ids.next,
            self._report_signer,
            self._returns_to,
            self._readers,
        )
        contexts = make_client_contexts(path, settings)
        self._sts = make_sts_policies(
            path, settings, self._resolver, warn=log.warning, report=self._reporting.report_tls
        )
        self._deliverer = Deliverer(
            store=self._store,
            pool=Pool(
                hostname=settings.hostname,
                resolver=self._resolver,
                extensions=ALL,
                settings=make_pool_settings(settings),
                patience=DeliveryPatience(),
                credentials=make_credentials(path, settings),
                tls=make_tls_rules(settings),
                contexts=contexts,
                dane=settings.relay.dane,
                sts=self._sts,
                report_tls=self._reporting.report_tls,
                signer=lambda: self._signer,
            ),
            reporter=reporter,
            schedule=schedule,
            log=Deliveries(log, self._ledger),
            maildirs=state / "maildir",
            limits=DeliveryLimits(),
        )
        self._visits = Visits(
            self._deliverer,
            hostname=settings.hostname,
            extensions=ALL,
            patience=DeliveryPatience(),
            signer=lambda: self._signer,
        )
        self._house = House(
            resolver=self._resolver,
            within=self._resolver.within if isinstance(self._resolver, NetworkResolver) else self._unhurried,
            checker=Checker(settings.hostname),
            dmarc=DmarcMemory(),
            store=self._store,
            chronicle=Chronicle(log, self._ledger),
            ids=ids,
            holding=Holding(self._store.scheduled()),
            admission=Admission(settings.limits.connections, settings.limits.connections_per_client),
            submit=self._deliverer.submit,
            expanded=reporter.expanded,
            hasten=self._deliverer.hasten,
            throttle=Throttle(),
            look=self._deliverer.look,
            clock=time.time,
            report_dmarc=self._reporting.report_dmarc,
            visits=self._visits,
            report_failure=self._failures.report if settings.dmarc_report.failures else None,
        )
        # What providers bring comes in as through a listener that nobody can connect to.
        self._fetched = Relay(make_fetched_front(settings, self._forwarding), self._house, loop)
        means = Means(settings.hostname, self._resolver, ALL, contexts, DeliveryPatience(), self._fetched, log)
        self._fetchers = [Fetcher(source, means) for source in make_sources(path, settings)]
        self._threads = Threads()
        self._guard = Guard(make_guard_limits(settings), loop.time)
        self._control = ControlServer(state / "control", self._asked)
        self._ticker: asyncio.TimerHandle | None = None
        self._policy_ticker: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Open the listeners and start delivery. Raises OSError where an address cannot be had."""
        try:
            desk = self._desk(self._settings)
            for number, listener in enumerate(self._settings.listener):
                front = make_front(self._settings, number, self._certificates, desk, self._signer, self._forwarding)
                relay = Relay(front, self._house, self._loop)
                sockets = await listen([parse_bind(bind) for bind in listener.bind], relay.connection)
                self._listening.append(_Listening(relay, sockets))
            self._listening.append(_Listening(self._fetched, []))
            await self._control.open()
        except OSError:
            await self.close(grace=0)
            raise
        self._deliverer.start()
        self._reporting.start()
        for fetcher in self._fetchers:
            fetcher.start()
        self._tick()
        self._refresh_policies()
        binds = ", ".join(bind for listener in self._settings.listener for bind in listener.bind)
        self._log.notice(f"Purport is ready on {binds}")

    async def close(self, grace: float = GRACE) -> None:
        """Stop listening, let running transactions end for `grace` seconds, keep what is queued."""
        self._log.notice("stopping")
        for fetcher in self._fetchers:
            await fetcher.stop()
        for listening in self._listening:
            for socket in listening.sockets:
                socket.close()
            listening.relay.stop()
        end = self._loop.time() + grace
        while any(listening.relay.connections for listening in self._listening) and self._loop.time() < end:
            await asyncio.sleep(0.02)
        for listening in self._listening:
            listening.relay.break_off()
        await self._reporting.stop()
        await self._failures.stop()
        await self._visits.close(max(1.0, end - self._loop.time()))
        await self._deliverer.stop(max(1.0, end - self._loop.time()))
        await self._control.close()
        await self._reporting.close()
        await self._store.close()
        self._threads.close()
        for timer in (self._ticker, self._policy_ticker):
            if timer is not None:
                timer.cancel()
        if self._sts is not None:
            self._sts.close()
        if isinstance(self._resolver, NetworkResolver):
            self._resolver.close()
        self._ledger.close()
        self._log.notice("stopped")
        self._log.flush()

    def reload(self) -> None:
        """Read the settings again: policy, domains, limits and listeners' rules, for who connects from now on.
        Addresses, hostname, state folder, DNS, the queue's settings and what is said of other hosts need a new
        start."""
        try:
            settings = load(self._path)
            fixed = (
                "hostname",
                "state_dir",
                "dns",
                "queue",
                "relay",
                "credentials",
                "tls_policy",
                "fetch",
                "tls_report",
                "dmarc_report",
            )
            if any(getattr(settings, name) != getattr(self._settings, name) for name in fixed) or [
                listener.bind for listener in settings.listener
            ] != [listener.bind for listener in self._settings.listener]:
                raise ValueError(f"a change of {', '.join(fixed)} or of an address needs a new start")
            certificates = make_certificates(self._path, settings)
            desk = self._desk(settings)
            signer = load_signer(self._path, settings)
            forwarding = make_forwarding(self._path, settings)
            fronts = [
                make_front(settings, number, certificates, desk, signer, forwarding)
                for number in range(len(settings.listener))
            ]
            fronts.append(make_fetched_front(settings, forwarding))
        except (SettingsError, ValueError, OSError) as error:
            self._log.warning(f"the old settings stay in force: {error}")
            return
        self._settings = settings
        self._certificates = certificates
        self._signer = signer
        self._forwarding = forwarding
        self._guard.limits = make_guard_limits(settings)
        self._house.admission.limit(settings.limits.connections, settings.limits.connections_per_client)
        self._ledger.retention_days = settings.ledger.retention_days
        for listening, front in zip(self._listening, fronts, strict=True):
            listening.relay.front = front
        self._log.notice("the settings were read again")

    def _submit(self, message: QueuedMessage) -> None:
        """Deliver a message of our own."""
        self._deliverer.submit(message)

    def _report_signer(self) -> Signer:
        """What signs our reports, by the settings of now."""
        return self._signer if self._settings.dkim_sign.reports else NO_SIGNER

    def _returns_to(self, reverse_path: Mailbox, now: float) -> Mailbox:
        """Where a report of ours goes: whom an SRS address of ours leads back to, by the settings in force."""
        return reverse_path if self._forwarding is None else self._forwarding.returns_to(reverse_path, now)

    def _readers(self, mailbox: Mailbox) -> tuple[Mailbox, ...]:
        """Who gets a report to a mailbox, by the settings of now."""
        return (mailbox,) if self._forwarding is None else self._forwarding.readers(mailbox)

    def _desk(self, settings: Settings) -> LoginDesk:
        """Where clients log in. Raises OSError and ValueError for a file that cannot be used."""
        authenticator = make_authenticator(self._path, settings, self._threads, self._pepper, self._log.warning)
        return LoginDesk(authenticator, self._guard, self._log, settings.hostname)

    async def _asked(self, request: Request) -> Response:
        """What a tool asked over the control socket."""
        if request.command == "report":
            return await self._report(request)
        if request.command == "fetch":
            return await self._fetch(request.argument)
        if request.command != "refresh":
            return Response(False, f"no such command: {request.command}")
        try:
            await self._deliverer.retry_now()
        except NotStored as error:
            return Response(False, str(error))
        return Response(True)

    async def _report(self, request: Request) -> Response:
        """Send a report that an operator asked for."""
        try:
            told = await self._reporting.send(request.kind, day.parse(request.day), request.domain)
        except (LookupError, ValueError, sqlite3.Error) as error:
            return Response(False, str(error))
        return Response(told.startswith("sent"), told)

    async def _fetch(self, name: str) -> Response:
        """Fetch now from the provider of this name, or from all."""
        chosen = [fetcher for fetcher in self._fetchers if name in ("", fetcher.source.name)]
        if not chosen:
            return Response(False, f"no [[fetch]] has the host {name}" if name else "there is no [[fetch]]")
        fetched = await asyncio.gather(*(fetcher.fetch() for fetcher in chosen))
        return Response(all(one.ok for one in fetched), "\n".join(map(str, fetched)))

    def _tick(self) -> None:
        for listening in self._listening:
            listening.relay.expire()
        self._refresh_certificates()
        self._ticker = self._loop.call_later(TICK, self._tick)

    def _refresh_policies(self) -> None:
        """MTA-STS policies are fetched anew long before their time is over."""
        if self._sts is not None:
            self._sts.refresh()
            self._policy_ticker = self._loop.call_later(POLICY_TICK, self._refresh_policies)

    def _refresh_certificates(self) -> None:
        """A certificate that was renewed is used from now on."""
        if self._certificates is None:
            return
        try:
            if self._certificates.refresh():
                self._log.notice("the certificates were read again")
        except CertificateError as error:
            self._log.warning(f"the old certificates stay in use: {error}")

    def _unhurried(self, _seconds: float) -> Resolver:
        """A zone in memory answers at once."""
        return self._resolver


def pepper_in(path: Path) -> bytes:
    """The secret that salts for users who do not exist are made of; made at the first start, and then the same."""
    with suppress(FileNotFoundError):
        found = path.read_bytes()
        if len(found) == PEPPER_OCTETS:
            return found
    made = secrets.token_bytes(PEPPER_OCTETS)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
    return made


def raise_file_limit() -> None:
    """As many open files as the system allows us: a connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _say(text: str) -> None:
    os.write(2, f"{text}\n".encode("utf-8", "backslashreplace"))
