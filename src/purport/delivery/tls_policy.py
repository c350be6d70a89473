"""How a connection to a next hop is protected: the levels, and what each asks (RFC 3207, 7672, 8461, 8689).

level       without STARTTLS   the certificate
none        goes in clear      -
may         goes in clear      is not looked at
encrypt     waits              is not looked at
verify      waits              has one of the names, and a chain to an authority of this system
dane        waits              matches one of the TLSA records
"""

from __future__ import annotations

from dataclasses import dataclass
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

    `names` are the reference identifiers a certificate is checked against (levels verify, and dane with usage 2);
    `source` is for logs and reports: "default", "setting", "dane", "mta-sts", "requiretls".
    """

    level: Level
    names: tuple[str, ...] = ()
    tlsa: tuple[Tlsa, ...] = ()
    source: str = "default"


OPPORTUNISTIC: Final = TlsPolicy(Level.MAY)
CLEAR: Final = TlsPolicy(Level.NONE)
