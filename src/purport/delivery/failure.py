"""The policy of failure: what a reply means for a recipient (RFC 5321 section 4.2.1, section 4.5.4.1).

450 at RCPT, another host left    ->  next host
450 at RCPT, no host left         ->  deferred
550 at RCPT                       ->  failed
lost after the end of data        ->  deferred: the message may have arrived, another host would get it twice
"""

from __future__ import annotations

from enum import Enum

from purport.mail.reply import Reply
from purport.smtp.client_transaction import Stage


class Judgement(Enum):
    """What becomes of a recipient."""

    DELIVERED = "delivered"
    RELAYED = "relayed"
    NEXT_HOST = "next host"
    DEFERRED = "deferred"
    FAILED = "failed"
    RETURNED = "returned"  # there was no attempt: its lease is given back


def judge(reply: Reply, stage: Stage, *, local: bool, more_hosts: bool) -> Judgement:
    """What `reply` at `stage` means; `local` marks a reply of this side, `more_hosts` that another host is left."""
    if reply.accepted:
        return Judgement.RELAYED
    if is_permanent(reply, stage, local=local):
        return Judgement.FAILED
    if local and stage is Stage.END_OF_DATA:
        return Judgement.DEFERRED
    return Judgement.NEXT_HOST if more_hosts else Judgement.DEFERRED


def judge_host(reply: Reply, stage: Stage) -> Judgement:
    """What it means when the last host refused the connection, at `stage`, and nothing was asked of it yet."""
    if stage is Stage.GREETING and reply.code == 521:
        return Judgement.FAILED  # RFC 7504 section 3: this host accepts no mail under any circumstances
    if stage in (Stage.CONNECT, Stage.PROTECTION) and reply.permanent:
        # No host to connect to: no such domain, null MX, a loop; or none that may have the message (RFC 8689).
        return Judgement.FAILED
    # 5yz at the greeting or to EHLO is about us or about the hour, not about a recipient: so it is not final.
    return Judgement.DEFERRED


def is_permanent(reply: Reply, stage: Stage, *, local: bool) -> bool:
    """Whether trying again will not help."""
    if stage is Stage.RCPT and reply.code == 552 and not local:
        return False  # RFC 5321 section 4.5.3.1.10: old servers mean "too many recipients", 452
    return reply.permanent


def status_of(reply: Reply) -> str:
    """The enhanced status code of a reply, or the class alone where the server gave none (RFC 3463 section 2)."""
    return reply.status or f"{reply.code // 100}.0.0"
