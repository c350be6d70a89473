"""PROXY headers: whom a load balancer speaks for (HAProxy proxy-protocol.txt)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.net.proxy import SIGNATURE, V1_OCTETS, Proxied, read_header


def binary(
    source: str, *, command: int = 0x21, family: int | None = None, extensions: bytes = b"", cut: int = 0
) -> bytes:
    address = ipaddress.ip_address(source)
    family = family if family is not None else (0x11 if address.version == 4 else 0x21)
    block = 2 * address.packed + b"\x00\x01\x00\x19" + extensions
    block = block[: len(block) - cut]
    return SIGNATURE + bytes([command, family]) + len(block).to_bytes(2, "big") + block


GOOD = [
    (b"PROXY TCP4 192.0.2.10 198.51.100.1 35646 25\r\n", "192.0.2.10"),
    (b"PROXY TCP6 2001:DB8::1 ::1 65535 0\r\n", "2001:db8::1"),
    (b"PROXY TCP6 ::ffff:192.0.2.10 ::1 1 2\r\n", "192.0.2.10"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
    (binary("192.0.2.10"), "192.0.2.10"),
    (binary("2001:db8::1"), "2001:db8::1"),
    (binary("::ffff:192.0.2.10"), "192.0.2.10"),
    (binary("192.0.2.10", extensions=b"\x04\x00\x03abc" * 100), "192.0.2.10"),
    (binary("192.0.2.10", command=0x20), None),
    (binary("192.0.2.10", family=0x31), None),
    (SIGNATURE + b"\x20\x00\x00\x00", None),
]


@pytest.mark.parametrize(("header", "client"), GOOD)
def test_a_header_names_the_client_and_ends_where_it_says(header: bytes, client: str | None) -> None:
    assert read_header(header + b"EHLO x\r\n") == Proxied(client, len(header))
    for length in range(1, len(header)):
        assert read_header(header[:length]) is None


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO client.example\r\n",
        b"\r\nEHLO",
        b"proxy TCP4 192.0.2.10 198.51.100.1 35646 25\r\n",
        b"PROXY TCP4 192.0.2.10 198.51.100.1 35646\r\n",
        b"PROXY TCP4 192.0.2.300 198.51.100.1 35646 25\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 35646 25\r\n",
        b"PROXY TCP6 192.0.2.10 198.51.100.1 35646 25\r\n",
        b"PROXY TCP4 192.0.2.10 198.51.100.1 65536 25\r\n",
        b"PROXY TCP4  192.0.2.10 198.51.100.1 1 25\r\n",
        b"PROXY UDP4 192.0.2.10 198.51.100.1 1 25\r\n",
        b"PROXY UNKNOWN" + b" " * V1_OCTETS,
        binary("192.0.2.10", command=0x22),
        binary("192.0.2.10", command=0x11),
        binary("192.0.2.10", cut=1),
        binary("192.0.2.10", extensions=bytes(5000)),
    ],
)
def test_what_is_no_header_is_none(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_header(octets)


@given(st.binary(max_size=200), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]))
@settings(deadline=None)
def test_any_octets_give_a_header_or_a_refusal_or_more_is_awaited(octets: bytes, start: bytes) -> None:
    try:
        found = read_header(start + octets)
    except ValueError:
        return
    assert found is None or found.octets <= len(start + octets)
