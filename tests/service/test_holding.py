"""How many messages may wait for their release (RFC 4865 section 6)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.service.holding import Holding, HoldingLimits
from purport.smtp.extensions.futurerelease import SENDER_QUOTA, SYSTEM_QUOTA

ALICE = Mailbox("alice", "example.com")
BOB = Mailbox("bob", "example.com")
LIMITS = HoldingLimits(2, 3)


def test_a_sender_has_its_share_and_all_have_theirs() -> None:
    holding = Holding()
    holding.add(100.0, ALICE)
    assert holding.refusal(LIMITS, ALICE, 0.0) is None
    holding.add(50.0, ALICE)
    assert holding.refusal(LIMITS, ALICE, 0.0) is SENDER_QUOTA
    assert holding.refusal(LIMITS, BOB, 0.0) is None
    holding.add(70.0, BOB)
    assert holding.refusal(LIMITS, BOB, 0.0) is SYSTEM_QUOTA
    assert (SENDER_QUOTA.code, SYSTEM_QUOTA.code) == (552, 552)


def test_a_message_counts_until_its_time_has_come() -> None:
    holding = Holding([(100.0, ALICE), (50.0, ALICE), (200.0, BOB)])
    assert holding.refusal(LIMITS, ALICE, 49.9) is SENDER_QUOTA
    assert holding.refusal(LIMITS, ALICE, 50.0) is None


def test_another_spelling_is_the_same_sender() -> None:
    holding = Holding([(100.0, ALICE), (50.0, Mailbox("ALICE", "Example.com"))])
    assert holding.refusal(LIMITS, Mailbox("aLICe", "example.COM"), 0.0) is SENDER_QUOTA


@given(st.lists(st.tuples(st.sampled_from([ALICE, BOB]), st.integers(0, 50)), max_size=40), st.integers(0, 60))
def test_it_counts_as_one_does_who_looks_at_all_of_them(added: list[tuple[Mailbox, int]], now: int) -> None:
    holding = Holding()
    for sender, release_at in added:
        holding.add(release_at, sender)
    for sender in (ALICE, BOB):
        mine = sum(1 for one, release_at in added if one is sender and release_at > now)
        everybody = sum(1 for _, release_at in added if release_at > now)
        assert holding.refusal(HoldingLimits(mine + 1, everybody + 1), sender, now) is None
        if mine:
            assert holding.refusal(HoldingLimits(mine, 99), sender, now) is SENDER_QUOTA
        if everybody:
            assert holding.refusal(HoldingLimits(99, everybody), sender, now) is SYSTEM_QUOTA
