"""RRVS (RFC 7293) with a next hop that does not know it."""

from __future__ import annotations

import re
import smtplib
from pathlib import Path

import pytest

from support.exim import Exim
from support.peers import require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import purport_server

pytestmark = pytest.mark.peer

MESSAGE = b"From: alice@company.com.example\r\nSubject: t\r\n\r\nHello.\r\n"


def settings(port: int, more: str = "") -> str:
    return (
        '[[domain]]\nname = "company.com.example"\n\n'
        f'[[domain]]\nname = "there.example"\ndeliver = "smtp:127.0.0.1:{port}"\n\n{more}[dns]\nzone = "zone.json"\n'
    )


def test_to_postfix_those_go_whose_sender_allows_it(tmp_path: Path) -> None:
    """RFC 7293 section 5.1.1, in one transaction."""
    require_peer("postfix")
    (tmp_path / "zone.json").write_text("{}")
    postfix = Postfix({"mydestination": "", "relay_domains": "there.example", "relay_transport": "discard"})
    try:
        with purport_server(tmp_path, settings(postfix.port)) as server:
            with smtplib.SMTP("127.0.0.1", server.port) as client:
                client.ehlo("client.example")
                client.mail("alice@company.com.example")
                for name, action in (("bob", ";C"), ("carol", ";R"), ("dave", "")):
                    code, _ = client.rcpt(f"{name}@there.example", [f"RRVS=2014-04-03T23:01:00Z{action}"])
                    assert code == 250
                client.data(MESSAGE)
            mailbox = server.state_dir / "maildir/company.com.example/alice/new"
            wait_for(lambda: mailbox.exists() and list(mailbox.iterdir()), what="the report")
            (report,) = (file.read_text() for file in mailbox.iterdir())
            assert re.findall(r"Final-Recipient: rfc822; (\S+)\nAction: failed\nStatus: (\S+)", report) == [
                ("carol@there.example", "5.7.19"),
                ("dave@there.example", "5.7.19"),
            ]
            wait_for(lambda: "to=<bob@there.example>" in postfix.log(), what="Bob's copy")
            assert "carol@" not in postfix.log()
    finally:
        postfix.stop()


def test_through_exim_the_field_comes_where_it_is_known_to_be_obeyed(tmp_path: Path) -> None:
    """RFC 7293 section 6.1."""
    require_peer("exim")
    (tmp_path / "zone.json").write_text("{}")
    exim = Exim("there.example")
    try:
        obeyed = '[relay]\nrrvs_field = ["there.example"]\n\n'
        with purport_server(tmp_path, settings(exim.port, obeyed)) as server:
            with smtplib.SMTP("127.0.0.1", server.port) as client:
                client.ehlo("client.example")
                rcpt = ["RRVS=2014-04-03T23:01:00Z;C"]
                client.sendmail("alice@company.com.example", "bob@there.example", MESSAGE, rcpt_options=rcpt)
            wait_for(lambda: exim.messages(), what="the message at Exim")
            (message,) = exim.messages()
            field = b"Require-Recipient-Valid-Since: bob@there.example;\n\tThu, 03 Apr 2014 23:01:00 +0000\n"
            assert field + b"From: alice" in message
    finally:
        exim.stop()
