"""Behind a load balancer: the client is who the PROXY header says, for every check and every record."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from purport.net.proxy import SIGNATURE
from support.peers import require_peer, wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = '[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\n'
ZONE = '{"example.com": [{"TXT": "v=spf1 ip4:192.0.2.10 -all"}]}'
ALLOWED = b"PROXY TCP4 192.0.2.10 198.51.100.1 35646 25\r\n"
FORGED = b"PROXY TCP4 198.51.100.66 198.51.100.1 35646 25\r\n"
MAIL = b"EHLO client.example\r\nMAIL FROM:<alice@example.com> SUBMITTER=alice@example.com\r\nQUIT\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PurportServer]:
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, SETTINGS) as server:
        text = server.settings.read_text()
        server.stop()
        server.settings.write_text(text.replace("xclient =", 'proxy_protocol = ["127.0.0.0/8"]\nxclient ='))
        server.start(wait=False)
        wait_for(lambda: "is ready" in server.log().rpartition("stopped")[2], what="the second start")
        yield server


def said(server: PurportServer, *pieces: bytes) -> list[str]:
    """What the server says, with the pieces sent one after the other, until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        for piece in pieces:
            client.sendall(piece)
        return b"".join(iter(lambda: client.recv(4096), b"")).decode("ascii").splitlines()


def test_the_client_is_who_the_header_says(server: PurportServer) -> None:
    for header, reply in ((ALLOWED, "250 2.1.0 Ok"), (FORGED, "550 5.7.1 Submitter not allowed.")):
        assert said(server, header + MAIL)[-2:] == [reply, "221 2.0.0 Bye"]
        assert said(server, header[:9], header[9:], MAIL)[-2] == reply
    binary = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 10, 127, 0, 0, 1, 1, 1, 0, 25])
    assert said(server, binary + MAIL)[-2] == "250 2.1.0 Ok"
    told = server.command("explain", "--last", "9", "--json").stdout
    assert {json.loads(line)["client"]["address"] for line in told.splitlines()} == {"192.0.2.10", "198.51.100.66"}


def test_a_proxy_that_speaks_for_itself_is_the_client(server: PurportServer) -> None:
    assert said(server, b"PROXY UNKNOWN\r\n" + MAIL)[-2] == "550 5.7.1 Submitter not allowed."


def test_without_the_header_there_is_no_greeting(server: PurportServer) -> None:
    assert said(server, MAIL) == []
    assert "no PROXY header" in server.log()


def test_a_proxy_that_says_nothing_keeps_no_server_from_stopping(server: PurportServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as silent:
        silent.sendall(b"PROXY ")
        assert server.stop() == 0
        assert silent.recv(100) == b""


def test_swaks_comes_through_a_proxy(server: PurportServer) -> None:
    swaks = require_peer("swaks")
    for version in ("1", "2"):
        ran = subprocess.run(
            [
                *(swaks, "--server", "127.0.0.1", "--port", str(server.port), "--to", "bob@company.com.example"),
                *("--from", "alice@example.com", "--proxy-version", version, "--proxy-family", "TCP4"),
                *("--proxy-source", "192.0.2.10", "--proxy-source-port", "35646"),
                *("--proxy-dest", "198.51.100.1", "--proxy-dest-port", "25"),
                *(["--proxy-command", "PROXY", "--proxy-protocol", "STREAM"] if version == "2" else []),
                *(["--proxy-family", "AF_INET"] if version == "2" else []),
            ],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert re.search(r"250 2\.0\.0 Ok: queued as", ran.stdout), ran.stdout + ran.stderr
