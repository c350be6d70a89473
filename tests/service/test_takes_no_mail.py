"""Hosts and domains that take no mail (RFC 7504, RFC 7505): how we say so, and what becomes of mail for others."""

from __future__ import annotations

import json
import smtplib
import socket
from pathlib import Path

import pytest

from support.peers import free_port, wait_for
from support.purport_server import PurportServer, purport_server


def test_a_listener_can_say_that_this_host_takes_no_mail(tmp_path: Path) -> None:
    closed = free_port()
    settings = f'[[listener]]\nbind = ["127.0.0.1:{closed}"]\ntakes_mail = false\n'
    with purport_server(tmp_path, settings) as server:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", closed), 10) as client:
                assert client.makefile("rb").read() == b"521 5.3.2 Host does not accept mail\r\n"
        with pytest.raises(smtplib.SMTPConnectError):
            smtplib.SMTP("127.0.0.1", closed)
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            assert client.ehlo()[0] == 250


def test_mail_for_such_hosts_and_domains_is_returned_at_once(tmp_path: Path) -> None:
    """RFC 7504 section 3: the other host said so; RFC 7505 section 4.1: its domain did, and no host is asked."""
    closed = free_port()
    zone = {"nowhere.example": [{"MX": [0, "."]}], "alice.example": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}]}
    (tmp_path / "zone.json").write_text(json.dumps(zone))
    settings = f"""
[[listener]]
bind = ["127.0.0.1:{closed}"]
takes_mail = false

[[domain]]
name = "closed.example"
deliver = "smtp:127.0.0.1:{closed}"

[[domain]]
name = "nowhere.example"
deliver = "mx"

[[domain]]
name = "alice.example"

[dns]
zone = "zone.json"
"""
    with purport_server(tmp_path, settings) as server:
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            to = ["bob@closed.example", "bob@nowhere.example"]
            client.sendmail("alice@alice.example", to, "From: alice@alice.example\r\n\r\nHello\r\n")
        wait_for(lambda: server.log().count("status=bounced") == 2)
        assert "status=bounced (521 5.3.2 Host does not accept mail)" in server.log()
        assert (
            "dsn=5.1.10, status=bounced (556 5.1.10 Domain nowhere.example accepts no mail (null MX))" in server.log()
        )


def test_what_is_said_in_clear_does_not_go_with_tls_from_the_first_octet(tmp_path: Path) -> None:
    server = PurportServer(tmp_path, "", listener='tls = "implicit"\ntakes_mail = false')
    server.settings.write_text(server.settings.read_text() + '\n[[certificate]]\nchain = "x.pem"\n')
    ran = server.command("check")
    assert ran.returncode == 78
    assert "takes_mail" in ran.stderr
