"""Mailing lists over real sockets: who is responsible for what they send, and who hears of what fails."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from purport.authentication.sender_id.pra import purported_responsible_address
from support.next_hop import NextHop, next_hop
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob", "dave", "postmaster"]
aliases = "aliases"

[relay]
default = "smtp:127.0.0.1:{port}"

[forwarding]
repair = "{repair}"

[dmarc]
on_fail = "{on_fail}"

[dns]
zone = "zone.json"

[queue]
min_backoff = 1
max_backoff = 2
"""
ALIASES = """\
dev: bob, eve@elsewhere.example, carol
owner-dev: dave
carol: carol@elsewhere.example
inside: bob
owner-inside: dave
"""
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
    "_dmarc.bank.example": [{"TXT": "v=DMARC1; p=quarantine"}],
}
MESSAGE = b"From: alice@example.com\r\nSender: desk@example.com\r\nSubject: hello\r\n\r\nHello\r\n"
DEV, OWNER = "dev@company.com.example", "owner-dev@company.com.example"


@contextmanager
def running(folder: Path, repair: str = "resent", on_fail: str = "policy") -> Iterator[tuple[PurportServer, NextHop]]:
    (folder / "zone.json").write_text(json.dumps(ZONE))
    (folder / "aliases").write_text(ALIASES)
    with (
        next_hop() as hop,
        purport_server(folder, SETTINGS.format(port=hop.port, repair=repair, on_fail=on_fail)) as server,
    ):
        yield server, hop


def send(server: PurportServer, *recipients: str, message: bytes = MESSAGE, sender: str = "alice@example.com") -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        rcpt = ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;dev@company.com.example"]
        client.sendmail(sender, recipients, message, ["ENVID=X1", "RET=HDRS"], rcpt)


def delivered(server: PurportServer, local_part: str, folder: str = "") -> list[bytes]:
    place = server.state_dir / "maildir" / "company.com.example" / local_part / folder / "new"
    return [file.read_bytes() for file in sorted(place.iterdir())] if place.exists() else []


@pytest.mark.parametrize("repair", ["none", "resent", "srs", "both", "least"])
def test_rfc5321_3_9_2_a_list_sends_in_the_name_of_its_owner(tmp_path: Path, repair: str) -> None:
    """And RFC 4406 section 7.3: "Such programs SHOULD use the Resent-From header for this purpose"."""
    with running(tmp_path, repair) as (server, hop):
        send(server, DEV)
        wait_for(lambda: len(hop.transactions) == 2 and delivered(server, "bob"))
        report, copy = sorted(hop.transactions, key=lambda one: len(one.recipients))
        assert copy.mail.startswith(f"MAIL FROM:<{OWNER}> ")
        assert f"SUBMITTER={OWNER}" in copy.mail
        # RFC 3461 section 5.2.7.1: for its sender the message has arrived, and nothing that he asked for goes on.
        assert "ENVID" not in copy.mail
        assert "RET=" not in copy.mail
        assert copy.recipients == ["RCPT TO:<eve@elsewhere.example>", "RCPT TO:<carol@elsewhere.example>"]
        assert str(purported_responsible_address(copy.message).address) == OWNER
        assert copy.message.endswith(MESSAGE), "what was sent is not touched"
        (mine,) = delivered(server, "bob")
        assert mine.startswith(f"Return-Path: <{OWNER}>\n".encode())
        assert str(purported_responsible_address(mine).address) == OWNER
        assert report.mail.startswith("MAIL FROM:<>")
        assert report.recipients == ["RCPT TO:<alice@example.com>"]
        assert b"Action: delivered" in report.message
        assert b"Original-Recipient: rfc822; dev@company.com.example" in report.message
        assert b"Original-Envelope-Id: X1" in report.message
        told = server.command("explain", "--last").stdout
        assert f"forwarded for {DEV} from <{OWNER}>" in told
        assert "repaired by list" in told


def test_bounces_of_a_list_reach_its_owner_and_not_the_sender(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        hop.server.on("RCPT TO:<eve@", "550 5.1.1 Nobody")
        send(server, DEV)
        wait_for(lambda: delivered(server, "dave"))
        (report,) = delivered(server, "dave")
        assert b"Final-Recipient: rfc822; eve@elsewhere.example" in report
        assert all(b"eve@elsewhere.example" not in one.message for one in hop.transactions if "<>" in one.mail)
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.sendmail("<>", [OWNER], b"From: mailer-daemon@elsewhere.example\r\n\r\nfailed\r\n")
        wait_for(lambda: len(delivered(server, "dave")) == 2)


def test_a_list_that_is_its_own_reader_elsewhere_ends(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        send(server, DEV)
        wait_for(lambda: len(hop.transactions) == 2)
        copy = max(hop.transactions, key=lambda one: len(one.recipients))
        with pytest.raises(smtplib.SMTPDataError, match=r"5\.4\.6 Mail forwarding loop for dev@"):
            send(server, DEV, message=copy.message, sender=OWNER)


def test_who_is_named_beside_the_list_gets_the_message_once(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        send(server, "bob@company.com.example", DEV)
        wait_for(lambda: len(hop.transactions) >= 2 and delivered(server, "bob"))
        wait_for(lambda: not server.command("queue", "list", "--json").stdout)
        (mine,) = delivered(server, "bob")
        assert mine.startswith(b"Return-Path: <alice@example.com>\n")


def test_what_fails_dmarc_does_not_leave_by_a_list_and_is_quarantined_within(tmp_path: Path) -> None:
    forged = b"From: ceo@bank.example\r\nSubject: forged\r\n\r\nPay.\r\n"
    with running(tmp_path) as (server, hop):
        with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1 Not forwarded: DMARC of bank\.example is fail"):
            send(server, DEV, message=forged)
        send(server, "inside@company.com.example", message=forged)
        wait_for(lambda: delivered(server, "bob", ".Junk"))
        assert not delivered(server, "bob")
        assert all(one.mail.startswith("MAIL FROM:<>") for one in hop.transactions)
