"""RRVS (RFC 7293): what RCPT may say, and what goes on to the next hop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.mail.envelope import Parameters, Recipient
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Ready
from purport.smtp.client_transaction import Transaction
from purport.smtp.event import Rcpt
from purport.smtp.extension import Outgoing
from purport.smtp.extensions import ALL
from purport.smtp.extensions.rrvs import EXTENSION, NEEDS_RRVS, RRVS, ValidSince
from purport.smtp.server import Profile
from support.smtp_shell import Shell

MOMENT = 1_396_566_060.0  # 2014-04-03T23:01:00Z


def after_mail() -> Shell:
    server = Shell(Profile("mx.company.com.example", extensions=ALL))
    server.hear(b"EHLO client.example\r\nMAIL FROM:<alice@example.com>\r\n")
    return server


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("2014-04-03T23:01:00Z", ValidSince(MOMENT)),
        ("2014-04-03t23:01:00z;r", ValidSince(MOMENT)),
        ("2014-04-03T16:01:00-07:00;R", ValidSince(MOMENT)),
        ("2014-04-04T01:01:00+02:00;C", ValidSince(MOMENT, continues=True)),
        ("2014-04-03T23:01:00-00:00;c", ValidSince(MOMENT, continues=True)),
        ("2008-12-31T23:59:60Z", ValidSince(1_230_768_000.0)),
        ("0001-01-01T00:00:00Z", ValidSince(-62_135_596_800.0)),
    ],
)
def test_what_a_recipient_may_require(value: str, wanted: ValidSince) -> None:
    server = after_mail()
    assert server.say(f"RCPT TO:<bob@company.com.example> RRVS={value}\r\n".encode()) == ["250 2.1.5 Ok"]
    (rcpt,) = (event for event in server.events if isinstance(event, Rcpt))
    assert rcpt.parameters.get(RRVS) == wanted


@pytest.mark.parametrize(
    "value",
    [
        "RRVS",
        "RRVS=",
        "RRVS=2014-04-03",
        "RRVS=2014-04-03T23:01:00",
        "RRVS=2014-04-03T23:01:00.5Z",
        "RRVS=2014-04-03T23:01:00Z;",
        "RRVS=2014-04-03T23:01:00Z;X",
        "RRVS=2014-04-03T23:01:00Z;CR",
        "RRVS=2014-02-30T23:01:00Z",
        "RRVS=2014-04-03T24:01:00Z",
        "RRVS=2014-04-03T23:01:61Z",
        "RRVS=2014-04-03T23:01:00+24:00",
        "RRVS=2014-04-03T23:01:00+01:60",
        "RRVS=2014-04-03T23:01:00+0100",
        "RRVS=0000-04-03T23:01:00Z",
        "RRVS=14-04-03T23:01:00Z",
        "RRVS=2014-04-03T23:01:00Z RRVS=2014-04-03T23:01:00Z",
    ],
)
def test_what_it_may_not(value: str) -> None:
    (said,) = after_mail().say(f"RCPT TO:<bob@company.com.example> {value}\r\n".encode())
    assert said.startswith("501 5.5.4 ")


def test_mail_knows_no_such_parameter() -> None:
    """The mark in the queue is nothing that a client can set."""
    server = Shell(Profile("mx.company.com.example", extensions=ALL))
    server.hear(b"EHLO client.example\r\n")
    assert server.say(b"MAIL FROM:<alice@example.com> RRVS\r\n")[0].startswith("555 5.5.4 ")


@given(st.integers(-62_135_596_800, 253_402_300_799), st.booleans())
@settings(deadline=None)
def test_every_value_goes_round_and_fits_the_line(since: int, continues: bool) -> None:
    wanted = ValidSince(float(since), continues)
    encoded = RRVS.encode(wanted)
    assert encoded is not None
    assert RRVS.decode(encoded) == wanted
    assert len(b" RRVS=" + encoded) <= EXTENSION.rcpt_octets


def test_the_longest_value_fits_the_line() -> None:
    assert EXTENSION.rcpt_octets == len(" RRVS=2014-04-03T23:01:00-07:00;R")


def transaction_to(offers: bytes, *rcpts: str) -> Transaction:
    session = ClientSession("client.example", ALL)
    session.receive(b"220 mx\r\n250-mx\r\n250 " + offers + b"\r\n")
    assert isinstance(session.next_event(), Ready)
    recipients = [
        Recipient(Mailbox(f"bob{number}", "b.example"), Parameters.from_octets(rcpt.encode()))
        for number, rcpt in enumerate(rcpts)
    ]
    transaction = Transaction(Mailbox("alice", "example.com"), recipients, Outgoing(100))
    session.begin(transaction)
    return transaction


@pytest.mark.parametrize(
    "value", ["2014-04-03T16:01:00-07:00", "2014-04-03T16:01:00-07:00;C", "2014-04-03T16:01:00-07:00;r"]
)
def test_the_next_hop_gets_it_as_it_came(value: str) -> None:
    """RFC 7293 section 5.1.1: the no-support action "MUST" be preserved."""
    transaction = transaction_to(b"RRVS", f"RRVS={value}")
    assert transaction.rcpt_commands == [f"RCPT TO:<bob0@b.example> RRVS={value}".encode()]


def test_to_a_next_hop_without_it_those_go_that_may_and_the_others_fail() -> None:
    """RFC 7293 section 5.1.1; each for itself."""
    transaction = transaction_to(
        b"DSN", "RRVS=2014-04-03T23:01:00Z", "RRVS=2014-04-03T23:01:00Z;R", "RRVS=2014-04-03T23:01:00Z;C", ""
    )
    assert transaction.rcpt_commands == [b"", b"", b"RCPT TO:<bob2@b.example>", b"RCPT TO:<bob3@b.example>"]
    assert transaction.replies == [NEEDS_RRVS, NEEDS_RRVS, None, None]
