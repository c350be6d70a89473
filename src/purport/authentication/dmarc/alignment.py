"""Identifier alignment: which domains that were authenticated speak for the author domain (RFC 9989 section 4.10.2).

adkim=r (relaxed)    news.example.com and mail.example.com are aligned: both belong to example.com
adkim=s (strict)     only news.example.com is aligned with news.example.com
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from purport.authentication.dmarc.record import DmarcRecord
from purport.authentication.dmarc.result import Alignment, Authenticated
from purport.authentication.dmarc.tree_walk import Walk, Walks
from purport.dns.lookup import Evaluation
from purport.mail.domain import is_domain_name, normal_domain

# Domains that a walk is made for: a sender needs one or two.
MOST_IDENTIFIERS: Final = 10


class Undetermined(Exception):
    """Whether a message passes depends on a question that had no answer; stays inside this folder."""


def align(
    walks: Walks, author: Walk, record: DmarcRecord, spf: Authenticated | None, dkim: Sequence[Authenticated]
) -> Evaluation[Alignment]:
    """Which of the identifiers that passed are aligned with the author domain, under the record that applies to it.

    Raises Undetermined where none is, but one would be if the DNS had answered: for its alignment, or when it was
    checked (RFC 9989 section 5.3.6).
    """
    by_spf = [] if spf is None else [spf]
    found, certain = yield from _aligned(walks, author, record, _having("pass", by_spf), _having("pass", dkim))
    if found:
        return found
    could_be, _ = yield from _aligned(walks, author, record, _having("temperror", by_spf), _having("temperror", dkim))
    if could_be or not certain:
        raise Undetermined
    return found


def _having(result: str, identifiers: Sequence[Authenticated]) -> list[str]:
    """The domains with a result, each once. What is no domain name (`d=bank.example\\0.evil.example`) is none."""
    domains = dict.fromkeys(normal_domain(one.domain) for one in identifiers if one.result == result)
    return [domain for domain in domains if is_domain_name(domain)]


def _aligned(
    walks: Walks, author: Walk, record: DmarcRecord, by_spf: list[str], by_dkim: list[str]
) -> Evaluation[tuple[Alignment, bool]]:
    """Those that are aligned, and whether the DNS told about all of them."""
    relaxed = (by_spf if record.aspf == "r" else []) + (by_dkim if record.adkim == "r" else [])
    others = [domain for domain in dict.fromkeys(relaxed) if domain != author.domain]
    related = yield from _same_organization(walks, author, others)

    def aligned(domains: list[str], mode: str) -> list[str]:
        return [domain for domain in domains if domain == author.domain or (mode == "r" and related[domain])]

    found = Alignment(next(iter(aligned(by_spf, record.aspf)), None), tuple(aligned(by_dkim, record.adkim)))
    return found, None not in related.values()


def _same_organization(walks: Walks, author: Walk, domains: Sequence[str]) -> Evaluation[Mapping[str, bool | None]]:
    """For each domain whether it has the author's Organizational Domain; None where the DNS did not say.

    An Organizational Domain is the domain itself or above it, so that only domains below the author's are asked about:
    who signs with domains of his own cannot make us walk.
    """
    related: dict[str, bool | None] = dict.fromkeys(domains, False)
    if author.failed:
        return {domain: None if _top(domain) == _top(author.domain) else False for domain in domains}
    organization = author.organizational_domain
    below = [domain for domain in related if f".{domain}".endswith(f".{organization}")][:MOST_IDENTIFIERS]
    if below:
        for walk in (yield from walks.walk(below)):
            related[walk.domain] = None if walk.failed else walk.organizational_domain == organization
    return related


def _top(domain: str) -> str:
    return domain.rpartition(".")[2]
