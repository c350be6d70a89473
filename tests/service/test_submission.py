"""The submission service end to end: what users may say, what is added, and what the next hop hears."""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.peers import free_port, require_peer, wait_for
from support.purport_server import PurportServer, purport_server

PASSWORD = "open sesame"
SETTINGS = """
[[domain]]
name = "company.com.example"

[dns]
zone = "zone.json"

[[user]]
name = "alice"
password = "open sesame"
addresses = ["alice@company.com.example", "@alice.example"]

[relay]
default = "smtp:127.0.0.1:{next_port}"
"""
LISTENER = 'service = "submission"\nauth_without_tls = true'
ZONE = '{"company.com.example": [{"TXT": "v=spf1 -all"}], "alice.example": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}]}'
ALICE = "alice@company.com.example"


@pytest.fixture
def next_hop(tmp_path: Path) -> Iterator[PurportServer]:
    folder = tmp_path / "next"
    folder.mkdir()
    (folder / "zone.json").write_text(ZONE)
    with purport_server(folder, '[[domain]]\nname = "example.net"\n\n[dns]\nzone = "zone.json"\n') as server:
        yield server


@pytest.fixture
def server(tmp_path: Path, next_hop: PurportServer) -> Iterator[PurportServer]:
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, SETTINGS.format(next_port=next_hop.port), listener=LISTENER) as server:
        yield server


def submit(
    server: PurportServer, header: str, reverse_path: str = ALICE, to: str = "bob@company.com.example", *options: str
) -> str:
    """The reply that decided."""
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.login("alice", PASSWORD)
        code, text = client.mail(reverse_path, options)
        if code == 250:
            client.rcpt(to)
            code, text = client.data((header + "\n\nHello.\n").replace("\n", "\r\n").encode())
        return f"{code} {text.decode()}"


def delivered(folder: Path, domain: str = "company.com.example") -> str:
    new = folder / "state" / "maildir" / domain / "bob" / "new"
    wait_for(lambda: new.exists() and list(new.iterdir()))
    (file,) = new.iterdir()
    return file.read_text()


def test_a_user_sends_from_anywhere_and_what_is_missing_is_added(server: PurportServer, tmp_path: Path) -> None:
    """SPF of the domain allows nobody: it is not asked of who logged in."""
    queue_id = submit(server, f"From: {ALICE}\nSubject: t").split()[-1]
    header = delivered(tmp_path).partition("\n\n")[0]
    names = re.findall(r"^([A-Za-z-]+):", header, re.MULTILINE)
    assert names == ["Return-Path", "Delivered-To", "Received", "Date", "Message-ID", "From", "Subject"]
    assert f"\nMessage-ID: <{queue_id}@mx.company.com.example>\n" in header
    shown = server.command("explain", queue_id).stdout
    assert "login      alice (" in shown
    assert "login-owns-author: alice may send as alice@company.com.example" in shown
    assert "spf: the client logged in" in shown
    again = json.loads(server.command("explain", "--json", queue_id).stdout)
    assert again["decided_again"]["decision"] == again["decision"] == "accept"


@pytest.mark.parametrize(
    ("header", "reverse_path", "refusal"),
    [
        (f"From: {ALICE}", "ceo@company.com.example", "ceo@company.com.example: change the reverse-path (MAIL FROM)"),
        ("From: ceo@company.com.example", ALICE, "ceo@company.com.example: change From"),
        (f"From: {ALICE}\nSender: ceo@company.com.example", ALICE, "ceo@company.com.example: change Sender"),
        (f"Resent-From: ceo@company.com.example\nFrom: {ALICE}", ALICE, "ceo@company.com.example: change Resent-From"),
    ],
)
def test_a17_s14_nobody_sends_as_a_colleague(
    server: PurportServer, header: str, reverse_path: str, refusal: str
) -> None:
    assert submit(server, header, reverse_path) == f"550 5.7.1 alice may not send as {refusal}"
    record = json.loads(server.command("explain", "--json", "--last").stdout)
    assert record["rule"].startswith("login-owns-")
    assert record["decided_again"]["reply"] == record["reply"]


def test_a_submitter_is_bound_to_the_login_too(server: PurportServer) -> None:
    refused = submit(server, "", ALICE, "", "SUBMITTER=ceo@company.com.example")
    assert refused == "550 5.7.1 alice may not send as ceo@company.com.example: change SUBMITTER"
    assert submit(server, f"From: {ALICE}", ALICE, "bob@company.com.example", f"SUBMITTER={ALICE}").startswith("250 ")


def test_a_header_without_an_author_is_refused(server: PurportServer) -> None:
    assert submit(server, "Subject: t") == "554 5.6.0 The message cannot be sent: there is no From field"


def test_the_next_hop_hears_the_sender_that_was_added(
    tmp_path: Path, next_hop: PurportServer, server: PurportServer
) -> None:
    server.stop()
    server.settings.write_text(server.settings.read_text() + '\n[submission]\nauthor = "sender"\n')
    server.start()
    header = "From: carol@elsewhere.example\nSubject: t"
    assert submit(server, header, "list@alice.example", "bob@example.net").startswith("250 ")
    text = delivered(tmp_path / "next", "example.net")
    assert "\nSender: list@alice.example\nDate: " in text
    assert " submitter=<list@alice.example> pra=<list@alice.example> (sender)" in next_hop.log()
    record = json.loads(server.command("explain", "--json", "--last").stdout)
    assert record["pra"]["address"] == "list@alice.example"
    assert record["decided_again"]["decision"] == "accept"


def test_a_forged_header_in_chunks_is_refused_at_the_chunk_that_completes_it(server: PurportServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.login("alice", PASSWORD)
        client.mail(ALICE)
        client.rcpt("bob@company.com.example")
        header = b"From: ceo@company.com.example\r\n\r\n"
        client.send(b"BDAT %d\r\n%s" % (len(header), header))
        assert client.getreply()[0] == 550


def test_a_user_of_an_mx_listener_is_bound_as_well(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    listener = "auth = true\nauth_without_tls = true"
    with purport_server(tmp_path, SETTINGS.format(next_port=free_port()), listener=listener) as server:
        assert submit(server, "From: ceo@company.com.example").startswith("550 5.7.1 alice may not send as ceo@")


def test_swaks_sends_as_its_user(server: PurportServer) -> None:
    swaks = require_peer("swaks")
    for sender, code in ((ALICE, 0), ("ceo@company.com.example", 23)):
        ran = subprocess.run(
            [
                *(swaks, "--server", f"127.0.0.1:{server.port}", "--from", sender, "--to", "bob@company.com.example"),
                *("--auth", "PLAIN", "--auth-user", "alice", "--auth-password", PASSWORD),
            ],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert ran.returncode == code, ran.stdout
