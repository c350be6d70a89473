"""RFC 2645 section 5.2.1: which domains' mail a login may come for."""

from __future__ import annotations

import pytest

from purport.policy.on_demand import Customer, wanted

CUSTOMERS = (
    Customer("company", frozenset({"company.com.example", "sub.company.com.example"}), 10.0),
    Customer("company", frozenset({"elsewhere.example"}), 60.0),
    Customer("other", frozenset({"other.example", "elsewhere.example"})),
    Customer("idle", frozenset()),
)
ALL = {"company.com.example", "sub.company.com.example", "elsewhere.example"}


@pytest.mark.parametrize(
    ("user", "asked", "found"),
    [
        ("company", (), ALL),
        ("company", ("company.com.example",), {"company.com.example"}),
        ("company", ("Company.COM.example", "elsewhere.example"), {"company.com.example", "elsewhere.example"}),
        ("company", ("company.com.example", "company.com.example"), {"company.com.example"}),
        ("company", ("company.com.example", "other.example"), None),
        ("company", ("com.example",), None),
        ("company", ("x.company.com.example",), None),
        ("other", ("elsewhere.example",), {"elsewhere.example"}),
        ("idle", (), None),
        ("stranger", (), None),
        ("Company", (), None),
    ],
)
def test_a_login_has_all_that_it_asks_for_or_nothing(user: str, asked: tuple[str, ...], found: set[str] | None) -> None:
    given = wanted(CUSTOMERS, user, asked)
    assert (None if given is None else given.domains) == found


def test_the_longest_pause_of_its_tables_counts() -> None:
    given = wanted(CUSTOMERS, "company", ())
    assert given is not None
    assert given.seconds == 60.0
