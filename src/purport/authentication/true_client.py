"""The client behind hops that are trusted: a gateway, a backup MX, a filter that mail passes before it comes here.

    client 192.0.2.10 (trusted)
    Received: from mx.example.com (mail.example.com [203.0.113.5]) by gw.company.com.example ...  <- 203.0.113.5
    Received: from bank.example ([198.51.100.1]) by mx.example.com ...                         <- whoever wrote it

What is checked about a message (SPF, Sender ID) is about who gave it to the outermost of our hops. The walk goes down
the Received fields as long as each was written by a hop that is trusted about another that is; the first client that is
none is the true one, and nothing below is looked at. Where the walk ends without one there is no client to be checked:
the address of a hop never stands in for it, since it would pass for whoever trusts the hop.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from purport.mail.header import Header
from purport.mail.received import received_from

MOST_HOPS: Final = 10  # hops walked over; gateways with filters behind them have three or four


@dataclass(frozen=True, slots=True)
class TrustedHops:
    """Which hops are trusted to have written their Received fields.

    `networks` holds their addresses (as text). `names` are what may stand behind `by` in their fields: names in lower
    case, one that begins with a dot for all below it. Without names every `by` of theirs is believed; with them, a hop
    that added no field does not make us believe the one that its client sent.
    """

    networks: Container[str]
    names: tuple[str, ...] = ()

    def wrote(self, by: str) -> bool:
        """Whether a field that says `by` is one of theirs."""
        return not self.names or any(by == name or (name[:1] == "." and by.endswith(name)) for name in self.names)


NO_HOPS: Final = TrustedHops(())


@dataclass(frozen=True, slots=True)
class TrueClient:
    """Who gave the message to the outermost trusted hop.

    `address` is None where that is not known: then nothing can be checked. `field` is the number of the Received field
    that says it, from 0 at the top, or of the one at which the walk ended; `reason` says why, in words.
    """

    address: str | None
    hello_domain: str = ""
    name: str | None = None
    by: str = ""
    field: int = 0
    reason: str = ""


def true_client(header: Header, connected: str, hops: TrustedHops) -> TrueClient | None:
    """The true client of a message that came from the address `connected`; None where that is no trusted hop, and so
    the client itself. `header` is as it came, without a Received field of our own. Never raises."""
    if connected not in hops.networks:
        return None
    fields = [field for field in header if field.name == "received"]
    for number, field in enumerate(fields[:MOST_HOPS]):
        try:
            if not field.strict:
                raise ValueError("white space stands before its colon")
            passed = received_from(field.text)
        except ValueError as error:
            return TrueClient(None, field=number, reason=f"Received field {number + 1} cannot be used: {error}")
        if not hops.wrote(passed.by):
            reason = f"Received field {number + 1} is by {passed.by}, which is no trusted hop"
            return TrueClient(None, field=number, reason=reason)
        if passed.address not in hops.networks:
            reason = f"Received field {number + 1}, by {passed.by}, names it"
            return TrueClient(passed.address, passed.hello_domain, passed.name, passed.by, number, reason)
    if len(fields) > MOST_HOPS:
        return TrueClient(None, field=MOST_HOPS, reason=f"there are more than {MOST_HOPS} trusted hops")
    return TrueClient(None, field=len(fields), reason="the message began at a trusted hop")
