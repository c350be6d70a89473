"""Who may send where: domains that we receive for, and clients that may relay (RFC 5321 section 3.6 and 7.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from purport.mail.address import Mailbox, normal_local_part
from purport.mail.domain import normal_domain
from purport.mail.reply import NO_SUCH_MAILBOX, RELAYING_DENIED
from purport.policy.decision import Rule
from purport.policy.facts import Client
from purport.policy.submitter import Verdict

RULE: Final = "relaying"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOCAL: Final = Rule(RULE, "pass", "the mailbox is one of ours")
KNOWN: Final = Rule(RULE, "pass", "the client logged in")
TRUSTED: Final = Rule(RULE, "pass", "the client may relay")


class Networks:
    """A set of networks that is asked for client addresses."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Sequence[str] = ()) -> None:
        """Raises ValueError for a text that is no network or address."""
        self._networks: tuple[Network, ...] = tuple(ipaddress.ip_network(text, strict=False) for text in networks)

    def __contains__(self, address: object) -> bool:
        if not self._networks or not isinstance(address, str):
            return False
        try:
            client = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(client.version == network.version and client in network for network in self._networks)


@dataclass(frozen=True, slots=True)
class Relaying:
    """`domains`: the domains we receive for (A-labels, lower case), with their mailboxes in lower case, or None where
    every local part exists. `networks`: clients that may send anywhere."""

    domains: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    networks: Networks = field(default_factory=Networks)


def may_reach(relaying: Relaying, client: Client, forward_path: Mailbox) -> Verdict:
    """Whether this client may send to this recipient. Postmaster always exists (RFC 5321 section 4.5.1)."""
    domains = relaying.domains
    domain = forward_path.domain
    if domain not in domains:
        domain = normal_domain(domain)
        if domain not in domains:
            if not forward_path.domain:
                return LOCAL, None
            if client.login is not None:
                return KNOWN, None
            if client.address in relaying.networks:
                return TRUSTED, None
            return Rule(RULE, "refuse", f"{domain} is not one of our domains"), RELAYING_DENIED
    mailboxes = domains[domain]
    if mailboxes is None or (name := normal_local_part(forward_path.local_part)) in mailboxes or name == "postmaster":
        return LOCAL, None
    return Rule(RULE, "refuse", f"{domain} has no mailbox {forward_path.local_part}"), NO_SUCH_MAILBOX
