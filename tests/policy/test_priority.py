"""Who may ask for a higher priority (RFC 6710 section 4.1)."""

from __future__ import annotations

import pytest

from purport.mail.reply import SENDER_OK
from purport.policy.priority import PriorityPolicy, sender_reply
from purport.policy.relaying import Networks

POLICY = PriorityPolicy(Networks(["192.0.2.0/24"]), Networks(["2001:db8::/32"]), 6)


@pytest.mark.parametrize(
    ("asked", "address", "authenticated", "priority"),
    [
        (3, "198.51.100.1", False, 0),
        (3, "198.51.100.1", True, 3),
        (3, "192.0.2.7", False, 3),
        (3, "2001:db8::7", False, 3),
        (9, "192.0.2.7", True, 6),
        (0, "198.51.100.1", False, 0),
        (-4, "198.51.100.1", False, -4),
        (-9, "192.0.2.7", True, -9),
    ],
)
def test_more_than_nothing_is_for_clients_that_we_know(
    asked: int, address: str, authenticated: bool, priority: int
) -> None:
    assert POLICY.priority(asked, address, authenticated=authenticated) == priority


def test_a_change_is_told_with_the_new_priority_in_front() -> None:
    """RFC 6710 section 4.1 and 10: X.3.6."""
    assert str(sender_reply(4, 0)) == "250 2.3.6 0 is the new priority of this message"
    assert sender_reply(4, 4) is SENDER_OK
