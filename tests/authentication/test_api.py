"""The checks as Python programs call them."""

from __future__ import annotations

import asyncio

import pytest

from purport.authentication.api import check_host, check_sender_id
from purport.dns.zone import StaticResolver

ZONE = StaticResolver(
    {
        "example.com": [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all exp=why.example.com"}, {"TXT": "spf2.0/mfrom ?all"}],
        "why.example.com": [{"TXT": "%{i} is not ours, says %{r}"}],
        "mx.example.com": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    }
)


def test_spf() -> None:
    result = asyncio.run(check_host("192.0.2.1", "example.com", "a@example.com", helo="mx.example.com", resolver=ZONE))
    assert (result.result, result.scope, result.mechanism) == ("pass", "mfrom", "ip4:192.0.2.0/24")
    assert [step.term for step in result.trace] == ["TXT", "ip4:192.0.2.0/24"]


def test_a_fail_is_explained() -> None:
    call = check_host("198.51.100.1", "example.com", "a@example.com", resolver=ZONE, receiver="mx.example.org")
    result = asyncio.run(call)
    assert (result.result, result.explanation) == ("fail", "198.51.100.1 is not ours, says mx.example.org")


def test_without_a_sender_the_helo_domain_is_checked() -> None:
    result = asyncio.run(check_host("192.0.2.1", "mx.example.com", "", helo="mx.example.com", resolver=ZONE))
    assert (result.result, result.scope, result.identity) == ("pass", "helo", "mx.example.com")


def test_sender_id() -> None:
    pra = asyncio.run(check_sender_id("192.0.2.1", "a@example.com", scope="pra", helo="mx.example.com", resolver=ZONE))
    assert (pra.result, pra.scope) == ("pass", "pra")
    reverse_path = asyncio.run(check_sender_id("192.0.2.1", "a@example.com", scope="mfrom", resolver=ZONE))
    assert (reverse_path.result, reverse_path.mechanism) == ("neutral", "?all")


def test_a_client_that_is_no_address_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="address"):
        asyncio.run(check_host("mx.example.com", "example.com", "a@example.com", resolver=ZONE))
