"""What a chain changes: a policy that a message fails only since somebody we trust changed it on its way (RFC 8617
section 7.2, RFC 9989 section 5.4)."""

from __future__ import annotations

from collections.abc import Collection

from purport.authentication.arc.result import ArcResult
from purport.authentication.arc.trust import vouched
from purport.authentication.dmarc.result import DmarcResult
from purport.policy.facts import Override


def sealed_override(chain: ArcResult, dmarc: DmarcResult, trusted: Collection[str]) -> Override | None:
    """Why the policy of the author's domain is not applied: a sealer among `trusted` saw DMARC pass for that domain.
    None where the message does not fail, or nobody trusted says so. The reason is what RFC 8617 section 7.2.2 wants in
    a report."""
    if dmarc.result != "fail" or dmarc.author_domain is None:
        return None
    testimony = vouched(chain, trusted)
    if testimony is None or not testimony.dmarc_passed(dmarc.author_domain):
        return None
    return Override("local_policy", testimony.sealer, testimony.comment)
