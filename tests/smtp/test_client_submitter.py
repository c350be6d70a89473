"""The client's side of SUBMITTER, with the extensions as they are (RFC 4405 section 4.1, section 4.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.authentication.sender_id.pra import purported_responsible_address
from purport.mail import xtext
from purport.mail.address import NULL, Mailbox, ReversePath, parse_mailbox
from purport.mail.envelope import Parameters, Recipient
from purport.mail.header import read_header
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Finished, GoAhead, Ready
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extension import Outgoing
from purport.smtp.extensions import ALL

ALICE = Mailbox("alice", "example.com")
BOB = Mailbox("bob", "company.com.example")
SUITE = Path(__file__).parents[1] / "vectors" / "submitter" / "submitter-dialogues.yml"
FORWARDING = "client-forward"  # Resent-From is put in by a forwarder, which is not built yet


def outgoing(message: bytes, parameters: Parameters | None = None) -> Outgoing:
    """What delivery says about a message."""
    pra = purported_responsible_address(read_header(message)).address
    return Outgoing(len(message), pra, not message.isascii(), parameters or Parameters())


def mail_command(message: bytes, *offers: str, reverse_path: ReversePath = ALICE, **outbound: Any) -> str:
    """The MAIL command for a message to a server with these offers."""
    session = ClientSession("client.example", ALL)
    lines = ["250-mx.example", *(f"250-{offer}" for offer in offers), "250 HELP"]
    session.receive(b"220 mx.example ESMTP\r\n" + "".join(f"{line}\r\n" for line in lines).encode())
    assert isinstance(session.next_event(), Ready)
    session.to_send()
    session.begin(Transaction(reverse_path, [Recipient(BOB)], outgoing(message, **outbound)))
    return b"".join(session.to_send()).partition(b"\r\n")[0].decode("ascii")


def from_field(address: str) -> bytes:
    return f"From: {address}\r\nSubject: t\r\n\r\nHello\r\n".encode()


def test_r10_r11_every_message_to_an_aware_server_says_who_is_responsible():
    command = mail_command(b"Sender: secretary@example.net\r\n" + from_field("alice@example.com"), "SUBMITTER")
    assert command == "MAIL FROM:<alice@example.com> SUBMITTER=secretary@example.net"


def test_r10_r11_also_with_a_null_reverse_path():
    command = mail_command(from_field("mailer-daemon@mx.example"), "SUBMITTER", reverse_path=NULL)
    assert command == "MAIL FROM:<> SUBMITTER=mailer-daemon@mx.example"


def test_r11_a_value_the_message_came_with_is_not_copied():
    came_with = Parameters((("SUBMITTER", b"other@example.org"),))
    command = mail_command(from_field("alice@example.com"), "SUBMITTER", parameters=came_with)
    assert command == "MAIL FROM:<alice@example.com> SUBMITTER=alice@example.com"


@pytest.mark.parametrize("reverse_path", [ALICE, NULL])
def test_r25_t15_a_server_that_does_not_offer_it_gets_the_message_without_the_parameter(reverse_path):
    assert "SUBMITTER" not in mail_command(from_field("alice@example.com"), "SIZE", reverse_path=reverse_path)


def test_r25_also_after_helo():
    session = ClientSession("client.example", ALL)
    session.receive(b"220 mx\r\n502 what?\r\n250 mx SUBMITTER\r\n")
    assert isinstance(session.next_event(), Ready)
    session.to_send()
    session.begin(Transaction(ALICE, [Recipient(BOB)], outgoing(from_field("alice@example.com"))))
    assert session.to_send() == [b"MAIL FROM:<alice@example.com>\r\n"]


def test_a_message_without_a_responsible_address_is_sent_without_the_parameter():
    message = b"From: alice@example.com\r\n" + from_field("bob@example.com")
    assert mail_command(message, "SUBMITTER") == "MAIL FROM:<alice@example.com>"


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("alice+tag@example.com", "alice+2Btag@example.com"),
        ("e=mc2@example.com", "e+3Dmc2@example.com"),
        ('"a b"@example.com', '"a+20b"@example.com'),
    ],
)
def test_r9_what_cannot_stand_in_a_value_is_xtext(address, value):
    assert mail_command(from_field(address), "SUBMITTER").endswith(f" SUBMITTER={value}")


@pytest.mark.parametrize("offer", ["SUBMITTER", "submitter", "Submitter"])
def test_t3_the_keyword_is_known_in_any_case(offer):
    assert mail_command(from_field("alice@example.com"), offer).endswith(" SUBMITTER=alice@example.com")


def test_t16_only_what_this_session_offered_counts():
    first = mail_command(from_field("alice@example.com"), "SUBMITTER", "8BITMIME")
    second = mail_command(from_field("alice@example.com"), "8BITMIME")
    assert ("SUBMITTER" in first, "SUBMITTER" in second) == (True, False)


@settings(deadline=None, max_examples=150)
@given(local_part=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64))
def test_r9_any_local_part_gives_a_value_that_decodes_to_the_address(local_part):
    mailbox = Mailbox(local_part, "example.com")
    session = ClientSession("client.example", ALL)
    session.receive(b"220 mx\r\n250-mx\r\n250 SUBMITTER\r\n")
    session.next_event()
    session.to_send()
    session.begin(Transaction(NULL, [Recipient(BOB)], Outgoing(10, mailbox)))
    command = b"".join(session.to_send())
    prefix = b"MAIL FROM:<> SUBMITTER="
    assert command.startswith(prefix)
    assert command.endswith(b"\r\n")
    value = command[len(prefix) : -2]
    assert not set(b" =\r\n") & set(value)
    assert parse_mailbox(xtext.decode(value).decode("ascii")) == mailbox


def client_cases() -> list[Any]:
    cases = yaml.safe_load(SUITE.read_text(encoding="utf-8"))["cases"]
    return [case for case in cases if case["role"] == "client" and case["id"] != FORWARDING]


@pytest.mark.parametrize("case", client_cases(), ids=lambda case: case["id"])
def test_client_dialogue(case):
    message = case["message"].replace("\n", "\r\n").encode()
    given_path = case["envelope"]["mail_from"]
    reverse_path = parse_mailbox(given_path) if given_path else NULL
    command = mail_command(message, *case["server_ehlo"], reverse_path=reverse_path)
    path, *words = command.removeprefix("MAIL FROM:").split(" ")
    parameters = dict(word.partition("=")[::2] for word in words)
    expected = case["expect"]
    assert f"MAIL FROM:{path}" == expected.get("mail_command", f"MAIL FROM:{path}")
    for keyword, value in expected.get("parameters", {}).items():
        assert parameters[keyword] == value
    assert not set(expected.get("parameters_absent", ())) & set(parameters)


def test_a_submitter_that_is_not_allowed_fails_for_good():
    """The case client-refused: the delivery report it leads to is in tests/delivery/test_worker.py."""
    session = ClientSession("client.example", ALL)
    session.receive(b"220 mx\r\n250-mx\r\n250 SUBMITTER\r\n")
    session.next_event()
    transaction = Transaction(ALICE, [Recipient(BOB)], outgoing(from_field("alice@example.com")))
    session.begin(transaction)
    session.receive(b"550 5.7.1 Submitter not allowed.\r\n")
    assert session.next_event() == Finished(transaction)
    assert str(transaction.replies[0]) == "550 5.7.1 Submitter not allowed."
    assert transaction.stages == [Stage.MAIL]


def test_size_and_body_are_said_to_servers_that_know_them():
    message = from_field("alice@example.com") + b"caf\xc3\xa9\r\n"
    command = mail_command(message, "SIZE 100000", "8BITMIME", "SUBMITTER")
    words = f"SIZE={len(message)} BODY=8BITMIME SUBMITTER=alice@example.com"
    assert command == f"MAIL FROM:<alice@example.com> {words}"


@pytest.mark.parametrize(
    ("offers", "message", "status"),
    [
        (b"250 SIZE 10\r\n", from_field("alice@example.com"), "5.3.4"),
        (b"250 HELP\r\n", from_field("alice@example.com") + b"caf\xc3\xa9\r\n", "5.6.3"),
    ],
)
def test_what_the_server_cannot_take_is_not_sent(offers, message, status):
    session = ClientSession("client.example", ALL)
    session.receive(b"220 mx\r\n250-mx\r\n" + offers)
    session.next_event()
    session.to_send()
    transaction = Transaction(ALICE, [Recipient(BOB)], outgoing(message))
    session.begin(transaction)
    assert session.to_send() == []
    assert session.next_event() == Finished(transaction)
    assert transaction.replies[0].status == status
    assert transaction.local
    assert not isinstance(session.next_event(), GoAhead)
