"""A little of `make fuzz` in every test run, and inputs that once went wrong."""

from __future__ import annotations

import pytest

from support.fuzz import LONGEST, play, run, seeds


@pytest.mark.parametrize("seed", [1, 2])
def test_octets_that_nobody_meant_do_no_harm(seed: int) -> None:
    found = run(200_000, seed)
    assert [fault for fault in found.faults if not fault.endswith(" s")] == []
    assert found.slowest < 10 * LONGEST  # other tests run beside this one


def test_the_inputs_that_led_somewhere_do_no_harm() -> None:
    assert max(map(play, seeds())) < 10 * LONGEST
