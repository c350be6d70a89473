"""Purport sends on to other people's servers, and they send on through Purport."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest

from support.exim import Exim
from support.peers import require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import purport_server
from support.smtp_sink import smtp_sink

pytestmark = pytest.mark.peer

MESSAGE = b"From: alice@example.com\r\nTo: bob@%s\r\nSubject: %s\r\n\r\nHello.\r\n.\r\n..dots\r\n"
# " K" in Exim's log: CHUNKING was used (Exim specification, chapter 53).
CHUNKED = re.compile(r"<= .* K .*S=")
CHUNKED_OUT = re.compile(r"=> .* K ")
ZONE = '{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'


def settings(domain: str, deliver: str) -> str:
    return f'[[domain]]\nname = "{domain}"\ndeliver = "{deliver}"\n\n[dns]\nzone = "zone.json"\n'


def submit(port: int, domain: str, subject: bytes, **options: list[str]) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("alice@example.com", [f"bob@{domain}"], MESSAGE % (domain.encode(), subject), **options)


def folder_with_zone(tmp_path: Path) -> Path:
    (tmp_path / "zone.json").write_text(ZONE)
    return tmp_path


def test_purport_relays_to_postfix(tmp_path: Path) -> None:
    require_peer("postfix")
    postfix = Postfix({"mydestination": "", "relay_domains": "postfix.example", "relay_transport": "discard"})
    try:
        with purport_server(
            folder_with_zone(tmp_path), settings("postfix.example", f"smtp:127.0.0.1:{postfix.port}")
        ) as server:
            submit(server.port, "postfix.example", b"to Postfix")
            wait_for(lambda: "status=sent" in postfix.log() and "bob@postfix.example" in postfix.log())
            wait_for(
                lambda: re.search(r"status=sent \(250 2\.0\.0 Ok: \d+ bytes queued as", server.log()),
                what="the delivery in our log",
            )
        wait_for(lambda: "bdat=2" in postfix.log(), what="header and body in chunks in Postfix's log")
    finally:
        postfix.stop()


def test_postfix_takes_over_the_duty_to_report(tmp_path: Path) -> None:
    """RFC 3461 section 5.2.1: the requests go on to a next hop that offers DSN, and no report is ours."""
    require_peer("postfix")
    postfix = Postfix({"mydestination": "", "relay_domains": "postfix.example", "relay_transport": "discard"})
    try:
        with purport_server(
            folder_with_zone(tmp_path), settings("postfix.example", f"smtp:127.0.0.1:{postfix.port}")
        ) as server:
            rcpt = ["NOTIFY=SUCCESS", "ORCPT=rfc822;Robert@postfix.example"]
            submit(server.port, "postfix.example", b"t", mail_options=["ENVID=QQ+2B1"], rcpt_options=rcpt)
            wait_for(lambda: "sender delivery status notification" in postfix.log(), what="Postfix's report")
            assert "notification" not in server.log()
    finally:
        postfix.stop()


def test_purport_relays_to_exim(tmp_path: Path) -> None:
    require_peer("exim")
    exim = Exim("exim.example")
    try:
        with purport_server(
            folder_with_zone(tmp_path), settings("exim.example", f"smtp:127.0.0.1:{exim.port}")
        ) as server:
            submit(server.port, "exim.example", b"to Exim")
            wait_for(lambda: exim.messages(), what="the message at Exim")
            (message,) = exim.messages()
            assert b"Subject: to Exim" in message
            assert b"\n.\n..dots\n" in message
            assert CHUNKED.search(exim.log()), "the message came in chunks"
    finally:
        exim.stop()


def test_purport_relays_into_smtp_sink(tmp_path: Path) -> None:
    with (
        smtp_sink() as sink,
        purport_server(folder_with_zone(tmp_path), settings("sink.example", f"smtp:127.0.0.1:{sink.port}")) as server,
    ):
        for number in range(50):
            submit(server.port, "sink.example", b"number %d" % number)
        sink.wait_until(50)
        wait_for(lambda: server.log().count("status=sent") == 50, what="50 deliveries in our log")


def through_purport(tmp_path: Path, domain: str, send: Callable[[int], None], *, reported: bool = False) -> bytes:
    """What arrives in Purport's Maildir when `send` is told its port; `reported` where the sender asked for that."""
    with purport_server(folder_with_zone(tmp_path), settings(domain, "maildir")) as server:
        send(server.port)

        def arrived() -> list[bytes]:
            return [place.read_bytes() for place in (server.state_dir / "maildir").glob("**/new/*")]

        wait_for(arrived, what="the message in the Maildir")
        (message,) = arrived()
        assert "responsible submitter=" in server.log()
        if reported:
            wait_for(lambda: "sender delivery status notification" in server.log(), what="our report")
        return message


def test_postfix_relays_through_purport(tmp_path: Path) -> None:
    require_peer("postfix")

    def send(port: int) -> None:
        postfix = Postfix({"mydestination": "", "relayhost": f"[127.0.0.1]:{port}"})
        try:
            submit(postfix.port, "company.com.example", b"from Postfix", rcpt_options=["NOTIFY=SUCCESS"])
            wait_for(lambda: "status=sent" in postfix.log(), what="Postfix's delivery")
            assert "notification" not in postfix.log(), "Purport took over the duty to report"
        finally:
            postfix.stop()

    message = through_purport(tmp_path, "company.com.example", send, reported=True)
    assert b"Subject: from Postfix" in message
    assert b"with ESMTP" in message


def test_exim_relays_through_purport(tmp_path: Path) -> None:
    require_peer("exim")

    def send(port: int) -> None:
        exim = Exim("exim.example", next_port=port)
        try:
            submit(exim.port, "company.com.example", b"from Exim")
            wait_for(lambda: "Completed" in exim.log(), what="Exim's delivery")
            assert CHUNKED_OUT.search(exim.log()), "Exim sent it in chunks"
        finally:
            exim.stop()

    assert b"Subject: from Exim" in through_purport(tmp_path, "company.com.example", send)
