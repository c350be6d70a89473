"""DELIVERBY (RFC 2852) with servers that do not know it, and a client that is not ours."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from support.exim import Exim
from support.peers import require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

MESSAGE = b"From: alice@company.com.example\r\nTo: bob@%s\r\nSubject: t\r\n\r\nHello.\r\n"
ZONE = '{"company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'


class Peer(Protocol):
    port: int

    def log(self) -> str: ...

    def stop(self) -> None: ...


def postfix() -> Peer:
    require_peer("postfix")
    return Postfix({"mydestination": "", "relay_domains": "there.example", "relay_transport": "discard"})


def exim() -> Peer:
    require_peer("exim")
    return Exim("there.example")


def settings(port: int) -> str:
    return (
        '[[domain]]\nname = "company.com.example"\nmailboxes = ["alice"]\n\n'
        f'[[domain]]\nname = "there.example"\ndeliver = "smtp:127.0.0.1:{port}"\n\n[dns]\nzone = "zone.json"\n'
    )


def reports(server: PurportServer) -> list[str]:
    folder = server.state_dir / "maildir/company.com.example/alice/new"
    return [file.read_text() for file in folder.iterdir()] if folder.exists() else []


def submit(server: PurportServer, by: str, rcpt: str = "") -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("client.example")
        assert client.esmtp_features["deliverby"] == ""
        client.sendmail(
            "alice@company.com.example",
            "bob@there.example",
            MESSAGE % b"there.example",
            mail_options=[f"BY={by}"],
            rcpt_options=[rcpt] if rcpt else [],
        )


@pytest.mark.parametrize("peer", [postfix, exim])
def test_a_message_that_is_to_return_does_not_go_to_a_server_without_it(
    tmp_path: Path, peer: Callable[[], Peer]
) -> None:
    """RFC 2852 section 4.1.4.1."""
    (tmp_path / "zone.json").write_text(ZONE)
    there = peer()
    try:
        with purport_server(tmp_path, settings(there.port)) as server:
            submit(server, "60;R")
            wait_for(lambda: reports(server), what="the report")
            (report,) = reports(server)
            assert "Action: failed\nStatus: 5.3.3\n" in report
            assert "\nDeliver-By-Date: " in report
            assert "bob@there.example" not in there.log()
    finally:
        there.stop()


@pytest.mark.parametrize("peer", [postfix, exim])
def test_one_that_may_be_late_goes_and_its_sender_hears_who_has_it(tmp_path: Path, peer: Callable[[], Peer]) -> None:
    """RFC 2852 section 4.1.4.2."""
    (tmp_path / "zone.json").write_text(ZONE)
    there = peer()
    try:
        with purport_server(tmp_path, settings(there.port)) as server:
            submit(server, "60;N")
            wait_for(lambda: reports(server), what="the report")
            (report,) = reports(server)
            assert "Action: relayed\n" in report
            wait_for(lambda: re.search(r"bob@there\.example|<= alice@company", there.log()), what="the message there")
    finally:
        there.stop()
