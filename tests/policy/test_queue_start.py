"""RFC 1985 section 5.3 and 8: who may start which queue."""

from __future__ import annotations

import pytest

from purport.policy.queue_start import Grant, granted, may_ask
from purport.policy.relaying import Networks

GRANTS = (
    Grant(Networks(["192.0.2.0/24"]), frozenset({"company.com.example"}), "branches"),
    Grant(Networks(["192.0.2.7", "2001:db8::/32"]), frozenset({"a.example", "b.example"}), seconds=5.0),
)


@pytest.mark.parametrize(
    ("client", "option", "node", "yes"),
    [
        ("192.0.2.1", "", "company.com.example", True),
        ("192.0.2.1", "", "COMPANY.com.example", True),
        ("192.0.2.1", "", "sub.company.com.example", True),
        ("192.0.2.1", "@", "company.com.example", True),
        ("192.0.2.1", "@", "sub.company.com.example", True),
        ("192.0.2.1", "@", "com.example", False),
        ("192.0.2.1", "", "com.example", False),
        ("192.0.2.1", "", "notcompany.com.example", False),
        ("192.0.2.1", "#", "Branches", True),
        ("192.0.2.1", "#", "others", False),
        ("192.0.2.1", "", "a.example", False),
        ("192.0.2.7", "", "a.example", True),
        ("192.0.2.7", "", "company.com.example", True),
        ("2001:db8::1", "@", "b.example", True),
        ("2001:db8::1", "#", "branches", False),
        ("198.51.100.1", "", "company.com.example", False),
    ],
)
def test_who_may_ask_for_what(client: str, option: str, node: str, yes: bool) -> None:
    assert (granted(GRANTS, client, option, node) is not None) == yes
    assert may_ask(GRANTS, client) == (client != "198.51.100.1")


@pytest.mark.parametrize(
    ("option", "node", "inside", "outside"),
    [
        ("", "company.com.example", ["Company.com.example"], ["sub.company.com.example", "com.example", ""]),
        ("@", "company.com.example", ["a.b.company.com.example"], ["xcompany.com.example", "elsewhere.example"]),
        ("@", "sub.company.com.example", ["sub.company.com.example"], ["company.com.example"]),
        ("#", "branches", ["company.com.example", "sub.company.com.example"], ["a.example"]),
    ],
)
def test_which_mail_is_meant(option: str, node: str, inside: list[str], outside: list[str]) -> None:
    found = granted(GRANTS, "192.0.2.1", option, node)
    assert found is not None
    assert found.seconds == 60.0
    assert [domain in found.nodes for domain in (*inside, *outside)] == [True] * len(inside) + [False] * len(outside)


def test_nobody_may_ask_by_the_empty_name_of_a_grant_without_one() -> None:
    assert granted(GRANTS, "2001:db8::1", "#", "") is None
