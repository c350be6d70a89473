"""What an SPF result leads to (RFC 7208 section 8 and 9.1)."""

from __future__ import annotations

import re
from typing import Final, Literal

from purport.mail.reply import reply
from purport.policy.decision import Rule, told
from purport.policy.facts import MailFacts
from purport.policy.submitter import Verdict

RULE: Final = "spf"
OnFail = Literal["tag", "reject"]
VALUE_LIMIT: Final = 320  # characters: local part 64, "@" and domain 255
UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")  # what a quoted-string may not hold bare
DOT_ATOM: Final = re.compile(r"[A-Za-z0-9._-]+")
SAID: Final = {
    "pass": "designates {} as permitted sender",
    "fail": "does not designate {} as permitted sender",
    "softfail": "does not designate {} as permitted sender, in transition",
    "neutral": "says nothing about {}",
    "none": "has no SPF policy for {}",
    "temperror": "could not be asked about {}",
    "permerror": "has a policy that cannot be read, for {}",
}


def may_send(on_fail: OnFail, facts: MailFacts) -> Verdict:
    """Whether SPF lets the message in: the hello domain's, then the reverse-path's. Only Fail refuses, if set so."""
    for result in (facts.helo, facts.spf):
        if result is not None and result.result == "fail" and on_fail == "reject":
            explained = f": {result.explanation}" if result.explanation else ""
            # RFC 7372 section 3.2 gives the code.
            refusal = reply(550, "5.7.23", f"SPF validation failed for {_plain(result.domain)}{explained}")
            return Rule(RULE, "refuse", told(result)), refusal
    if facts.spf is None:
        return Rule(RULE, "skip", "the client logged in" if facts.client.login else "SPF was not asked"), None
    return Rule(RULE, "tag" if facts.spf.result == "fail" else "pass", told(facts.spf)), None


def received_spf(receiver: str, facts: MailFacts) -> bytes:
    """The Received-SPF field (RFC 7208 section 9.1), nothing in it that could end a string or a line."""
    result = facts.spf
    if result is None:
        return b""
    client = facts.client
    mechanism = f"\r\n\tmechanism={_quoted(result.mechanism)};" if result.mechanism else ""
    problem = f"\r\n\tproblem={_quoted(result.problem)};" if result.problem else ""
    said = SAID[result.result].format(client.address)
    sender = _quoted(str(facts.reverse_path))
    return (
        f"Received-SPF: {result.result} ({receiver}: {_plain(result.domain)} {said})\r\n"
        f"\treceiver={receiver}; identity=mailfrom; client-ip={_quoted(client.address)};\r\n"
        f"\thelo={_quoted(client.hello_domain)}; envelope-from={sender};{mechanism}{problem}\r\n"
    ).encode("ascii", "replace")


def _quoted(text: str | None) -> str:
    """A dot-atom as it is, everything else as a quoted-string of safe characters."""
    if not text:
        return '""'
    if DOT_ATOM.fullmatch(text):
        return text[:VALUE_LIMIT]
    return f'"{UNSAFE.sub("?", text[:VALUE_LIMIT])}"'


def _plain(domain: str) -> str:
    """A domain as it may stand in a comment or a reply."""
    return domain if DOT_ATOM.fullmatch(domain) and len(domain) <= VALUE_LIMIT else "the domain"
