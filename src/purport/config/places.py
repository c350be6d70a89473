"""Hosts and ports as settings write them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from purport.mail.domain import is_domain_name

BIND: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})")


def parse_bind(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:25` or `[::1]:25`. Raises ValueError."""
    found = BIND.fullmatch(text)
    if found is None or not is_port(found["port"]):
        raise ValueError("not HOST:PORT")
    host: str = found["ipv6"] or found["host"]
    if found["ipv6"] is not None:
        ipaddress.IPv6Address(host)
    elif not is_host(host):
        raise ValueError("not HOST:PORT")
    return host, int(found["port"])


def is_host(text: str) -> bool:
    """Whether it is a host name or an IPv4 address; four numbers are an address or a mistake."""
    if re.fullmatch(r"[0-9.]+", text):
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            return False
        return True
    return is_domain_name(text)


def is_port(text: str) -> bool:
    """Whether it is the number of a port."""
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 0 < int(text) < 65536
