"""docs/auth.md: its settings load, and its commands print what it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from purport.config.load import read
from support.pages import text_of
from support.peers import free_port, greets, wait_for

PAGE = text_of("auth")
COMMANDS = re.findall(r"^    \$ (.+)\n    (.+)$", PAGE, re.MULTILINE)
# A program and its arguments in place of `purport`, so that no installed one is run.
PURPORT = f"{sys.executable} -m purport"


def block(after: str) -> str:
    """The indented block below a line of the page."""
    below = PAGE.split(after, 1)[1].split("\n\n", 1)[1]
    return re.match(r"(?:    .*\n|\n)+", below)[0].replace("\n    ", "\n").strip() + "\n"  # type: ignore[index]


def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    port = free_port()
    settings = block("Add a second listener").replace("2587", str(port))
    (tmp_path / "purport.toml").write_text(settings)
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*PURPORT.split(), "serve"], cwd=tmp_path, stdout=log, stderr=log)
    try:
        wait_for(lambda: server.poll() is not None or greets(port), what="the server's greeting")
        assert len(COMMANDS) == 4
        for command, shown in COMMANDS:
            line = command.replace("purport ", f"{PURPORT} ").replace("2587", str(port))
            ran = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=30)
            assert ran.returncode == 0, ran.stderr
            assert ran.stdout.splitlines()[0] == shown.replace("2587", str(port))
        assert " -> AUTH SCRAM-SHA-256 ..." in ran.stdout
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.parametrize("after", ["Add a second listener", "## Log in at a smarthost"])
def test_the_settings_load(after: str) -> None:
    text = block(after)
    read(text if "hostname" in text else f'hostname = "mx.example.com"\n[[listener]]\nbind = ["[::]:25"]\n{text}')
