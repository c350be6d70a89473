"""Where a report may go: the mailboxes of `rua`, or of `ruf` for a failure report, whose domains want it (RFC 9990
section 4, RFC 9991).

_dmarc.example.com                              v=DMARC1; p=none; rua=mailto:reports@collector.example
example.com._report._dmarc.collector.example    v=DMARC1; rua=mailto:other@collector.example
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from purport.authentication.dmarc.destination import accepts_reports
from purport.authentication.dmarc.record import is_record, parse, well_formed
from purport.authentication.dmarc.tree_walk import Walks
from purport.dns.lookup import Evaluation, Question
from purport.mail.domain import normal_domain
from purport.reporting.destination import ByMail, Destination, destinations
from purport.reporting.wish import Unknown, Unwanted, Wanted, Wish

PlaceTag = Literal["rua", "ruf"]


def wish_of(policy_domain: str, uris: Sequence[str], tag: PlaceTag = "rua") -> Evaluation[Wish]:
    """The mailboxes that reports about a policy domain go to; `uris` is what its record says in `tag`."""
    named = [place for place in destinations(",".join(uris)) if isinstance(place, ByMail)]
    if not named:
        return Unwanted("the DMARC record names no mailbox that reports can go to")
    walks = Walks()
    wanted: list[Destination] = []
    unknown: list[str] = []
    for place in named:
        host = normal_domain(place.mailbox.domain)
        acceptance = yield from accepts_reports(walks, policy_domain, host)
        if acceptance == "own":
            wanted.append(place)
        elif acceptance == "accepted":
            wanted += accepted(walks, policy_domain, host, place, tag)
        elif acceptance == "unknown":
            unknown.append(host)
    if wanted:
        return Wanted(tuple(dict.fromkeys(wanted)))
    if unknown:
        return Unknown(f"the DNS cannot be asked whether {unknown[0]} takes reports about {policy_domain}")
    return Unwanted(f"no mailbox of the DMARC record takes reports about {policy_domain}")


def accepted(walks: Walks, policy_domain: str, host: str, place: ByMail, tag: PlaceTag) -> list[ByMail]:
    """The mailboxes at a host that takes reports: others, where its record names them. Nobody, where it names one of
    yet another host (step 9)."""
    answer = walks.answers[Question(f"{policy_domain}._report._dmarc.{host}", "TXT")]
    records = [parse(text) for text in answer.records if is_record(text) and well_formed(text)]
    named = [record.rua if tag == "rua" else record.ruf for record in records]
    uris = next((found for found in named if found), ())
    if not uris:
        return [place]
    others = destinations(",".join(uris))
    mailboxes = [one for one in others if isinstance(one, ByMail) and normal_domain(one.mailbox.domain) == host]
    return mailboxes if len(mailboxes) == len(others) else []
