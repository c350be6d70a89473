"""The client's name, confirmed by its address or not told at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.iprev import MOST_NAMES, IprevResult, check_iprev
from purport.dns.lookup import Answer, Question, Status, replay, start
from purport.dns.zone import StaticResolver, ZoneData

REVERSE = "1.2.0.192.in-addr.arpa"


def checked(zone: ZoneData, address: str = "192.0.2.1") -> IprevResult:
    result = start(check_iprev(address), StaticResolver(zone))
    assert isinstance(result, IprevResult)
    assert result.evidence is not None
    assert replay(check_iprev(address), dict(result.evidence.answers)) == result
    return result


def test_a_name_that_leads_back_is_the_clients() -> None:
    result = checked(
        {REVERSE: [{"PTR": "MX.example.com."}], "mx.example.com": [{"A": "192.0.2.9"}, {"A": "192.0.2.1"}]}
    )
    assert result == IprevResult("pass", "192.0.2.1", "mx.example.com")


def test_an_ipv6_address() -> None:
    name = "1" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa"
    zone = {name: [{"PTR": "mx.example.com"}], "mx.example.com": [{"AAAA": "2001:DB8:0::1"}, {"A": "192.0.2.1"}]}
    assert checked(zone, "2001:db8::1").name == "mx.example.com"
    assert checked(zone, "::ffff:192.0.2.1").result == "permerror"


@pytest.mark.parametrize(
    ("zone", "result"),
    [
        ({}, "permerror"),
        ({REVERSE: [{"A": "192.0.2.1"}]}, "permerror"),
        ({REVERSE: ["TIMEOUT"]}, "temperror"),
        ({REVERSE: [{"PTR": "bank.example"}]}, "fail"),
        ({REVERSE: [{"PTR": "bank.example"}], "bank.example": [{"A": "192.0.2.2"}]}, "fail"),
        ({REVERSE: [{"PTR": "bank.example"}], "bank.example": ["TIMEOUT"]}, "temperror"),
        ({REVERSE: [{"PTR": "a b.example"}]}, "permerror"),
        ({REVERSE: [{"PTR": "x.example\r\nEvil: yes"}]}, "permerror"),
    ],
)
def test_a_name_that_is_not_confirmed_is_not_told(zone: ZoneData, result: str) -> None:
    found = checked(zone)
    assert (found.result, found.name) == (result, None)
    assert found.problem


def test_one_of_several_names_is_enough_even_beside_one_without_answer() -> None:
    zone = {
        REVERSE: [{"PTR": "slow.example"}, {"PTR": "other.example"}, {"PTR": "mx.example.com"}],
        "slow.example": ["TIMEOUT"],
        "mx.example.com": [{"A": "192.0.2.1"}],
    }
    assert checked(zone).name == "mx.example.com"


def test_ten_names_are_looked_at_in_one_round() -> None:
    names = [f"n{number}.example" for number in range(1000)]
    zone = {REVERSE: [{"PTR": name} for name in names], "n10.example": [{"A": "192.0.2.1"}]}
    result = checked(zone)
    assert result.result == "fail"
    assert result.evidence is not None
    assert len(result.evidence.answers) == 1 + MOST_NAMES
    evaluation = check_iprev("192.0.2.1")
    assert next(evaluation) == (Question(REVERSE, "PTR"),)


def test_what_is_no_address_is_an_error() -> None:
    with pytest.raises(ValueError, match="localhost"):
        next(check_iprev("localhost"))


@given(st.lists(st.text(max_size=20), max_size=15), st.ip_addresses())
def test_whatever_the_owner_of_an_address_publishes_a_name_is_a_domain_name(names: list[str], address: object) -> None:
    def answers(question: Question) -> list[str]:
        return names if question.type == "PTR" else [str(address)]

    evaluation = check_iprev(str(address))
    questions = next(evaluation)
    try:
        while True:
            questions = evaluation.send(tuple([Answer(Status.FOUND, tuple(answers(one))) for one in questions]))
    except StopIteration as stop:
        result = stop.value
    assert result.result in ("pass", "permerror", "fail")
    if result.name is not None:
        assert result.name.isascii() and result.name.isprintable() and " " not in result.name
