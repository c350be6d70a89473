"""Attacks of docs/attacks.md at a running server, each by its number."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from support.purport_server import PurportServer, purport_server

ZONE = """{
"evil.example": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}],
"bank.example": [{"TXT": "v=spf1 -all"}]
}"""
SETTINGS = '[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\n'
ENVELOPE = "MAIL FROM:<a@evil.example>{}\r\nRCPT TO:<bob@company.com.example>\r\nDATA\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "zone.json").write_text(ZONE)
    with purport_server(folder, SETTINGS) as running:
        yield running


def said(server: PurportServer, octets: str | bytes, count: int) -> list[str]:
    """The last lines of so many replies, the greeting and EHLO aside; what follows is sent in one piece."""
    sent = octets if isinstance(octets, bytes) else octets.encode()
    found: list[str] = []
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        reader = client.makefile("r", encoding="ascii", newline="\r\n")
        reader.readline()
        client.sendall(b"EHLO attacker.example\r\n" + sent)
        while len(found) < count + 1:
            line = reader.readline()
            if not line:
                break
            if line[3:4] == " ":
                found.append(line.rstrip())
    return found[1:]


def decided(server: PurportServer, header: str, parameters: str = "") -> str:
    """The reply to a message with this header."""
    octets = ENVELOPE.format(parameters) + header.replace("\n", "\r\n") + "\r\nHello\r\n.\r\n"
    return said(server, octets, 4)[-1]


def test_s1_submitter_and_header_have_to_agree_both_ways(server: PurportServer) -> None:
    refused = "550 5.7.1 Submitter does not match header."
    assert decided(server, "From: ceo@bank.example\n", " SUBMITTER=a@evil.example") == refused
    assert said(server, "MAIL FROM:<a@evil.example> SUBMITTER=ceo@bank.example\r\n", 1) == [
        "550 5.7.1 Submitter not allowed."
    ]
    assert decided(server, "From: a@evil.example\n", " SUBMITTER=a@evil.example").startswith("250 ")


@pytest.mark.parametrize(
    "path",
    [
        "<(ceo@bank.example>",
        "<a@evil.example(.bank.example>",
        "<ceo@bank.example'@a.evil.example>x",
        "<a@evil.example",
        "<>x",
    ],
)
def test_a2_a5_paths_that_others_read_in_another_way_are_refused(server: PurportServer, path: str) -> None:
    (reply,) = said(server, f"MAIL FROM:{path}\r\n", 1)
    assert reply.startswith("501 ")


@pytest.mark.parametrize(
    "header",
    [
        "From: a@evil.example\nFrom: ceo@bank.example\n",
        "From : a@evil.example\n",
        " From: a@evil.example\n",
        "From: <a@evil.example>, <ceo@bank.example>\n",
        "From: =?utf-8?B?PGNlb0BiYW5rLmV4YW1wbGU+?=\n",
        "From: <ceo@bank.example>\\,<a@evil.example>\n",
        "From: ceo@bank.example <a@evil.example>\n",
        "From: <a@evil.example>ceo@bank.example\n",
        "From: a@ev\u200bil.example\n",
        "Subject: nobody\n",
    ],
)
def test_a6_to_a13_s13_an_author_that_is_not_one_address_is_nobody(server: PurportServer, header: str) -> None:
    """A submitter that is named has to stand in the header: so all of these are refused where it is."""
    assert decided(server, header, " SUBMITTER=a@evil.example").startswith(("554 5.7.7 ", "550 5."))


def test_s18_a_message_that_goes_round_is_refused(server: PurportServer) -> None:
    round_trips = "Resent-From: list@evil.example\nReceived: from a by b; today\n" * 100
    assert decided(server, f"{round_trips}From: a@evil.example\n").startswith("554 5.4.6 ")


@pytest.mark.parametrize(
    "header",
    [
        "Resent-From: a@evil.example\n" * 10_000,
        "Subject: " + "x\n " * 350_000 + "\n",
        "From: a@" + "d." * 100 + "example\n" + "To: " + ", ".join(["b@c.example"] * 50_000) + "\n",
    ],
    ids=["fields", "fold", "addresses"],
)
def test_s19_a_header_without_measure_costs_bounded_time(server: PurportServer, header: str) -> None:
    begun = time.monotonic()
    reply = decided(server, f"From: a@evil.example\n{header}", " SUBMITTER=a@evil.example")
    assert reply == "552 5.3.4 Message header too long"
    assert time.monotonic() - begun < 5
    assert said(server, "NOOP\r\n", 1) == ["250 2.0.0 Ok"]


def test_s20_what_was_sent_ahead_behind_a_refused_mail_delivers_nothing(server: PurportServer) -> None:
    octets = (
        "MAIL FROM:<a@evil.example> SUBMITTER=ceo@bank.example\r\nRCPT TO:<bob@company.com.example>\r\nDATA\r\n"
        "Subject: s20\r\n\r\nMAIL FROM:<a@evil.example>\r\n.\r\nNOOP\r\n"
    )
    replies = said(server, octets, 8)
    assert replies[0].startswith("550 5.7.1 ")
    assert all(reply[0] == "5" for reply in replies[1:3])
    assert not any(reply.startswith("354") or "queued" in reply for reply in replies)
