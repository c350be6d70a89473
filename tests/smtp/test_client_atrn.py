"""ATRN by our client (RFC 2645): it has the roles reversed, and lets nothing be slipped in before its greeting."""

from __future__ import annotations

import pytest

from purport.smtp.client import ClientSession
from purport.smtp.client_event import Ready, Reversed, Unusable
from purport.smtp.client_transaction import Stage
from purport.smtp.extensions import ALL
from purport.smtp.reply_reader import BadReply

GREETING = b"220 odmr.provider.example\r\n"
HELLO = b"250-odmr.provider.example\r\n250 ATRN\r\n"


def ready(hello: bytes = HELLO) -> ClientSession:
    session = ClientSession("mail.company.com.example", ALL)
    session.receive(GREETING)
    assert session.next_event() is None
    session.receive(hello)
    assert session.next_event() == Ready()
    session.to_send()
    return session


@pytest.mark.parametrize(
    ("domains", "said"),
    [
        ((), b"ATRN\r\n"),
        (("a.example",), b"ATRN a.example\r\n"),
        (("a.example", "b.example"), b"ATRN a.example,b.example\r\n"),
    ],
)
def test_the_server_takes_it_and_waits_for_our_greeting(domains: tuple[str, ...], said: bytes) -> None:
    session = ready()
    session.reverse(domains)
    assert session.to_send() == [said]
    assert session.waits_for is Stage.ATRN
    session.receive(b"250 2.0.0 OK, now reversing the connection\r\n")
    assert session.next_event() == Reversed()
    assert session.next_event() is None
    assert session.closed
    assert session.to_send() == []


@pytest.mark.parametrize("said", [b"453 You have no mail\r\n", b"450 ATRN request refused\r\n", b"530 No\r\n"])
def test_the_server_refuses(said: bytes) -> None:
    session = ready()
    session.reverse(())
    session.to_send()
    session.receive(said)
    event = session.next_event()
    assert isinstance(event, Unusable)
    assert (event.stage, event.reply.code) == (Stage.ATRN, int(said[:3]))
    assert session.to_send() == [b"QUIT\r\n"]


@pytest.mark.parametrize("behind", [b"EHLO odmr.provider.example\r\n", b"250 again\r\n", b"E"])
def test_octets_behind_its_reply_end_the_connection(behind: bytes) -> None:
    """They would be the first commands of a session in which we had not said a word yet."""
    session = ready()
    session.reverse(())
    session.receive(b"250 OK\r\n" + behind)
    with pytest.raises(BadReply):
        session.next_event()


@pytest.mark.parametrize("said", [b"354 Go ahead\r\n", b"no reply\r\n"])
def test_what_is_no_reply_to_it(said: bytes) -> None:
    session = ready()
    session.reverse(())
    session.receive(said)
    with pytest.raises(BadReply):
        session.next_event()


def test_a_server_that_does_not_offer_it_is_not_asked() -> None:
    session = ready(b"250 mx.example\r\n")
    session.reverse(())
    event = session.next_event()
    assert isinstance(event, Unusable)
    assert event.stage is Stage.ATRN
    assert session.to_send() == [b"QUIT\r\n"]
