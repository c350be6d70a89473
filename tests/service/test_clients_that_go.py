"""Clients that go before they are answered: what they wanted is not done, since they will come again for it."""

from __future__ import annotations

import json
import socket
import struct
import threading
from pathlib import Path

from support.dns_server import dns_server
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

MESSAGE = b"From: alice@example.com\r\nSubject: t\r\n\r\nHello\r\n.\r\n"
ENVELOPE = b"EHLO client.example\r\nMAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@company.com.example>\r\nDATA\r\n"
ZONE = {"example.com": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}]}


def said(server: PurportServer, octets: bytes, count: int) -> socket.socket:
    """A client that has heard the last line of so many replies."""
    client = socket.create_connection(("127.0.0.1", server.port), 10)
    client.sendall(octets)
    reader = client.makefile("rb")
    while count:
        count -= reader.readline()[3:4] == b" "
    return client


def test_a_message_whose_client_is_gone_when_the_dns_has_answered_is_not_kept(tmp_path: Path) -> None:
    """The client was told nothing and sends it again: kept, it would arrive twice (RFC 1047)."""
    asked, gone = threading.Event(), threading.Event()

    def hold(query: bytes, response: bytes) -> list[bytes]:
        if b"_dmarc" in query:
            asked.set()
            assert gone.wait(20)
        return [response]

    with dns_server(ZONE, misbehave=hold) as dns:
        settings = f'[[domain]]\nname = "company.com.example"\n\n[dns]\nservers = ["{dns.address}"]\n'
        with purport_server(tmp_path, settings) as server:
            client = said(server, ENVELOPE, 5)
            client.sendall(MESSAGE)
            assert asked.wait(10)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            said(server, b"EHLO client.example\r\n", 2).close()  # by now the server knows that the first one is gone
            gone.set()
            wait_for(lambda: server.command("explain", "--last", "1", "--json").stdout, what="the record")
            record = json.loads(server.command("explain", "--last", "1", "--json").stdout)
            assert record["decision"] == "abandoned"
            assert not list(server.state_dir.glob("maildir/**/new/*"))
