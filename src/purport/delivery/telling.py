"""What the sender hears of an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from purport.delivery.answers import EXPIRED
from purport.delivery.failure import Judgement
from purport.delivery.job import Answer
from purport.delivery.report import Reporter, fate_of
from purport.delivery.round import Round
from purport.mail.dsn import Action, Fate
from purport.queue.schedule import Schedule
from purport.queue.store import QueuedRecipient


@final
@dataclass(frozen=True, slots=True)
class Teller:
    """Says which reports an outcome asks for."""

    reporter: Reporter
    schedule: Schedule

    def fates(
        self,
        current: Round,
        recipient: QueuedRecipient,
        judgement: Judgement,
        answer: Answer,
        status: str,
        said: str,
        now: float,
    ) -> list[Fate]:
        """What the sender is to hear of it."""
        message, deadline = current.message, current.deadline
        wanted = self.reporter.wanted
        host = "" if answer.local else answer.host
        unasked = judgement is Judgement.RELAYED and (
            deadline is not None and deadline.tells_relayed(now, kept=answer.keeps_time)
        )
        action: Action | None = "relayed" if unasked else self._action(current, recipient, judgement, answer, now)
        fates: list[Fate] = []
        if action == "delayed" and wanted(message, recipient, action):
            fates.append(self._delayed(current, recipient, status, said, host, now))
        elif action is not None and wanted(message, recipient, action, unasked=unasked):
            fates.append(fate_of(recipient, action, status, said, host, reported=answer.reports))
        if deadline is not None and judgement in (Judgement.DELIVERED, Judgement.RELAYED):
            # It is there now, but who set a time is told that it was not kept (RFC 2852 section 4.1.3).
            late = deadline.ahead and deadline.passed(now) and not recipient.warned
            if late and wanted(message, recipient, "delayed"):
                fates.append(fate_of(recipient, "delayed", EXPIRED, said, host, late=True))
        return fates

    def _action(
        self, current: Round, recipient: QueuedRecipient, judgement: Judgement, answer: Answer, now: float
    ) -> Action | None:
        """What a report would say; None where there is nothing to report yet, or another host does it."""
        if judgement is Judgement.FAILED:
            return "failed"
        if judgement is Judgement.DELIVERED:
            return "delivered"
        if judgement is Judgement.RELAYED:
            return None if answer.reports else "relayed"
        deadline = current.deadline
        if deadline is None or deadline.returns:
            late = self.schedule.warns(current.message.released_at, now)
        else:  # who sent it said when they want to hear of it
            late = deadline.passed(now)
        return "delayed" if late and not recipient.warned else None

    def _delayed(
        self, current: Round, recipient: QueuedRecipient, status: str, said: str, host: str, now: float
    ) -> Fate:
        """A recipient that waits: until when it may."""
        deadline, until = current.deadline, self.schedule.expires_at(current.message.released_at)
        if deadline is not None and deadline.returns:
            until = min(until, deadline.at)
        elif deadline is not None and deadline.passed(now):
            status = EXPIRED
        return fate_of(recipient, "delayed", status, said, host, retry_until=until)
