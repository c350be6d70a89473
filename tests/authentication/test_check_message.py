"""A whole message, checked in one call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from purport import StaticResolver, check_message
from purport.authentication.check_message import MessageResults
from support.dkim_keys import MESSAGE, NOW, ed25519_key, signed, zone

POLICY: dict[str, Any] = {
    "_dmarc.example.com": [{"TXT": "v=DMARC1; p=reject"}],
    "example.com": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
}


def checked(message: bytes, ip: str = "192.0.2.1", sender: str = "alice@example.com", **zone: Any) -> MessageResults:
    call = check_message(message, ip, sender, helo="example.com", resolver=StaticResolver(POLICY | zone), now=NOW)
    return asyncio.run(call)


def test_by_spf() -> None:
    found = checked(MESSAGE)
    assert (found.spf.result, found.dkim, found.dmarc.result) == ("pass", (), "pass")


def test_by_a_signature_whatever_the_line_ends_and_the_client() -> None:
    message = signed()
    for octets in (message, message.replace(b"\r\n", b"\n")):
        found = checked(octets, "198.51.100.1", "list@lists.example", **zone(ed25519_key()))
        assert (found.spf.result, found.dmarc.result, found.dmarc.aligned.dkim) == ("none", "pass", ("example.com",))
        assert [one.result for one in found.dkim] == ["pass"]


def test_by_nothing() -> None:
    found = checked(signed() + b"P.S.\r\n", "198.51.100.1", **zone(ed25519_key()))
    assert (found.spf.result, found.dmarc.result, found.dmarc.disposition) == ("fail", "fail", "reject")


def test_of_a_null_reverse_path_the_hello_domain_is_checked() -> None:
    found = checked(MESSAGE, sender="")
    assert (found.spf.identity, found.spf.result, found.dmarc.aligned.spf) == ("example.com", "pass", "example.com")


@pytest.mark.parametrize("octets", [b"", b"\r\n", b"body", b"From: a@example.com"])
def test_what_is_hardly_a_message(octets: bytes) -> None:
    assert checked(octets).spf.result == "pass"


def test_what_is_no_address_is_an_error() -> None:
    with pytest.raises(ValueError, match="localhost"):
        checked(MESSAGE, "localhost")
