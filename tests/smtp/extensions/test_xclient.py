"""XCLIENT (Postfix XCLIENT_README)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.reply import Rejected, reply
from purport.smtp.event import Xclient
from purport.smtp.extensions import xclient
from purport.smtp.server import Profile, ServerSession
from purport.smtp.state import State
from support.smtp_shell import Shell

GREETING = "220 mx.example ESMTP Purport"


def shell(allowed: bool = True) -> Shell:
    server = Shell(Profile("mx.example"), xclient_allowed=allowed)
    server.hear(b"")
    return server


def test_the_dialogue_of_the_readme() -> None:
    server = shell()
    (lines,) = server.hear(b"EHLO client.example.com\r\n")
    assert lines[-1] == "250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
    assert server.say(b"XCLIENT NAME=spike.porcupine.org ADDR=168.100.189.2\r\n") == [GREETING]
    assert server.events[-1] == Xclient({"NAME": "spike.porcupine.org", "ADDR": "168.100.189.2"})
    assert server.say(b"MAIL FROM:<>\r\n") == ["503 5.5.1 Bad sequence of commands"]
    assert server.hear(b"EHLO spike.porcupine.org\r\n")[0][-1].startswith("250 XCLIENT ")
    assert server.say(b"MAIL FROM:<>\r\n") == ["250 2.1.0 Ok"]


def test_it_may_come_before_ehlo_and_after_helo() -> None:
    server = shell()
    assert server.say(b"XCLIENT ADDR=192.0.2.10 NAME=[UNAVAILABLE]\r\n") == [GREETING]
    assert server.events == [Xclient({"ADDR": "192.0.2.10", "NAME": None})]
    server.say(b"HELO x\r\n")
    assert server.say(b"xclient addr=IPV6:2001:db8::1\r\n") == [GREETING]
    assert "250-SUBMITTER" in server.hear(b"EHLO x\r\n")[0]


def test_not_in_a_transaction() -> None:
    server = shell()
    server.say(b"EHLO x\r\nMAIL FROM:<>\r\n")
    assert server.say(b"XCLIENT NAME=x\r\n") == ["503 5.5.1 Bad sequence of commands"]


def test_s21_a_peer_without_the_right_does_not_see_it_and_is_refused() -> None:
    server = shell(allowed=False)
    assert server.say(b"XCLIENT NAME=x\r\n") == ["500 5.5.1 Command not recognized"]
    (lines,) = server.hear(b"EHLO x\r\n")
    assert "XCLIENT" not in " ".join(lines)
    assert server.say(b"XCLIENT NAME=x\r\n") == ["500 5.5.1 Command not recognized"]
    assert not any(isinstance(event, Xclient) for event in server.events)


def test_a_refused_one_changes_nothing() -> None:
    session = ServerSession(Profile("mx.example"), xclient_allowed=True)
    session.receive(b"EHLO x\r\n")
    session.next_event()
    session.answer(reply(250, "2.0.0", "Ok"))
    session.receive(b"XCLIENT ADDR=192.0.2.1\r\n")
    assert session.next_event() == Xclient({"ADDR": "192.0.2.1"})
    session.to_send()
    session.answer(reply(501, "5.5.4", "No"))
    assert session.to_send() == b"501 5.5.4 No\r\n"
    assert session.state is State.READY


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "NAME",
        "NAME=",
        "NAME=a NAME=b",
        "FROB=x",
        "NAME=a  ADDR=b",
        "NAME=a+zz",
        "NAME=a+0Ab",
        "NAME=+FF",
        "NAME=a=b",
    ],
)
def test_a_bad_attribute_is_refused(argument: str) -> None:
    assert shell().say(f"XCLIENT {argument}\r\n".encode()) == ["501 5.5.4 Bad XCLIENT attribute"]


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("IPV6:2001:DB8:0::1", "2001:db8::1"),
        ("ipv6:2001:db8::1", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("IPV6:::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_an_address_is_written_as_everywhere(value: str, address: str) -> None:
    assert xclient.read(f"ADDR={value}".encode()).attributes == {"ADDR": address}


def test_what_is_unknown_is_none() -> None:
    assert xclient.read(b"NAME=[UNAVAILABLE] HELO=[TEMPUNAVAIL] LOGIN=[unavailable]").attributes == {
        "NAME": None,
        "HELO": None,
        "LOGIN": None,
    }


@settings(deadline=None)
@given(text=st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable() and not text.startswith("[")))
def test_what_is_encoded_decodes_to_itself(text: str) -> None:
    assert xclient.read(b"LOGIN=" + xclient.encode(text)).attributes == {"LOGIN": text}


@settings(deadline=None)
@given(argument=st.binary(max_size=60))
def test_any_octets_are_attributes_or_refused(argument: bytes) -> None:
    try:
        found = xclient.read(argument).attributes
    except Rejected:
        return
    assert all(value is None or value.isprintable() for value in found.values())
