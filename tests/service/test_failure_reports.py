"""Failure reports at a running server (RFC 9991): off by default, and about what fails."""

from __future__ import annotations

import json
import smtplib
from pathlib import Path

import pytest

from support.dkim_keys import ed25519_key, ed25519_pem, zone
from support.dkim_suites import check, crlf
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

DOMAIN = "company.com.example"
KEYS = zone(ed25519_key(), "e1", DOMAIN)
ZONE = {
    "author.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    "_dmarc.author.example": [{"TXT": f"v=DMARC1; p=reject; ruf=mailto:bob@{DOMAIN}"}],
    f"author.example._report._dmarc.{DOMAIN}": [{"TXT": "v=DMARC1"}],
    **KEYS,
}
SETTINGS = """
[[domain]]
name = "company.com.example"

[[dkim]]
domain = "company.com.example"
selector = "e1"
key = "e1.pem"

[dns]
zone = "zone.json"

[dmarc_report]
contact = "postmaster@company.com.example"
{failures}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    (tmp_path / "e1.pem").write_bytes(ed25519_pem())
    return tmp_path


def send(server: PurportServer, client: str) -> int:
    with smtplib.SMTP("127.0.0.1", server.port) as session:
        session.ehlo("client.example")
        session.docmd("XCLIENT", f"ADDR={client}")
        session.ehlo("client.example")
        session.mail("alice@author.example")
        session.rcpt(f"carol@{DOMAIN}")
        return session.data(f"From: alice@author.example\r\nTo: carol@{DOMAIN}\r\nSubject: t\r\n\r\nHello\r\n")[0]


def test_the_owner_hears_of_a_message_that_fails_and_of_no_other(folder: Path) -> None:
    with purport_server(folder, SETTINGS.format(failures="failures = true")) as server:
        assert send(server, "192.0.2.1") == 250
        assert send(server, "192.0.2.9") == 550
        new = folder / "state" / "maildir" / DOMAIN / "bob" / "new"
        wait_for(lambda: new.exists() and list(new.iterdir()))
        log = server.log()
    (file,) = new.iterdir()
    octets = crlf(file.read_bytes())
    assert octets.startswith(b"Return-Path: <>\r\n")
    (signature,) = check(octets, KEYS, 1e11)
    assert (signature.result, signature.domain) == ("pass", DOMAIN)
    for line in (b"Source-IP: 192.0.2.9", b"Delivery-Result: reject", b"Reported-Domain: author.example"):
        assert b"\r\n" + line + b"\r\n" in octets
    assert b"SPF-DNS: txt : author.example :" in octets
    assert b"Hello" not in octets
    assert b"carol" not in octets
    assert "DMARC failure report to author.example about " in log


def test_nobody_hears_of_anything_unless_the_settings_say_so(folder: Path) -> None:
    with purport_server(folder, SETTINGS.format(failures="")) as server:
        assert send(server, "192.0.2.9") == 550
        server.stop()
        assert "failure report" not in server.log()
    assert not (folder / "state" / "maildir" / DOMAIN).exists()
