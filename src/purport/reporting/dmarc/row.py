"""What DMARC found about one message, as it is counted for the owner of the policy (RFC 9990 section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from purport.authentication.dmarc.result import Authenticated, DmarcResult

Disposition = Literal["none", "quarantine", "reject"]
# RFC 9990 section 3.1.6, without `policy_test_mode`: that one follows from the policy.
Override = Literal["local_policy", "mailing_list", "other", "trusted_forwarder"]


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
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


@dataclass(frozen=True, slots=True)
class DkimCheck:
    """A signature, and what came of it (RFC 8601 section 2.7.1)."""

    domain: str
    selector: str
    result: str


@dataclass(frozen=True, slots=True)
class SpfCheck:
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
    envelope_to: str = ""  # the domain of the recipients, where that is told
    override: Override | None = None
    comment: str = ""  # on the override


def row_of(
    result: DmarcResult,
    *,
    source_ip: str,
    disposition: Disposition,
    spf: Authenticated | None,
    dkim: Sequence[Authenticated],
    envelope_from: str = "",
    envelope_to: str = "",
    override: Override | None = None,
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
            record.rua,
            "; ".join(record.problems),
        ),
        disposition,
        bool(result.aligned.dkim),
        result.aligned.spf is not None,
        tuple(
            DkimCheck(one.domain, one.selector, one.result)
            for one in sorted(dkim, key=lambda one: _weight(one, result))
        ),
        None if spf is None else SpfCheck(spf.domain, spf.result),
        envelope_from,
        envelope_to,
        override,
        comment,
    )


def _weight(signature: Authenticated, result: DmarcResult) -> int:
    """The order of RFC 9990 section 3.1.3: what passed in strict alignment, in relaxed alignment, in none, the rest."""
    domain = signature.domain.lower()
    if signature.result != "pass":
        return 3
    if domain == result.author_domain:
        return 0
    return 1 if domain in result.aligned.dkim else 2
