"""Next hops by settings and DNS (RFC 5321 section 5.1, RFC 7505)."""

from __future__ import annotations

import pytest

from purport.delivery.route import Routes, Target, Unroutable, targets
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver

OURSELVES = frozenset({"mx.company.com.example"})
ZONE = {
    "signed.example": ["SIGNED", {"MX": [10, "a.signed.example"]}],
    "a.signed.example": ["SIGNED", {"A": "192.0.2.8"}],
    "alias.example": ["SIGNED", {"CNAME": "signed.example"}],
    "to-alias.example": ["SIGNED", {"MX": [10, "b.signed.example"]}],
    "b.signed.example": ["SIGNED", {"CNAME": "a.signed.example"}],
    "two.example": [{"MX": [20, "b.two.example"]}, {"MX": [10, "a.two.example"]}],
    "a.two.example": [{"A": "192.0.2.1"}, {"AAAA": "2001:db8::1"}],
    "b.two.example": [{"A": "192.0.2.2"}],
    "implicit.example": [{"A": "192.0.2.3"}],
    "null.example": [{"MX": [0, "."]}],
    "backup.example": [
        {"MX": [10, "a.two.example"]},
        {"MX": [20, "mx.company.com.example"]},
        {"MX": [30, "b.two.example"]},
    ],
    "mx.company.com.example": [{"A": "192.0.2.9"}],
    "loop.example": [{"MX": [0, "mx.company.com.example"]}],
    "slow.example": ["TIMEOUT"],
}


def found(next_hop: str) -> tuple[Target, ...]:
    result = start(targets(next_hop, OURSELVES), StaticResolver(ZONE))
    assert isinstance(result, tuple)
    return result


def test_domains_have_routes_and_the_rest_goes_by_mx():
    routes = Routes("mx.company.com.example", {"company.com.example": "maildir", "b.example": "smtp:[::1]:2525"})
    assert routes.next_hop("Company.COM.example.") == "maildir"
    assert routes.next_hop("b.example") == "smtp:[::1]:2525"
    assert routes.next_hop("elsewhere.example") == "mx:elsewhere.example"
    assert routes.next_hop("[192.0.2.1]") == "mx:[192.0.2.1]"


def test_a_relay_host_takes_everything_that_has_no_route():
    routes = Routes("mx.company.com.example", {"direct.example": "mx"}, "smtp:relay.example:25")
    assert routes.next_hop("elsewhere.example") == "smtp:relay.example:25"
    assert routes.next_hop("direct.example") == "mx:direct.example"


def test_hosts_stand_in_the_order_of_preference_with_the_port_of_smtp():
    assert found("mx:two.example") == (
        Target("a.two.example", ("2001:db8::1", "192.0.2.1"), 25, domains=("two.example",)),
        Target("b.two.example", ("192.0.2.2",), 25, domains=("two.example",)),
    )
    assert [(target.host, target.addresses) for target in found("mx:implicit.example")] == [
        ("implicit.example", ("192.0.2.3",))
    ]
    assert [(target.host, target.addresses) for target in found("mx:[192.0.2.7]")] == [("[192.0.2.7]", ("192.0.2.7",))]


@pytest.mark.parametrize(
    ("next_hop", "vouched", "secure", "alias", "domains"),
    [
        ("mx:two.example", False, False, "", ("two.example",)),
        ("mx:signed.example", True, True, "", ("signed.example",)),
        ("mx:alias.example", True, True, "", ("alias.example", "signed.example")),
        ("mx:to-alias.example", True, True, "a.signed.example", ("to-alias.example",)),
        ("mx:implicit.example", True, False, "", ("implicit.example",)),
        ("smtp:a.signed.example:25", True, True, "", ()),
        ("smtp:a.two.example:25", True, False, "", ()),
        ("smtp:127.0.0.1:25", True, False, "", ()),
    ],
)
def test_who_vouches_for_a_host_and_for_its_addresses(next_hop, vouched, secure, alias, domains):
    """Nobody can put another host in the place of one that the settings name, or of the domain itself."""
    target = found(next_hop)[0]
    assert (target.vouched, target.secure, target.alias, target.domains) == (vouched, secure, alias, domains)


def test_as_a_backup_we_send_only_to_hosts_preferred_to_us():
    assert [target.host for target in found("mx:backup.example")] == ["a.two.example"]


@pytest.mark.parametrize(
    ("next_hop", "addresses", "port"),
    [
        ("smtp:127.0.0.1:2525", ("127.0.0.1",), 2525),
        ("smtp:[::1]:26", ("::1",), 26),
        ("smtp:localhost:25", ("127.0.0.1", "::1"), 25),
        ("smtp:a.two.example:587", ("2001:db8::1", "192.0.2.1"), 587),
    ],
)
def test_a_fixed_host(next_hop, addresses, port):
    (target,) = found(next_hop)
    assert (target.addresses, target.port) == (addresses, port)


@pytest.mark.parametrize(
    ("next_hop", "code", "status"),
    [
        ("mx:null.example", 556, "5.1.10"),
        ("mx:gone.example", 550, "5.1.2"),
        ("mx:slow.example", 451, "4.4.3"),
        ("mx:loop.example", 554, "5.4.6"),
        ("mx:mx.company.com.example", 554, "5.4.6"),
        ("mx:localhost", 554, "5.4.6"),
        ("smtp:gone.example:25", 450, "4.4.4"),
        ("smtp:slow.example:25", 451, "4.4.3"),
        ("pigeon:roof", 450, "4.3.5"),
    ],
)
def test_what_leads_nowhere_says_why(next_hop, code, status):
    with pytest.raises(Unroutable) as caught:
        found(next_hop)
    assert (caught.value.reply.code, caught.value.reply.status) == (code, status)
