"""DMARC at a running server: what the author's domain asks for, whatever the client may say of itself."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

ZONE = {
    "evil.example": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}],
    "good.example": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}],
    "_dmarc.good.example": [{"TXT": "v=DMARC1; p=reject"}],
    "bank.example": [{"TXT": "v=spf1 -all"}],
    "_dmarc.bank.example": [{"TXT": "v=DMARC1; p=reject"}],
    "_dmarc.shop.example": [{"TXT": "v=DMARC1; p=quarantine"}],
    "_dmarc.slow.example": ["TIMEOUT"],
}
SETTINGS = '[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\n'
REJECTED = "Email rejected per DMARC policy for bank.example"
NO_AUTHOR = "A message needs one From field that names its author: "


def running(folder: Path, settings: str) -> Iterator[PurportServer]:
    (folder / "zone.json").write_text(json.dumps(ZONE))
    with purport_server(folder, settings + SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    yield from running(tmp_path_factory.mktemp("dmarc"), "")


@pytest.fixture(scope="module")
def tagging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    yield from running(tmp_path_factory.mktemp("tagging"), '[dmarc]\non_fail = "tag"\n\n')


def said(
    server: PurportServer,
    header: str,
    sender: str = "a@evil.example",
    *,
    submitter: str = "",
    helo: str = "evil.example",
    to: str = "bob",
) -> str:
    """The reply to a message from 127.0.0.1."""
    with smtplib.SMTP("127.0.0.1", server.port, local_hostname=helo, timeout=30) as client:
        client.ehlo()
        client.mail(sender, [f"SUBMITTER={submitter}"] if submitter else [])
        client.rcpt(f"{to}@company.com.example")
        code, text = client.data(f"{header}Subject: t\r\n\r\nHello\r\n")
        return f"{code} {text.decode()}"


def delivered(server: PurportServer, to: str, folder: str = "") -> list[str]:
    """What is in a mailbox of that name, once something is."""
    new = server.state_dir / "maildir" / "company.com.example" / to / folder / "new"
    wait_for(lambda: new.exists() and any(new.iterdir()))
    return [file.read_text() for file in new.iterdir()]


def test_an_author_whose_domain_vouches_comes_in(server: PurportServer) -> None:
    assert said(server, "From: a@good.example\r\n", "a@good.example", to="carol").startswith("250 ")
    assert "dmarc=pass" in delivered(server, "carol")[0]


@pytest.mark.parametrize(
    ("header", "submitter"),
    [
        ("From: ceo@bank.example\r\n", ""),
        ("Sender: a@evil.example\r\nFrom: ceo@bank.example\r\n", "a@evil.example"),
        ("Resent-From: a@evil.example\r\nFrom: ceo@bank.example\r\n", "a@evil.example"),
        ("From: a@evil.example, ceo@bank.example\r\nSender: a@evil.example\r\n", "a@evil.example"),
    ],
)
def test_s2_a9_who_is_responsible_may_pass_and_the_authors_domain_still_decides(
    server: PurportServer, header: str, submitter: str
) -> None:
    assert said(server, header, submitter=submitter) == f"550 5.7.1 {REJECTED}"


@pytest.mark.parametrize("sender", ["any@nowhere.bank.example", ""])
def test_a1_a_hello_domain_that_passes_does_not_help(server: PurportServer, sender: str) -> None:
    assert said(server, "From: ceo@bank.example\r\n", sender) == f"550 5.7.1 {REJECTED}"


@pytest.mark.parametrize(
    "header",
    [
        "From: a@evil.example\r\nFrom: ceo@bank.example\r\n",
        "From : ceo@bank.example\r\n",
        " From: ceo@bank.example\r\nTo: bob@company.com.example\r\n",
        "From\r\n : ceo@bank.example\r\n",
        "Sender: ceo@bank.example\r\n",
        "From: =?utf-8?B?Y2VvQGJhbmsuZXhhbXBsZQ==?=,<a@evil.example>\r\n",
        "From: <ceo@bank.example>\\,<a@evil.example>\r\n",
        "From: <a@evil.example>ceo@bank.example\r\n",
    ],
)
def test_a6_to_a13_without_one_author_it_is_refused(server: PurportServer, header: str) -> None:
    assert said(server, header).startswith(f"550 5.6.0 {NO_AUTHOR}")


def test_what_is_in_quarantine_lies_in_junk(server: PurportServer) -> None:
    assert said(server, "From: a@shop.example\r\n", to="dave").startswith("250 ")
    (message,) = delivered(server, "dave", ".Junk")
    assert "dmarc=fail (p=quarantine dis=quarantine) header.from=shop.example" in " ".join(message.split())
    assert not list((server.state_dir / "maildir" / "company.com.example" / "dave" / "new").iterdir())


def test_without_an_answer_it_comes_in(server: PurportServer) -> None:
    assert said(server, "From: a@slow.example\r\n").startswith("250 ")


@pytest.mark.parametrize("header", ["From: ceo@bank.example\r\n", "From: a@b.example\r\nFrom: c@d.example\r\n"])
def test_tagged_it_comes_in(tagging: PurportServer, header: str) -> None:
    assert said(tagging, header, to="erin").startswith("250 ")


def test_explain_says_why(server: PurportServer) -> None:
    said(server, "From: ceo@bank.example\r\n")
    told = server.command("explain", "--last").stdout
    assert "DMARC of bank.example is fail: p=reject of bank.example  <- decided" in told
    assert REJECTED in told
