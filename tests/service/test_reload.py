"""SIGHUP: new settings for who comes from then on; who is there keeps the old ones, and all do where the new fail."""

from __future__ import annotations

import json
import smtplib
from pathlib import Path

from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"

[dns]
zone = "zone.json"

[submitter]
reject_at = "mail"
"""
FORGED = ["SUBMITTER=ceo@bank.example"]
REFUSED = (550, b"5.7.1 Submitter not allowed.")


def start(folder: Path) -> None:
    (folder / "zone.json").write_text('{"bank.example": [{"TXT": "v=spf1 -all"}]}')


def records(server: PurportServer) -> list[dict[str, object]]:
    told = server.command("explain", "--last", "10", "--json").stdout
    return [json.loads(line) for line in told.splitlines()]


def test_a_session_keeps_the_settings_it_began_with(tmp_path: Path) -> None:
    start(tmp_path)
    with purport_server(tmp_path, SETTINGS) as server, smtplib.SMTP("127.0.0.1", server.port) as before:
        before.ehlo("before.example")
        text = server.settings.read_text()
        server.settings.write_text(text.replace('reject_at = "mail"', 'reject_at = "rcpt"'))
        server.reload()
        wait_for(lambda: "the settings were read again" in server.log())
        assert before.mail("<>", FORGED) == REFUSED
        with smtplib.SMTP("127.0.0.1", server.port) as after:
            after.ehlo("after.example")
            assert after.mail("<>", FORGED)[0] == 250
            assert after.rcpt("bob@company.com.example") == REFUSED
        wait_for(lambda: len(records(server)) == 2)
        newest, oldest = records(server)
        for record, stage in ((newest, "rcpt"), (oldest, "mail")):
            policy = record["policy"]
            assert isinstance(policy, dict)
            assert policy["reject_at"] == stage
            assert record["decided_again"] == {key: record[key] for key in ("decision", "rule", "reply")}


def test_broken_settings_leave_the_old_ones_in_force(tmp_path: Path) -> None:
    start(tmp_path)
    with purport_server(tmp_path, SETTINGS) as server:
        server.settings.write_text(server.settings.read_text().replace("reject_at", "regect_at"))
        server.reload()
        wait_for(lambda: "the old settings stay in force" in server.log())
        assert 'did you mean "reject_at"?' in server.log()
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("client.example")
            assert client.mail("<>", FORGED) == REFUSED
        server.settings.write_text(server.settings.read_text().replace("regect_at", "reject_at"))
        assert server.stop() == 0
