"""8BITMIME (RFC 6152)."""

from __future__ import annotations

import pytest

from purport.mail.envelope import Parameters
from purport.smtp.event import Mail
from purport.smtp.extension import CannotForward, Outgoing
from purport.smtp.extensions import eightbitmime
from purport.smtp.extensions.eightbitmime import BODY, NEEDS_8BITMIME
from purport.smtp.server import Profile
from support.smtp_shell import Shell


def test_the_dialogue_of_the_rfc() -> None:
    """RFC 6152 section 4."""
    server = Shell(Profile("dbc.mtview.ca.us"))
    assert "250-8BITMIME" in server.hear(b"EHLO ymir.claremont.edu\r\n")[1]
    assert server.say(b"MAIL FROM:<ned@ymir.claremont.edu> BODY=8BITMIME\r\n") == ["250 2.1.0 Ok"]
    server.say("RCPT TO:<m@company.com.example>\r\nDATA\r\nSubject: t\r\n\r\ngrüße\r\n.\r\n".encode())
    assert server.messages[0].octets == "Subject: t\r\n\r\ngrüße\r\n".encode()
    mail = server.events[1]
    assert isinstance(mail, Mail)
    assert mail.parameters.get(BODY) == "8BITMIME"


@pytest.mark.parametrize("word", ["BODY", "BODY=", "BODY=9BIT", "BODY=7BIT BODY=7BIT"])
def test_a_bad_value_is_refused(word: str) -> None:
    server = Shell(Profile("mx.example"))
    server.hear(b"EHLO x\r\n")
    assert server.say(f"MAIL FROM:<> {word}\r\n".encode())[0].startswith("501 5.5.4 ")


@pytest.mark.parametrize("body", ["7BIT", "8BITMIME"])
def test_what_is_encoded_decodes_to_itself(body: str) -> None:
    assert eightbitmime.decode(eightbitmime.encode(body)) == body
    assert eightbitmime.decode(body.lower().encode()) == body


def test_our_client_announces_what_the_message_holds() -> None:
    announced = Parameters((("BODY", b"7BIT"),))
    assert eightbitmime.outbound(Outgoing(1, eightbit=True, parameters=announced), "") == {"BODY": b"8BITMIME"}
    assert eightbitmime.outbound(Outgoing(1), "") == {}
    assert eightbitmime.outbound(Outgoing(1), None) == {}


def test_octets_above_127_do_not_go_to_a_host_without_the_extension() -> None:
    with pytest.raises(CannotForward) as refusal:
        eightbitmime.outbound(Outgoing(1, eightbit=True), None)
    assert refusal.value.reply is NEEDS_8BITMIME
