"""The documentation is true: its commands run, its settings load, its Python works, its links lead somewhere."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from purport.cli.main import COMMANDS
from purport.config.load import read
from support.purport_server import PurportServer, purport_server

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text()
PAGES = [PROJECT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((PROJECT / "docs").glob("*.md"))

# A command of the tour, and the first line that it prints there.
TOUR = re.findall(r"^    \$ (.+)\n    (.+)$", README, re.MULTILINE)


def block(after: str) -> str:
    """The indented block below a line of the README."""
    below = README.split(after, 1)[1].lstrip("\n").splitlines()
    lines = []
    for line in below:
        if line and not line.startswith("    "):
            break
        lines.append(line[4:])
    return "\n".join(lines)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "zone.json").write_text((PROJECT / "examples/demo/zone.json").read_text())
    settings = '[[domain]]\nname = "company.com.example"\nmailboxes = ["bob"]\n\n[dns]\nzone = "zone.json"\n'
    with purport_server(folder, settings) as running:
        yield running


def test_the_tour_runs_as_it_is_shown(server: PurportServer) -> None:
    assert len(TOUR) >= 3
    for command, first in TOUR:
        line = command.replace(".venv/bin/purport", f"{sys.executable} -m purport")
        line = line.replace("127.0.0.1:2525", f"127.0.0.1:{server.port}")
        line = line.replace("examples/demo/purport.toml", str(server.settings))
        ran = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=30)
        assert ran.returncode in (0, 69), f"{command}\n{ran.stderr}"
        shown = ran.stdout.splitlines()[0]
        expected = first.replace("127.0.0.1:2525", f"127.0.0.1:{server.port}")
        wanted = r"[0-9A-Z]{13}".join(re.escape(part) for part in re.split(r"[0-9A-Z]{13}", expected))
        assert re.fullmatch(wanted, shown), f"{command}: {shown!r}"


def test_the_settings_of_the_readme_load() -> None:
    settings = read(block("## A server of your own"))
    assert settings.hostname == "mx.company.com.example"


def test_the_python_of_the_readme_works() -> None:
    code = block("## As a library")
    names: dict[str, object] = {}
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compiled = compile(code, "README.md", "exec", flags)
    running = eval(compiled, names)
    if running is not None:
        asyncio.run(running)
    assert str(getattr(names["found"], "address")) == "bob@example.com"  # noqa: B009  # it is an object to mypy
    assert getattr(names["result"], "result") == "pass"  # noqa: B009


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name}: {link}"
    for name in re.findall(r"`((?:src|tests|bench|docs|examples)/[\w/.-]+\.\w+)`", text):
        assert (PROJECT / name).exists(), f"{page.name}: {name}"


def test_the_demonstration_zone_is_json() -> None:
    assert "bank.example" in json.loads((PROJECT / "examples/demo/zone.json").read_text())


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "purport", *command.split(), "--help"], capture_output=True, text=True, timeout=30
    )
    assert ran.returncode == 0
    assert ran.stdout.startswith("Usage: purport")
