"""ARC at a running server: whose word about a message counts, and what is found goes on top of it."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from purport.authentication.authres.reader import read
from purport.authentication.authres.results import AuthenticationResults
from purport.mail.header import read_header
from support.arc_chains import DMARC_FAIL, DMARC_PASS, MESSAGE, key_of, sealed
from support.cli import purport
from support.dkim_suites import crlf
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

DOMAIN = "company.com.example"
HOST = f"mx.{DOMAIN}"
LIST, STRANGER = "lists.example", "stranger.example"
SETTINGS = f"""
[[domain]]
name = "{DOMAIN}"

[dns]
zone = "zone.json"

[dmarc]
trusted_sealers = ["Lists.example"]
"""
ZONE = {
    "_dmarc.example.com": [{"TXT": "v=DMARC1; p=reject"}],
    **{f"s1._domainkey.{domain}": [{"TXT": key_of(domain).record}] for domain in (LIST, STRANGER)},
}
REFUSED = b"5.7.1 Email rejected per DMARC policy for example.com"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "zone.json").write_text(json.dumps(ZONE))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[PurportServer]:
    with purport_server(folder, SETTINGS) as running:
        yield running


def send(server: PurportServer, octets: bytes, to: str = "bob") -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail(f"bounces@{LIST}", f"{to}@{DOMAIN}", octets)


def refused(server: PurportServer, octets: bytes) -> bytes:
    with pytest.raises(smtplib.SMTPDataError) as error:
        send(server, octets)
    reply = error.value.smtp_error
    return reply if isinstance(reply, bytes) else reply.encode()


def delivered(folder: Path, local_part: str) -> bytes:
    new = folder / "state" / "maildir" / DOMAIN / local_part / "new"
    wait_for(lambda: new.exists() and list(new.iterdir()))
    (file,) = new.iterdir()
    return crlf(file.read_bytes())


def results(octets: bytes) -> AuthenticationResults:
    (field,) = read_header(octets).all("authentication-results")
    return read(field.text)


def test_a_message_that_a_trusted_list_found_in_order_comes_in(server: PurportServer, folder: Path) -> None:
    send(server, sealed(MESSAGE, LIST, DMARC_PASS), "trusting")
    said = results(delivered(folder, "trusting"))
    (dmarc,), (arc,) = said.of("dmarc"), said.of("arc")
    assert (dmarc.result, dmarc.value("policy", "dmarc")) == ("fail", "none")
    assert dmarc.reason == "arc=pass as[1].d=lists.example as[1].s=s1 remote-ip[1]=192.0.2.1"
    assert (arc.result, arc.comment) == ("pass", "i=1 lists.example")
    received = read_header(delivered(folder, "trusting")).first("received")
    assert received is not None
    queue_id = received.text.split(" id ")[1].split()[0]
    explained = purport("explain", queue_id.rstrip(";"), "--config", str(server.settings)).out
    assert "ARC chain of lists.example: pass" in explained
    assert "not applied: lists.example vouches (local_policy) arc=pass" in explained


@pytest.mark.parametrize(
    "octets",
    [
        MESSAGE,
        sealed(MESSAGE, STRANGER, DMARC_PASS),
        sealed(MESSAGE, LIST, DMARC_FAIL),
        sealed(MESSAGE, LIST, DMARC_PASS).replace(b"Hi", b"Ho"),
        sealed(sealed(MESSAGE, LIST, DMARC_PASS), STRANGER, change=lambda octets: octets.replace(b"Hi", b"Ho")),
    ],
    ids=["no chain", "a stranger's", "it failed there too", "changed since", "a stranger's message under it"],
)
def test_nobody_elses_word_lets_a_message_in(server: PurportServer, octets: bytes) -> None:
    assert refused(server, octets) == REFUSED


@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
def test_s5_a_field_that_claims_to_be_ours_does_not_reach_a_mailbox(
    server: PurportServer, folder: Path, size: int
) -> None:
    forged = (
        f"Authentication-Results: (hi) {HOST.upper()}. 1;\r\n dmarc=pass header.from=bank.example\r\n"
        f"Authentication-Results: other.example; dmarc=pass header.from=bank.example\r\n"
        f"Authentication-Results: {HOST}; = \r\n"
    ).encode()
    body = b"line of text\r\n" * (size // 14)
    send(server, b"From: a@mail.example\r\n" + forged + b"Subject: t\r\n\r\n" + body, f"user{size}")
    octets = delivered(folder, f"user{size}")
    header = read_header(octets)
    ids = [read(field.text).authserv_id for field in header.all("authentication-results")]
    assert ids == [HOST, "other.example"]
    assert octets[header.length :] == body
    assert header.fields[-1].raw == b"Subject: t\r\n"
