"""The house holds: imports point down, and nothing below the shells knows I/O, time or chance (ARCHITECTURE.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = PROJECT / "src" / "purport"
MODULES = sorted(SOURCE.rglob("*.py"))


def test_the_import_contracts_hold() -> None:
    """The contracts are those of pyproject.toml."""
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=PROJECT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("place", MODULES, ids=lambda place: str(place.relative_to(SOURCE)))
def test_every_module_says_what_it_is_for_and_leaves_nothing_unfinished(place: Path) -> None:
    text = place.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{place} has no docstring"
    for word in ("TODO", "FIXME", "XXX", "NotImplementedError"):
        assert word not in text, f"{place} holds {word}"


def test_rfc_sections_are_cited_in_one_form() -> None:
    """`RFC 5321 section 4.1.2`, never with the sign for a section, so that a search finds them all."""
    found = [str(place) for place in MODULES if "§" in place.read_text()]
    assert not found


def test_importing_the_library_brings_no_server() -> None:
    """Who imports a part gets that part: no event loop, no database, no command line."""
    script = "import sys, purport.mail, purport.dns; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"uvloop", "sqlite3", "click", "rich", "dns"} & set(loaded)
