"""Dovecot's submission service between a client and Purport: it lets the client in, says so by XCLIENT, and passes on
BINARYMIME, in chunks."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dovecot_service import DovecotSubmission
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

SETTINGS = '[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\n'
ALICE = "alice@company.com.example"
BOB = "bob@company.com.example"
HEADER = (
    f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: octets\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
)
# Without a bare LF: Dovecot would add a CR.
BODY = b"\r\n\0\1\xff\xfe" + b"long " * 400 + b"\r\n.\r\n..\r\n"
MESSAGE = HEADER.encode() + b"Content-Transfer-Encoding: binary\r\n" + BODY


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PurportServer]:
    (tmp_path / "zone.json").write_text("{}")
    with purport_server(tmp_path, SETTINGS) as running:
        yield running


@pytest.fixture
def dovecot(server: PurportServer) -> Iterator[DovecotSubmission]:
    running = DovecotSubmission(server.port, {"alice": "open sesame"})
    yield running
    running.stop()


def arrived(server: PurportServer) -> bytes:
    folder = server.state_dir / "maildir/company.com.example/bob/new"
    wait_for(lambda: folder.exists() and list(folder.iterdir()), what="the message in the Maildir")
    (message,) = folder.iterdir()
    return message.read_bytes()


def test_it_tells_by_xclient_whom_it_let_in(server: PurportServer, dovecot: DovecotSubmission) -> None:
    with smtplib.SMTP("127.0.0.1", dovecot.port, source_address=("127.0.0.3", 0)) as client:
        client.ehlo("client.example")
        client.login("alice", "open sesame")
        client.sendmail(ALICE, BOB, HEADER + "\r\nHello.\r\n", rcpt_options=["NOTIFY=SUCCESS"])
    assert b"with ESMTPA" in arrived(server)
    queue_id = server.log().partition(": client=")[0].rpartition(" ")[2]
    told = json.loads(server.command("explain", queue_id, "--json").stdout)
    assert told["client"]["address"] == "127.0.0.3"
    assert told["client"]["login"]["name"] == "alice"
    wait_for(lambda: "sender delivery status notification" in server.log(), what="our report")


def test_it_passes_on_any_octets_in_chunks(server: PurportServer, dovecot: DovecotSubmission) -> None:
    with smtplib.SMTP("127.0.0.1", dovecot.port) as client:
        client.ehlo("client.example")
        client.login("alice", "open sesame")
        client.mail(ALICE, ["BODY=BINARYMIME"])
        client.rcpt(BOB)
        for piece, last in ((MESSAGE[:20], b""), (MESSAGE[20:], b" LAST")):
            client.send(b"BDAT %d%s\r\n%s" % (len(piece), last, piece))
            assert client.getreply()[0] == 250
    assert arrived(server).endswith(MESSAGE)


def test_our_client_logs_in_and_sends_it_any_octets(
    server: PurportServer, dovecot: DovecotSubmission, tmp_path: Path
) -> None:
    folder = tmp_path / "relay"
    folder.mkdir()
    (folder / "zone.json").write_text("{}")
    (folder / "password").write_text("open sesame\n")
    relay = f'[relay]\ndefault = "smtp:127.0.0.1:{dovecot.port}"\nnetworks = ["127.0.0.0/8"]\nuser = "alice"\n'
    settings = f'[dns]\nzone = "zone.json"\n\n{relay}password_file = "password"\nauth_without_tls = true\n'
    with purport_server(folder, settings, "relay.example") as ours, smtplib.SMTP("127.0.0.1", ours.port) as client:
        client.ehlo("client.example")
        client.mail(ALICE, ["BODY=BINARYMIME"])
        client.rcpt(BOB)
        client.send(b"BDAT %d LAST\r\n%s" % (len(MESSAGE), MESSAGE))
        assert client.getreply()[0] == 250
        assert arrived(server).endswith(MESSAGE)
        wait_for(lambda: "status=sent" in ours.log(), what="the delivery in our log")
