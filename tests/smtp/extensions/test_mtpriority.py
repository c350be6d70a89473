"""MT-PRIORITY (RFC 6710): what stands on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.envelope import NO_PARAMETERS
from purport.smtp.extension import Outgoing
from purport.smtp.extensions.mtpriority import EXTENSION, MT_PRIORITY, decode, encode, outbound
from purport.smtp.server import Profile
from support.smtp_shell import Shell

EHLO = b"EHLO client.example\r\n"


def shell(policy: str = "") -> Shell:
    server = Shell(Profile("mx.company.com.example", priority_policy=policy))
    server.hear(EHLO)
    return server


@given(st.integers(-9, 9))
def test_a_priority_comes_back_as_it_was(priority: int) -> None:
    assert decode(encode(priority)) == priority
    assert len(b" MT-PRIORITY=" + encode(priority)) <= EXTENSION.mail_octets


@given(st.binary(max_size=4))
def test_nothing_else_is_a_priority(value: bytes) -> None:
    """RFC 6710 section 7."""
    allowed = {b"%d" % number for number in range(-9, 10)}
    if value in allowed:
        assert -9 <= decode(value) <= 9
    else:
        with pytest.raises(ValueError, match="from -9 to 9"):
            decode(value)


@pytest.mark.parametrize(
    "parameters",
    [
        *("MT-PRIORITY=10", "MT-PRIORITY=-0", "MT-PRIORITY=+3", "MT-PRIORITY=03", "MT-PRIORITY", "MT-PRIORITY=1.5"),
        *("MT-PRIORITY=3 MT-PRIORITY=3", "MT-PRIORITY=3 mt-priority=4"),
    ],
)
def test_a_bad_or_repeated_value_is_a_syntax_error(parameters: str) -> None:
    """RFC 6710 section 4.1 (1) has 5.5.2."""
    (said,) = shell().say(f"MAIL FROM:<eljefe@example.com> {parameters}\r\n".encode())
    assert said.startswith("501 5.5.2 ")


def test_the_examples_of_the_rfc_are_accepted() -> None:
    """RFC 6710 section 8."""
    server = shell()
    assert server.say(b"MAIL FROM:<eljefe@example.com> ENVID=QQ314159 mt-priority=3\r\n") == ["250 2.1.0 Ok"]


@pytest.mark.parametrize(("policy", "line"), [("", "250-MT-PRIORITY"), ("STANAG4406", "250-MT-PRIORITY STANAG4406")])
def test_the_policy_is_named_where_it_is_disclosed(policy: str, line: str) -> None:
    assert line in Shell(Profile("mx.company.com.example", priority_policy=policy)).hear(EHLO)[-1]


def test_it_is_unknown_after_helo() -> None:
    server = Shell(Profile("mx.company.com.example"))
    server.hear(b"HELO client.example\r\n")
    assert server.say(b"MAIL FROM:<a@b.example> MT-PRIORITY=3\r\n")[0].startswith("555 5.5.4 ")


@pytest.mark.parametrize("offer", ["", "MIXER", "X-OURS"])
@pytest.mark.parametrize("priority", [-9, 0, 3])
def test_a_next_hop_hears_the_priority_whatever_its_policy_is(offer: str, priority: int) -> None:
    """RFC 6710 section 4.2: also where it is 0."""
    outgoing = Outgoing(100, parameters=NO_PARAMETERS, priority=priority)
    assert outbound(outgoing, offer) == {MT_PRIORITY.keyword: b"%d" % priority}


def test_a_next_hop_without_it_hears_nothing() -> None:
    assert outbound(Outgoing(100, priority=9), None) == {}
    assert outbound(Outgoing(100), "MIXER") == {}
