"""Who logged in: the identity that a submission is bound to (RFC 4954, RFC 6409 section 6.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Login:
    """A client that authenticated.

    `addresses` are those it may speak for: `alice@company.com.example`, or `@company.com.example` for every local part
    of a domain. The first whole one is its own. `mechanism` is how it was proved: a SASL mechanism, or XCLIENT.
    """

    name: str
    addresses: tuple[str, ...] = ()
    mechanism: str = ""
