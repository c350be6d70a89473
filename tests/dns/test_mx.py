"""Which hosts take the mail of a domain (RFC 5321 section 5.1, RFC 7505)."""

from __future__ import annotations

from collections.abc import Container

import pytest

from purport.dns.lookup import Answer, Question, Status, replay
from purport.dns.mx import HOSTS, MailHost, MailHosts, NoMailHosts, Reason, Shuffle, mail_hosts
from purport.dns.zone import StaticResolver, ZoneData

ZONE: ZoneData = {
    "example.com": [{"MX": [20, "second.example.com"]}, {"MX": [10, "first.example.com"]}],
    "first.example.com": [{"A": "192.0.2.1"}, {"A": "192.0.2.2"}, {"AAAA": "2001:db8::1"}],
    "second.example.com": [{"A": "192.0.2.3"}],
    "equal.example": [{"MX": [10, f"{name}.equal.example"]} for name in "cab"] + [{"MX": [5, "z.equal.example"]}],
    **{f"{name}.equal.example": [{"A": "192.0.2.9"}] for name in "abcz"},
    "implicit.example": [{"A": "192.0.2.4"}, {"AAAA": "2001:db8::4"}],
    "bare.example": [{"TXT": "no mail"}],
    "null.example": [{"MX": [0, ""]}],
    "mixed.example": [{"MX": [0, ""]}, {"MX": [10, "second.example.com"]}],
    "broken.example": ["TIMEOUT"],
    "dangling.example": [{"MX": [10, "gone.example"]}],
    "halfbroken.example": [{"MX": [10, "gone.example"]}, {"MX": [20, "broken.example"]}],
    "onegood.example": [{"MX": [10, "broken.example"]}, {"MX": [20, "second.example.com"]}],
    "many.example": [{"MX": [number, f"h{number}.many.example"]} for number in range(40)],
    **{f"h{number}.many.example": [{"A": f"192.0.2.{n}"} for n in range(9)] for number in range(40)},
    "twice.example": [{"MX": [10, "second.example.com"]}, {"MX": [20, "second.example.com"]}],
}


def ask(domain: str, shuffle: Shuffle | None = None, ourselves: Container[str] = ()) -> MailHosts | NoMailHosts:
    evaluation = mail_hosts(domain, shuffle, ourselves)
    zone = StaticResolver(ZONE)
    try:
        questions = next(evaluation)
        while True:
            questions = evaluation.send(tuple(zone.cached(question) for question in questions))
    except StopIteration as stop:
        result: MailHosts | NoMailHosts = stop.value
        return result


def names(domain: str, shuffle: Shuffle | None = None, ourselves: Container[str] = ()) -> list[str]:
    found = ask(domain, shuffle, ourselves)
    assert isinstance(found, MailHosts)
    return [host.name for host in found.hosts]


def refused(domain: str, ourselves: Container[str] = ()) -> NoMailHosts:
    found = ask(domain, None, ourselves)
    assert isinstance(found, NoMailHosts)
    return found


def test_hosts_stand_in_order_of_preference_with_ipv6_and_ipv4_in_turn() -> None:
    assert ask("example.com") == MailHosts(
        (
            MailHost("first.example.com", 10, ("2001:db8::1", "192.0.2.1", "192.0.2.2")),
            MailHost("second.example.com", 20, ("192.0.2.3",)),
        )
    )


def test_hosts_of_equal_preference_stand_as_the_shuffle_says() -> None:
    assert names("equal.example", list.reverse) == [f"{name}.equal.example" for name in "zcba"]
    assert names("equal.example", list.sort) == [f"{name}.equal.example" for name in "zabc"]


def test_a_domain_without_mx_is_its_own_host() -> None:
    assert ask("implicit.example") == MailHosts(
        (MailHost("implicit.example", 0, ("2001:db8::4", "192.0.2.4")),), implicit=True
    )


def test_a_null_mx_takes_no_mail() -> None:
    refusal = refused("null.example")
    assert refusal.reason is Reason.NULL_MX
    assert (refusal.reply.code, refusal.reply.status) == (556, "5.1.10")


def test_a_null_mx_beside_others_does_not_count() -> None:
    assert names("mixed.example") == ["second.example.com"]


@pytest.mark.parametrize(
    ("domain", "reason", "code", "status"),
    [
        ("nowhere.example", Reason.NO_SUCH_DOMAIN, 550, "5.1.2"),
        ("bare.example", Reason.NO_ADDRESS, 550, "5.4.4"),
        ("dangling.example", Reason.NO_ADDRESS, 550, "5.4.4"),
        ("broken.example", Reason.DNS_FAILED, 451, "4.4.3"),
        ("halfbroken.example", Reason.DNS_FAILED, 451, "4.4.3"),
        ("[300.0.2.1]", Reason.NO_ADDRESS, 550, "5.1.2"),
    ],
)
def test_what_has_no_host_says_why(domain: str, reason: Reason, code: int, status: str) -> None:
    refusal = refused(domain)
    assert refusal.reason is reason
    assert (refusal.reply.code, refusal.reply.status) == (code, status)


def test_one_host_whose_look_up_fails_does_not_hide_the_others() -> None:
    assert names("onegood.example") == ["second.example.com"]


def test_hosts_not_preferred_to_us_are_left_out() -> None:
    assert names("example.com", ourselves={"second.example.com"}) == ["first.example.com"]
    refusal = refused("example.com", {"first.example.com"})
    assert refusal.reason is Reason.OURSELVES
    assert refusal.reply.status == "5.4.6"


def test_hosts_and_addresses_are_limited() -> None:
    found = ask("many.example")
    assert isinstance(found, MailHosts)
    assert [len(host.addresses) for host in found.hosts] == [9, 9, 9, 5]
    assert len(found.hosts) <= HOSTS


def test_a_host_named_twice_is_tried_once() -> None:
    assert names("twice.example") == ["second.example.com"]


def test_an_address_literal_is_its_own_host() -> None:
    assert ask("[192.0.2.1]") == MailHosts((MailHost("[192.0.2.1]", 0, ("192.0.2.1",)),), implicit=True)
    assert ask("[IPv6:2001:DB8::1]") == MailHosts((MailHost("[IPv6:2001:DB8::1]", 0, ("2001:db8::1",)),), implicit=True)


def test_addresses_of_all_hosts_are_asked_together() -> None:
    evaluation = mail_hosts("example.com")
    assert next(evaluation) == (Question("example.com", "MX"),)
    answer = Answer(Status.FOUND, ("10 first.example.com", "20 second.example.com"))
    assert evaluation.send((answer,)) == (
        Question("first.example.com", "AAAA"),
        Question("first.example.com", "A"),
        Question("second.example.com", "AAAA"),
        Question("second.example.com", "A"),
    )


def test_what_was_recorded_decides_again() -> None:
    recorded = {
        Question("example.com", "MX"): Answer(Status.FOUND, ("10 mx.example.com",)),
        Question("mx.example.com", "A"): Answer(Status.FOUND, ("192.0.2.1",)),
    }
    assert replay(mail_hosts("example.com"), recorded) == MailHosts((MailHost("mx.example.com", 10, ("192.0.2.1",)),))
