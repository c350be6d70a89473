"""Base64 as an AUTH exchange has it (RFC 4954 section 4, RFC 4648 section 4): one line, the alphabet, nothing else.

S: 334 VXNlcm5hbWU6
C: YWxpY2U=
"""

from __future__ import annotations

import binascii


def decode(octets: bytes) -> bytes:
    """The octets that a line stands for; an empty line stands for none. Raises ValueError for any character outside
    the alphabet, and for padding anywhere but at the end."""
    if len(octets) % 4 or octets.endswith(b"==="):  # which Python takes, as it stops at a quantum's end
        raise ValueError("not base64")
    return binascii.a2b_base64(octets, strict_mode=True)


def encode(octets: bytes) -> str:
    """Octets as one line."""
    return binascii.b2a_base64(octets, newline=False).decode("ascii")
