"""What the record of a transaction keeps of DMARC, and the result that it gives again.

The author is kept as it was read: of the header a record has some fields alone. What was found about signatures is a
fact too, since the body is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from purport.authentication.arc.result import NO_CHAIN, ArcResult
from purport.authentication.dkim.result import DkimResult, ResultWord
from purport.authentication.dmarc.author import Author, Kind
from purport.authentication.dmarc.evaluate import evaluate_author
from purport.authentication.dmarc.result import Authenticated, DmarcResult
from purport.authentication.message import Authentication
from purport.dns.lookup import Answer, Question, Status, replay
from purport.mail.text import safe
from purport.policy.facts import Override, OverrideType

ANSWERS: Final = msgspec.json.Decoder(list[tuple[str, str, str, int, list[str]]])
NO_ANSWERS: Final = msgspec.Raw(b"[]")


class RecordedIdentifier(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """An identifier that was checked: domain, result, selector, and what was wrong with it."""

    domain: str
    result: str
    selector: str = ""
    problem: str = ""


class RecordedOverride(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the policy was not applied."""

    type: str
    by: str
    reason: str = ""


class RecordedChain(msgspec.Struct, frozen=True, omit_defaults=True):
    """The chain of those who passed the message on: its result, who sealed, from the oldest, and what is wrong."""

    result: str
    sealers: tuple[str, ...] = ()
    problem: str = ""


class RecordedDmarc(msgspec.Struct, frozen=True, omit_defaults=True):
    """What DMARC found, and from what: the author, the identifiers, the DNS answers
    (`[name, type, status, ttl, [records]]`).

    `record` is the text of the policy record, for reports to the domain's owner (RFC 9990).
    """

    result: str
    author: str  # named, absent or broken
    authors: tuple[str, ...] = ()
    author_problem: str | None = None
    domain: str | None = None  # the author domain that decided
    policy_domain: str | None = None
    organizational_domain: str | None = None
    record: str | None = None
    tag: str | None = None
    requested: str = "none"
    disposition: str = "none"
    aligned_spf: str | None = None
    aligned_dkim: tuple[str, ...] = ()
    problem: str | None = None
    spf: RecordedIdentifier | None = None
    dkim: tuple[RecordedIdentifier, ...] = ()
    override: RecordedOverride | None = None
    chain: RecordedChain | None = None
    answers: msgspec.Raw = NO_ANSWERS


def recorded(
    result: DmarcResult,
    spf: Authenticated | None,
    dkim: Sequence[DkimResult],
    override: Override | None = None,
    chain: ArcResult = NO_CHAIN,
) -> RecordedDmarc:
    """What is recorded of a result, and of what it was evaluated from."""
    author, record, evidence = result.author, result.record, result.evidence
    return RecordedDmarc(
        result.result,
        author.kind,
        author.domains,
        _shown(author.problem),
        result.author_domain,
        result.policy_domain,
        result.organizational_domain,
        None if record is None else record.text,
        result.tag,
        result.requested,
        result.disposition,
        result.aligned.spf,
        result.aligned.dkim,
        _shown(result.problem),
        None if spf is None else RecordedIdentifier(safe(spf.domain), spf.result),
        tuple([RecordedIdentifier(one.domain, one.result, one.selector, one.problem) for one in dkim]),
        None if override is None else RecordedOverride(override.type, safe(override.by), safe(override.reason)),
        RecordedChain(chain.result, chain.sealers, chain.problem) if chain.result != "none" else None,
        NO_ANSWERS if evidence is None else msgspec.Raw(evidence.json),
    )


def authentication_again(record: RecordedDmarc) -> Authentication:
    """The results: of signatures as they were, as the body is not kept; of DMARC, evaluated again on the answers it
    had."""
    answers = {
        Question(name, kind): Answer(Status(status), tuple(records), ttl)
        for name, kind, status, ttl, records in ANSWERS.decode(record.answers)
    }
    author = Author(cast(Kind, record.author), record.authors, record.author_problem)
    spf = None if record.spf is None else _authenticated(record.spf)
    dmarc = replay(evaluate_author(author, spf, [_authenticated(one) for one in record.dkim]), answers)
    dkim = [
        DkimResult(cast(ResultWord, one.result), one.domain, one.selector, problem=one.problem) for one in record.dkim
    ]
    return Authentication(tuple(dkim), dmarc)


def override_again(record: RecordedDmarc) -> Override | None:
    """The override that was in force."""
    if record.override is None:
        return None
    return Override(cast(OverrideType, record.override.type), record.override.by, record.override.reason)


def _shown(text: str | None) -> str | None:
    return None if text is None else safe(text)


def _authenticated(one: RecordedIdentifier) -> Authenticated:
    return Authenticated(one.domain, one.result, one.selector)
