"""check_host(): may this client send for this domain (RFC 7208 section 4, RFC 4406 section 4)?

    check_host("192.0.2.3", "example.com", "alice@example.com", "mx.example.net", receiver="mx.example.org")

An evaluation asks its DNS questions by yielding them. The time limit of RFC 7208 section 4.6.4 is its resolver's: one
whose time runs out makes the questions that are open fail, which is a temperror.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from purport.authentication.spf.client import ClientAddress
from purport.authentication.spf.errors import PermError, SpfError, TempError
from purport.authentication.spf.inquiry import Checkpoint, Inquiry, Parsed
from purport.authentication.spf.macro import DomainSpec, parse_macro_string, shown
from purport.authentication.spf.record import SPF, Directive, Record, Rules
from purport.authentication.spf.result import Answers, ResultWord, Scope, SpfResult, Step
from purport.dns.lookup import Evaluation, Status, replay
from purport.mail.domain import a_label_form

MOST_EXCHANGERS: Final = 10  # MX records of one name (RFC 7208 section 4.6.4)
LONGEST_EXPLANATION: Final = 400  # characters: with code and our words it fits the 512 octets of a reply line
UNKNOWN: Final = "unknown"  # the receiver where it has no name (RFC 7208 section 7.3)

# Dot-atoms, as RFC 5322 section 3.4.1 has the domains of addresses; at least two labels, of lengths that the DNS holds.
LABEL: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,63}"
DOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})+")


class Finding(msgspec.Struct, frozen=True):
    """What a record says about a client: all of a result that does not name the sender."""

    result: ResultWord
    mechanism: str | None = None
    mechanism_domain: str | None = None
    problem: str | None = None
    exp: DomainSpec | None = None


def check_host(
    client_address: str | ClientAddress,
    domain: str,
    sender: str,
    hello_domain: str,
    *,
    receiver: str = UNKNOWN,
    scope: Scope = "mfrom",
    now: float = 0.0,
    rules: Rules = SPF,
) -> Evaluation[SpfResult]:
    """The result for one identity. `now` (seconds since 1970) is for the macro %{t} alone.

    Raises ValueError, at the first step, for a client address that is none.
    """
    client = ClientAddress(client_address) if isinstance(client_address, str) else client_address
    name = canonical_domain(domain)
    inquiry = Inquiry(
        client,
        name or domain,
        sender,
        hello_domain,
        receiver=receiver,
        now=now,
        rules=rules,
        parsed=Parsed(),
    )
    finding = yield from find(inquiry, name)
    explanation = yield from explain(inquiry, finding)
    return SpfResult(
        finding.result,
        scope,
        sender or domain,
        name or domain,
        finding.mechanism,
        finding.mechanism_domain,
        explanation,
        finding.problem,
        Answers(inquiry.answers),
        client.text,
        hello_domain,
        partial(retrace, rules),
    )


def retrace(rules: Rules, result: SpfResult) -> tuple[Step, ...]:
    """The steps of an evaluation that is over, from its evidence."""
    steps: list[Step] = []
    domain = canonical_domain(result.domain)
    sender = result.identity if "@" in result.identity else ""
    inquiry = Inquiry(
        ClientAddress(result.client_address),
        domain or result.domain,
        sender,
        result.hello_domain,
        receiver=UNKNOWN,
        now=0.0,
        rules=rules,
        parsed=Parsed(),
        steps=steps,
    )
    replay(_find_and_explain(inquiry, domain), dict(result.evidence.answers) if result.evidence else {})
    return tuple(steps)


def _find_and_explain(inquiry: Inquiry, domain: str | None) -> Evaluation[str | None]:
    finding = yield from find(inquiry, domain)
    return (yield from explain(inquiry, finding))


def canonical_domain(domain: str) -> str | None:
    """The domain as it is asked for: lower case, A-labels, no trailing dot (RFC 8616 section 4).

    None for what cannot be checked: malformed, a single label, an address literal (RFC 7208 section 4.3).
    """
    if not domain.isascii():
        try:
            domain = a_label_form(domain.removesuffix("."))
        except ValueError:
            return None
    name = domain.removesuffix(".").lower()
    return name if DOMAIN.fullmatch(name) else None


def find(inquiry: Inquiry, domain: str | None, checkpoint: Checkpoint | None = None) -> Evaluation[Finding]:
    """What the policy of `domain` says; errors of any depth end here, as results (RFC 7208 section 4.6.2).

    With a `checkpoint`, which another inquiry reached, the terms before it are not evaluated again.
    """
    if domain is None:
        return Finding("none", problem="not a domain that can have a policy")
    try:
        if checkpoint is not None:
            inquiry.resume(checkpoint)
            return (yield from _particular_terms(inquiry, domain, checkpoint.record))
        record = yield from _record(inquiry, domain)
        if isinstance(record, Finding):
            return record
        if record.common == len(record.directives):
            return (yield from _terms(inquiry, domain, record, record.directives))
        finding = yield from _matching(inquiry, domain, record, record.directives[: record.common])
        if finding is None:
            inquiry.reach(record)
            finding = yield from _particular_terms(inquiry, domain, record)
        return finding
    except TempError as error:
        return _erred(inquiry, domain, "temperror", error)
    except PermError as error:
        return _erred(inquiry, domain, "permerror", error)


def _erred(inquiry: Inquiry, domain: str, result: ResultWord, error: SpfError) -> Finding:
    inquiry.step(domain, result, str(error))
    return Finding(result, problem=str(error))


def _evaluate(inquiry: Inquiry, domain: str) -> Evaluation[Finding]:
    """One domain's record (RFC 7208 sections 4.4 to 4.7); raises SpfError."""
    record = yield from _record(inquiry, domain)
    if isinstance(record, Finding):
        return record
    return (yield from _terms(inquiry, domain, record, record.directives))


def _particular_terms(inquiry: Inquiry, domain: str, record: Record) -> Evaluation[Finding]:
    return _terms(inquiry, domain, record, record.directives[record.common :])


def _terms(inquiry: Inquiry, domain: str, record: Record, directives: Sequence[Directive]) -> Evaluation[Finding]:
    """The directives left, then the redirect, then the default (RFC 7208 sections 4.6.2 and 4.7)."""
    finding = yield from _matching(inquiry, domain, record, directives)
    if finding is not None:
        return finding
    if record.redirect is not None:
        return (yield from _redirected(inquiry, record.redirect, domain))
    inquiry.step(domain, "default", "neutral")
    return Finding("neutral", "default", domain)


def _matching(
    inquiry: Inquiry, domain: str, record: Record, directives: Sequence[Directive]
) -> Evaluation[Finding | None]:
    """What the first directive that matches says."""
    for directive in directives:
        if directive.network is not None:
            matched = inquiry.is_within(directive.network)
        else:
            matched = directive.kind == "all" or (yield from _matches(inquiry, directive, domain))
        if matched:
            inquiry.step(domain, directive.text, directive.result)
            return Finding(directive.result, directive.text, domain, None, record.exp)
        inquiry.step(domain, directive.text, "no match")
    return None


def _record(inquiry: Inquiry, domain: str) -> Evaluation[Record | Finding]:
    answer = yield from inquiry.ask(domain, "TXT")
    if answer.status is Status.FAILED:
        raise TempError(f"no answer for {domain} TXT")
    if answer.status is Status.MISSING:
        inquiry.step(domain, "TXT", "the domain does not exist")
        return Finding(inquiry.rules.missing, problem=f"{domain} does not exist")
    text = inquiry.rules.select(answer.records)
    if text is None:
        inquiry.step(domain, "TXT", "no record")
        return Finding("none", problem=f"{domain} has no record")
    inquiry.step(domain, "TXT", text)
    return inquiry.parsed.record(text)


def _redirected(inquiry: Inquiry, redirect: DomainSpec, domain: str) -> Evaluation[Finding]:
    """RFC 7208 section 6.1."""
    inquiry.count_term("redirect")
    target = yield from inquiry.target(redirect, domain)
    inquiry.step(domain, "redirect", shown(target or ""))
    finding = yield from _evaluate_target(inquiry, target)
    if finding.result == "none":
        raise PermError("redirect leads to no record")
    return finding


def _evaluate_target(inquiry: Inquiry, target: str | None) -> Evaluation[Finding]:
    """check_host() for another domain, which may not be one (RFC 7208 section 4.3)."""
    if target is None or "." not in target:
        return Finding("none")
    return (yield from _evaluate(inquiry, target))


def _matches(inquiry: Inquiry, directive: Directive, domain: str) -> Evaluation[bool]:
    """Whether a mechanism that asks the DNS matches (RFC 7208 section 5); raises SpfError."""
    inquiry.count_term(directive.text)
    target: str | None = domain
    if directive.domain is not None:
        if not inquiry.can_expand(directive.domain):
            return False
        target = directive.domain.name or (yield from inquiry.target(directive.domain, domain))
    if directive.kind == "include":
        return (yield from _includes(inquiry, target))
    if target is None:  # RFC 7208 section 4.8 leaves it open; nothing can be found there
        return False
    if directive.kind == "a":
        return (yield from _has_address(inquiry, directive, target))
    if directive.kind == "mx":
        return (yield from _has_exchanger(inquiry, directive, target))
    if directive.kind == "ptr":
        names = yield from inquiry.validated_names()
        return any(name == target or name.endswith(f".{target}") for name in names)
    answer = yield from inquiry.ask_for_term(target, "A")  # exists: A, whatever the client's version
    return bool(answer.records)


def _includes(inquiry: Inquiry, target: str | None) -> Evaluation[bool]:
    """RFC 7208 section 5.2, with its table."""
    finding = yield from _evaluate_target(inquiry, target)
    if finding.result == "none":
        raise PermError(f"include of {shown(target or '')}, which has no record")
    return finding.result == "pass"


def _has_address(inquiry: Inquiry, directive: Directive, target: str) -> Evaluation[bool]:
    version = inquiry.client.version
    answer = yield from inquiry.ask_for_term(target, "A" if version == 4 else "AAAA")
    return inquiry.is_among(answer.records, directive.host_bits.of(version))


def _has_exchanger(inquiry: Inquiry, directive: Directive, target: str) -> Evaluation[bool]:
    """RFC 7208 section 5.4. An mx without any address counts as void once, however many hosts it names."""
    answer = yield from inquiry.ask_for_term(target, "MX")
    if len(answer.records) > MOST_EXCHANGERS:
        raise PermError(f"{target} has more than {MOST_EXCHANGERS} mail exchangers")
    hosts = [host for text in answer.records if (host := text.partition(" ")[2]) != "."]
    if not hosts:
        return False
    addresses = yield from inquiry.ask_addresses(hosts)
    found = False
    for host, answer in zip(hosts, addresses, strict=True):
        if answer.status is Status.FAILED:
            raise TempError(f"no answer for {host}")
        if inquiry.is_among(answer.records, directive.host_bits.of(inquiry.client.version)):
            return True
        found = found or bool(answer.records)
    if not found:
        inquiry.count_void(target)
    return False


def explain(inquiry: Inquiry, finding: Finding) -> Evaluation[str | None]:
    """The owner's text for a fail, printable ASCII and bounded; None without a usable one (RFC 7208 section 6.2)."""
    if finding.exp is None or finding.result != "fail" or finding.mechanism_domain is None:
        return None
    domain = finding.mechanism_domain
    target = yield from inquiry.target(finding.exp, domain)
    if target is None:
        return None
    answer = yield from inquiry.ask(target, "TXT")
    if answer.status is not Status.FOUND or len(answer.records) != 1:
        return None
    try:
        macros = parse_macro_string(answer.records[0], explanation=True)
    except PermError:
        return None
    inquiry.step(domain, "exp", target)
    text = yield from inquiry.expand(macros, domain)
    # What the macros put in is a stranger's, too.
    return "".join([c if " " <= c <= "~" else "?" for c in text[:LONGEST_EXPLANATION]])
