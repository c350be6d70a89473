"""The addresses of a host name."""

from __future__ import annotations

from purport.dns.addresses import addresses_of
from purport.dns.lookup import Answer, Question, Status, replay

HOST = "mx.example.com"
A, AAAA = Question(HOST, "A"), Question(HOST, "AAAA")


def test_both_families_are_found() -> None:
    answers = {A: Answer(Status.FOUND, ("192.0.2.1",)), AAAA: Answer(Status.FOUND, ("2001:db8::1",))}
    assert replay(addresses_of(HOST), answers) == ("2001:db8::1", "192.0.2.1")


def test_a_family_that_is_not_answered_is_left_out() -> None:
    assert replay(addresses_of(HOST), {A: Answer(Status.FOUND, ("192.0.2.1",))}) == ("192.0.2.1",)
    assert replay(addresses_of(HOST), {}) == ()
