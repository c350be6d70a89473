"""docs/lmtp.md: its settings load, its command sends."""

from __future__ import annotations

import shlex
from pathlib import Path

from purport.config.load import read
from support.cli import purport
from support.pages import commands_in, settings_in, text_of
from support.peers import free_port
from support.purport_server import PurportServer

PAGE = text_of("lmtp")
BLOCKS = settings_in(PAGE)


def test_the_route_of_the_page_loads() -> None:
    read(f'hostname = "mx.example.com"\n[[listener]]\nbind = ["[::]:25"]\n{BLOCKS[0]}')


def test_the_listener_of_the_page_takes_what_its_command_sends(tmp_path: Path) -> None:
    port = str(free_port())
    listener = BLOCKS[1].replace("2424", port)
    server = PurportServer(tmp_path, f'[[domain]]\nname = "company.com.example"\n{listener}')
    server.start()
    try:
        (command,) = commands_in(PAGE)
        ran = purport(*shlex.split(command.replace("2424", port)))
        assert ran.code == 0, ran.out
    finally:
        server.stop()
