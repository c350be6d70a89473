"""xtext: octets in an ESMTP parameter value (RFC 3461 section 4).

    alice+tag@example.com   stands there as   alice+2Btag@example.com

Serves SUBMITTER, AUTH=, ORCPT, ENVID and XCLIENT.
"""

from __future__ import annotations

import re
from typing import Final

ESCAPED: Final = re.compile(rb"\+([0-9A-F]{2})")
# xchar: "!" to "~" but for "+" and "="; hexchar: "+" and two upper-case hexadecimal digits.
XCHARS: Final = re.compile(rb"[!-*,-<>-~]*")
XTEXT: Final = re.compile(rb"(?:[!-*,-<>-~]++|\+[0-9A-F]{2})*")
# What stands for itself in an internationalized address that is written in ASCII (RFC 6533 section 3).
UNEMBEDDED: Final = re.compile(r"[^!-*,-<>-\[\]-~]")
UTF8_XTEXT: Final = re.compile(rb"(?:[!-*,-<>-~\x80-\xff]++|\+[0-9A-F]{2})*")
UNSAFE_ASCII: Final = re.compile(rb"[^!-*,-<>-~\x80-\xff]")
UNSAFE: Final = re.compile(rb"[^!-*,-<>-~]")
HEXCHAR: Final = tuple(b"+%02X" % octet for octet in range(256))
OCTET: Final = {b"%02X" % octet: bytes([octet]) for octet in range(256)}


def encode(octets: bytes, *, utf8: bool = False) -> bytes:
    """The xtext of `octets`: what is not printable ASCII, and `+` and `=`, as hexchars; with `utf8` what is beyond
    ASCII stands as it is (RFC 6531 section 3.3)."""
    return (UNSAFE_ASCII if utf8 else UNSAFE).sub(lambda found: HEXCHAR[found[0][0]], octets)


def decode(octets: bytes, *, utf8: bool = False) -> bytes:
    """The octets that an xtext stands for; with `utf8` octets beyond ASCII may stand there as they are. Raises
    ValueError where it is none."""
    if utf8 and not octets.isascii():
        if UTF8_XTEXT.fullmatch(octets) is None:
            raise ValueError("not xtext")
        return ESCAPED.sub(lambda found: OCTET[found[1]], octets)
    if XCHARS.fullmatch(octets) is not None:
        return octets
    if XTEXT.fullmatch(octets) is None:
        raise ValueError("not xtext")
    return ESCAPED.sub(lambda found: OCTET[found[1]], octets)


def embedded(address: str) -> str:
    """An address in UTF-8 as ASCII can hold it, in ORCPT and in reports: `\\x{E9}lise@example.com` (RFC 6533 section
    3)."""
    return UNEMBEDDED.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)
