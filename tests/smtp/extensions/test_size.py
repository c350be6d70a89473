"""SIZE (RFC 1870)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.envelope import Parameters
from purport.mail.reply import MESSAGE_TOO_BIG
from purport.smtp.extension import CannotForward, Outgoing, Terms
from purport.smtp.extensions import size
from purport.smtp.server import Profile
from support.smtp_shell import Shell


def shell(limit: int) -> Shell:
    server = Shell(Profile("sigurd.innosoft.com", message_octets=limit))
    server.hear(b"")
    return server


def test_the_dialogue_of_the_rfc() -> None:
    """RFC 1870 section 7, as far as one recipient."""
    server = shell(1000000)
    (lines,) = server.hear(b"EHLO ymir.claremont.edu\r\n")
    assert "250-SIZE 1000000" in lines
    assert server.say(b"MAIL FROM:<ned@thor.innosoft.com> SIZE=500000\r\n") == ["250 2.1.0 Ok"]
    assert server.say(b"RCPT TO:<ned@company.com.example>\r\n") == ["250 2.1.5 Ok"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("SIZE=1000", "250 2.1.0 "),
        ("size=0", "250 2.1.0 "),
        ("SIZE=0000000000000000001", "250 2.1.0 "),
        ("SIZE=1001", "552 5.3.4 "),
        ("SIZE=99999999999999999999", "552 5.3.4 "),
        ("SIZE=000000000000000000001", "501 5.5.4 "),
        ("SIZE=", "501 5.5.4 "),
        ("SIZE", "501 5.5.4 "),
        ("SIZE=-1", "501 5.5.4 "),
        ("SIZE=1k", "501 5.5.4 "),
        ("SIZE=1 SIZE=1", "501 5.5.4 "),
    ],
)
def test_the_declared_size_is_checked_at_mail(word: str, said: str) -> None:
    server = shell(1000)
    server.say(b"EHLO x\r\n")
    assert server.say(f"MAIL FROM:<> {word}\r\n".encode())[0].startswith(said)


@given(octets=st.integers(0, 10**20 - 1))
def test_what_is_encoded_decodes_to_itself(octets: int) -> None:
    assert size.decode(size.encode(octets)) == octets


def test_the_longest_parameter_is_as_long_as_declared() -> None:
    assert len(b" SIZE=" + size.encode(10**20 - 1)) == size.EXTENSION.mail_octets == 26


def test_no_size_is_no_reason_to_refuse() -> None:
    assert size.check(Parameters(), Terms(1)) is None


@pytest.mark.parametrize("offer", ["", "0", "1000", "not a number", "9" * 30])
def test_our_client_tells_the_size_where_it_is_offered(offer: str) -> None:
    assert size.outbound(Outgoing(1000), offer) == {"SIZE": b"1000"}
    assert size.outbound(Outgoing(1000), None) == {}


def test_a_message_over_the_limit_of_the_next_hop_is_not_sent() -> None:
    with pytest.raises(CannotForward) as refusal:
        size.outbound(Outgoing(1001), "1000")
    assert refusal.value.reply is MESSAGE_TOO_BIG
