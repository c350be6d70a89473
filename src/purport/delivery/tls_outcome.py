"""What a connection attempt to another host came to, as reports about TLS tell it (RFC 8460 section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TlsOutcome:
    """One attempt at a host of an MX-routed domain: the policy that held, and what became of it.

    `policy_strings` is the policy as RFC 8460 section 4.5 writes it: the TLSA records, or the lines of the MTA-STS
    policy, whose `mx` patterns are `mx_patterns` too.
    """

    policy_type: Literal["tlsa", "sts", "no-policy-found"]
    policy_domain: str  # A-labels
    policy_strings: tuple[str, ...]
    mx_patterns: tuple[str, ...]
    result: str  # "" for success, or a result type of RFC 8460 section 4.3
    host: str = ""  # the receiving MX host
    address: str = ""  # its address
    local_address: str = ""  # the address that we connected from
    reason: str = ""  # what went wrong, in words or as a code
