"""How a connection to a next hop is protected: the levels, and what each asks (RFC 3207, 7672, 8461, 8689).

level       without STARTTLS   the certificate
none        goes in clear      -
may         goes in clear      is not looked at
encrypt     waits              is not looked at
verify      waits              has one of the names, and a chain to an authority of this system
dane        waits              matches one of the TLSA records
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from purport.delivery.tls_outcome import TlsOutcome
from purport.dns.tlsa import Tlsa


class Level(IntEnum):
    """What is asked of a connection before mail goes over it, in rising order."""

    NONE = 0
    MAY = 1
    ENCRYPT = 2
    VERIFY = 3
    DANE = 4


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What is asked of the connection to one host, and who asks it.

    `names` are what a certificate is checked against: in place of the host's own (verify), or where a TLSA record names
    an authority (dane). `source` is "settings", "dane", "mta-sts" or "requiretls", and `why` says in words what was
    found. `sni` is the name that the server is asked for, where it is not that of the host. `instead` holds where what
    is asked for does not come about; None: then the mail waits, unless the level is may. `vouched`: nobody could put
    another host in the place of this one (RFC 8689 section 2). `outcome` is what a report is told of the policy.
    """

    level: Level
    names: tuple[str, ...] = ()
    tlsa: tuple[Tlsa, ...] = ()
    source: str = "settings"
    why: str = ""
    sni: str = ""
    instead: TlsPolicy | None = None
    vouched: bool = False
    outcome: TlsOutcome | None = None

    @property
    def fallback(self) -> TlsPolicy | None:
        """What is tried where the handshake fails; None: nothing."""
        return CLEAR if self.instead is None and self.level is Level.MAY else self.instead

    @property
    def required(self) -> bool:
        """Whether a host without STARTTLS gets nothing."""
        return self.level >= Level.ENCRYPT and (self.instead is None or self.instead.required)

    @property
    def proves(self) -> bool:
        """Whether a connection that came about is one to the right host, beyond doubt."""
        return self.vouched and self.level >= Level.VERIFY

    @property
    def told(self) -> str:
        """The policy in words; nothing where nobody asks for anything."""
        if self.level <= Level.MAY and not self.why:
            return ""
        return f"{self.level.name.lower()} ({self.source}{': ' * bool(self.why)}{self.why})"

    def at_least(self, level: Level) -> TlsPolicy:
        """The policy with its level raised where it is lower."""
        return self if self.level >= level else replace(self, level=level)


OPPORTUNISTIC: Final = TlsPolicy(Level.MAY)
CLEAR: Final = TlsPolicy(Level.NONE)
VERIFIED: Final = TlsPolicy(Level.VERIFY)


@dataclass(frozen=True, slots=True)
class TlsRules:
    """What the settings ask for. `by_name` is by the domain of the recipients (A-labels, lower case) where the MX
    records say where its hosts are, else by the name of the host; nothing that is published changes it. `default` is
    the least for all others."""

    default: TlsPolicy | None = None
    by_name: Mapping[str, TlsPolicy] = field(default_factory=dict)

    def named(self, next_hop: str, host: str) -> TlsPolicy | None:
        """What is said of this domain or host, if something is."""
        return self.by_name.get(domain_of(next_hop) or host)

    def policy(self, next_hop: str, host: str, *, secret: bool = False) -> TlsPolicy:
        """For one host of a next hop; a host that we tell a password has to prove who it is unless the settings say
        otherwise.

        Who can answer for the MX records can answer with a host of their own: where nobody vouched for those, a
        certificate is asked for the domain's name or one below it, as Postfix does at its level `secure`.
        """
        domain = domain_of(next_hop)
        policy = self.by_name.get(domain or host)
        if policy is None:
            policy = self.default or (VERIFIED if secret else OPPORTUNISTIC)
        if policy.level is Level.VERIFY and domain and not policy.names and not domain.startswith("["):
            return replace(policy, names=(domain, f".{domain}"))
        return policy


NO_TLS_RULES: Final = TlsRules()


def domain_of(next_hop: str) -> str:
    """The domain whose MX records say where its hosts are; nothing where the settings do."""
    return next_hop.removeprefix("mx:") if next_hop.startswith("mx:") else ""
