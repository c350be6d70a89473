"""Who is judged where mail comes over a gateway of ours: its client, not the gateway."""

from __future__ import annotations

from typing import Final

from purport.authentication.true_client import TrustedHops, true_client
from purport.mail.header import Header
from purport.policy.decision import Rule
from purport.policy.facts import Client

RULE: Final = "trusted-hop"


def client_behind(hops: TrustedHops, client: Client, header: Header) -> tuple[Client | None, Rule] | None:
    """The client to be judged in the place of one that is a trusted hop, and the rule that says so; None where it is no
    hop. Without a client to be judged nothing is asked: a hop passes for nobody, and fails for nobody."""
    found = true_client(header, client.address, hops)
    if found is None:
        return None
    if found.address is None:
        return None, Rule(RULE, "tag", f"{client.address} is a trusted hop; its client is unknown: {found.reason}")
    reason = f"behind {client.address} it is {found.address}: {found.reason}"
    return Client(found.address, found.name, found.hello_domain), Rule(RULE, "pass", reason)
