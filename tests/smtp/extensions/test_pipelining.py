"""PIPELINING (RFC 2920)."""

from __future__ import annotations

import pytest

from purport.smtp.extensions.pipelining import EXTENSION
from purport.smtp.server import Profile
from support.smtp_shell import Shell


def test_the_dialogue_of_the_rfc() -> None:
    """RFC 2920 section 4: one group for the envelope, one for the message and the end."""
    server = Shell(Profile("dbc.mtview.ca.us"), domain="dbc.mtview.ca.us", mailboxes=frozenset(["mrose", "bloggs"]))
    assert "250-PIPELINING" in server.hear(b"EHLO innosoft.com\r\n")[1]
    assert [
        line[:3]
        for line in server.say(
            b"MAIL FROM:<mrose@dbc.mtview.ca.us>\r\nRCPT TO:<ned@dbc.mtview.ca.us>\r\n"
            b"RCPT TO:<bloggs@dbc.mtview.ca.us>\r\nDATA\r\n"
        )
    ] == ["250", "550", "250", "354"]
    assert [line[:3] for line in server.say(b"Subject: t\r\n\r\nt\r\n.\r\nQUIT\r\n")] == ["250", "221"]


def test_a_group_whose_recipients_all_failed_gets_no_354() -> None:
    """RFC 2920 section 3.1: what comes after the refused DATA is a command again."""
    server = Shell(Profile("mx.example"), mailboxes=frozenset())
    server.hear(b"EHLO x\r\n")
    said = server.say(b"MAIL FROM:<>\r\nRCPT TO:<a@company.com.example>\r\nDATA\r\nRSET\r\n")
    assert [line[:3] for line in said] == ["250", "550", "503", "250"]


@pytest.mark.parametrize("groups", [1, 5])
def test_transactions_may_follow_each_other_in_one_write(groups: int) -> None:
    server = Shell(Profile("mx.example"))
    server.hear(b"EHLO x\r\n")
    one = b"MAIL FROM:<>\r\nRCPT TO:<a@company.com.example>\r\nDATA\r\n.\r\n"
    assert [line[:3] for line in server.say(one * groups)] == ["250", "250", "354", "250"] * groups


def test_it_declares_nothing_else() -> None:
    assert not (EXTENSION.mail or EXTENSION.rcpt or EXTENSION.verbs or EXTENSION.mail_octets or EXTENSION.outbound)
