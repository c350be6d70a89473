r"""The PROXY protocol: a load balancer says whose connection it passes on (HAProxy proxy-protocol.txt, versions 1, 2).

    PROXY TCP4 192.0.2.10 198.51.100.1 35646 25\r\n

The header comes before the greeting, and once. Who may send one has to, and anybody else's is no SMTP.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"  # section 2.2
V1_OCTETS: Final = 107  # section 2.1: the longest line, CRLF counted
V2_OCTETS: Final = 4096  # of a binary header; addresses take 36, the rest are extensions that we skip
V1: Final = re.compile(rb"PROXY (TCP[46]) ([0-9A-Fa-f:.]{2,45}) ([0-9A-Fa-f:.]{2,45}) ([0-9]{1,5}) ([0-9]{1,5})")
V1_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN(?: .*)?", re.DOTALL)
LOCAL: Final = 0x20  # version 2, command LOCAL: the proxy speaks for itself
PROXY: Final = 0x21
TCP: Final = {0x11: 4, 0x21: 16}  # family and transport: octets of an address


@dataclass(frozen=True, slots=True)
class Proxied:
    """What a header said: the client's address, None where the proxy speaks for itself or does not know; `octets` is
    the length of the header."""

    client: str | None
    octets: int


def read_header(octets: bytes) -> Proxied | None:
    """The header at the beginning of `octets`; None as long as it is not complete. Raises ValueError where there is
    none."""
    if octets[: len(SIGNATURE)] == SIGNATURE[: len(octets)]:
        return _read_binary(octets)
    if octets[:6] != b"PROXY "[: len(octets)]:
        raise ValueError("no PROXY header")
    end = octets.find(b"\r\n", 0, V1_OCTETS)
    if end < 0:
        if len(octets) >= V1_OCTETS:
            raise ValueError("PROXY line too long")
        return None
    return Proxied(_client_of(octets[:end]), end + 2)


def _client_of(line: bytes) -> str | None:
    """The client of a header in text."""
    if V1_UNKNOWN.fullmatch(line) is not None:
        return None
    found = V1.fullmatch(line)
    if found is None or int(found[4]) > 65535 or int(found[5]) > 65535:
        raise ValueError("bad PROXY line")
    kind = ipaddress.IPv4Address if found[1] == b"TCP4" else ipaddress.IPv6Address
    kind(found[3].decode("ascii"))
    return _text(kind(found[2].decode("ascii")))


def _read_binary(octets: bytes) -> Proxied | None:
    """A header of version 2: signature, command, family, length, addresses, extensions."""
    if len(octets) < 16:
        return None
    command, family = octets[12], octets[13]
    length = 16 + int.from_bytes(octets[14:16], "big")
    if command not in (LOCAL, PROXY):
        raise ValueError("unknown PROXY command")
    if length > V2_OCTETS:
        raise ValueError("PROXY header too long")
    if len(octets) < length:
        return None
    size = TCP.get(family)
    if command == LOCAL or size is None:  # section 2.2: of other families the connection's own address is used
        return Proxied(None, length)
    if length < 16 + 2 * size + 4:
        raise ValueError("PROXY addresses cut off")
    return Proxied(_text(ipaddress.ip_address(octets[16 : 16 + size])), length)


def _text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As the rest of the house writes addresses: an IPv4 client of an IPv6 socket stands as IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or address)
    return str(address)
