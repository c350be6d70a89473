"""A proxy that says of whom it speaks, and later of whom else (Postfix XCLIENT_README)."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from support.peers import wait_for
from support.purport_server import purport_server

ZONE = {
    "1.0.0.127.in-addr.arpa": [{"PTR": "proxy.example"}],
    "proxy.example": [{"A": "127.0.0.1"}],
    "example.com": [{"TXT": "v=spf1 +all"}],
}
SETTINGS = '[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\nclient_names = true\n'
DIALOGUE = (
    b"EHLO proxy.example\r\nMAIL FROM:<alice@example.com>\r\nRSET\r\nXCLIENT ADDR=192.0.2.99\r\nEHLO evil.example\r\n"
    b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@company.com.example>\r\nDATA\r\n"
    b"From: alice@example.com\r\n\r\nHello\r\n.\r\nQUIT\r\n"
)


def test_what_was_found_about_the_name_of_one_client_is_not_said_of_another(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    with purport_server(tmp_path, SETTINGS) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as client:
            client.sendall(DIALOGUE)
            while client.recv(4096):
                pass
        wait_for(lambda: list(server.state_dir.glob("maildir/**/new/*")), what="the message")
        (place,) = server.state_dir.glob("maildir/**/new/*")
        message = place.read_bytes()
    assert b"iprev=permerror policy.iprev=192.0.2.99" in message
    assert b"proxy.example" not in message
