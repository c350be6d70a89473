"""docs/lmtp.md: its settings load, its command sends."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from purport.config.load import read
from support.cli import purport
from support.peers import free_port
from support.purport_server import PurportServer

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "lmtp.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_route_of_the_page_loads() -> None:
    read(f'hostname = "mx.example.com"\n[[listener]]\nbind = ["[::]:25"]\n{BLOCKS[0]}')


def test_the_listener_of_the_page_takes_what_its_command_sends(tmp_path: Path) -> None:
    port = str(free_port())
    listener = BLOCKS[1].replace("2424", port)
    server = PurportServer(tmp_path, f'[[domain]]\nname = "company.com.example"\n{listener}')
    server.start()
    try:
        (command,) = re.findall(r"^    \$ purport (.+)$", PAGE, re.MULTILINE)
        ran = purport(*shlex.split(command.replace("2424", port)))
        assert ran.code == 0, ran.out
    finally:
        server.stop()
