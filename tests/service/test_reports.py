"""Delivery reports end to end: a sender asks (RFC 3461), and finds the answer in the mailbox."""

from __future__ import annotations

import email
import smtplib
from email.message import Message
from pathlib import Path

from support.peers import wait_for
from support.purport_server import purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["alice", "bob"]

[dns]
zone = "zone.json"
"""
ZONE = '{"company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
MESSAGE = b"From: alice@company.com.example\r\nTo: bob@company.com.example\r\nSubject: t\r\n\r\nHello\r\n"


def mailbox(folder: Path, local_part: str) -> list[Message]:
    new = folder / "state" / "maildir" / "company.com.example" / local_part / "new"
    return [email.message_from_bytes(file.read_bytes()) for file in new.iterdir()] if new.exists() else []


def test_a_delivery_that_was_asked_about_is_told_to_the_reverse_path(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, SETTINGS) as server, smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("client.example")
        assert client.has_extn("DSN")
        client.sendmail(
            "alice@company.com.example",
            "bob@company.com.example",
            MESSAGE,
            mail_options=["ENVID=QQ+2B1", "SUBMITTER=alice@company.com.example"],
            rcpt_options=["NOTIFY=SUCCESS", "ORCPT=rfc822;Bob@company.com.example"],
        )
        wait_for(lambda: mailbox(tmp_path, "alice"))
        (report,) = mailbox(tmp_path, "alice")
        about_message, about_bob = report.get_payload()[1].get_payload()
        assert report["Return-Path"] == "<>"
        assert about_message["Original-Envelope-Id"] == "QQ+1"
        assert about_bob["Original-Recipient"] == "rfc822; Bob@company.com.example"
        assert about_bob["Action"] == "delivered"
        assert "sender delivery status notification: " in server.log()
        assert len(mailbox(tmp_path, "bob")) == 1


def test_a_listener_offers_no_more_than_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, SETTINGS) as server:
        text = server.settings.read_text()
        server.settings.write_text(text.replace("xclient =", 'discard_ehlo_keywords = ["dsn"]\nxclient ='))
        server.reload()
        wait_for(lambda: "the settings were read again" in server.log())
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("client.example")
            assert not client.has_extn("DSN")
            assert client.has_extn("SUBMITTER")
            assert client.mail("alice@company.com.example", ["ENVID=x"])[0] == 555
