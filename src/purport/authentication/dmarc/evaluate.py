"""Whether a message may name its author's domain (RFC 9989 section 5.3).

evaluate(header, Authenticated("example.com", "pass"), [Authenticated("mail.example.com", "pass", "sel1")])

One round of questions for the author's domain; a second one only where an identifier is not the author's domain itself
but could belong to the same organization, a third only where a message fails and it matters whether its domain exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from purport.authentication.dmarc.alignment import Undetermined, align
from purport.authentication.dmarc.author import Author, author_of
from purport.authentication.dmarc.record import DmarcRecord, Tag, weaker
from purport.authentication.dmarc.result import Authenticated, DmarcResult
from purport.authentication.dmarc.tree_walk import Walk, Walks
from purport.authentication.spf.result import Answers
from purport.dns.lookup import Evaluation, Status
from purport.mail.header import Header

# Which of several authors decides: the strictest failing policy (RFC 9989 section 11.5), then what is least certain.
RANKS: Final = ("reject", "quarantine", "temperror", "permerror", "fail", "none", "pass")


def evaluate(header: Header, spf: Authenticated | None, dkim: Sequence[Authenticated]) -> Evaluation[DmarcResult]:
    """The result for a message. `spf` is the identifier of the reverse-path (`spf_identity`), `dkim` those of all
    signatures that were checked."""
    return (yield from evaluate_author(author_of(header), spf, dkim))


def evaluate_author(
    author: Author, spf: Authenticated | None, dkim: Sequence[Authenticated], walks: Walks | None = None
) -> Evaluation[DmarcResult]:
    """The result for an author; of several domains the one that decides. `walks` may have asked something already."""
    if author.kind != "named":
        return DmarcResult("none" if author.kind == "absent" else "permerror", author, problem=author.problem)
    walks = walks or Walks()
    results: list[DmarcResult] = []
    for walk in (yield from walks.walk(author.domains)):
        results.append((yield from _for_domain(walks, author, walk, spf, dkim)))
    result = results[0]
    if len(results) > 1:
        result = min(results, key=_rank)
        told = ", ".join(f"{one.author_domain} {one.result}" for one in results)
        why = f"; {result.problem}" if result.problem else ""
        result = replace(result, problem=f"several authors: {told}{why}")
    return replace(result, evidence=Answers(tuple(walks.answers.items())))


def _for_domain(
    walks: Walks, author: Author, walk: Walk, spf: Authenticated | None, dkim: Sequence[Authenticated]
) -> Evaluation[DmarcResult]:
    """The result for one author domain, as far as it can be found out."""
    organization = None if walk.failed else walk.organizational_domain
    result = DmarcResult("temperror", author, walk.domain, organizational_domain=organization)
    if walk.own.record is None and walk.failed:
        return replace(result, problem=f"the DNS did not answer about the policy of {walk.domain}")
    step = walk.policy
    if step is None or step.record is None:
        return replace(result, result="none", problem=_no_record(walk))
    record = step.record
    result = replace(result, policy_domain=step.domain, record=record)
    if not record.usable:
        return replace(result, result="permerror", problem=f"{step.domain}: {'; '.join(record.problems)}")
    try:
        aligned = yield from align(walks, walk, record, spf, dkim)
    except Undetermined:
        return replace(result, problem="the DNS did not answer about an identifier that may be aligned")
    if aligned:
        return replace(result, result="pass", aligned=aligned)
    tag = yield from tag_that_applies(walks, walk.domain, step.domain, record)
    if tag is None:
        return replace(result, problem=f"the DNS did not answer whether {walk.domain} exists")
    requested = record.request(tag)
    disposition = weaker(requested) if record.testing else requested
    return replace(result, result="fail", tag=tag, requested=requested, disposition=disposition)


def tag_that_applies(walks: Walks, domain: str, policy_domain: str, record: DmarcRecord) -> Evaluation[Tag | None]:
    """The tag of the record that holds for a domain (RFC 9989 section 4.10.1); None where that depends on whether the
    domain exists, and the DNS did not say."""
    if policy_domain == domain:
        return "p"
    for_existing: Tag = "p" if record.sp is None else "sp"
    if record.np is None:
        return for_existing
    status = yield from walks.existence(domain)
    if status is Status.FAILED:
        return for_existing if record.np == record.request(for_existing) else None
    return "np" if status is Status.MISSING else for_existing


def _no_record(walk: Walk) -> str:
    several = next((step.domain for step in walk.steps if step.found == "several"), None)
    return f"{walk.domain} has no DMARC record" if several is None else f"{several} has several DMARC records"


def _rank(result: DmarcResult) -> int:
    word = result.disposition if result.result == "fail" and result.disposition != "none" else result.result
    return RANKS.index(word)
