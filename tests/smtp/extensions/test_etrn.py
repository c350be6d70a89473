"""ETRN (RFC 1985): where it may come, what it may ask for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.reply import Rejected
from purport.smtp.event import Etrn, MessageOctets
from purport.smtp.extensions import ALL
from purport.smtp.extensions.etrn import asked_before, not_allowed, not_started, read, started
from purport.smtp.server import JUNK, Profile, ServerSession

EHLO = b"EHLO client.example\r\n"


def session(*, allowed: bool = True) -> ServerSession:
    server = ServerSession(Profile("mx.example", extensions=ALL), etrn_allowed=allowed)
    server.greet()
    return server


def hear(server: ServerSession, octets: bytes) -> list[str]:
    """The last line of each reply; what is an event is answered as an open server does."""
    server.receive(octets)
    while (event := server.next_event()) is not None:
        if not isinstance(event, MessageOctets):
            server.answer(started(event.node, 0) if isinstance(event, Etrn) else OK)
    return [line for line in server.to_send().decode().split("\r\n")[:-1] if line[3] == " "][-1:]


OK = started("any", 1)


@pytest.mark.parametrize("allowed", [True, False])
def test_it_is_offered_to_those_who_may_use_it(allowed: bool) -> None:
    server = session(allowed=allowed)
    server.receive(EHLO)
    assert server.next_event() is not None
    server.answer(OK)
    assert (b"250-ETRN\r\n" in server.to_send()) == allowed
    if not allowed:
        assert hear(server, b"ETRN company.com.example\r\n") == ["500 5.5.1 Command not recognized"]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (b"", "503"),
        (EHLO, "251"),
        (b"HELO client.example\r\n", "251"),
        (EHLO + b"MAIL FROM:<a@b.example>\r\n", "503"),
        (EHLO + b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n", "503"),
        (EHLO + b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 3\r\nabc", "503"),
        (EHLO + b"MAIL FROM:<a@b.example>\r\nRSET\r\n", "251"),
    ],
)
def test_it_comes_between_transactions(before: bytes, said: str) -> None:
    """RFC 1985 section 5: "illegal between a MAIL FROM: command and the end of the DATA commands"."""
    server = session()
    hear(server, before)
    (line,) = hear(server, b"ETRN company.com.example\r\n")
    assert line.startswith(said)


@pytest.mark.parametrize(
    ("argument", "option", "node"),
    [
        ("company.com.example", "", "company.com.example"),
        ("Company.COM.example.", "", "Company.COM.example"),
        ("@company.com.example", "@", "company.com.example"),
        ("#branches", "#", "branches"),
        ("#uucp-2.x", "#", "uucp-2.x"),
        ("xn--bcher-kva.example", "", "xn--bcher-kva.example"),
    ],
)
def test_what_may_be_asked_for(argument: str, option: str, node: str) -> None:
    assert read(argument.encode()) == Etrn(option, node)


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("", 500),
        ("localname", 501),
        ("@", 501),
        ("@com", 501),
        ("#", 501),
        ("#a b", 501),
        ("#@a.example", 501),
        ("@@a.example", 501),
        ("a..example", 501),
        ("a.example b.example", 501),
        ("-a.example", 501),
        ("[192.0.2.1]", 501),
        ("bücher.example", 501),
        ("a" * 64 + ".example", 501),
        ("#" + "a" * 65, 501),
    ],
)
def test_what_may_not(argument: str, code: int) -> None:
    """RFC 1985 section 7: nothing at all is 500, what is no full domain name 501."""
    with pytest.raises(Rejected) as caught:
        read(argument.encode())
    assert caught.value.reply.code == code


@given(st.binary(max_size=40))
@settings(deadline=None)
def test_whatever_is_asked_for_is_printable_or_refused(argument: bytes) -> None:
    try:
        event = read(argument)
    except Rejected:
        return
    assert event.node.isascii()
    assert event.node.isprintable()


def test_the_replies() -> None:
    """RFC 1985 section 5.1."""
    assert str(started("mysoft.example", 14)) == "253 2.0.0 OK, 14 pending messages for node mysoft.example started"
    assert str(started("a.example", 0)) == "251 2.0.0 OK, no messages waiting for node a.example"
    assert [made("a.example").code for made in (not_started, asked_before, not_allowed)] == [458, 458, 459]


def test_a_client_that_asks_on_and_on_is_cut_off() -> None:
    server = session()
    hear(server, EHLO)
    hear(server, b"ETRN a.example\r\n" * (JUNK + 50))
    assert server.closed
