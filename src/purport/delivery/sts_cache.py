"""MTA-STS policies of domains, kept on disk: what was once known holds until its time is over (RFC 8461 section 5.1).

Who can answer in place of the DNS or of a policy host can make a policy disappear. So a policy that is kept counts
until its max_age is over, whatever is heard meanwhile; a new one takes its place when the id in the TXT record is
another. It is fetched anew once a day, so that it does not end in silence (section 10.2).

Mail does not wait for a policy host: after WAIT seconds it goes on as if there were none, or with the one that is kept,
and what the host says then is there for the next message.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, final

import msgspec

from purport.delivery.sts_policy import StsPolicy, read_policy, sts_id
from purport.delivery.tls_outcome import TlsOutcome
from purport.dns.lookup import Resolver, run
from purport.mail.domain import is_domain_name
from purport.net.policy_host import NoPolicy

WAIT: Final = 10.0  # seconds that a message waits for a policy which is not known yet
AGAIN: Final = 300.0  # seconds until a fetch that failed is tried again (RFC 8461 section 3.3)
FRESH: Final = 86400.0  # seconds until a policy that is used is fetched anew ("once per day", RFC 8461 section 3.3)
ENTRIES: Final = 4096  # policies kept, and failures remembered: the oldest make room
FETCHES: Final = 32  # under way at once; beyond, mail goes on without waiting
ENTRY_OCTETS: Final = 65536  # of a file; ours are smaller by far

Fetch = Callable[[str], Awaitable[bytes]]
"""Fetches the policy of a domain from its policy host. Raises NoPolicy."""


class Kept(msgspec.Struct, frozen=True):
    """A policy as it is kept, with the id that it was fetched for; seconds since 1970."""

    id: str
    fetched_at: float
    policy: StsPolicy

    def good(self, now: float) -> bool:
        """Whether it still counts; a clock that was set back does not make it count for longer."""
        return self.fetched_at - FRESH <= now < self.fetched_at + self.policy.max_age

    def due(self, now: float) -> bool:
        """Whether it is to be fetched anew."""
        return now - self.fetched_at >= min(FRESH, self.policy.max_age / 2)


@final
class StsPolicies:
    """The policies of a process, in memory and in a folder. Belongs to one event loop."""

    def __init__(
        self,
        folder: Path,
        resolver: Resolver,
        fetch: Fetch,
        *,
        warn: Callable[[str], None] = lambda _: None,
        report: Callable[[TlsOutcome], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
        wait: float = WAIT,
        entries: int = ENTRIES,
    ) -> None:
        """Reads what the folder holds; files that are none of ours, or whose time is over, are left alone or removed.
        `warn` hears of a fetch that failed, `report` too."""
        self._folder = folder
        self._resolver = resolver
        self._fetch = fetch
        self._warn = warn
        self._report = report
        self._clock = clock
        self._wait = wait
        self._entries = entries
        self._known: dict[str, Kept] = {}  # in the order they were fetched
        self._failed: dict[tuple[str, str], float] = {}  # domain and id: when
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._read_all()

    async def policy(self, domain: str) -> StsPolicy | None:
        """The policy that holds for a domain (A-labels, lower case) now; None: there is none."""
        if not is_domain_name(domain):
            return None
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait
        given = await self._announced(domain)
        now = self._clock()
        kept = self._good(domain, now)
        if given is None and kept is None:
            return None
        if kept is None or (given is not None and given != kept.id):
            await waited(self._begin(domain, given or "", now), end - loop.time())
        elif kept.due(now):
            self._begin(domain, given or kept.id, now)
        kept = self._good(domain, self._clock())
        return None if kept is None else kept.policy

    async def _announced(self, domain: str) -> str | None:
        """The id in the domain's TXT record; a name server that says nothing is not waited for long either."""
        try:
            async with asyncio.timeout(self._wait):
                return await run(sts_id(domain), self._resolver)
        except TimeoutError:
            return None

    def refresh(self) -> None:
        """Fetch what is due, whatever the TXT records say; to be called now and then. A domain that gave MTA-STS up is
        left in peace."""
        now = self._clock()
        for domain, kept in tuple(self._known.items()):
            if kept.due(now) and kept.good(now) and kept.policy.mode != "none":
                self._begin(domain, kept.id, now)

    @property
    def fetching(self) -> int:
        """How many policies are being fetched."""
        return len(self._fetching)

    def close(self) -> None:
        """Give up the fetches that are under way."""
        for task in tuple(self._fetching.values()):
            task.cancel()

    def _good(self, domain: str, now: float) -> Kept | None:
        kept = self._known.get(domain)
        return kept if kept is not None and kept.good(now) else None

    def _begin(self, domain: str, given: str, now: float) -> asyncio.Task[None] | None:
        """Fetch a policy, where that is not under way already and has not just failed."""
        task = self._fetching.get(domain)
        if task is not None:
            return task
        failed_at = self._failed.get((domain, given))
        if (failed_at is not None and 0 <= now - failed_at < AGAIN) or len(self._fetching) >= FETCHES:
            return None
        task = self._fetching[domain] = asyncio.get_running_loop().create_task(self._renew(domain, given))
        task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return task

    async def _renew(self, domain: str, given: str) -> None:
        try:
            policy = read_policy(await self._fetch(domain))
        except NoPolicy as problem:
            self._remember_failure(domain, given, problem.result, str(problem))
            return
        except ValueError as problem:
            self._remember_failure(domain, given, "sts-policy-invalid", str(problem))
            return
        kept = Kept(given, self._clock(), policy)
        self._failed.pop((domain, given), None)
        self._known.pop(domain, None)
        self._known[domain] = kept
        superfluous = [next(iter(self._known))] if len(self._known) > self._entries else []
        for name in superfluous:
            del self._known[name]
        try:
            await asyncio.to_thread(self._write, domain, kept, superfluous)
        except OSError as error:
            self._warn(f"the MTA-STS policy of {domain} is not on disk: {error.strerror}")

    def _remember_failure(self, domain: str, given: str, result: str, reason: str) -> None:
        now = self._clock()
        self._failed.pop((domain, given), None)
        self._failed[domain, given] = now
        if len(self._failed) > self._entries:
            del self._failed[next(iter(self._failed))]
        kept = self._good(domain, now)
        if kept is not None and kept.policy.mode == "none":  # so that it can be given up (RFC 8461 section 8.3)
            return
        strings, mx = ((), ()) if kept is None else (kept.policy.strings, kept.policy.mx)
        self._report(TlsOutcome("sts", domain, strings, mx, result, reason=reason))
        holds = "there is none for now" if kept is None else "the one that is kept holds"
        self._warn(f"the MTA-STS policy of {domain} cannot be had ({reason}): {holds}")

    # On disk: one file for each domain

    def _path(self, domain: str) -> Path:
        return self._folder / f"{domain}.json"

    def _write(self, domain: str, kept: Kept, superfluous: list[str]) -> None:
        """Put a file in its place, whole or not at all. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(domain)
        fresh = path.with_name(f"{path.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        for name in superfluous:
            self._path(name).unlink(missing_ok=True)

    def _read_all(self) -> None:
        now = self._clock()
        found: list[tuple[str, Kept]] = []
        try:
            paths = list(self._folder.glob("*.json"))
        except OSError:
            return
        for path in paths:
            domain = path.name.removesuffix(".json")
            try:
                with path.open("rb") as file:
                    kept = msgspec.json.decode(file.read(ENTRY_OCTETS), type=Kept)
                if not kept.good(now):
                    path.unlink(missing_ok=True)
                    continue
            except (OSError, msgspec.MsgspecError):
                continue  # it is fetched again
            if is_domain_name(domain):
                found.append((domain, kept))
        found.sort(key=lambda pair: pair[1].fetched_at)
        self._known = dict(found[-self._entries :])


async def waited(task: asyncio.Task[None] | None, seconds: float) -> None:
    """Wait for a fetch for so long; it goes on without us."""
    if task is not None and seconds > 0:
        await asyncio.wait((task,), timeout=seconds)
