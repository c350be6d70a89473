"""ETRN (RFC 1985) with Postfix on either side."""

from __future__ import annotations

import re
import smtplib
from pathlib import Path

import pytest

from support.cli import purport
from support.peers import free_port, require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

MESSAGE = b"From: alice@example.com\r\nSubject: t\r\n\r\nHello\r\n"
ZONE = '{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
PROVIDER = """
[[domain]]
name = "company.com.example"
deliver = "smtp:127.0.0.1:%d"

[[etrn]]
networks = ["127.0.0.0/8"]
domains = ["company.com.example"]

[dns]
zone = "zone.json"
"""


def test_postfix_sends_what_waits_when_we_ask_for_it(tmp_path: Path) -> None:
    require_peer("postfix")
    (tmp_path / "zone.json").write_text(ZONE)
    ours = PurportServer(
        tmp_path, '[[domain]]\nname = "company.com.example"\n[dns]\nzone = "zone.json"\n', "mail.company.com.example"
    )
    postfix = Postfix(
        {
            "mydestination": "",
            "relay_domains": "company.com.example",
            "relay_transport": f"smtp:[127.0.0.1]:{ours.port}",
            "fast_flush_domains": "company.com.example",
            "smtpd_etrn_restrictions": "permit_mynetworks, reject",
        }
    )
    try:
        with smtplib.SMTP("127.0.0.1", postfix.port) as client:
            client.sendmail("alice@example.com", "bob@company.com.example", MESSAGE)
        wait_for(lambda: "status=deferred" in postfix.log(), what="the first attempt")
        ours.start()
        ran = purport("etrn", f"127.0.0.1:{postfix.port}", "company.com.example", "--helo", "mail.company.com.example")
        assert ran.code == 0, ran.out
        assert re.search(r"^<-  250 .*Queuing started$", ran.out, re.MULTILINE), ran.out
        wait_for(lambda: "status=sent" in postfix.log(), 60, "the delivery")
        assert purport("etrn", f"127.0.0.1:{postfix.port}", "nobody.example").code == 75
    finally:
        postfix.stop()
        if ours.process is not None:
            ours.stop()


def test_postfix_gets_what_waits_for_it_once_it_is_back(tmp_path: Path) -> None:
    """Asked for by smtplib, delivered to Postfix."""
    require_peer("postfix")
    (tmp_path / "zone.json").write_text(ZONE)
    port = free_port()
    with purport_server(tmp_path, PROVIDER % port, "mx.provider.example") as provider:
        with smtplib.SMTP("127.0.0.1", provider.port) as client:
            client.sendmail("alice@example.com", "bob@company.com.example", MESSAGE)
        wait_for(lambda: "status=deferred" in provider.log(), what="the first attempt")
        settings = {"mydestination": "", "relay_domains": "company.com.example", "relay_transport": "discard"}
        postfix = Postfix(settings, port=port)
        try:
            with smtplib.SMTP("127.0.0.1", provider.port) as client:
                client.ehlo("mail.company.com.example")
                assert client.has_extn("etrn")
                assert client.docmd("ETRN", "company.com.example")[0] == 253
            wait_for(lambda: "status=sent" in provider.log(), what="the delivery")
            wait_for(lambda: "to=<bob@company.com.example>" in postfix.log(), what="the message at Postfix")
        finally:
            postfix.stop()
