"""The round that sends reports: what is due now, and again when more is.

    a day ends -> each domain gets a random moment -> the DNS is asked where to -> mail and HTTPS -> sent
                                                   -> nobody took it -> again later, for less than a day

How far each report got is in the database, so a restart goes on where it stopped; days that were missed are caught up,
three of them at most.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, final

from purport.dns.lookup import Resolver, run
from purport.queue.store import NotStored
from purport.reporting import standing
from purport.reporting.database import KEPT_DAYS, ReportDatabase
from purport.reporting.day import day_of, name_of
from purport.reporting.destination import ByMail, ByPost, Destination
from purport.reporting.document import Document
from purport.reporting.kind import Kind
from purport.reporting.outbox import Outbox, Unsigned
from purport.reporting.post import NotPosted, Poster
from purport.reporting.standing import Standing
from purport.reporting.wish import Unknown, Unwanted

LONGEST_SLEEP: Final = 600.0  # seconds: a day that ends, or a clock that is set, is seen this late at most
SHORTEST_SLEEP: Final = 30.0  # seconds: reports that are due soon after each other share a look at what is due
AT_ONCE: Final = 8  # reports under way: a receiver that answers slowly must not hold the others up


@final
class ReportSender:
    """Sends what is due. Made in the loop's thread."""

    def __init__(
        self,
        *,
        kinds: Sequence[Kind],
        database: ReportDatabase,
        resolver: Resolver,
        outbox: Outbox,
        poster: Poster,
        note: Callable[[str], None],
        warn: Callable[[str], None],
        failure: Callable[[BaseException], None],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self._database = database
        self._resolver = resolver
        self._outbox = outbox
        self._poster = poster
        self._note = note
        self._warn = warn
        self._failure = failure
        self._clock = clock
        self._chance = chance
        self._running: asyncio.Task[None] | None = None
        self._room = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[tuple[str, int, str]] = set()  # by the round or by a command, not by both

    def start(self) -> None:
        """Send what is due from now on."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Break off. A report that was being sent is sent again after the next start, under the same id."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def flush(self) -> None:
        """Write what was counted."""
        for kind in self._kinds.values():
            await kind.flush()

    async def _run(self) -> None:
        while True:
            try:
                due_at = await self.send_due()
            except sqlite3.Error as error:
                self._warn(f"reports are not sent: {error}")
                due_at = None
            except Exception as error:  # noqa: BLE001  # a fault of ours must not end the rounds
                self._failure(error)
                due_at = None
            pause = LONGEST_SLEEP if due_at is None else due_at - self._clock()
            await asyncio.sleep(min(max(pause, SHORTEST_SLEEP), LONGEST_SLEEP))

    async def send_due(self) -> float | None:
        """Send what is due now. Returns when the next one is, None where none is known. Raises sqlite3.Error."""
        for kind in self._kinds.values():
            await kind.flush()
            await self._database.run(partial(self._tidy, kind, self._clock()))
            await self._send_all(kind)
        return await self._database.run(standing.next_due)

    async def _send_all(self, kind: Kind) -> None:
        """Send what is due of one kind, each report once."""
        tried: set[Standing] = set()
        while reports := set(await self._database.run(partial(_due, kind.name, self._clock()))) - tried:
            tried |= reports
            results = await asyncio.gather(*(self._send(kind, one) for one in reports), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def send(self, kind_name: str, day: int, domain: str) -> str:
        """Send one report about a day that is over, now, whether it was sent before or not; what came of it. Raises
        LookupError where there is nothing to tell, sqlite3.Error."""
        kind = self._kinds.get(kind_name)
        if kind is None:
            raise LookupError(f"reports of the kind {kind_name} are not sent here")
        if day >= day_of(self._clock()):
            raise LookupError(f"{name_of(day)} is not over yet")
        await kind.flush()
        known = await self._database.run(partial(_known, kind, day, domain))
        if known is None:
            raise LookupError(f"nothing was counted for {domain} on {name_of(day)}")
        return await self._send(kind, known)

    def _tidy(self, kind: Kind, now: float, connection: sqlite3.Connection) -> None:
        """Forget what is too old, and plan what is new."""
        oldest = day_of(now) - KEPT_DAYS
        kind.forget(connection, oldest)
        standing.forget(connection, oldest)
        standing.plan(connection, kind.name, kind.domains, now, self._chance)

    async def _send(self, kind: Kind, one: Standing) -> str:
        """Send one report; what came of it. Raises sqlite3.Error."""
        key = (kind.name, one.day, one.domain)
        if key in self._under_way:
            return "it is being sent"
        self._under_way.add(key)
        try:
            async with self._room:
                return await self._asked_and_sent(kind, one)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001  # a fault of ours: told, and no obstacle to other reports
            self._failure(error)
            return await self._put_off(kind, one, f"a fault of this server: {type(error).__name__}")
        finally:
            self._under_way.discard(key)

    async def _asked_and_sent(self, kind: Kind, one: Standing) -> str:
        evaluation = await self._database.run(lambda connection: kind.wish(connection, one.day, one.domain))
        wish = await run(evaluation, self._resolver, asyncio.gather)
        if isinstance(wish, Unwanted):
            await self._database.run(lambda connection: standing.settle(connection, one, "unwanted", wish.reason))
            return f"not wanted: {wish.reason}"
        if isinstance(wish, Unknown):
            return await self._put_off(kind, one, wish.reason)
        document = await self._database.run(lambda connection: kind.document(connection, one.day, one.domain))
        taken: list[str] = []
        refused: list[str] = []
        for destination in wish.destinations:
            ok, told = await self._send_to(kind, destination, document)
            (taken if ok else refused).append(told)
        told = "; ".join(taken + refused)
        if not taken:
            return await self._put_off(kind, one, told)
        await self._database.run(lambda connection: standing.settle(connection, one, "sent", told))
        self._note(f"{kind.name} report to {one.domain} about {name_of(one.day)}: {told}")
        return f"sent: {told}"

    async def _put_off(self, kind: Kind, one: Standing, told: str) -> str:
        """Nobody took it, or nobody knows who should."""
        state = await self._database.run(lambda connection: standing.put_off(connection, one, self._clock(), told))
        again = "given up" if state == "failed" else "to be tried again"
        self._warn(f"{kind.name} report to {one.domain} about {name_of(one.day)}: {again}: {told}")
        return f"{again}: {told}"

    async def _send_to(self, kind: Kind, destination: Destination, document: Document) -> tuple[bool, str]:
        """Whether the destination took it, and what came of it. That is so for a mail as soon as it is in our queue."""
        try:
            if isinstance(destination, ByMail):
                queued = await self._outbox.send(
                    document,
                    sender=kind.sender,
                    recipients=(destination.mailbox,),
                    signed=kind.must_be_signed,
                )
                return True, f"queued as {queued.queue_id} for {destination.mailbox}"
            assert isinstance(destination, ByPost)
            octets = await asyncio.to_thread(document.compressed)
            return True, await self._poster.post(destination, octets, document.media_type)
        except (NotStored, Unsigned) as error:
            return False, f"not sent to {destination}: {error}"
        except NotPosted as error:
            return False, str(error)


def _due(kind: str, now: float, connection: sqlite3.Connection) -> list[Standing]:
    return standing.due(connection, kind, now)


def _known(kind: Kind, day: int, domain: str, connection: sqlite3.Connection) -> Standing | None:
    """The standing of a report that may not be planned yet; None where there is nothing to tell."""
    if domain not in kind.domains(connection, day):
        return None
    known = standing.standing(connection, kind.name, day, domain)
    if known is not None:
        return Standing(kind.name, day, domain, known.state, known.due_at, 0, known.told)
    return Standing(kind.name, day, domain, "waiting", 0.0, 0, "")
