"""The true client behind trusted hops, and what a client can make of the fields that it sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.true_client import MOST_HOPS, TrueClient, TrustedHops, true_client
from purport.mail.header import read_header
from purport.policy.relaying import Networks

GATEWAY = "192.0.2.10"
HOPS = TrustedHops(Networks(["192.0.2.0/28", "2001:db8:1::/64", "127.0.0.1"]), ("gw.us.example", ".filter.us.example"))


def line(address: str, by: str = "gw.us.example", hello: str = "mx.example.com") -> str:
    literal = f"IPv6:{address}" if ":" in address else address
    return (
        f"Received: from {hello} (unknown [{literal}])\r\n by {by} (Postfix) with ESMTP id 1;\r\n Mon, 23 Nov 2026\r\n"
    )


def found(*lines: str, connected: str = GATEWAY, hops: TrustedHops = HOPS) -> TrueClient | None:
    return true_client(read_header("".join(lines).encode() + b"From: a@example.com\r\n\r\n"), connected, hops)


def address(*lines: str, connected: str = GATEWAY, hops: TrustedHops = HOPS) -> str | None:
    client = found(*lines, connected=connected, hops=hops)
    assert client is not None
    assert client.reason
    return client.address


def test_a_client_that_is_no_hop_is_itself() -> None:
    assert found(line("203.0.113.5"), connected="198.51.100.1") is None


def test_behind_a_gateway_its_client_is_the_true_one() -> None:
    assert found("X-Filter: passed\r\n", line("203.0.113.5"), line("198.51.100.1", "mx.example.com")) == TrueClient(
        "203.0.113.5", "mx.example.com", None, "gw.us.example", 0, "Received field 1, by gw.us.example, names it"
    )


def test_several_hops_are_walked_over() -> None:
    lines = (
        line("127.0.0.1", "a.filter.us.example"),
        line("192.0.2.11", "b.filter.us.example"),
        line("2001:db8:1::5"),
        line("203.0.113.5"),
    )
    client = found(*lines)
    assert client is not None
    assert (client.address, client.field) == ("203.0.113.5", 3)


def test_a_field_below_one_about_a_stranger_is_never_believed() -> None:
    forged = line("203.0.113.99")
    assert address(line("198.51.100.66"), forged) == "198.51.100.66"


def test_the_address_of_a_hop_never_stands_in_for_its_client() -> None:
    assert address() is None
    assert address(line("192.0.2.11")) is None
    assert address(line("192.0.2.11"), line("192.0.2.12")) is None
    assert address(*[line("192.0.2.11")] * (MOST_HOPS + 1)) is None
    assert address(*[line("192.0.2.11")] * MOST_HOPS, line("203.0.113.5")) is None


def test_a_hop_that_added_no_field_makes_nobody_believe_the_one_of_its_client() -> None:
    assert address(line("203.0.113.5", "mx.bank.example")) is None
    assert address(line("203.0.113.5", "filter.us.example")) is None
    assert address(line("203.0.113.5", "evilfilter.us.example")) is None
    assert address(line("203.0.113.5", "mx.bank.example"), hops=TrustedHops(HOPS.networks)) == "203.0.113.5"


@pytest.mark.parametrize(
    "unusable",
    [
        "Received: by gw.us.example (Postfix, from userid 1000) id 1; Mon\r\n",
        "Received : from x (y [203.0.113.9]) by gw.us.example; Mon\r\n",
        "Received: nonsense\r\n",
        "Received:\r\n",
        "Received: from x (y [203.0.113.9]) (z [203.0.113.8]) by gw.us.example; Mon\r\n",
    ],
)
def test_where_a_hop_does_not_say_it_nothing_below_does(unusable: str) -> None:
    assert address(unusable, line("203.0.113.5")) is None


LINES = st.builds(
    line,
    st.sampled_from(["203.0.113.5", "198.51.100.1", "192.0.2.11", "127.0.0.1", "2001:db8:1::7", "2001:db8:2::7"]),
    st.sampled_from(["gw.us.example", "x.filter.us.example", "mx.bank.example"]),
    st.sampled_from(["mx.example.com", "[203.0.113.9]", "x (y [203.0.113.9])", "x) by gw.us.example ("]),
)


@given(st.lists(LINES, max_size=6), st.lists(LINES | st.text(max_size=80), max_size=6))
def test_what_stands_below_the_field_that_decided_changes_nothing(lines: list[str], forged: list[str]) -> None:
    client = found(*lines)
    assert client is not None
    if client.field >= len(lines):
        return  # all of them are hops': what follows is theirs too
    kept = lines[: client.field + 1]
    below = "".join(f"X: y\r\n{text}\r\n".replace("\r\n\r\n", "\r\n") for text in forged)
    assert found(*kept) == client
    assert found(*kept, below) == client


@given(st.lists(LINES | st.text(max_size=80).map(lambda text: f"Received: {text}\r\n"), max_size=8))
def test_no_hop_is_a_true_client(lines: list[str]) -> None:
    client = found(*lines)
    assert client is not None
    if client.address is not None:
        assert client.address not in HOPS.networks
        assert client.field < MOST_HOPS


@given(st.binary(max_size=400))
def test_no_octets_make_it_raise(octets: bytes) -> None:
    for header in (octets, b"Received: " + octets, b"Received: from x (" + octets + b") by gw.us.example"):
        client = true_client(read_header(header), GATEWAY, HOPS)
        assert client is not None
