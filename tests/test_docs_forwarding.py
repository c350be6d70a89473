"""docs/forwarding.md: its settings load, its commands run, and what they print is what comes."""

from __future__ import annotations

import json
import re
import shlex
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from purport.config.load import load, read
from support.cli import purport
from support.next_hop import NextHop, next_hop
from support.pages import commands_in, settings_in, text_of
from support.peers import free_port, wait_for
from support.purport_server import PurportServer

PAGE = text_of("forwarding")
BLOCKS = settings_in(PAGE)
COMMANDS = commands_in(PAGE)
TOP = 'hostname = "mx.company.com.example"\n'
LISTENER = '[[listener]]\nbind = ["[::]:25"]\n'
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
    "company.com.example": [{"TXT": "v=spf1 ip4:192.0.2.25 -all"}],
}


@pytest.mark.parametrize("block", BLOCKS)
def test_the_settings_of_the_page_load(block: str) -> None:
    read(TOP + ("" if "[[listener]]" in block else LISTENER) + block)


def test_every_repair_of_the_page_is_one() -> None:
    words = re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)[1:]
    assert words == ["none", "resent", "srs", "both", "least"]
    for word in words:
        read(f'{TOP}{LISTENER}[forwarding]\nrepair = "{word}"\n')


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PurportServer, NextHop]]:
    folder = tmp_path_factory.mktemp("forwarding")
    (folder / "zone.json").write_text(json.dumps(ZONE))
    with next_hop() as hop:
        relay = f'[relay]\ndefault = "smtp:127.0.0.1:{hop.port}"\n\n[dns]\nzone = "zone.json"\n'
        server = PurportServer(folder, f"{BLOCKS[0]}\n{relay}")
        server.start()
        yield server, hop
        server.stop()


def run(command: str, server: PurportServer) -> tuple[int, str]:
    words = shlex.split(command.replace("127.0.0.1:2525", f"127.0.0.1:{server.port}"))
    ran = purport(*[str(server.settings) if word == "purport.toml" else word for word in words])
    return ran.code, ran.out


def test_the_first_commands_forward_what_the_page_shows(running: tuple[PurportServer, NextHop]) -> None:
    server, hop = running
    assert len(COMMANDS) == 5
    for command in COMMANDS[:2]:
        assert run(command, server)[0] == 0, command
    wait_for(lambda: hop.transactions)
    (one,) = hop.transactions
    shown = re.findall(r"^    ((?:MAIL|RCPT|Resent-|Received).+)$", PAGE, re.MULTILINE)
    assert one.mail.split(" ")[:2] == ["MAIL", "FROM:<alice@example.com>"]
    assert shown[0] in re.sub(r" (BODY|SIZE|RET)=\S+", "", one.mail)
    assert shown[1] == one.recipients[0]
    names = [line.partition(":")[0] for line in shown[2:5]]
    assert [line.partition(b":")[0].decode() for line in one.message.split(b"\r\n")[:3]] == names
    wait_for(lambda: "removed" in server.log())
    code, out = run(COMMANDS[2], server)
    assert code == 0
    assert "forwarded for carol@company.com.example" in out


@pytest.mark.parametrize("number", [3, 4])
def test_a_plan_and_a_chain_say_what_the_page_shows(
    running: tuple[PurportServer, NextHop], number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    received = (
        "Received: from mx.example.com ([127.0.0.9])\n\tby mx.company.com.example; Sat, 28 Nov 2026 00:00:00 +0000\n"
    )
    Path("message.eml").write_text(f"{received}From: alice@example.com\nSubject: s\n\nHello\n")
    Path("zone.json").write_text(json.dumps(ZONE))
    ran = purport(*shlex.split(COMMANDS[number]), "--zone", "zone.json")
    assert ran.code == 0, ran.out + ran.err
    shown = re.findall(rf"^    \$ purport {re.escape(COMMANDS[number])}\n    (.+)$", PAGE, re.MULTILINE)
    assert ran.lines[0] == shown[0]


def test_the_guest_of_the_page_is_an_address(tmp_path: Path) -> None:
    path = tmp_path / "purport.toml"
    path.write_text(TOP + BLOCKS[-1].replace("2526", str(free_port())))
    assert load(path).listener[0].guest == "guest.services@company.com.example"


def test_nobody_is_promised_a_way_for_what_is_refused(running: tuple[PurportServer, NextHop]) -> None:
    server, _ = running
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("x.example")
        client.docmd("MAIL FROM:<eve@example.net>")
        assert client.docmd("RCPT TO:<SRS0=abcd=AA=example.com=alice@company.com.example>")[0] == 550
