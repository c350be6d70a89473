"""Guessing: later and later, then not at all, and forgotten in time; memory has a limit."""

from __future__ import annotations

from purport.users import guard as module
from purport.users.guard import Guard, GuardLimits, network

HERE, THERE = "192.0.2.1", "198.51.100.9"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def guard(**limits: float) -> tuple[Guard, Clock]:
    clock = Clock()
    return Guard(GuardLimits(**limits), clock), clock  # type: ignore[arg-type]


def test_the_delay_doubles_up_to_a_limit() -> None:
    watch, _ = guard(first_delay=1.0, most_delay=5.0)
    delays = []
    for _ in range(5):
        watch.begin(HERE, "alice")
        delays.append(watch.delay(HERE))
    assert delays == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert watch.delay(THERE) == 0.0


def test_a_client_is_shut_out_and_let_in_again() -> None:
    watch, clock = guard(per_client=3, window=600)
    for name in ("alice", "bob", "carol"):
        assert not watch.shuts_out(HERE)
        watch.begin(HERE, name)
    assert watch.shuts_out(HERE)
    assert not watch.shuts_out(THERE)
    clock.now = 601
    assert not watch.shuts_out(HERE)


def test_a_name_is_shut_out_wherever_the_guesses_come_from() -> None:
    watch, _ = guard(per_login=3)
    for number in range(3):
        watch.begin(f"192.0.2.{number}", "alice")
    assert watch.shuts_out_login(THERE, "alice")
    assert not watch.shuts_out_login(THERE, "bob")


def test_who_got_in_before_is_not_shut_out_by_others() -> None:
    watch, _ = guard(per_login=3)
    watch.remember(THERE, "alice")
    for number in range(3):
        watch.begin(f"192.0.2.{number}", "alice")
    assert not watch.shuts_out_login(THERE, "alice")
    assert watch.shuts_out_login(HERE, "alice")


def test_good_logins_leave_no_trace() -> None:
    watch, _ = guard()
    for _ in range(100):
        watch.begin(HERE, "alice")
        watch.take_back(HERE, "alice")
    assert not watch.shuts_out(HERE)
    assert watch.delay(HERE) == 0.0
    assert not watch._clients
    assert not watch._logins


def test_attempts_at_the_same_time_count_before_they_fail() -> None:
    watch, _ = guard(per_client=3)
    for _ in range(3):
        watch.begin(HERE, "alice")
    assert watch.shuts_out(HERE)  # while all three are still being checked


def test_an_ipv6_network_is_one_client() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network(HERE) == HERE


def test_memory_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(module, "ENTRIES", 10)
    watch, _ = guard()
    for number in range(100):
        watch.begin(f"10.0.0.{number}", f"name{number}")
        watch.remember(f"10.0.0.{number}", f"name{number}")
    assert len(watch._clients) == len(watch._logins) == len(watch._known) == 10
    assert watch.delay("10.0.0.99") > 0
