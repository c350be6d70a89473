"""Reports at a running server: what DMARC found is counted, and what goes out is signed."""

from __future__ import annotations

import asyncio
import gzip
import json
import smtplib
import time
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from xml.etree import ElementTree

import pytest

from purport.reporting.database import ReportDatabase
from purport.reporting.day import day_of, name_of
from purport.reporting.tls.counts import write
from support.dkim_keys import ed25519_key, ed25519_pem, zone
from support.dkim_suites import check, crlf
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server
from support.reporting import succeeded

DOMAIN = "company.com.example"
KEYS = zone(ed25519_key(), "e1", DOMAIN)
ZONE = {
    "author.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    "_dmarc.author.example": [
        {"TXT": f"v=DMARC1; p=reject; sp=quarantine; rua=mailto:bob@{DOMAIN},mailto:a@x.example"}
    ],
    "news.author.example": [{"TXT": "v=spf1 -all"}],
    "silent.example": [{"TXT": "v=spf1 -all"}],
    "_dmarc.silent.example": [{"TXT": "v=DMARC1; p=none"}],
    f"author.example._report._dmarc.{DOMAIN}": [{"TXT": "v=DMARC1"}],
    "_smtp._tls.author.example": [{"TXT": f"v=TLSRPTv1; rua=mailto:bob@{DOMAIN}"}],
    **KEYS,
}
SETTINGS = f"""
[[domain]]
name = "{DOMAIN}"
mailboxes = ["bob"]

[[dkim]]
domain = "{DOMAIN}"
selector = "e1"
key = "e1.pem"

[dns]
zone = "zone.json"

[tls_report]
contact = "postmaster@{DOMAIN}"

[dmarc_report]
contact = "postmaster@{DOMAIN}"
"""
NS = "{urn:ietf:params:xml:ns:dmarc-2.0}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    (tmp_path / "e1.pem").write_bytes(ed25519_pem())
    return tmp_path


def send(server: PurportServer, client: str, author: str, reverse_path: str) -> int:
    message = f"From: {author}\r\nTo: bob@{DOMAIN}\r\nSubject: t\r\n\r\nHello\r\n"
    with smtplib.SMTP("127.0.0.1", server.port) as session:
        session.ehlo("client.example")
        session.docmd("XCLIENT", f"ADDR={client}")
        session.ehlo("client.example")
        session.mail(reverse_path)
        session.rcpt(f"bob@{DOMAIN}")
        return session.data(message)[0]


def found(report: str) -> list[tuple[str | None, ...]]:
    names = ("source_ip", "count", "disposition", "dkim", "spf", "header_from", "envelope_from")
    return [
        tuple(next(record.iter(NS + name)).text for name in names)
        for record in ElementTree.fromstring(report).iter(NS + "record")
    ]


def test_every_message_is_counted_that_is_taken_or_refused_for_good(folder: Path) -> None:
    with purport_server(folder, SETTINGS) as server:
        for _ in range(2):
            assert send(server, "192.0.2.1", "alice@author.example", "alice@author.example") == 250
        assert send(server, "192.0.2.9", "alice@author.example", "mallory@evil.example") == 550
        assert send(server, "192.0.2.9", "alice@news.author.example", "") == 250
        assert send(server, "192.0.2.9", "alice@silent.example", "") == 250
        server.stop()
        today = name_of(day_of(time.time()))
        ran = server.command("report", "show", "dmarc", "author.example", "--date", today)
        listed = server.command("report", "list").stdout
    assert found(ran.stdout) == [
        ("192.0.2.1", "2", "pass", "fail", "pass", "author.example", "author.example"),
        ("192.0.2.9", "1", "reject", "fail", "fail", "author.example", "evil.example"),
        ("192.0.2.9", "1", "quarantine", "fail", "fail", "news.author.example", None),
    ]
    assert ran.stderr == f"note: goes to mailto:bob@{DOMAIN}\n"
    assert listed == f"{today} dmarc author.example: to be sent after the end of the day\n"


def test_a_login_is_not_counted_and_neither_is_what_comes_again(folder: Path) -> None:
    settings = SETTINGS + '\n[dmarc]\non_temperror = "defer"\n'
    slow = {**ZONE, "_dmarc.author.example": ["TIMEOUT"]}
    (folder / "zone.json").write_text(json.dumps(slow))
    with purport_server(folder, settings) as server:
        assert send(server, "192.0.2.1", "alice@author.example", "alice@author.example") == 450
        server.stop()
        assert server.command("report", "list").stdout == ""


def test_a_tls_report_goes_out_with_a_signature_of_its_domain(folder: Path) -> None:
    (folder / "state").mkdir()
    day = day_of(time.time()) - 1

    async def fill() -> None:
        database = ReportDatabase(folder / "state")
        await database.run(lambda connection: write(connection, day, {succeeded("author.example"): 3}))
        await database.close()

    asyncio.run(fill())
    with purport_server(folder, SETTINGS) as server:
        ran = server.command("report", "send", "tls", "author.example")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith("sent: queued as ")
        new = folder / "state" / "maildir" / DOMAIN / "bob" / "new"
        wait_for(lambda: new.exists() and list(new.iterdir()))
        listed = server.command("report", "list").stdout
        assert listed.startswith(f"{name_of(day)} tls   author.example: sent: queued as ")
    (file,) = new.iterdir()
    octets = crlf(file.read_bytes())
    (signature,) = check(octets, KEYS, time.time())
    assert (signature.result, signature.domain) == ("pass", DOMAIN)
    message = message_from_bytes(octets, EmailMessage)
    attached = message.get_payload(1)
    assert isinstance(attached, EmailMessage)
    told = json.loads(gzip.decompress(attached.get_payload(decode=True)))  # type: ignore[arg-type]
    assert told["policies"][0]["summary"]["total-successful-session-count"] == 3
