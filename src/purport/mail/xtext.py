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
UNSAFE: Final = re.compile(rb"[^!-*,-<>-~]")
HEXCHAR: Final = tuple(b"+%02X" % octet for octet in range(256))
OCTET: Final = {b"%02X" % octet: bytes([octet]) for octet in range(256)}


def encode(octets: bytes) -> bytes:
    """The xtext of `octets`: what is not printable ASCII, and `+` and `=`, as hexchars."""
    return UNSAFE.sub(lambda found: HEXCHAR[found[0][0]], octets)


def decode(octets: bytes) -> bytes:
    """The octets that an xtext stands for. Raises ValueError where it is none."""
    if XCHARS.fullmatch(octets) is not None:
        return octets
    if XTEXT.fullmatch(octets) is None:
        raise ValueError("not xtext")
    return ESCAPED.sub(lambda found: OCTET[found[1]], octets)
