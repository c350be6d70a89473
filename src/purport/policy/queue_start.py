"""Who may start the delivery of what waits for which domains (RFC 1985 section 5.3 and 8).

[[etrn]] networks = ["192.0.2.0/24"], domains = ["company.com.example"], queue = "branches"

ETRN company.com.example, ETRN @b.company.com.example, ETRN #branches   ->  started
ETRN @example, ETRN elsewhere.example                                   ->  459
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from purport.mail.domain import normal_domain
from purport.policy.relaying import Networks


@dataclass(frozen=True, slots=True)
class Nodes:
    """Domains in the form that `normal_domain` gives, and whether all below them are meant too."""

    domains: frozenset[str]
    below: bool = False

    def __contains__(self, domain: object) -> bool:
        name = normal_domain(str(domain))
        return name in self.domains or (self.below and _is_below(name, self.domains))


@dataclass(frozen=True, slots=True)
class Grant:
    """What clients of some networks may ask for: domains and all below them, `queue` as a name for all of them, and
    the same again after `seconds`."""

    networks: Networks
    domains: frozenset[str]
    queue: str = ""
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Granted:
    """What is to be started, and how long until this client may ask for it again."""

    nodes: Nodes
    seconds: float


def may_ask(grants: Sequence[Grant], client_address: str) -> bool:
    """Whether a client may ask for anything."""
    return any(client_address in grant.networks for grant in grants)


def granted(grants: Sequence[Grant], client_address: str, option: str, node: str) -> Granted | None:
    """What `ETRN option node` of this client means; None where it may not ask for that. A grant of a domain holds for
    those below it, never for one above: `@com` would be everybody's mail."""
    name = node.lower() if option == "#" else normal_domain(node)
    for grant in grants:
        if client_address not in grant.networks:
            continue
        if option == "#":
            if name == grant.queue.lower() and grant.queue:
                return Granted(Nodes(grant.domains, below=True), grant.seconds)
        elif name in Nodes(grant.domains, below=True):
            return Granted(Nodes(frozenset({name}), below=option == "@"), grant.seconds)
    return None


def _is_below(name: str, domains: frozenset[str]) -> bool:
    _, dot, rest = name.partition(".")
    while dot:
        if rest in domains:
            return True
        _, dot, rest = rest.partition(".")
    return False
