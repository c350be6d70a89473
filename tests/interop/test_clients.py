"""Other people's clients send to Purport, and the message is in the Maildir."""

from __future__ import annotations

import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.peers import require_peer, wait_for
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob", "postmaster"]
deliver = "maildir"

[dns]
zone = "zone.json"
"""
ZONE = '{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}], "bank.example": [{"TXT": "v=spf1 -all"}]}'
MESSAGE = b"From: Alice <alice@example.com>\r\nTo: bob@company.com.example\r\nSubject: From %s\r\n\r\nHello, Bob.\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("clients")
    (folder / "zone.json").write_text(ZONE)
    with purport_server(folder, SETTINGS) as running:
        yield running


def arrived(server: PurportServer, text: bytes) -> list[bytes]:
    places = (server.state_dir / "maildir").glob("**/new/*")
    return [found for place in places if text in (found := place.read_bytes())]


def expect(server: PurportServer, text: bytes) -> bytes:
    wait_for(lambda: arrived(server, text), what=f"{text!r} in the Maildir")
    (message,) = arrived(server, text)
    assert message.startswith(b"Return-Path: <alice@example.com>")
    assert b"\nReceived: from" in message
    return message


def test_smtplib_sends_to_purport(server: PurportServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("alice@example.com", ["bob@company.com.example"], MESSAGE % b"smtplib")
    expect(server, b"Subject: From smtplib")


def test_smtplib_names_a_submitter_that_is_allowed(server: PurportServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        assert client.has_extn("SUBMITTER")
        client.sendmail(
            "alice@example.com",
            ["bob@company.com.example"],
            MESSAGE % b"a submitter",
            mail_options=["SUBMITTER=alice@example.com"],
        )
    expect(server, b"Subject: From a submitter")


def test_smtplib_is_refused_at_mail_for_a_forged_submitter(server: PurportServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client, pytest.raises(smtplib.SMTPSenderRefused) as refusal:
        client.sendmail(
            "alice@example.com",
            ["bob@company.com.example"],
            MESSAGE % b"a forger",
            mail_options=["SUBMITTER=ceo@bank.example"],
        )
    assert (refusal.value.smtp_code, refusal.value.smtp_error) == (550, b"5.7.1 Submitter not allowed.")
    assert not arrived(server, b"Subject: From a forger")


def test_swaks_sends_to_purport(server: PurportServer) -> None:
    done = subprocess.run(
        [
            require_peer("swaks"), "--server", f"127.0.0.1:{server.port}", "--from", "alice@example.com",
            "--to", "bob@company.com.example", "--header", "Subject: From swaks", "--h-From", "alice@example.com",
        ],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "queued as" in done.stdout
    expect(server, b"Subject: From swaks")


def test_curl_sends_to_purport(server: PurportServer, tmp_path: Path) -> None:
    message = tmp_path / "message"
    message.write_bytes(MESSAGE % b"curl")
    done = subprocess.run(
        [
            require_peer("curl"), "--silent", "--show-error", "--url", f"smtp://127.0.0.1:{server.port}/client.example",
            "--mail-from", "alice@example.com", "--mail-rcpt", "bob@company.com.example", "--upload-file", str(message),
        ],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expect(server, b"Subject: From curl")


def test_msmtp_sends_to_purport(server: PurportServer) -> None:
    done = subprocess.run(
        [
            require_peer("msmtp"), "--file=/dev/null", "--host=127.0.0.1", f"--port={server.port}",
            "--from=alice@example.com", "--tls=off", "--auth=off", "bob@company.com.example",
        ],
        input=(MESSAGE % b"msmtp").replace(b"\r\n", b"\n"), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expect(server, b"Subject: From msmtp")


def test_smtp_source_sends_many_at_once(server: PurportServer) -> None:
    done = subprocess.run(
        [
            require_peer("smtp-source"), "-s", "10", "-m", "100", "-l", "2048", "-f", "alice@example.com",
            "-t", "postmaster@company.com.example", "-S", "From smtp-source", f"127.0.0.1:{server.port}",
        ],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wait_for(lambda: len(arrived(server, b"From smtp-source")) == 100, what="100 messages in the Maildir")
