"""ENHANCEDSTATUSCODES (RFC 2034)."""

from __future__ import annotations

import re

import pytest

from purport.mail import reply as replies
from purport.mail.reply import Reply
from purport.smtp import command, profile, server
from purport.smtp.extensions import eightbitmime, submitter, xclient
from purport.smtp.server import Profile
from support.smtp_shell import Shell

MODULES = [replies, command, profile, server, eightbitmime, submitter, xclient]
CONSTANTS = {
    (module.__name__, name): value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, Reply)
}


@pytest.mark.parametrize("constant", CONSTANTS.values(), ids=[name for _, name in CONSTANTS])
def test_the_class_of_the_status_agrees_with_the_code(constant: Reply) -> None:
    """RFC 2034 section 4: 2xx, 4xx and 5xx replies carry a status of the same class; 3xx replies carry none."""
    if 300 <= constant.code < 400:
        assert constant.status == ""
    else:
        assert re.fullmatch(rf"{constant.code // 100}\.\d{{1,3}}\.\d{{1,3}}", constant.status)


def test_the_greeting_and_the_replies_to_ehlo_and_helo_carry_none() -> None:
    shell = Shell(Profile("mx.example"))
    lines = [line for reply in shell.hear(b"EHLO x\r\nHELO x\r\n") for line in reply]
    assert not any(re.match(r"\d{3}[ -]\d\.\d", line) for line in lines)


def test_they_are_given_after_helo_too() -> None:
    shell = Shell(Profile("mx.example"))
    shell.hear(b"HELO x\r\n")
    assert shell.say(b"MAIL FROM:<>\r\nMAIL\r\n") == ["250 2.1.0 Ok", "503 5.5.1 Bad sequence of commands"]
