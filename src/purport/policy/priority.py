"""Who may ask for a higher priority than others (RFC 6710 section 4.1 and 11).

Positive ones are for clients that we know: who logged in, who may relay, and who an agreement was made with. Anybody
may lower the priority of a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, final

from purport.mail.reply import SENDER_OK, Reply, reply
from purport.policy.relaying import Networks

HIGHEST: Final = 9  # RFC 6710 section 3 (5)
CHANGED: Final = "2.3.6"  # RFC 6710 section 10: requested priority was changed


@final
@dataclass(frozen=True, slots=True)
class PriorityPolicy:
    """`relaying`: networks of the clients that may relay; `networks`: others that are believed. `highest` is the most
    that any of them gets."""

    relaying: Networks = field(default_factory=Networks)
    networks: Networks = field(default_factory=Networks)
    highest: int = HIGHEST

    def priority(self, asked: int, client_address: str, *, authenticated: bool) -> int:
        """What a message gets whose client asked for `asked`."""
        if asked <= 0:
            return asked
        trusted = authenticated or client_address in self.relaying or client_address in self.networks
        return min(asked, self.highest) if trusted else 0


def sender_reply(asked: int, priority: int) -> Reply:
    """The accepting reply to MAIL: the new priority comes first where it is not the one that was asked for."""
    if asked == priority:
        return SENDER_OK
    return reply(250, CHANGED, f"{priority} is the new priority of this message")
