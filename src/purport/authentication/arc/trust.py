"""What a chain is worth to us: whose word we take for what a message was before it was changed (RFC 8617 section 7.2).

A chain that passes proves who sealed, not that what they say is true: anybody can seal. And a seal does not cover the
message: whoever seals later may have put another one under the words of those before. So a sealer's word counts where
it is trusted, and so is everyone behind it, or else its own signature over the message holds still.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address

from purport.authentication.arc.result import ArcResult
from purport.authentication.authres.results import AuthenticationResults, MethodResult
from purport.mail.domain import normal_domain


@dataclass(frozen=True, slots=True)
class Testimony:
    """What a trusted sealer found when the message came to it. `comment` says by which seals that is known, as reports
    to the owner of the author's domain have it (RFC 8617 section 7.2.2)."""

    sealer: str
    instance: int
    said: AuthenticationResults
    comment: str

    @property
    def spf(self) -> tuple[MethodResult, ...]:
        """Its results of SPF."""
        return self.said.of("spf")

    @property
    def dkim(self) -> tuple[MethodResult, ...]:
        """Its results of DKIM."""
        return self.said.of("dkim")

    @property
    def dmarc(self) -> tuple[MethodResult, ...]:
        """Its results of DMARC."""
        return self.said.of("dmarc")

    def dmarc_passed(self, author_domain: str) -> bool:
        """Whether it saw DMARC pass for this domain, by name: what it says of another author is no help."""
        wanted = normal_domain(author_domain)
        return any(
            result.result == "pass" and normal_domain(result.value("header", "from") or "") == wanted
            for result in self.dmarc
        )

    @property
    def reason(self) -> str:
        """What is taken from it, in words."""
        found = "/".join(result.result for result in self.dmarc) or "no DMARC result"
        return f"trusted ARC sealer {self.sealer} (i={self.instance}) found {found}"


def vouched(chain: ArcResult, trusted: Collection[str]) -> Testimony | None:
    """What the oldest sealer whose word counts found; None where there is none. `trusted` are domains (d= of seals)
    that we take at their word, and nobody else is: not their subdomains either.

    The From of the message has to be what was signed, all of it, or the word is about somebody else.
    """
    if chain.result != "pass" or not chain.hops or not chain.hops[-1].covers_from:
        return None
    domains = {normal_domain(domain) for domain in trusted}
    found: Testimony | None = None
    all_trusted = True
    for hop in reversed(chain.hops):
        is_trusted = hop.sealer in domains
        if is_trusted and (all_trusted or (hop.intact and hop.covers_from)) and (said := hop.said) is not None:
            found = Testimony(hop.sealer, hop.instance, said, _comment(chain))
        all_trusted = all_trusted and is_trusted
    return found


def _comment(chain: ArcResult) -> str:
    """As in the example of RFC 8617 section 7.2.2, the newest set first."""
    seals = [f"as[{hop.instance}].d={hop.sealer} as[{hop.instance}].s={hop.selector}" for hop in reversed(chain.hops)]
    first = chain.hops[0].said
    found = [result.value("smtp", "remote-ip") for result in first.of("arc")] if first is not None else []
    address = next((f"remote-ip[1]={value}" for value in found if value and _is_address(value)), "")
    return " ".join(["arc=pass", *seals, address]).rstrip()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
