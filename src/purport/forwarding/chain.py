"""Who was responsible for a message on each hop, and what speaks for it: claimed, proven or contradicted.

A header is a tale. A signature proves what its domain says, an ARC seal that somebody had the message in hands, a
server that we trust which client it saw, and SPF and Sender ID whether that client may speak for who is named. What
nothing of these reaches stays what it is: claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final, Literal

from purport.authentication.arc.result import ArcResult
from purport.authentication.dkim.result import DkimResult
from purport.authentication.spf.checker import Checker
from purport.dns.lookup import Evaluation
from purport.forwarding.hops import Hop
from purport.forwarding.srs import NotOurs, Srs, is_srs
from purport.mail.address import Mailbox, ReversePath
from purport.mail.domain import normal_domain

Weight = Literal["proves", "tells", "contradicts"]
Status = Literal["claimed", "proven", "contradicted"]

# Of this machine, and of networks that are nobody's (RFC 1918, RFC 4193, RFC 3927).
PRIVATE: Final = "127.0.0.1 ::1 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 fc00::/7 fe80::/10"
INSIDE: Final = tuple(map(ip_network, PRIVATE.split()))
CHECKS: Final = 20  # hops whose client is looked up in the DNS; mail passes four or five
CLOCKS: Final = 3600.0  # seconds that the clocks of servers may differ


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a hop or against it, in words."""

    weight: Weight
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A hop with all that is known about it."""

    hop: Hop
    evidence: tuple[Evidence, ...]

    @property
    def status(self) -> Status:
        """What it comes to."""
        weights = {one.weight for one in self.evidence}
        if "contradicts" in weights:
            return "contradicted"
        return "proven" if "proves" in weights else "claimed"


@dataclass(frozen=True, slots=True)
class Submission:
    """What a record of our own says about a hop that we took the message from: the submitter that its client named, and
    what came of the check of it (RFC 4405)."""

    queue_id: str
    submitter: str
    result: str


@dataclass(frozen=True, slots=True)
class Proofs:
    """What is known besides the header: the results of its signatures, its ARC chain, the servers whose Received fields
    are believed (names, in lower case), our SRS secrets where we have them, what our own records say by the number of
    the hop, and the reverse-path that the message has now."""

    dkim: tuple[DkimResult, ...]
    arc: ArcResult
    trusted: Collection[str] = frozenset()
    srs: Srs | None = None
    submissions: dict[int, Submission] = field(default_factory=dict)
    reverse_path: ReversePath | None = None


def chain(hops: Sequence[Hop], proofs: Proofs, checker: Checker, now: float) -> Evaluation[tuple[Link, ...]]:
    """The hops with what is known about each, in the order of `hops`; `now` is in seconds since 1970."""
    links: list[Link] = []
    for hop in hops:
        following = hops[hop.number + 1] if hop.number + 1 < len(hops) else None
        found = [*_signed(hop, proofs.dkim), *_sealed(hop, proofs.arc), *_timed(hop, following)]
        found += _rewritten(hop, proofs, now)
        if following is not None:
            found += _submitted(hop, proofs.submissions.get(following.number))
            if hop.number < CHECKS:
                found += yield from _may_send(hop, following, proofs.trusted, checker, now)
        links.append(Link(hop, tuple(found)))
    return tuple(links)


def _signed(hop: Hop, results: tuple[DkimResult, ...]) -> list[Evidence]:
    """A signature of the domain of who is responsible, over the field that names them."""
    address, named_in = hop.pra.address, hop.pra.field
    if address is None or named_in is None:
        return []
    found: list[Evidence] = []
    domain = normal_domain(address.domain)
    if not _names_itself(hop):  # a field that an older hop added is that hop's claim
        return []
    for result in results:
        if not _is_within(domain, result.domain):
            continue
        if result.result == "pass" and named_in in result.covered:
            found.append(Evidence("proves", f"DKIM of {result.domain} holds over {named_in}"))
        elif result.result == "pass":
            found.append(Evidence("tells", f"DKIM of {result.domain} holds, but not over {named_in}"))
        elif result.result == "fail":  # of a changed message; it says nothing about who sent it
            found.append(Evidence("tells", f"DKIM of {result.domain} does not hold: {result.problem}"))
    return found


def _names_itself(hop: Hop) -> bool:
    """Whether the hop added the field that names who is responsible."""
    return any(one.name == hop.pra.field for one in hop.fields)


def _sealed(hop: Hop, arc: ArcResult) -> list[Evidence]:
    """Who sealed the message on this hop had it in hands, if the chain holds."""
    found: list[Evidence] = []
    for instance in hop.seals:
        sealer = next((one.sealer for one in arc.hops if one.instance == instance), "somebody")
        if arc.result == "pass":
            own = _is_within(hop.server, sealer) or (
                hop.pra.address is not None and _is_within(normal_domain(hop.pra.address.domain), sealer)
            )
            weight: Weight = "proves" if own else "tells"
            found.append(Evidence(weight, f"ARC set {instance} was sealed by {sealer}"))
        else:
            why = f": {arc.problem}" if arc.problem else ""
            found.append(
                Evidence("contradicts", f"ARC set {instance} of {sealer} stands in a chain that is broken{why}")
            )
    return found


def _timed(hop: Hop, following: Hop | None) -> list[Evidence]:
    if following is None or not hop.time or not following.time or hop.time <= following.time + CLOCKS:
        return []
    hours = (hop.time - following.time) / 3600
    return [Evidence("contradicts", f"its clock is {hours:.0f} hours ahead of the next server's")]


def _rewritten(hop: Hop, proofs: Proofs, now: float) -> list[Evidence]:
    """An SRS reverse-path names who made it, and inside whom the message came from."""
    path = proofs.reverse_path
    if not isinstance(path, Mailbox) or not is_srs(path.local_part) or not hop.number:
        return []
    domain = normal_domain(path.domain)
    responsible = hop.pra.address if _names_itself(hop) else None
    ours = responsible is not None and _is_within(normal_domain(responsible.domain), domain)
    if not ours and not _is_within(hop.server, domain):
        return []
    told = f"the reverse-path was rewritten by {domain} (SRS) and leads back to {inside(path)}"
    if proofs.srs is None:
        return [Evidence("tells", told)]
    try:
        proofs.srs.original(path.local_part, now)
    except NotOurs as error:
        return [Evidence("contradicts", f"{told}, but {error}")]
    return [Evidence("proves", f"{told}: the hash is ours")]


def inside(path: Mailbox) -> str:
    """Whom an SRS address leads back to, unproven."""
    parts = path.local_part[5:].split("=")
    if path.local_part[:4].upper() == "SRS1":
        return f"the forwarder {parts[1] if len(parts) > 1 else '?'}"
    return f"{'='.join(parts[3:])}@{parts[2]}" if len(parts) > 3 else "nobody"


def _submitted(hop: Hop, record: Submission | None) -> list[Evidence]:
    """What our own record of the next hop says about who was named as submitter (RFC 4405 section 4.2)."""
    if record is None:
        return []
    responsible = "" if hop.pra.address is None else str(hop.pra.address)
    told = f"SUBMITTER={record.submitter}, Sender ID {record.result} (our record {record.queue_id})"
    if record.submitter != responsible:
        return [Evidence("contradicts", told)]
    weight: Weight = "proves" if record.result == "pass" else "contradicts" if record.result == "fail" else "tells"
    return [Evidence(weight, told)]


def _may_send(
    hop: Hop, following: Hop, trusted: Collection[str], checker: Checker, now: float
) -> Evaluation[list[Evidence]]:
    """Whether the client that the next server saw may send for who is responsible, by what the DNS says now. It weighs
    as much as the word of that server."""
    address, client = hop.pra.address, following.client
    if address is None:
        return [Evidence("contradicts", f"nobody is responsible: {hop.pra.problem}")]
    if client is None:
        return [Evidence("tells", f"the next server does not say whom it had it from: {following.problem}")]
    if _stays_inside(hop.server, client.by, client.address):
        return [Evidence("tells", f"it went on to {client.by} inside of one house")]
    result = yield from checker.check("pra", client.address, address.domain, str(address), client.hello_domain, now)
    believed = client.by in trusted
    by = f"{client.by}, which is trusted," if believed else client.by
    told = f"{by} had it from {client.address}; Sender ID of {address.domain} is {result.result}"
    if believed and result.result == "pass":
        return [Evidence("proves", told)]
    return [Evidence("contradicts" if result.result == "fail" else "tells", told)]


def _stays_inside(server: str, following: str, address: str) -> bool:
    """Whether a message was passed on between servers of one owner, as far as names and addresses show it: no policy
    speaks of those."""
    own = server.split(".")[-2:]
    if len(own) == 2 and own == following.split(".")[-2:]:
        return True
    client = ip_address(address)
    return any(client.version == network.version and client in network for network in INSIDE)


def _is_within(name: str, domain: str) -> bool:
    """Whether a name is the domain or below it."""
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))
