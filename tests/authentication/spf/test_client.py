"""The client's address as number and as macros see it."""

from __future__ import annotations

import pytest

from purport.authentication.spf.client import ClientAddress, address_value


def test_an_ipv4_address() -> None:
    client = ClientAddress("192.0.2.3")
    assert (client.version, client.value, str(client)) == (4, 0xC0000203, "192.0.2.3")
    assert (client.dotted, client.family) == ("192.0.2.3", "in-addr")
    assert client.reverse_name == "3.2.0.192.in-addr.arpa"


def test_an_ipv6_address() -> None:
    client = ClientAddress("2001:DB8:0::CB01")
    assert (client.version, client.text, client.family) == (6, "2001:db8::cb01", "ip6")
    # RFC 7208 section 7.4
    nibbles = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert client.reverse_name == f"{nibbles}.ip6.arpa"
    assert client.dotted == ".".join(reversed(nibbles.upper().split(".")))


def test_a_mapped_address_counts_as_ipv4() -> None:
    client = ClientAddress("::ffff:192.0.2.3")
    assert (client.version, client.text) == (4, "192.0.2.3")


@pytest.mark.parametrize("text", ["", "mx.example", "1.2.3", "1.2.3.4.5", "[192.0.2.1]"])
def test_what_is_no_address_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        ClientAddress(text)


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.256", "1.2.3.-4", "a.b.c.d", "::1", "1.2.3.4.5"])
def test_an_a_record_of_garbage_is_no_address(text: str) -> None:
    assert address_value(text, 4) is None


def test_addresses_of_records() -> None:
    assert address_value("192.0.2.3", 4) == 0xC0000203
    assert address_value("::1", 6) == 1
    assert address_value("192.0.2.3", 6) is None
