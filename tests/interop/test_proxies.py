"""HAProxy and nginx before Purport: the client is who they say, in every check and every record."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.peers import require_peer, wait_for
from support.proxies import haproxy, nginx
from support.purport_server import PurportServer

pytestmark = pytest.mark.peer

SETTINGS = '[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\n'
# Only a client at 127.0.0.3 may speak for example.com.
ZONE = '{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.3 -all"}]}'
MESSAGE = "From: alice@example.com\r\nTo: bob@company.com.example\r\nSubject: t\r\n\r\nHello.\r\n"
CLIENT = ("127.0.0.3", 0)


@contextmanager
def behind(folder: Path, listener: str = "") -> Iterator[PurportServer]:
    (folder / "zone.json").write_text(ZONE)
    server = PurportServer(folder, SETTINGS, listener=f'service = "mx"\n{listener}')
    server.start(wait=False)
    try:
        wait_for(lambda: "is ready" in server.log(), what="the server")
        yield server
    finally:
        server.stop()


def send(port: int, source: tuple[str, int], login: bool = False) -> None:
    with smtplib.SMTP("127.0.0.1", port, source_address=source) as client:
        client.ehlo("client.example")
        if login:
            client.login("alice", "open sesame")
        client.sendmail("alice@example.com", "bob@company.com.example", MESSAGE, ["SUBMITTER=alice@example.com"])


def clients(server: PurportServer) -> list[dict[str, object]]:
    """Who they were, by the ledger, and whether the submitter was refused."""
    told = server.command("explain", "--last", "9", "--json").stdout
    return [json.loads(line)["client"] for line in told.splitlines()]


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_haproxy_says_who_the_client_is(tmp_path: Path, version: str) -> None:
    require_peer("haproxy")
    with (
        behind(tmp_path, 'proxy_protocol = ["127.0.0.0/8"]') as server,
        haproxy(server.port, f"{version} check-send-proxy") as balancer,
    ):
        send(balancer.port, CLIENT)
        with pytest.raises(smtplib.SMTPSenderRefused, match="Submitter not allowed"):
            send(balancer.port, ("127.0.0.4", 0))
        assert {client["address"] for client in clients(server)} == {"127.0.0.3", "127.0.0.4"}
        wait_for(lambda: balancer.health() == "L7OK 221", what="a good health check")


def test_haproxy_finds_a_server_without_proxy_headers_in_good_health(tmp_path: Path) -> None:
    require_peer("haproxy")
    with behind(tmp_path) as server, haproxy(server.port, "") as balancer:
        wait_for(lambda: balancer.health() == "L7OK 221", what="a good health check")


def test_nginx_says_by_xclient_who_the_client_is(tmp_path: Path) -> None:
    require_peer("nginx")
    with behind(tmp_path) as server, nginx(server.port) as port:
        send(port, CLIENT)
        with pytest.raises(smtplib.SMTPException, match="Submitter not allowed"):
            send(port, ("127.0.0.4", 0))
        assert {client["address"] for client in clients(server)} == {"127.0.0.3", "127.0.0.4"}


def test_nginx_says_by_xclient_who_logged_in(tmp_path: Path) -> None:
    require_peer("nginx")
    with behind(tmp_path) as server, nginx(server.port, "plain") as port:
        send(port, ("127.0.0.4", 0), login=True)
        (client,) = clients(server)
        assert (client["address"], client["helo"]) == ("127.0.0.4", "client.example")
        assert re.search(r"sasl_method=XCLIENT, sasl_username=alice", server.log())


def test_nginx_sends_a_proxy_header_before_all_else(tmp_path: Path) -> None:
    require_peer("nginx")
    with (
        behind(tmp_path, 'proxy_protocol = ["127.0.0.0/8"]') as server,
        nginx(server.port, options="proxy_protocol on;") as port,
    ):
        send(port, CLIENT)
        (client,) = clients(server)
        assert client["address"] == "127.0.0.3"
