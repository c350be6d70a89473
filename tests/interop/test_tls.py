"""TLS between Purport and other people's servers, both ways, and our client at other people's servers."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Authority, chain_in, tlsa
from support.cli import purport
from support.exim import Exim
from support.peers import require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

ZONE = '{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
MESSAGE = b"From: alice@example.com\r\nTo: bob@elsewhere.example\r\nSubject: in TLS\r\n\r\nHello.\r\n.\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("localhost", "127.0.0.1")
    (authority.folder / "server.pem").chmod(0o644)
    for folder in (authority.folder, *list(authority.folder.parents)[:3]):
        folder.chmod(folder.stat().st_mode | 0o111)  # for Postfix's and Exim's own users
    return authority


@pytest.fixture(scope="module")
def postfix(authority: Authority) -> Iterator[Postfix]:
    require_peer("postfix")
    chain = str(authority.folder / "server.pem")
    postfix = Postfix(
        {
            "mydestination": "",
            "relay_domains": "elsewhere.example",
            "relay_transport": "discard",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_chain_files": chain,
            "smtpd_tls_loglevel": "1",
            "smtpd_tls_received_header": "yes",
        }
    )
    yield postfix
    postfix.stop()


def sending(folder: Path, port: int, relay: str = "", host: str = "localhost") -> PurportServer:
    (folder / "zone.json").write_text(ZONE)
    domain = f'[[domain]]\nname = "elsewhere.example"\ndeliver = "smtp:{host}:{port}"\n'
    return purport_server(folder, f'{domain}\n[dns]\nzone = "zone.json"\n\n[relay]\n{relay}\n')


def submit(server: PurportServer) -> str:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        client.mail("alice@example.com")
        client.rcpt("bob@elsewhere.example")
        return client.data(MESSAGE)[1].decode().split()[-1]


@pytest.mark.parametrize("level", ["may", "encrypt", "verify"])
def test_purport_sends_to_postfix_under_tls(tmp_path: Path, postfix: Postfix, authority: Authority, level: str) -> None:
    relay = f'tls = "{level}"\nauthorities = "{authority.bundle}"'
    with sending(tmp_path, postfix.port, relay) as server:
        queue_id = submit(server)
        wait_for(lambda: f"{queue_id}: removed" in server.log())
        assert re.search(rf"{queue_id}: to=.*, tls=TLSv1\.3, dsn=2\.0\.0, status=sent", server.log())
        assert "(TLSv1.3 TLS_" in server.command("explain", queue_id).stdout
    assert "Anonymous TLS connection established from" in postfix.log()


def test_purport_waits_where_postfix_is_not_who_it_should_be(
    tmp_path: Path, postfix: Postfix, authority: Authority
) -> None:
    others = Authority(tmp_path / "others")
    with sending(tmp_path, postfix.port, f'tls = "verify"\nauthorities = "{others.bundle}"') as server:
        queue_id = submit(server)
        wait_for(lambda: "status=deferred" in server.log())
        assert "certificate verify failed" in server.log() or "unable to get local issuer" in server.log()
        assert "TLS handshake with localhost" in server.command("queue", "show", queue_id).stdout


@pytest.mark.parametrize("usage", [3, 2])
@pytest.mark.parametrize("right", [True, False])
def test_postfix_is_the_host_that_a_tlsa_record_names_or_gets_nothing(
    tmp_path: Path, postfix: Postfix, authority: Authority, usage: int, right: bool
) -> None:
    """DANE-TA holds the authority whole, as Postfix is not set up to send it."""
    known = authority if right else Authority(tmp_path / "others")
    if usage == 3:
        record = tlsa(chain_in(known.folder / "server.pem" if right else known.issue("localhost"))[0])
    else:
        record = tlsa(known.certificate, 2, 0, 0)
    zone = {
        "example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
        "mx.postfix.example": ["SIGNED", {"CNAME": "localhost"}],
        "localhost": ["SIGNED", {"A": "127.0.0.1"}],
        f"_{postfix.port}._tcp.localhost": ["SIGNED", {"TLSA": record}],
    }
    with sending(tmp_path, postfix.port, host="mx.postfix.example") as server:
        (tmp_path / "zone.json").write_text(json.dumps(zone))
        server.stop()
        server.start()
        queue_id = submit(server)
        wait_for(lambda: "status=sent" in server.log() or "status=deferred" in server.log())
        assert f"status={'sent' if right else 'deferred'}" in server.log()
        assert f"asked for dane (dane: TLSA {usage} " in server.command("explain", queue_id).stdout


def test_postfix_sends_to_purport_under_tls(tmp_path: Path, authority: Authority) -> None:
    require_peer("postfix")
    (tmp_path / "zone.json").write_text(ZONE)
    settings = '[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\n\n'
    settings += f'[[certificate]]\nchain = "{authority.folder / "server.pem"}"\n'
    with purport_server(tmp_path, settings) as server:
        postfix = Postfix(
            {
                "relayhost": f"[localhost]:{server.port}",
                "smtp_host_lookup": "native",
                "smtp_tls_security_level": "verify",
                "smtp_tls_CAfile": str(authority.bundle),
                "smtp_tls_loglevel": "1",
            }
        )
        authority.bundle.chmod(0o644)
        try:
            with smtplib.SMTP("127.0.0.1", postfix.port) as client:
                client.sendmail("alice@example.com", ["bob@company.com.example"], MESSAGE)
            wait_for(lambda: "proto=ESMTPS" in server.log(), what=postfix.log)
            assert "Verified TLS connection established to" in postfix.log()
        finally:
            postfix.stop()


def test_purport_sends_to_exim_under_tls(tmp_path: Path, authority: Authority) -> None:
    require_peer("exim")
    chain = authority.folder / "server.pem"
    exim = Exim("elsewhere.example", before=f"tls_advertise_hosts = *\ntls_certificate = {chain}\n")
    try:
        relay = f'tls = "verify"\nauthorities = "{authority.bundle}"'
        with sending(tmp_path, exim.port, relay, "127.0.0.1") as server:
            queue_id = submit(server)
            wait_for(lambda: f"{queue_id}: removed" in server.log(), what="the delivery in our log")
            wait_for(lambda: " X=TLS" in exim.log())
    finally:
        exim.stop()


def test_our_client_begins_tls_at_postfix(postfix: Postfix, authority: Authority) -> None:
    send = ["send", "--to", "bob@elsewhere.example", "--from", "alice@example.com", "--hide-data"]
    at = ["--server", f"localhost:{postfix.port}"]
    verified = purport(*send, *at, "--tls", "--tls-verify", "--tls-ca-path", str(authority.bundle))
    assert verified.code == 0, verified.out
    assert "=== TLS started: TLSv1.3 TLS_" in verified.out
    assert "\n ~> MAIL FROM:<alice@example.com>" in verified.out
    assert "\n<~  250 2.0.0 Ok: queued" in verified.out
    refused = purport(*send, *at, "--tls", "--tls-verify")
    assert refused.code == 69
    assert "TLS failed" in refused.out + refused.err
