"""What is forwarded is sealed, and a next hop that trusts the seal believes what was found before."""

from __future__ import annotations

import json
import smtplib
from pathlib import Path

import pytest

from purport.dns.lookup import Answer, Question, Status
from purport.mail.header import read_header
from support.arc_chains import answers_for, key_of, sealed, validated
from support.dkim_keys import ed25519_key, ed25519_pem
from support.next_hop import next_hop
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

MESSAGE = b"From: alice@example.com\r\nSubject: hello\r\n\r\nHello\r\n"
SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob"]
forwards = {{ carol = ["carol@elsewhere.example", "carol"], erin = ["erin@elsewhere.example"] }}

[[dkim]]
domain = "company.com.example"
selector = "s1"
key = "s1.pem"

[relay]
default = "smtp:127.0.0.1:{port}"

[dns]
zone = "zone.json"
{more}
"""
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:127.0.0.9 -all"}],
    "_dmarc.example.com": [{"TXT": "v=DMARC1; p=reject"}],
    "company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
    "s1._domainkey.company.com.example": [{"TXT": ed25519_key().record}],
    "s1._domainkey.lists.example": [{"TXT": key_of("lists.example").record}],
}
KEYS = {
    **answers_for("lists.example"),
    Question("s1._domainkey.company.com.example", "TXT"): Answer(Status.FOUND, (ed25519_key().record,)),
}


def forwarder(folder: Path, port: int, more: str = "") -> PurportServer:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zone.json").write_text(json.dumps(ZONE))
    (folder / "s1.pem").write_bytes(ed25519_pem())
    (folder / "s1.pem").chmod(0o600)
    server = PurportServer(folder, SETTINGS.format(port=port, more=more))
    server.start()
    return server


def send(server: PurportServer, message: bytes = MESSAGE, to: str = "erin") -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("example.com")
        client.docmd("XCLIENT ADDR=127.0.0.9")
        client.ehlo("example.com")
        client.sendmail("alice@example.com", [f"{to}@company.com.example"], message)


@pytest.mark.parametrize("message", [MESSAGE, sealed(MESSAGE, "lists.example")], ids=["fresh", "sealed before"])
def test_a_copy_bears_a_seal_that_holds(tmp_path: Path, message: bytes) -> None:
    with next_hop() as hop:
        server = forwarder(tmp_path, hop.port)
        try:
            send(server, message, "carol")
            wait_for(lambda: hop.transactions)
            (one,) = hop.transactions
            found = [field.name for field in read_header(one.message)]
            assert found[:4] == ["arc-seal", "arc-message-signature", "arc-authentication-results", "resent-from"]
            assert "SUBMITTER=carol@company.com.example" in one.mail
            chain = validated(one.message, KEYS)
            assert chain.result == "pass", chain.problem
            assert chain.sealers[-1] == "company.com.example"
            said = chain.hops[-1].said
            assert said is not None
            assert [result.result for result in said.of("dmarc")] == ["pass"]
            kept = server.state_dir / "maildir" / "company.com.example" / "carol" / "new"
            wait_for(lambda: kept.exists() and list(kept.iterdir()))
            (mine,) = kept.iterdir()
            assert mine.read_bytes().count(b"ARC-Seal") == message.count(b"ARC-Seal"), "what stays here is not sealed"
        finally:
            server.stop()


def test_no_seal_where_it_is_switched_off(tmp_path: Path) -> None:
    with next_hop() as hop:
        server = forwarder(tmp_path, hop.port, "[forwarding]\nseal = false")
        try:
            send(server)
            wait_for(lambda: hop.transactions)
            assert b"ARC-" not in hop.transactions[0].message
        finally:
            server.stop()


def test_a_message_that_is_converted_for_its_next_hop_loses_the_seal_and_nothing_else(tmp_path: Path) -> None:
    message = b"From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    message += b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "Grüße\r\n".encode()
    with next_hop("PIPELINING", "SUBMITTER") as hop:
        server = forwarder(tmp_path, hop.port)
        try:
            send(server, message)
            wait_for(lambda: hop.transactions)
            (one,) = hop.transactions
            assert b"ARC-" not in one.message
            assert one.message.startswith(b"Resent-From: erin@company.com.example\r\n")
            assert b"Content-Transfer-Encoding: quoted-printable" in one.message
        finally:
            server.stop()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_purport_that_trusts_the_forwarder_takes_what_nobody_signed(tmp_path: Path, trusted: bool) -> None:
    """p=reject, no DKIM: SPF alone vouched for it, and that ended at the forwarder. RFC 9989 section 7.4."""
    settings = '[[domain]]\nname = "elsewhere.example"\n\n[dns]\nzone = "zone.json"\n'
    if trusted:
        settings += '\n[dmarc]\ntrusted_sealers = ["company.com.example"]\n'
    last = tmp_path / "last"
    last.mkdir()
    (last / "zone.json").write_text(json.dumps(ZONE))
    with purport_server(last, settings, hostname="mx.elsewhere.example") as final:
        server = forwarder(tmp_path / "first", final.port)
        try:
            send(server)
            wait_for(lambda: "status=" in server.log())
            assert ("status=sent" in server.log()) is trusted
            assert ("Email rejected per DMARC policy for example.com" in server.log()) is not trusted
        finally:
            server.stop()
