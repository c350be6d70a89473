"""What a transaction that is over means for the recipients of its job, whoever owns the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from purport.authentication.dkim.signer import Signer
from purport.delivery.attempt import Connection
from purport.delivery.content import Content, converted
from purport.delivery.failure import Judgement, judge
from purport.delivery.job import Answer, Job
from purport.mail.conversion import CannotConvert
from purport.mail.reply import LOCAL_ERROR, reply
from purport.queue.store import QueuedRecipient
from purport.smtp.client_transaction import Transaction

GIVEN_BACK: Final = Answer(reply(450, "4.4.0", "Not tried"), local=True)


def settle_all(job: Job, judgement: Judgement, answer: Answer) -> None:
    """`answer` for those who have heard nothing; what a host said to somebody before goes first."""
    for recipient in job.recipients:
        job.settle(recipient, judgement, job.held.get(recipient.number, answer))


def give_back(job: Job) -> None:
    """Nothing was tried: the queue has the recipients again as it had them."""
    for recipient in job.recipients:
        job.settle(recipient, Judgement.RETURNED, GIVEN_BACK)


def settle_transaction(
    connection: Connection, job: Job, transaction: Transaction, *, more_hosts: bool
) -> list[QueuedRecipient]:
    """Settle what is decided; gives the recipients that another host is to be tried for, where there is one."""
    again: list[QueuedRecipient] = []
    transcript: str | None = None
    settled = zip(job.recipients, transaction.replies, transaction.stages, strict=True)
    for number, (recipient, given, stage) in enumerate(settled):
        assert given is not None  # the session settles everyone before it says that a transaction is finished
        local = transaction.local or number in transaction.unsendable
        judgement = judge(given, stage, local=local, more_hosts=more_hosts)
        if judgement is Judgement.RELAYED:
            if connection.delivers and not connection.reports:
                judgement = Judgement.DELIVERED
            taken = Answer(
                given,
                connection.label,
                reports=connection.reports,
                keeps_time=connection.keeps_time,
                tls=connection.tls,
                policy=connection.policy.told,
            )
            job.settle(recipient, judgement, taken)
            continue
        if transcript is None:
            transcript = connection.transcript(transaction)
        policy = connection.policy.told
        answer = Answer(given, connection.label, transcript, local, tls=connection.tls, policy=policy)
        if judgement is Judgement.NEXT_HOST:
            job.held[recipient.number] = answer
            again.append(recipient)
        else:
            job.settle(recipient, judgement, answer)
    return again


def divided(job: Job, fitting: Sequence[QueuedRecipient]) -> tuple[Job, Job]:
    """A job as the part that fits into a transaction, and the rest."""
    chosen = {recipient.number for recipient in fitting}
    rest = [recipient for recipient in job.recipients if recipient.number not in chosen]
    return job.part(fitting), job.part(rest)


async def convert(job: Job, host: str, signer: Signer, now: float) -> bool:
    """Convert a message for a host that does not take it as it is; a signature of ours is made anew. False: it cannot
    be, and its recipients are settled."""
    try:
        trace, body = await asyncio.to_thread(converted, job.message, signer, now)
    except CannotConvert as refusal:
        settle_all(job, Judgement.FAILED, Answer(refusal.reply, host, local=True))
        return False
    except OSError as error:
        given = reply(451, "4.3.0", f"Message cannot be read: {error.strerror}")
        settle_all(job, Judgement.DEFERRED, Answer(given, host, local=True))
        return False
    except Exception as error:  # noqa: BLE001  # a fault of ours: told, and its recipients are not forgotten
        told = {"message": "a message could not be converted", "exception": error}
        asyncio.get_running_loop().call_exception_handler(told)
        settle_all(job, Judgement.DEFERRED, Answer(LOCAL_ERROR, host, local=True))
        return False
    job.trace, job.body, job.content = trace, body, Content(body, eightbit=False)
    return True
