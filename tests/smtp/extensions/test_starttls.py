"""STARTTLS on the server's side of a session (RFC 3207)."""

from __future__ import annotations

import pytest

from purport.smtp.event import StartTls
from purport.smtp.extension import Terms
from purport.smtp.extensions import starttls
from purport.smtp.extensions.starttls import EXTENSION
from purport.smtp.server import Profile
from purport.smtp.state import State
from support.smtp_shell import Shell

PROFILE = Profile("mx.company.com.example", starttls=True)
REQUIRED = Profile("mx.company.com.example", starttls=True, tls_required=True)
EHLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<alice@example.com>\r\n"
BEGIN = "220 2.0.0 Ready to start TLS"


def shell(profile: Profile = PROFILE) -> Shell:
    server = Shell(profile)
    server.hear(EHLO)
    return server


@pytest.mark.parametrize(
    ("terms", "offered"),
    [
        (Terms(1000), None),
        (Terms(1000, starttls=True), ""),
        (Terms(1000, starttls=True, secure=True), None),
    ],
)
def test_it_is_offered_where_there_is_a_certificate_and_no_tls_yet(terms: Terms, offered: str | None) -> None:
    assert EXTENSION.offer(terms) == offered


def test_after_the_220_nothing_is_read_and_nothing_given_out() -> None:
    server = shell()
    assert server.say(b"STARTTLS\r\n") == [BEGIN]
    assert server.session.state is State.HANDSHAKE
    assert server.say(EHLO + MAIL) == []
    assert server.events[-1] == StartTls()


@pytest.mark.parametrize("cut", range(30))
def test_s12_commands_sent_ahead_in_clear_are_dropped(cut: int) -> None:
    """RFC 3207 section 6, CVE-2011-0411: S12 of the attacks."""
    server = shell()
    replies = server.hear(b"STARTTLS\r\nRSET\r\n" + MAIL, cut)
    assert replies == [[BEGIN]]
    server.session.secured()
    assert server.say(b"NOOP\r\n") == ["250 2.0.0 Ok"]


def test_after_the_handshake_the_session_begins_anew() -> None:
    server = shell()
    server.say(b"STARTTLS\r\n")
    server.session.secured()
    assert server.say(MAIL) == ["503 5.5.1 Bad sequence of commands"]  # the EHLO in clear counts for nothing
    assert "250-STARTTLS" not in server.hear(EHLO)[0]
    assert server.say(b"STARTTLS\r\n") == ["500 5.5.1 Command not recognized"]
    assert server.say(MAIL) == ["250 2.1.0 Ok"]


def test_it_has_no_argument() -> None:
    assert shell().say(b"STARTTLS now\r\n") == ["501 5.5.4 STARTTLS has no argument"]


def test_it_comes_after_ehlo_and_outside_of_a_transaction() -> None:
    assert Shell(PROFILE).say(b"STARTTLS\r\n")[1:] == ["503 5.5.1 Bad sequence of commands"]
    assert shell().say(MAIL + b"STARTTLS\r\n")[1:] == ["503 5.5.1 Bad sequence of commands"]


def test_without_a_certificate_it_is_unknown() -> None:
    assert shell(Profile("mx.example")).say(b"STARTTLS\r\n") == ["500 5.5.1 Command not recognized"]


def test_the_shell_may_refuse_it_and_the_session_goes_on_in_clear() -> None:
    server = shell()
    server.session.receive(b"STARTTLS\r\n")
    assert server.session.next_event() == StartTls()
    server.session.answer(starttls.NOT_NOW)
    assert server.say(MAIL) == ["454 4.7.0 TLS is not available at the moment", "250 2.1.0 Ok"]


def test_where_tls_is_required_only_what_leads_to_it_is_answered() -> None:
    server = shell(REQUIRED)
    must = "530 5.7.0 Must issue a STARTTLS command first"
    assert server.say(MAIL + b"RCPT TO:<a@b.example>\r\nVRFY bob\r\nNOOP\r\nRSET\r\nHELP\r\n")[:5] == [
        must,
        must,
        must,
        "250 2.0.0 Ok",
        "250 2.0.0 Ok",
    ]
    server.say(b"STARTTLS\r\n")
    server.session.secured()
    assert server.say(EHLO + MAIL)[-1] == "250 2.1.0 Ok"


def test_a_session_that_began_in_tls_does_not_offer_it() -> None:
    server = Shell(PROFILE, secure=True)
    server.hear(b"")
    assert "250-STARTTLS" not in server.hear(EHLO)[0]


def test_no_handshake_no_secured_session() -> None:
    with pytest.raises(RuntimeError):
        shell().session.secured()
