"""Domain names and address literals (RFC 5321 section 4.1.2 and 4.1.3, RFC 5890).

example.com    bücher.example    [192.0.2.1]    [IPv6:2001:db8::1]
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from unicodedata import normalize

import idna

DOMAIN_OCTETS: Final = 255  # RFC 5321 section 4.5.3.1.2
LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # 63 octets: RFC 1035 section 2.3.4
NAME: Final = re.compile(rf"{LABEL}(?:\.{LABEL})*")
# Python's IPv6Address takes a zone behind "%" too, made of any characters whatever: RFC 5321 section 4.1.3 has none.
IPV6_CHARACTERS: Final = re.compile(r"[0-9A-Fa-f:.]+")
# Standardized-tag ":" dcontent: any tag of letters, digits and hyphens that does not end with a hyphen.
GENERAL_LITERAL: Final = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9]:[!-Z^-~]+")


def is_domain_name(text: str) -> bool:
    """Whether `text` is a domain name of ASCII labels, within its limits."""
    return len(text) <= DOMAIN_OCTETS and NAME.fullmatch(text) is not None


def is_address_literal(text: str) -> bool:
    """Whether `text` is an address literal, brackets included."""
    if len(text) > DOMAIN_OCTETS or not (text.startswith("[") and text.endswith("]")):
        return False
    inside = text[1:-1]
    try:
        if inside[:5].upper() == "IPV6:":
            if IPV6_CHARACTERS.fullmatch(inside, 5) is None:
                return False
            ipaddress.IPv6Address(inside[5:])
        elif ":" in inside:
            return GENERAL_LITERAL.fullmatch(inside) is not None
        else:
            ipaddress.IPv4Address(inside)
    except ValueError:
        return False
    return True


def a_label_form(text: str) -> str:
    """The domain name with every U-label as its A-label. Raises ValueError where it is no domain name.

    Only case and composition of characters are made even. What IDNA 2008 does not allow is refused, not mapped away:
    two names that differ in an invisible character must not become one (RFC 5891 section 5.4).
    """
    if text.isascii():
        name = text
    elif len(text) > DOMAIN_OCTETS:
        raise ValueError("not a domain name: too long")
    else:
        try:
            name = idna.encode(normalize("NFC", text.lower()), strict=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"not a domain name: {error}") from error
    if not is_domain_name(name):
        raise ValueError("not a domain name")
    return name


def normal_domain(text: str) -> str:
    """The form in which domains are compared: A-labels, lower case, no dot at the end.

    An address literal stands as it is, in lower case. What is no domain at all comes back in lower case.
    """
    if text.isascii():
        return text.lower().removesuffix(".")
    try:
        return a_label_form(text.removesuffix(".")).lower()
    except ValueError:
        return text.lower()
