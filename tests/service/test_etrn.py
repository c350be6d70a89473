"""ETRN end to end (RFC 1985): mail waits for a host that was away, and its owner asks for it."""

from __future__ import annotations

import re
import smtplib
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.cli import purport
from support.peers import free_port, wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "here.example"

[[domain]]
name = "company.com.example"
deliver = "smtp:127.0.0.1:{port}"

[[domain]]
name = "sub.company.com.example"
deliver = "smtp:127.0.0.1:{port}"

[[domain]]
name = "other.example"
deliver = "smtp:127.0.0.1:{port}"

[[etrn]]
networks = ["127.0.0.1"]
domains = ["company.com.example"]
queue = "branches"

[[etrn]]
networks = ["127.0.0.9"]
domains = ["other.example"]
seconds = 0.001

[dns]
zone = "zone.json"
"""
AWAY = """
[[domain]]
name = "company.com.example"

[[domain]]
name = "sub.company.com.example"

[dns]
zone = "zone.json"
"""
MESSAGE = b"From: alice@here.example\r\nSubject: t\r\n\r\nHello\r\n"
ZONE = '{"here.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'


class Scene:
    """A server with mail for a host that is away, on a port that is free until then."""

    def __init__(self, provider: PurportServer, folder: Path, port: int) -> None:
        self.provider = provider
        self.folder = folder
        self.port = port

    def send(self, *forward_paths: str) -> None:
        """Mail that waits after its first attempt."""
        for forward_path in forward_paths:
            with smtplib.SMTP("127.0.0.1", self.provider.port) as client:
                client.sendmail("alice@here.example", forward_path, MESSAGE)
        wait_for(lambda: all(self.log(path, "deferred") for path in forward_paths), what="the first attempts")

    def log(self, forward_path: str, status: str) -> bool:
        return re.search(rf"to=<{forward_path}>.*status={status}", self.provider.log()) is not None

    def back(self) -> PurportServer:
        """The host is there."""
        server = PurportServer(self.folder, AWAY, "mail.company.com.example")
        server.settings.write_text(server.settings.read_text().replace(f":{server.port}", f":{self.port}"))
        server.port = self.port
        server.start()
        return server


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    away = tmp_path / "away"
    away.mkdir()
    for folder in (tmp_path, away):
        (folder / "zone.json").write_text(ZONE)
    port = free_port()
    with purport_server(tmp_path, SETTINGS.format(port=port), "mx.provider.example") as provider:
        yield Scene(provider, away, port)


def asked(scene: Scene, *lines: str, source: str = "127.0.0.1") -> list[str]:
    with smtplib.SMTP("127.0.0.1", scene.provider.port, source_address=(source, 0)) as client:
        client.ehlo("mail.company.com.example")
        answers = []
        for line in lines:
            code, text = client.docmd(line)
            answers.append(f"{code} {text.decode()}")
        return answers


def test_what_waits_is_sent_when_its_host_asks_for_it(scene: Scene) -> None:
    """Over a connection of the server's own; what waits for others goes on waiting."""
    scene.send("bob@company.com.example", "carol@sub.company.com.example", "dave@other.example")
    host = scene.back()
    try:
        node = "company.com.example"
        assert asked(scene, f"ETRN {node}", f"ETRN {node}", f"ETRN @{node}", "ETRN #branches", "ETRN #nothing") == [
            f"253 2.0.0 OK, 1 pending messages for node {node} started",
            f"458 4.7.0 Unable to queue messages for node {node}: asked a moment ago",
            Pending(f"@{node}"),
            Pending("#branches"),
            "459 4.7.1 Node #nothing not allowed: not yours to ask for",
        ]
        wait_for(lambda: scene.log("bob@company.com.example", "sent"), what="Bob's mail")
        wait_for(lambda: scene.log("carol@sub.company.com.example", "sent"), what="Carol's mail")
        assert not scene.log("dave@other.example", "sent")
        assert "ETRN: 253 2.0.0 OK, 1 pending messages" in scene.provider.log()
        assert (host.state_dir / "maildir/company.com.example/bob/new").is_dir()
    finally:
        host.stop()


class Pending:
    """Equals the answer that some messages, or none, are pending."""

    def __init__(self, node: str) -> None:
        self.node = node

    def __eq__(self, other: object) -> bool:
        found = re.fullmatch(
            r"25[13] 2\.0\.0 OK, (?:no|[12]) (?:pending )?messages .*node (\S+?)(?: started)?", str(other)
        )
        return found is not None and found[1] == self.node

    __hash__ = None  # type: ignore[assignment]


def test_where_nothing_waits(scene: Scene) -> None:
    assert asked(scene, "ETRN company.com.example") == [
        "251 2.0.0 OK, no messages waiting for node company.com.example"
    ]


def test_who_may_ask_for_what(scene: Scene) -> None:
    assert asked(scene, "ETRN other.example", "ETRN @com.example")[0].startswith("459 4.7.1 ")
    assert asked(scene, "ETRN other.example", "ETRN company.com.example", source="127.0.0.9") == [
        "251 2.0.0 OK, no messages waiting for node other.example",
        "459 4.7.1 Node company.com.example not allowed: not yours to ask for",
    ]
    assert asked(scene, "ETRN other.example", source="127.0.0.2") == ["500 5.5.1 Command not recognized"]


def test_a_client_that_another_one_speaks_for_asks_in_its_own_right(scene: Scene) -> None:
    """XCLIENT: the address that is named counts, not that of who names it."""
    answers = asked(scene, "XCLIENT ADDR=192.0.2.1", "EHLO a.example", "ETRN company.com.example")
    assert answers[-1] == "459 4.7.1 Node company.com.example not allowed: not yours to ask for"


def test_commands_that_were_sent_ahead_wait_for_the_answer(scene: Scene) -> None:
    with closing(socket.create_connection(("127.0.0.1", scene.provider.port), 10)) as client:
        client.sendall(b"EHLO a.example\r\nETRN company.com.example\r\nNOOP\r\nQUIT\r\n")
        replies = b""
        while octets := client.recv(65536):
            replies += octets
    assert [line.split()[0] for line in replies.decode().split("\r\n")[:-1]][-3:] == ["251", "250", "221"]


def test_the_command_asks_for_it(scene: Scene) -> None:
    scene.send("bob@company.com.example")
    host = scene.back()
    try:
        place = f"127.0.0.1:{scene.provider.port}"
        ran = purport("etrn", place, "company.com.example", "--helo", "mail.company.com.example")
        assert (ran.code, ran.err) == (0, "")
        assert " -> ETRN company.com.example" in ran.lines
        assert "<-  253 2.0.0 OK, 1 pending messages for node company.com.example started" in ran.lines
        wait_for(lambda: scene.log("bob@company.com.example", "sent"), what="Bob's mail")
        again = purport("etrn", place, "company.com.example", "other.example")
        assert again.code == 75
        assert "<** 459 4.7.1 Node other.example not allowed: not yours to ask for" in again.lines
        assert purport("etrn", place, "localname", "company.com.example").code == 69
    finally:
        host.stop()
