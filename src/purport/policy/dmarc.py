"""What a DMARC result leads to (RFC 9989 sections 5.4, 7.2 and 11.5).

    S: 550 5.7.1 Email rejected per DMARC policy for example.com

A policy of reject is no order: where somebody whom this server trusts vouches for the message as it was before a
forwarder touched it, it comes in (section 5.4 and 7.4). A From field that could be understood in two ways has no policy
at all to be obeyed; a message that has one is refused for that (RFC 5322 section 3.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from purport.authentication.dmarc.record import Request
from purport.authentication.dmarc.result import DmarcResult
from purport.mail.reply import reply
from purport.policy.decision import Rule
from purport.policy.facts import Override
from purport.policy.submitter import Verdict

RULE: Final = "dmarc"
AUTHOR: Final = "one-author"
UNAVAILABLE: Final = reply(450, "4.4.3", "DMARC check is temporarily unavailable")  # 4yz: RFC 9989 section 7.2
PROBLEM_LIMIT: Final = 200  # characters of a problem in a reply, whose line has 512 octets


@dataclass(frozen=True, slots=True)
class DmarcPolicy:
    """What the settings' table [dmarc] says.

    `tag` lets everything in, with what was found in its Authentication-Results field. `policy` does what the domain's
    owner asks for, and refuses what has no author that can be read in one way. `quarantine` does the same but rejects
    nothing for a policy, as RFC 9989 section 7.4 wants it where nothing else is known about a message.
    """

    on_fail: Literal["tag", "quarantine", "policy"] = "policy"
    on_temperror: Literal["accept", "defer"] = "accept"


def may_come(policy: DmarcPolicy, result: DmarcResult, override: Override | None = None) -> Verdict:
    """At the end of data: whether the header names its author in one way, and what the author's domain asks for."""
    if result.author.kind == "broken":
        return _unreadable(policy, result)
    if result.result == "temperror" and policy.on_temperror == "defer":
        return Rule(RULE, "defer", told(result)), UNAVAILABLE
    if result.result != "fail":
        return Rule(RULE, "pass", told(result)), None
    if override is not None:
        because = f": {override.reason}" if override.reason else ""
        return Rule(RULE, "tag", f"{told(result)}; but {override.by} vouches ({override.type}{because})"), None
    if disposition(policy, result) == "reject":
        refusal = reply(550, "5.7.1", f"Email rejected per DMARC policy for {result.author_domain}")
        return Rule(RULE, "refuse", told(result)), refusal
    return Rule(RULE, "tag", told(result)), None


def disposition(policy: DmarcPolicy, result: DmarcResult, override: Override | None = None) -> Request:
    """What is done about a message, in the words of RFC 9990: `reject`, `quarantine` (it goes into the folder for junk
    where there is one) or `none`."""
    if policy.on_fail == "tag" or override is not None:
        return "none"
    if policy.on_fail == "quarantine" and result.disposition == "reject":
        return "quarantine"
    return result.disposition


def told(result: DmarcResult) -> str:
    """What was found, as the reason of a rule."""
    if result.author_domain is None:
        return f"DMARC is {result.result}: {result.problem}"
    parts = [f"DMARC of {result.author_domain} is {result.result}"]
    if result.result == "pass":
        parts.append(" by " + " and ".join(_aligned(result)))
    elif result.result == "fail":
        parts.append(f": {result.tag}={result.requested} of {result.policy_domain}")
        if result.testing:
            parts.append(f", t=y: {result.disposition}")
    if result.problem:
        parts.append(f" ({result.problem})")
    return "".join(parts)


def _aligned(result: DmarcResult) -> list[str]:
    found = [] if result.aligned.spf is None else [f"SPF of {result.aligned.spf}"]
    return found + [f"DKIM of {domain}" for domain in result.aligned.dkim]


def _unreadable(policy: DmarcPolicy, result: DmarcResult) -> Verdict:
    problem = (result.problem or "")[:PROBLEM_LIMIT]
    if policy.on_fail == "tag":
        return Rule(AUTHOR, "tag", problem), None
    plain = "".join(character if " " <= character <= "~" else "?" for character in problem)
    refusal = reply(550, "5.6.0", f"A message needs one From field that names its author: {plain}")
    return Rule(AUTHOR, "refuse", problem), refusal
