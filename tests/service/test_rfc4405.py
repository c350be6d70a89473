"""RFC 4405 over real sockets: what SUBMITTER does not change, and what is left to releases to come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from purport.smtp.extensions import ALL
from support.peers import free_port, wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob", "postmaster"]

[[domain]]
name = "down.example"
deliver = "smtp:127.0.0.1:{port}"

[dns]
zone = "zone.json"
"""
ZONE = {"example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}], "bank.example": [{"TXT": "v=spf1 -all"}]}
HEADER = b"Reply-To: replies@example.com\r\nFrom: alice@example.com\r\nSubject: hi\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("rfc4405")
    (folder / "zone.json").write_text(json.dumps(ZONE))
    with purport_server(folder, SETTINGS.format(port=free_port())) as running:
        yield running


def dialogue(server: PurportServer, *lines: bytes) -> list[bytes]:
    """The last line of each reply."""
    import socket

    replies = []
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        reader = connection.makefile("rb")
        reader.readline()
        for line in (b"EHLO client.example", *lines):
            connection.sendall(line + b"\r\n")
            reply = reader.readline()
            while reply[3:4] == b"-":
                reply = reader.readline()
            replies.append(reply.rstrip())
    return replies[1:]


def send(server: PurportServer, submitter: bytes, subject: bytes) -> bytes:
    """The reply to the end of data."""
    return dialogue(
        server,
        b"MAIL FROM:<alice@example.com> SUBMITTER=" + submitter,
        b"RCPT TO:<bob@company.com.example>",
        b"DATA",
        HEADER.replace(b"hi", subject) + b"\r\nHello\r\n.",
    )[-1]


def arrived(folder: Path, text: bytes) -> list[bytes]:
    return [found for place in folder.glob("maildir/**/new/*") if text in (found := place.read_bytes())]


def test_r12_r23_r24_the_header_is_delivered_as_it_came(server: PurportServer) -> None:
    """No field is added below the trace, and the fields that replies go to are those of the originator."""
    assert send(server, b"alice@example.com", b"as it came").startswith(b"250")
    wait_for(lambda: arrived(server.state_dir, b"as it came"))
    (message,) = arrived(server.state_dir, b"as it came")
    kept = HEADER.replace(b"hi", b"as it came").replace(b"\r\n", b"\n")
    assert message.replace(b"\r\n", b"\n").endswith(kept + b"\nHello\n")
    assert message.startswith(b"Return-Path: <alice@example.com>")
    assert message.count(b"Reply-To:") == 1


def test_r15_nothing_of_a_forged_message_is_taken(server: PurportServer) -> None:
    replies = dialogue(server, b"MAIL FROM:<alice@example.com> SUBMITTER=ceo@bank.example", b"RCPT TO:<bob@x>", b"DATA")
    assert replies[0] == b"550 5.7.1 Submitter not allowed."
    assert [reply[:3] for reply in replies[1:]] == [b"503", b"503"]


def test_r27_the_extension_is_one_of_those_that_are_registered() -> None:
    assert [extension.rfc for extension in ALL if extension.keyword == "SUBMITTER"] == [4405]


def test_t22_a_mismatch_in_chunks_is_refused_and_the_next_transaction_works(server: PurportServer) -> None:
    replies = dialogue(
        server,
        b"MAIL FROM:<alice@example.com> SUBMITTER=eve@example.com",
        b"RCPT TO:<bob@company.com.example>",
        b"BDAT %d LAST\r\n" % (len(HEADER) + 2) + HEADER,
        b"MAIL FROM:<alice@example.com> SUBMITTER=alice@example.com",
    )
    assert [reply[:3] for reply in replies] == [b"250", b"250", b"550", b"250"]
    assert replies[2] == b"550 5.7.1 Submitter does not match header."


def test_t7_a_control_octet_in_the_value_reaches_no_log(server: PurportServer) -> None:
    (reply,) = dialogue(server, b"MAIL FROM:<alice@example.com> SUBMITTER=evil+0D+0Aforged@example.com")
    assert reply.startswith(b"501 5.5.4")
    assert "forged" not in server.log()


def test_the_decision_of_a_refused_message_can_be_explained(server: PurportServer) -> None:
    send(server, b"eve@example.com", b"explain me")
    told = server.command("explain", "--last", "1")
    assert told.returncode == 0, told.stderr
    assert "submitter-matches-header" in told.stdout
    assert "550 5.7.1 Submitter does not match header." in told.stdout
    (line,) = server.command("explain", "--last", "1", "--json").stdout.splitlines()
    record = json.loads(line)
    assert record["decided_again"] == {key: record[key] for key in ("decision", "rule", "reply")}
    by_id = server.command("explain", record["id"])
    assert by_id.stdout == told.stdout
