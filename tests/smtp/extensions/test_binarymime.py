"""BINARYMIME (RFC 3030 section 3)."""

from __future__ import annotations

import pytest

from purport.mail.envelope import Parameters
from purport.smtp.extension import CannotForward, Outgoing
from purport.smtp.extensions import binarymime, eightbitmime
from purport.smtp.extensions.binarymime import NEEDS_BINARYMIME, is_binary
from purport.smtp.server import Profile
from support.smtp_shell import Shell

BINARY = Parameters((("BODY", b"binarymime"),))
MAIL = b"MAIL FROM:<ned@ymir.claremont.edu> BODY=BINARYMIME\r\n"
RCPT = b"RCPT TO:<gvaudre@company.com.example>\r\n"
ANY = bytes(range(256)) + b"\r\n.\r\n\n\r"


def shell() -> Shell:
    server = Shell(Profile("cnri.reston.va.us"))
    assert "250-BINARYMIME" in server.hear(b"EHLO ymir.claremont.edu\r\n")[1]
    return server


def test_every_octet_arrives() -> None:
    server = shell()
    for chunk in (b"BDAT %d LAST\r\n" % len(ANY) + ANY, b"BDAT %d\r\n" % len(ANY) + ANY + b"BDAT 0 LAST\r\n"):
        assert all(said.startswith("250 ") for said in server.say(MAIL + RCPT + chunk))
    assert [message.octets for message in server.messages] == [ANY, ANY]


def test_data_is_refused_and_does_not_begin() -> None:
    server = shell()
    assert server.say(MAIL + RCPT + b"DATA\r\nNOOP\r\n")[2:] == [
        "503 5.5.1 A BODY=BINARYMIME message is sent with BDAT",
        "250 2.0.0 Ok",
    ]
    server.say(b"RSET\r\n")
    assert server.say(b"MAIL FROM:<>\r\n" + RCPT + b"DATA\r\n")[2].startswith("354 "), "the next message may come so"


def test_the_next_message_is_not_binary() -> None:
    server = shell()
    server.say(MAIL + RCPT + b"BDAT 1 LAST\r\n\n")
    said = server.say(b"MAIL FROM:<>\r\n" + RCPT + b"BDAT 1 LAST\r\n\n")
    assert said[-1].startswith("550 5.6.0 ")


@pytest.mark.parametrize("word", ["BODY", "BODY=", "BODY=BINARY", "BODY=BINARYMIME BODY=7BIT"])
def test_a_bad_value_is_refused(word: str) -> None:
    assert shell().say(f"MAIL FROM:<> {word}\r\n".encode())[0].startswith("501 5.5.4 ")


@pytest.mark.parametrize("body", binarymime.BODIES)
def test_what_is_encoded_decodes_to_itself(body: str) -> None:
    assert binarymime.decode(binarymime.encode(body)) == body
    assert binarymime.decode(body.lower().encode()) == body


def test_our_client_says_it_of_a_binary_message_alone() -> None:
    assert binarymime.outbound(Outgoing(1, parameters=BINARY), "") == {"BODY": b"BINARYMIME"}
    assert binarymime.outbound(Outgoing(1, eightbit=True), "") == {}
    assert binarymime.outbound(Outgoing(1, eightbit=True), None) == {}
    assert eightbitmime.outbound(Outgoing(1, eightbit=True, parameters=BINARY), "") == {}, "BODY is said once"
    assert is_binary(BINARY)
    assert not is_binary(Parameters((("SIZE", b"1"),)))


def test_a_binary_message_goes_to_no_host_without_the_extension() -> None:
    with pytest.raises(CannotForward) as refusal:
        binarymime.outbound(Outgoing(1, parameters=BINARY), None)
    assert refusal.value.reply is NEEDS_BINARYMIME
