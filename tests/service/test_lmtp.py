"""LMTP at a running server and from it, with Postfix as a client and Dovecot as a store (RFC 2033)."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from support.cli import purport
from support.dovecot_service import DovecotLmtp
from support.peers import require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer, purport_server

ZONE = '{"example.com": [{"TXT": "v=spf1 -all"}]}'
HERE = '[[domain]]\nname = "company.com.example"\nmailboxes = ["bob", "carol"]\n\n[dns]\nzone = "zone.json"\n'
LISTENER = 'service = "lmtp"'
MESSAGE = "From: alice@example.com\r\nTo: bob@company.com.example\r\nSubject: t\r\n\r\nHello.\r\n"


def mailbox(server: PurportServer, local_part: str) -> list[bytes]:
    new = server.folder / "state" / "maildir" / "company.com.example" / local_part / "new"
    return [file.read_bytes() for file in new.iterdir()] if new.exists() else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "zone.json").write_text(ZONE)
    return tmp_path


def test_a_message_has_one_reply_for_each_recipient(folder: Path) -> None:
    """SPF of the sender's domain allows nobody: of a server of our own it is not asked."""
    with purport_server(folder, HERE + '\n[spf]\non_fail = "reject"\n', listener=LISTENER) as server:
        with smtplib.LMTP("127.0.0.1", server.port) as client:
            client.ehlo("front.example")
            client.mail("alice@example.com")
            codes = [client.rcpt(f"{name}@company.com.example")[0] for name in ("bob", "nobody", "carol")]
            assert codes == [250, 550, 250]
            assert client.data(MESSAGE)[0] == 250
            assert client.getreply()[0] == 250  # smtplib itself reads one reply alone
        wait_for(lambda: mailbox(server, "bob") and mailbox(server, "carol"))
        assert b" with LMTP id " in mailbox(server, "bob")[0]
        with smtplib.LMTP("127.0.0.1", server.port) as client:
            client.connect("127.0.0.1", server.port)
            assert client.docmd("EHLO client.example")[0] == 500


def test_our_client_speaks_it(folder: Path) -> None:
    with purport_server(folder, HERE, listener=LISTENER) as server:
        send = ["send", "--from", "alice@example.com", "--to", "bob@company.com.example,carol@company.com.example"]
        ran = purport(*send, "--lmtp", "--server", f"127.0.0.1:{server.port}")
        assert ran.code == 0, ran.out
        assert "\n -> LHLO " in ran.out
        assert ran.out.count("<-  250 2.0.0 Ok: queued as ") == 2


@pytest.mark.peer
def test_postfix_hands_mail_over(folder: Path) -> None:
    require_peer("postfix")
    with purport_server(folder, HERE, listener=LISTENER) as server:
        postfix = Postfix(
            {
                "mydestination": "",
                "relay_domains": "company.com.example",
                "relay_transport": f"lmtp:inet:127.0.0.1:{server.port}",
            }
        )
        try:
            with smtplib.SMTP("127.0.0.1", postfix.port) as client:
                to = ["bob@company.com.example", "carol@company.com.example", "nobody@company.com.example"]
                client.sendmail("alice@example.com", to, MESSAGE)
            wait_for(lambda: mailbox(server, "bob") and mailbox(server, "carol"))
            wait_for(lambda: postfix.log().count("status=sent (250 2.0.0 Ok: queued as") == 2)
            wait_for(lambda: "to=<nobody@company.com.example>" in postfix.log())
            assert "status=bounced" in postfix.log()
        finally:
            postfix.stop()


@pytest.mark.peer
@pytest.mark.parametrize("way", ["port", "socket"])
def test_mail_is_handed_to_dovecot(folder: Path, way: str) -> None:
    dovecot = DovecotLmtp("bob@company.com.example", "carol@company.com.example")
    try:
        route = f"lmtp:127.0.0.1:{dovecot.port}" if way == "port" else f"lmtp:unix:{dovecot.socket}"
        settings = f'[[domain]]\nname = "company.com.example"\ndeliver = "{route}"\n\n[dns]\nzone = "zone.json"\n'
        with purport_server(folder, settings) as server:
            with smtplib.SMTP("127.0.0.1", server.port) as client:
                to = ["bob@company.com.example", "carol@company.com.example", "nobody@company.com.example"]
                client.sendmail("alice@example.com", to, MESSAGE)
            wait_for(
                lambda: dovecot.messages("bob@company.com.example") and dovecot.messages("carol@company.com.example"),
                what=f"the mail at Dovecot ({server.log()} {dovecot.log()})",
            )
            wait_for(lambda: server.log().count("status=sent (250 2.0.0 <") == 2)
            wait_for(lambda: "to=<nobody@company.com.example>" in server.log())
            assert "status=bounced (550 5.1.1 " in server.log()
            assert b"by mx.company.com.example (Purport)" in dovecot.messages("bob@company.com.example")[0]
    finally:
        dovecot.stop()


def test_lmtp_is_not_spoken_on_port_25(folder: Path) -> None:
    server = PurportServer(folder, HERE, listener=LISTENER)
    server.settings.write_text(server.settings.read_text().replace(f"127.0.0.1:{server.port}", "127.0.0.1:25"))
    ran = server.command("check")
    assert ran.returncode == 78
    assert "LMTP is not spoken on port 25" in ran.stderr
