"""Which messages do not go on to another address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from purport.mail.address import Mailbox
from purport.mail.reply import Reply, reply
from purport.policy.decision import Rule
from purport.policy.submitter import Verdict

LOOPS: Final = "forwarding-loop"


def loop_reply(forwarder: Mailbox) -> Reply:
    """A message that was forwarded for a mailbox came back to it (RFC 3463 section 3.5)."""
    return reply(554, "5.4.6", f"Mail forwarding loop for {forwarder}")


def goes_round(looping: Sequence[Mailbox], *, others: bool) -> Verdict:
    """Whether a message came back to the mailboxes that forwarded it; `others`: somebody else is to get it too, so that
    it is taken, and fails for these alone."""
    if not looping:
        return Rule(LOOPS, "pass", "it was not forwarded here before"), None
    reason = f"it was forwarded for {looping[0]} before"
    if others:
        return Rule(LOOPS, "tag", reason), None
    return Rule(LOOPS, "refuse", reason), loop_reply(looping[0])
