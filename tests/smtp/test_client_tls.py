"""STARTTLS on the client's side, without sockets (RFC 3207): what is said, and what is forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.mail.envelope import Recipient
from purport.smtp.client import BadReply, BeginTls, ClientSession, Finished, Ready, Stage, Transaction, Unusable
from purport.smtp.extension import Outgoing
from purport.smtp.extensions import ALL

ALICE, BOB = Mailbox("alice", "example.com"), Mailbox("bob", "example.net")
GREETING = b"220 mx.example.net ESMTP\r\n"
CLEAR = b"250-mx.example.net\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"
READY = b"220 2.0.0 Ready to start TLS\r\n"
UNDER_TLS = b"250-mx.example.net\r\n250 8BITMIME\r\n"


def events(session: ClientSession) -> list[object]:
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


def said(session: ClientSession) -> bytes:
    return b"".join(session.to_send())


def before_the_handshake(*, required: bool = True) -> ClientSession:
    session = ClientSession("client.example", ALL, starttls=True, tls_required=required)
    session.receive(GREETING + CLEAR)
    assert events(session) == []
    assert said(session) == b"EHLO client.example\r\nSTARTTLS\r\n"
    return session


def test_what_was_offered_in_clear_is_forgotten():
    session = before_the_handshake()
    session.receive(READY)
    assert events(session) == [BeginTls()]
    assert session.waits_for is Stage.STARTTLS
    assert not session.idle
    session.secured("TLSv1.3")
    assert session.offers == {}
    assert said(session) == b"EHLO client.example\r\n"
    session.receive(UNDER_TLS)
    assert events(session) == [Ready()]
    assert set(session.offers) == {"8BITMIME"}
    session.begin(Transaction(ALICE, [Recipient(BOB)], Outgoing(10)))
    assert said(session) == b"MAIL FROM:<alice@example.com>\r\n"  # without PIPELINING
    assert session.hello_dialogue[3:7] == [
        "C: STARTTLS",
        "S: 220 2.0.0 Ready to start TLS",
        "T: TLSv1.3",
        "C: EHLO client.example",
    ]


@given(st.data())
def test_the_dialogue_is_the_same_in_any_split_of_what_comes(data: st.DataObject):
    session = ClientSession("client.example", ALL, starttls=True, tls_required=True)
    found = []
    for octets in (GREETING + CLEAR + READY, UNDER_TLS):
        at = 0
        while at < len(octets):
            size = data.draw(st.integers(1, len(octets) - at))
            session.receive(octets[at : at + size])
            found += events(session)
            at += size
        if octets is not UNDER_TLS:
            assert found == [BeginTls()]
            session.secured()
    assert found == [BeginTls(), Ready()]


@pytest.mark.parametrize("behind", [b"2", b"250-mx\r\n", b"250 mx.example.net\r\n250 STARTTLS\r\n", b"\x16\x03\x01"])
def test_s12_octets_behind_the_reply_end_the_session(behind):
    session = before_the_handshake()
    session.receive(READY + behind)
    with pytest.raises(BadReply, match="octets in clear behind the reply to STARTTLS"):
        session.next_event()
    assert session.waits_for is Stage.STARTTLS


@pytest.mark.parametrize("refusal", [b"454 4.7.0 Not now\r\n", b"501 5.5.4 Syntax\r\n"])
def test_a_refusal_is_the_end_only_where_tls_is_required(refusal):
    session = before_the_handshake(required=False)
    session.receive(refusal)
    assert events(session) == [Ready()]
    session = before_the_handshake()
    session.receive(refusal)
    (event,) = events(session)
    assert isinstance(event, Unusable)
    assert event.stage is Stage.STARTTLS
    assert said(session) == b"QUIT\r\n"


def test_421_in_the_place_of_the_reply_ends_the_session():
    session = before_the_handshake(required=False)
    session.receive(b"421 4.3.2 Going\r\n")
    (event,) = events(session)
    assert isinstance(event, Unusable)
    assert event.stage is Stage.STARTTLS


def test_a_3yz_is_no_reply_to_it():
    session = before_the_handshake(required=False)
    session.receive(b"354 Go\r\n")
    with pytest.raises(BadReply):
        session.next_event()


def test_a_server_that_offers_it_again_under_tls_is_not_asked_again():
    session = before_the_handshake()
    session.receive(READY)
    events(session)
    session.secured()
    said(session)
    session.receive(CLEAR)
    assert events(session) == [Ready()]
    assert said(session) == b""


def test_in_a_session_that_was_protected_from_the_first_octet_it_is_not_said():
    session = ClientSession("client.example", ALL, starttls=True, tls_required=True, secure=True)
    session.receive(GREETING + CLEAR)
    assert events(session) == [Ready()]
    transaction = Transaction(ALICE, [Recipient(BOB)], Outgoing(10))
    session.begin(transaction)
    session.receive(b"250 Ok\r\n250 Ok\r\n354 Go\r\n250 Ok\r\n")
    session.next_event()
    session.send_data(b"Subject: t\r\n\r\n")
    session.end_data()
    assert events(session) == [Finished(transaction)]
