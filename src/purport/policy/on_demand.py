"""Which domains' mail a login may come for (RFC 2645 section 5.2.1).

[[odmr]] user = "branch", domains = ["company.com.example", "sub.company.com.example"]

ATRN                                           ->  both
ATRN company.com.example                       ->  that one
ATRN company.com.example,elsewhere.example     ->  none: a login has all that it asks for, or nothing
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from purport.mail.domain import normal_domain


@dataclass(frozen=True, slots=True)
class Customer:
    """A login, the domains that it may have (in the form that `normal_domain` gives), and the seconds until it may ask
    for the same again."""

    user: str
    domains: frozenset[str]
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a login comes for, and the seconds until it may ask for it again."""

    domains: frozenset[str]
    seconds: float


def wanted(customers: Sequence[Customer], user: str, domains: Sequence[str]) -> Wanted | None:
    """What `ATRN domains` of this login means; None where one of them is not its own, or it has none at all."""
    tables = [customer for customer in customers if customer.user == user]
    own = frozenset(domain for customer in tables for domain in customer.domains)
    asked = frozenset(map(normal_domain, domains)) or own
    if not asked or not asked <= own:
        return None
    return Wanted(asked, max(customer.seconds for customer in tables))
