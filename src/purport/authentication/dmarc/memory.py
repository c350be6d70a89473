"""DMARC with a memory: what was found about an author is not worked out again while the answers of the DNS hold.

A result follows from the author domain, from the identifiers that were checked, and from what the DNS says. So it holds
for every message of which the same is known, for as long as the shortest TTL among its answers; and what the ledger
keeps of these is made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from purport.authentication.dmarc.author import Author
from purport.authentication.dmarc.result import Authenticated, DmarcResult
from purport.bounded import Generations
from purport.dns.lookup import Status

MOST_KEPT: Final = 8192  # results; some kilobytes each
MOST_TEXT: Final = 2048  # characters of records that one of them may hold on to; most have a hundred
MOST_IDENTIFIERS: Final = 4  # signatures; a message with more is rare, and no two are alike

Key = tuple[str, str, str, tuple[tuple[str, str], ...]]


@final
class DmarcMemory:
    """Results by what they follow from, and until when they hold."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = Generations[Key, tuple[float, DmarcResult]](MOST_KEPT)

    def known(
        self, author: Author, spf: Authenticated | None, dkim: Sequence[Authenticated], now: float
    ) -> DmarcResult | None:
        """The result, if it is remembered and holds still. The arguments are those of `evaluate_author`; `now` is in
        seconds since 1970."""
        key = _key(author, spf, dkim)
        if key is None:
            return None
        kept = self._kept.find(key)
        if kept is None:
            return None
        expires, result = kept
        return result if expires > now else None

    def keep(
        self,
        author: Author,
        spf: Authenticated | None,
        dkim: Sequence[Authenticated],
        result: DmarcResult,
        now: float,
    ) -> None:
        """Remember a result, if its answers are worth it and it may be used again."""
        key, evidence = _key(author, spf, dkim), result.evidence
        if key is None or evidence is None:
            return
        answers = [answer for _, answer in evidence.answers]
        if any(answer.status is Status.FAILED for answer in answers):
            return
        if sum([len(text) for answer in answers for text in answer.records]) > MOST_TEXT:
            return
        expires = now + min([answer.ttl for answer in answers], default=0)
        if expires > now:
            self._kept.keep(key, (expires, result))


def _key(author: Author, spf: Authenticated | None, dkim: Sequence[Authenticated]) -> Key | None:
    """What a result follows from, the DNS aside; None for what is not kept. Selectors decide nothing."""
    if len(author.domains) != 1 or len(dkim) > MOST_IDENTIFIERS:
        return None
    domain = author.domains[0]
    identifiers = tuple([(one.domain, one.result) for one in dkim]) if dkim else ()
    return (domain, "", "", identifiers) if spf is None else (domain, spf.domain, spf.result, identifiers)
