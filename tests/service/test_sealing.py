"""What goes on goes on under our ARC seal (RFC 8617 section 5.1)."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from purport.authentication.arc.result import ArcResult
from purport.dns.lookup import Answer, Question, Status
from support.arc_chains import DMARC_PASS, MESSAGE, answers_for, key_of, sealed, validated
from support.dkim_keys import rsa_key, rsa_pem
from support.next_hop import NextHop, next_hop
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

DOMAIN, LIST = "company.com.example", "lists.example"
SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob"]

[domain.forwards]
carol = ["carol@elsewhere.example"]
both = ["bob", "dave@elsewhere.example"]

[[dkim]]
domain = "company.com.example"
selector = "r1"
key = "r1.pem"

[relay]
default = "smtp:127.0.0.1:{port}"

[dns]
zone = "zone.json"
{more}
"""
KEY = Question(f"r1._domainkey.{DOMAIN}", "TXT")
ANSWERS = answers_for(LIST) | {KEY: Answer(Status.FOUND, (rsa_key().record,))}
ZONE = {
    "lists.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
    f"s1._domainkey.{LIST}": [{"TXT": key_of(LIST).record}],
    "_dmarc.example.com": [{"TXT": "v=DMARC1; p=none"}],
}


@contextmanager
def running(folder: Path, more: str = "", *offers: str) -> Iterator[tuple[PurportServer, NextHop]]:
    (folder / "zone.json").write_text(json.dumps(ZONE))
    (folder / "r1.pem").write_bytes(rsa_pem(2048))
    with next_hop(*offers) as hop, purport_server(folder, SETTINGS.format(port=hop.port, more=more)) as server:
        yield server, hop


def forwarded(server: PurportServer, hop: NextHop, octets: bytes, to: str = "carol", **options: list[str]) -> bytes:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail(f"bounces@{LIST}", f"{to}@{DOMAIN}", octets, **options)  # type: ignore[arg-type]
    wait_for(lambda: hop.transactions, what="the message at the next hop")
    return hop.transactions[0].message


def found(result: ArcResult) -> list[tuple[str, str]]:
    """What the newest sealer found."""
    said = result.hops[-1].said
    assert said is not None
    return [(one.method, one.result) for one in said.results]


def test_a_chain_goes_on_with_what_was_found_here(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        octets = forwarded(server, hop, sealed(MESSAGE, LIST, DMARC_PASS))
    result = validated(octets, ANSWERS)
    assert (result.result, result.sealers, result.oldest_pass) == ("pass", (LIST, DOMAIN), 0), result.problem
    assert found(result) == [
        ("iprev", "permerror"),
        ("spf", "pass"),
        ("dkim", "none"),
        ("dmarc", "fail"),
        ("arc", "pass"),
    ]
    assert result.hops[-1].said is not None
    assert result.hops[-1].said.authserv_id == f"mx.{DOMAIN}"


@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
def test_a_body_of_any_size_is_sealed_as_it_arrived(tmp_path: Path, size: int) -> None:
    octets = MESSAGE + b"line  of text \r\n" * (size // 16) + b"\r\n\r\n"
    with running(tmp_path) as (server, hop):
        result = validated(forwarded(server, hop, octets, "both"), ANSWERS)
    assert (result.result, result.sealers) == ("pass", (DOMAIN,)), result.problem


def test_forged_results_of_ours_are_neither_kept_nor_sealed(tmp_path: Path) -> None:
    forged = b"Authentication-Results: mx.company.com.example; dmarc=pass header.from=bank.example\r\n"
    with running(tmp_path) as (server, hop):
        octets = forwarded(server, hop, forged + MESSAGE)
    assert b"bank.example" not in octets
    assert validated(octets, ANSWERS).result == "pass"


def test_a_chain_that_failed_is_marked(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        octets = forwarded(server, hop, sealed(MESSAGE, LIST, DMARC_PASS).replace(b"Hi", b"Ho"))
    result = validated(octets, ANSWERS)
    assert result.problem == "the chain had failed already before instance 2 (cv=fail)"


def test_without_the_setting_or_a_key_nothing_is_sealed(tmp_path: Path) -> None:
    with running(tmp_path, "[forwarding]\nseal = false\n") as (server, hop):
        assert b"ARC-" not in forwarded(server, hop, MESSAGE)


def test_a_message_that_is_converted_has_no_seal_that_would_not_hold(tmp_path: Path) -> None:
    octets = MESSAGE.replace(b"all.", "für alle.".encode())
    with running(tmp_path, "", "PIPELINING") as (server, hop):
        octets = forwarded(server, hop, octets, mail_options=["BODY=8BITMIME"])
    assert octets.isascii()
    assert b"ARC-" not in octets
