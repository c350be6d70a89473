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
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """What is asked of a connection before mail goes over it, in rising order."""

    NONE = 0
    MAY = 1
    ENCRYPT = 2
    VERIFY = 3
    DANE = 4


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A usable TLSA record (RFC 6698 section 2.1, RFC 7672 section 3.1)."""

    usage: int  # 2: DANE-TA, 3: DANE-EE
    selector: int  # 0: the certificate, 1: its public key
    matching: int  # 0: whole, 1: SHA-256, 2: SHA-512
    association: bytes


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What is asked of the connection to one host, and who asks it.

    `names` are what a certificate is checked against besides the host's own (levels verify, and dane with usage 2);
    `source` is for logs and reports: "settings", "dane", "mta-sts", "requiretls".
    """

    level: Level
    names: tuple[str, ...] = ()
    tlsa: tuple[Tlsa, ...] = ()
    source: str = "settings"


OPPORTUNISTIC: Final = TlsPolicy(Level.MAY)
CLEAR: Final = TlsPolicy(Level.NONE)
ENCRYPTED: Final = TlsPolicy(Level.ENCRYPT)
VERIFIED: Final = TlsPolicy(Level.VERIFY)


@dataclass(frozen=True, slots=True)
class TlsRules:
    """What the settings ask for. `by_name` is by the domain of the recipients (A-labels, lower case) where the MX
    records say where its hosts are, else by the name of the host."""

    default: TlsPolicy | None = None
    by_name: Mapping[str, TlsPolicy] = field(default_factory=dict)

    def policy(self, next_hop: str, host: str, *, secret: bool = False) -> TlsPolicy:
        """For one host of a next hop; a host that we tell a password has to prove who it is unless the settings say
        otherwise.

        Who can answer for the MX records can answer with a host of their own: where nobody vouched for those, a
        certificate is asked for the domain's name or one below it, as Postfix does at its level `secure`.
        """
        domain = next_hop.removeprefix("mx:") if next_hop.startswith("mx:") else ""
        policy = self.by_name.get(domain or host)
        if policy is None:
            policy = self.default or (VERIFIED if secret else OPPORTUNISTIC)
        if policy.level is Level.VERIFY and domain and not policy.names:
            return TlsPolicy(policy.level, (domain, f".{domain}"), policy.tlsa, policy.source)
        return policy


NO_TLS_RULES: Final = TlsRules()
