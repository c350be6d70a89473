"""Whether a place for reports wants those about a domain (RFC 9990, "Verifying External Destinations").

    _dmarc.example.com                              v=DMARC1; p=none; rua=mailto:reports@collector.example
    example.com._report._dmarc.collector.example    v=DMARC1

Else anybody could have the reports about his mail sent to a victim.
"""

from __future__ import annotations

from typing import Final, Literal

from purport.authentication.dmarc.record import is_record, well_formed
from purport.authentication.dmarc.tree_walk import LONGEST_NAME, Walks
from purport.dns.lookup import Evaluation, Question, Status

Acceptance = Literal["own", "accepted", "refused", "unknown"]

OWN: Final[Acceptance] = "own"


def accepts_reports(walks: Walks, policy_domain: str, destination: str) -> Evaluation[Acceptance]:
    """What a destination (the domain of a mailto URI; A-labels, lower case) says to reports about a policy domain.

    `own`: both belong to one organization, so it need not say anything. `unknown`: the DNS did not answer.
    """
    if destination == policy_domain:
        return OWN
    one, other = yield from walks.walk([policy_domain, destination])
    if one.failed or other.failed:
        return "unknown"
    if one.organizational_domain == other.organizational_domain:
        return OWN
    question = Question(f"{policy_domain}._report._dmarc.{destination}", "TXT")
    if len(question.name) > LONGEST_NAME:
        return "refused"
    yield from walks.ask([question])
    answer = walks.answers[question]
    if answer.status is Status.FAILED:
        return "unknown"
    accepted = any(is_record(text) and well_formed(text) for text in answer.records)
    return "accepted" if accepted else "refused"
