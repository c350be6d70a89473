"""Hosts that could not be used, and which of several is told of a next hop."""

from __future__ import annotations

from purport.delivery.failure import Judgement, judge_host
from purport.delivery.job import Answer
from purport.mail.reply import Reply, reply
from purport.net.client_tls import Flaw
from purport.smtp.client import TLS_NOT_OFFERED
from purport.smtp.client_transaction import Stage


class Refused(Exception):
    """No host of a next hop could be used; what the last one said, or why there was none to ask. `flaw` is that of a
    handshake, `policy` what was asked of the connection, `transcript` the dialogue as far as it got."""

    def __init__(
        self,
        stage: Stage,
        given: Reply,
        host: str,
        *,
        flaw: Flaw | None = None,
        policy: str = "",
        transcript: str = "",
    ) -> None:
        super().__init__(str(given))
        self.stage = stage
        self.reply = given
        self.host = host
        self.flaw = flaw
        self.policy = policy
        self.transcript = transcript

    @property
    def answer(self) -> Answer:
        """What recipients are told that were on their way there."""
        local = self.stage in (Stage.CONNECT, Stage.PROTECTION, Stage.STARTTLS)
        return Answer(self.reply, self.host, self.transcript, local, policy=self.policy)

    @property
    def needs_encryption(self) -> bool:
        """Whether the host has no TLS for us, or none that proves who it is."""
        if self.stage is not Stage.STARTTLS:
            return False
        return self.flaw is not None or self.reply == TLS_NOT_OFFERED or self.reply.permanent


def without_encryption(refused: Refused) -> Refused:
    """What it means that a host refused the connection which a message with REQUIRETLS needs (RFC 8689 section 4.2.1):
    where it has no protection that will do, another attempt would not find it either."""
    if not refused.needs_encryption:
        return refused
    given = reply(550, "5.7.10", f"Encryption needed: {refused.reply.text[0]}")
    return Refused(
        Stage.PROTECTION, given, refused.host, flaw=refused.flaw, policy=refused.policy, transcript=refused.transcript
    )


def of_one_host(refused: Refused, before: Refused) -> Refused:
    """What is told of a host after two of its addresses refused. One that was there and cannot have the message speaks
    for those that were not there: many a host has an IPv6 address that nobody reaches."""
    for one, other in ((refused, before), (before, refused)):
        if one.stage is Stage.PROTECTION and one.reply.permanent and other.stage is Stage.CONNECT:
            return one
    return refused if is_told(refused, before) else before


def is_told(refused: Refused, before: Refused) -> bool:
    """Whether this is told of a next hop rather than what another host said before. Only if all say "never" is it
    never; and one that was there tells more than one that was not."""
    if judge_host(refused.reply, refused.stage) is not Judgement.DEFERRED:
        return False
    if judge_host(before.reply, before.stage) is not Judgement.DEFERRED:
        return True
    return refused.stage is not Stage.CONNECT or before.stage is Stage.CONNECT
