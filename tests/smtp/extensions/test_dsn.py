"""DSN (RFC 3461): what may be asked for, and what goes on to the next hop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.mail.envelope import Parameters, Recipient
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Ready
from purport.smtp.client_transaction import Transaction
from purport.smtp.event import Mail, Rcpt
from purport.smtp.extension import Outgoing
from purport.smtp.extensions import ALL
from purport.smtp.extensions.dsn import ENVID, NOTIFY, ORCPT, RET, Notify, wants
from purport.smtp.server import Profile
from support.smtp_shell import Shell

SYNTAX = "501 5.5.4 "


def after_ehlo() -> Shell:
    server = Shell(Profile("mx.company.com.example", extensions=ALL))
    server.hear(b"EHLO client.example\r\n")
    return server


def reply_to_mail(parameters: str) -> str:
    return after_ehlo().hear(f"MAIL FROM:<alice@example.com> {parameters}\r\n".encode())[-1][0]


def reply_to_rcpt(parameters: str) -> str:
    server = after_ehlo()
    server.hear(b"MAIL FROM:<alice@example.com>\r\n")
    return server.hear(f"RCPT TO:<bob@company.com.example> {parameters}\r\n".encode())[-1][0]


@pytest.mark.parametrize("parameters", ["RET=FULL", "RET=hdrs", "ENVID=QQ+2B314", "ENVID=a+20b", "ENVID=" + "x" * 100])
def test_what_mail_may_ask_for(parameters: str) -> None:
    assert reply_to_mail(parameters) == "250 2.1.0 Ok"


@pytest.mark.parametrize(
    "parameters",
    [
        "RET",
        "RET=",
        "RET=BODY",
        "RET=FULL RET=FULL",
        "ENVID",
        "ENVID=",
        "ENVID=a+2b",
        "ENVID=a+0D+0A",
        "ENVID=a+E9",
        "ENVID=" + "x" * 101,
        "ENVID=a envid=b",
    ],
)
def test_what_mail_may_not_ask_for(parameters: str) -> None:
    """RFC 3461 section 4.5 and 5.1 (a)."""
    assert reply_to_mail(parameters).startswith("501 5.5.4" if "= " not in parameters + " " else "501")


@pytest.mark.parametrize(
    "parameters",
    [
        "NOTIFY=never",
        "NOTIFY=SUCCESS,FAILURE,DELAY",
        "NOTIFY=Delay",
        "ORCPT=rfc822;Bob@company.com.example",
        "ORCPT=x400;/C=de/".replace("=de", "+3Dde"),
        "ORCPT=utf-8;j\\x{F6}rg@b.example",
        "ORCPT=rfc822;" + "x" * 492,
    ],
)
def test_what_rcpt_may_ask_for(parameters: str) -> None:
    assert reply_to_rcpt(parameters) == "250 2.1.5 Ok"


@pytest.mark.parametrize(
    "parameters",
    [
        "NOTIFY",
        "NOTIFY=ALWAYS",
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=NEVER,NEVER",
        "NOTIFY=SUCCESS,",
        "NOTIFY=,",
        "NOTIFY=SUCCESS NOTIFY=DELAY",
        "ORCPT",
        "ORCPT=bob@company.com.example",
        "ORCPT=;bob",
        "ORCPT=rfc822;bob+0D+0ASubject:+20x",
        "ORCPT=rfc822;bob+00",
        "ORCPT=rfc822;" + "x" * 494,
    ],
)
def test_what_rcpt_may_not_ask_for(parameters: str) -> None:
    """RFC 3461 section 4.5 and 5.1 (b)."""
    assert reply_to_rcpt(parameters).startswith(SYNTAX)


def test_the_longest_lines_that_the_rfc_names_are_read() -> None:
    """RFC 3461 section 5.4: 530 characters of NOTIFY and ORCPT beside a line of 512."""
    parameters = "NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;" + "x" * 492
    domain = ".".join(["d" * 60] * 3)
    server = after_ehlo()
    server.hear(b"MAIL FROM:<alice@example.com>\r\n")
    path = f"{'l' * 64}@{domain}"
    assert server.hear(f"RCPT TO:<{path}> {parameters}\r\n".encode()) == [["554 5.7.1 Relay access denied"]]
    assert [event for event in server.events if isinstance(event, Rcpt)][-1].parameters.get(ORCPT) is not None


def test_the_values_reach_the_shell_decoded() -> None:
    server = after_ehlo()
    server.hear(b"MAIL FROM:<alice@example.com> ENVID=QQ+2B1 RET=full\r\n")
    server.hear(b"RCPT TO:<bob@company.com.example> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;b+2Bx@b.example\r\n")
    mail, rcpt = (event for event in server.events if isinstance(event, Mail | Rcpt))
    assert (mail.parameters.get(ENVID), mail.parameters.get(RET)) == ("QQ+1", "FULL")
    assert rcpt.parameters.get(NOTIFY) == Notify.SUCCESS | Notify.DELAY
    assert rcpt.parameters.get(ORCPT) == "rfc822;b+x@b.example"


@pytest.mark.parametrize(
    ("notify", "wanted"),
    [
        ("", Notify.FAILURE | Notify.DELAY),
        ("ORCPT=rfc822;b@b.example", Notify.FAILURE | Notify.DELAY),
        ("NOTIFY=NEVER", Notify.NEVER),
        ("NOTIFY=SUCCESS", Notify.SUCCESS),
        ("NOTIFY=FAILURE,DELAY", Notify.FAILURE | Notify.DELAY),
    ],
)
def test_what_a_sender_wants_to_hear(notify: str, wanted: Notify) -> None:
    parameters = Parameters.from_octets(notify.encode())
    for event in (Notify.SUCCESS, Notify.FAILURE, Notify.DELAY):
        assert wants(parameters, event) is (event in wanted)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=33))
@settings(deadline=None)
def test_any_printable_text_goes_through_envid_and_orcpt(text: str) -> None:
    assert ENVID.decode(ENVID.encode(text)) == text
    assert ORCPT.decode(ORCPT.encode(f"rfc822;{text}")) == f"rfc822;{text}"


@given(st.sampled_from(range(8)))
def test_notify_goes_round(number: int) -> None:
    assert NOTIFY.decode(NOTIFY.encode(Notify(number))) == Notify(number)


@pytest.mark.parametrize("offer", [True, False])
def test_the_next_hop_gets_the_requests_exactly_as_they_came_or_not_at_all(offer: bool) -> None:
    """RFC 3461 section 5.2.1 (a) to (d) and 5.2.2 (a)."""
    session = ClientSession("client.example", ALL)
    session.receive(b"220 mx\r\n250-mx\r\n250 " + (b"DSN" if offer else b"HELP") + b"\r\n")
    assert isinstance(session.next_event(), Ready)
    session.to_send()
    mail = Parameters.from_octets(b"RET=Full SIZE=9 ENVID=QQ+2B1")
    rcpt = Parameters.from_octets(b"ORCPT=rfc822;Bob+40B@b.example NOTIFY=delay,SUCCESS")
    recipients = [Recipient(Mailbox("bob", "b.example"), rcpt), Recipient(Mailbox("carol", "b.example"))]
    transaction = Transaction(Mailbox("alice", "example.com"), recipients, Outgoing(100, parameters=mail))
    session.begin(transaction)
    assert transaction.mail_command == b"MAIL FROM:<alice@example.com>" + (b" RET=Full ENVID=QQ+2B1" if offer else b"")
    assert transaction.rcpt_commands == [
        b"RCPT TO:<bob@b.example>" + (b" " + rcpt.octets() if offer else b""),
        b"RCPT TO:<carol@b.example>",
    ]
