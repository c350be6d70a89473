"""docs/tls.md is true: its commands run against a server, its tables are settings."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path

import pytest

from purport.config.load import read
from support.certificates import Authority, chain_in, shows, tlsa
from support.cli import purport
from support.pages import settings_in, text_of
from support.scripted_server import ScriptedServer, on_loop

PAGE = text_of("tls")
SENDS = re.findall(r"^    \$ purport (send .+)$", PAGE, re.MULTILINE)
TABLES = settings_in(PAGE)
REST = 'hostname = "mx.company.com.example"\n'
LISTENER = '\n[[listener]]\nbind = ["127.0.0.1:2525"]\n'
CERTIFICATE = '\n[[certificate]]\nchain = "chain.pem"\n'


def test_the_page_has_commands_and_tables() -> None:
    assert len(SENDS) >= 2
    assert len(TABLES) >= 5


@pytest.mark.parametrize("command", SENDS)
@on_loop
async def test_a_message_is_sent_as_it_is_shown(command: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = ScriptedServer("STARTTLS", "REQUIRETLS", tls=shows(authority.issue("127.0.0.1")))
    async with server:
        words = shlex.split(command.replace("mx.company.com.example", f"127.0.0.1:{server.port}"))
        more = ("--tls-ca-path", str(authority.bundle), "--from", "alice@example.com", "--helo", "client.example")
        ran = await asyncio.to_thread(purport, *words, *more)
    assert ran.code == 0, ran.err
    assert len(server.messages) == 1
    assert ("REQUIRETLS" in " ".join(server.commands)) is ("--require-tls" in command)


@on_loop
async def test_a_domain_is_looked_at_as_it_is_shown(tmp_path: Path) -> None:
    (command,) = re.findall(r"^    \$ purport (tls check .+)$", PAGE, re.MULTILINE)
    path = Authority(tmp_path).issue("mx.company.com.example")
    async with ScriptedServer("STARTTLS", tls=shows(path)) as server:
        zone = {
            "company.com.example": ["SIGNED", {"MX": [10, "mx.company.com.example"]}],
            "mx.company.com.example": ["SIGNED", {"A": "127.0.0.1"}],
            f"_{server.port}._tcp.mx.company.com.example": ["SIGNED", {"TLSA": tlsa(chain_in(path)[0])}],
        }
        (tmp_path / "zone.json").write_text(json.dumps(zone))
        more = ("--zone", str(tmp_path / "zone.json"), "--port", str(server.port))
        ran = await asyncio.to_thread(purport, *shlex.split(command), *more)
    assert ran.code == 0, ran.err
    assert "  127.0.0.1: TLSv1.3 " in ran.out


@pytest.mark.parametrize("table", TABLES)
def test_the_tables_are_settings(table: str) -> None:
    listener = "" if "[[listener]]" in table else LISTENER
    certificate = "" if "[[certificate]]" in table else CERTIFICATE
    read(f"{REST}{table}{listener}{certificate}")
