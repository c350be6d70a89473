"""SMTPUTF8 end to end: through a running server to another one, into a mailbox, and to a host without it."""

from __future__ import annotations

import email
import email.policy
import json
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.peers import free_port, require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer, purport_server

ZONE = '{"xn--bcher-kva.example": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}]}'
MAILBOXES = """
[[domain]]
name = "bücher.example"
mailboxes = ["élise", "alice"]

[dns]
zone = "zone.json"
"""
RELAYING = """
[[domain]]
name = "bücher.example"
mailboxes = ["élise", "alice"]

[[domain]]
name = "elsewhere.example"
deliver = "smtp:127.0.0.1:{port}"

[dns]
zone = "zone.json"
"""
HEADER = "From: Élise <élise@bücher.example>\r\nTo: {to}\r\nSubject: Grüße\r\n\r\nHello\r\n"
PLAIN = "From: alice@xn--bcher-kva.example\r\nSubject: t\r\n\r\nHello\r\n"


def folder(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    (made / "zone.json").write_text(ZONE)
    return made


def submit(port: int, message: str, sender: str, *to: str) -> str:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.command_encoding = "utf-8"
        client.mail(sender, ["SMTPUTF8", "BODY=8BITMIME"])
        for address in to:
            code, text = client.rcpt(address)
            assert code == 250, text
        code, text = client.data(message.encode())
        return f"{code} {text.decode()}"


def mailbox(folder: Path, local_part: str) -> list[bytes]:
    new = folder / "state" / "maildir" / "xn--bcher-kva.example" / local_part / "new"
    return [file.read_bytes() for file in new.iterdir()] if new.exists() else []


def test_a_mailbox_beyond_ascii_gets_its_mail(tmp_path: Path) -> None:
    place = folder(tmp_path, "here")
    with purport_server(place, MAILBOXES) as server:
        said = submit(
            server.port, HEADER.format(to="élise@bücher.example"), "élise@bücher.example", "ÉLISE@BÜCHER.example"
        )
        assert said.startswith("250 ")
        wait_for(lambda: mailbox(place, "%c3%a9lise"))
        (octets,) = mailbox(place, "%c3%a9lise")
        assert octets.startswith("Return-Path: <élise@bücher.example>\n".encode())
        assert b" with UTF8SMTP id " in octets
        assert "\n\tfor <ÉLISE@BÜCHER.example>".encode() in octets
        shown = server.command("explain", said.split()[-1]).stdout
        assert "mail from  <élise@bücher.example>" in shown
        assert "SPF (mfrom) of xn--bcher-kva.example is pass" in shown
        assert "PRA        élise@bücher.example (field from" in shown
        again = json.loads(server.command("explain", "--json", said.split()[-1]).stdout)
        assert again["decided_again"]["decision"] == "accept"
        assert "from=<\\xe9lise@b\\xfccher.example>" in server.log()


@pytest.fixture
def without(tmp_path: Path) -> Iterator[PurportServer]:
    listener = 'discard_ehlo_keywords = ["SMTPUTF8"]'
    settings = '[[domain]]\nname = "elsewhere.example"\n\n[dns]\nzone = "zone.json"\n'
    with purport_server(folder(tmp_path, "without"), settings, listener=listener) as server:
        yield server


def test_it_goes_on_in_utf8_to_a_host_that_offers_it(tmp_path: Path) -> None:
    settings = '[[domain]]\nname = "elsewhere.example"\n\n[dns]\nzone = "zone.json"\n'
    place = folder(tmp_path, "here")
    with (
        purport_server(folder(tmp_path, "next"), settings) as next_hop,
        purport_server(place, RELAYING.format(port=next_hop.port)) as server,
    ):
        submit(
            server.port, HEADER.format(to="jörg@elsewhere.example"), "élise@bücher.example", "jörg@elsewhere.example"
        )
        wait_for(lambda: "queue active" in next_hop.log())
        assert " submitter=<\\xe9lise@b\\xfccher.example> pra=<\\xe9lise@b\\xfccher.example>" in next_hop.log()
        new = next_hop.folder / "state" / "maildir" / "elsewhere.example" / "j%c3%b6rg" / "new"
        wait_for(lambda: new.exists() and list(new.iterdir()))


def test_to_a_host_without_it_nothing_is_downgraded_and_the_sender_is_told(
    tmp_path: Path, without: PurportServer
) -> None:
    place = folder(tmp_path, "here")
    with purport_server(place, RELAYING.format(port=without.port)) as server:
        submit(server.port, HEADER.format(to="bob@elsewhere.example"), "élise@bücher.example", "bob@elsewhere.example")
        wait_for(lambda: mailbox(place, "%c3%a9lise"))
        assert "status=bounced (553 5.6.7 " in server.log()
        assert "queue active" not in without.log()
        (octets,) = mailbox(place, "%c3%a9lise")
        report = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
        assert report["To"] == "élise@bücher.example"
        told, status, returned = report.iter_parts()
        assert "that need SMTPUTF8" in " ".join(told.get_content().split())
        assert status.get_content_type() == "message/delivery-status"
        assert returned.get_content_type() == "message/global-headers"
        assert b"\nSubject: Gr=C3=BC=C3=9Fe" in octets


def test_a_header_in_utf8_goes_to_no_host_without_it_either(tmp_path: Path, without: PurportServer) -> None:
    with purport_server(folder(tmp_path, "here"), RELAYING.format(port=without.port)) as server:
        submit(server.port, HEADER.format(to="bob"), "alice@bücher.example", "bob@elsewhere.example")
        wait_for(lambda: "status=bounced (553 5.6.7 Message has addresses or a header in UTF-8" in server.log())
        assert "queue active" not in without.log()


def test_recipients_that_need_it_fail_alone_and_the_rest_goes(tmp_path: Path, without: PurportServer) -> None:
    place = folder(tmp_path, "here")
    with purport_server(place, RELAYING.format(port=without.port)) as server:
        recipients = ("bob@elsewhere.example", "jörg@elsewhere.example")
        submit(server.port, PLAIN, "alice@bücher.example", *recipients)
        wait_for(lambda: mailbox(place, "alice"))
        assert "to=<bob@elsewhere.example>" in without.log() or "queue active" in without.log()
        (octets,) = mailbox(place, "alice")
        assert rb"Final-Recipient: utf-8; j\x{F6}rg@elsewhere.example" in octets
        assert b"\nTo: <alice@xn--bcher-kva.example>\n" in octets


@pytest.mark.peer
def test_postfix_takes_it_and_sends_it_on(tmp_path: Path) -> None:
    """Purport, Postfix, and Purport again."""
    require_peer("postfix")
    port = free_port()
    postfix = Postfix(
        {
            "mydestination": "",
            "relay_domains": "elsewhere.example",
            "relay_transport": f"smtp:[127.0.0.1]:{port}",
            "smtputf8_enable": "yes",
        }
    )
    try:
        last = folder(tmp_path, "last")
        settings = '[[domain]]\nname = "elsewhere.example"\n\n[dns]\nzone = "zone.json"\n'
        end = PurportServer(last, settings)
        end.settings.write_text(end.settings.read_text().replace(f"127.0.0.1:{end.port}", f"127.0.0.1:{port}"))
        end.port = port
        end.start()
        try:
            with purport_server(folder(tmp_path, "here"), RELAYING.format(port=postfix.port)) as server:
                to = "jörg@elsewhere.example"
                submit(server.port, HEADER.format(to=to), "élise@bücher.example", to)
                new = last / "state" / "maildir" / "elsewhere.example" / "j%c3%b6rg" / "new"
                wait_for(lambda: new.exists() and list(new.iterdir()))
                (file,) = new.iterdir()
                octets = file.read_bytes()
                assert octets.count(b" with UTF8SMTP id ") == 3
                assert "Subject: Grüße".encode() in octets
        finally:
            end.stop()
    finally:
        postfix.stop()
