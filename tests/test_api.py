"""The names that programs import, as the README shows them."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import purport
from purport import StaticResolver, check_host, check_sender_id, purported_responsible_address, verify_dkim
from support.dkim_keys import NOW, ed25519_key, signed, zone

ZONE = {"example.com": [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}]}


def test_the_responsible_address_of_a_message() -> None:
    found = purported_responsible_address(b"Sender: bob@example.com\nFrom: alice@example.com\n\nSender: x@y.example\n")
    assert (str(found.address), found.field, found.step) == ("bob@example.com", "sender", "1->2->3->5")


def test_a_check_by_spf() -> None:
    result = asyncio.run(
        check_host(
            "192.0.2.1", "example.com", "alice@example.com", helo="mx.example.com", resolver=StaticResolver(ZONE)
        )
    )
    assert (result.result, result.mechanism) == ("pass", "ip4:192.0.2.0/24")
    assert [step.term for step in result.trace]


def test_a_check_by_sender_id() -> None:
    result = asyncio.run(
        check_sender_id("198.51.100.1", "alice@example.com", scope="pra", helo="h", resolver=StaticResolver(ZONE))
    )
    assert result.result == "fail"


def test_every_public_name_can_be_imported() -> None:
    for name in purport.__all__:
        assert getattr(purport, name) is not None
    assert set(purport.__all__) == set(dir(purport))


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("asyncio", "dns", "uvloop", "sqlite3", "rich", "msgspec")
    told = f"import sys, purport; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_signatures_of_a_message() -> None:
    message = signed().replace(b"\r\n", b"\n")  # as a file has it
    results = asyncio.run(
        verify_dkim(message, resolver=StaticResolver(zone(ed25519_key())), now=NOW, gather=asyncio.gather)
    )
    assert [(result.result, result.domain) for result in results] == [("pass", "example.com")]
