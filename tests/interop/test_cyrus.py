"""Cyrus IMAP: it takes mail by LMTP, and what its users ask for in JMAP (RFC 8621 section 7) it says to our submission
service, as far as we offer it: a priority, a time, reports."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cyrus import Cyrus
from support.peers import require_peer, wait_for
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

ALICE = "alice@company.com.example"
BOB = "bob@company.com.example"
SUBMISSION = """
[[domain]]
name = "company.com.example"

[dns]
zone = "zone.json"

[future_release]
max_seconds = 864000

[[user]]
name = "cyrus"
password = "let me in"
addresses = ["@company.com.example"]
"""
MESSAGE = f"From: {ALICE}\r\nTo: {BOB}\r\nDate: Sat, 28 Nov 2026 03:00:00 +0000\r\nMessage-ID: <1@here.example>\r\n"
MESSAGE += "Subject: by LMTP\r\n\r\nHello.\r\n.\r\n..dots\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PurportServer]:
    require_peer("cyrus")
    (tmp_path / "zone.json").write_text("{}")
    with purport_server(tmp_path, SUBMISSION, listener='service = "submission"\nauth_without_tls = true') as running:
        yield running


@pytest.fixture
def cyrus(server: PurportServer) -> Iterator[Cyrus]:
    running = Cyrus(server.port, ("cyrus", "let me in"))
    with smtplib.LMTP("127.0.0.1", running.lmtp_port) as client:
        client.sendmail("", [ALICE], MESSAGE)  # which makes the mailbox
    yield running
    running.stop()


def test_its_user_sends_with_a_priority_by_a_time_and_wants_a_report(server: PurportServer, cyrus: Cyrus) -> None:
    offered = cyrus.account(ALICE)["urn:ietf:params:jmap:submission"]["submissionExtensions"]
    assert set(offered) == {"futurerelease", "size", "dsn", "deliverby", "mt-priority"}
    assert offered["mt-priority"] == ["mixer"]
    assert offered["futurerelease"][0] == "864000"
    asked = {"MT-PRIORITY": "3", "BY": "120;R", "RET": "HDRS", "ENVID": "QQ1"}
    done = cyrus.send(ALICE, BOB, asked, {"NOTIFY": "SUCCESS"})
    assert done["created"]["sent"]["undoStatus"] == "final", done
    wait_for(lambda: "sender delivery status notification" in server.log(), what="our report")
    assert "sasl_method=SCRAM-SHA-256, sasl_username=cyrus" in server.log()
    assert ", priority=3 (queue active)" in server.log()
    ledger = "".join(place.read_text() for place in (server.state_dir / "ledger").iterdir())
    (parameters,) = (told["parameters"] for told in map(json.loads, ledger.splitlines()) if "parameters" in told)
    assert f"MT-PRIORITY=3 BY=120;R RET=HDRS ENVID=QQ1 AUTH={ALICE}" in parameters


def test_it_takes_mail_by_lmtp(tmp_path: Path) -> None:
    require_peer("cyrus")
    (tmp_path / "zone.json").write_text("{}")
    there = Cyrus()
    try:
        deliver = f'[[domain]]\nname = "company.com.example"\ndeliver = "lmtp:127.0.0.1:{there.lmtp_port}"\n'
        with purport_server(tmp_path, f'{deliver}\n[dns]\nzone = "zone.json"\n') as server:
            with smtplib.SMTP("127.0.0.1", server.port) as client:
                client.sendmail("", [ALICE, BOB], MESSAGE)
            wait_for(lambda: server.log().count("status=sent") == 2, what="both deliveries in our log")
        messages = there.messages()
        assert len(messages) == 2
        assert all(message.endswith(MESSAGE.partition("\r\n")[2].encode()) for message in messages)
    finally:
        there.stop()
