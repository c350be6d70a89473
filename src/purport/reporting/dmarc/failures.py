"""Sends failure reports as messages come (RFC 9991): asked for by ruf=, wanted by who gets them, and not too many.

    message -> does its owner ask? -> the ration -> the DNS: who takes it? -> a mail to each -> the queue

Nothing waits for it, and nothing is kept: a report that could not be sent is a line in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, final

from purport import __version__
from purport.dns.lookup import Resolver, run
from purport.mail.address import NULL
from purport.queue.store import NotStored
from purport.reporting.destination import ByMail
from purport.reporting.dmarc.afrf import FailureReport
from purport.reporting.dmarc.failure import Failure
from purport.reporting.dmarc.ration import Ration
from purport.reporting.dmarc.wish import wish_of
from purport.reporting.outbox import Outbox
from purport.reporting.submitter import Submitter
from purport.reporting.wish import Wanted

AT_ONCE: Final = 50  # reports whose destinations are being asked for, each with a header of 256 KiB at worst


@final
class FailureReports:
    """Made in the loop's thread, and used there. `secret` keys what is redacted; it should outlive the process."""

    def __init__(
        self,
        submitter: Submitter,
        outbox: Outbox,
        resolver: Resolver,
        secret: bytes,
        *,
        note: Callable[[str], None],
        warn: Callable[[str], None],
        failure: Callable[[str, BaseException], None],
        ration: Ration | None = None,
    ) -> None:
        self._submitter = submitter
        self._outbox = outbox
        self._resolver = resolver
        self._secret = secret
        self._note = note
        self._warn = warn
        self._failure = failure
        self._ration = ration or Ration()
        self._tasks: set[asyncio.Task[None]] = set()

    def report(self, failure: Failure) -> None:
        """Report a failure, unless there were too many; takes no time."""
        ration, now = self._ration, self._outbox.clock()
        self._tell(ration.begin(now))
        if len(self._tasks) >= AT_ONCE:
            ration.leave_out(failure.path)
            return
        incidents = ration.allow(failure.policy_domain, failure.path, now)
        if not incidents:
            return
        task = asyncio.get_running_loop().create_task(self._send(failure, incidents))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """All that was to be reported until now is in the queue, or told to be not."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Send no more."""
        self._tell(self._ration.left_out)
        for task in self._tasks:
            task.cancel()
        await self.settled()

    def _tell(self, left_out: int) -> None:
        if left_out:
            self._note(f"DMARC failure reports: {left_out} messages had none of their own, as there were too many")

    async def _send(self, failure: Failure, incidents: int) -> None:
        name = f"DMARC failure report to {failure.policy_domain} about {failure.queue_id}"
        try:
            wish = await run(wish_of(failure.policy_domain, failure.uris, "ruf"), self._resolver, asyncio.gather)
            if not isinstance(wish, Wanted):
                self._note(f"{name}: not sent: {wish.reason}")
                return
            report = FailureReport(failure, incidents, self._outbox.hostname, f"Purport/{__version__}", self._secret)
            for destination in wish.destinations:
                if isinstance(destination, ByMail):
                    self._note(f"{name}: {await self._put(report, destination)}")
        except NotStored as error:
            self._warn(f"{name}: not sent: {error}")
        except Exception as error:  # noqa: BLE001  # a fault of ours: told, and no obstacle to mail
            self._failure("failure reports", error)

    async def _put(self, report: FailureReport, destination: ByMail) -> str:
        """Queue the report for one mailbox. Its reverse-path is null, so that nobody answers it (RFC 9991)."""
        outbox, sender, recipient = self._outbox, self._submitter.sender, destination.mailbox
        queue_id, now = outbox.new_id(), outbox.clock()
        octets = report.mail(sender=sender, recipient=recipient, report_id=queue_id, now=now)
        queued = await outbox.put(octets, queue_id, now, sender, NULL, (recipient,))
        return f"queued as {queued.queue_id} for {recipient}"
