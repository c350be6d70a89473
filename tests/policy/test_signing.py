"""Whom we sign for: authors that belong to the login."""

from __future__ import annotations

import pytest

from purport.mail.header import read_header
from purport.policy.login import Login
from purport.policy.signing import signed_author

ALICE = Login("alice", ("alice@company.com.example", "@alice.example"), "PLAIN")


@pytest.mark.parametrize(
    ("header", "author"),
    [
        ("From: Alice <alice@company.com.example>", "alice@company.com.example"),
        ("From: any@Alice.Example", "any@Alice.Example"),
        ("From: alice@company.com.example, x@alice.example", "alice@company.com.example"),
        ("From: alice@company.com.example, ceo@company.com.example", None),
        ("From: ceo@company.com.example", None),
        ("From: alice@sub.company.com.example", None),
        ("From: alice@company.com.example\nFrom: ceo@bank.example", None),
        ("From: ceo@bank.example\nSender: alice@company.com.example", None),
        ("From: <", None),
        ("Subject: t", None),
    ],
)
def test_every_author_has_to_be_the_logins_own(header: str, author: str | None) -> None:
    found = signed_author(ALICE, read_header(f"{header}\n\n".encode()))
    assert (None if found is None else str(found)) == author


def test_a_gateway_that_speaks_for_everybody_is_signed_for() -> None:
    found = signed_author(Login("gateway", ("*",), "XCLIENT"), read_header(b"From: any@company.com.example\n\n"))
    assert str(found) == "any@company.com.example"
