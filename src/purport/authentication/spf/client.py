"""The client's address as a number, as text and as macros see it (RFC 7208 sections 5 and 7.3)."""

from __future__ import annotations

import ipaddress
from typing import Final, final

MAPPED: Final = 0xFFFF  # the upper 96 bits of an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2)
BITS: Final = {4: 32, 6: 128}


@final
class ClientAddress:
    """An SMTP client's address, made once for all checks of a session.

    An IPv4-mapped IPv6 address counts as IPv4 (RFC 7208 section 5). Raises ValueError for text that is no address.
    """

    __slots__ = ("text", "value", "version")

    def __init__(self, text: str) -> None:
        address = ipaddress.ip_address(text)
        self.version: int = address.version
        self.value = int(address)
        if self.version == 6 and self.value >> 32 == MAPPED:
            self.version = 4
            self.value &= 0xFFFFFFFF
            address = ipaddress.IPv4Address(self.value)
        self.text = address.compressed

    def __str__(self) -> str:
        return self.text

    @property
    def dotted(self) -> str:
        """`%{i}`: the dotted quad, or the 32 nibbles with dots between them."""
        return self.text if self.version == 4 else ".".join(f"{self.value:032X}")

    @property
    def family(self) -> str:
        """`%{v}`."""
        return "in-addr" if self.version == 4 else "ip6"

    @property
    def reverse_name(self) -> str:
        """The name whose PTR records name this address (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
        return f"{'.'.join(reversed(self.dotted.lower().split('.')))}.{self.family}.arpa"


def address_value(text: str, version: int) -> int | None:
    """The address of an A or AAAA record as a number; None for what is no address of that version."""
    if version == 6:
        try:
            return int(ipaddress.IPv6Address(text))
        except ValueError:
            return None
    try:
        a, b, c, d = map(int, text.split("."))
    except ValueError:
        return None
    if min(a, b, c, d) < 0 or max(a, b, c, d) > 255:
        return None
    return a << 24 | b << 16 | c << 8 | d
