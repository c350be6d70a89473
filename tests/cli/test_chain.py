"""`purport chain`."""

from __future__ import annotations

import json
import smtplib
import time
from pathlib import Path

from purport.mail.trace import date
from support.cli import purport
from support.dkim_keys import rsa_key, signed, zone
from support.next_hop import next_hop
from support.peers import wait_for
from support.purport_server import purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"
forwards = {{ carol = ["carol@elsewhere.example"] }}

[forwarding]
repair = "both"

[relay]
default = "smtp:127.0.0.1:{port}"

[dns]
zone = "zone.json"
"""


def test_a_message_that_was_forwarded_is_told_hop_by_hop(tmp_path: Path) -> None:
    key = rsa_key()
    records = {
        "example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
        "company.com.example": [{"TXT": "v=spf1 ip4:192.0.2.25 -all"}],
        **zone(key),
    }
    (tmp_path / "zone.json").write_text(json.dumps(records))
    with next_hop() as hop, purport_server(tmp_path, SETTINGS.format(port=hop.port)) as server:
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("example.com")
            client.docmd("XCLIENT ADDR=127.0.0.9")
            client.ehlo("example.com")
            options = ["SUBMITTER=alice@example.com"]
            client.sendmail("alice@example.com", ["carol@company.com.example"], signed(key=key), mail_options=options)
        wait_for(lambda: hop.transactions)
        (one,) = hop.transactions
        path = one.mail.removeprefix("MAIL FROM:").partition(" ")[0]
        last = (
            b"Return-Path: %s\r\nReceived: from mx.company.com.example ([192.0.2.25])\r\n"
            b"\tby mx.elsewhere.example; %s\r\n" % (path.encode(), date(time.time()).encode())
        )
        file = tmp_path / "forwarded.eml"
        file.write_bytes(last + one.message)
        words = ["chain", str(file), "--trust", "mx.elsewhere.example", "--config", str(server.settings)]
        told = server.command(*words)
        assert told.returncode == 0, told.stdout + told.stderr
        lines = told.stdout.splitlines()
        assert lines[0] == "carol@company.com.example sent it on last: proven"
        assert lines[2].split() == ["hop", "server", "responsible", "status"]
        hops = {found["hop"]: found for found in json.loads(server.command(*words, "--json").stdout)["hops"]}
        assert [hops[number]["status"] for number in range(3)] == ["proven", "proven", "claimed"]
        texts = {number: " | ".join(one["text"] for one in hops[number]["evidence"]) for number in hops}
        assert "DKIM of example.com holds over from" in texts[0]
        assert "SUBMITTER=alice@example.com, Sender ID pass (our record" in texts[0]
        assert "Sender ID of company.com.example is pass" in texts[1]
        assert "leads back to alice@example.com: the hash is ours" in texts[1]
        assert hops[1]["responsible"] == "carol@company.com.example"
        assert hops[1]["field"] == "resent-from"


def test_what_is_contradicted_is_an_exit_code_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text('{"example.com": [{"TXT": "v=spf1 -all"}]}')
    file = tmp_path / "forged.eml"
    file.write_text("Received: from x ([198.51.100.7]) by mx.elsewhere.example; x\nFrom: alice@example.com\n\nHello\n")
    ran = purport("chain", str(file), "--zone", str(tmp_path / "zone.json"))
    assert ran.code == 1
    assert ran.lines[0] == "alice@example.com sent it on last: contradicted"
    assert any(line.startswith("     ! mx.elsewhere.example had it from 198.51.100.7") for line in ran.lines)


def test_a_message_without_hops_is_its_authors(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text("{}")
    file = tmp_path / "new.eml"
    file.write_text("From: alice@example.com\n\nHello\n")
    ran = purport("chain", str(file), "--zone", str(tmp_path / "zone.json"))
    assert ran.code == 0
    assert ran.lines[0] == "alice@example.com sent it on last: claimed"
