"""Require-Recipient-Valid-Since (RFC 7293) on its way out of the queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from purport.delivery.pool import PoolSettings
from purport.queue.sqlite import SqliteStore
from support.delivery_house import TRACE, House
from support.scripted_server import ScriptedServer, on_loop

BOB = "bob@company.com.example"
CAROL = "carol@elsewhere.example"
DAVE = "dave@elsewhere.example"
CAROLS = b"Require-Recipient-Valid-Since: carol@elsewhere.example;\r\n Sat, 1 Jun 2013 09:23:01 -0700\r\n"
BOBS = b"Require-Recipient-Valid-Since: bob@company.com.example; Sat, 1 Jun 2013 09:23:01 -0700\r\n"
TOP = b"From: alice@example.com\r\n"
END = b"Subject: t\r\n\r\nHello\r\n"
REQUIRED = "RRVS=2013-06-01T16:23:01Z;C"
OBEYED = PoolSettings(field_domains=frozenset({"elsewhere.example"}))
TAKEN = f"relayed {CAROL} 2.0.0 250 2.0.0 Ok: taken"


def taken(offers: list[str]) -> str:
    return TAKEN.removesuffix(": taken") if "CHUNKING" in offers else TAKEN


@pytest.mark.parametrize("size", [0, 20_000, 600_000], ids=["row", "group file", "file"])
def test_no_such_field_goes_into_a_mailbox(tmp_path: Path, size: int) -> None:
    """RFC 7293 section 5.2 step 4: all of them, whomever they name."""

    @on_loop
    async def run() -> None:
        store = SqliteStore(tmp_path / "spool")
        async with ScriptedServer() as server, House(tmp_path, server, store=store) as house:
            end = END + b"sixty octets a line, so that every server can read the lines\r\n" * (size // 62)
            await house.accept(BOB, body=TOP + BOBS + CAROLS + end, mail="RRVS")
            await house.told(f"delivered {BOB} 2.0.0 250 2.0.0 delivered to maildir", "removed")
            (mail,) = house.mail("bob")
            assert mail.endswith(TRACE.replace(b"\r\n", b"\n") + (TOP + end).replace(b"\r\n", b"\n"))

    run()


@pytest.mark.parametrize("offers", [["RRVS"], ["RRVS", "CHUNKING"], ["RRVS", "PIPELINING", "SIZE 10000000"]])
@pytest.mark.parametrize("size", [0, 600_000])
def test_to_a_next_hop_with_the_extension_goes_the_parameter_in_place_of_the_field(
    tmp_path: Path, offers: list[str], size: int
) -> None:
    """RFC 7293 section 6.1; fields that name others stay."""

    @on_loop
    async def run() -> None:
        store = SqliteStore(tmp_path / "spool")
        async with ScriptedServer(*offers) as server, House(tmp_path, server, store=store) as house:
            end = END + b"sixty octets a line, so that every server can read the lines\r\n" * (size // 62)
            await house.accept(CAROL, body=TOP + CAROLS + BOBS + end, mail="RRVS", rcpt=REQUIRED)
            await house.told(taken(offers), "removed")
            assert server.messages == [TRACE + TOP + BOBS + end]
            assert f"RCPT TO:<{CAROL}> {REQUIRED}" in server.commands
            declared = f" SIZE={len(server.messages[0])}" if "SIZE 10000000" in offers else ""
            assert server.commands[1] == f"MAIL FROM:<alice@example.com>{declared}"

    run()


@on_loop
async def test_to_a_next_hop_without_it_the_message_goes_as_it_came(tmp_path):
    async with ScriptedServer("SIZE") as server, House(tmp_path, server, settings=OBEYED) as house:
        await house.accept(CAROL, body=TOP + CAROLS + END, mail="RRVS", rcpt=REQUIRED)
        await house.told(TAKEN, "removed")
        assert server.messages == [TRACE + TOP + CAROLS + END]
        assert f"RCPT TO:<{CAROL}>" in server.commands


@pytest.mark.parametrize("offers", [["SIZE"], ["SIZE", "CHUNKING"]])
def test_the_field_is_added_where_it_is_known_to_be_obeyed(tmp_path: Path, offers: list[str]) -> None:
    """RFC 7293 section 6.1: "if it has prior information"."""

    @on_loop
    async def run() -> None:
        async with ScriptedServer(*offers) as server, House(tmp_path, server, settings=OBEYED) as house:
            await house.accept(CAROL, body=TOP + END, rcpt=REQUIRED)
            await house.told(taken(offers), "removed")
            field = b"Require-Recipient-Valid-Since: carol@elsewhere.example;\r\n\tSat, 01 Jun 2013 16:23:01 +0000\r\n"
            assert server.messages == [TRACE + field + TOP + END]
            assert server.commands[1].endswith(f" SIZE={len(server.messages[0])}")

    run()


@on_loop
async def test_it_is_not_added_anywhere_else_nor_for_several_recipients(tmp_path):
    """RFC 7293 section 4: "MUST NOT be used unless" that is known, "SHOULD NOT" for several."""
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        await house.accept(CAROL, body=TOP + END, rcpt=REQUIRED)
        await house.told(TAKEN, "removed")
        assert server.messages == [TRACE + TOP + END]
    async with ScriptedServer() as server, House(tmp_path, server, settings=OBEYED) as house:
        await house.accept(CAROL, DAVE, body=TOP + END, rcpt=REQUIRED)
        await house.told(TAKEN, TAKEN.replace("carol", "dave"), "removed")
        assert server.messages == [TRACE + TOP + END]


@on_loop
async def test_what_may_not_go_without_it_fails_and_the_sender_hears_why(tmp_path):
    """RFC 7293 section 5.1.1."""
    async with ScriptedServer() as server, House(tmp_path, server, settings=OBEYED) as house:
        await house.accept(CAROL, rcpt="RRVS=2013-06-01T16:23:01Z", reverse_path="alice@company.com.example")
        await house.told(
            f"failed {CAROL} 5.7.19 550 5.7.19 RRVS test cannot be completed: the next hop does not offer RRVS",
            "reported to alice@company.com.example",
            "removed",
            "delivered alice@company.com.example 2.0.0 250 2.0.0 delivered to maildir",
            "removed",
        )
        assert server.messages == []
