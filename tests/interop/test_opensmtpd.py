"""OpenSMTPD as the next hop of Purport, and as its client, in clear, under TLS, and logged in.

As a server it is spoken to in clear alone: the TLS of Debian 12's OpenSMTPD 6.8.0p2 fails with OpenSSL 3 in every
handshake (its issue 1171), for any client.
"""

from __future__ import annotations

import re
import smtplib
from pathlib import Path

import pytest

from support.certificates import Authority
from support.opensmtpd import OpenSmtpd
from support.peers import require_peer, wait_for
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

ZONE = '{"company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
HEADER = "From: Alice <alice@company.com.example>\r\nTo: bob@%s\r\nSubject: %s\r\n"
BODY = "\r\nHello.\r\n.\r\n..dots\r\n"
SUBMISSION = """
[[domain]]
name = "company.com.example"

[dns]
zone = "zone.json"

[[user]]
name = "alice"
password = "open sesame"

[[certificate]]
chain = "{chain}"
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    require_peer("opensmtpd")
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("localhost")
    authority.bundle.chmod(0o644)
    return authority


def submit(port: int, domain: str, subject: str, **options: list[str]) -> None:
    message = (HEADER % (domain, subject) + BODY).encode()
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("alice@company.com.example", [f"bob@{domain}"], message, **options)


def test_purport_relays_to_opensmtpd(tmp_path: Path) -> None:
    """It offers no PIPELINING: one command, one reply."""
    require_peer("opensmtpd")
    there = OpenSmtpd("there.example")
    (tmp_path / "zone.json").write_text(ZONE)
    settings = (
        f'[[domain]]\nname = "there.example"\ndeliver = "smtp:127.0.0.1:{there.port}"\n\n[dns]\nzone = "zone.json"\n'
    )
    ours = PurportServer(tmp_path, settings)
    try:
        ours.start()
        submit(ours.port, "there.example", "in clear", mail_options=["ENVID=QQ1"], rcpt_options=["NOTIFY=FAILURE"])
        wait_for(there.messages, what="the message at OpenSMTPD")
        (message,) = there.messages()
        assert b"Subject: in clear\n" in message
        assert message.endswith(b"\n\nHello.\n.\n..dots\n")
        wait_for(lambda: "status=sent" in ours.log(), what="the delivery in our log")
    finally:
        ours.stop()
        there.stop()


@pytest.mark.parametrize("tls", [False, True], ids=["in clear", "under TLS"])
def test_opensmtpd_relays_through_purport(tmp_path: Path, authority: Authority, tls: bool) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    certificate = f'[[certificate]]\nchain = "{authority.folder / "server.pem"}"\n' if tls else ""
    settings = f'[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\n\n{certificate}'
    with purport_server(tmp_path, settings) as ours:
        there = OpenSmtpd(
            smarthost=f"smtp+{'tls' if tls else 'notls'}://localhost:{ours.port}", authorities=authority.bundle
        )
        try:
            submit(there.port, "company.com.example", "from OpenSMTPD", rcpt_options=["NOTIFY=SUCCESS"])
            arrived = ours.state_dir / "maildir/company.com.example/bob/new"
            wait_for(lambda: arrived.exists() and list(arrived.iterdir()), what="the message here")
            (message,) = (place.read_bytes() for place in arrived.iterdir())
            assert b"Subject: from OpenSMTPD" in message
            assert message.endswith(b"\n\nHello.\n.\n..dots\n")
            assert (b"with ESMTPS" in message) == tls
            wait_for(
                lambda: "sender delivery status notification" in ours.log(), what="our report: it passed NOTIFY on"
            )
        finally:
            there.stop()


def test_opensmtpd_submits_to_purport_logged_in(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    settings = SUBMISSION.format(chain=authority.folder / "server.pem")
    with purport_server(tmp_path, settings, listener='service = "submission"') as ours:
        there = OpenSmtpd(
            smarthost=f"smtp+tls://us@localhost:{ours.port}",
            before='table secrets { us = "alice:open sesame" }',
            relay="auth <secrets>",
            authorities=authority.bundle,
        )
        try:
            submit(there.port, "company.com.example", "logged in")
            wait_for(lambda: "status=sent" in ours.log(), what="the delivery in our log")
            assert re.search(r"sasl_method=(PLAIN|LOGIN), sasl_username=alice", ours.log())
            (message,) = (ours.state_dir / "maildir/company.com.example/bob/new").iterdir()
            assert b"with ESMTPSA" in message.read_bytes()
        finally:
            there.stop()
