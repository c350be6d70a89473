"""What DMARC found about one message, as it is counted for the owner of the policy (RFC 9990 section 3.1).

A row is made and looked up for every message: its parts are tuples, since these are hashed in microseconds less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from purport.authentication.dkim.result import DkimResult
from purport.authentication.dmarc.result import Authenticated, DmarcResult, spf_identity
from purport.mail.address import Mailbox
from purport.policy.dmarc import DmarcPolicy, disposition
from purport.policy.facts import MessageFacts, OverrideType

# Of a policy: a record may have 64 KiB, and some thousand rows wait in memory for the database.
PLACES: Final = 20  # of rua
PLACE: Final = 1024  # characters of one
PROBLEM: Final = 256  # characters

Disposition = Literal["none", "quarantine", "reject"]


class PublishedPolicy(NamedTuple):
    """The policy that applied, as it was found at `domain` (A-labels); None for a tag that is not there."""

    domain: str
    p: Disposition
    sp: Disposition | None = None
    np: Disposition | None = None
    adkim: str = "r"
    aspf: str = "r"
    fo: str = "0"
    testing: bool = False  # t=y
    rua: tuple[str, ...] = ()  # where reports go
    problem: str = ""  # what is wrong with the record


class DkimCheck(NamedTuple):
    """A signature, and what came of it (RFC 8601 section 2.7.1)."""

    domain: str
    selector: str
    result: str


class SpfCheck(NamedTuple):
    """The domain of the reverse-path that SPF was asked for, and what came of it (RFC 8601 section 2.7.2)."""

    domain: str
    result: str
    scope: Literal["mfrom"] = "mfrom"  # no other is used in DMARC


@dataclass(frozen=True, slots=True)
class DmarcRow:
    """One message. `disposition` is what was done about it, `override` why that is not what the policy asks for."""

    source_ip: str
    header_from: str  # the author domain, A-labels
    policy: PublishedPolicy
    disposition: Disposition
    dkim_aligned: bool
    spf_aligned: bool
    dkim: tuple[DkimCheck, ...] = ()  # the most telling first
    spf: SpfCheck | None = None
    envelope_from: str = ""  # the domain of the reverse-path; empty for a null one
    override: OverrideType | None = None
    comment: str = ""  # on the override


def row_of(
    result: DmarcResult,
    *,
    source_ip: str,
    disposition: Disposition,
    spf: Authenticated | None,
    dkim: Sequence[DkimResult],
    envelope_from: str = "",
    override: OverrideType | None = None,
    comment: str = "",
) -> DmarcRow | None:
    """The row of a message that DMARC was evaluated for; None where there is no policy whose owner wants reports."""
    record = result.record
    if record is None or not record.usable or not record.rua or not result.author_domain or not result.policy_domain:
        return None
    return DmarcRow(
        source_ip,
        result.author_domain,
        PublishedPolicy(
            result.policy_domain,
            record.p or "none",
            record.sp,
            record.np,
            record.adkim,
            record.aspf,
            ":".join(record.fo),
            record.testing,
            record.rua if len(record.text) <= PLACE else _bounded(record.rua),
            "; ".join(record.problems)[:PROBLEM],
        ),
        disposition,
        bool(result.aligned.dkim),
        result.aligned.spf is not None,
        checks_of(result, dkim),
        None if spf is None else SpfCheck(spf.domain, spf.result),
        envelope_from,
        override,
        comment,
    )


def _bounded(places: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([place for place in places[:PLACES] if len(place) <= PLACE])


def checks_of(result: DmarcResult, dkim: Sequence[DkimResult]) -> tuple[DkimCheck, ...]:
    """The signatures that say something about somebody, in the order of RFC 9990 section 3.1.3."""
    if len(dkim) > 1:
        dkim = sorted(dkim, key=lambda one: _weight(one, result))
    return tuple([DkimCheck(one.domain, one.selector, one.result) for one in dkim if one.domain])


def row_of_message(policy: DmarcPolicy, facts: MessageFacts) -> DmarcRow | None:
    """The row of a message whose facts are complete; None where there is nothing to tell, or nobody who wants it."""
    found = facts.authentication
    if found is None or found.dmarc.record is None or not found.dmarc.record.rua:
        return None
    mail, override = facts.mail, facts.override
    return row_of(
        found.dmarc,
        source_ip=mail.client.address,
        disposition=disposition(policy, found.dmarc, override),
        spf=spf_identity(mail.spf),
        dkim=found.dkim,
        envelope_from=mail.reverse_path.domain if isinstance(mail.reverse_path, Mailbox) else "",
        override=None if override is None else override.type,
        comment="" if override is None else f"{override.by} {override.reason}".strip(),
    )


def _weight(signature: DkimResult, result: DmarcResult) -> int:
    """What passed in strict alignment comes first, then in relaxed alignment, then in none, then the rest."""
    domain = signature.domain.lower()
    if signature.result != "pass":
        return 3
    if domain == result.author_domain:
        return 0
    return 1 if domain in result.aligned.dkim else 2
