"""What a domain publishes about DMARC, looked over for its owner: what applies, from where, and what is wrong with it
(RFC 9989 section 4.10.1, RFC 9990)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

from purport.authentication.dmarc.destination import Acceptance, accepts_reports
from purport.authentication.dmarc.evaluate import tag_that_applies
from purport.authentication.dmarc.record import REQUESTS, DmarcRecord, Request, Tag, weaker
from purport.authentication.dmarc.tree_walk import PREFIX, Step, Walk, Walks
from purport.dns.lookup import Evaluation
from purport.mail.domain import is_domain_name, normal_domain

# What would be done about mail that fails; or why there is no answer.
Outcome = Literal["none", "quarantine", "reject", "no policy", "permerror", "temperror"]

MAILTO: Final = "mailto:"


@dataclass(frozen=True, slots=True)
class Survey:
    """`applies` is the step of the walk whose record applies, `tag` the tag of it that does. `destinations` are the
    places for reports with what they say to it. `problems` are for the owner to mend, `remarks` to know."""

    outcome: Outcome
    walk: Walk
    applies: Step | None = None
    tag: Tag | None = None
    destinations: tuple[tuple[str, Acceptance], ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def organizational_domain(self) -> str | None:
        """None where the DNS did not answer."""
        return None if self.walk.failed else self.walk.organizational_domain


def survey(domain: str) -> Evaluation[Survey]:
    """What mail servers find for a domain (A-labels, lower case)."""
    walks = Walks()
    (walk,) = yield from walks.walk([domain])
    several = tuple([f"{PREFIX}{step.domain}: several records count as none" for step in walk.steps if _several(step)])
    if walk.own.record is None and walk.failed:
        return Survey("temperror", walk, problems=several)
    step = walk.policy
    if step is None or step.record is None:
        return Survey("no policy", walk, problems=several)
    record = step.record
    problems = (*several, *[f"{PREFIX}{step.domain}: {problem}" for problem in record.problems])
    if not record.usable:
        return Survey("permerror", walk, step, problems=problems, remarks=record.remarks)
    tag = yield from tag_that_applies(walks, domain, step.domain, record)
    destinations = yield from _destinations(walks, step.domain, record)
    refused = tuple([_refused(step.domain, uri) for uri, acceptance in destinations if acceptance == "refused"])
    return Survey(
        "temperror" if tag is None else _effective(record, tag),
        walk,
        step,
        tag,
        destinations,
        problems + refused,
        (*record.remarks, *_remarks(record)),
    )


def _several(step: Step) -> bool:
    return step.found == "several"


def _effective(record: DmarcRecord, tag: Tag) -> Request:
    asked = record.request(tag)
    return weaker(asked) if record.testing else asked


def _destinations(
    walks: Walks, policy_domain: str, record: DmarcRecord
) -> Evaluation[tuple[tuple[str, Acceptance], ...]]:
    """Every mailto place of the record, with whether reports about this domain are welcome there."""
    found: list[tuple[str, Acceptance]] = []
    for uri in dict.fromkeys(record.rua + record.ruf):
        host = _host(uri)
        if host is not None:
            found.append((uri, (yield from accepts_reports(walks, policy_domain, host))))
    return tuple(found)


def _host(uri: str) -> str | None:
    """The domain of a mailto URI that the DNS can be asked about."""
    if not uri.lower().startswith(MAILTO):
        return None
    host = normal_domain(unquote(uri[len(MAILTO) :].partition("?")[0]).rpartition("@")[2])
    return host if is_domain_name(host) else None


def _refused(policy_domain: str, uri: str) -> str:
    return f"{uri}: no reports go there before v=DMARC1 stands at {policy_domain}._report._dmarc.{_host(uri)}"


def _remarks(record: DmarcRecord) -> Iterator[str]:
    if not record.rua:
        yield "without rua nobody hears which mail fails"
    if record.testing:
        yield "t=y: servers are asked for one level less than the policy"
    for tag in ("sp", "np"):
        weaker_one = record.sp if tag == "sp" else record.np
        if weaker_one is not None and record.p is not None and REQUESTS.index(weaker_one) < REQUESTS.index(record.p):
            yield f"{tag} is weaker than p: names below the domain are easier to forge than the domain"
    if record.psd == "y":
        yield "psd=y: the names below belong to others"
