"""Which messages do not go on to another address.

    S: 550 5.7.1 Not forwarded: DMARC of bank.example is fail, and its owner wants such mail rejected

A forwarder lends its name to what it passes on: SRS makes SPF pass, and a resent block makes us responsible. What its
author's domain disowns is not laundered so (Liu et al., "Forward Pass", EuroS&P 2023). The client hears of it, and not
the sender in a report, as that address may be as forged as the author.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from purport.mail.address import Mailbox
from purport.mail.reply import Reply, reply
from purport.policy.decision import Rule
from purport.policy.facts import MessageFacts
from purport.policy.submitter import Verdict

LOOPS: Final = "forwarding-loop"
DMARC: Final = "forwarding-dmarc"

# Which messages that fail DMARC are not forwarded: those whose author's domain asks for more than none; all; none of
# them.
DmarcFail = Literal["policy", "refuse", "forward"]


def may_forward(policy: DmarcFail, facts: MessageFacts) -> Verdict:
    """Whether DMARC lets a message go on. Where somebody trusted vouches for it as it was before (`override`), it may;
    of a client that logged in nothing is asked."""
    found = facts.authentication
    if found is None or policy == "forward":
        return Rule(DMARC, "skip", "it is not asked"), None
    result = found.dmarc
    if result.author.kind == "broken":
        refusal = reply(550, "5.7.1", "Not forwarded: the From field names no author that can be read in one way")
        return Rule(DMARC, "refuse", result.problem or "the author cannot be read"), refusal
    if result.result != "fail" or facts.override is not None:
        return Rule(DMARC, "pass", f"DMARC is {result.result}"), None
    if policy == "policy" and result.disposition == "none":
        return Rule(DMARC, "tag", f"DMARC of {result.author_domain} is fail, and its owner asks for nothing"), None
    asks = "" if result.disposition == "none" else f", and its owner wants such mail {ASKED[result.disposition]}"
    told = f"DMARC of {result.author_domain} is fail{asks}"
    return Rule(DMARC, "refuse", told), reply(550, "5.7.1", f"Not forwarded: {told}")


ASKED: Final = {"reject": "rejected", "quarantine": "quarantined"}


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
